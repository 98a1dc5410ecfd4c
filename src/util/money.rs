//! Money in whole micro-dollars: sums are exact, and prices such as $0.0103 can be represented.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Mul};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount in US dollars, held in micro-dollars (10⁻⁶ USD, which is also one base unit of USDC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Usd(u64);

/// The text is not an amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an amount in US dollars: use for example 0.01 or 25, with at most 6 decimals")]
pub struct ParseUsdError(String);

impl Usd {
    /// Zero dollars.
    pub const ZERO: Self = Self(0);

    /// An amount in micro-dollars.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The amount in micro-dollars.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The difference, or zero.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// An amount from a JSON number or string of dollars, as in API replies; `None` for anything else. More than six
    /// decimals are rounded up: servers that count in floating point tell prices such as `0.011000000000000001`, and a
    /// budget must not be exceeded by what was cut off.
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        match value {
            // Through text, not through f64: 0.0103 must stay 10,300 micro-dollars.
            serde_json::Value::Number(n) => Self::rounded_up(&n.to_string()),
            serde_json::Value::String(s) => Self::rounded_up(s.trim().trim_start_matches('$')),
            _ => None,
        }
    }

    /// Reads dollars with any number of decimals, rounded up to whole micro-dollars; also `1e-7`, as JSON writes it.
    pub fn rounded_up(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some((digits, _)) = text.split_once(['e', 'E']) {
            let dollars: f64 = text.parse().ok().filter(|dollars| *dollars >= 0.0)?;
            let is_zero = digits.bytes().all(|b| matches!(b, b'0' | b'.'));
            return match dollars {
                _ if is_zero => Some(Self::ZERO),
                ..1e-6 => Some(Self(1)),
                _ => Self::rounded_up(&format!("{dollars:.12}")),
            };
        }
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        if decimals.len() <= 6 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok();
        }
        let (kept, cut) = decimals.split_at(6);
        let kept: Self = format!("{whole}.{kept}").parse().ok()?;
        let more = cut.bytes().any(|digit| digit != b'0');
        Some(kept + Self(u64::from(more)))
    }
}

impl FromStr for Usd {
    type Err = ParseUsdError;

    fn from_str(text: &str) -> Result<Self, ParseUsdError> {
        let wrong = || ParseUsdError(text.to_owned());
        let (whole, decimals) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && decimals.is_empty())
            || decimals.len() > 6
            || !digits(whole)
            || !digits(decimals)
        {
            return Err(wrong());
        }
        let whole: u64 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| wrong())?
        };
        let micros: u64 = format!("{decimals:0<6}").parse().map_err(|_| wrong())?;
        whole
            .checked_mul(1_000_000)
            .and_then(|w| w.checked_add(micros))
            .map(Self)
            .ok_or_else(wrong)
    }
}

/// Formats as `$0.01` or `$12.5034`: at least two decimals, never rounded.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = format!("{:06}", self.0 % 1_000_000);
        let decimals = micros.trim_end_matches('0');
        f.pad(&format!("${}.{decimals:0<2}", self.0 / 1_000_000))
    }
}

/// Addition saturates rather than wraps, so that a huge sum never looks small.
impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Mul<u64> for Usd {
    type Output = Self;

    fn mul(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Serializes as a number of dollars.
impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1e6)
    }
}

/// Deserializes a number of dollars, or the same as text.
impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Usd;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount in US dollars, such as 0.01")
            }
            fn visit_f64<E: serde::de::Error>(self, dollars: f64) -> Result<Usd, E> {
                format!("{dollars}").parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, dollars: u64) -> Result<Usd, E> {
                Ok(Usd::from_micros(1_000_000) * dollars)
            }
            fn visit_i64<E: serde::de::Error>(self, dollars: i64) -> Result<Usd, E> {
                u64::try_from(dollars)
                    .map_err(E::custom)
                    .and_then(|d| self.visit_u64(d))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Usd, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prices_are_read_without_loss() {
        for (text, micros) in [
            ("0.01", 10_000),
            ("0.0103", 10_300),
            ("25", 25_000_000),
            (".5", 500_000),
            ("0.000001", 1),
        ] {
            assert_eq!(text.parse(), Ok(Usd(micros)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            ".",
            "-1",
            "1e3",
            "0,01",
            "$1",
            "0.0000001",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Usd>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_server_tells_is_rounded_up_to_micro_dollars() {
        for (text, micros) in [
            ("\"0.011000000000000001\"", 11_001),
            ("0.0110000000000000", 11_000),
            ("\"$0.0000001\"", 1),
            ("1e-7", 1),
            ("1.2e-3", 1_200),
            ("0e-9", 0),
            ("1e-300", 1),
            ("\"1e-400\"", 1),
            ("\"1000000000e-8\"", 10_000_000),
            ("1e2", 100_000_000),
            ("0.5", 500_000),
        ] {
            let json = serde_json::from_str(text).unwrap();
            assert_eq!(Usd::from_json(&json), Some(Usd(micros)), "{text}");
        }
        for text in ["-1", "\"\"", "\"1,5\"", "\"1e400\"", "-1e-9", "\"0.00000x1\""] {
            let json = serde_json::from_str(text).unwrap();
            assert_eq!(Usd::from_json(&json), None, "{text}");
        }
    }

    #[test]
    fn amounts_are_shown_with_cents_and_unrounded() {
        assert_eq!(Usd(10_000).to_string(), "$0.01");
        assert_eq!(Usd(10_300).to_string(), "$0.0103");
        assert_eq!(Usd(3_500_000).to_string(), "$3.50");
    }

    proptest! {
        #[test]
        fn display_and_json_read_back_as_the_same_amount(micros in 0u64..1_000_000_000_000) {
            let amount = Usd(micros);
            prop_assert_eq!(amount.to_string().trim_start_matches('$').parse(), Ok(amount));
            let json = serde_json::to_value(amount).unwrap();
            prop_assert_eq!(Usd::from_json(&json), Some(amount));
            prop_assert_eq!(serde_json::from_value::<Usd>(json).unwrap(), amount);
        }
    }
}
