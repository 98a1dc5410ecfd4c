//! Replies, and errors in the many shapes that gateways use.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::sandbox::faults::{RetryAfter, RetryAfterForm};

/// How the body of an error reply is built. Gateways differ, and a client must read them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorShape {
    /// `{"error":{"code","message"}}`, the default of the 2025 dialect.
    Nested,
    /// `{"error","code","message"}`, the default of the 2026 dialect.
    Flat,
    /// `{"error":"code: message"}`.
    Text,
    /// `{"message":"code: message"}`.
    Message,
    /// `{"success":false,"message":"code: message"}`.
    Success,
    /// An HTML page, as a proxy in front of the API would send.
    Plain,
    /// Each of the above in turn, reply by reply.
    Rotate,
}

/// An error reply without a shape yet.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    retry_after: Option<RetryAfter>,
}

impl ApiError {
    pub(in crate::sandbox) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).expect("a status written in this crate");
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    #[cfg(test)]
    pub(in crate::sandbox) fn code(&self) -> &'static str {
        self.code
    }

    pub(in crate::sandbox) fn retry_after(mut self, retry_after: RetryAfter) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// A 429 with the wait in whole seconds, rounded up, in the header.
    pub(in crate::sandbox) fn rate_limited(message: &str, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self::new(429, "rate_limited", message).retry_after(RetryAfter {
            form: RetryAfterForm::HeaderSeconds,
            seconds,
        })
    }

    /// Builds the reply in a shape; `turn` counts the replies of a rotating one.
    pub(in crate::sandbox) fn render(&self, shape: ErrorShape, turn: &AtomicUsize) -> Response<Body> {
        use ErrorShape::{Flat, Message, Nested, Plain, Rotate, Success, Text};
        let shape = match shape {
            Rotate => [Nested, Flat, Text, Message, Success, Plain][turn.fetch_add(1, Ordering::Relaxed) % 6],
            fixed => fixed,
        };
        let (code, message) = (self.code, &self.message);
        let both = format!("{code}: {message}");
        let mut body = match shape {
            Nested => json!({ "error": { "code": code, "message": message } }),
            Flat => json!({ "error": both, "code": code, "message": message }),
            Text => json!({ "error": both }),
            Message => json!({ "message": both }),
            Success => json!({ "success": false, "message": both }),
            Plain | Rotate => Value::Null,
        };
        let mut header = None;
        if let Some(RetryAfter { form, seconds }) = self.retry_after {
            use RetryAfterForm::*;
            let mut field = |name: &str| {
                if let Value::Object(map) = &mut body {
                    map.insert(name.to_owned(), json!(seconds));
                }
            };
            match form {
                HeaderSeconds | Rotate => header = Some(seconds.to_string()),
                HeaderDate => header = Some(http_date(seconds)),
                BodySnake => field("retry_after"),
                BodyCamel => field("retryAfterSeconds"),
                BodySeconds => field("retry_after_seconds"),
                Nonsense => header = Some("in a while".to_owned()),
                Absent => {}
            }
        }
        let mut reply = match body {
            Value::Null => html(self.status, &format!("<html><h1>{}</h1></html>", self.status)),
            body => json_reply(self.status, &body),
        };
        if let Some(value) = header.and_then(|text| HeaderValue::try_from(text).ok()) {
            reply.headers_mut().insert("retry-after", value);
        }
        reply
    }
}

/// The HTTP date after some whole seconds: rounded up, so that no client returns too early.
fn http_date(seconds: u64) -> String {
    // The largest date that the format can represent is the end of the year 9999.
    let latest = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    let wait = Duration::from_secs(seconds.saturating_add(1));
    httpdate::fmt_http_date(SystemTime::now().checked_add(wait).unwrap_or(latest).min(latest))
}

/// A JSON reply.
pub(in crate::sandbox) fn json_reply(status: StatusCode, body: &Value) -> Response<Body> {
    with_type(status, "application/json", body.to_string())
}

/// An HTML reply.
pub(in crate::sandbox) fn html(status: StatusCode, body: &str) -> Response<Body> {
    with_type(status, "text/html; charset=utf-8", body.to_owned())
}

fn with_type(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut reply = Response::new(body.into());
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert("content-type", HeaderValue::from_static(kind));
    reply
}

/// A PNG reply.
pub(in crate::sandbox) fn png(bytes: Vec<u8>) -> Response<Body> {
    with_type(StatusCode::OK, "image/png", bytes)
}

/// The request's JSON object, or the error to reply with.
pub(in crate::sandbox) fn object(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Err(ApiError::new(
            400,
            "invalid_request",
            "the body must be a JSON object",
        )),
    }
}

/// A required text field.
pub(in crate::sandbox) fn text<'a>(body: &'a Map<String, Value>, field: &str) -> Result<&'a str, ApiError> {
    let missing = || ApiError::new(400, "invalid_request", format!("{field} is required, as text"));
    body.get(field).and_then(Value::as_str).ok_or_else(missing)
}

/// The name in a request: 1 to 64 characters.
pub(in crate::sandbox) fn name(body: &Map<String, Value>) -> Result<&str, ApiError> {
    let name = text(body, "name")?;
    match name.chars().count() {
        1..=64 if !name.trim().is_empty() => Ok(name),
        _ => Err(ApiError::new(
            400,
            "invalid_name",
            "name must have 1 to 64 characters",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(shape: ErrorShape, form: RetryAfterForm) -> (Option<String>, String) {
        let error = ApiError::new(429, "rate_limited", "slow").retry_after(RetryAfter { form, seconds: 7 });
        let reply = error.render(shape, &AtomicUsize::new(0));
        let header = reply
            .headers()
            .get("retry-after")
            .map(|v| v.to_str().unwrap().to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = runtime
            .block_on(axum::body::to_bytes(reply.into_body(), 1000))
            .unwrap();
        (header, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn an_error_takes_every_shape() {
        let body = |shape| render(shape, RetryAfterForm::Absent).1;
        assert_eq!(
            body(ErrorShape::Nested),
            r#"{"error":{"code":"rate_limited","message":"slow"}}"#
        );
        assert_eq!(body(ErrorShape::Text), r#"{"error":"rate_limited: slow"}"#);
        assert_eq!(body(ErrorShape::Message), r#"{"message":"rate_limited: slow"}"#);
        assert_eq!(
            body(ErrorShape::Success),
            r#"{"success":false,"message":"rate_limited: slow"}"#
        );
        assert!(body(ErrorShape::Plain).starts_with("<html>"));
    }

    #[test]
    fn the_wait_is_reported_in_every_form() {
        let message = |form| render(ErrorShape::Nested, form);
        assert_eq!(message(RetryAfterForm::HeaderSeconds).0.as_deref(), Some("7"));
        let date = message(RetryAfterForm::HeaderDate).0.unwrap();
        assert!(httpdate::parse_http_date(&date).unwrap() > SystemTime::now() + Duration::from_secs(5));
        assert!(
            message(RetryAfterForm::BodySnake)
                .1
                .contains(r#""retry_after":7"#)
        );
        assert!(
            message(RetryAfterForm::BodyCamel)
                .1
                .contains(r#""retryAfterSeconds":7"#)
        );
        assert!(
            message(RetryAfterForm::BodySeconds)
                .1
                .contains(r#""retry_after_seconds":7"#)
        );
        assert_eq!(message(RetryAfterForm::Absent).0, None);
        assert!(http_date(u64::MAX).contains("9999"));
    }
}
