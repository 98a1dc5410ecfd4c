//! Settles characters in doubt.

use super::{Ledger, LedgerError, Record, Resolution, State, Transition};
use crate::cast::{Name, printable};

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
///
/// # Errors
/// [`LedgerError::IdTaken`], or the ledger can't be read.
pub fn check_ids_free<'a>(
    ledger: &Ledger,
    adopted: impl IntoIterator<Item = (&'a Name, &'a str)>,
) -> Result<(), LedgerError> {
    let mut taken = ledger.view().asset_ids()?;
    for (name, asset_id) in adopted {
        if let Some(other) = taken.insert(asset_id.to_owned(), name.clone())
            && other.key() != name.key()
        {
            return Err(LedgerError::IdTaken {
                asset_id: printable(asset_id),
                owner: printable(other.as_str()),
                name: printable(name.as_str()),
            });
        }
    }
    Ok(())
}
