//! The paid call for a portrait.

use super::client::Client;
use super::outcome::{Outcome, classify, for_image, for_name};
use super::transport::CallResult;
use crate::net::public_url::PublicUrl;
use crate::util::sha256::sha256_hex;

/// The request to enroll one character.
#[derive(Debug, Clone)]
pub struct EnrollRequest {
    /// The character's name, 1–64 characters.
    pub name: String,
    /// The public address of its image.
    pub image_url: PublicUrl,
}

impl EnrollRequest {
    /// SHA-256 of the request as 64 hexadecimal digits, without the address's signature, which changes from run to
    /// run.
    pub fn digest(&self) -> String {
        let asked = serde_json::json!([self.name, self.image_url.unsigned()]);
        sha256_hex(asked.to_string().as_bytes())
    }

    pub(super) fn body(&self) -> serde_json::Value {
        serde_json::json!({ "name": self.name, "image_url": self.image_url.expose() })
    }

    /// The body for a real actor.
    pub(super) fn body_of(&self, group_id: &str) -> serde_json::Value {
        let mut body = self.body();
        body["group_id"] = group_id.into();
        body
    }
}

impl Client {
    /// Makes the paid call for a portrait: exactly one request, whatever its outcome. Repeat it only after
    /// [`Outcome::Retry`].
    ///
    /// Dropping the future after it was polled leaves the call in doubt: the request may be on its way.
    pub async fn enroll_portrait(&self, request: &EnrollRequest) -> Outcome {
        let call = self.post("portrait/enroll", &request.body());
        let answer = self.once(call, request.image_url.signature()).await;
        self.judged(&answer, classify(&answer, &self.provider), request)
    }

    /// The outcome of a paid call for this request: checked for its name, with what to do about its image, and without
    /// secrets.
    pub(super) fn judged(&self, answer: &CallResult, outcome: Outcome, request: &EnrollRequest) -> Outcome {
        let outcome = for_image(for_name(answer, outcome, &request.name), &request.image_url);
        self.without_secrets(outcome, request.image_url.signature())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(name: &str, url: &str) -> String {
        let image_url = PublicUrl::new(url.parse().unwrap());
        EnrollRequest {
            name: name.to_owned(),
            image_url,
        }
        .digest()
    }

    #[test]
    fn the_digest_tells_requests_apart_but_not_signatures() {
        let one = digest("Ada", "https://b.example/k.jpg");
        assert_eq!(one, digest("Ada", "https://b.example/k.jpg?X-Amz-Signature=1"));
        assert_ne!(one, digest("Bo", "https://b.example/k.jpg"));
        assert_ne!(one, digest("Ada", "https://b.example/l.jpg"));
        assert_eq!(one.len(), 64);
    }
}
