//! What came back from one request, before it is judged.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::text::clean;

/// Longer replies than this are not read to their end; the largest real one is a few kilobytes.
pub(super) const MAX_REPLY: usize = 1 << 20;

/// What came back from one request.
#[derive(Debug, Clone)]
pub enum CallResult {
    /// A reply, at least its head.
    Reply(Reply),
    /// The request never left: the name was not resolved, the connection or its TLS handshake failed.
    NotSent {
        /// Why.
        message: String,
    },
    /// The request left, at least in part, and no reply came.
    ResponseLost {
        /// The time was up, rather than the connection broken.
        timed_out: bool,
        /// What happened.
        message: String,
    },
}

/// A reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, as far as it came.
    pub body: Vec<u8>,
    /// What cut the body off; `None` when it is whole.
    pub cut: Option<String>,
}

impl CallResult {
    /// Why a request failed that has no reply.
    ///
    /// Only what failed while connecting was never sent: the client takes a fresh connection for every
    /// request, and writes to it once it stands. Everything else may have reached the server.
    pub(super) fn failed(error: &reqwest::Error) -> Self {
        let message = reason(error);
        if error.is_connect() || error.is_builder() {
            return Self::NotSent { message };
        }
        Self::ResponseLost {
            timed_out: error.is_timeout(),
            message,
        }
    }
}

impl Reply {
    /// Reads a reply to its end, or to where it breaks off or grows too long.
    pub(super) async fn read(mut response: reqwest::Response, longest: usize) -> Self {
        let mut reply = Self {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: Vec::new(),
            cut: None,
        };
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if reply.body.len() + chunk.len() <= longest => {
                    reply.body.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => reply.cut = Some(format!("it is longer than {longest} bytes")),
                Ok(None) => return reply,
                Err(error) => reply.cut = Some(reason(&error)),
            }
            if reply.cut.is_some() {
                return reply;
            }
        }
    }
}

/// An error with its causes, without its address: that may be signed.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let part = cause.to_string();
        // Wrappers repeat what they wrap.
        if !parts.iter().any(|known| known.contains(&part)) {
            parts.push(part);
        }
        next = cause.source();
    }
    if parts.is_empty() {
        parts.push("the connection broke".to_owned());
    }
    clean(&parts.join(": "))
}
