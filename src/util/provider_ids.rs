//! The provider's own ids of an enrollment.

use serde::{Deserialize, Serialize};

/// The provider's own ids of an enrollment for its support, and for what it may offer later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderIds {
    /// The group that the asset belongs to: other looks of the same person can join it where a provider offers that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// The id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl ProviderIds {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
