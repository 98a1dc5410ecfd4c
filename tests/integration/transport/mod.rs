//! The stations that speak over the network, over the network: publish against a real S3 server and against one
//! that misbehaves, enroll against the stand-in API and against a server that cuts connections at every phase.

mod enroll;
mod publish;
mod s3_refusals;
mod server;
mod single_post;

use castline::enroll::{ApiKey, ApiSettings, Client};
use castline::publish::{Fetcher, PublishSettings, Publisher, StaticCredentials};
use castline::sandbox::{self, Sandbox, SandboxOptions};
use std::time::Duration;
use tempfile::TempDir;

/// A sandbox, and the stations that speak to it.
struct Bench {
    sandbox: Sandbox,
    _dir: TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut SandboxOptions)) -> Self {
        let dir = TempDir::new().unwrap();
        let mut options = SandboxOptions::new(dir.path());
        change(&mut options);
        let sandbox = sandbox::start(options).await.unwrap();
        Self { sandbox, _dir: dir }
    }

    fn settings(&self) -> PublishSettings {
        PublishSettings {
            bucket: self.sandbox.bucket().to_owned(),
            prefix: "cast".to_owned(),
            region: Some(self.sandbox.region().to_owned()),
            endpoint: Some(self.sandbox.s3_endpoint()),
            force_path_style: true,
            public_base_url: None,
            presign_expiry: None,
            cache_control: "public, max-age=60".to_owned(),
            retries: 2,
            ca_pem: Some(self.sandbox.ca_pem().to_vec()),
        }
    }

    fn credentials(&self) -> StaticCredentials {
        StaticCredentials::new(self.sandbox.access_key(), self.sandbox.secret_key())
    }

    async fn publisher(&self, change: impl FnOnce(&mut PublishSettings)) -> Publisher {
        let mut settings = self.settings();
        change(&mut settings);
        Publisher::new(settings, Some(self.credentials())).await.unwrap()
    }

    fn fetcher(&self) -> Fetcher {
        Fetcher::new(true, Some(self.sandbox.ca_pem())).unwrap()
    }

    fn api(&self, timeout: Duration) -> ApiSettings {
        ApiSettings {
            base_url: self.sandbox.api_base_url(),
            key: Some(ApiKey::new(self.sandbox.api_key()).unwrap()),
            provider: castline::enroll::Provider::default(),
            timeout,
            ca_pem: Some(self.sandbox.ca_pem().to_vec()),
        }
    }

    fn client(&self) -> Client {
        Client::new(self.api(Duration::from_secs(20))).unwrap()
    }

    /// A client that soon gives up.
    fn impatient_client(&self) -> Client {
        let (timeout, connect) = (Duration::from_millis(500), Duration::from_secs(2));
        Client::with_connect_timeout(self.api(timeout), connect).unwrap()
    }

    /// How many requests with this method S3 has seen.
    fn s3_requests(&self, method: &str) -> usize {
        let requests = self.sandbox.requests();
        requests
            .iter()
            .filter(|r| r.server == "s3" && r.method == method)
            .count()
    }
}

/// A grey image that the stand-in API takes.
fn jpeg() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::GrayImage::from_pixel(400, 500, image::Luma([128]))
        .write_to(&mut bytes, image::ImageFormat::Jpeg)
        .unwrap();
    bytes.into_inner()
}
