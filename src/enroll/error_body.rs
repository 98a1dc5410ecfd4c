//! Extracts code and message from the many shapes in which gateways report errors.

use reqwest::StatusCode;
use serde_json::Value;

use super::text::clean;

/// The longest code: codes are words; longer texts are sentences.
const LONGEST_CODE: usize = 64;

/// The code and message that a reply reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorBody {
    /// The code in the reply, else `http_400`, and `rate_limited` for a 429.
    pub(super) code: String,
    /// The human-readable message, cleaned; never empty.
    pub(super) message: String,
}

impl ErrorBody {
    /// Reads `{"error":{"code","message"}}`, `{"error":"text"}`, `{"error","code","message"}`, `{"message"}`,
    /// `{"success":false,"message"}`, `{"errors":[…]}`, `{"detail"}`, and bodies that are not JSON. A text that
    /// begins with a code, `rate_limited: too many calls`, yields that code.
    pub(super) fn new(status: StatusCode, json: Option<&Value>, body: &[u8]) -> Self {
        let error = json.and_then(|json| {
            let first = || json.get("errors").and_then(|errors| errors.get(0));
            json.get("error").filter(|e| !e.is_null()).or_else(first)
        });
        let inner = |key: &str| text(error.and_then(|error| error.get(key)));
        let outer = |key: &str| text(json.and_then(|json| json.get(key)));
        let bare = text(error);
        // What gateways add for people: a hint, and the parameters that are missing.
        let also = inner("hint").or_else(|| outer("hint"));
        let missing = list(error.and_then(|error| error.get("missing_params")))
            .or_else(|| list(json.and_then(|json| json.get("missing_params"))));
        let message = inner("message")
            .or_else(|| inner("detail"))
            .or_else(|| outer("message"))
            .or_else(|| outer("detail"))
            .or_else(|| bare.clone());
        let code = ["code", "type"]
            .iter()
            .find_map(|key| inner(key).or_else(|| outer(key)).filter(|code| is_code(code)))
            .or_else(|| bare.filter(|text| is_code(text)))
            .or_else(|| leading_code(message.as_deref()?).map(str::to_owned));
        let more = [also, missing.map(|missing| format!("missing: {missing}"))];
        let message = more
            .into_iter()
            .flatten()
            .fold(message, |message, more| match message {
                Some(message) if message.contains(&more) => Some(message),
                Some(message) => Some(format!("{message}; {more}")),
                None => Some(more),
            });
        Self {
            code: code.unwrap_or_else(|| match status {
                StatusCode::TOO_MANY_REQUESTS => "rate_limited".to_owned(),
                status => format!("http_{}", status.as_u16()),
            }),
            message: message.unwrap_or_else(|| excerpt(status, body)),
        }
    }

    /// The code in lower case, for comparison.
    pub(super) fn key(&self) -> String {
        self.code.to_ascii_lowercase()
    }
}

/// The beginning of a body of no known shape.
pub(super) fn excerpt(status: StatusCode, body: &[u8]) -> String {
    let body = clean(&String::from_utf8_lossy(&body[..body.len().min(2048)]));
    if body.is_empty() {
        format!("HTTP {status}")
    } else {
        format!("HTTP {status}: {body}")
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    let text = match value? {
        Value::String(text) => clean(text),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// The texts of a list, joined.
fn list(value: Option<&Value>) -> Option<String> {
    let texts: Vec<String> = value?
        .as_array()?
        .iter()
        .filter_map(|item| text(Some(item)))
        .collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn is_code(text: &str) -> bool {
    text.len() <= LONGEST_CODE
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The code before a colon: `invalid_name` of `invalid_name: at most 64 characters`; not `Error` of `Error: no idea`.
fn leading_code(message: &str) -> Option<&str> {
    let (code, _) = message.split_once(':')?;
    (is_code(code) && code.contains('_')).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_message_come_out_of_every_shape() {
        for (body, code, message) in [
            (
                r#"{"error":{"code":"a_code","message":"Text"}}"#,
                "a_code",
                "Text",
            ),
            (r#"{"error":"some text"}"#, "http_400", "some text"),
            (r#"{"error":"a_code"}"#, "a_code", "a_code"),
            (
                r#"{"error":"Text","code":"a_code","message":"More"}"#,
                "a_code",
                "More",
            ),
            (
                r#"{"error":"a_code: Text","code":"a_code"}"#,
                "a_code",
                "a_code: Text",
            ),
            (r#"{"error":"a_code: Text"}"#, "a_code", "a_code: Text"),
            (r#"{"message":"Text"}"#, "http_400", "Text"),
            (r#"{"message":"a_code: Text"}"#, "a_code", "a_code: Text"),
            (r#"{"success":false,"message":"Text"}"#, "http_400", "Text"),
            (r#"{"detail":"Text"}"#, "http_400", "Text"),
            (
                r#"{"errors":[{"code":"a_code","message":"Text"}]}"#,
                "a_code",
                "Text",
            ),
            (
                r#"{"error":{"type":"a_code","code":null,"message":"Text"}}"#,
                "a_code",
                "Text",
            ),
            (r#"{"error":{"code":40001,"message":"Text"}}"#, "40001", "Text"),
            (r#"{"error":null,"message":"Text"}"#, "http_400", "Text"),
            (r#"{"message":"Error: Text"}"#, "http_400", "Error: Text"),
            (
                "<h1>Not good</h1>",
                "http_400",
                "HTTP 400 Bad Request: <h1>Not good</h1>",
            ),
            (
                r#"{"error":{"code":"a_code","message":"Text","hint":"Do this","missing_params":["name","image_url"]}}"#,
                "a_code",
                "Text; Do this; missing: name, image_url",
            ),
            (r#"{"code":"a_code","hint":"Do this"}"#, "a_code", "Do this"),
            ("[1]", "http_400", "HTTP 400 Bad Request: [1]"),
            ("", "http_400", "HTTP 400 Bad Request"),
        ] {
            let json = serde_json::from_str(body).ok();
            let shown = ErrorBody::new(StatusCode::BAD_REQUEST, json.as_ref(), body.as_bytes());
            assert_eq!((&*shown.code, &*shown.message), (code, message), "{body}");
        }
    }
}
