//! The standing of a character: one vocabulary for all commands, events, tables and pages.

use std::fmt;
use std::ops::{Index, IndexMut};

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::cast::{Character, Kind};
use crate::inspect::Verdict;
use crate::ledger::{Approval, Record, State};

/// The standing of a character: what its durable [`State`] means for the user and for the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has its asset id, and its image and kind are those that were enrolled.
    Enrolled,
    /// Its image may be enrolled. Used only by `check`, which doesn't check whether it is enrolled.
    Suitable,
    /// The next run enrolls it.
    ToEnroll,
    /// It has its asset id, but its image or its kind has changed since.
    Changed,
    /// Its image needs a decision by a person.
    ToReview,
    /// Its image was rejected by a person.
    Rejected,
    /// Its image can't be enrolled.
    Unsuitable,
    /// A real actor whose consent is not in the cast.
    NeedsConsent,
    /// A real actor who has not passed the liveness check yet.
    AwaitingLiveness,
    /// The API refused exactly this image.
    Refused,
    /// An earlier attempt failed and cost nothing: the next run retries.
    Failed,
    /// A paid call for it has an unknown outcome.
    InDoubt,
    /// No run has seen it yet.
    #[default]
    NotSeen,
}

/// The code and label of a standing, and what to do about it.
struct Label {
    /// The code for scripts: in events, plans and the report's address.
    code: &'static str,
    /// The label shown in sentences and columns.
    label: &'static str,
    /// What it means or what to do next; at most 40 columns including its command.
    hint: &'static str,
    /// The command that deals with it, which completes the hint.
    command: Option<&'static str>,
    /// The tone in the report, shown by colour and a mark.
    tone: &'static str,
}

const fn label(
    code: &'static str,
    label: &'static str,
    hint: &'static str,
    command: Option<&'static str>,
    tone: &'static str,
) -> Label {
    Label {
        code,
        label,
        hint,
        command,
        tone,
    }
}

impl Standing {
    /// All standings, in the order in which they are shown.
    pub const ALL: [Self; 13] = [
        Self::Enrolled,
        Self::Suitable,
        Self::ToEnroll,
        Self::Changed,
        Self::ToReview,
        Self::Rejected,
        Self::Unsuitable,
        Self::NeedsConsent,
        Self::AwaitingLiveness,
        Self::Refused,
        Self::Failed,
        Self::InDoubt,
        Self::NotSeen,
    ];

    /// The table of labels.
    const fn table(self) -> Label {
        match self {
            Self::Enrolled => label(
                "enrolled",
                "enrolled",
                "has its asset id, nothing to pay",
                None,
                "good",
            ),
            Self::Suitable => label("suitable", "suitable", "the image can be enrolled", None, "good"),
            Self::ToEnroll => label("to_enroll", "to enroll", "the next run enrolls it", None, "calm"),
            Self::Failed => label(
                "failed",
                "failed",
                "not charged; retry with",
                Some("retry"),
                "bad",
            ),
            Self::Changed => label(
                "changed",
                "changed",
                "pay again with --re-enroll-changed",
                None,
                "look",
            ),
            Self::ToReview => label(
                "to_review",
                "to review",
                "approve or reject with",
                Some("review"),
                "look",
            ),
            Self::Rejected => label(
                "rejected",
                "rejected",
                "by a person; use another image",
                None,
                "bad",
            ),
            Self::Unsuitable => label("unsuitable", "unsuitable", "use another image", None, "bad"),
            Self::NeedsConsent => label(
                "needs_consent",
                "needs consent",
                "set consent=yes once they agree",
                None,
                "look",
            ),
            Self::AwaitingLiveness => label(
                "awaiting_liveness",
                "awaiting check",
                "do the check with",
                Some("realface"),
                "look",
            ),
            Self::Refused => label("refused", "refused", "resend it with", Some("retry"), "bad"),
            // Money may have moved: this needs a different action than an image problem.
            Self::InDoubt => label("in_doubt", "in doubt", "settle it with", Some("resolve"), "doubt"),
            Self::NotSeen => label("not_seen", "not seen", "no run has seen it yet", None, "calm"),
        }
    }

    /// The code for scripts: `to_review`.
    pub fn code(self) -> &'static str {
        self.table().code
    }

    /// The label shown to the user: `to review`.
    pub fn label(self) -> &'static str {
        self.table().label
    }

    /// What it means or what to do next, without quotation marks: `approve or reject with castline review`.
    pub fn hint(self) -> String {
        let Label { hint, command, .. } = self.table();
        match command {
            Some(command) => format!("{hint} castline {command}"),
            None => hint.to_owned(),
        }
    }

    /// As [`Standing::hint`], with a command to paste: ``approve or reject with `castline review cast.csv` ``.
    pub fn next_step(self, same_arguments: &str) -> String {
        let Label { hint, command, .. } = self.table();
        match command {
            Some(command) => format!("{hint} `castline {command}{same_arguments}`"),
            None => hint.to_owned(),
        }
    }

    /// The tone in the report: `good`, `calm`, `look`, `bad` or `doubt`.
    pub fn tone(self) -> &'static str {
        self.table().tone
    }

    /// Whether the next run pays for it.
    pub fn is_paid_next(self) -> bool {
        matches!(self, Self::ToEnroll | Self::Failed)
    }

    /// Whether a run does the same with both: they are equal, or it pays for both.
    pub fn is_same_for_a_run(self, other: Self) -> bool {
        self == other || (self.is_paid_next() && other.is_paid_next())
    }

    /// Whether a person must act before a run can finish it.
    pub fn needs_a_person(self) -> bool {
        matches!(
            self,
            Self::Changed
                | Self::ToReview
                | Self::Rejected
                | Self::Unsuitable
                | Self::Refused
                | Self::InDoubt
        )
    }

    /// The standing reported by `check`, which considers the image alone.
    pub fn of_image(verdict: Verdict, approval: Approval) -> Self {
        judged(verdict, approval).unwrap_or(Self::Suitable)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

/// The options of a run that affect standings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Pay again for characters whose image or kind has changed.
    pub re_enroll_changed: bool,
    /// Retry what the API refused.
    pub retry_refused: bool,
    /// Guide real actors through their liveness check instead of leaving them waiting.
    pub realface: bool,
}

/// What is known of a character's image when its standing is determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image<'a> {
    /// The image is not read now: the last one seen by the ledger counts.
    LastSeen,
    /// The image was read now.
    Read {
        /// Its SHA-256, in hex.
        sha256: &'a str,
        /// The verdict of the inspection; `None` before it was inspected.
        verdict: Option<Verdict>,
    },
}

/// The columns of a cast row that the standing depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// How the character is enrolled.
    pub kind: Kind,
    /// Whether a real actor has agreed.
    pub consent: bool,
}

impl Row {
    /// The row of a character in the cast.
    pub fn of(character: &Character) -> Self {
        Self {
            kind: character.kind,
            consent: character.consent,
        }
    }

    /// The row of a character that is only in the ledger.
    pub fn of_record(record: &Record) -> Self {
        Self {
            kind: record.kind,
            consent: true,
        }
    }
}

/// The standing of a character; `None` when its image must be inspected first.
///
/// `record` is its record in the ledger, `row` its row in the cast, `approval` the decision on this image.
pub fn standing(
    record: Option<&Record>,
    row: Row,
    approval: Approval,
    image: Image<'_>,
    policy: Policy,
) -> Option<Standing> {
    let (sha256, verdict) = match (image, record) {
        (Image::LastSeen, None) => return Some(Standing::NotSeen),
        // An image without a verdict is treated as suitable until it has one.
        (Image::LastSeen, Some(record)) => (
            record.source_sha256.as_deref(),
            Some(record.verdict.unwrap_or(Verdict::Suitable)),
        ),
        (Image::Read { sha256, verdict }, _) => (Some(sha256), verdict),
    };
    if let Some(record) = record {
        if matches!(record.state, State::Intent | State::InDoubt) {
            return Some(Standing::InDoubt);
        }
        if record.asset_id.is_some() {
            // A character enrolled as a portrait has neither agreed nor passed a check: not a real actor yet.
            if sha256.is_none_or(|sha256| record.is_enrolled_as(row.kind, sha256)) {
                return Some(Standing::Enrolled);
            }
            if !policy.re_enroll_changed {
                return Some(Standing::Changed);
            }
        }
        let same_image = record.source_sha256.as_deref() == sha256;
        if record.state == State::Refused && same_image && !policy.retry_refused {
            return Some(Standing::Refused);
        }
    }
    if let Some(standing) = judged(verdict?, approval) {
        return Some(standing);
    }
    Some(match row.kind {
        Kind::RealFace if !row.consent => Standing::NeedsConsent,
        Kind::RealFace if !policy.realface => Standing::AwaitingLiveness,
        _ if record.is_some_and(|r| r.has_failed_for(sha256)) => Standing::Failed,
        _ => Standing::ToEnroll,
    })
}

/// The standing that prevents enrolling an image, from its verdict and approval; `None` if nothing does.
fn judged(verdict: Verdict, approval: Approval) -> Option<Standing> {
    match (verdict, approval) {
        (Verdict::Unsuitable, Approval::Overridden) => None,
        (Verdict::Unsuitable, _) => Some(Standing::Unsuitable),
        (_, Approval::Rejected) => Some(Standing::Rejected),
        (Verdict::Review, Approval::None) => Some(Standing::ToReview),
        _ => None,
    }
}

/// A value for each standing, serialized as an object keyed by code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByStanding<T>([T; Standing::ALL.len()]);

impl<T> ByStanding<T> {
    /// Each standing with its value, in the order in which they are shown.
    pub fn iter(&self) -> impl Iterator<Item = (Standing, &T)> {
        Standing::ALL.into_iter().zip(&self.0)
    }
}

impl<T> Index<Standing> for ByStanding<T> {
    type Output = T;

    fn index(&self, standing: Standing) -> &T {
        &self.0[standing as usize]
    }
}

impl<T> IndexMut<Standing> for ByStanding<T> {
    fn index_mut(&mut self, standing: Standing) -> &mut T {
        &mut self.0[standing as usize]
    }
}

impl<T: Serialize> Serialize for ByStanding<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (standing, value) in self.iter() {
            map.serialize_entry(standing.code(), value)?;
        }
        map.end()
    }
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
