//! The stand-ins are what every other end-to-end test trusts, so they are tested over the wire themselves:
//! with reqwest and the AWS SDK, over TLS.

mod api;
mod faults;
mod realface;
mod s3;
mod wallet;

use std::io::Cursor;

use castline::sandbox::{self, Sandbox, SandboxOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A sandbox with a client that trusts it and never sends anything twice.
struct Bench {
    sandbox: Sandbox,
    http: reqwest::Client,
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
        let http = client(&sandbox);
        Self {
            sandbox,
            http,
            _dir: dir,
        }
    }

    /// Puts an image into the bucket and gives its plain URL.
    async fn picture(&self, key: &str) -> String {
        self.add_reason(key, "image/jpeg", jpeg(400, 500)).await
    }

    async fn add_reason(&self, key: &str, kind: &str, bytes: Vec<u8>) -> String {
        let bucket = self.sandbox.bucket();
        s3::client(&self.sandbox)
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type(kind)
            .body(bytes.into())
            .send()
            .await
            .unwrap();
        format!("{}{bucket}/{key}", self.sandbox.s3_endpoint())
    }

    async fn post(&self, path: &str, body: &Value) -> reqwest::Result<reqwest::Response> {
        let url = format!("{}/{path}", self.sandbox.api_base_url());
        self.http
            .post(url)
            .bearer_auth(self.sandbox.api_key())
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
    }

    async fn enroll(&self, name: &str, image_url: &str) -> reqwest::Result<reqwest::Response> {
        self.post(
            "portrait/enroll",
            &json!({ "name": name, "image_url": image_url }),
        )
        .await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let url = self.sandbox.api_base_url().join(path).unwrap();
        read(
            self.http
                .get(url)
                .bearer_auth(self.sandbox.api_key())
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    async fn control(&self, path: &str, body: &Value) -> u16 {
        let url = format!("{}/{path}", self.sandbox.control_url());
        self.http
            .post(url)
            .body(body.to_string())
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }
}

fn client(sandbox: &Sandbox) -> reqwest::Client {
    reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(sandbox.ca_pem()).unwrap()])
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .build()
        .unwrap()
}

async fn read(reply: reqwest::Response) -> (u16, Value) {
    let status = reply.status().as_u16();
    (
        status,
        serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap_or(Value::Null),
    )
}

/// A grey image.
fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image::GrayImage::from_pixel(width, height, image::Luma([128]))
        .write_to(&mut bytes, image::ImageFormat::Jpeg)
        .unwrap();
    bytes.into_inner()
}
