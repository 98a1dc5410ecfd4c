//! Tells a web server that a run has ended, when `notify.url` is set.
//!
//! The body is the run's summary, as in its NDJSON. Its HMAC-SHA256 under `CASTLINE_NOTIFY_SECRET`, in hex, stands
//! in the header `X-Castline-Signature: sha256=…`, so that the receiver knows who speaks.

use std::time::Duration;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use url::Url;

use crate::event::Summary;

/// The variable that holds the secret.
const SECRET: &str = "CASTLINE_NOTIFY_SECRET";
/// A receiver that takes longer is not waited for: the run is done.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Tells `url` what happened. A receiver that doesn't hear makes no run fail: it is told on stderr.
pub(crate) async fn notify(url: &Url, summary: &Summary, ca_pem: Option<&[u8]>) {
    let secret = std::env::var(SECRET).unwrap_or_default();
    if let Err(problem) = send(url, summary, &secret, ca_pem).await {
        // Without the address: its path may be a secret, as chat services have it.
        tracing::warn!("notify.url was not told: {problem}");
    }
}

async fn send(url: &Url, summary: &Summary, secret: &str, ca_pem: Option<&[u8]>) -> Result<(), String> {
    if secret.trim().is_empty() {
        return Err(format!("export {SECRET}, which signs what is sent"));
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
        status => Err(format!("it answered HTTP {}", status.as_u16())),
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
    async fn the_address_is_not_told_when_it_fails() {
        let url = "https://localhost:9/hook/very-secret".parse().unwrap();
        let message = send(&url, &Summary::default(), "secret", None).await.unwrap_err();
        assert!(!message.contains("very-secret"), "{message}");
    }
}
