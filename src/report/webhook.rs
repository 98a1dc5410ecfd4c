//! Notifies a web server that a run has ended, when `notify.url` is set.
//!
//! The body is the run's summary, as in its NDJSON. Its HMAC-SHA256 with the key `CASTLINE_NOTIFY_SECRET`, in hex, is
//! in the header `X-Castline-Signature: sha256=…`, so that the receiver can verify the sender.

use std::time::Duration;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use url::Url;

use crate::event::Summary;

/// The environment variable with the secret.
const SECRET: &str = "CASTLINE_NOTIFY_SECRET";
/// The time limit for the receiver: the run is already done.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Posts the summary to `url`. A failed delivery is reported on stderr, but doesn't fail the run.
pub(crate) async fn notify(url: &Url, summary: &Summary, ca_pem: Option<&[u8]>) {
    let secret = std::env::var(SECRET).unwrap_or_default();
    if let Err(problem) = send(url, summary, &secret, ca_pem).await {
        // The address is left out: its path may be a secret, as with chat services.
        tracing::warn!("the webhook was not delivered: {problem}");
    }
}

async fn send(url: &Url, summary: &Summary, secret: &str, ca_pem: Option<&[u8]>) -> Result<(), String> {
    if secret.trim().is_empty() {
        return Err(format!("export {SECRET}, which signs the request"));
    }
    let body = serde_json::to_vec(summary).expect("a summary is plain data");
    let client = crate::net::tls::http(ca_pem).map_err(|e| e.to_string())?;
    let client = client
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()
        .map_err(|e| e.without_url().to_string())?;
    let reply = client
        .post(url.clone())
        .header("content-type", "application/json")
        .header("x-castline-signature", signature(secret.trim(), &body))
        .body(body)
        .send()
        .await
        .map_err(|e| e.without_url().to_string())?;
    match reply.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("the server answered HTTP {}", status.as_u16())),
    }
}

/// `sha256=` and the HMAC-SHA256 of `body` under `secret`, in hex.
fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        // Test case 2 of RFC 4231.
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature("Jefe", b"what do ya want for nothing?"), expected);
    }

    #[tokio::test]
    async fn nothing_is_sent_unsigned() {
        let url = "https://localhost:9/hook".parse().unwrap();
        let message = send(&url, &Summary::default(), " ", None).await.unwrap_err();
        assert!(message.contains("CASTLINE_NOTIFY_SECRET"), "{message}");
    }

    #[tokio::test]
    async fn the_address_is_not_reported_when_it_fails() {
        let url = "https://localhost:9/hook/very-secret".parse().unwrap();
        let message = send(&url, &Summary::default(), "secret", None).await.unwrap_err();
        assert!(!message.contains("very-secret"), "{message}");
    }
}
