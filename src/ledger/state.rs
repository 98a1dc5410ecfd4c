//! The state machine of a character: one pure function.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{FoundCall, Record, Resolution, Retried, Transition};
use crate::cast::{Kind, Name};
use crate::inspect::Verdict;
use crate::util::money::Usd;
use crate::util::provider_ids::ProviderIds;

/// The code of a doubt whose payment was charged, as the chain says.
pub const CHARGED: &str = "charged";

/// The state of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In the cast; its image is not inspected yet, or needs review.
    Seen,
    /// Its image can't be enrolled.
    Unsuitable,
    /// Its image may be published.
    Prepared,
    /// Its image has a public address.
    Published,
    /// A paid call is about to leave, or has left; its outcome is not known yet.
    Intent,
    /// It has an asset id.
    Enrolled,
    /// The API refused it; nothing was charged.
    Refused,
    /// A paid call has an unknown outcome: it may have been charged.
    InDoubt,
}

impl State {
    /// The name of the state in the ledger and for scripts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Unsuitable => "unsuitable",
            Self::Prepared => "prepared",
            Self::Published => "published",
            Self::Intent => "intent",
            Self::Enrolled => "enrolled",
            Self::Refused => "refused",
            Self::InDoubt => "in_doubt",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A transition that is not allowed in that state: a bug in castline, never a mistake of the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: a character that is {state} can't {what}")]
pub struct IllegalTransition {
    name: String,
    state: &'static str,
    what: &'static str,
}

/// Applies a transition to a record. Nothing else changes records.
///
/// It enforces the guarantees: an asset id is only ever replaced by another one, a paid call begins only from
/// `Published`, and nothing leaves `Intent` or `InDoubt` without an outcome or a person.
///
/// # Errors
/// The transition is not allowed in that state.
pub fn apply(
    name: &Name,
    current: Option<&Record>,
    transition: &Transition,
) -> Result<Record, IllegalTransition> {
    use State::{Enrolled, InDoubt, Intent, Prepared, Published, Refused, Seen, Unsuitable};
    let illegal = || IllegalTransition {
        name: name.as_str().to_owned(),
        state: current.map_or("unknown", |r| r.state.as_str()),
        what: transition.what(),
    };
    let mut record = match (current, transition) {
        (Some(record), Transition::Import { .. }) if record.asset_id.is_some() => return Err(illegal()),
        (Some(record), _) => record.clone(),
        (None, Transition::See { .. } | Transition::Import { .. } | Transition::Found { .. }) => new(name),
        (None, _) => return Err(illegal()),
    };
    match (record.state, transition) {
        (Intent, Transition::See { .. }) => return Err(illegal()),
        (
            state,
            Transition::See {
                kind,
                source,
                sha256,
                extra,
            },
        ) => {
            let changed = record.source_sha256.as_ref() != Some(sha256);
            if record.asset_id.is_some() {
                // An older ledger, without this field: as the cast said until now.
                record.enrolled_kind.get_or_insert(record.kind);
            }
            // For a call in doubt the kind is the requested one.
            if state != InDoubt {
                record.kind = *kind;
            }
            // The cast's spelling; the one that was sent stays with its attempt.
            record.name = name.clone();
            record.source.clone_from(source);
            record.extra.clone_from(extra);
            record.source_sha256 = Some(sha256.clone());
            record.source_stamp = record.source_stamp.filter(|_| !changed);
            if record.asset_id.is_some() && record.enrolled_sha256.is_none() && state == Enrolled {
                record.enrolled_sha256 = Some(sha256.clone());
            }
            if changed && !matches!(state, Enrolled | InDoubt) {
                record.state = if record.asset_id.is_some() { Enrolled } else { Seen };
                (record.object_key, record.verdict) = (None, None);
                if record.asset_id.is_none() {
                    record.url = None;
                }
                (record.code, record.message) = (None, None);
            }
        }
        (_, Transition::Stamp(stamp)) => record.source_stamp = Some(stamp.clone()),
        (Intent | InDoubt, Transition::Judge { .. }) => return Err(illegal()),
        (
            _,
            Transition::Judge {
                verdict,
                goes_on,
                code,
                message,
            },
        ) => {
            record.verdict = Some(*verdict);
            // The reason of a failure is kept until the next attempt: a run that ends before leaves it to
            // `castline retry`.
            if !(*goes_on && matches!(record.state, Prepared | Published | Refused)) {
                (record.code, record.message) = (code.clone(), message.clone());
            }
            record.state = match (goes_on, verdict) {
                // It continues to be paid for: only an image that is not enrolled as it is.
                (true, _)
                    if (record.source_sha256.as_deref())
                        .is_some_and(|sha256| record.is_enrolled_as(record.kind, sha256)) =>
                {
                    return Err(illegal());
                }
                (true, _) => Prepared,
                (false, _) if record.asset_id.is_some() => Enrolled,
                (false, Verdict::Unsuitable) => Unsuitable,
                (false, _) => Seen,
            };
        }
        (Prepared | Published, Transition::Publish { object_key, url }) => {
            record.object_key = Some(object_key.clone());
            record.url = Some(url.clone());
            record.state = Published;
        }
        (state @ (Prepared | Published), Transition::Fail { code, message }) => {
            set_state(&mut record, state, code, message);
        }
        (Published, Transition::Intend { price, .. }) => {
            record.attempted_sha256.clone_from(&record.source_sha256);
            record.attempted_price = Some(*price);
            record.attempts += 1;
            (record.code, record.message) = (None, None);
            record.state = Intent;
        }
        (
            Intent,
            Transition::Enrolled {
                asset_id,
                price,
                settlement,
                ids,
                at,
                priced: _,
            },
        ) => {
            enrolled(&mut record, asset_id, Some(*price), at);
            record.ids.clone_from(ids);
            record.settlement.clone_from(settlement);
        }
        (Intent, Transition::Refuse { code, message, .. }) => set_state(&mut record, Refused, code, message),
        (Intent, Transition::Release { code, message } | Transition::SetAside { code, message }) => {
            set_state(&mut record, Published, code, message);
        }
        (Intent, Transition::Doubt { code, message }) => set_state(&mut record, InDoubt, code, message),
        // Not charged: as if a person had found that out. The cast may have another image meanwhile.
        (InDoubt, Transition::Late(outcome))
            if matches!(**outcome, Transition::Refuse { .. } | Transition::Release { .. }) =>
        {
            return apply(
                name,
                current,
                &Transition::Resolve(Resolution::Forget { valid: false }),
            );
        }
        (InDoubt, Transition::Late(outcome)) if outcome.is_outcome() => {
            let open = Record {
                state: Intent,
                ..record
            };
            return apply(name, Some(&open), outcome);
        }
        (InDoubt, Transition::Resolve(Resolution::Adopt { asset_id, at })) => {
            let price = record.attempted_price;
            enrolled(&mut record, asset_id, price, at);
            record.adopted = true;
        }
        (InDoubt, Transition::Resolve(Resolution::Charged { transaction })) => {
            let by = transaction
                .as_deref()
                .unwrap_or("a transaction that was not found");
            let message = format!("its payment was charged, by {by}; find its id at the provider");
            set_state(&mut record, InDoubt, CHARGED, &message);
            record.attempted_transaction.clone_from(transaction);
        }
        (
            InDoubt,
            Transition::Resolve(
                resolution @ (Resolution::Retry | Resolution::Forget { .. } | Resolution::Unused),
            ),
        ) => {
            record.state = if record.asset_id.is_some() { Enrolled } else { Seen };
            (record.code, record.message) = (None, None);
            let (sha256, price) = (record.attempted_sha256.take(), record.attempted_price.take());
            record.attempted_transaction = None;
            if *resolution == Resolution::Retry {
                record.retried = Some(Retried { sha256, price });
            }
        }
        // What a person had repeated is settled after all.
        (
            Seen | Unsuitable | Prepared | Published | Refused | Enrolled,
            Transition::Resolve(Resolution::Adopt { asset_id, at }),
        ) if record.retried.is_some() => {
            let retried = record.retried.take().expect("as just checked");
            if record.asset_id.is_none() {
                record.attempted_sha256 = retried.sha256;
                enrolled(&mut record, asset_id, retried.price, at);
                record.adopted = true;
            }
        }
        (
            Seen | Unsuitable | Prepared | Published | Refused | Enrolled,
            Transition::Resolve(Resolution::Forget { .. }),
        ) if record.retried.is_some() => record.retried = None,
        (Enrolled, Transition::Resolve(Resolution::Adopt { asset_id, .. })) if record.adopted => {
            record.asset_id = Some(asset_id.clone());
        }
        // A doubt about this very image is settled; one about another image must be settled first.
        (InDoubt, Transition::Found { call, .. })
            if call.asset_id.is_none() || record.attempted_sha256.as_ref() != Some(&call.source_sha256) =>
        {
            return Err(illegal());
        }
        (
            Seen | Unsuitable | Prepared | Published | Enrolled | Refused | InDoubt,
            Transition::Found { call, at },
        ) => {
            found(&mut record, call, at);
        }
        (
            Seen | Unsuitable | Prepared | Published | Refused,
            Transition::Import {
                kind,
                source,
                sha256,
                asset_id,
                price,
                at,
                url,
                ids,
                extra,
            },
        ) => {
            record.ids.clone_from(ids);
            record.kind = *kind;
            record.source.clone_from(source);
            record.source_sha256.clone_from(sha256);
            record.source_stamp = None;
            record.enrolled_sha256.clone_from(sha256);
            record.enrolled_kind = Some(*kind);
            record.asset_id = Some(asset_id.clone());
            record.price = *price;
            record.enrolled_at.clone_from(at);
            record.url.clone_from(url);
            record.extra.clone_from(extra);
            record.state = Enrolled;
        }
        _ => return Err(illegal()),
    }
    Ok(record)
}

fn set_state(record: &mut Record, state: State, code: &str, message: &str) {
    record.state = state;
    record.code = Some(code.to_owned());
    record.message = Some(message.to_owned());
}

fn enrolled(record: &mut Record, asset_id: &str, price: Option<Usd>, at: &str) {
    record.state = State::Enrolled;
    record.asset_id = Some(asset_id.to_owned());
    record.ids = ProviderIds::default();
    record.adopted = false;
    record.enrolled_sha256 = record.attempted_sha256.take();
    record.enrolled_kind = Some(record.kind);
    record.attempted_price = None;
    record.attempted_transaction = None;
    record.enrolled_at = Some(at.to_owned());
    record.price = price;
    (record.code, record.message) = (None, None);
}

/// Takes over a call that a receipt tells of: its id, or its doubt.
fn found(record: &mut Record, call: &FoundCall, at: &str) {
    record.kind = call.kind;
    if record.source_sha256.is_none() {
        record.source.clone_from(&call.source);
        record.extra.clone_from(&call.extra);
        record.source_sha256 = Some(call.source_sha256.clone());
        record.source_stamp = None;
    }
    record.attempted_sha256 = Some(call.source_sha256.clone());
    match &call.asset_id {
        Some(asset_id) => {
            enrolled(record, asset_id, Some(call.price), &call.at);
            record.ids.clone_from(&call.ids);
            if call.url.is_some() {
                record.url.clone_from(&call.url);
            }
            record.settlement = None;
        }
        None => {
            record.attempted_price = Some(call.price);
            let message = format!(
                "a call that began at {} and was found in the bucket at {at} has no outcome; it may have been charged",
                call.at
            );
            set_state(record, State::InDoubt, "receipt_without_outcome", &message);
        }
    }
}

fn new(name: &Name) -> Record {
    Record {
        name: name.clone(),
        kind: Kind::Portrait,
        state: State::Seen,
        source: String::new(),
        source_sha256: None,
        source_stamp: None,
        extra: Vec::new(),
        verdict: None,
        object_key: None,
        url: None,
        attempted_sha256: None,
        attempted_price: None,
        attempted_transaction: None,
        attempts: 0,
        asset_id: None,
        enrolled_sha256: None,
        enrolled_kind: None,
        enrolled_at: None,
        price: None,
        settlement: None,
        ids: ProviderIds::default(),
        archived: false,
        adopted: false,
        retried: None,
        code: None,
        message: None,
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
