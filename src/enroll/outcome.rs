//! What came of a call, and whether money moved: the API's table of errors, as one pure function.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::money::Usd;

/// How long a message of the API may be in ours.
const MESSAGE: usize = 300;
/// Longer waits than this are not believed: the run would seem dead.
pub const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// How long to wait when a 429 doesn't say, or says "now".
const DEFAULT_WAIT: Duration = Duration::from_secs(5);
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// What came of a paid call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The API gave an id.
    Enrolled {
        /// The id.
        asset_id: String,
        /// What it cost, if the reply says so.
        price: Option<Usd>,
        /// The receipt, if the reply has one.
        settlement: Option<String>,
    },
    /// This character is refused; nothing was charged.
    Refused {
        /// A fixed code.
        code: String,
        /// For people.
        message: String,
    },
    /// Nothing was charged, and the same call may be made again.
    Retry {
        /// A fixed code.
        code: String,
        /// For people.
        message: String,
        /// How long the whole client must wait, if the API asked for it.
        after: Option<Duration>,
    },
    /// Nothing was charged, and no further call makes sense.
    Stop {
        /// What is missing.
        kind: StopKind,
        /// A fixed code.
        code: String,
        /// For people.
        message: String,
    },
    /// It may have been charged.
    InDoubt {
        /// A fixed code.
        code: String,
        /// For people.
        message: String,
    },
}

/// Why no further call makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopKind {
    /// The key is refused.
    Key,
    /// There is no money.
    Funds,
    /// The account may hold no more assets.
    Quota,
}

/// Codes of a 402 by which an earlier send of the same authorization may have been charged.
const MAYBE_SETTLED: &[&str] = &["payment_replay", "nonce_conflict", "chain_timeout"];

/// What a complete reply means.
pub fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Outcome {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let json = json.as_ref();
    let (code, message) = told(status, json, body);
    let kind = code.to_ascii_lowercase();
    match status.as_u16() {
        200..=299 => success(json, code, message),
        _ if kind.contains("quota") => Outcome::Stop {
            kind: StopKind::Quota,
            code,
            message,
        },
        401 | 403 => Outcome::Stop {
            kind: StopKind::Key,
            code,
            message,
        },
        402 if MAYBE_SETTLED.contains(&kind.as_str()) => Outcome::InDoubt { code, message },
        // No funds, a bad signature, an expired payment, or a quote: nothing was charged.
        402 => Outcome::Stop {
            kind: StopKind::Funds,
            code,
            message,
        },
        429 => Outcome::Retry {
            code,
            message,
            after: Some(wait(headers, json, SystemTime::now())),
        },
        // 408 and 425 aside, the API's 4xx come before it charges.
        408 => Outcome::InDoubt { code, message },
        400..=499 => Outcome::Refused { code, message },
        // 5xx: the provider settles before it forwards. Redirects and 1xx are not in its book: the same.
        _ => Outcome::InDoubt { code, message },
    }
}

/// What a call that has no complete reply means: only one that never left may be made again.
pub fn unanswered(error: &reqwest::Error) -> Outcome {
    let message = reason(error);
    if error.is_builder() {
        return Outcome::Refused {
            code: "bad_request".to_owned(),
            message,
        };
    }
    if error.is_connect() {
        return Outcome::Retry {
            code: "unreachable".to_owned(),
            message,
            after: None,
        };
    }
    let code = if error.is_timeout() {
        "timeout"
    } else {
        "reply_lost"
    };
    Outcome::InDoubt {
        code: code.to_owned(),
        message,
    }
}

/// An error with its causes, without its URL: that may be signed.
pub(super) fn reason(error: &dyn std::error::Error) -> String {
    let mut parts = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        parts.push(cause.to_string());
        next = cause.source();
    }
    if parts.is_empty() {
        parts.push("the connection broke".to_owned());
    }
    clean(&parts.join(": "))
}

fn success(json: Option<&Value>, code: String, message: String) -> Outcome {
    let Some(json) = json else {
        let message = "the reply is no JSON".to_owned();
        return Outcome::InDoubt {
            code: "garbled_reply".to_owned(),
            message,
        };
    };
    let data = json
        .get("data")
        .filter(|data| data.get("asset_id").is_some())
        .unwrap_or(json);
    match data.get("asset_id").and_then(Value::as_str) {
        Some(id) if id.starts_with("ta_") && id.len() <= 200 && id.bytes().all(|b| b.is_ascii_graphic()) => {
            let settlement = data
                .get("settlement")
                .filter(|s| !s.is_null())
                .map(Value::to_string);
            let price = data.get("price").and_then(Usd::from_json);
            Outcome::Enrolled {
                asset_id: id.to_owned(),
                price,
                settlement,
            }
        }
        _ if json.get("error").is_some() || json.get("success") == Some(&Value::Bool(false)) => {
            // An error in a 200: the gateway may have settled before it failed.
            Outcome::InDoubt { code, message }
        }
        _ => {
            let message = "the reply has no asset id".to_owned();
            Outcome::InDoubt {
                code: "no_asset_id".to_owned(),
                message,
            }
        }
    }
}

/// Code and message out of the many shapes of error bodies.
fn told(status: StatusCode, json: Option<&Value>, body: &[u8]) -> (String, String) {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(clean).filter(|s| !s.is_empty());
    let error = json.and_then(|j| j.get("error"));
    let inner = |key: &str| text(error.and_then(|e| e.get(key)));
    let outer = |key: &str| text(json.and_then(|j| j.get(key)));
    let code = inner("code").or_else(|| outer("code"));
    // {"error":"rate_limited"} names the code there; {"error":"Too many calls"} the message.
    let bare = text(error);
    let looks_like_code = |s: &String| {
        s.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    let code = code.or_else(|| bare.clone().filter(looks_like_code));
    let message = inner("message").or_else(|| outer("message")).or(bare);
    let fallback = || {
        let body = clean(&String::from_utf8_lossy(&body[..body.len().min(4 * MESSAGE)]));
        if json.is_some() || body.is_empty() {
            format!("HTTP {status}")
        } else {
            format!("HTTP {status}: {body}")
        }
    };
    let code = code.unwrap_or_else(|| match status.as_u16() {
        429 => "rate_limited".to_owned(),
        number => format!("http_{number}"),
    });
    (code, message.unwrap_or_else(fallback))
}

/// Text of the API, fit for terminals and ledgers: no control characters, not long.
fn clean(text: &str) -> String {
    let printable: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MESSAGE)
        .collect();
    printable.trim().to_owned()
}

/// How long a 429 asks to wait: header (seconds or a date), else the body's fields; never absurdly long.
pub(super) fn wait(headers: &HeaderMap, json: Option<&Value>, now: SystemTime) -> Duration {
    let header = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .map(str::trim);
    let from_header = header.and_then(|text| {
        let seconds = text.parse::<f64>().ok().map(seconds);
        // A date is turned into a length at once: only the monotonic clock is waited by.
        seconds.or_else(|| {
            httpdate::parse_http_date(text)
                .ok()
                .map(|at| at.duration_since(now).unwrap_or_default())
        })
    });
    let field = |object: &Value| {
        ["retry_after", "retryAfterSeconds", "retry_after_seconds"]
            .iter()
            .find_map(|name| {
                let value = object.get(name)?;
                value
                    .as_f64()
                    .or_else(|| value.as_str()?.parse().ok())
                    .map(seconds)
            })
    };
    let from_body = || json.and_then(|j| field(j).or_else(|| field(j.get("error")?)));
    from_header
        .or_else(from_body)
        .unwrap_or(DEFAULT_WAIT)
        .clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number.max(0.0)).unwrap_or(LONGEST_WAIT)
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
