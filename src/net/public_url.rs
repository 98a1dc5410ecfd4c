//! Public URLs whose signature can't be printed.

use std::fmt;

use serde::{Serialize, Serializer};
use url::Url;

/// The public URL of an image. Its query, which is a signature if it is presigned, is only exposed for requests:
/// `Display`, `Debug` and serde omit it.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// A URL, signed or not. The fragment is dropped, because servers never receive it.
    pub fn new(mut url: Url) -> Self {
        url.set_fragment(None);
        Self(url)
    }

    /// The URL without its query, for ledgers, manifests and messages.
    pub fn unsigned(&self) -> String {
        let mut url = self.0.clone();
        url.set_query(None);
        url.into()
    }

    /// The whole URL, only for the API and the probe.
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    /// The query, which must not be shown; empty when there is none.
    pub(crate) fn signature(&self) -> &str {
        self.0.query().unwrap_or_default()
    }

    pub(crate) fn url(&self) -> &Url {
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

impl Serialize for PublicUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.unsigned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_never_printed() {
        let url = PublicUrl::new(
            "https://b.example/k.jpg?X-Amz-Signature=canary#canary"
                .parse()
                .unwrap(),
        );
        let json = serde_json::to_string(&url).unwrap();
        let shown = format!("{url} {url:?} {url:#?} {} {json}", url.unsigned());
        assert!(
            !shown.contains("canary") && shown.contains("https://b.example/k.jpg"),
            "{shown}"
        );
        assert_eq!(url.expose(), "https://b.example/k.jpg?X-Amz-Signature=canary");
    }
}
