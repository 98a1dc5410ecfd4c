//! In what providers of this API differ.

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

/// What a provider promises beyond the API itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// The 5xx statuses that it promises not to charge for. Calls that end in them may be made again; all
    /// other 5xx leave doubt.
    pub uncharged: Vec<u16>,
}

impl Provider {
    /// JarvisClaw: settles before it forwards, so that every 5xx leaves doubt.
    pub fn jarvisclaw() -> Self {
        Self {
            uncharged: Vec::new(),
        }
    }

    /// BlockRun: promises no charge on 502.
    pub fn blockrun() -> Self {
        Self { uncharged: vec![502] }
    }

    pub(super) fn promises_no_charge(&self, status: StatusCode) -> bool {
        // The promise can only be made for 5xx: everything else has its fixed meaning.
        status.is_server_error() && self.uncharged.contains(&status.as_u16())
    }
}

impl Default for Provider {
    fn default() -> Self {
        Self::jarvisclaw()
    }
}
