//! Asks for images as a stranger would: over HTTPS, without credentials, from public hosts only.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};
use url::Url;

use super::public_url::PublicUrl;
use crate::net::hosts::{PrivateHost, PublicOnly, literal};
use crate::net::tls::CertificateError;

/// How long one fetch may take, its body included.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How many redirects are followed, all of them to public `https://`.
const REDIRECTS: usize = 5;

/// An HTTPS client without credentials.
#[derive(Debug, Clone)]
pub(crate) struct AnonymousClient {
    http: reqwest::Client,
    allow_private: bool,
}

/// Why an address gives nothing.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It must not be asked: no `https://`, or not a public host.
    NotPublic(String),
    /// Nobody answers, or the answer breaks off.
    Unreachable(String),
    /// It answers something else than 200.
    Status(StatusCode),
}

impl Trouble {
    /// Whether asking again in a moment may help.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::NotPublic(_) => false,
            Self::Unreachable(_) => true,
            // 404: a store or a CDN may take a moment to show what is new.
            Self::Status(status) => {
                status.is_server_error() || matches!(status.as_u16(), 404 | 408 | 425 | 429)
            }
        }
    }
}

impl AnonymousClient {
    /// # Errors
    /// The extra root certificate is none.
    pub(crate) fn new(allow_private: bool, ca_pem: Option<&[u8]>) -> Result<Self, CertificateError> {
        let redirects = Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS {
                return attempt.error(Forbidden("it redirects again and again".to_owned()));
            }
            match allowed(attempt.url(), allow_private) {
                Ok(()) => attempt.follow(),
                Err(problem) => attempt.error(Forbidden(format!("it redirects, and {problem}"))),
            }
        });
        let mut builder = crate::net::tls::http(ca_pem)?
            .https_only(true)
            .redirect(redirects)
            .referer(false)
            .timeout(TIMEOUT);
        if !allow_private {
            builder = builder.dns_resolver(Arc::new(PublicOnly::new()));
        }
        let http = builder.build().map_err(CertificateError::refused)?;
        Ok(Self { http, allow_private })
    }

    /// The head of the answer at `url`, which is a 200.
    pub(crate) async fn get(&self, url: &PublicUrl) -> Result<Response, Trouble> {
        allowed(url.url(), self.allow_private).map_err(Trouble::NotPublic)?;
        let response = self
            .http
            .get(url.expose())
            .send()
            .await
            .map_err(|e| trouble(&e))?;
        match response.status() {
            StatusCode::OK => Ok(response),
            status => Err(Trouble::Status(status)),
        }
    }
}

/// The content type in small letters, without parameters; empty when there is none.
pub(crate) fn content_type(response: &Response) -> String {
    let value = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = value.unwrap_or_default().split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// What went wrong, without the address: that may be signed.
pub(crate) fn trouble(error: &reqwest::Error) -> Trouble {
    let mut message = None;
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(private) = cause.downcast_ref::<PrivateHost>() {
            return Trouble::NotPublic(private.to_string());
        }
        if let Some(Forbidden(problem)) = cause.downcast_ref() {
            return Trouble::NotPublic(problem.clone());
        }
        message = Some(cause.to_string());
        next = cause.source();
    }
    if error.is_timeout() {
        return Trouble::Unreachable("no answer in time".to_owned());
    }
    Trouble::Unreachable(message.unwrap_or_else(|| "the connection broke".to_owned()))
}

/// A redirect that is not followed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Forbidden(String);

fn allowed(url: &Url, allow_private: bool) -> Result<(), String> {
    if url.scheme() != "https" {
        return Err(format!(
            "the address must begin with https://, not {}://",
            url.scheme()
        ));
    }
    if allow_private {
        return Ok(());
    }
    literal(url).map_err(|private| private.to_string())
}
