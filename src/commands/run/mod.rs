//! `castline run` and `castline retry`: inspect, publish and enroll a cast.

mod agree;

use std::collections::HashSet;

use super::report::report_after;
use crate::app::cast_names::{CastNames, select};
use crate::app::context::Context;
use crate::app::ledger_guard::open_view;
use crate::app::output_kind::OutputKind;
use crate::app::planning::use_reply_price;
use crate::app::prepared_run::PreparedRun;
use crate::app::prompt::{NEEDS_YES, can_ask};
use crate::app::quote::quote;
use crate::app::settings::{Flags, cast_flags, is_json, manifest_flag, pay_flags, read, settings};
use crate::cast::Cast;
use crate::cli::{Common, RunArgs};
use crate::enroll::PaymentMode;
use crate::exit::{ExitCode, UsageError};
use crate::ledger::{LedgerError, LedgerView, Signatures};
use crate::plan::Policy;

use agree::{Proposal, agree, as_planned, within_plan};

/// The characters of a cast that a run processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// All of them.
    All,
    /// Those that failed in an earlier run, or were refused by the API.
    Failed,
}

/// Inspects, publishes and enrolls a cast.
pub(super) async fn run(common: &Common, run: RunArgs, which: Which) -> anyhow::Result<ExitCode> {
    let RunArgs {
        cast: mut args,
        mut pay,
        yes,
        manifest,
        report,
    } = run;
    let saved = if which == Which::All && is_json(&args.cast) {
        Some(as_planned(&mut args, &mut pay, common.sandbox)?)
    } else {
        None
    };
    let mut flags: Flags = cast_flags(&args);
    flags.extend(pay_flags(&pay));
    flags.extend(manifest_flag(manifest.as_deref()));
    let mut settings = settings(common, Some(&args.cast), flags)?;
    if let Some(saved) = &saved {
        within_plan(&mut settings, saved);
    }
    let mut context = Context::with(common, "run", Some(&args.cast), settings)?;
    if let Some(out) = &report {
        context.guard.reserve("--report", out, OutputKind::Report)?;
    }
    let ask = !common.sandbox && !yes && saved.is_none();
    if ask && !can_ask() {
        return Err(UsageError(NEEDS_YES.to_owned()).into());
    }
    let mut cast = read(&args.cast, &context.settings)?;
    let names = CastNames::of(&cast, &args)?;
    select(&mut cast, &args.select)?;
    if which == Which::Failed {
        only_failed(&mut cast, open_view(&context.settings)?)?;
    }
    context.open_cast(&cast, &args, "run")?;
    if context.settings.payment.mode == PaymentMode::Wallet && (ask || saved.is_some()) {
        quote(&mut context, common.sandbox).await?;
    }
    let run = PreparedRun::open(&mut context, "run", (&args.cast, &names), common.sandbox).await?;
    if context.settings.payment.mode == PaymentMode::Key && (ask || saved.is_some()) {
        use_reply_price(&mut context, run.ledger.view())?;
    }
    let policy = Policy {
        re_enroll_changed: pay.re_enroll_changed,
        retry_refused: which == Which::Failed,
        realface: false,
    };
    let agreed = if ask || saved.is_some() {
        let proposal = Proposal {
            cast: &cast,
            args: &args,
            names: names.clone(),
            policy,
            ledger: &run.ledger,
            saved,
        };
        match agree(&context, common, proposal).await? {
            Some(agreed) => Some(agreed),
            // Declined: that is an answer, and nothing is left to do.
            None => return Ok(context.end(Some(ExitCode::Done), None)),
        }
    } else {
        None
    };
    if ask {
        // The user's time to answer doesn't count as run time.
        context.started = std::time::Instant::now();
    }
    let (mut pipeline, finalizer) = run.start(&context, names, policy).await?;
    pipeline.agreed = agreed;
    pipeline.run(cast).await;
    let exit = finalizer.end(&context).await?;
    report_after(common, &context, &args, report.as_deref(), exit)
}

/// Keeps the characters that failed or were refused by the API, and those in doubt, which are reported but not resent.
/// Characters left over by a budget or Ctrl-C are for `castline run`.
fn only_failed(cast: &mut Cast, view: Option<LedgerView>) -> anyhow::Result<()> {
    let mut failed = HashSet::new();
    if let Some(view) = view {
        view.each(Signatures::Skip, std::convert::identity, |_, record, _| {
            if record.has_failed() {
                failed.insert(record.name.key());
            }
            Ok::<_, LedgerError>(())
        })?;
    }
    cast.characters
        .retain(|character| failed.contains(&character.name.key()));
    Ok(())
}
