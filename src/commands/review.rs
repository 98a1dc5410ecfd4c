//! `castline review`: serves a local page on which a person decides on the images that need review.

use std::sync::Arc;

use anyhow::Context as _;
use futures_util::StreamExt;
use serde_json::json;

use crate::app::context::Context;
use crate::app::ledger_guard::{ledger_to_read, provider};
use crate::app::settings::cast_flags;
use crate::app::stdout::println;
use crate::app::wallet::ledger_options;
use crate::cast::printable;
use crate::cli::{CastArgs, Common};
use crate::exit::{ExitCode, UsageError};
use crate::ledger::{Approval, Ledger, OpenOptions, Reader};
use crate::pipeline::Duplicates;
use crate::plan::{Policy, Standing};
use crate::review::cast::{CastReviewBackend, Undecided};
use crate::review::{Review, open_browser};
use crate::util::shell::quote;
use crate::util::user::user_name;

/// Serves the images that need review until they are decided, or Ctrl-C.
pub(super) async fn review(
    common: &Common,
    args: CastArgs,
    all_of_them: bool,
    port: u16,
    open: bool,
) -> anyhow::Result<ExitCode> {
    let context = Context::new(common, "review", Some(&args.cast), cast_flags(&args))?;
    let (cast, names) = context.read_cast(&args, "review")?;
    let title = cast.path.file_name().unwrap_or(cast.path.as_os_str());
    let title = printable(&title.to_string_lossy());
    let view = ledger_to_read(&context.settings, common.sandbox)?;
    let view = view.map(Arc::new);
    let reader = view.clone().map(|view| view as Arc<dyn Reader>);
    let ca_pem = context.ca_pem()?;
    let inspect =
        Arc::new(context.inspect_stage(names, Policy::default(), false, reader, ca_pem.as_deref())?);
    let whole = cast.characters.clone();
    let mut undecided = Vec::new();
    let mut duplicates = Duplicates::of(&inspect, &cast.characters).await?;
    let mut all = std::pin::pin!(Arc::clone(&inspect).all(cast.characters));
    while let Some(inspected) = all.next().await {
        let mut inspected = inspected?;
        duplicates.judge(&mut inspected)?;
        let decided = match &view {
            Some(view) if all_of_them => view.decided(&inspected.character.name.key(), &inspected.sha256)?,
            _ => None,
        };
        // A verdict on a face can be overridden; the limits of the API can't.
        let unsuitable = inspected.standing == Standing::Unsuitable
            && inspected
                .evidence
                .inspection()
                .is_some_and(|inspection| Approval::Overridden.for_image(inspection) == Approval::Overridden);
        if inspected.standing == Standing::ToReview || all_of_them && (unsuitable || decided.is_some()) {
            let item = Undecided::new(inspected, &whole);
            undecided.extend(item.map(|item| item.with(decided)));
        }
    }
    if undecided.is_empty() {
        if !common.json {
            println(match all_of_them {
                true => "nothing to review, and nothing was decided or judged unsuitable",
                false => "nothing to review; --all shows what was decided or judged unsuitable",
            })?;
        }
        return Ok(ExitCode::Done);
    }
    let options = OpenOptions::new(
        &provider(&context.settings, common.sandbox),
        common.sandbox,
        "review",
    );
    let options = ledger_options(options, &context.settings);
    let ledger = Ledger::open(context.settings.place(), options)?;
    let items: Vec<_> = (undecided.iter())
        .map(|item| (item.item(), item.decision()))
        .collect();
    let backend = Arc::new(CastReviewBackend {
        ledger: ledger.clone(),
        inspect,
        undecided,
        by: user_name().unwrap_or_else(|| "unknown".to_owned()),
    });
    let count = items.len();
    let review = Review::open(port, title, items, backend).await.map_err(|e| {
        UsageError(format!(
            "port {port} of 127.0.0.1 can't be used: {e}; try --port 0"
        ))
    })?;
    let url = review.url();
    if common.json {
        println(&json!({"type": "review", "url": url, "to_review": count}).to_string())?;
    } else {
        println(&format!(
            "{count} to {}; choose Done on the page, or press Ctrl-C here, to finish\n{url}",
            if all_of_them { "look at" } else { "review" }
        ))?;
    }
    // Kept alive as long as the browser may read it.
    let _page = if open { open_browser(&url) } else { None };
    let counts = review
        .serve(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await
        .context("the review page can no longer be served; all decisions are saved")?;
    if common.json {
        let mut line = json!(counts);
        line["type"] = json!("reviewed");
        println(&line.to_string())?;
    } else {
        let (approved, rejected, open) = (counts.approved, counts.rejected, counts.open);
        println(&format!(
            "{approved} approved, {rejected} rejected, {open} undecided; the next run applies these decisions"
        ))?;
        if common.sandbox {
            println(&format!(
                "they are decisions of the sandbox: `castline ledger decisions {}` takes them over for the real run",
                quote(&args.cast.display().to_string())
            ))?;
        }
    }
    ledger.end_run(ExitCode::Done.code()).await?;
    Ok(ExitCode::Done)
}
