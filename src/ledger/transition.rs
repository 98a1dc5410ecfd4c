//! What can happen to a character.

use crate::cast::{Character, Kind};
use crate::inspect::{Inspection, Verdict};
use crate::util::money::Usd;

/// The code of a call that was left when its run ended, by no fault of its own.
pub const INTERRUPTED: &str = "interrupted";

/// What one paid call may not exceed; checked in the same transaction that writes the intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// For one run.
    pub run: Option<Usd>,
    /// For all runs of this ledger.
    pub life: Option<Usd>,
}

/// What happens to a character.
#[derive(Debug, Clone, PartialEq)]
pub enum Transition {
    /// It stands in the cast, with this image.
    See {
        /// How it is enrolled.
        kind: Kind,
        /// The image, as the cast gives it.
        source: String,
        /// The image's SHA-256, in hex.
        sha256: String,
        /// Extra columns.
        extra: Vec<(String, String)>,
    },
    /// Its image was judged.
    Judge {
        /// What the eye said.
        verdict: Verdict,
        /// Whether it goes on: suitable, or unsure and approved.
        goes_on: bool,
        /// Why not.
        code: Option<String>,
        /// The same for people.
        message: Option<String>,
    },
    /// Its image has a public address.
    Publish {
        /// The object.
        object_key: String,
        /// The address, without signature.
        url: String,
    },
    /// It could not be published; nothing was charged.
    Fail {
        /// A fixed code.
        code: String,
        /// For people.
        message: String,
    },
    /// A paid call is about to leave.
    Intend {
        /// SHA-256 of what is asked, in hex.
        request_digest: String,
        /// What it is expected to cost.
        price: Usd,
        /// What may not be exceeded.
        budget: Budget,
        /// The signed authorization, in wallet mode.
        payment: Option<String>,
    },
    /// The API gave an id.
    Enrolled {
        /// The id.
        asset_id: String,
        /// What it cost.
        price: Usd,
        /// Whether the API told so; else it is what was expected.
        priced: bool,
        /// The receipt, in wallet mode.
        settlement: Option<String>,
        /// When, RFC 3339.
        at: String,
    },
    /// The API refused; nothing was charged.
    Refuse {
        /// A fixed code.
        code: String,
        /// For people.
        message: String,
        /// Whether what was signed for the call could still be charged: it counts as spent as long as that.
        valid: bool,
    },
    /// The call provably never left, or was turned away unpaid: it may be made again.
    Release {
        /// A fixed code.
        code: String,
        /// For people.
        message: String,
    },
    /// The call was turned away unpaid, but what was signed for it is valid: it counts as spent, and the next call is
    /// made with it.
    SetAside {
        /// A fixed code.
        code: String,
        /// For people.
        message: String,
    },
    /// The outcome is unknown.
    Doubt {
        /// A fixed code.
        code: String,
        /// For people.
        message: String,
    },
    /// A person settles a doubt.
    Resolve(Resolution),
    /// An id is brought from a manifest into an empty ledger.
    Import {
        /// How it was enrolled.
        kind: Kind,
        /// The image, as the cast gave it.
        source: String,
        /// The enrolled image's SHA-256, if the manifest tells it.
        sha256: Option<String>,
        /// The id.
        asset_id: String,
        /// What it cost.
        price: Option<Usd>,
        /// When, RFC 3339.
        at: Option<String>,
        /// Where its image was published.
        url: Option<String>,
        /// Extra columns.
        extra: Vec<(String, String)>,
    },
}

/// How a person settles a doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// Send it again, and accept that it may cost twice. The doubt stays counted as spent.
    Retry,
    /// It was enrolled, and this is its id.
    Adopt {
        /// The id.
        asset_id: String,
        /// When, RFC 3339.
        at: String,
    },
    /// It was not enrolled and not charged.
    Forget,
}

impl Transition {
    /// The doubt of a call that castline did not live to see the end of.
    pub fn interrupted() -> Self {
        Self::Doubt {
            code: INTERRUPTED.to_owned(),
            message: "castline ended while this call was under way; it may have been charged".to_owned(),
        }
    }

    /// It stands in the cast, with this image.
    pub fn see(character: &Character, sha256: &str) -> Self {
        Self::See {
            kind: character.kind,
            source: character.source.given().to_owned(),
            sha256: sha256.to_owned(),
            extra: character.extra.clone(),
        }
    }

    /// Its image was judged.
    pub fn judge(inspection: &Inspection, goes_on: bool) -> Self {
        let codes: Vec<String> = inspection.reasons.iter().map(|r| r.code.to_string()).collect();
        let messages: Vec<&str> = inspection.reasons.iter().map(|r| r.message.as_str()).collect();
        let text = !goes_on && !codes.is_empty();
        Self::Judge {
            verdict: inspection.verdict,
            goes_on,
            code: text.then(|| codes.join(",")),
            message: text.then(|| messages.join("; ")),
        }
    }

    /// What it does, for errors.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::See { .. } => "be seen",
            Self::Judge { .. } => "be judged",
            Self::Publish { .. } => "be published",
            Self::Fail { .. } => "fail to be published",
            Self::Intend { .. } => "be paid for",
            Self::Enrolled { .. } => "be enrolled",
            Self::Refuse { .. } => "be refused",
            Self::Release { .. } => "be released",
            Self::SetAside { .. } => "be set aside",
            Self::Doubt { .. } => "come into doubt",
            Self::Resolve(_) => "be resolved",
            Self::Import { .. } => "be imported",
        }
    }
}
