//! What the ledger holds of a character.

use serde::{Deserialize, Serialize};

use super::{INTERRUPTED, State};
use crate::cast::{Character, Kind, Name};
use crate::inspect::Verdict;
use crate::util::file_stamp::FileStamp;
use crate::util::money::Usd;
use crate::util::provider_ids::ProviderIds;

/// The record of a character.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The name, as in the cast.
    pub name: Name,
    /// How it is enrolled.
    pub kind: Kind,
    /// The state.
    pub state: State,
    /// The image, as in the cast.
    pub source: String,
    /// SHA-256 of the image when it was last seen, in hex.
    pub source_sha256: Option<String>,
    /// The stamp of the file when it was read, if it is a file: as long as it stays, so does the SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_stamp: Option<FileStamp>,
    /// Extra columns of the cast.
    pub extra: Vec<(String, String)>,
    /// The verdict of the inspection of its image.
    pub verdict: Option<Verdict>,
    /// The key of the published object.
    pub object_key: Option<String>,
    /// The public address of the object, without signature.
    pub url: Option<String>,
    /// SHA-256 of the image of the paid call that is in flight or in doubt.
    pub attempted_sha256: Option<String>,
    /// The expected price of that call.
    #[serde(default)]
    pub attempted_price: Option<Usd>,
    /// The transaction that charged the call in doubt, as the chain says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempted_transaction: Option<String>,
    /// The number of paid calls that were intended.
    pub attempts: u32,
    /// The asset id.
    pub asset_id: Option<String>,
    /// SHA-256 of the image that was enrolled.
    pub enrolled_sha256: Option<String>,
    /// How that image was enrolled, whatever the cast says now.
    #[serde(default)]
    pub enrolled_kind: Option<Kind>,
    /// When that image was enrolled, RFC 3339.
    pub enrolled_at: Option<String>,
    /// The price of that enrollment.
    pub price: Option<Usd>,
    /// The receipt, in wallet mode.
    pub settlement: Option<String>,
    /// The provider's own ids of that enrollment.
    #[serde(default, skip_serializing_if = "ProviderIds::is_empty")]
    pub ids: ProviderIds,
    /// Whether a person archived it: engines don't get it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// Whether a person entered the asset id: then another one can be entered in its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// The last call in doubt that a person had repeated: it can still be settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried: Option<Retried>,
    /// Why it was refused, released or is in doubt: a fixed code.
    pub code: Option<String>,
    /// The human-readable reason.
    pub message: Option<String>,
}

/// A call in doubt that was repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retried {
    /// SHA-256 of its image, in hex.
    pub sha256: Option<String>,
    /// Its expected price.
    pub price: Option<Usd>,
}

impl Record {
    /// SHA-256 of the image that was last paid for, or perhaps was: `None` when nothing was paid for, and `Some(None)`
    /// when it is not known which image that was.
    pub fn paid_sha256(&self) -> Option<Option<&str>> {
        match self.state {
            State::Intent | State::InDoubt => Some(self.attempted_sha256.as_deref()),
            _ if self.asset_id.is_some() => Some(self.enrolled_sha256.as_deref()),
            _ => None,
        }
    }

    /// Whether its id is for this image, enrolled in this way.
    pub fn is_enrolled_as(&self, kind: Kind, sha256: &str) -> bool {
        self.asset_id.is_some()
            && self
                .enrolled_sha256
                .as_deref()
                .is_none_or(|enrolled| enrolled == sha256)
            && self.enrolled_kind.unwrap_or(self.kind) == kind
    }

    /// Whether it has failed: refused, in doubt, or a failure that cost nothing.
    pub fn has_failed(&self) -> bool {
        match self.state {
            State::Refused | State::Intent | State::InDoubt => true,
            State::Prepared | State::Published => {
                self.code.as_deref().is_some_and(|code| code != INTERRUPTED)
            }
            State::Seen | State::Unsuitable | State::Enrolled => false,
        }
    }

    /// Whether the last attempt at this image failed at no cost, and not because of an interruption. Without a SHA-256,
    /// the image is the one that was last seen.
    pub fn has_failed_for(&self, sha256: Option<&str>) -> bool {
        matches!(self.state, State::Prepared | State::Published)
            && self.has_failed()
            && sha256.is_none_or(|sha256| self.source_sha256.as_deref() == Some(sha256))
    }

    /// Whether the cast's entry is unchanged since it was last seen, with the same image.
    pub fn is_as_seen(&self, character: &Character, sha256: &str) -> bool {
        self.source_sha256.as_deref() == Some(sha256)
            && self.kind == character.kind
            && self.name == character.name
            && self.source == character.source.given()
            && self.extra == character.extra
    }
}
