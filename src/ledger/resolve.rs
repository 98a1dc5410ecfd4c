//! Settles characters in doubt.

use super::{Ledger, LedgerError, Record, Resolution, State, Transition};
use crate::cast::{Name, printable};
use crate::exit::UsageError;

/// The characters whose outcome is unknown, including those whose payment the next run can resend.
pub fn in_doubt(ledger: &Ledger) -> Result<Vec<Record>, LedgerError> {
    let all = ledger.view().all()?;
    let open = |record: &Record| matches!(record.state, State::Intent | State::InDoubt);
    Ok(all.into_iter().filter(open).collect())
}

/// The transitions that settle a call. A call that was left open comes into doubt first.
pub fn settling(state: Option<State>, resolution: Resolution) -> Vec<Transition> {
    let doubt = (state == Some(State::Intent)).then(Transition::interrupted);
    doubt
        .into_iter()
        .chain([Transition::Resolve(resolution)])
        .collect()
}

/// Checks that no adopted id belongs to another character: one asset is one character.
pub fn check_ids_free<'a>(
    ledger: &Ledger,
    adopted: impl IntoIterator<Item = (&'a Name, &'a str)>,
) -> anyhow::Result<()> {
    let mut taken = ledger.view().asset_ids()?;
    for (name, asset_id) in adopted {
        if let Some(other) = taken.insert(asset_id.to_owned(), name.clone())
            && other.key() != name.key()
        {
            let message = format!(
                "{} is the id of {}, so {} can't have it too; nothing was changed",
                printable(asset_id),
                printable(other.as_str()),
                printable(name.as_str())
            );
            return Err(UsageError(message).into());
        }
    }
    Ok(())
}
