//! `castline report`, and `--report` of other commands: the contact sheet.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::again::again_on;
use super::made::Made;
use super::outputs::Outputs;
use super::run::signal;
use super::{Context, UsageError, context};
use crate::cast::{Cast, Character, Source, printable};
use crate::cli::Common;
use crate::count::counted;
use crate::exit::ExitCode;
use crate::files;
use crate::inspect::{Inspector, Thumbnail, Verdict};
use crate::ledger::{LedgerError, LedgerView, Reader, Record, State};
use crate::money::Usd;
use crate::pipeline::{Look, Looked, OncePerPicture, read_source};
use crate::plan::{Action, Approval};
use crate::report::html::{self, Card, Page, Standing};
use crate::settings::Settings;

/// Writes the report of a ledger; the pictures are those of the cast, as they are now.
pub(super) fn report(
    common: &Common,
    cast: Option<&Path>,
    out: &Path,
    allow_outside: bool,
) -> anyhow::Result<ExitCode> {
    let mut settings = context::settings(common, cast, Vec::new())?;
    settings.cast.allow_outside |= allow_outside;
    Outputs::new(common, &settings, cast).claim("--out", out, Made::Report)?;
    let view = LedgerView::open(&settings.ledger)?.ok_or_else(|| {
        UsageError(format!(
            "no ledger at {}: nothing was run yet; for a look at the pictures alone: castline check{} --report FILE",
            settings.ledger.display(),
            again_on(common, cast)
        ))
    })?;
    let sheet = of_ledger(&settings, &view, cast, "Ledger", out, &AtomicBool::new(false))?;
    told(common, &sheet.write()?);
    Ok(ExitCode::Done)
}

/// Writes the report at the end of a run. Everything is durable by then: an interruption leaves out the report.
pub(super) fn of_run(common: &Common, context: &Context, cast: &Path, out: &Path) -> anyhow::Result<()> {
    let view = LedgerView::open(&context.settings.ledger)?.context("the ledger is gone")?;
    if !common.quiet {
        eprintln!("writing the report…");
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    let to = Arc::clone(&interrupted);
    let listening = tokio::spawn(async move {
        signal().await;
        to.store(true, Ordering::Relaxed);
    });
    let settings = &context.settings;
    let written = tokio::task::block_in_place(|| {
        of_ledger(settings, &view, Some(cast), "Run", out, &interrupted)?.write()
    });
    listening.abort();
    told(common, &written?);
    Ok(())
}

/// A person did not wait for the report.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; `castline report` writes it later")]
pub(super) struct Interrupted;

/// Tells where a report was written. Only when no bars are drawn any more: they would tear the line.
pub(super) fn told(common: &Common, report: &Path) {
    if !common.quiet {
        eprintln!("report: {}", report.display());
    }
}

fn of_ledger(
    settings: &Settings,
    view: &LedgerView,
    cast: Option<&Path>,
    kind: &str,
    out: &Path,
    interrupted: &AtomicBool,
) -> anyhow::Result<Sheet> {
    let cast = cast.map(|path| context::read(path, settings)).transpose()?;
    let mut sheet = match &cast {
        Some(cast) => Sheet::new(out, kind, cast),
        None => Sheet::titled(out, kind, settings.ledger.display().to_string()),
    };
    sheet.page.sandbox = view.is_sandbox();
    if kind == "Run" {
        sheet.amount("This run", view.spend(Some(view.last_run()?))?.enrolled);
    }
    let spend = view.spend(None)?;
    sheet.amount("Paid in all", spend.enrolled);
    if spend.in_doubt > Usd::ZERO {
        sheet.amount("In doubt", spend.in_doubt);
    }
    let inspector = Inspector::new(settings.inspect.clone());
    let characters = cast.map(|cast| cast.characters).unwrap_or_default();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(settings.jobs)
        .build()?;
    let pictures = Pictures {
        inspector: &inspector,
        thumbnails: OncePerPicture::default(),
    };
    sheet.page.cards = pool.install(|| from_ledger(view, &pictures, &characters, interrupted))?;
    Ok(sheet)
}

/// What makes the pictures of a report: each once, however many names it stands under.
struct Pictures<'a> {
    inspector: &'a Inspector,
    thumbnails: OncePerPicture<Option<Thumbnail>>,
}

/// The cast's characters in its order, then those that only the ledger knows.
fn from_ledger(
    view: &LedgerView,
    pictures: &Pictures,
    characters: &[Character],
    interrupted: &AtomicBool,
) -> anyhow::Result<Vec<Card>> {
    let records = view.all()?;
    let known: HashMap<_, _> = records.iter().map(|r| (r.name.key(), r)).collect();
    let in_cast: HashSet<_> = characters.iter().map(|c| c.name.key()).collect();
    let rows = characters
        .iter()
        .map(|c| (Some(c), known.get(&c.name.key()).copied()));
    let gone = records
        .iter()
        .filter(|r| !in_cast.contains(&r.name.key()))
        .map(|r| (None, Some(r)));
    let rows: Vec<_> = rows.chain(gone).collect();
    rows.into_par_iter()
        .map(|(character, record)| {
            if interrupted.load(Ordering::Relaxed) {
                return Err(Interrupted.into());
            }
            Ok(card(view, pictures, character, record, !characters.is_empty())?)
        })
        .collect()
}

fn card(
    view: &LedgerView,
    pictures: &Pictures,
    character: Option<&Character>,
    record: Option<&Record>,
    with_cast: bool,
) -> Result<Card, LedgerError> {
    // A picture on the web is not fetched for a report.
    let bytes = match character.map(|c| &c.source) {
        Some(Source::File { path, .. }) => read_source(path).ok(),
        _ => None,
    };
    let sha256 = bytes.as_ref().map(|bytes| hex::encode(Sha256::digest(bytes)));
    let mut card = match (record, character) {
        (Some(record), _) => of_record(record),
        (None, Some(character)) => Card {
            name: printable(character.name.as_str()),
            source: printable(character.source.given()),
            reasons: vec!["not looked at yet: the next run does".to_owned()],
            ..Card::default()
        },
        (None, None) => Card::default(),
    };
    let told = std::mem::take(&mut card.reasons);
    let picture = sha256
        .as_deref()
        .or_else(|| record.and_then(|r| r.source_sha256.as_deref()));
    if let Some(picture) = picture
        && let Some(inspection) = view.cached_inspection(picture, pictures.inspector.fingerprint())?
    {
        card = card.seen(&inspection);
    }
    // What the ledger says repeats what the eye said, unless a run went further.
    if card.reasons.is_empty() || !matches!(card.standing, Standing::Review | Standing::Unsuitable) {
        card.reasons = told;
    }
    if let (Some(record), Some(now)) = (record, &sha256) {
        let before = record
            .enrolled_sha256
            .as_ref()
            .filter(|_| record.asset_id.is_some())
            .or(record.source_sha256.as_ref());
        if before.is_some_and(|before| before != now) {
            if card.standing == Standing::Enrolled {
                card.standing = Standing::Changed;
            }
            card.reasons.push("the picture has changed since".to_owned());
        }
    }
    if let (Standing::Review, Some(record), Some(picture)) = (card.standing, record, picture) {
        match view.approval(&record.name.key(), picture)? {
            Approval::None => {}
            Approval::Approved => {
                card.standing = Standing::Pending;
                card.reasons.push("approved: the next run enrolls it".to_owned());
            }
            Approval::Rejected => {
                card.standing = Standing::Unsuitable;
                card.reasons.push("a person rejected it".to_owned());
            }
        }
    }
    if with_cast && character.is_none() {
        card.reasons.push("stands in the cast no more".to_owned());
    }
    card.thumbnail = bytes.zip(sha256).and_then(|(bytes, sha256)| {
        let make = || pictures.inspector.thumbnail(&bytes);
        pictures.thumbnails.get(&sha256, make)
    });
    Ok(card)
}

fn of_record(record: &Record) -> Card {
    let standing = match (record.state, record.verdict) {
        (State::Seen, Some(Verdict::Review)) => Standing::Review,
        (State::Seen | State::Prepared | State::Published, _) => Standing::Pending,
        (State::Unsuitable, _) => Standing::Unsuitable,
        (State::Enrolled, _) => Standing::Enrolled,
        (State::Refused, _) => Standing::Refused,
        (State::Intent | State::InDoubt, _) => Standing::InDoubt,
    };
    Card {
        name: printable(record.name.as_str()),
        source: printable(&record.source),
        standing,
        verdict: record.verdict,
        reasons: record.message.iter().map(|m| printable(m)).collect(),
        asset_id: record.asset_id.as_deref().map(printable),
        cost: record.price,
        ..Card::default()
    }
}

/// A report that grows with what a command sees.
pub(super) struct Sheet {
    out: PathBuf,
    page: Page,
}

impl Sheet {
    /// An empty one on that cast.
    pub(super) fn new(out: &Path, kind: &str, cast: &Cast) -> Self {
        let title = cast.path.file_name().unwrap_or(cast.path.as_os_str());
        let mut sheet = Self::titled(out, kind, title.to_string_lossy().into_owned());
        let bad = cast.bad_rows.len();
        if bad > 0 {
            let told = format!(
                "Without {} of the cast that can't be used; castline check tells why.",
                counted(bad, "row")
            );
            sheet.page.notes.push(told);
        }
        sheet
    }

    fn titled(out: &Path, kind: &str, title: String) -> Self {
        let page = Page {
            title: printable(&title),
            generated_at: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
            kind: kind.to_owned(),
            ..Page::default()
        };
        let out = out.to_owned();
        Self { out, page }
    }

    /// Tells an amount in the head of the page.
    pub(super) fn amount(&mut self, label: &str, amount: Usd) {
        self.page.amounts.push((label.to_owned(), amount.to_string()));
    }

    /// Adds what was seen of a picture.
    pub(super) fn checked(&mut self, looked: Looked) {
        let standing = looked
            .inspection
            .as_ref()
            .map_or(Standing::Pending, |i| i.verdict.into());
        self.page.cards.push(of_looked(looked, standing));
    }

    /// Adds what a run would do; what the ledger knows makes it whole.
    pub(super) fn planned(&mut self, mut looked: Looked, look: &Look, price: Usd) -> Result<(), LedgerError> {
        let action = looked.action;
        let mut record = None;
        if let Some(ledger) = &look.ledger {
            record = ledger.get(&looked.character.name.key())?;
            if looked.inspection.is_none() {
                let fingerprint = look.inspector.fingerprint();
                looked.inspection = ledger.cached_inspection(&looked.sha256, fingerprint)?;
            }
        }
        let mut card = of_looked(looked, action.into());
        if action == Action::Enroll {
            card.cost = Some(price);
        }
        if let Some(record) = record {
            card.asset_id = record.asset_id.as_deref().map(printable);
            if action == Action::Keep {
                card.cost = record.price;
            }
            if matches!(action, Action::Refused | Action::InDoubt) {
                card.reasons.extend(record.message.as_deref().map(printable));
            }
        }
        self.page.cards.push(card);
        Ok(())
    }

    /// Writes the page, and gives back where.
    pub(super) fn write(self) -> anyhow::Result<PathBuf> {
        files::write_durably(&self.out, html::render(&self.page).as_bytes())
            .with_context(|| format!("the report {} can't be written", self.out.display()))?;
        Ok(self.out)
    }
}

fn of_looked(looked: Looked, standing: Standing) -> Card {
    let card = Card {
        name: printable(looked.character.name.as_str()),
        source: printable(looked.character.source.given()),
        standing,
        thumbnail: looked.thumbnail,
        ..Card::default()
    };
    match &looked.inspection {
        Some(inspection) => card.seen(inspection),
        None => card,
    }
}
