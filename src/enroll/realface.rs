//! The calls for a real actor: two free ones for the liveness check, and the paid one.

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

/// How long the link of a session is valid.
const LINK_LIFE: Duration = Duration::from_secs(120);
/// The longest link: nobody scans a QR code of a longer one.
const LONGEST_LINK: usize = 2048;
/// The code of a 425: the check is not finished.
const INCOMPLETE: &str = "liveness_incomplete";

/// The request to begin a liveness check.
#[derive(Debug, Clone, Default)]
pub struct InitRequest {
    /// The actor's name; the same one must be enrolled.
    pub name: String,
    /// The page that the actor's phone opens afterwards.
    pub redirect_url: Option<Url>,
    /// The address that the provider reports to.
    pub webhook_url: Option<Url>,
    /// The session whose link is to be renewed, where the provider's profile says that it renews links.
    pub group_id: Option<String>,
}

/// A liveness check that waits for its actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivenessSession {
    /// The id of the session, to ask for its status and to enroll with.
    pub group_id: String,
    /// The link that the actor's phone must open: `verification_url` or `h5_link`. Always `https://`.
    pub link: Url,
    /// How long the link is still valid: 120 s unless the reply says less.
    pub expires_in: Duration,
}

/// The state of a liveness check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// The actor has not begun, or the reply says something unknown: ask again.
    Pending,
    /// The actor is doing the check.
    InProgress,
    /// Passed: enroll.
    Passed,
    /// The link has expired: begin a new check.
    Expired,
    /// Not passed: begin a new check.
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
        if let Some(group_id) = &request.group_id {
            body["groupId"] = json!(group_id);
        }
        let answer = self.once(self.post("realface/init", &body), "").await;
        free(&answer, &self.provider, |reply, json| {
            session(reply, json, SystemTime::now())
        })
        .map_err(|outcome| self.without_secrets(outcome, ""))
    }

    /// Asks for the state of a liveness check. Free.
    ///
    /// # Errors
    /// As [`realface_init`](Self::realface_init); [`Outcome::Refused`] with the code `group_not_found` if there is no
    /// such session, so that a new one must be begun.
    pub async fn realface_status(&self, group_id: &str) -> Result<Liveness, Outcome> {
        let call = self.get("realface/status", &[("groupId", group_id)]);
        let answer = self.once(call, "").await;
        free(&answer, &self.provider, |_, json| Some(liveness(json)))
            .map_err(|outcome| self.without_secrets(session_gone(outcome), ""))
    }

    /// Makes the paid call for a real actor whose liveness check has passed: exactly one request, as
    /// [`enroll_portrait`](Self::enroll_portrait).
    ///
    /// Errors that concern the session rather than the photo ([`is_about_session`]) are [`Outcome::Retry`]: nothing was
    /// charged, and the call may be repeated once the session is fixed.
    pub async fn enroll_realface(&self, request: &EnrollRequest, group_id: &str) -> Outcome {
        let call = self.post("realface/enroll", &request.body_of(group_id));
        let answer = self.once(call, request.image_url.signature()).await;
        let outcome = self.judged(&answer, classify(&answer, &self.provider), request);
        for_session(&answer, session_gone(outcome))
    }
}

/// Whether the code of an [`Outcome::Retry`] concerns the liveness session: `liveness_incomplete` (keep asking for
/// its status), `session_expired` or `group_not_found` (begin a new one).
pub fn is_about_session(code: &str) -> bool {
    [INCOMPLETE, "session_expired", "group_not_found"].contains(&code)
}

/// Adapts an outcome to its meaning for the session, and adds what to do about a photo that does not match.
pub(super) fn for_session(answer: &CallResult, outcome: Outcome) -> Outcome {
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

/// Classifies the answer to a free call: instead of being in doubt, it may be repeated.
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
                .ok_or_else(|| again("reply_unclear", "the reply can't be parsed".to_owned()))
        }
        answer => Err(match classify(answer, provider) {
            Outcome::InDoubt { code, message } => again(&code, message),
            outcome => outcome,
        }),
    }
}

/// Maps a missing address to a missing session: an address that served `init` exists.
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

/// The time left: `expires_in_seconds`, or `expires_at` by the clock of the server.
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
