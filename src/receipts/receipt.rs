//! A receipt as it is stored: JSON, without secrets and without signed payments.

use serde::{Deserialize, Serialize};

use super::ReceiptError;
use crate::cast::{Kind, Name};
use crate::inspect::{ImageSignature, known_signature};
use crate::ledger::{Call, CallState, FoundCall, ReceiptRef};
use crate::util::money::Usd;
use crate::util::provider_ids::ProviderIds;

/// The version of the form.
const VERSION: u32 = 1;

/// What is known of one paid call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The version of the form.
    pub castline_receipt: u32,
    /// The API that was called.
    pub api: String,
    /// The cast that the character belongs to: the name of its file or folder.
    #[serde(default)]
    pub cast: String,
    /// The name of the character.
    pub name: String,
    /// How it is enrolled.
    pub kind: Kind,
    /// SHA-256 of the image, in hex.
    pub source_sha256: String,
    /// The number of the receipt among those of the same character and image.
    pub number: u32,
    /// The random id of the call.
    pub call: String,
    /// When the call began, RFC 3339.
    pub started_at: String,
    /// The price: as expected, or as reported with the id.
    pub price_usd: Usd,
    /// What became of it.
    pub state: CallState,
    /// When that was known, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// The asset id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset_id: Option<String>,
    /// The reason: a fixed code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Until when the payment signed for it can be charged, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<u64>,
    /// The image, as in the cast.
    #[serde(default)]
    pub source: String,
    /// The address where its image was published, without signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The provider's own ids.
    #[serde(default, skip_serializing_if = "ProviderIds::is_empty")]
    pub ids: ProviderIds,
    /// Extra columns of the cast.
    #[serde(default)]
    pub extra: Vec<(String, String)>,
    /// How the image looks: with it, a re-saved copy under another name is recognized.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "known_signature"
    )]
    pub signature: Option<ImageSignature>,
}

impl Receipt {
    /// The receipt of a call, for the cast with that name at that API.
    pub fn of(call: &Call, api: &str, cast: &str, valid_until: Option<u64>) -> Self {
        let Call { record, receipt, .. } = call;
        Self {
            castline_receipt: VERSION,
            api: api.to_owned(),
            cast: cast.to_owned(),
            name: record.name.as_str().to_owned(),
            kind: call.kind,
            source_sha256: call.source_sha256.clone(),
            number: receipt.number,
            call: receipt.call.clone(),
            started_at: call.started_at.clone(),
            price_usd: call.price,
            state: call.state,
            ended_at: call.ended_at.clone(),
            asset_id: call.asset_id.clone(),
            code: call.code.clone().filter(|code| !code.is_empty()),
            valid_until,
            source: record.source.clone(),
            url: record.url.clone(),
            ids: match call.asset_id.is_some() && call.asset_id == record.asset_id {
                true => record.ids.clone(),
                false => ProviderIds::default(),
            },
            extra: record.extra.clone(),
            signature: call.signature,
        }
    }

    /// The call that it tells of, as the ledger takes it over.
    pub fn found(&self) -> FoundCall {
        FoundCall {
            receipt: Some(ReceiptRef {
                number: self.number,
                call: self.call.clone(),
            }),
            kind: self.kind,
            source: self.source.clone(),
            source_sha256: self.source_sha256.clone(),
            price: self.price_usd,
            at: self.ended_at.clone().unwrap_or_else(|| self.started_at.clone()),
            asset_id: self
                .asset_id
                .clone()
                .filter(|_| self.state == CallState::Enrolled),
            url: self.url.clone(),
            ids: self.ids.clone(),
            extra: self.extra.clone(),
            signature: self.signature,
        }
    }

    /// Whether a person has settled the call of the receipt `there` after having repeated it, or has entered another id.
    pub(super) fn corrects(&self, there: &Self) -> bool {
        let by_a_person = self.code.as_deref() == Some("adopted");
        match there.state {
            CallState::Retried => matches!(self.state, CallState::Enrolled | CallState::NotCharged),
            CallState::Enrolled => by_a_person && self.state == CallState::Enrolled,
            _ => false,
        }
    }

    pub(super) fn name_key(&self) -> String {
        Name::new(&self.name).map_or_else(|_| self.name.clone(), |name| name.key().as_str().to_owned())
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a receipt is plain data")
    }

    /// Reads what is stored under `key`.
    ///
    /// # Errors
    /// It is not a receipt, or one of a newer castline.
    pub(super) fn read(key: &str, json: &[u8]) -> Result<Self, ReceiptError> {
        let damaged = |problem: String| ReceiptError::Damaged {
            key: key.to_owned(),
            problem,
        };
        let receipt: Self = serde_json::from_slice(json).map_err(|e| damaged(e.to_string()))?;
        if receipt.castline_receipt > VERSION {
            return Err(damaged(format!(
                "version {}: update castline",
                receipt.castline_receipt
            )));
        }
        if Name::new(&receipt.name).is_err() {
            return Err(damaged("its name is not one".to_owned()));
        }
        if receipt.state == CallState::Enrolled && receipt.asset_id.as_deref().unwrap_or_default().is_empty()
        {
            return Err(damaged("it has no asset id".to_owned()));
        }
        Ok(receipt)
    }
}
