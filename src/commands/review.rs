//! `castline review`: a person looks through what is unsure, on a page of this machine.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use futures_util::StreamExt;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::check::println;
use super::context::{Names, cast_flags};
use super::run::{ledger_to_read, provider};
use super::{Context, UsageError};
use crate::cast::{Character, Source, printable};
use crate::cli::{CastArgs, Common};
use crate::exit::ExitCode;
use crate::inspect::{Inspection, ReasonCode};
use crate::ledger::{Ledger, OpenOptions, Reader};
use crate::pipeline::{Duplicates, Look, read_source};
use crate::plan::{Action, Policy};
use crate::review::{Beside, Decision, Desk, Item, Review};

/// Serves the unsure pictures of a cast until they are decided, or Ctrl-C.
pub(super) async fn review(
    common: &Common,
    args: CastArgs,
    port: u16,
    open: bool,
) -> anyhow::Result<ExitCode> {
    let context = Context::new(common, "review", Some(&args.cast), cast_flags(&args))?;
    let cast = context.read_cast(&args, "review")?;
    let title = cast.path.file_name().unwrap_or(cast.path.as_os_str());
    let title = printable(&title.to_string_lossy());
    let view = ledger_to_read(&context.settings, common.sandbox)?;
    let reader = view.map(|view| Arc::new(view) as Arc<dyn Reader>);
    let ca_pem = context.ca_pem()?;
    let look = Arc::new(context.look(
        Names::of(&cast, &args)?,
        Policy::default(),
        false,
        reader,
        ca_pem.as_deref(),
    )?);
    let mut unsure = Vec::new();
    let whole = cast.characters.clone();
    let mut items = Vec::new();
    let mut seen = Duplicates::of(&look, &cast.characters).await?;
    let mut looked = std::pin::pin!(Arc::clone(&look).all(cast.characters));
    while let Some(looked) = looked.next().await {
        let mut looked = looked?;
        seen.judge(&mut looked);
        if let (Action::Review, Some(inspection)) = (looked.action, &looked.inspection) {
            let beside = original(inspection, &whole).cloned();
            items.push(item(&looked.character, inspection, beside.as_ref()));
            unsure.push(Unsure {
                character: looked.character,
                sha256: looked.sha256,
                beside,
            });
        }
    }
    if unsure.is_empty() {
        if !common.json {
            println("nothing to review: no picture is unsure and undecided")?;
        }
        return Ok(ExitCode::Done);
    }
    let options = OpenOptions::new(
        &provider(&context.settings, common.sandbox),
        common.sandbox,
        "review",
    );
    let options = super::wallet::keeping(options, &context.settings);
    let ledger = Ledger::open(&context.settings.ledger, options)?;
    let desk = Arc::new(CastDesk {
        ledger: ledger.clone(),
        look,
        unsure,
        by: person(),
    });
    let count = items.len();
    let review = Review::open(port, title, items, desk).await.map_err(|e| {
        UsageError(format!(
            "port {port} of 127.0.0.1 can't be used: {e}; try --port 0"
        ))
    })?;
    let url = review.url();
    if common.json {
        println(&json!({"type": "review", "url": url, "unsure": count}).to_string())?;
    } else {
        println(&format!(
            "{count} to review; the page ends with Done, or Ctrl-C here\n{url}"
        ))?;
    }
    // Lives as long as the browser may read it.
    let _door = if open { open_browser(&url) } else { None };
    let tally = review
        .serve(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await
        .context("the page can't be served any more; what was decided is kept")?;
    if common.json {
        let mut line = json!(tally);
        line["type"] = json!("reviewed");
        println(&line.to_string())?;
    } else {
        let (approved, rejected, open) = (tally.approved, tally.rejected, tally.open);
        println(&format!(
            "{approved} approved, {rejected} rejected, {open} left open; the next run goes by it"
        ))?;
    }
    ledger.end_run(ExitCode::Done.code()).await?;
    Ok(ExitCode::Done)
}

/// Whose picture an unsure one is a double of, if that stands in the cast.
fn original<'a>(inspection: &Inspection, cast: &'a [Character]) -> Option<&'a Character> {
    inspection.reasons.iter().find_map(|reason| match &reason.code {
        ReasonCode::DuplicateOf(other) => cast.iter().find(|c| c.name.as_str() == other),
        _ => None,
    })
}

fn item(character: &Character, inspection: &Inspection, beside: Option<&Character>) -> Item {
    let faces = inspection.faces.iter().map(|f| [f.x, f.y, f.width, f.height]);
    let reasons = inspection.reasons.iter().map(|r| printable(&r.message));
    Item {
        name: printable(character.name.as_str()),
        source: printable(character.source.given()),
        size: [inspection.width, inspection.height],
        faces: faces.collect(),
        reasons: reasons.collect(),
        beside: beside.map(|other| Beside {
            name: printable(other.name.as_str()),
            source: printable(other.source.given()),
        }),
    }
}

/// An unsure picture.
struct Unsure {
    character: Character,
    /// Of the picture that was looked at: that one is decided on.
    sha256: String,
    /// Whose picture it is compared with.
    beside: Option<Character>,
}

/// The pictures of the cast, and its ledger.
struct CastDesk {
    ledger: Ledger,
    look: Arc<Look>,
    unsure: Vec<Unsure>,
    by: String,
}

impl CastDesk {
    /// The picture of a character as a JPEG; where `sha256` is given, that one and no other.
    async fn drawn(&self, character: &Character, sha256: Option<&str>) -> Result<Vec<u8>, String> {
        let fetched = match &character.source {
            Source::File { .. } => None,
            Source::Url { url, .. } => Some(self.look.fetcher.fetch(url).await.map_err(|e| e.to_string())?),
        };
        let (look, source) = (Arc::clone(&self.look), character.source.clone());
        let sha256 = sha256.map(str::to_owned);
        let drawn = tokio::task::spawn_blocking(move || {
            let bytes = match (fetched, &source) {
                (Some(bytes), _) => bytes,
                (None, Source::File { path, .. }) => read_source(path)?,
                (None, Source::Url { .. }) => unreachable!("a URL is fetched before"),
            };
            if sha256.is_some_and(|sha256| hex::encode(Sha256::digest(&bytes)) != sha256) {
                return Err("The picture has changed meanwhile: start castline review again.".to_owned());
            }
            let preview = look.inspector.preview(&bytes);
            preview.ok_or_else(|| "The picture can't be read.".to_owned())
        });
        drawn.await.map_err(|e| e.to_string())?
    }
}

#[async_trait]
impl Desk for CastDesk {
    async fn picture(&self, item: usize) -> Result<Vec<u8>, String> {
        let unsure = &self.unsure[item];
        self.drawn(&unsure.character, Some(&unsure.sha256)).await
    }

    async fn beside(&self, item: usize) -> Result<Vec<u8>, String> {
        match &self.unsure[item].beside {
            Some(other) => self.drawn(other, None).await,
            None => Err("There is no picture to compare it with.".to_owned()),
        }
    }

    async fn decide(&self, item: usize, decision: Option<Decision>) -> Result<(), String> {
        let Unsure {
            character, sha256, ..
        } = &self.unsure[item];
        let key = character.name.key();
        let kept = match decision {
            None => self.ledger.undecide(&key, sha256).await,
            Some(decision) => {
                let approved = decision == Decision::Approved;
                self.ledger.decide(&key, sha256, approved, &self.by).await
            }
        };
        kept.map_err(|e| e.to_string())
    }
}

/// Who decides, as far as the system says: for the ledger.
fn person() -> String {
    let name = ["USER", "USERNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Shows the address in the person's browser, by a file that only they can read: other users of the machine see
/// command lines, and whoever uses the address first has it. Without a browser, the printed address is left.
fn open_browser(url: &str) -> Option<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix("castline-review-")
        .suffix(".html")
        .tempfile()
        .ok()?;
    let page = maud::html! {
        (maud::DOCTYPE)
        meta charset="utf-8";
        meta name="referrer" content="no-referrer";
        meta http-equiv="refresh" content=(format!("0;url={url}"));
        title { "castline review" }
        a href=(url) { "Open the review" }
    };
    file.write_all(page.into_string().as_bytes()).ok()?;
    let mut command = opener(file.path());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    std::thread::spawn(move || command.status());
    Some(file)
}

fn opener(file: &Path) -> Command {
    let mut command = Command::new(if cfg!(windows) {
        "explorer"
    } else if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    });
    command.arg(file);
    command
}
