//! `castline resolve`: settles what is in doubt, by the user's decision or the provider's list of assets.

use std::collections::HashSet;
use std::path::Path;

use crate::app::chain::settle_by_chain;
use crate::app::context::Context;
use crate::app::receipts::write_after;
use crate::app::reconcile::{assets_of, reconcile};
use crate::app::stdout::println;
use crate::app::wallet::ledger_options;
use crate::cast::{Name, printable};
use crate::cli::Common;
use crate::exit::{ExitCode, UsageError};
use crate::ledger::{
    CallState, INTERRUPTED, Ledger, LedgerView, OpenOptions, Reader, Record, Resolution, State,
    check_ids_free, in_doubt, now, settling,
};
use crate::pipeline::is_chargeable;
use crate::util::duration::format_duration;
use crate::util::shell::quote;

/// The resolutions given on the command line.
pub(super) struct ResolveRequest {
    /// Pairs of `NAME=ID`.
    pub(super) adopt: Vec<String>,
    /// Names that were not enrolled.
    pub(super) forget: Vec<String>,
    /// Names that the next run resends.
    pub(super) retry: Vec<String>,
    /// Whether to query the provider's list of assets.
    pub(super) reconcile: bool,
}

/// Settles doubts as requested, then lists what is still in doubt.
pub(super) async fn resolve(
    common: &Common,
    cast: Option<&Path>,
    asked: ResolveRequest,
) -> anyhow::Result<ExitCode> {
    let context = Context::new(common, "resolve", cast, Vec::new())?;
    let place = context.settings.place();
    let Some(view) = LedgerView::open(&place)? else {
        let text = match cast {
            Some(_) => format!("no ledger at {place}: no run yet"),
            None => format!(
                "no ledger at {place}: name the cast, as in `castline resolve cast.csv`, or the ledger with --ledger"
            ),
        };
        return Err(UsageError(text).into());
    };
    let mut settled = settled_by_a_person(&asked)?;
    let assets_of = asked.reconcile.then(|| assets_of(&context)).transpose()?;
    // Opened for writing even to list: opening puts in doubt what an interrupted run left open, except what the
    // next run can resend.
    let options = OpenOptions::new(view.provider(), view.is_sandbox(), "resolve");
    let ledger = Ledger::open(&place, ledger_options(options, &context.settings))?;
    for (name, resolution) in &settled {
        if let Err(problem) = may_be_settled(ledger.get(&name.key())?.as_ref(), resolution) {
            let name = printable(name.as_str());
            return Err(UsageError(format!("{name} {problem}; nothing was changed")).into());
        }
    }
    for (name, _) in &settled {
        let timeout = context.settings.api.timeout;
        if let Some(left) = ledger.view().may_be_answered(&name.key(), timeout)? {
            let text = format!(
                "the call for {} may still be answered, to the run that made it, which was taken over: wait {}; nothing was \
                 changed",
                printable(name.as_str()),
                format_duration(left)
            );
            return Err(UsageError(text).into());
        }
    }
    let adopted = settled.iter().filter_map(|(name, resolution)| match resolution {
        Resolution::Adopt { asset_id, .. } => Some((name, asset_id.as_str())),
        _ => None,
    });
    check_ids_free(&ledger, adopted)?;
    let mut transitions = Vec::new();
    for (name, resolution) in &mut settled {
        let record = ledger.get(&name.key())?;
        if let Resolution::Forget { valid } = resolution {
            let payment = match &record {
                Some(Record {
                    retried: Some(_),
                    state,
                    ..
                }) if *state != State::InDoubt => ledger.view().set_aside(&name.key())?,
                _ => ledger
                    .view()
                    .last_attempt(&name.key())?
                    .filter(|last| matches!(last.state, CallState::Open | CallState::InDoubt))
                    .and_then(|last| last.payment),
            };
            *valid = payment.as_deref().is_some_and(is_chargeable);
        }
        let steps = settling(record.map(|record| record.state), resolution.clone());
        transitions.extend(steps.into_iter().map(|step| (name.clone(), step)));
    }
    ledger.write_all(transitions).await?;
    for (name, resolution) in &settled {
        let name = printable(name.as_str());
        println(&match resolution {
            Resolution::Adopt { asset_id, .. } => format!("adopted\t{name}\t{}", printable(asset_id)),
            Resolution::Forget { valid: false } => {
                format!("forgotten\t{name}\tnot enrolled, not counted as spent")
            }
            Resolution::Forget { valid: true } => {
                format!(
                    "forgotten\t{name}\tnot enrolled; its payment is valid still, and is used by the next call"
                )
            }
            _ => format!("sent again\t{name}\tby the next run"),
        })?;
    }
    if !ledger.view().is_sandbox() {
        settle_by_chain(&context, &ledger).await?;
    }
    write_after(&context, &ledger, cast).await;
    if let Some(address) = assets_of {
        reconcile(&context, &ledger, &address, common.sandbox).await?;
    }
    let left = in_doubt(&ledger)?;
    if left.is_empty() && !common.quiet {
        eprintln!("nothing is in doubt");
    }
    for record in &left {
        let code = match record.state {
            State::Intent => INTERRUPTED,
            _ => record.code.as_deref().unwrap_or_default(),
        };
        let message = match record.state {
            State::Intent => {
                "castline ended while this call was in progress; the next run resends its payment"
            }
            _ => record.message.as_deref().unwrap_or_default(),
        };
        let name = printable(record.name.as_str());
        let asked = ledger.view().last_call(&record.name.key())?.unwrap_or_default();
        let url = printable(record.url.as_deref().unwrap_or_default());
        let message = printable(message);
        println(&format!("in doubt\t{name}\t{code}: {message}\t{asked}\t{url}"))?;
    }
    if let Some(record) = left.first().filter(|_| !common.quiet) {
        let lists = context.settings.api.provider.listing.is_some();
        eprint!(
            "{}",
            next_steps(&context.same_arguments, &record.name, left.len(), lists)
        );
    }
    Ok(if left.is_empty() {
        ExitCode::Done
    } else {
        ExitCode::InDoubt
    })
}

/// The commands to run next, for the first character in doubt.
fn next_steps(same_arguments: &str, name: &Name, left: usize, lists: bool) -> String {
    let name = printable(name.as_str());
    let resolve = |flag: &str, value: Option<String>| {
        let value = value.map(|value| format!(" {}", quote(&value)));
        format!(
            "castline resolve{same_arguments} {flag}{}",
            value.unwrap_or_default()
        )
    };
    let whom = match left {
        1 => String::new(),
        _ => format!(" for each, as here for {name}"),
    };
    let mut message =
        format!("\nCheck the provider's own list of assets, then enter what you found{whom}:\n");
    for (flag, value, meaning) in [
        (
            "--adopt",
            format!("{name}=ta_…"),
            "it was enrolled: replace ta_… with its id",
        ),
        ("--forget", name.clone(), "it was not enrolled, and not charged"),
        (
            "--retry",
            name.clone(),
            "resend it in the next run; you may pay twice",
        ),
    ] {
        message += &format!("  {}\n      # {meaning}\n", resolve(flag, Some(value)));
    }
    if lists {
        message += &format!(
            "  {}\n      # castline fetches the list, and adopts what it finds there\n",
            resolve("--reconcile", None)
        );
    }
    message
}

fn settled_by_a_person(asked: &ResolveRequest) -> Result<Vec<(Name, Resolution)>, UsageError> {
    let mut settled = Vec::new();
    for pair in &asked.adopt {
        let (name, id) = pair
            .rsplit_once('=')
            .filter(|(_, id)| is_asset_id(id.trim()))
            .ok_or_else(|| {
                UsageError(format!(
                    "--adopt {pair:?}: write NAME=ID with the id that the provider shows: ta_ and at least 6 letters, \
                     digits, - or _"
                ))
            })?;
        let asset_id = id.trim().to_owned();
        settled.push((named(name)?, Resolution::Adopt { asset_id, at: now() }));
    }
    for name in &asked.forget {
        settled.push((named(name)?, Resolution::Forget { valid: false }));
    }
    for name in &asked.retry {
        settled.push((named(name)?, Resolution::Retry));
    }
    let mut seen = HashSet::new();
    for (name, _) in &settled {
        if !seen.insert(name.key()) {
            let message = format!(
                "{} is given twice; choose one resolution; nothing was changed",
                printable(name.as_str())
            );
            return Err(UsageError(message));
        }
    }
    Ok(settled)
}

/// Whether a person may settle a character so: it is in doubt, or its call was repeated; or its id was entered by a
/// person, and is corrected.
fn may_be_settled(record: Option<&Record>, resolution: &Resolution) -> Result<(), String> {
    let Some(record) = record else {
        return Err("is not in the ledger".to_owned());
    };
    match (record.state, resolution) {
        (State::InDoubt | State::Intent, _) => Ok(()),
        (_, Resolution::Adopt { .. } | Resolution::Forget { .. }) if record.retried.is_some() => Ok(()),
        (State::Enrolled, Resolution::Adopt { .. }) if record.adopted => Ok(()),
        (State::Enrolled, Resolution::Adopt { .. }) => Err("has its id from the API".to_owned()),
        (state, _) => Err(format!("is {state}, not in doubt")),
    }
}

/// Whether a person may enter this as an asset id: strict, so that an example or a cut-off id is not taken for one.
fn is_asset_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    text.strip_prefix("ta_")
        .is_some_and(|rest| rest.len() >= 6 && rest.bytes().all(allowed))
}

fn named(name: &str) -> Result<Name, UsageError> {
    Name::new(name).map_err(|e| UsageError(format!("{name:?} is not a valid name: {e}")))
}
