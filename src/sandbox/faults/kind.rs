//! The faults of a paid call.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::FaultsError;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $charged:literal;)+) => {
        /// A fault of a paid call. The names are those of the configuration and the logs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum FaultKind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in the configuration: `500-charged`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Whether money moves, and an asset is created, before the fault occurs.
            pub const fn charged(self) -> bool {
                match self { $(Self::$variant => $charged,)+ }
            }
        }
    };
}

kinds! {
    /// No fault; useful in a script.
    None = "none", true;
    /// The connection is reset before the TLS handshake: the request was provably never sent. Drawn per connection, not
    /// per call, and for every path of the API's port: at 100 percent nobody gets through, not even to change the
    /// faults.
    Refuse = "refuse", false;
    /// A reset while the request's body is still unread.
    ResetBeforeRead = "reset-before-read", false;
    /// A reset after the request was read, before anything is charged.
    ResetBeforeCharge = "reset", false;
    /// The connection is closed normally, without a reply and without a charge.
    CloseBeforeCharge = "close", false;
    /// No reply until the stall is over; nothing is charged.
    Stall = "stall", false;
    /// 500, not charged.
    Http500 = "500", false;
    /// 502, not charged.
    Http502 = "502", false;
    /// 503, not charged.
    Http503 = "503", false;
    /// 504, not charged.
    Http504 = "504", false;
    /// 500 although the call was charged.
    Http500Charged = "500-charged", true;
    /// 502 although the call was charged.
    Http502Charged = "502-charged", true;
    /// 503 although the call was charged.
    Http503Charged = "503-charged", true;
    /// 504 although the call was charged.
    Http504Charged = "504-charged", true;
    /// Charged, then a reset in place of the reply.
    ResetAfterCharge = "reset-charged", true;
    /// Charged, then a normal close in place of the reply.
    CloseAfterCharge = "close-charged", true;
    /// Charged, then no reply until the stall is over.
    StallCharged = "stall-charged", true;
    /// Charged, then a reset in the middle of the reply.
    ResetDuringReply = "reset-during-reply", true;
    /// Charged, then a reply that is shorter than its length.
    Truncated = "truncated", true;
    /// Charged, then 200 with HTML.
    Garbage = "garbage", true;
    /// Charged, then 200 without a body.
    Empty = "empty", true;
    /// Charged, then 200 with JSON that has no `asset_id`.
    NoAssetId = "no-asset-id", true;
    /// 200 that carries an error, not charged.
    ErrorIn200 = "error-in-200", false;
    /// 200 that carries an error although the call was charged.
    ErrorIn200Charged = "error-in-200-charged", true;
    /// 307 to the same call, not charged: a client that follows it has sent two paid calls.
    Redirect = "redirect", false;
    /// 429, with `Retry-After` in the configured form.
    RateLimited = "429", false;
    /// 401: the key is refused.
    Unauthorized = "401", false;
    /// 403: the key is refused.
    Forbidden = "403", false;
    /// 402 `insufficient_balance`.
    InsufficientBalance = "402", false;
    /// 429 `quota_exceeded`: no more assets; waiting doesn't help.
    Quota = "quota", false;
    /// 403 `quota_exceeded`.
    QuotaForbidden = "quota-403", false;
    /// 400 `invalid_image_url`.
    InvalidImageUrl = "invalid-image-url", false;
    /// 422 `image_rejected`.
    ImageRejected = "422", false;
    /// 422 `face_match_failed`.
    FaceMatchFailed = "face-match-failed", false;
    /// 425 `liveness_incomplete`.
    LivenessIncomplete = "425", false;
    /// 404 `group_not_found`.
    GroupNotFound = "404", false;
    /// 400 `session_expired`.
    SessionExpired = "session-expired", false;
    /// 402 `PAYMENT_REPLAY` although the call was charged, as after a lost settlement.
    PaymentReplay = "payment-replay", true;
    /// 402 `chain_timeout` although the call was charged.
    ChainTimeout = "chain-timeout", true;
    /// Charged, then 200 with the asset id under another character's name.
    OtherName = "other-name", true;
    /// Charged, then 200 with the asset id of the very first charge.
    SameId = "same-id", true;
    /// 402 that says nothing of the payment, in the words of middlewares in turn; not charged.
    PaymentUnclear = "402-unclear", false;
    /// The same although the call was charged, as when a facilitator's reply is lost after it was broadcast.
    PaymentUnclearCharged = "402-unclear-charged", true;
    /// 402 `invalid_signature`.
    InvalidSignature = "invalid-signature", false;
    /// 402 `amount_mismatch`.
    AmountMismatch = "amount-mismatch", false;
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for FaultKind {
    type Err = FaultsError;

    fn from_str(name: &str) -> Result<Self, FaultsError> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| FaultsError::Unknown(name.to_owned()))
    }
}

impl TryFrom<String> for FaultKind {
    type Error = FaultsError;

    fn try_from(name: String) -> Result<Self, FaultsError> {
        name.parse()
    }
}

impl From<FaultKind> for String {
    fn from(kind: FaultKind) -> Self {
        kind.name().to_owned()
    }
}
