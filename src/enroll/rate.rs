//! How many calls may leave per unit of time.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most calls per unit: more would not be a limit, at an interval of under a microsecond.
const MOST: u32 = 1_000_000;

/// The maximum number of calls per unit of time, written `5/s`, `3/min` or `100/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    calls: NonZeroU32,
    per: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    Second,
    Minute,
    Hour,
}

/// The text is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a rate: write a whole number of calls per s, min or h, such as 5/s, 3/min or 100/h")]
pub struct ParseRateError(String);

impl Rate {
    /// How many calls may leave in [`Self::window`]; at least 1.
    pub fn calls(self) -> u32 {
        self.calls.get()
    }

    /// The period in which the calls are counted: a second, a minute or an hour.
    pub fn window(self) -> Duration {
        Duration::from_secs(match self.per {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 3600,
        })
    }

    /// The time between two calls; at least a microsecond.
    pub fn interval(self) -> Duration {
        self.window() / self.calls.get()
    }
}

impl FromStr for Rate {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, ParseRateError> {
        let wrong = || ParseRateError(text.to_owned());
        let (calls, per) = text.split_once('/').ok_or_else(wrong)?;
        let per = match per.trim() {
            "s" | "sec" | "second" => Unit::Second,
            "m" | "min" | "minute" => Unit::Minute,
            "h" | "hour" => Unit::Hour,
            _ => return Err(wrong()),
        };
        let calls: NonZeroU32 = calls.trim().parse().map_err(|_| wrong())?;
        if calls.get() > MOST {
            return Err(wrong());
        }
        Ok(Self { calls, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per {
            Unit::Second => "s",
            Unit::Minute => "min",
            Unit::Hour => "h",
        };
        write!(f, "{}/{per}", self.calls)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_reported() {
        for (text, message, interval) in [
            ("5/s", "5/s", 200),
            ("3/min", "3/min", 20_000),
            ("100/h", "100/h", 36_000),
            (" 2 / m ", "2/min", 30_000),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.interval(), Duration::from_millis(interval), "{text}");
            assert_eq!(rate.to_string(), message);
            let json = serde_json::to_string(&rate).unwrap();
            assert_eq!(serde_json::from_str::<Rate>(&json).unwrap(), rate);
        }
    }

    #[test]
    fn what_is_no_rate_is_refused_with_an_example() {
        for text in [
            "",
            "5",
            "0/s",
            "-1/s",
            "1/day",
            "1.5/s",
            "1/s/s",
            "1000001/s",
            "99999999999/s",
        ] {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.contains("3/min"), "{error}");
        }
    }
}
