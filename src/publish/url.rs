//! A public address whose signature can't be printed.

use std::fmt;

use url::Url;

/// Where a picture is seen. Its query — a signature, when presigned — is only given out for calls.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// An address, signed or not.
    pub fn new(url: Url) -> Self {
        Self(url)
    }

    /// The address without its query: for ledgers, manifests and people.
    pub fn unsigned(&self) -> String {
        let mut url = self.0.clone();
        url.set_query(None);
        url.into()
    }

    /// The whole address: for the API and the probe alone.
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.unsigned())
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicUrl({})", self.unsigned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_never_printed() {
        let url = PublicUrl::new(
            "https://b.s3.example/k.jpg?X-Amz-Signature=canary"
                .parse()
                .unwrap(),
        );
        assert!(!format!("{url} {url:?} {}", url.unsigned()).contains("canary"));
        assert!(url.expose().contains("canary"));
    }
}
