//! Requests a published image as the API will: without credentials, before anything is paid for.

use std::time::Duration;

use reqwest::StatusCode;

use super::fetch::Fetcher;
use crate::net::anonymous::{Trouble, content_type, trouble};
use crate::net::public_url::PublicUrl;

/// The pauses before the second and third attempt: a CDN may take a moment to serve a new object.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1200)];

/// The largest image that the API accepts, in bytes.
const LONGEST: usize = 10_000_000;

/// Why the API could not fetch an image. The URL's signature is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url} {}: {problem}", if *.code == "serves_anything" { "serves anything" } else { "is not publicly readable" })]
pub struct ProbeError {
    code: &'static str,
    url: String,
    problem: String,
    fatal: bool,
}

impl ProbeError {
    /// A fixed code: `not_public`, `access_denied`, `unreachable`, `http_status`, `not_a_picture` or `serves_anything`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Whether the other images of the bucket are unreadable too, so that the run should stop.
    pub fn is_fatal(&self) -> bool {
        self.fatal
    }
}

impl Fetcher {
    /// Reads what `url` serves to anonymous clients: 200 over HTTPS from a public host, an image type, and the first
    /// bytes of a JPEG, PNG or WebP. Transient errors are tried three times in all.
    ///
    /// # Errors
    /// The URL does not; the message says how to fix it.
    pub async fn probe(&self, url: &PublicUrl) -> Result<Vec<u8>, ProbeError> {
        let mut pauses = RETRY_PAUSES.iter();
        loop {
            let error = match self.look(url).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            match (error, pauses.next()) {
                (Failure::Trouble(trouble), Some(pause)) if trouble.is_passing() => {
                    tokio::time::sleep(*pause).await;
                }
                (error, _) => return Err(error.into_probe_error(url)),
            }
        }
    }

    /// Checks that `url`, where nothing was ever written, serves no image: behind such an address every character would
    /// be enrolled with the same placeholder once its own image is gone.
    ///
    /// # Errors
    /// It serves one.
    pub async fn check_unwritten(&self, url: &PublicUrl) -> Result<(), ProbeError> {
        match self.look(url).await {
            Err(_) => Ok(()),
            Ok(_) => Err(ProbeError {
                code: "serves_anything",
                url: url.unsigned(),
                problem: "an image is served at this address, where nothing was ever uploaded; turn off the \
                          placeholder of the CDN, or set s3.public_base_url to one that answers 404 there"
                    .to_owned(),
                fatal: true,
            }),
        }
    }

    async fn look(&self, url: &PublicUrl) -> Result<Vec<u8>, Failure> {
        let mut response = self.stranger.get(url).await?;
        let kind = content_type(&response);
        if !kind.starts_with("image/") {
            return Err(Failure::NoPicture(format!("its content type is {kind:?}")));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| trouble(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LONGEST {
                return Err(Failure::NoPicture(format!(
                    "it serves more than the {} MB that the API accepts",
                    LONGEST / 1_000_000
                )));
            }
        }
        if is_picture(&bytes) {
            return Ok(bytes);
        }
        Err(Failure::NoPicture(format!(
            "its content type is {kind}, but its content is not an image that the API accepts"
        )))
    }
}

enum Failure {
    Trouble(Trouble),
    NoPicture(String),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Failure {
    fn into_probe_error(self, url: &PublicUrl) -> ProbeError {
        let (code, problem, fatal) = match self {
            Self::Trouble(Trouble::NotPublic(problem)) => ("not_public", problem, true),
            Self::Trouble(Trouble::Unreachable(problem)) => ("unreachable", problem, false),
            // R2 answers 400 to an unsigned request at the bucket's own endpoint.
            Self::Trouble(Trouble::Status(
                status @ (StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
            )) => {
                let hint = if url.signature().is_empty() {
                    "make the bucket's objects public, set s3.public_base_url to a public URL of the bucket, or set \
                     s3.presign_expiry"
                } else {
                    "the signing credentials need s3:GetObject, and this machine's clock must be correct"
                };
                (
                    "access_denied",
                    format!("it responds with {status}; {hint}"),
                    true,
                )
            }
            Self::Trouble(Trouble::Status(status)) => {
                ("http_status", format!("it responds with {status}"), false)
            }
            Self::NoPicture(problem) => ("not_a_picture", problem, false),
        };
        ProbeError {
            code,
            url: url.unsigned(),
            problem,
            fatal,
        }
    }
}

/// Whether `head` begins like JPEG, PNG or WebP, the formats that the API accepts.
fn is_picture(head: &[u8]) -> bool {
    head.starts_with(b"\xff\xd8\xff")
        || head.starts_with(b"\x89PNG\r\n\x1a\n")
        || (head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP"))
}
