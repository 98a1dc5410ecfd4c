//! Simulations of the paid API and of S3, over real HTTPS on this machine.
//!
//! ```text
//!  castline ──HTTPS──▶ api/   keys, checks, liveness, charges ──▶ charges.ndjson
//!      │                │     faults: what goes wrong, by seed
//!      │                ▼ fetches image_url, as the real one does
//!      └────HTTPS──▶  s3.rs   s3s + s3s-fs: signatures checked, objects in a folder
//! ```
//!
//! Nothing listens beyond loopback, nothing is fetched from beyond it, and every certificate and key is created for
//! one start. Asset ids of a sandbox show it: `ta_pt_sandbox_…`, `ta_rf_sandbox_…`.
//!
//! Names may repeat: like at the real service, every paid call costs and creates another permanent asset. That is
//! what the tests of "never pay twice" count, in [`Sandbox::charges`] or at `GET /_sandbox/charges`.

mod api;
mod cdn;
mod charges;
pub mod faults;
mod liveness;
mod log;
mod net;
mod options;
mod reply;
mod picture;
mod s3;
mod serve;
mod tls;
pub mod x402;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt;
use url::Url;

pub use charges::Charge;
pub use faults::{FaultKind, Faults};
pub use log::{RequestRecord, busiest};
pub use options::{Dialect, Liveness, SandboxError, SandboxOptions};
pub use reply::ErrorShape;
pub use serve::{ServeOptions, Shell, serve};
pub use tls::install_provider;

use api::Shared;
use log::{LogTarget, RequestLog};

/// The name of the only bucket.
const BUCKET: &str = "castline-sandbox";
/// The region that requests are signed for.
const REGION: &str = "us-east-1";

/// Both servers, running. Dropping it stops them at once.
pub struct Sandbox {
    shared: Arc<Shared>,
    s3_endpoint: Url,
    access_key: String,
    secret_key: String,
    ca_pem: String,
    ca_file: PathBuf,
    wallet_key: String,
    servers: JoinSet<()>,
}

/// Starts both servers. They run on the current tokio runtime.
pub async fn start(options: SandboxOptions) -> Result<Sandbox, SandboxError> {
    tls::install_provider();
    let dir = std::path::absolute(&options.dir).map_err(|source| SandboxError::File {
        path: options.dir.clone(),
        source,
    })?;
    let file = |path: PathBuf| |source| SandboxError::File { path, source };
    std::fs::create_dir_all(&dir).map_err(file(dir.clone()))?;
    let tls::Tls { server: tls, ca_pem } = tls::generate().map_err(|e| SandboxError::Tls(e.to_string()))?;
    let ca_file = dir.join("ca.pem");
    std::fs::write(&ca_file, &ca_pem).map_err(file(ca_file.clone()))?;
    let log_file = options.log.clone().unwrap_or_else(|| dir.join("requests.ndjson"));
    let target = match log_file.as_os_str() == "-" {
        true => LogTarget::Stdout,
        false => LogTarget::File(&log_file),
    };
    let log = RequestLog::open(target).map_err(file(log_file.clone()))?;
    let charges = dir.join("charges.ndjson");
    let book = charges::ChargeBook::open(&charges).map_err(file(charges.clone()))?;

    let access_key = format!("SANDBOX{}", random_hex::<8>().to_uppercase());
    let secret_key = random_hex::<20>();
    let store = s3::Store::new(
        &dir.join("s3"),
        BUCKET,
        &access_key,
        &secret_key,
        options.anonymous_read,
    )?;

    let listen = |port| async move {
        net::listen(port)
            .await
            .map_err(|(addr, source)| SandboxError::Listen { addr, source })
    };
    let (api_sockets, s3_sockets) = (listen(options.api_port).await?, listen(options.s3_port).await?);
    let bank = options
        .wallet
        .clone()
        .map(|wallet| x402::Bank::new(wallet, options.price, &book));
    let shared = Arc::new(Shared {
        base: local_url(&api_sockets),
        api_key: options
            .api_key
            .clone()
            .unwrap_or_else(|| format!("sk-sandbox-{}", random_hex::<16>())),
        faults: faults::FaultBox::new(options.faults.clone())?,
        book,
        log,
        sessions: Mutex::new(liveness::Sessions::new(options.liveness.clone())),
        fetcher: picture::Fetcher::new(&ca_pem).map_err(|e| SandboxError::Tls(e.to_string()))?,
        turn: AtomicUsize::new(0),
        unclear: AtomicUsize::new(0),
        bank,
        options,
    });
    let s3_endpoint = local_url(&s3_sockets);

    let mut servers = JoinSet::new();
    let router = api::router(shared.clone());
    for socket in api_sockets {
        let (router, log, faults) = (router.clone(), shared.log.clone(), shared.clone());
        let handle = move |mut request: Request<Incoming>| {
            let arrival = log.arrive("api", request.method().as_str(), request.uri().path());
            request.extensions_mut().insert(arrival.tag());
            let reply = router.clone().oneshot(request.map(Body::new));
            async move {
                let reply = reply.await.unwrap_or_else(|never| match never {});
                arrival.finish(reply.status().as_u16());
                reply
            }
        };
        servers.spawn(net::serve(
            socket,
            tls.clone(),
            move || faults.faults.refuse(),
            handle,
        ));
    }
    for socket in s3_sockets {
        let (store, shared) = (store.clone(), shared.clone());
        let handle = move |request: Request<Incoming>| {
            let arrival = shared
                .log
                .arrive("s3", request.method().as_str(), request.uri().path());
            let (store, slow) = (store.clone(), shared.faults.s3());
            let cdn = cdn::Cdn::before(&request, shared.faults.public_reads());
            async move {
                let reply = if slow {
                    s3::slow_down()
                } else {
                    cdn.pass(store.call(request).await).await
                };
                arrival.finish(reply.status().as_u16());
                reply
            }
        };
        servers.spawn(net::serve(socket, tls.clone(), || false, handle));
    }
    Ok(Sandbox {
        shared,
        s3_endpoint,
        access_key,
        secret_key,
        ca_pem,
        ca_file,
        wallet_key: format!("0x{}", random_hex::<32>()),
        servers,
    })
}

impl Sandbox {
    /// The base URL of the API, `https://localhost:PORT/v1/marketplace`.
    pub fn api_base_url(&self) -> Url {
        self.at("v1/marketplace")
    }

    /// The base URL of the same API at BlockRun's path, `https://localhost:PORT/api/v1`.
    pub fn blockrun_base_url(&self) -> Url {
        self.at("api/v1")
    }

    /// The sandbox's address with the path of `real`, the address of an API.
    pub fn base_url_like(&self, real: &Url) -> Url {
        self.at(real.path())
    }

    /// The address of charges, requests, faults and sessions, `https://localhost:PORT/_sandbox`.
    pub fn control_url(&self) -> Url {
        self.at("_sandbox")
    }

    fn at(&self, path: &str) -> Url {
        self.shared.base.join(path).expect("a path under a base")
    }

    /// The endpoint of S3, `https://localhost:PORT`; buckets are in the path.
    pub fn s3_endpoint(&self) -> Url {
        self.s3_endpoint.clone()
    }

    /// The name of the only bucket.
    pub fn bucket(&self) -> &str {
        BUCKET
    }

    /// The region to sign for.
    pub fn region(&self) -> &str {
        REGION
    }

    /// The S3 access key id.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The S3 secret access key.
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// The API key.
    pub fn api_key(&self) -> &str {
        &self.shared.api_key
    }

    /// The private key of a wallet, created for this start. It has the balance of every wallet here.
    pub fn wallet_key(&self) -> &str {
        &self.wallet_key
    }

    /// Whether it is paid from wallets rather than by key.
    pub fn takes_wallets(&self) -> bool {
        self.shared.bank.is_some()
    }

    /// The certificate authority to trust, PEM.
    pub fn ca_pem(&self) -> &[u8] {
        self.ca_pem.as_bytes()
    }

    /// The path of a file with [`ca_pem`](Self::ca_pem).
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// Every charge so far, in order, including those of earlier sandboxes in the same folder.
    pub fn charges(&self) -> Vec<Charge> {
        self.shared.book.all()
    }

    /// The last requests, in order of arrival.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.log.recent()
    }

    /// The current balance of an address; zero if wallets are not accepted.
    pub fn balance(&self, address: alloy_primitives::Address) -> crate::util::money::Usd {
        self.shared
            .bank
            .as_ref()
            .map_or(crate::util::money::Usd::ZERO, |bank| bank.balance(address))
    }

    /// Replaces the faults, and restarts the script and the counts.
    pub fn set_faults(&self, faults: Faults) -> Result<(), SandboxError> {
        Ok(self.shared.faults.replace(faults)?)
    }

    /// Stops both servers; open connections are cut.
    pub async fn stop(mut self) {
        self.servers.shutdown().await;
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("api", &self.api_base_url().as_str())
            .field("s3", &self.s3_endpoint.as_str())
            .finish_non_exhaustive()
    }
}

fn local_url(sockets: &[TcpListener]) -> Url {
    let port = sockets[0]
        .local_addr()
        .expect("a bound socket has an address")
        .port();
    format!("https://localhost:{port}/")
        .parse()
        .expect("a URL written here")
}

/// `N` random bytes as hexadecimal digits.
fn random_hex<const N: usize>() -> String {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system provides random numbers");
    hex::encode(bytes)
}
