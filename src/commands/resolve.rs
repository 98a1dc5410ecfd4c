//! `castline resolve`: a person, or the provider's own list, settles what is in doubt.

use std::collections::HashSet;
use std::path::Path;

use super::check::println;
use super::servers::{api, start_sandbox};
use super::{Context, UsageError};
use crate::cast::{Name, printable};
use crate::cli::Common;
use crate::enroll::{Client, Match, find_listed};
use crate::exit::ExitCode;
use crate::ledger::{
    INTERRUPTED, Ledger, LedgerView, OpenOptions, Reader, Record, Resolution, State, Transition, now,
};
use crate::shell::quoted;

/// What is asked about doubts.
pub(super) struct Asked {
    /// Pairs of NAME=ID.
    pub(super) adopt: Vec<String>,
    /// Names.
    pub(super) forget: Vec<String>,
    /// Names.
    pub(super) retry: Vec<String>,
    /// Whether the provider's list is asked.
    pub(super) reconcile: bool,
}

/// Settles doubts as asked; then lists what is left.
pub(super) async fn resolve(common: &Common, cast: Option<&Path>, asked: Asked) -> anyhow::Result<ExitCode> {
    let context = Context::new(common, "resolve", cast, Vec::new())?;
    let path = &context.settings.ledger;
    let Some(view) = LedgerView::open(path)? else {
        let told = match cast {
            Some(_) => format!("no ledger at {}: nothing was run", path.display()),
            None => format!(
                "no ledger at {}: name the cast, as in `castline resolve cast.csv`, or the ledger with --ledger",
                path.display()
            ),
        };
        return Err(UsageError(told).into());
    };
    let settled = settled_by_a_person(&asked)?;
    let assets_of = asked.reconcile.then(|| assets_of(&context)).transpose()?;
    // Opened for writing also to list: what an interrupted run left open comes into doubt then.
    // But for what the next run can send again.
    let options = OpenOptions::new(view.provider(), view.is_sandbox(), "resolve");
    let ledger = Ledger::open(path, super::wallet::keeping(options, &context.settings))?;
    for (name, _) in &settled {
        let name_shown = name.as_str();
        match ledger.get(&name.key())?.map(|record| record.state) {
            Some(State::InDoubt | State::Intent) => {}
            Some(state) => {
                let told = format!("{name_shown} is {state}, not in doubt; nothing was changed");
                return Err(UsageError(told).into());
            }
            None => {
                let told = format!("the ledger knows no {name_shown}; nothing was changed");
                return Err(UsageError(told).into());
            }
        }
    }
    let adopted = settled.iter().filter_map(|(name, resolution)| match resolution {
        Resolution::Adopt { asset_id, .. } => Some((name, asset_id.as_str())),
        Resolution::Forget | Resolution::Retry => None,
    });
    only_free_ids(&ledger, adopted)?;
    let mut transitions = Vec::new();
    for (name, resolution) in &settled {
        let record = ledger.get(&name.key())?;
        let steps = settling(record.map(|record| record.state), resolution.clone());
        transitions.extend(steps.into_iter().map(|step| (name.clone(), step)));
    }
    ledger.write_all(transitions).await?;
    for (name, resolution) in &settled {
        let name = printable(name.as_str());
        println(&match resolution {
            Resolution::Adopt { asset_id, .. } => format!("adopted\t{name}\t{}", printable(asset_id)),
            Resolution::Forget => format!("forgotten\t{name}\tnot enrolled, not counted as spent"),
            Resolution::Retry => format!("sent again\t{name}\tby the next run"),
        })?;
    }
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
                "castline ended while this call was under way; the next run sends its payment again"
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
        eprint!("{}", next_steps(&context.again, &record.name, left.len(), lists));
    }
    Ok(if left.is_empty() {
        ExitCode::Done
    } else {
        ExitCode::InDoubt
    })
}

/// What to type next, for the first of those in doubt.
fn next_steps(again: &str, name: &Name, left: usize, lists: bool) -> String {
    let name = printable(name.as_str());
    let resolve = |flag: &str, value: Option<String>| {
        let value = value.map(|value| format!(" {}", quoted(&value)));
        format!("castline resolve{again} {flag}{}", value.unwrap_or_default())
    };
    let whom = match left {
        1 => String::new(),
        _ => format!(" of each, as here of {name}"),
    };
    let mut told = format!("\nLook at the provider's own list of assets, then say what you found{whom}:\n");
    for (flag, value, meaning) in [
        (
            "--adopt",
            format!("{name}=ta_…"),
            "it was enrolled: put its id in the place of ta_…",
        ),
        ("--forget", name.clone(), "it was not enrolled, and not charged"),
        (
            "--retry",
            name.clone(),
            "send it again in the next run; it may cost twice",
        ),
    ] {
        told += &format!("  {}\n      # {meaning}\n", resolve(flag, Some(value)));
    }
    if lists {
        told += &format!(
            "  {}\n      # castline asks for the list, and adopts what it finds there\n",
            resolve("--reconcile", None)
        );
    }
    told
}

/// Those whose outcome is unknown: also where the next run can send the same payment again.
fn in_doubt(ledger: &Ledger) -> anyhow::Result<Vec<Record>> {
    let all = ledger.view().all()?;
    let open = |record: &Record| matches!(record.state, State::Intent | State::InDoubt);
    Ok(all.into_iter().filter(open).collect())
}

/// What settles a call. One that was left open comes into doubt first.
fn settling(state: Option<State>, resolution: Resolution) -> Vec<Transition> {
    let doubt = (state == Some(State::Intent)).then(Transition::interrupted);
    doubt
        .into_iter()
        .chain([Transition::Resolve(resolution)])
        .collect()
}

fn settled_by_a_person(asked: &Asked) -> Result<Vec<(Name, Resolution)>, UsageError> {
    let mut settled = Vec::new();
    for pair in &asked.adopt {
        let (name, id) = pair
            .rsplit_once('=')
            .filter(|(_, id)| id.trim().starts_with("ta_"))
            .ok_or_else(|| {
                UsageError(format!(
                    "--adopt {pair:?}: write --adopt 'NAME=ta_…', with the id that the provider shows"
                ))
            })?;
        let asset_id = id.trim().to_owned();
        settled.push((named(name)?, Resolution::Adopt { asset_id, at: now() }));
    }
    for name in &asked.forget {
        settled.push((named(name)?, Resolution::Forget));
    }
    for name in &asked.retry {
        settled.push((named(name)?, Resolution::Retry));
    }
    let mut seen = HashSet::new();
    for (name, _) in &settled {
        if !seen.insert(name.key()) {
            let told = format!(
                "{} is named twice: say once what became of it; nothing was changed",
                printable(name.as_str())
            );
            return Err(UsageError(told));
        }
    }
    Ok(settled)
}

/// That no id that is adopted belongs to somebody else: one asset is one character.
pub(super) fn only_free_ids<'a>(
    ledger: &Ledger,
    adopted: impl IntoIterator<Item = (&'a Name, &'a str)>,
) -> anyhow::Result<()> {
    let mut taken = ledger.view().asset_ids()?;
    for (name, asset_id) in adopted {
        if let Some(other) = taken.insert(asset_id.to_owned(), name.clone())
            && other.key() != name.key()
        {
            let told = format!(
                "{} is the id of {}, and can't be that of {}, too; nothing was changed",
                printable(asset_id),
                printable(other.as_str()),
                printable(name.as_str())
            );
            return Err(UsageError(told).into());
        }
    }
    Ok(())
}

/// Whose assets the provider is asked for, if it lists any.
fn assets_of(context: &Context) -> Result<String, UsageError> {
    let settings = &context.settings;
    if settings.api.provider.listing.is_none() {
        let told = format!(
            "{} has no list of assets to ask; look them up yourself, and say what you found: --adopt, --forget or \
             --retry",
            settings.api.provider.name
        );
        return Err(UsageError(told));
    }
    let own = || super::wallet::address(settings);
    let told = "whose assets? set payment.address to your wallet's public address, 0x…";
    let address = settings.payment.address.clone().or_else(own);
    address.ok_or_else(|| UsageError(told.to_owned()))
}

/// Adopts what the provider lists under a name in doubt, made from the picture that was sent. Only what fits
/// exactly one listed asset is settled: that something is not listed proves nothing.
async fn reconcile(context: &Context, ledger: &Ledger, address: &str, sandbox: bool) -> anyhow::Result<()> {
    let settings = &context.settings;
    let doubts = in_doubt(ledger)?;
    let sandbox = match sandbox {
        true => Some(start_sandbox(settings).await?),
        false => None,
    };
    let ca_pem = match &sandbox {
        Some(sandbox) => Some(sandbox.ca_pem().to_vec()),
        None => context.ca_pem()?,
    };
    let client = Client::new(api(context, sandbox.as_ref(), ca_pem)?)?;
    let listed = client.listing(address).await;
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    let listed = listed?;
    let mut taken: HashSet<String> = ledger.view().asset_ids()?.into_keys().collect();
    for record in doubts {
        let name = record.name.as_str();
        let shown = printable(name);
        let url = record.url.as_deref().unwrap_or_default();
        match find_listed(&listed, name, url, &taken) {
            Match::One(asset) => {
                let adopt = Resolution::Adopt {
                    asset_id: asset.asset_id.clone(),
                    at: now(),
                };
                ledger
                    .write(&record.name, settling(Some(record.state), adopt))
                    .await?;
                println(&format!("found\t{shown}\t{}", printable(&asset.asset_id)))?;
                taken.insert(asset.asset_id);
            }
            Match::None => println(&format!("not listed\t{shown}"))?,
            Match::Several(assets) => {
                let ids: Vec<_> = assets.iter().map(|a| printable(&a.asset_id)).collect();
                println(&format!("listed {} times\t{shown}\t{}", ids.len(), ids.join(" ")))?;
            }
        }
    }
    Ok(())
}

fn named(name: &str) -> Result<Name, UsageError> {
    Name::new(name).map_err(|e| UsageError(format!("{name:?} is no name: {e}")))
}
