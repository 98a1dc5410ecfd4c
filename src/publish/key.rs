//! Names of published objects: the same bytes always get the same one, and nobody can guess it.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// `prefix` + HMAC-SHA256(`secret`, SHA-256 of the bytes), 32 hex digits of it, + `.extension`.
///
/// Content-addressed, so that a second upload of the same bytes costs nothing; keyed with a secret of the
/// ledger, so that whoever has a copy of the art can't tell whether and where it is published.
pub fn object_key(prefix: &str, secret: &[u8; 32], sha256: &[u8; 32], extension: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(sha256);
    let code = hex::encode(&mac.finalize().into_bytes()[..16]);
    format!("{prefix}{code}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_have_one_key_and_another_secret_another() {
        let key = object_key("cast/", &[1; 32], &[2; 32], "jpg");
        assert_eq!(key, object_key("cast/", &[1; 32], &[2; 32], "jpg"));
        assert_ne!(key, object_key("cast/", &[9; 32], &[2; 32], "jpg"));
        assert_ne!(key, object_key("cast/", &[1; 32], &[3; 32], "jpg"));
        assert!(
            key.starts_with("cast/") && key.ends_with(".jpg") && key.len() == 5 + 32 + 4,
            "{key}"
        );
    }
}
