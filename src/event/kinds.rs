//! The events, and the summary that counts them.

use std::collections::HashMap;

use serde::Serialize;

use crate::inspect::{Inspection, Verdict};
use crate::ledger::Approval;
use crate::plan::{ByStanding, Standing, Totals};
use crate::util::money::Usd;

/// The version of the NDJSON format, reported in its first line.
pub const SCHEMA: u32 = 1;

/// One event of a command.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The first line: the version of castline and of the format.
    Castline {
        /// [`SCHEMA`].
        schema: u32,
        /// The version of castline.
        version: &'static str,
        /// The running command.
        command: &'static str,
        /// The number of characters in the cast.
        characters: usize,
    },
    /// An invalid row of the cast.
    BadRow {
        /// Line in the file, from 1.
        line: Option<u64>,
        /// The column.
        field: String,
        /// What is wrong, and how to fix it.
        message: String,
    },
    /// An image was inspected.
    Checked {
        /// The character.
        name: String,
        /// The image, as the cast gives it.
        source: String,
        /// Whether it may be enrolled.
        verdict: Verdict,
        /// The number of faces found.
        faces: usize,
        /// Why it is not suitable: fixed codes, `duplicate_of:NAME` among them.
        reasons: Vec<String>,
        /// The same reasons as messages, with how to fix them.
        messages: Vec<String>,
        /// Width in pixels, as displayed; 0 when unreadable.
        width: u32,
        /// Height in pixels, as displayed; 0 when unreadable.
        height: u32,
        /// Whether a person approved or rejected an image that needs review.
        #[serde(skip_serializing_if = "Option::is_none")]
        approved: Option<bool>,
    },
    /// The decision of a run about a character.
    Planned {
        /// The character.
        name: String,
        /// Its standing.
        standing: Standing,
        /// The cost, as far as known beforehand.
        cost_usd: Usd,
    },
    /// An image was published.
    Published {
        /// The character.
        name: String,
        /// The address, without signature.
        url: String,
    },
    /// A liveness check waits for its actor. Anyone with the link can take the check: it is a secret until it expires,
    /// and is kept out of log files.
    LivenessLink {
        /// The actor.
        name: String,
        /// The position of the actor, from 1.
        number: usize,
        /// The number of actors.
        of: usize,
        /// The provider's id of the check.
        group_id: String,
        /// The link that the actor's phone must open.
        link: String,
        /// How long the link is valid from now, in seconds.
        expires_in: f64,
        /// The number of checks that may still start within this hour.
        left_this_hour: usize,
    },
    /// The state of a liveness check has changed.
    Liveness {
        /// The actor.
        name: String,
        /// The provider's id of the check.
        group_id: String,
        /// The new state.
        state: LivenessState,
    },
    /// A character was enrolled, and its asset id is durable.
    Enrolled {
        /// The character.
        name: String,
        /// The asset id given by the API.
        asset_id: String,
        /// The cost.
        cost_usd: Usd,
    },
    /// A character failed; nothing was charged for it.
    Failed {
        /// The character.
        name: String,
        /// The stage where it failed.
        stage: Stage,
        /// Its standing now: `failed`, or `refused` if the API refused it.
        standing: Standing,
        /// A fixed code.
        code: String,
        /// What happened, and how to fix it.
        message: String,
    },
    /// The outcome of a paid call is unknown: it may have been charged.
    InDoubt {
        /// The character.
        name: String,
        /// A fixed code.
        code: String,
        /// What happened.
        message: String,
        /// What it may have cost.
        cost_usd: Usd,
        /// The asset id given by the API, if the ledger could not record it: it is kept nowhere else.
        #[serde(skip_serializing_if = "Option::is_none")]
        asset_id: Option<String>,
    },
    /// Paid calls pause, because the API requested it.
    Paused {
        /// The length of the pause in seconds.
        seconds: f64,
        /// The reason.
        reason: String,
    },
    /// The run stops before its end.
    Stopping {
        /// A fixed code.
        code: String,
        /// Why, and how to fix it.
        message: String,
    },
    /// The command ends with an error: nothing more is done.
    Error {
        /// A fixed code.
        code: String,
        /// What is wrong, and how to fix it.
        message: String,
        /// The exit code of the process.
        exit_code: u8,
    },
    /// All work is done and safe in the ledger, but an output file can't be written.
    WriteFailed {
        /// The path of the file.
        file: String,
        /// Why it can't be written, and how to fix it.
        message: String,
    },
    /// The totals of what a run would do: the result of `plan`.
    Plan(Box<Totals>),
    /// The last line.
    Summary(Summary),
}

/// The state of a liveness check, as reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LivenessState {
    /// The actor has started the check.
    InProgress,
    /// Passed: the actor is enrolled next.
    Passed,
    /// Its link has expired, or the provider no longer knows it.
    Expired,
    /// Not passed.
    Failed,
}

/// The stage where a character failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A real actor's consent is not recorded in the cast.
    Consent,
    /// Its image could not be read or fetched, or is unsuitable.
    Inspect,
    /// Its image could not be uploaded, or is not publicly readable.
    Publish,
    /// A real actor has not passed the liveness check.
    Liveness,
    /// The API refused it.
    Enroll,
}

/// The summary of a command: the counts of all earlier events.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// The command that ran.
    pub command: &'static str,
    /// The number of characters in the cast.
    pub characters: u64,
    /// Invalid rows of the cast.
    pub bad_rows: u64,
    /// Images inspected, by verdict.
    pub images: Images,
    /// The number of characters by standing, each counted once. Characters not reached by the command are not counted.
    pub standing: ByStanding<u64>,
    /// Characters whose image was uploaded, or was already there.
    pub published: u64,
    /// Characters enrolled by this command; `standing.enrolled` also counts those enrolled earlier.
    pub enrolled: u64,
    /// Characters that failed in this command at no cost; `standing.failed` also counts those not retried yet.
    pub failed: u64,
    /// Characters that the command was to enroll, at the cost in `planned_usd`.
    pub to_enroll: u64,
    /// The cost of enrolling them at the known price.
    pub planned_usd: Usd,
    /// The cost of this run.
    pub cost_usd: Usd,
    /// What this run's calls in doubt may have cost in addition.
    pub in_doubt_usd: Usd,
    /// The path of the manifest, if written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// The exit code of the process.
    pub exit_code: u8,
    /// Enrollments that have ended, with any outcome.
    #[serde(skip)]
    pub(crate) ended: u64,
    /// The standing of each character, so that each is counted once.
    #[serde(skip)]
    pub(crate) by_name: HashMap<String, Standing>,
}

/// Images inspected, by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Images {
    /// Suitable images.
    pub suitable: u64,
    /// Images that need review.
    pub review: u64,
    /// Unsuitable images.
    pub unsuitable: u64,
}

/// The messages about an image: the reasons of the inspection, or that a person rejected it.
pub(crate) fn messages(inspection: &Inspection, approval: Approval) -> Vec<String> {
    match approval {
        Approval::Rejected => vec!["a person rejected this image: use another one".to_owned()],
        _ => inspection.reasons.iter().map(|r| r.message.clone()).collect(),
    }
}

impl Event {
    /// The event of an inspected image. `approval` is the decision on it, where the command reports that.
    pub fn checked(name: &str, source: &str, inspection: &Inspection, approval: Approval) -> Self {
        Self::Checked {
            name: name.to_owned(),
            source: source.to_owned(),
            verdict: inspection.verdict,
            faces: inspection.faces.len(),
            reasons: inspection.reasons.iter().map(|r| r.code.to_string()).collect(),
            messages: messages(inspection, approval),
            width: inspection.width,
            height: inspection.height,
            approved: match approval {
                Approval::None => None,
                Approval::Approved | Approval::Overridden => Some(true),
                Approval::Rejected => Some(false),
            },
        }
    }
}
