//! Secrets that are derived from keys.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Derives a secret for `purpose` from a key: HMAC-SHA256. The key can't be found from it.
pub(crate) fn derive(key: &[u8], purpose: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(purpose.as_bytes());
    mac.finalize().into_bytes().into()
}
