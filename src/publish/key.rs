//! Names of published objects: the same bytes always get the same one, and nobody can guess it.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes of the code that are kept: 128 bits can't be guessed, and are 32 digits.
const CODE: usize = 16;

/// `prefix/` + HMAC-SHA256(`secret`, `prepared_sha256`), its first 16 bytes as hexadecimal digits, +
/// `.extension`. A prefix with or without slashes at its ends names the same folder; an empty one none.
///
/// Content-addressed, so that a second upload of the same bytes costs nothing and the key says nothing of names
/// and paths; keyed with a secret of the ledger, so that whoever has a copy of the art can't tell whether and
/// where it is published.
pub fn object_key(prefix: &str, secret: &[u8; 32], prepared_sha256: &[u8; 32], extension: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(prepared_sha256);
    let code = hex::encode(&mac.finalize().into_bytes()[..CODE]);
    match prefix.trim_matches('/') {
        "" => format!("{code}.{extension}"),
        folder => format!("{folder}/{code}.{extension}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_have_one_key_and_another_secret_another() {
        let key = object_key("cast", &[1; 32], &[2; 32], "jpg");
        assert_eq!(key, object_key("cast", &[1; 32], &[2; 32], "jpg"));
        assert_ne!(key, object_key("cast", &[9; 32], &[2; 32], "jpg"));
        assert_ne!(key, object_key("cast", &[1; 32], &[3; 32], "jpg"));
    }

    #[test]
    fn the_key_is_a_keyed_hash_as_documented() {
        // printf '\2%.0s' {1..32} | openssl dgst -sha256 -mac HMAC -macopt hexkey:$(printf '01%.0s' {1..32})
        let key = object_key("/art/cast/", &[1; 32], &[2; 32], "webp");
        assert_eq!(key, "art/cast/7321406e0c880fd92597898beb393af2.webp");
        assert!(!object_key("", &[1; 32], &[2; 32], "png").contains('/'));
    }
}
