//! Requests images as an anonymous client: over HTTPS, without credentials, from public hosts only.

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

/// Timeout of one fetch, including its body.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum number of redirects that are followed, all of them to public `https://`.
const REDIRECTS: usize = 5;

/// An HTTPS client without credentials.
#[derive(Debug, Clone)]
pub(crate) struct AnonymousClient {
    http: reqwest::Client,
    allow_private: bool,
}

/// Why a URL could not be fetched.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The URL must not be requested: not `https://`, or not a public host.
    NotPublic(String),
    /// No response, or an incomplete one.
    Unreachable(String),
    /// A status other than 200.
    Status(StatusCode),
}

impl Trouble {
    /// Whether retrying in a moment may help.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::NotPublic(_) => false,
            Self::Unreachable(_) => true,
            // 404: a store or a CDN may take a moment to serve a new object.
            Self::Status(status) => {
                status.is_server_error() || matches!(status.as_u16(), 404 | 408 | 425 | 429)
            }
        }
    }
}

impl AnonymousClient {
    /// A client; `allow_private` permits loopback and private hosts, and `ca_pem` is an extra root certificate.
    ///
    /// # Errors
    /// `ca_pem` is not a usable certificate.
    pub(crate) fn new(allow_private: bool, ca_pem: Option<&[u8]>) -> Result<Self, CertificateError> {
        let redirects = Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS {
                return attempt.error(Forbidden("too many redirects".to_owned()));
            }
            match allowed(attempt.url(), allow_private) {
                Ok(()) => attempt.follow(),
                Err(problem) => attempt.error(Forbidden(format!("after a redirect, {problem}"))),
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

    /// Requests `url`, and returns the response if it is a 200, with the body unread.
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

/// The content type in lower case, without parameters; empty when there is none.
pub(crate) fn content_type(response: &Response) -> String {
    let value = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = value.unwrap_or_default().split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// What went wrong, without the URL, which may be signed.
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
        return Trouble::Unreachable("no response in time".to_owned());
    }
    Trouble::Unreachable(message.unwrap_or_else(|| "the connection was interrupted".to_owned()))
}

/// A redirect that is not followed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Forbidden(String);

fn allowed(url: &Url, allow_private: bool) -> Result<(), String> {
    if url.scheme() != "https" {
        return Err(format!(
            "the URL must begin with https://, not {}://",
            url.scheme()
        ));
    }
    if allow_private {
        return Ok(());
    }
    literal(url).map_err(|private| private.to_string())
}
