//! Configured faults: what goes wrong, how often, and reproducible by seed.
//!
//! ```toml
//! seed = 7
//! script = ["none", "500-charged"]        # the first calls, in order of arrival
//! stall_s = 30.0
//! [percent]                               # of all other paid calls
//! "reset-charged" = 10
//! "429" = 5
//! [names]                                 # calls whose name contains the text
//! "Doomed" = "face-match-failed"
//! [stop_after]                            # every paid call after this many charges
//! charges = 40
//! kind = "402"
//! [rate]                                  # the server's own limit: calls beyond it are answered 429
//! count = 3
//! window_s = 60.0
//! [retry_after]                           # how a 429 states the wait
//! form = "header-date"
//! seconds = 2
//! ```

mod draw;
mod kind;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub(super) use draw::{FaultBox, Window};
pub use kind::FaultKind;

/// A configuration of faults that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FaultsError {
    /// There is no such kind.
    #[error("{0:?} is not a kind of fault: use one of {kinds}", kinds = kind_names())]
    Unknown(String),
    /// A `--fault` is not `kind=percent`.
    #[error("{0:?} is not a fault: write kind=percent, such as 500-charged=10")]
    Flag(String),
    /// Percentages outside 0 to 100, or with a sum above 100.
    #[error("the percentages of all faults add up to {0}: each one and their sum must be between 0 and 100")]
    Percent(f64),
    /// A duration is not valid.
    #[error("{field} = {value} is not a duration in seconds")]
    Time {
        /// The name of the setting.
        field: &'static str,
        /// Its value.
        value: f64,
    },
    /// The file can't be read as TOML or JSON of this shape.
    #[error("{path}: {problem}")]
    File {
        /// The path of the file.
        path: String,
        /// What is wrong with the file.
        problem: String,
    },
}

fn kind_names() -> String {
    FaultKind::ALL
        .iter()
        .map(|kind| kind.name())
        .collect::<Vec<_>>()
        .join(", ")
}

/// How a 429 states how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryAfterForm {
    /// `Retry-After: 2`.
    #[default]
    HeaderSeconds,
    /// `Retry-After: Wed, 21 Oct 2026 07:28:00 GMT`.
    HeaderDate,
    /// `retry_after` in the body.
    BodySnake,
    /// `retryAfterSeconds` in the body.
    BodyCamel,
    /// `retry_after_seconds` in the body.
    BodySeconds,
    /// No wait at all.
    Absent,
    /// A header that is neither a number nor a date.
    Nonsense,
    /// Each of the above in turn.
    Rotate,
}

/// The wait that a 429 states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryAfter {
    /// Where and in which form.
    pub form: RetryAfterForm,
    /// The wait in seconds: 0 and absurd values are sent unchanged.
    pub seconds: u64,
}

impl Default for RetryAfter {
    fn default() -> Self {
        Self {
            form: RetryAfterForm::default(),
            seconds: 1,
        }
    }
}

/// The server's own limit on paid calls, in a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// The most calls in the window.
    pub count: usize,
    /// The window in seconds.
    pub window_s: f64,
}

/// After a number of charges, every paid call fails in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopAfter {
    /// The number of charges that succeed.
    pub charges: u64,
    /// The fault of all later calls: `402`, `401`, `403`, `quota`, …
    pub kind: FaultKind,
}

/// What goes wrong, and how often. By default, nothing.
///
/// Which fault a call gets depends on the seed, the character's name and how many calls with that name preceded it,
/// so it doesn't change with the order in which calls arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The seed: another one makes other calls fail.
    pub seed: u64,
    /// Faults of the first paid calls in order of arrival, one each, before anything else is considered.
    pub script: Vec<FaultKind>,
    /// Calls whose name contains the text get the fault.
    pub names: BTreeMap<String, FaultKind>,
    /// After a number of charges, every paid call fails.
    pub stop_after: Option<StopAfter>,
    /// The percentage of paid calls by kind; their sum is at most 100.
    pub percent: BTreeMap<FaultKind, f64>,
    /// The server's own limit on paid calls.
    pub rate: Option<RateLimit>,
    /// The wait that a 429 states.
    pub retry_after: RetryAfter,
    /// How long a stall lasts before the reply is sent after all, in seconds.
    pub stall_s: f64,
    /// The minimum duration of every API call, in milliseconds.
    pub latency_ms: u64,
    /// The percentage of free calls, `realface/init` and `realface/status`, that are answered 503.
    pub free_percent: f64,
    /// The server's own limit on `realface/status`: calls beyond it are answered 429.
    pub status_rate: Option<RateLimit>,
    /// The percentage of S3 requests that are answered 503 `SlowDown`.
    pub s3_percent: f64,
    /// What a CDN before the bucket makes of anonymous reads.
    pub public_reads: PublicReads,
    /// How the provider fetches an image.
    pub provider_fetches: ProviderFetches,
    /// How the node of the chain answers.
    pub chain: ChainAnswers,
    /// Whether the listing of a wallet's assets leaves out names and images.
    pub bare_listing: bool,
}

/// How the node of the chain answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChainAnswers {
    /// By what was settled.
    #[default]
    Honest,
    /// With HTTP 500.
    Fails,
    /// As it was an hour ago.
    Lags,
    /// As a node of another chain.
    OtherChain,
}

/// What a CDN before the bucket makes of anonymous reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublicReads {
    /// Nothing: objects as they were stored.
    #[default]
    AsStored,
    /// It encodes images anew, as JPEG.
    Recompressed,
    /// It serves one placeholder for everything, whether it exists or not.
    Placeholder,
    /// It serves one placeholder in place of every object.
    PlaceholderForObjects,
    /// It answers 403 to whoever calls itself a bot.
    RefusesBots,
    /// It answers 400 to everybody, as R2 does at a bucket's own endpoint.
    BadRequest,
}

/// How the provider fetches an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderFetches {
    /// With GET.
    #[default]
    Get,
    /// With HEAD before GET: an address that was signed for GET refuses it.
    HeadFirst,
    /// With GET, under the name of a bot.
    AsBot,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            seed: 0,
            script: Vec::new(),
            names: BTreeMap::new(),
            stop_after: None,
            percent: BTreeMap::new(),
            rate: None,
            retry_after: RetryAfter::default(),
            stall_s: 3600.0,
            latency_ms: 0,
            free_percent: 0.0,
            status_rate: None,
            s3_percent: 0.0,
            public_reads: PublicReads::AsStored,
            provider_fetches: ProviderFetches::Get,
            chain: ChainAnswers::Honest,
            bare_listing: false,
        }
    }
}

impl Faults {
    /// Reads a `.json` or `.toml` file.
    pub fn load(path: &Path) -> Result<Self, FaultsError> {
        let wrong = |problem: String| FaultsError::File {
            path: path.display().to_string(),
            problem,
        };
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        let json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        let faults: Self = if json {
            serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?
        } else {
            toml::from_str(&text).map_err(|e| wrong(e.to_string()))?
        };
        faults.check()?;
        Ok(faults)
    }

    /// Applies one `--fault`: `kind=percent`, or `seed=N`, `s3=percent`, `free=percent`, `latency_ms=N`, `stall_s=N`.
    pub fn set(&mut self, flag: &str) -> Result<(), FaultsError> {
        let wrong = || FaultsError::Flag(flag.to_owned());
        let (key, value) = flag.split_once('=').ok_or_else(wrong)?;
        let (key, value) = (key.trim(), value.trim());
        let number = value.trim_end_matches('%').parse::<f64>().map_err(|_| wrong())?;
        let whole = || value.parse::<u64>().map_err(|_| wrong());
        match key {
            "seed" => self.seed = whole()?,
            "latency_ms" => self.latency_ms = whole()?,
            "stall_s" => self.stall_s = number,
            "free" => self.free_percent = number,
            "s3" => self.s3_percent = number,
            kind => {
                self.percent.insert(kind.parse()?, number);
            }
        }
        self.check()
    }

    /// Checks that the numbers are in range.
    pub fn check(&self) -> Result<(), FaultsError> {
        let percents = |values: &mut dyn Iterator<Item = f64>| {
            let values: Vec<f64> = values.collect();
            let sum = values.iter().sum::<f64>();
            match values.iter().all(|p| (0.0..=100.0).contains(p)) && sum <= 100.0 + 1e-9 {
                true => Ok(()),
                false => Err(FaultsError::Percent(sum)),
            }
        };
        percents(&mut self.percent.values().copied())?;
        percents(&mut std::iter::once(self.s3_percent))?;
        percents(&mut std::iter::once(self.free_percent))?;
        let time = |field, value: f64| match std::time::Duration::try_from_secs_f64(value) {
            Ok(_) => Ok(()),
            Err(_) => Err(FaultsError::Time { field, value }),
        };
        time("stall_s", self.stall_s)?;
        let rates = [
            ("rate.window_s", self.rate),
            ("status_rate.window_s", self.status_rate),
        ];
        rates
            .into_iter()
            .try_for_each(|(field, rate)| rate.map_or(Ok(()), |rate| time(field, rate.window_s)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_toml_says_everything() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("faults.toml");
        // The example in this module's documentation.
        let example: String = include_str!("mod.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! "))
            .skip_while(|line| *line != "```toml")
            .skip(1)
            .take_while(|line| *line != "```")
            .flat_map(|line| [line, "\n"])
            .collect();
        std::fs::write(&path, example).unwrap();
        let faults = Faults::load(&path).unwrap();
        assert_eq!(faults.script, [FaultKind::None, FaultKind::Http500Charged]);
        assert_eq!(faults.percent[&FaultKind::ResetAfterCharge], 10.0);
        assert_eq!(faults.names["Doomed"], FaultKind::FaceMatchFailed);
        assert_eq!(
            faults.stop_after,
            Some(StopAfter {
                charges: 40,
                kind: FaultKind::InsufficientBalance
            })
        );
        assert_eq!(
            faults.rate,
            Some(RateLimit {
                count: 3,
                window_s: 60.0
            })
        );
        assert_eq!(
            faults.retry_after,
            RetryAfter {
                form: RetryAfterForm::HeaderDate,
                seconds: 2
            }
        );
        let json = dir.path().join("faults.json");
        std::fs::write(&json, serde_json::to_vec(&faults).unwrap()).unwrap();
        assert_eq!(Faults::load(&json).unwrap(), faults);
    }

    #[test]
    fn the_page_about_the_sandbox_names_every_fault_and_whether_it_is_charged() {
        let page = include_str!("../../../docs/sandbox.md");
        for kind in FaultKind::ALL {
            let charged = if kind.charged() { "yes" } else { "no" };
            assert!(page.contains(&format!("| `{kind}` | {charged} |")), "{kind}");
        }
        let everything = serde_json::to_value(Faults::default()).unwrap();
        for field in everything.as_object().unwrap().keys() {
            assert!(page.contains(field), "{field}");
        }
    }

    #[test]
    fn flags_add_up() {
        let mut faults = Faults::default();
        for flag in [
            "500-charged=10",
            "429=5%",
            "seed=3",
            "stall_s=0.5",
            "s3=1",
            "latency_ms=20",
        ] {
            faults.set(flag).unwrap();
        }
        assert_eq!(faults.percent.len(), 2);
        assert_eq!(
            (faults.seed, faults.stall_s, faults.s3_percent, faults.latency_ms),
            (3, 0.5, 1.0, 20)
        );
    }

    #[test]
    fn what_is_no_fault_is_refused_with_the_fix() {
        let refused = |flag: &str| Faults::default().set(flag).unwrap_err().to_string();
        assert!(
            refused("explode=3").contains("reset-charged"),
            "{}",
            refused("explode=3")
        );
        assert!(refused("500").contains("kind=percent"));
        assert!(refused("500=101").contains("100"));
        assert!(refused("500=-1").contains("100"));
        assert!(refused("stall_s=-1").contains("seconds"));
        let mut faults = Faults::default();
        faults.set("500=60").unwrap();
        assert!(matches!(faults.set("502=60"), Err(FaultsError::Percent(_))));
    }
}
