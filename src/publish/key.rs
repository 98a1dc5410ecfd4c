//! Keys of published objects: stable for the same bytes, and impossible to guess.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes of the HMAC that are kept: 128 bits can't be guessed, and give 32 digits.
const CODE: usize = 16;

/// The object key of an image: `prefix/` + the first 16 bytes of HMAC-SHA256(`secret`, `prepared_sha256`) in
/// hexadecimal + `.extension`. Slashes at the ends of the prefix are ignored; an empty prefix means no folder.
///
/// The key is content-addressed, so that uploading the same bytes again costs nothing and the key reveals no names
/// or paths. It is keyed with a secret of the ledger, so that someone with a copy of the art can't find out whether
/// and where it is published.
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
