//! The calls of a real actor: two free ones that lead through the liveness check, and the paid one.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::DATE;
use serde_json::{Value, json};
use url::Url;

use super::client::Client;
use super::outcome::{Outcome, StopKind, classify};
use super::portrait::EnrollRequest;
use super::provider::Provider;
use super::text::clean;
use super::transport::{CallResult, Reply};

/// How long the link of a session lives.
const LINK_LIFE: Duration = Duration::from_secs(120);
/// Nobody scans a code of a longer link.
const LONGEST_LINK: usize = 2048;
/// The check is not done yet: 425.
const INCOMPLETE: &str = "liveness_incomplete";

/// What is asked to begin a liveness check.
#[derive(Debug, Clone, Default)]
pub struct InitRequest {
    /// The actor's name; the same one must be enrolled.
    pub name: String,
    /// Where the actor's phone goes afterwards.
    pub redirect_url: Option<Url>,
    /// Where the provider reports to.
    pub webhook_url: Option<Url>,
}

/// A liveness check that waits for its actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivenessSession {
    /// What to ask for, and to enroll with.
    pub group_id: String,
    /// What the actor's phone must open: `verification_url` or `h5_link`. Always `https://`.
    pub link: Url,
    /// How long the link still lives: 120 s unless the reply says less.
    pub expires_in: Duration,
}

/// Where a liveness check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// The actor has not begun, or the reply says something unknown: ask again.
    Pending,
    /// The actor is at it.
    InProgress,
    /// Passed: enroll.
    Passed,
    /// The link is too old: begin again.
    Expired,
    /// Not passed: begin again.
    Failed,
}

impl Client {
    /// Begins a liveness check. Free, but at most 10 an hour.
    ///
    /// # Errors
    /// [`Outcome::Refused`], [`Outcome::Retry`] or [`Outcome::Stop`]; never in doubt, since nothing is paid.
    pub async fn realface_init(&self, request: &InitRequest) -> Result<LivenessSession, Outcome> {
        let mut body = json!({ "name": request.name });
        for (name, url) in [
            ("redirect_url", &request.redirect_url),
            ("webhook_url", &request.webhook_url),
        ] {
            if let Some(url) = url {
                body[name] = json!(url.as_str());
            }
        }
        let answer = self.once(self.post("realface/init", &body), "").await;
        free(&answer, &self.provider, |reply, json| {
            session(reply, json, SystemTime::now())
        })
    }

    /// Asks where a liveness check stands. Free.
    ///
    /// # Errors
    /// As [`realface_init`](Self::realface_init); [`Outcome::Refused`] with the code `group_not_found` when
    /// there is no such session, so that a new one must begin.
    pub async fn realface_status(&self, group_id: &str) -> Result<Liveness, Outcome> {
        let call = self.get("realface/status", &[("groupId", group_id)]);
        let answer = self.once(call, "").await;
        free(&answer, &self.provider, |_, json| Some(liveness(json))).map_err(session_gone)
    }

    /// The paid call of a real actor whose liveness check is passed: exactly one request, as
    /// [`enroll_portrait`](Self::enroll_portrait).
    ///
    /// What is about the session rather than the photo ([`is_about_session`]) is [`Outcome::Retry`]: nothing was
    /// charged, and the call may be made again once the session is mended.
    pub async fn enroll_realface(&self, request: &EnrollRequest, group_id: &str) -> Outcome {
        let call = self.post("realface/enroll", &request.body_of(group_id));
        let answer = self.once(call, request.image_url.signature()).await;
        mended(&answer, session_gone(classify(&answer, &self.provider)))
    }
}

/// Whether the code of a [`Outcome::Retry`] is about the liveness session: `liveness_incomplete` (keep asking for
/// its status), `session_expired` or `group_not_found` (begin another one).
pub fn is_about_session(code: &str) -> bool {
    [INCOMPLETE, "session_expired", "group_not_found"].contains(&code)
}

/// Says of an outcome what it means for the session, and what to do about a photo that does not fit.
pub(super) fn mended(answer: &CallResult, outcome: Outcome) -> Outcome {
    let again = |code: String, message| Outcome::Retry {
        code,
        message,
        after: None,
    };
    match (answer, outcome) {
        (CallResult::Reply(reply), Outcome::Retry { message, .. })
            if reply.status == StatusCode::TOO_EARLY =>
        {
            again(INCOMPLETE.to_owned(), message)
        }
        (_, Outcome::Refused { code, message }) if is_about_session(&code.to_ascii_lowercase()) => {
            again(code.to_ascii_lowercase(), message)
        }
        (_, Outcome::Refused { code, message }) if code.eq_ignore_ascii_case("face_match_failed") => {
            let hint = "the photo does not show the person who did the check: use a recent photo that shows the \
                        face from the front, or have the right person do the check (--only NAME)";
            let message = format!("{message}; {hint}");
            Outcome::Refused { code, message }
        }
        (_, outcome) => outcome,
    }
}

/// Judges the answer to a free call: what would be in doubt may simply be asked again.
fn free<T>(
    answer: &CallResult,
    provider: &Provider,
    read: impl FnOnce(&Reply, &Value) -> Option<T>,
) -> Result<T, Outcome> {
    let again = |code: &str, message: String| Outcome::Retry {
        code: code.to_owned(),
        message,
        after: None,
    };
    match answer {
        CallResult::Reply(reply) if reply.status.is_success() && reply.cut.is_none() => {
            let json: Option<Value> = serde_json::from_slice(&reply.body).ok();
            json.filter(|json| json.get("error").is_none_or(Value::is_null))
                .and_then(|json| read(reply, json.get("data").unwrap_or(&json)))
                .ok_or_else(|| again("reply_unclear", "the reply is not understood".to_owned()))
        }
        answer => Err(match classify(answer, provider) {
            Outcome::InDoubt { code, message } => again(&code, message),
            outcome => outcome,
        }),
    }
}

/// An address that served `init` is there: what is not found is the session.
pub(super) fn session_gone(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Stop {
            kind: StopKind::Address,
            message,
            ..
        } => Outcome::Refused {
            code: "group_not_found".to_owned(),
            message,
        },
        other => other,
    }
}

fn session(reply: &Reply, json: &Value, now: SystemTime) -> Option<LivenessSession> {
    let group_id = json.get("group_id")?.as_str()?;
    let usable = (1..=256).contains(&group_id.len()) && group_id.bytes().all(|b| b.is_ascii_graphic());
    let link: Url = ["verification_url", "h5_link"]
        .iter()
        .find_map(|name| json.get(name)?.as_str())
        .filter(|link| link.len() <= LONGEST_LINK)?
        .parse()
        .ok()?;
    (usable && link.scheme() == "https").then(|| LivenessSession {
        group_id: group_id.to_owned(),
        link,
        expires_in: expires_in(reply, json, now).map_or(LINK_LIFE, |life| life.min(LINK_LIFE)),
    })
}

/// `expires_in_seconds`, or `expires_at` by the clock that wrote it.
fn expires_in(reply: &Reply, json: &Value, now: SystemTime) -> Option<Duration> {
    if let Some(seconds) = json.get("expires_in_seconds").and_then(Value::as_f64) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at: jiff::Timestamp = json.get("expires_at")?.as_str()?.parse().ok()?;
    let date = reply.headers.get(DATE).and_then(|date| date.to_str().ok());
    let start = date
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .unwrap_or(now);
    SystemTime::from(at).duration_since(start).ok()
}

fn liveness(json: &Value) -> Liveness {
    if json.get("ready_to_finalize") == Some(&Value::Bool(true)) {
        return Liveness::Passed;
    }
    let status = json
        .get("status")
        .and_then(Value::as_str)
        .map(clean)
        .unwrap_or_default();
    match &*status.to_ascii_lowercase() {
        "completed" | "active" => Liveness::Passed,
        "in_progress" => Liveness::InProgress,
        "expired" => Liveness::Expired,
        "failed" => Liveness::Failed,
        _ => Liveness::Pending,
    }
}

#[cfg(test)]
#[path = "realface_tests.rs"]
mod tests;
