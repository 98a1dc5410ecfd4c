//! The events of a character.

use super::ReceiptRef;
use crate::cast::{Character, Kind, Name, printable};
use crate::inspect::{ImageSignature, Inspection, Verdict};
use crate::util::file_stamp::FileStamp;
use crate::util::money::Usd;
use crate::util::provider_ids::ProviderIds;

/// The code of a call that was in flight when its run ended, and did not itself fail.
pub const INTERRUPTED: &str = "interrupted";

/// The limits on what paid calls may spend; checked in the same transaction that writes the intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// The limit of one run.
    pub run: Option<Usd>,
    /// The limit of all runs of this ledger.
    pub life: Option<Usd>,
    /// The limit of all ledgers of the account in one database.
    pub account: Option<Usd>,
}

/// An event of a character.
#[derive(Debug, Clone, PartialEq)]
pub enum Transition {
    /// It is in the cast, with this image.
    See {
        /// How it is enrolled.
        kind: Kind,
        /// The image, as in the cast.
        source: String,
        /// The image's SHA-256, in hex.
        sha256: String,
        /// Extra columns.
        extra: Vec<(String, String)>,
    },
    /// The file of its image was read, and has the SHA-256 of [`Transition::See`] as long as this stamp is the file's.
    Stamp(FileStamp),
    /// Its image was inspected.
    Judge {
        /// The verdict of the inspection.
        verdict: Verdict,
        /// Whether it continues: suitable, or needs review and is approved.
        goes_on: bool,
        /// Why it does not continue: a fixed code.
        code: Option<String>,
        /// The human-readable reason.
        message: Option<String>,
    },
    /// Its image has a public address.
    Publish {
        /// The key of the object.
        object_key: String,
        /// The address, without signature.
        url: String,
    },
    /// It could not be published; nothing was charged.
    Fail {
        /// A fixed code.
        code: String,
        /// The human-readable message.
        message: String,
    },
    /// A paid call is about to be sent.
    Intend {
        /// SHA-256 of the request, in hex.
        request_digest: String,
        /// The expected price.
        price: Usd,
        /// The limits that must not be exceeded.
        budget: Budget,
        /// The signed authorization, in wallet mode.
        payment: Option<String>,
        /// Its receipt in the bucket, unless receipts are off.
        receipt: Option<ReceiptRef>,
    },
    /// The API returned an id.
    Enrolled {
        /// The asset id.
        asset_id: String,
        /// The price.
        price: Usd,
        /// Whether the API reported the price; else it is the expected one.
        priced: bool,
        /// The receipt, in wallet mode.
        settlement: Option<String>,
        /// The provider's own ids.
        ids: ProviderIds,
        /// When it was enrolled, RFC 3339.
        at: String,
    },
    /// The API refused; nothing was charged.
    Refuse {
        /// A fixed code.
        code: String,
        /// The human-readable message.
        message: String,
        /// Whether the payment signed for the call can still be charged: until then it counts as spent.
        valid: bool,
    },
    /// The call was provably never sent, or was rejected unpaid: it may be repeated.
    Release {
        /// A fixed code.
        code: String,
        /// The human-readable message.
        message: String,
    },
    /// The call was rejected unpaid, but the payment signed for it is valid: it counts as spent, and the next call is
    /// made with it.
    SetAside {
        /// A fixed code.
        code: String,
        /// The human-readable message.
        message: String,
    },
    /// The outcome is unknown.
    Doubt {
        /// A fixed code.
        code: String,
        /// The human-readable message.
        message: String,
    },
    /// What became of a call that is in doubt since another process took the ledger over: its reply came late.
    Late(Box<Self>),
    /// A person settles a doubt.
    Resolve(Resolution),
    /// A receipt in the bucket says that a call was made that this ledger does not know, or what became of one.
    Found {
        /// The call.
        call: Box<FoundCall>,
        /// When it was found, RFC 3339.
        at: String,
    },
    /// An id is imported from a manifest into an empty ledger.
    Import {
        /// How it was enrolled.
        kind: Kind,
        /// The image, as in the cast.
        source: String,
        /// SHA-256 of the enrolled image, if the manifest has it.
        sha256: Option<String>,
        /// The asset id.
        asset_id: String,
        /// The price.
        price: Option<Usd>,
        /// When it was enrolled, RFC 3339.
        at: Option<String>,
        /// The address where its image was published.
        url: Option<String>,
        /// The provider's own ids.
        ids: ProviderIds,
        /// Extra columns.
        extra: Vec<(String, String)>,
    },
}

/// A paid call that a receipt in the bucket tells of.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundCall {
    /// Its receipt; `None` for a call that this ledger knows: of this character, or of another cast.
    pub receipt: Option<ReceiptRef>,
    /// How the character was enrolled.
    pub kind: Kind,
    /// The image, as in the cast.
    pub source: String,
    /// SHA-256 of the image, in hex.
    pub source_sha256: String,
    /// The price.
    pub price: Usd,
    /// When it was enrolled, or its call began, RFC 3339.
    pub at: String,
    /// The asset id; `None` while its outcome is unknown.
    pub asset_id: Option<String>,
    /// The address where its image was published, without signature.
    pub url: Option<String>,
    /// The provider's own ids.
    pub ids: ProviderIds,
    /// Extra columns.
    pub extra: Vec<(String, String)>,
    /// How the image looks, if the receipt tells.
    pub signature: Option<ImageSignature>,
}

/// How a person settles a doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// Repeat the call, and accept that it may cost twice. The doubt remains counted as spent.
    Retry,
    /// It was enrolled with this id: a call in doubt, one that was repeated since, or one whose id was entered wrong.
    Adopt {
        /// The asset id.
        asset_id: String,
        /// When it was enrolled, RFC 3339.
        at: String,
    },
    /// The chain says that the payment of the call in doubt was never charged, and can't be any more.
    Unused,
    /// The chain says that the payment of the call in doubt was charged: its id must be found.
    Charged {
        /// The transaction, if a node found it.
        transaction: Option<String>,
    },
    /// It was not enrolled and not charged: a call in doubt, or one that was repeated since.
    Forget {
        /// Whether the payment signed for the call can still be charged: until then it counts as spent, and the next
        /// call is made with it.
        valid: bool,
    },
}

impl Transition {
    /// The doubt of a call whose end castline did not see.
    pub fn interrupted() -> Self {
        Self::Doubt {
            code: INTERRUPTED.to_owned(),
            message: "castline ended while this call was under way; it may have been charged".to_owned(),
        }
    }

    /// The doubt of a call whose reply has the id of another character: one asset is one character.
    pub(super) fn id_of_another(asset_id: &str, owner: &Name) -> Self {
        Self::Doubt {
            code: "id_of_another".to_owned(),
            message: format!(
                "the API answered with {}, which is the id of {}",
                printable(asset_id),
                printable(owner.as_str())
            ),
        }
    }

    /// It is in the cast, with this image.
    pub fn see(character: &Character, sha256: &str) -> Self {
        Self::See {
            kind: character.kind,
            source: character.source.given().to_owned(),
            sha256: sha256.to_owned(),
            extra: character.extra.clone(),
        }
    }

    /// Its image was inspected.
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

    /// Whether it tells what became of a paid call.
    pub(super) fn is_outcome(&self) -> bool {
        matches!(
            self,
            Self::Enrolled { .. } | Self::Refuse { .. } | Self::Release { .. } | Self::Doubt { .. }
        )
    }

    /// The name of the transition, for errors.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::See { .. } => "be seen",
            Self::Stamp(_) => "be stamped",
            Self::Judge { .. } => "be judged",
            Self::Publish { .. } => "be published",
            Self::Fail { .. } => "fail to be published",
            Self::Intend { .. } => "be paid for",
            Self::Enrolled { .. } => "be enrolled",
            Self::Refuse { .. } => "be refused",
            Self::Release { .. } => "be released",
            Self::SetAside { .. } => "be set aside",
            Self::Doubt { .. } => "come into doubt",
            Self::Late(_) => "get a late reply",
            Self::Resolve(_) => "be resolved",
            Self::Found { .. } => "be found in the bucket",
            Self::Import { .. } => "be imported",
        }
    }
}
