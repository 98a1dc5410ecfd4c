//! Fetches the images that a cast gives as `https://` URLs rather than paths.

use std::time::Duration;

use url::Url;

use crate::net::anonymous::{AnonymousClient, Trouble, content_type, trouble};
use crate::net::public_url::PublicUrl;
use crate::net::tls::CertificateError;

/// The largest image that is fetched, in bytes. Larger art files exist, but are rarely shared by link.
pub const MAX_SOURCE_BYTES: usize = 64 << 20;

/// The pauses before the second and third attempt.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// Why a URL gives no image. The URL's query, which may be a signature, is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {problem}")]
pub struct FetchError {
    code: &'static str,
    url: String,
    problem: String,
}

impl FetchError {
    /// A fixed code: `not_public`, `unreachable`, `http_status`, `not_a_picture` or `too_large`.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

/// Fetches images as an anonymous client: without credentials.
#[derive(Debug, Clone)]
pub struct Fetcher {
    pub(super) stranger: AnonymousClient,
}

impl Fetcher {
    /// A fetcher; `allow_private` permits loopback and private hosts, and `ca_pem` is an extra root certificate to
    /// trust.
    ///
    /// # Errors
    /// `ca_pem` is not a usable certificate.
    pub fn new(allow_private: bool, ca_pem: Option<&[u8]>) -> Result<Self, CertificateError> {
        Ok(Self {
            stranger: AnonymousClient::new(allow_private, ca_pem)?,
        })
    }

    /// Downloads the image at `url`, without inspecting it. Transient errors are tried three times in all.
    ///
    /// # Errors
    /// The URL is not public `https://`, the response is not 200 with an image, or it is larger than
    /// [`MAX_SOURCE_BYTES`].
    pub async fn fetch(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let url = PublicUrl::new(url.clone());
        let mut pauses = RETRY_PAUSES.iter();
        loop {
            let error = match self.once(&url).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            match (error.passing, pauses.next()) {
                (true, Some(pause)) => tokio::time::sleep(*pause).await,
                _ => return Err(error.into_fetch_error(&url)),
            }
        }
    }

    async fn once(&self, url: &PublicUrl) -> Result<Vec<u8>, Failure> {
        let mut response = self.stranger.get(url).await?;
        let kind = content_type(&response);
        // Stores report generic bytes when no type was set at upload; decoding shows what they are.
        let pass = kind.starts_with("image/") || kind.is_empty() || kind.ends_with("/octet-stream");
        if !pass {
            return Err(Failure::lasting(
                "not_a_picture",
                format!("its content type is {kind}"),
            ));
        }
        let too_large = || {
            Failure::lasting(
                "too_large",
                format!("it is larger than {} MiB", MAX_SOURCE_BYTES >> 20),
            )
        };
        if response
            .content_length()
            .is_some_and(|length| length > MAX_SOURCE_BYTES as u64)
        {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| trouble(&error))? {
            if bytes.len() + chunk.len() > MAX_SOURCE_BYTES {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// Why one attempt failed.
struct Failure {
    code: &'static str,
    problem: String,
    passing: bool,
}

impl Failure {
    fn lasting(code: &'static str, problem: String) -> Self {
        Self {
            code,
            problem,
            passing: false,
        }
    }

    fn into_fetch_error(self, url: &PublicUrl) -> FetchError {
        FetchError {
            code: self.code,
            url: url.unsigned(),
            problem: self.problem,
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        let passing = trouble.is_passing();
        let (code, problem) = match trouble {
            Trouble::NotPublic(problem) => ("not_public", problem),
            Trouble::Unreachable(problem) => ("unreachable", format!("it can't be reached: {problem}")),
            Trouble::Status(status) => ("http_status", format!("it responds with {status}")),
        };
        Self {
            code,
            problem,
            passing,
        }
    }
}
