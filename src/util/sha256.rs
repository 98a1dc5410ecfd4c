//! SHA-256 of whole files. `ring` hashes with the processor's vector instructions where it has no instructions for
//! SHA-256; the `sha2` crate does not, and took a sixth of the time of a large PNG.

use ring::digest::{SHA256, digest};

/// The SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest(&SHA256, bytes);
    *digest.as_ref().first_chunk().expect("a SHA-256 has 32 bytes")
}

/// The SHA-256 of `bytes`, in lower-case hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(sha256(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_sha_256() {
        // The second example of FIPS 180-4.
        let of = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        let expected = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
        assert_eq!(super::sha256_hex(of), expected);
    }
}
