//! A free call that checks whether the API is reachable, whether it accepts the key, and its clock.

use std::time::{Duration, SystemTime};

use reqwest::header::DATE;

use super::client::Client;
use super::transport::CallResult;

/// The answer of the API to a free call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PingResult {
    /// The API did not answer.
    Unreachable {
        /// The cause.
        message: String,
    },
    /// The API refuses the key.
    KeyRefused {
        /// The HTTP status: 401 or 403.
        status: u16,
        /// The API's time, and this machine's.
        times: Option<(SystemTime, SystemTime)>,
    },
    /// The API answers; that it knows no such session is expected.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The API's time, and this machine's.
        times: Option<(SystemTime, SystemTime)>,
    },
}

impl PingResult {
    /// How far this machine's clock differs from the API's; about a second is the round trip.
    pub fn clock_off(&self) -> Option<Duration> {
        let (Self::KeyRefused { times, .. } | Self::Answered { times, .. }) = self else {
            return None;
        };
        let (theirs, ours) = (*times)?;
        let apart = ours.duration_since(theirs);
        Some(apart.unwrap_or_else(|error| error.duration()))
    }
}

impl Client {
    /// Asks for the status of a liveness check that doesn't exist. Free.
    pub async fn ping(&self) -> PingResult {
        let call = self.get("realface/status", &[("groupId", "castline-doctor")]);
        match self.once(call, "").await {
            CallResult::NotSent { message } | CallResult::ResponseLost { message, .. } => {
                PingResult::Unreachable { message }
            }
            CallResult::Reply(reply) => {
                let date = reply.headers.get(DATE).and_then(|date| date.to_str().ok());
                let theirs = date.and_then(|date| httpdate::parse_http_date(date).ok());
                let times = theirs.map(|theirs| (theirs, SystemTime::now()));
                match reply.status.as_u16() {
                    status @ (401 | 403) => PingResult::KeyRefused { status, times },
                    status => PingResult::Answered { status, times },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_in_either_direction() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let off = |theirs, ours| {
            let times = Some((at(theirs), at(ours)));
            PingResult::Answered { status: 404, times }.clock_off()
        };
        assert_eq!(off(1000, 1060), Some(Duration::from_secs(60)));
        assert_eq!(off(1060, 1000), Some(Duration::from_secs(60)));
        let unreachable = PingResult::Unreachable {
            message: String::new(),
        };
        assert_eq!(unreachable.clock_off(), None);
    }
}
