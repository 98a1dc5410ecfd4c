//! The names of receipts: the same on every machine that has the payer's key, and impossible to guess without it.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::cast::Kind;

/// Bytes of an HMAC that are kept in a name: 128 bits can't be guessed.
const NAME: usize = 16;
/// Bytes of the fingerprint: enough to tell the keys of a studio apart.
const FINGERPRINT: usize = 8;

/// A secret derived from the API key or the wallet's private key. `Debug` shows only its fingerprint.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceiptSecret([u8; 32]);

impl ReceiptSecret {
    /// A secret from 32 bytes that were derived from the payer's key.
    pub fn new(derived: [u8; 32]) -> Self {
        Self(derived)
    }

    /// 16 hexadecimal digits that tell payers apart, and tell nothing of their keys.
    pub fn fingerprint(&self) -> String {
        hex::encode(&self.mac(&[b"fingerprint"])[..FINGERPRINT])
    }

    /// The name of the object of a receipt, without folder and extension: 32 hexadecimal digits.
    pub(super) fn object_name(
        &self,
        api: &str,
        name_key: &str,
        kind: Kind,
        sha256: &str,
        number: u32,
    ) -> String {
        let number = number.to_string();
        let parts = [
            b"receipt",
            api.as_bytes(),
            name_key.as_bytes(),
            kind.as_str().as_bytes(),
            sha256.as_bytes(),
            number.as_bytes(),
        ];
        hex::encode(&self.mac(&parts)[..NAME])
    }

    /// HMAC-SHA256 of the parts, each after its length, so that no two lists of parts give the same bytes.
    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for ReceiptSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiptSecret({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_changes_the_name_and_a_key_is_never_shown() {
        let secret = ReceiptSecret::new([7; 32]);
        let name = |api: &str, name: &str, kind, sha256: &str, number| {
            secret.object_name(api, name, kind, sha256, number)
        };
        let all = [
            name("https://a", "mira", Kind::Portrait, "aa", 1),
            name("https://b", "mira", Kind::Portrait, "aa", 1),
            name("https://a", "bo", Kind::Portrait, "aa", 1),
            name("https://a", "mira", Kind::RealFace, "aa", 1),
            name("https://a", "mira", Kind::Portrait, "ab", 1),
            name("https://a", "mira", Kind::Portrait, "aa", 2),
            name("https://am", "ira", Kind::Portrait, "aa", 1),
            ReceiptSecret::new([8; 32]).object_name("https://a", "mira", Kind::Portrait, "aa", 1),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|name| name.len() == 32));
        assert!(!format!("{secret:?}").contains(&hex::encode([7; 32])));
    }
}
