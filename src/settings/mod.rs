//! Settings: flags > environment > file > the user's own file > defaults, validated, with the origin of every value.

mod error;
mod key;
pub mod keys;
mod layers;
mod read;
mod trust;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

pub use error::SettingsError;
pub use layers::{Layers, Origin, Value};

use crate::enroll::{Network, PaymentMode, Provider, Rate};
use crate::inspect::InspectSettings;
use crate::ledger::{Place, Server};
use crate::util::money::Usd;

/// Name of the configuration file, looked up next to the cast and in the user's folder of configurations.
pub const FILE_NAME: &str = "castline.toml";

/// All settings, validated.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The values as text, with their origins.
    pub layers: Layers,
    /// The folder that relative paths in the settings are based on: the cast's folder.
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
    /// `inspect.jobs`: images inspected in parallel, at least 1.
    pub jobs: usize,
    /// `realface.*`
    pub realface: RealFace,
    /// `tls.ca_file`
    pub ca_file: Option<PathBuf>,
    /// `ledger.path`, absolute or relative to the working directory.
    pub ledger: PathBuf,
    /// `ledger.url` and what belongs to it: the ledger is there, not in a file.
    pub server: Option<Server>,
    /// `ledger.lease`
    pub lease: Duration,
    /// `ledger.backup`, likewise.
    pub ledger_backup: Option<PathBuf>,
    /// `receipts.enabled`
    pub receipts: bool,
    /// `manifest.path`, likewise.
    pub manifest: PathBuf,
    /// `manifest.checkpoint_interval`
    pub checkpoint_interval: Duration,
    /// `notify.url`
    pub notify: Option<Url>,
    /// `report.log_file`
    pub log_file: Option<PathBuf>,
    /// `report.metrics_file`
    pub metrics_file: Option<PathBuf>,
    /// The cast that the command works on.
    pub cast_path: Option<PathBuf>,
    /// What the file beside the cast sets that needs trust.
    pub untrusted: Option<Untrusted>,
}

/// A configuration file that was found beside a cast, and what it sets that needs trust.
#[derive(Debug, Clone)]
pub struct Untrusted {
    /// The file.
    pub file: PathBuf,
    /// The settings.
    pub keys: Vec<&'static str>,
}

/// `api.*`: how characters are enrolled.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the table of keys says what each field means")]
pub struct Api {
    pub provider: Provider,
    pub base_url: Url,
    pub key_file: Option<PathBuf>,
    pub rate: Rate,
    pub concurrency: usize,
    pub timeout: Duration,
    pub price: Usd,
    pub accept_zero_price: bool,
    pub max_cost: Option<Usd>,
    pub max_total_cost: Option<Usd>,
    /// `api.max_account_cost_usd`
    pub max_account_cost: Option<Usd>,
    pub max_consecutive_in_doubt: u32,
    pub retries: u32,
}

/// `payment.*`: how calls are paid, and the wallet.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the table of keys says what each field means")]
pub struct Payment {
    pub mode: PaymentMode,
    pub key_file: Option<PathBuf>,
    pub network: Network,
    pub payee: Option<String>,
    pub max_price: Usd,
    pub rpc_url: Option<Url>,
    pub address: Option<String>,
}

/// `s3.*`: where images are published.
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

/// `publish.*`: how images are published.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the table of keys says what each field means")]
pub struct Publish {
    pub concurrency: usize,
    pub probe: bool,
    pub allow_private_hosts: bool,
}

/// `cast.*`: which images belong to a cast.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the table of keys says what each field means")]
pub struct Cast {
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    pub allow_outside: bool,
    pub looks: bool,
    pub map: Vec<(String, String)>,
    pub skip_invalid: bool,
}

/// `realface.*`: liveness checks of real actors.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the table of keys says what each field means")]
pub struct RealFace {
    pub operator: Option<String>,
    pub redirect_url: Option<Url>,
    pub webhook_url: Option<Url>,
    pub poll_interval: Duration,
    pub max_polls_per_hour: usize,
    pub max_checks_per_hour: usize,
    pub max_links_per_actor: u32,
}

impl Settings {
    /// Replaces the configured price of a call with the one that the API reported.
    ///
    /// # Errors
    /// None for a valid price.
    pub(crate) fn set_price(&mut self, price: Usd, origin: Origin) -> Result<(), SettingsError> {
        let plain = price.to_string().trim_start_matches('$').to_owned();
        self.layers.set("api.price_usd", plain, origin)?;
        self.api.price = price;
        Ok(())
    }

    /// Layers defaults, files, environment and flags, and parses the values.
    ///
    /// `root` is the cast's folder. `of_user` is the user's own file, which is read if there is one. `file` must exist if
    /// given; without it, `castline.toml` in `root` is read if there is one. `variables` is the environment, of which names that begin with `CASTLINE_` are read. `flags` are triples
    /// of key, text and the flag that set it.
    ///
    /// # Errors
    /// An unreadable file, an unknown key or variable, or an invalid value.
    pub fn load(
        root: &Path,
        of_user: Option<&Path>,
        file: Option<&Path>,
        variables: &[(String, String)],
        flags: Vec<(String, String, String)>,
    ) -> Result<Self, SettingsError> {
        let mut layers = Layers::defaults();
        if let Some(of_user) = of_user.filter(|file| file.is_file()) {
            layers.file(of_user)?;
        }
        let before = layers.clone();
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
        let keys = match file {
            Some(_) => Vec::new(),
            None => trust::needing_trust(&before, &layers, &beside),
        };
        let mut settings = Self::read(layers, root)?;
        settings.untrusted = (!keys.is_empty()).then_some(Untrusted { file: beside, keys });
        Ok(settings)
    }

    /// Where the ledger is.
    pub fn place(&self) -> Place {
        match &self.server {
            Some(server) => Place::Postgres(server.clone()),
            None => Place::File(self.ledger.clone()),
        }
    }

    /// The PostgreSQL server at `url`, with the other settings of `ledger.url`.
    ///
    /// # Errors
    /// It can't be used.
    pub(crate) fn server_at(&self, url: &str) -> Result<Server, SettingsError> {
        let mut layers = self.layers.clone();
        layers.set(
            "ledger.url",
            url.to_owned(),
            Origin::Flag("--from, --to".to_owned()),
        )?;
        let server = read::server(&layers, &self.root, "")?;
        server.ok_or_else(|| layers.wrong("ledger.url", "it is empty".to_owned()))
    }

    /// Makes the ledger one of the sandbox: another file, or another schema.
    ///
    /// # Errors
    /// The schema can't be used.
    pub(crate) fn use_sandbox_ledger(&mut self) -> Result<(), SettingsError> {
        if !matches!(self.layers.value("ledger.path").origin, Origin::Flag(_)) {
            self.ledger.set_file_name("sandbox.db");
        }
        if self.server.is_some() {
            self.server = read::server(&self.layers, &self.root, "_sandbox")?;
        }
        Ok(())
    }

    /// What to call a setting in messages: the flag that set it, or its key.
    pub fn said_by(&self, name: &str) -> String {
        match &self.layers.value(name).origin {
            Origin::Flag(flag) if flag != "--set" => flag.clone(),
            _ => name.to_owned(),
        }
    }

    /// Whether a setting is at castline's default.
    pub fn is_default(&self, name: &str) -> bool {
        self.layers.value(name).origin == Origin::Default
    }
}
