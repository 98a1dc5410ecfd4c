//! The events, and what they are counted into.

use std::collections::HashMap;

use serde::Serialize;

use crate::inspect::{Inspection, Verdict};
use crate::ledger::Approval;
use crate::plan::{ByStanding, Standing, Totals};
use crate::util::money::Usd;

/// The version of the NDJSON form, told in its first line.
pub const SCHEMA: u32 = 1;

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The first line: what speaks, in which version.
    Castline {
        /// [`SCHEMA`].
        schema: u32,
        /// The version of castline.
        version: &'static str,
        /// The command that runs.
        command: &'static str,
        /// How many characters the cast has.
        characters: usize,
    },
    /// A row of the cast that can't be used.
    BadRow {
        /// Line in the file, from 1.
        line: Option<u64>,
        /// The column.
        field: String,
        /// What is wrong, and the mend.
        message: String,
    },
    /// An image was looked at.
    Checked {
        /// The character.
        name: String,
        /// The image, as the cast gives it.
        source: String,
        /// Whether it may be enrolled.
        verdict: Verdict,
        /// How many faces were found.
        faces: usize,
        /// Why it is not suitable: fixed codes, `duplicate_of:NAME` among them.
        reasons: Vec<String>,
        /// The same for people, with the mend.
        messages: Vec<String>,
        /// Width in pixels, as displayed; 0 when unreadable.
        width: u32,
        /// Height in pixels, as displayed; 0 when unreadable.
        height: u32,
        /// Whether a person approved or rejected an image that needs review; only `check` reports it here.
        #[serde(skip_serializing_if = "Option::is_none")]
        approved: Option<bool>,
    },
    /// What a run does with a character.
    Planned {
        /// The character.
        name: String,
        /// Where it stands.
        standing: Standing,
        /// What that costs, as far as known beforehand.
        cost_usd: Usd,
    },
    /// An image has its public address.
    Published {
        /// The character.
        name: String,
        /// The address, without signature.
        url: String,
    },
    /// A liveness check waits for its actor: whoever opens the link does it. The link is a secret for as long as
    /// it lives, and stays out of log files.
    LivenessLink {
        /// The actor.
        name: String,
        /// Whose turn it is: 1 for the first.
        number: usize,
        /// How many actors there are.
        of: usize,
        /// What the provider calls the check.
        group_id: String,
        /// What the actor's phone must open.
        link: String,
        /// How long the link lives from now, in seconds.
        expires_in: f64,
        /// How many more checks may begin within this hour.
        left_this_hour: usize,
    },
    /// Where a liveness check stands.
    Liveness {
        /// The actor.
        name: String,
        /// What the provider calls the check.
        group_id: String,
        /// Where it stands now.
        state: LivenessState,
    },
    /// A character has its asset id, durably.
    Enrolled {
        /// The character.
        name: String,
        /// What the API calls it from now on.
        asset_id: String,
        /// What it cost.
        cost_usd: Usd,
    },
    /// A character could not be done; nothing was charged for it.
    Failed {
        /// The character.
        name: String,
        /// Where it failed.
        stage: Stage,
        /// Where it stands now: `failed`, or `refused` where the API refused it.
        standing: Standing,
        /// A fixed code.
        code: String,
        /// What happened, and the mend.
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
        /// The id that the API gave, where the ledger could not take it: it stands here alone.
        #[serde(skip_serializing_if = "Option::is_none")]
        asset_id: Option<String>,
    },
    /// Paid calls wait, because the API asked for it.
    Paused {
        /// For so many seconds.
        seconds: f64,
        /// Why.
        reason: String,
    },
    /// The run stops before its end.
    Stopping {
        /// A fixed code.
        code: String,
        /// Why, and the mend.
        message: String,
    },
    /// All is done and safe in the ledger, but a file that tells of it can't be written.
    WriteFailed {
        /// Which one.
        file: String,
        /// Why not, and the mend.
        message: String,
    },
    /// What a run would do, in sum: the result of `plan`.
    Plan(Box<Totals>),
    /// The last line.
    Summary(Summary),
}

/// Where a liveness check stands, as told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LivenessState {
    /// The actor is at it.
    InProgress,
    /// Passed: the actor is enrolled next.
    Passed,
    /// Its link is too old, or the provider doesn't know it any more.
    Expired,
    /// Not passed.
    Failed,
}

/// Where a character failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A real actor's consent is not recorded in the cast.
    Consent,
    /// Its image could not be read or fetched, or is unsuitable.
    Inspect,
    /// Its image could not be uploaded or is not publicly seen.
    Publish,
    /// A real actor has not passed the liveness check.
    Liveness,
    /// The API refused it.
    Enroll,
}

/// What happened in all: the counts of the events before it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// The command that ran.
    pub command: &'static str,
    /// How many characters the cast has.
    pub characters: u64,
    /// Rows of the cast that can't be used.
    pub bad_rows: u64,
    /// Images inspected, by verdict.
    pub images: Images,
    /// Where the characters stand, each counted once. Those whom the command did not reach are missing.
    pub standing: ByStanding<u64>,
    /// Characters whose image was uploaded, or found to be there already.
    pub published: u64,
    /// Characters enrolled by this command; `standing.enrolled` also counts those of before.
    pub enrolled: u64,
    /// Characters that the command meant to enroll, at the price in `planned_usd`.
    pub to_enroll: u64,
    /// What enrolling them costs at the known price.
    pub planned_usd: Usd,
    /// What this run has cost.
    pub cost_usd: Usd,
    /// What this run's doubts may have cost on top.
    pub in_doubt_usd: Usd,
    /// Where the manifest was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// The exit code of the process.
    pub exit_code: u8,
    /// Tries at enrolling that have ended, in whatever way.
    #[serde(skip)]
    pub(crate) ended: u64,
    /// Where each character stands, so that each is counted once.
    #[serde(skip)]
    pub(crate) by_name: HashMap<String, Standing>,
}

/// Images inspected, by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Images {
    /// Suitable ones.
    pub suitable: u64,
    /// Those that need review.
    pub review: u64,
    /// Unsuitable ones.
    pub unsuitable: u64,
}

impl Event {
    /// The event of an inspected image. `approval` is what people said of it, where the command reports that.
    pub fn checked(name: &str, source: &str, inspection: &Inspection, approval: Approval) -> Self {
        Self::Checked {
            name: name.to_owned(),
            source: source.to_owned(),
            verdict: inspection.verdict,
            faces: inspection.faces.len(),
            reasons: inspection.reasons.iter().map(|r| r.code.to_string()).collect(),
            messages: inspection.reasons.iter().map(|r| r.message.clone()).collect(),
            width: inspection.width,
            height: inspection.height,
            approved: match approval {
                Approval::None => None,
                Approval::Approved => Some(true),
                Approval::Rejected => Some(false),
            },
        }
    }
}
