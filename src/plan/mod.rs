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
    /// It has its asset id, and its picture is the one that was enrolled.
    Keep,
    /// It has its asset id, but its picture has changed since: paid again only when asked.
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
            Self::Hold => "be held, since its picture has changed",
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
    /// Pay again for characters whose picture has changed.
    pub re_enroll_changed: bool,
    /// Send again what the API refused.
    pub retry_refused: bool,
    /// Lead real actors through their liveness check, rather than leave them waiting.
    pub realface: bool,
}

/// What the ledger alone says: `None` when the picture must be looked at first.
///
/// `sha256` is the picture's, as it is now.
pub fn before_looking(record: Option<&Record>, sha256: &str, policy: Policy) -> Option<Action> {
    let record = record?;
    if matches!(record.state, State::Intent | State::InDoubt) {
        return Some(Action::InDoubt);
    }
    if record.asset_id.is_some() {
        return match record.enrolled_sha256.as_deref() {
            Some(enrolled) if enrolled == sha256 => Some(Action::Keep),
            // Adopted from a list that doesn't tell: the picture that is seen first is taken for the enrolled one.
            None => Some(Action::Keep),
            _ if policy.re_enroll_changed => None,
            _ => Some(Action::Hold),
        };
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
