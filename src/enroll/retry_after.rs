//! How long a 429 asks to wait.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use serde_json::Value;

/// The longest wait, whatever the reply says: beyond it a run would seem dead. If the wait really must be longer, the
/// next call is refused again, and costs nothing.
pub const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// The shortest wait: "0" and past dates would cause a flood of refused calls.
pub const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// The wait if a reply doesn't give one.
pub(super) const DEFAULT_WAIT: Duration = Duration::from_secs(5);

/// The field names of the wait in bodies.
const FIELDS: [&str; 3] = ["retry_after", "retryAfterSeconds", "retry_after_seconds"];

/// The wait that a reply asks for: `Retry-After` in seconds or as a date, else a field of the body or of its
/// `error`; between [`SHORTEST_WAIT`] and [`LONGEST_WAIT`].
///
/// A date counts from the reply's own `Date`, so that a wrong local clock makes no difference; without one, from
/// `now`. The result is a duration, to be measured by the monotonic clock.
pub(super) fn retry_after(headers: &HeaderMap, json: Option<&Value>, now: SystemTime) -> Option<Duration> {
    let header = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let from_header = header(RETRY_AFTER).and_then(|text| {
        number(text).or_else(|| {
            let start = header(DATE).and_then(date).unwrap_or(now);
            Some(date(text)?.duration_since(start).unwrap_or_default())
        })
    });
    let field = |object: &Value| {
        FIELDS.iter().find_map(|name| match object.get(name)? {
            Value::Number(seconds) => length(seconds.as_f64()?),
            Value::String(text) => number(text.trim()),
            _ => None,
        })
    };
    let wait = from_header.or_else(|| {
        let json = json?;
        field(json).or_else(|| field(json.get("error")?))
    })?;
    Some(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT))
}

fn number(text: &str) -> Option<Duration> {
    length(text.parse().ok()?)
}

/// Converts seconds to a duration; too many become the longest wait, and negative numbers yield `None`.
fn length(seconds: f64) -> Option<Duration> {
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn by(headers: &[(HeaderName, &str)], body: &str) -> Option<Duration> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect();
        let now = httpdate::parse_http_date(NOW).unwrap();
        retry_after(&headers, serde_json::from_str(body).ok().as_ref(), now)
    }

    #[test]
    fn the_wait_is_found_wherever_it_is() {
        for (header, body, seconds) in [
            (Some("12"), "", Some(12)),
            (Some(" 2.5 "), "", Some(2)),
            (Some("Sun, 06 Nov 1994 08:50:07 GMT"), "", Some(30)),
            (None, r#"{"retry_after":7}"#, Some(7)),
            (None, r#"{"retryAfterSeconds":8}"#, Some(8)),
            (None, r#"{"error":{"retry_after_seconds":"9"}}"#, Some(9)),
            (Some("3"), r#"{"retry_after":7}"#, Some(3)),
            (Some("in a while"), r#"{"retry_after":7}"#, Some(7)),
            (None, r#"{"retry_after":"soon"}"#, None),
            (None, "", None),
        ] {
            let headers: Vec<_> = header.into_iter().map(|value| (RETRY_AFTER, value)).collect();
            let wait = by(&headers, body);
            assert_eq!(wait.map(|w| w.as_secs()), seconds, "{header:?} {body}");
        }
    }

    #[test]
    fn an_absurd_wait_is_made_sane() {
        for (header, expected) in [
            ("0", Some(SHORTEST_WAIT)),
            ("99999999999999999999999", Some(LONGEST_WAIT)),
            ("1e400", Some(LONGEST_WAIT)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(LONGEST_WAIT)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(SHORTEST_WAIT)),
            ("-5", None),
            ("NaN", None),
        ] {
            assert_eq!(by(&[(RETRY_AFTER, header)], ""), expected, "{header}");
        }
    }

    #[test]
    fn a_date_counts_from_the_clock_that_wrote_it() {
        // The server's clock is a day ahead of ours, and the wait is half a minute.
        let headers = [
            (DATE, "Mon, 07 Nov 1994 08:49:37 GMT"),
            (RETRY_AFTER, "Mon, 07 Nov 1994 08:50:07 GMT"),
        ];
        assert_eq!(by(&headers, ""), Some(Duration::from_secs(30)));
    }

    proptest! {
        #[test]
        fn no_reply_makes_us_wait_longer_or_shorter(text in "[ -~]{0,40}") {
            if let Some(wait) = by(&[(RETRY_AFTER, &text)], "") {
                prop_assert!((SHORTEST_WAIT..=LONGEST_WAIT).contains(&wait));
            }
        }
    }
}
