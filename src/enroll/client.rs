//! The calls themselves. A paid one is exactly one HTTP request: no redirects, no retries, on a
//! connection of its own, so that no layer below can send it twice.

use std::time::Duration;

use reqwest::redirect::Policy;
use sha2::{Digest, Sha256};
use url::Url;

use super::key::ApiKey;
use super::outcome::{Outcome, classify, reason, unanswered};
use crate::publish::PublicUrl;

/// Longer replies than this are cut off, and so in doubt.
const MAX_REPLY: usize = 1 << 20;

/// Where and how the API is spoken to.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// What the paths of calls are appended to.
    pub base_url: Url,
    /// The key.
    pub key: ApiKey,
    /// How long one call may take.
    pub timeout: Duration,
    /// An extra root certificate, PEM.
    pub ca_pem: Option<Vec<u8>>,
}

/// What is asked of the API for one character.
#[derive(Debug, Clone)]
pub struct EnrollRequest {
    /// The character's name.
    pub name: String,
    /// Where its picture is seen.
    pub image_url: PublicUrl,
}

impl EnrollRequest {
    /// SHA-256 of what is asked, in hex: without the URL's signature, which changes from run to run.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(format!(
            "portrait\n{}\n{}",
            self.name,
            self.image_url.unsigned()
        )))
    }
}

/// The client can't be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTPS client can't be set up: {0}")]
pub struct ClientError(String);

/// Speaks the API.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base_url: Url,
    key: ApiKey,
}

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    /// The extra root certificate is none.
    pub fn new(settings: ApiSettings) -> Result<Self, ClientError> {
        let told = |error: reqwest::Error| ClientError(format!("{error}: {}", reason(&error)));
        let http = crate::tls::http(settings.ca_pem.as_deref())
            .map_err(|e| ClientError(e.to_string()))?
            .https_only(true)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            // A pooled connection that the server has closed makes the layer below send again.
            .pool_max_idle_per_host(0)
            .http1_only()
            .connect_timeout(Duration::from_secs(20).min(settings.timeout))
            .timeout(settings.timeout)
            .build()
            .map_err(told)?;
        Ok(Self {
            http,
            base_url: settings.base_url,
            key: settings.key,
        })
    }

    /// The paid call of a portrait: one request, whatever happens.
    pub async fn enroll_portrait(&self, request: &EnrollRequest) -> Outcome {
        let body = serde_json::json!({ "name": request.name, "image_url": request.image_url.expose() });
        let sent = self
            .http
            .post(self.url("portrait/enroll"))
            .bearer_auth(self.key.expose())
            .json(&body)
            .send()
            .await;
        match sent {
            Ok(response) => answered(response).await,
            Err(error) => unanswered(&error),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base_url.as_str().trim_end_matches('/'))
    }
}

/// Reads a reply to its end; one that breaks off is in doubt.
async fn answered(mut response: reqwest::Response) -> Outcome {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_REPLY => body.extend_from_slice(&chunk),
            Ok(None) => return classify(status, &headers, &body),
            // The status alone decides where nothing was charged; else the reply is lost.
            Ok(Some(_)) | Err(_) if status.is_client_error() => return classify(status, &headers, &body),
            Ok(Some(_)) => {
                let message = format!("the reply is longer than {MAX_REPLY} bytes");
                return Outcome::InDoubt {
                    code: "garbled_reply".to_owned(),
                    message,
                };
            }
            Err(error) => return unanswered(&error),
        }
    }
}
