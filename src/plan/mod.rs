//! What a run would do with a character, and why: decided before any money moves.

mod file;
mod totals;

use serde::{Deserialize, Serialize};

use crate::cast::Kind;
use crate::inspect::Verdict;
use crate::ledger::{Record, State};

pub use file::{Agreed, PlanError, PlanFile, Planned, Read};
pub use totals::{Group, Totals, Uploads, length};

/// What a run does with a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Publish and enroll it: this costs.
    Enroll,
    /// It has its asset id, and its picture and kind are those that were enrolled.
    Keep,
    /// It has its asset id, but its picture or its kind has changed since: paid again only when asked.
    Hold,
    /// Its picture is unsure: a person should look.
    Review,
    /// Its picture can't be enrolled.
    Unsuitable,
    /// A paid call for it has an unknown outcome: settled by `castline resolve`.
    InDoubt,
    /// The API refused exactly this picture before: sent again by `castline retry`.
    Refused,
    /// A real actor: waits for `castline realface`, which leads through the liveness check.
    Waiting,
}

impl Action {
    /// For people: "it is to …".
    pub fn told(self) -> &'static str {
        match self {
            Self::Enroll => "be enrolled",
            Self::Keep => "be kept",
            Self::Hold => "be held, since its picture or kind has changed",
            Self::Review => "be reviewed",
            Self::Unsuitable => "be left out as unsuitable",
            Self::InDoubt => "be settled, since it is in doubt",
            Self::Refused => "be left out as refused before",
            Self::Waiting => "wait for a liveness check",
        }
    }
}

/// What people have said about a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Approval {
    /// Nothing.
    #[default]
    None,
    /// Enroll it, although it is unsure.
    Approved,
    /// Don't enroll it.
    Rejected,
}

/// What a run is asked to do beyond the ordinary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Pay again for characters whose picture or kind has changed.
    pub re_enroll_changed: bool,
    /// Send again what the API refused.
    pub retry_refused: bool,
    /// Lead real actors through their liveness check, rather than leave them waiting.
    pub realface: bool,
}

/// What the ledger alone says: `None` when the picture must be looked at first.
///
/// `sha256` is the picture's, and `kind` how it is to be enrolled, as they are now.
pub fn before_looking(record: Option<&Record>, sha256: &str, kind: Kind, policy: Policy) -> Option<Action> {
    let record = record?;
    if matches!(record.state, State::Intent | State::InDoubt) {
        return Some(Action::InDoubt);
    }
    if record.asset_id.is_some() {
        // Somebody who was enrolled as a portrait has neither agreed nor passed a check, and is no real actor yet.
        if record.is_enrolled_as(kind, sha256) {
            return Some(Action::Keep);
        }
        return (!policy.re_enroll_changed).then_some(Action::Hold);
    }
    let refused = record.state == State::Refused && record.source_sha256.as_deref() == Some(sha256);
    (refused && !policy.retry_refused).then_some(Action::Refused)
}

/// What the verdict and people say, once the ledger has no objection.
pub fn after_looking(verdict: Verdict, approval: Approval, kind: Kind, policy: Policy) -> Action {
    match (verdict, approval) {
        (Verdict::Unsuitable, _) | (_, Approval::Rejected) => Action::Unsuitable,
        (Verdict::Review, Approval::None) => Action::Review,
        _ if kind == Kind::RealFace && !policy.realface => Action::Waiting,
        _ => Action::Enroll,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::Name;
    use crate::ledger::{Transition, apply};

    #[test]
    fn a_portrait_is_not_taken_for_a_real_actor_nor_the_other_way_round() {
        let enrolled = |kind| {
            let import = Transition::Import {
                kind,
                source: "ada.png".to_owned(),
                sha256: Some("aa".to_owned()),
                asset_id: "ta_1".to_owned(),
                price: None,
                at: None,
                url: None,
                extra: Vec::new(),
            };
            apply(&Name::new("Ada").unwrap(), None, &import).unwrap()
        };
        let again = Policy {
            re_enroll_changed: true,
            ..Policy::default()
        };
        for (then, now) in [(Kind::Portrait, Kind::RealFace), (Kind::RealFace, Kind::Portrait)] {
            let mut record = enrolled(then);
            let action = |record: &Record, kind, policy| before_looking(Some(record), "aa", kind, policy);
            assert_eq!(action(&record, then, again), Some(Action::Keep));
            // Also once a run has seen what the cast says now.
            for _ in 0..2 {
                assert_eq!(action(&record, now, Policy::default()), Some(Action::Hold));
                assert_eq!(
                    action(&record, now, again),
                    None,
                    "it is looked at, to be paid again"
                );
                let see = Transition::See {
                    kind: now,
                    source: "ada.png".to_owned(),
                    sha256: "aa".to_owned(),
                    extra: Vec::new(),
                };
                record = apply(&record.name, Some(&record), &see).unwrap();
            }
        }
    }
}
