//! The options of a sandbox.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::faults::Faults;
use super::reply::ErrorShape;
use crate::util::money::Usd;

/// The description of the API that the sandbox follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
pub enum Dialect {
    /// The 2025 reference: verification_url, expires_at, completed, liveness_verified
    #[serde(rename = "2025")]
    #[value(name = "2025")]
    D2025,
    /// The 2026 documentation and BlockRun's gateway: h5_link, expires_in_seconds, active, price
    #[default]
    #[serde(rename = "2026")]
    #[value(name = "2026")]
    D2026,
}

/// The options of liveness sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct Liveness {
    /// How long a link is valid unless it is completed: 120 s at the real API.
    pub expiry: Duration,
    /// The delay after `init` at which a session completes by itself; otherwise it completes only on demand, by the
    /// button on the page behind the link or by `POST /_sandbox/liveness/{group_id}`.
    pub complete_after: Option<Duration>,
    /// `init` calls allowed in [`Self::init_window`]: 10 an hour at the real API.
    pub init_limit: usize,
    /// The window that [`Self::init_limit`] counts in.
    pub init_window: Duration,
}

impl Default for Liveness {
    fn default() -> Self {
        Self {
            expiry: Duration::from_secs(120),
            complete_after: None,
            init_limit: 10,
            init_window: Duration::from_secs(3600),
        }
    }
}

/// The options of a sandbox. [`SandboxOptions::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// The folder of objects, `ca.pem`, `charges.ndjson` and `requests.ndjson`. Created if missing. The charges of an
    /// earlier sandbox in it are kept: its assets are permanent, like the real ones.
    pub dir: PathBuf,
    /// TCP port of the API on loopback; 0 takes a free one.
    pub api_port: u16,
    /// TCP port of S3 on loopback; 0 takes a free one.
    pub s3_port: u16,
    /// The dialect of replies.
    pub dialect: Dialect,
    /// The shape of error bodies; the dialect's own when `None`.
    pub errors: Option<ErrorShape>,
    /// The price of one enrollment.
    pub price: Usd,
    /// Whether objects can be read without credentials. If not, only presigned URLs can read them.
    pub anonymous_read: bool,
    /// The options of liveness sessions.
    pub liveness: Liveness,
    /// What goes wrong, and how often. Can be changed while it runs.
    pub faults: Faults,
    /// The path of the request log, one NDJSON line each; `requests.ndjson` in [`Self::dir`] when `None`.
    pub log: Option<PathBuf>,
    /// The API key to expect; a random one when `None`.
    pub api_key: Option<String>,
    /// Payment from a wallet instead of an API key.
    pub wallet: Option<super::x402::WalletOptions>,
}

impl SandboxOptions {
    /// The defaults, in the given folder.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            api_port: 0,
            s3_port: 0,
            dialect: Dialect::default(),
            errors: None,
            price: Usd::from_micros(10_000),
            anonymous_read: true,
            liveness: Liveness::default(),
            faults: Faults::default(),
            log: None,
            api_key: None,
            wallet: None,
        }
    }

    pub(super) fn error_shape(&self) -> ErrorShape {
        self.errors.unwrap_or(match self.dialect {
            Dialect::D2025 => ErrorShape::Nested,
            Dialect::D2026 => ErrorShape::Flat,
        })
    }
}

/// The sandbox could not be started, or could not continue.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A file or folder of the sandbox can't be used.
    #[error("sandbox: cannot use {}: {source}", path.display())]
    File {
        /// The path of the file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A port is taken, or there is no loopback interface.
    #[error("sandbox: cannot listen on {addr}: {source} — choose another port, or 0 for a free one")]
    Listen {
        /// The address to listen on.
        addr: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// The throw-away certificates can't be created.
    #[error("sandbox: cannot create its certificates: {0}")]
    Tls(String),
    /// The folder of objects can't be served.
    #[error("sandbox: cannot serve its objects: {0}")]
    S3(String),
    /// A list or file of faults can't be used.
    #[error("sandbox faults: {0}")]
    Faults(#[from] super::faults::FaultsError),
}
