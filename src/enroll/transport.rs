//! The result of one request, before it is classified.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::text::clean;

/// The longest reply that is read to its end; the largest real one is a few kilobytes.
pub(super) const MAX_REPLY: usize = 1 << 20;

/// The result of one request.
#[derive(Debug, Clone)]
pub enum CallResult {
    /// A reply, at least its head.
    Reply(Reply),
    /// The request was never sent: the name was not resolved, or the connection or its TLS handshake failed.
    NotSent {
        /// The cause.
        message: String,
    },
    /// The request was sent, at least in part, and no reply was received.
    ResponseLost {
        /// Whether the time limit was exceeded, rather than the connection broken.
        timed_out: bool,
        /// What happened.
        message: String,
    },
}

/// An HTTP reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it was received.
    pub body: Vec<u8>,
    /// What cut the body off; `None` if it is complete.
    pub cut: Option<String>,
}

impl CallResult {
    /// Classifies the failure of a request without a reply.
    ///
    /// Only a failure while connecting means that nothing was sent: the client opens a fresh connection for every
    /// request, and writes to it once it is established. In all other cases the server may have received it.
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
    /// Reads a reply to its end, or to where it is cut off or becomes too long.
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

/// An error with its causes, without its address, which may be signed.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let part = cause.to_string();
        // Wrappers repeat the error that they wrap.
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
