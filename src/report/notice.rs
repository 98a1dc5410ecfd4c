//! What a finished run tells machines beside its events: a webhook (`notify.url`), and a file of metrics.
//!
//! The webhook's body is the run's summary, as in its NDJSON, with where it ran, what needs a person, and a sentence that
//! chat services show (`text`). Its HMAC-SHA256 with the key `CASTLINE_NOTIFY_SECRET`, in hex, is in the header
//! `X-Castline-Signature: sha256=…`, so that the receiver can verify the sender.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use hmac::{Hmac, Mac};
use serde::Serialize;
use sha2::Sha256;
use url::Url;

use crate::cast::printable;
use crate::event::Summary;
use crate::exit::UsageError;
use crate::plan::Standing;
use crate::settings::Settings;

/// The environment variable with the secret.
const SECRET: &str = "CASTLINE_NOTIFY_SECRET";
/// The time limit for the receiver: the run is already done.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The most characters that are named.
const MOST_NAMED: usize = 20;

/// Where a command ran, and on what.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The cast, as it was named.
    pub cast: Option<String>,
    /// Whether it used the sandbox.
    pub sandbox: bool,
    /// Whether it is a command that pays.
    pub pays: bool,
}

/// The message about the end of a command.
#[derive(Debug, Serialize)]
pub struct Notice<'a> {
    /// A sentence for people; chat services show it.
    text: String,
    /// The cast, as it was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    cast: Option<&'a str>,
    /// The machine.
    host: String,
    /// The number of the run in its ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<i64>,
    /// When it ended, RFC 3339 in UTC.
    at: String,
    sandbox: bool,
    /// The first characters that need a person, by name.
    needs_a_person: Vec<Needing>,
    /// How many more there are.
    needs_a_person_more: usize,
    /// Why the command ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Cause<'a>>,
    #[serde(flatten)]
    summary: &'a Summary,
}

#[derive(Debug, Serialize)]
struct Needing {
    name: String,
    standing: Standing,
}

#[derive(Debug, Serialize)]
struct Cause<'a> {
    code: &'a str,
    message: &'a str,
}

impl<'a> Notice<'a> {
    /// The notice of a command that has ended now.
    pub fn new(origin: &'a Origin, summary: &'a Summary) -> Self {
        let standings = summary.by_name.iter();
        let mut needing: Vec<Needing> = standings
            .filter(|(_, standing)| standing.needs_a_person())
            .map(|(name, standing)| Needing {
                name: printable(name),
                standing: *standing,
            })
            .collect();
        needing.sort_by(|a, b| a.name.cmp(&b.name));
        let more = needing.len().saturating_sub(MOST_NAMED);
        needing.truncate(MOST_NAMED);
        let mut notice = Self {
            text: String::new(),
            cast: origin.cast.as_deref(),
            host: gethostname::gethostname().to_string_lossy().into_owned(),
            run: None,
            at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            sandbox: origin.sandbox,
            needs_a_person: needing,
            needs_a_person_more: more,
            error: None,
            summary,
        };
        notice.text = notice.sentence();
        notice
    }

    /// The same with the number of the run.
    pub fn of_run(mut self, run: i64) -> Self {
        self.run = Some(run);
        self
    }

    /// The same with the reason why the command ended early.
    pub fn with_error(mut self, code: &'a str, message: &'a str) -> Self {
        self.error = Some(Cause { code, message });
        self.text = self.sentence();
        self
    }

    /// `castline run cast.csv: 13 characters, 12 enrolled, 1 in doubt; paid $0.12. To look at: Mira (in doubt)`.
    fn sentence(&self) -> String {
        let Summary { command, .. } = self.summary;
        let mut text = format!("castline {command}");
        if let Some(cast) = self.cast {
            let _ = write!(text, " {}", printable(cast));
        }
        if self.sandbox {
            text.push_str(" (sandbox)");
        }
        let parts: Vec<String> = (self.summary.parts().into_iter())
            .filter(|(count, _)| *count > 0)
            .map(|(count, label)| format!("{count} {label}"))
            .collect();
        match parts.is_empty() {
            true => text.push_str(": nothing was done"),
            false => {
                let _ = write!(text, ": {}; paid {}", parts.join(", "), self.summary.cost_usd);
            }
        }
        if let Some(cause) = &self.error {
            let _ = write!(text, ". Stopped: {}", printable(cause.message));
        }
        if !self.needs_a_person.is_empty() {
            let named = self.needs_a_person.iter();
            let named: Vec<String> = named.map(|n| format!("{} ({})", n.name, n.standing)).collect();
            let more = match self.needs_a_person_more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let _ = write!(text, ". To look at: {}{more}", named.join(", "));
        }
        text
    }

    /// The metrics of the command, in the format of Prometheus' textfile collector.
    pub fn metrics(&self) -> String {
        let summary = self.summary;
        let labels = format!(
            "command=\"{}\",cast=\"{}\",sandbox=\"{}\"",
            summary.command,
            escaped(self.cast.unwrap_or_default()),
            self.sandbox
        );
        let mut text = String::new();
        let mut gauge = |name: &str, help: &str, samples: &[(String, String)]| {
            let _ = writeln!(
                text,
                "# HELP castline_{name} {help}\n# TYPE castline_{name} gauge"
            );
            for (more, value) in samples {
                let _ = writeln!(text, "castline_{name}{{{labels}{more}}} {value}");
            }
        };
        let mut one = |name: &str, help: &str, value: String| gauge(name, help, &[(String::new(), value)]);
        let now = jiff::Timestamp::now().as_second();
        let plain = |amount: crate::util::money::Usd| amount.to_string().trim_start_matches('$').to_owned();
        one(
            "last_run_timestamp_seconds",
            "When the last run ended.",
            now.to_string(),
        );
        one(
            "last_run_exit_code",
            "Its exit code: 0 done, 3 needs a person, 6 in doubt.",
            summary.exit_code.to_string(),
        );
        one(
            "last_run_duration_seconds",
            "How long it took.",
            format!("{:.3}", summary.seconds),
        );
        one(
            "last_run_enrolled",
            "Characters that it enrolled.",
            summary.enrolled.to_string(),
        );
        one("last_run_cost_usd", "What it paid.", plain(summary.cost_usd));
        one(
            "last_run_in_doubt_usd",
            "What its calls in doubt may have cost besides.",
            plain(summary.in_doubt_usd),
        );
        one(
            "last_run_bad_rows",
            "Invalid rows of the cast.",
            summary.bad_rows.to_string(),
        );
        // A command that ended with an error has not looked at everybody: rather no number than a wrong one.
        if self.error.is_some() && summary.by_name.is_empty() {
            return text;
        }
        let standings = summary.standing.iter();
        let standings: Vec<_> = standings
            .map(|(standing, count)| (format!(",standing=\"{}\"", standing.code()), count.to_string()))
            .collect();
        gauge("characters", "Characters by standing.", &standings);
        text
    }
}

/// A value of a label: backslashes, quotation marks and line ends are escaped.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// The first bytes of a file of metrics.
pub const METRICS_BEGIN: &[u8] = b"# HELP castline_";

/// Posts a notice to `notify.url`, if that is set. A failed delivery is reported on stderr, but doesn't fail the run.
pub(crate) async fn notify(settings: &Settings, notice: &Notice<'_>) {
    let Some(url) = &settings.notify else { return };
    if let Err(problem) = deliver(url, notice, settings).await {
        // The address is left out: its path may be a secret, as with chat services.
        tracing::error!("the webhook was not delivered: {problem}");
    }
}

/// Checks that a notice could be signed, before a run that is to be reported begins.
///
/// # Errors
/// `notify.url` is set, and the secret is not.
pub(crate) fn check(settings: &Settings) -> Result<(), UsageError> {
    let unsigned = std::env::var(SECRET).unwrap_or_default().trim().is_empty();
    match settings.notify.is_some() && unsigned {
        true => Err(UsageError(format!(
            "notify.url is set: export {SECRET} too, which signs the request"
        ))),
        false => Ok(()),
    }
}

/// Posts a notice.
///
/// # Errors
/// Why it was not delivered, without the address.
pub(crate) async fn deliver(url: &Url, notice: &Notice<'_>, settings: &Settings) -> Result<(), String> {
    let secret = std::env::var(SECRET).unwrap_or_default();
    let ca_pem = match &settings.ca_file {
        Some(file) => Some(std::fs::read(file).map_err(|e| format!("tls.ca_file {}: {e}", file.display()))?),
        None => None,
    };
    let body = serde_json::to_vec(notice).expect("a notice is plain data");
    send(url, body, &secret, ca_pem.as_deref()).await
}

async fn send(url: &Url, body: Vec<u8>, secret: &str, ca_pem: Option<&[u8]>) -> Result<(), String> {
    if secret.trim().is_empty() {
        return Err(format!("export {SECRET}, which signs the request"));
    }
    let client = crate::net::tls::http(ca_pem).map_err(|e| e.to_string())?;
    let client = client
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()
        .map_err(cause)?;
    let reply = client
        .post(url.clone())
        .header("content-type", "application/json")
        .header("x-castline-signature", signature(secret.trim(), &body))
        .body(body)
        .send()
        .await
        .map_err(cause)?;
    match reply.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("the server answered HTTP {}", status.as_u16())),
    }
}

/// What went wrong, without the address: the innermost cause says it best.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    if error.is_timeout() {
        return format!("no answer within {} s", TIMEOUT.as_secs());
    }
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        message = source.to_string();
        next = source.source();
    }
    message
}

/// `sha256=` and the HMAC-SHA256 of `body` under `secret`, in hex.
fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        // Test case 2 of RFC 4231.
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature("Jefe", b"what do ya want for nothing?"), expected);
    }

    #[tokio::test]
    async fn nothing_is_sent_unsigned() {
        let url = "https://localhost:9/hook".parse().unwrap();
        let message = send(&url, Vec::new(), " ", None).await.unwrap_err();
        assert!(message.contains("CASTLINE_NOTIFY_SECRET"), "{message}");
    }

    #[tokio::test]
    async fn a_failure_names_its_cause_and_not_the_address() {
        let url = "https://localhost:9/hook/very-secret".parse().unwrap();
        let message = send(&url, Vec::new(), "secret", None).await.unwrap_err();
        assert!(!message.contains("very-secret"), "{message}");
        assert!(message.contains("refused"), "{message}");
    }

    /// A summary of these characters.
    fn summary(standings: &[(&str, Standing)]) -> Summary {
        let mut summary = Summary {
            command: "run",
            characters: standings.len() as u64,
            ..Summary::default()
        };
        for (name, standing) in standings {
            summary.count(&crate::event::Event::Planned {
                name: (*name).to_owned(),
                standing: *standing,
                cost_usd: crate::util::money::Usd::ZERO,
            });
        }
        summary
    }

    #[test]
    fn a_notice_names_whom_a_person_must_look_at_and_not_everybody() {
        let many: Vec<String> = (0..30).map(|n| format!("Hero {n:02}")).collect();
        let mut standings: Vec<(&str, Standing)> = many
            .iter()
            .map(|name| (name.as_str(), Standing::ToReview))
            .collect();
        standings.push(("Ada", Standing::Enrolled));
        let (origin, summary) = (Origin::default(), summary(&standings));
        let notice = Notice::new(&origin, &summary)
            .of_run(7)
            .with_error("budget_reached", "the budget is reached");
        let json = serde_json::to_value(&notice).unwrap();
        assert_eq!(json["needs_a_person"].as_array().unwrap().len(), 20);
        assert_eq!(
            (&json["needs_a_person_more"], &json["run"]),
            (&10.into(), &7.into())
        );
        assert_eq!(json["needs_a_person"][0]["standing"], "to_review");
        assert_eq!(json["error"]["code"], "budget_reached");
        let text = json["text"].as_str().unwrap();
        assert!(
            text.contains("30 to review")
                && text.contains("Stopped: the budget")
                && text.ends_with(" and 10 more"),
            "{text}"
        );
    }

    #[test]
    fn metrics_have_a_line_for_each_standing_and_names_are_escaped() {
        let origin = Origin {
            cast: Some("a \"b\"\\c\n.csv".to_owned()),
            ..Origin::default()
        };
        let summary = summary(&[("Ada", Standing::Enrolled)]);
        let text = Notice::new(&origin, &summary).metrics();
        assert!(text.as_bytes().starts_with(METRICS_BEGIN));
        let line = |start: &str| {
            text.lines()
                .find(|line| line.starts_with(start))
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(
            line("castline_characters{"),
            r#"castline_characters{command="run",cast="a \"b\"\\c\n.csv",sandbox="false",standing="enrolled"} 1"#
        );
        assert_eq!(
            text.matches("\ncastline_characters{").count(),
            Standing::ALL.len()
        );
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.ends_with('}') && value.parse::<f64>().is_ok(), "{line}");
        }
    }
}
