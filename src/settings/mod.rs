//! What was typed, written and exported, and what it means: flags > environment > file > defaults,
//! validated, with the origin of every value.

pub mod keys;
mod layers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

pub use layers::{Layers, Origin, Value};

use crate::enroll::{Network, PaymentMode, Provider, Rate};
use crate::inspect::{InspectSettings, OutputFormat, Thresholds};
use crate::money::Usd;

/// The name of the configuration file, looked for beside the cast.
pub const FILE_NAME: &str = "castline.toml";

/// What was typed, written or exported makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file can't be read or is not TOML.
    #[error("{path}: {problem}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A key that castline doesn't know.
    #[error("unknown setting {name:?} in {origin}{}", did_you_mean(*.nearest))]
    Unknown {
        /// The key.
        name: String,
        /// Where it was said.
        origin: Origin,
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
    },
    /// A variable of the environment that castline doesn't know.
    #[error("unknown variable {name} in the environment: {}unset it if it is not meant for castline",
        .nearest.as_ref().map_or_else(String::new, |known| format!("did you mean {known}? Else ")))]
    Variable {
        /// The variable.
        name: String,
        /// The known one that looks most like it.
        nearest: Option<String>,
    },
    /// A known key with a value that makes no sense.
    #[error("{name} = {text:?} (from {origin}): {problem}")]
    Value {
        /// The key.
        name: String,
        /// The value as it was said.
        text: String,
        /// Where it was said.
        origin: Origin,
        /// What is wrong, and what is expected.
        problem: String,
    },
}

fn did_you_mean(nearest: Option<&'static str>) -> String {
    nearest.map_or(String::from("; `castline config show` lists them all"), |key| {
        format!("; did you mean {key:?}?")
    })
}

/// All settings, validated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The values as texts, with their origins.
    pub layers: Layers,
    /// The folder that relative paths of the settings start from: the cast's.
    pub root: PathBuf,
    /// `api.*`
    pub api: Api,
    /// `payment.*`
    pub payment: Payment,
    /// `s3.*`
    pub s3: S3,
    /// `publish.*`
    pub publish: Publish,
    /// `cast.*`
    pub cast: Cast,
    /// `inspect.*`
    pub inspect: InspectSettings,
    /// `inspect.jobs`: pictures looked at in parallel, at least 1.
    pub jobs: usize,
    /// `realface.*`
    pub realface: RealFace,
    /// `tls.ca_file`
    pub ca_file: Option<PathBuf>,
    /// `ledger.path`, absolute or from the working folder.
    pub ledger: PathBuf,
    /// `ledger.backup`, likewise.
    pub ledger_backup: Option<PathBuf>,
    /// `manifest.path`, likewise.
    pub manifest: PathBuf,
    /// `manifest.every`
    pub manifest_every: Duration,
    /// `notify.url`
    pub notify: Option<Url>,
    /// `report.log_file`
    pub log_file: Option<PathBuf>,
}

/// `api.*`: how characters are enrolled.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the table of keys says what each field means")]
pub struct Api {
    pub provider: Provider,
    pub base_url: Url,
    pub key_file: Option<PathBuf>,
    pub rate: Rate,
    pub in_flight: usize,
    pub timeout: Duration,
    pub price: Usd,
    pub max_cost: Option<Usd>,
    pub max_total_cost: Option<Usd>,
    pub max_doubts_in_row: u32,
    pub retries: u32,
}

/// `payment.*`: how calls are paid, and what is known of the wallet.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the table of keys says what each field means")]
pub struct Payment {
    pub mode: PaymentMode,
    pub key_file: Option<PathBuf>,
    pub network: Network,
    pub payee: Option<String>,
    pub max_price: Usd,
    pub address: Option<String>,
}

/// `s3.*`: where pictures are published.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the table of keys says what each field means")]
pub struct S3 {
    pub bucket: Option<String>,
    pub prefix: String,
    pub region: Option<String>,
    pub endpoint: Option<Url>,
    pub force_path_style: bool,
    pub public_base_url: Option<Url>,
    pub presign_expiry: Option<Duration>,
    pub cache_control: String,
    pub retries: u32,
}

/// `publish.*`: how pictures are published.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the table of keys says what each field means")]
pub struct Publish {
    pub uploads: usize,
    pub probe: bool,
    pub allow_private_hosts: bool,
}

/// `cast.*`: what belongs to a cast.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the table of keys says what each field means")]
pub struct Cast {
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    pub allow_outside: bool,
}

/// `realface.*`: how real actors are led through their liveness check.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the table of keys says what each field means")]
pub struct RealFace {
    pub operator: Option<String>,
    pub redirect_url: Option<Url>,
    pub webhook_url: Option<Url>,
    pub poll: Duration,
    pub per_hour: usize,
    pub links: u32,
}

impl Settings {
    /// Lays defaults, file, environment and flags over one another, and reads the values.
    ///
    /// `root` is the cast's folder. `file` is a file that must be there; without it, `castline.toml`
    /// in `root` is read if there is one. `variables` is the environment; of it, what begins with `CASTLINE_` is read.
    /// `flags` are keys, their texts, and what said them.
    ///
    /// # Errors
    /// An unreadable file, an unknown key or variable, or a value that makes no sense.
    pub fn load(
        root: &Path,
        file: Option<&Path>,
        variables: &[(String, String)],
        flags: Vec<(String, String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut layers = Layers::defaults();
        let beside = root.join(FILE_NAME);
        match file {
            Some(file) => layers.file(file)?,
            None if beside.is_file() => layers.file(&beside)?,
            None => {}
        }
        layers.environment(variables)?;
        for (name, text, flag) in flags {
            layers.set(&name, text, Origin::Flag(flag))?;
        }
        Self::read(layers, root)
    }

    fn read(layers: Layers, root: &Path) -> Result<Self, SettingsError> {
        let provider = provider(&layers, root)?;
        let api = Api {
            base_url: https(&layers, "api.base_url")?.unwrap_or_else(|| provider.base_url.clone()),
            provider,
            key_file: path(&layers, "api.key_file", root),
            rate: layers.required("api.rate")?,
            in_flight: at_least(&layers, "api.in_flight", 1)?,
            timeout: layers
                .duration("api.timeout")?
                .ok_or_else(|| needed(&layers, "api.timeout"))?,
            price: layers.required("api.price_usd")?,
            max_cost: layers.optional("api.max_cost_usd")?,
            max_total_cost: layers.optional("api.max_total_cost_usd")?,
            max_doubts_in_row: at_least(&layers, "api.max_doubts_in_row", 1)?,
            retries: layers.required("api.retries")?,
        };
        let payment = Payment {
            mode: payment_mode(&layers, &api.provider)?,
            key_file: path(&layers, "payment.key_file", root),
            network: layers.required("payment.network")?,
            payee: address(&layers, "payment.payee")?,
            max_price: layers.required("payment.max_price_usd")?,
            address: address(&layers, "payment.address")?,
        };
        let s3 = S3 {
            bucket: layers.optional("s3.bucket")?,
            prefix: layers.value("s3.prefix").text.clone(),
            region: layers.optional("s3.region")?,
            endpoint: https(&layers, "s3.endpoint")?,
            force_path_style: layers.required("s3.force_path_style")?,
            public_base_url: https(&layers, "s3.public_base_url")?,
            presign_expiry: layers.duration("s3.presign_expiry")?,
            cache_control: layers.value("s3.cache_control").text.clone(),
            retries: layers.required("s3.retries")?,
        };
        let publish = Publish {
            uploads: at_least(&layers, "publish.uploads", 1)?,
            probe: layers.required("publish.probe")?,
            allow_private_hosts: layers.required("publish.allow_private_hosts")?,
        };
        let cast = Cast {
            include: layers.list("cast.include"),
            exclude: layers.list("cast.exclude"),
            allow_outside: layers.required("cast.allow_outside")?,
        };
        let realface = RealFace {
            operator: layers.optional("realface.operator")?,
            redirect_url: https(&layers, "realface.redirect_url")?,
            webhook_url: https(&layers, "realface.webhook_url")?,
            poll: layers
                .duration("realface.poll")?
                .filter(|poll| !poll.is_zero())
                .ok_or_else(|| needed(&layers, "realface.poll"))?,
            per_hour: at_least(&layers, "realface.per_hour", 1)?,
            links: at_least(&layers, "realface.links", 1)?,
        };
        let jobs: usize = layers.required("inspect.jobs")?;
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            api,
            payment,
            s3,
            publish,
            cast,
            inspect: inspect(&layers)?,
            jobs: if jobs == 0 { cores() } else { jobs },
            realface,
            ca_file: path(&layers, "tls.ca_file", root),
            ledger: path(&layers, "ledger.path", root).ok_or_else(|| needed(&layers, "ledger.path"))?,
            ledger_backup: path(&layers, "ledger.backup", root),
            manifest: path(&layers, "manifest.path", root).ok_or_else(|| needed(&layers, "manifest.path"))?,
            manifest_every: layers.duration("manifest.every")?.unwrap_or(Duration::MAX),
            notify: https(&layers, "notify.url")?,
            log_file: path(&layers, "report.log_file", root),
            root: root.to_owned(),
            layers,
        })
    }

    /// How a person names the setting that they said: the flag, or its key.
    pub fn said_by(&self, name: &str) -> String {
        match &self.layers.value(name).origin {
            Origin::Flag(flag) if flag != "--set" => flag.clone(),
            _ => name.to_owned(),
        }
    }

    /// Whether a value stands at castline's default.
    pub fn is_default(&self, name: &str) -> bool {
        self.layers.value(name).origin == Origin::Default
    }
}

fn needed(layers: &Layers, name: &str) -> SettingsError {
    layers.wrong(name, "a value is needed".to_owned())
}

/// A path: as typed when it came from the command line, else from the cast's folder.
fn path(layers: &Layers, name: &str, root: &Path) -> Option<PathBuf> {
    let value = layers.value(name);
    match (value.text.as_str(), &value.origin) {
        ("", _) => None,
        (text, Origin::Flag(_) | Origin::Environment(_)) => Some(PathBuf::from(text)),
        (text, Origin::File(file)) => Some(file.parent().unwrap_or(root).join(text)),
        (text, Origin::Default) => Some(root.join(text)),
    }
}

/// The provider's profile: one that is known by name, or a file.
fn provider(layers: &Layers, root: &Path) -> Result<Provider, SettingsError> {
    let name = "api.provider";
    let file = path(layers, name, root).ok_or_else(|| needed(layers, name))?;
    Provider::load(&layers.value(name).text, &file).map_err(|e| layers.wrong(name, e.to_string()))
}

/// How calls are paid: as set, else in the first way that the provider takes.
fn payment_mode(layers: &Layers, provider: &Provider) -> Result<PaymentMode, SettingsError> {
    let name = "payment.mode";
    let mode = match layers.value(name).text.as_str() {
        "" => provider.payments[0],
        "key" => PaymentMode::Key,
        "wallet" => PaymentMode::Wallet,
        _ => return Err(layers.wrong(name, "write key or wallet".to_owned())),
    };
    if !provider.payments.contains(&mode) {
        let other = if mode == PaymentMode::Key {
            "a wallet"
        } else {
            "an API key"
        };
        let told = format!("{} is paid by {other} only", provider.name);
        return Err(layers.wrong(name, told));
    }
    Ok(mode)
}

/// A wallet's address: 0x and 40 hexadecimal digits.
fn address(layers: &Layers, name: &str) -> Result<Option<String>, SettingsError> {
    let text: Option<String> = layers.optional(name)?;
    let digits = text.as_deref().map(|t| t.strip_prefix("0x").unwrap_or_default());
    match digits {
        Some(digits) if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Err(layers.wrong(name, "an address is 0x and 40 hexadecimal digits".to_owned()))
        }
        _ => Ok(text),
    }
}

fn https(layers: &Layers, name: &str) -> Result<Option<Url>, SettingsError> {
    let url: Option<Url> = layers.optional(name)?;
    match url {
        Some(url) if url.scheme() != "https" => {
            Err(layers.wrong(name, "it must begin with https://".to_owned()))
        }
        Some(url) if !url.username().is_empty() || url.password().is_some() => {
            Err(layers.wrong(name, "a URL here holds no user name or password".to_owned()))
        }
        url => Ok(url),
    }
}

fn at_least<T>(layers: &Layers, name: &str, least: T) -> Result<T, SettingsError>
where
    T: std::str::FromStr<Err = std::num::ParseIntError> + PartialOrd + std::fmt::Display,
{
    let number: T = layers.required(name)?;
    if number < least {
        return Err(layers.wrong(name, format!("it must be at least {least}")));
    }
    Ok(number)
}

fn inspect(layers: &Layers) -> Result<InspectSettings, SettingsError> {
    let within = |name: &str, low: u32, high: u32| -> Result<u32, SettingsError> {
        let number: u32 = layers.required(name)?;
        if (low..=high).contains(&number) {
            Ok(number)
        } else {
            Err(layers.wrong(name, format!("it must be between {low} and {high}")))
        }
    };
    let part = |name: &str, low: f32, high: f32| -> Result<f32, SettingsError> {
        let number: f32 = layers.required(name)?;
        if (low..=high).contains(&number) {
            Ok(number)
        } else {
            Err(layers.wrong(name, format!("it must be between {low} and {high}")))
        }
    };
    let format: OutputFormat = layers.required("inspect.format")?;
    Ok(InspectSettings {
        long_side: within("inspect.long_side", 300, 6000)?,
        format,
        quality: within("inspect.quality", 1, 100)? as u8,
        background: colour(layers, "inspect.background")?,
        max_pixels: layers.required("inspect.max_pixels")?,
        crop: layers.required("inspect.crop")?,
        margin: part("inspect.margin", 0.3, 5.0)?,
        face_px: within("inspect.face_px", 0, 6000)?,
        thresholds: Thresholds {
            none: part("inspect.none", 0.0, 1.0)?,
            sure: part("inspect.sure", 0.0, 1.0)?,
            second: part("inspect.second", 0.0, 1.0)?,
            several: part("inspect.several", 0.0, 1.0)?,
            ..Thresholds::default()
        },
        ..InspectSettings::default()
    })
}

/// `#rrggbb`
fn colour(layers: &Layers, name: &str) -> Result<[u8; 3], SettingsError> {
    let text: String = layers.required(name)?;
    let mut rgb = [0; 3];
    hex::decode_to_slice(text.trim_start_matches('#'), &mut rgb)
        .map_err(|_| layers.wrong(name, "a colour is written #rrggbb, such as #808080".to_owned()))?;
    Ok(rgb)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), file).unwrap();
        let variables: Vec<_> = env
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        let flags = flags
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned(), format!("--{k}")))
            .collect();
        Settings::load(folder.path(), None, &variables, flags)
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let file = "[api]\nrate = \"2/s\"\nin_flight = 3\ntimeout = \"5s\"";
        let env = [("CASTLINE_API_RATE", "3/s"), ("CASTLINE_API_IN_FLIGHT", "4")];
        let s = load(file, &env, &[("api.rate", "4/s")]).unwrap();
        assert_eq!(s.api.rate.to_string(), "4/s");
        assert_eq!(s.api.in_flight, 4);
        assert_eq!(s.api.timeout, Duration::from_secs(5));
        assert_eq!(s.api.price, Usd::from_micros(10_000));
        assert_eq!(
            s.layers.value("api.rate").origin,
            Origin::Flag("--api.rate".to_owned())
        );
        assert_eq!(
            s.layers.value("api.in_flight").origin.to_string(),
            "CASTLINE_API_IN_FLIGHT"
        );
        assert!(s.is_default("api.price_usd"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let told = load("[api]\nbase_ulr = \"https://x\"", &[], &[])
            .unwrap_err()
            .to_string();
        assert!(told.contains("did you mean \"api.base_url\"?"), "{told}");
        let told = load("[s3]\nrate = \"1/s\"", &[], &[]).unwrap_err().to_string();
        assert!(told.contains("\"api.rate\""), "{told}");
    }

    #[test]
    fn an_unknown_variable_is_refused_with_the_nearest_known_one() {
        for (name, nearest) in [
            ("CASTLINE_API_MAX_COST", "did you mean CASTLINE_API_MAX_COST_USD?"),
            ("CASTLINE_S3_BUKET", "did you mean CASTLINE_S3_BUCKET?"),
            ("CASTLINE_APIKEY", "did you mean CASTLINE_API_KEY?"),
            ("CASTLINE_XYZZY", "unset it"),
        ] {
            let told = load("", &[(name, "1")], &[]).unwrap_err().to_string();
            assert!(told.contains(name) && told.contains(nearest), "{told}");
        }
        // Secrets, castline's own tests, other programs, and what a CI system leaves empty.
        for (name, text) in [
            ("CASTLINE_API_KEY", "sk"),
            ("CASTLINE_LOG", "info"),
            ("CASTLINE_TEST_LEDGER", "after:1"),
            ("CASTLINES", "1"),
            ("CASTLINE_S3_BUKET", ""),
        ] {
            load("", &[(name, text)], &[]).unwrap();
        }
    }

    #[test]
    fn a_wrong_value_is_told_with_its_key_origin_and_mend() {
        for (file, part) in [
            ("[api]\nrate = \"fast\"", "api.rate"),
            ("[api]\ntimeout = \"soon\"", "write for example 90s"),
            ("[api]\nin_flight = 0", "at least 1"),
            ("[api]\nbase_url = \"http://example.com\"", "https://"),
            ("[inspect]\nlong_side = 9000", "between 300 and 6000"),
            ("[inspect]\nbackground = \"grey\"", "#rrggbb"),
            ("[inspect]\nformat = \"gif\"", "inspect.format"),
            ("[api]\nmax_cost_usd = -1", "api.max_cost_usd"),
            ("[payment]\nmode = \"cash\"", "write key or wallet"),
            ("[payment]\nnetwork = \"ethereum\"", "base or base-sepolia"),
            ("[payment]\npayee = \"0x12\"", "40 hexadecimal digits"),
            ("[payment]\nmax_price_usd = \"much\"", "payment.max_price_usd"),
            (
                "[api]\nprovider = \"blockrun\"\n[payment]\nmode = \"key\"",
                "blockrun is paid by a wallet only",
            ),
        ] {
            let told = load(file, &[], &[]).unwrap_err().to_string();
            assert!(told.contains(part) && told.contains(FILE_NAME), "{file}: {told}");
        }
    }

    #[test]
    fn calls_are_paid_as_the_provider_takes_it() {
        let mode = |file| load(file, &[], &[]).unwrap().payment.mode;
        assert_eq!(mode(""), PaymentMode::Key);
        assert_eq!(mode("[payment]\nmode = \"wallet\""), PaymentMode::Wallet);
        assert_eq!(mode("[api]\nprovider = \"blockrun\""), PaymentMode::Wallet);
    }

    #[test]
    fn paths_start_from_where_they_are_written() {
        let s = load(
            "[ledger]\npath = \"l.db\"",
            &[("CASTLINE_MANIFEST_PATH", "out/m.json")],
            &[],
        )
        .unwrap();
        assert_eq!(s.ledger, s.root.join("l.db"));
        assert_eq!(s.manifest, Path::new("out/m.json"));
    }

    #[test]
    fn the_sample_in_config_is_the_commented_file() {
        // Write it anew with `castline init config --force`.
        let sample = include_str!("../../config/castline.toml");
        assert!(
            sample == keys::commented_file(),
            "config/castline.toml is out of date"
        );
    }

    #[test]
    fn the_commented_file_is_valid_with_every_line_uncommented() {
        let file: String = keys::commented_file()
            .lines()
            .map(|l| l.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(l))
            .map(|l| format!("{l}\n"))
            .collect();
        let file: String = file
            .lines()
            .filter(|l| !l.ends_with("= "))
            .map(|l| format!("{l}\n"))
            .collect();
        load(&file, &[], &[]).unwrap();
    }
}
