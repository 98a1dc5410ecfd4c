//! Receipts in a store that is not the sandbox's: `moto_server` from PyPI, over TLS.

use std::process::{Child, Command, Stdio};

use super::*;
use crate::support::certificate::{Certified, certified};

/// `moto_server`, but for its conditional writes: they look and write apart, so that of two at the same moment both may
/// succeed, which no real store permits.
const SERVER: &str = "
import sys, threading
from moto.s3.responses import S3Response
from moto.server import main
lock, put = threading.Lock(), S3Response.put_object
def one_at_a_time(self):
    with lock:
        return put(self)
S3Response.put_object = one_at_a_time
main(sys.argv[1:])
";

/// `moto_server` in a process of its own.
struct Moto {
    process: Child,
    endpoint: url::Url,
    ca_pem: Vec<u8>,
    _folder: TempDir,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Moto {
    /// Starts one with the bucket `cast`; `None` where it is not installed, which fails CI.
    async fn start() -> Option<Self> {
        let python = std::env::var("CASTLINE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let there = Command::new(&python)
            .args(["-c", "import moto.server"])
            .stderr(Stdio::null())
            .status();
        if !there.is_ok_and(|status| status.success()) {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI needs moto in CASTLINE_TEST_PYTHON"
            );
            println!("skipped: no {python} with moto (pip install 'moto[s3]' flask flask-cors)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let Certified { ca_pem, leaf, key } = certified();
        let [certificate, private] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        std::fs::write(&certificate, leaf.pem()).unwrap();
        std::fs::write(&private, key.serialize_pem()).unwrap();
        // Free a moment ago; another test that takes it makes this one fail, not pass.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new(&python)
            .args(["-c", SERVER, "-H", "127.0.0.1", "-p", &port.to_string(), "-c"])
            .arg(&certificate)
            .arg("-k")
            .arg(&private)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self {
            process,
            endpoint: format!("https://localhost:{port}").parse().unwrap(),
            ca_pem,
            _folder: folder,
        };
        let client = castline::net::tls::http(Some(&moto.ca_pem))
            .unwrap()
            .build()
            .unwrap();
        let bucket = moto.endpoint.join("cast").unwrap();
        for _ in 0..200 {
            if let Ok(reply) = client.put(bucket.clone()).send().await {
                assert!(reply.status().is_success(), "{reply:?}");
                return Some(moto);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("moto_server does not start");
    }

    /// The receipts of a payer in it.
    async fn receipts(&self) -> Receipts {
        let settings = PublishSettings {
            bucket: "cast".to_owned(),
            prefix: "art".to_owned(),
            region: Some("us-east-1".to_owned()),
            endpoint: Some(self.endpoint.clone()),
            force_path_style: true,
            public_base_url: None,
            presign_expiry: None,
            cache_control: "no-cache".to_owned(),
            retries: 2,
            ca_pem: Some(self.ca_pem.clone()),
        };
        let credentials = StaticCredentials::new("key", "secret");
        let publisher = Publisher::new(settings, Some(credentials)).await.unwrap();
        let secret = ReceiptSecret::new([9; 32]);
        Receipts::new(
            publisher,
            "art",
            secret,
            "sandbox",
            "cast.csv",
            Duration::from_secs(5),
        )
    }
}

/// A lost ledger, and two machines at the same moment: every character is paid for once.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_store_keeps_receipts_too() {
    let Some(moto) = Moto::start().await else { return };
    let mut lost = Faults::default();
    lost.set("reset-charged=20").unwrap();
    lost.seed = 4;
    let stage = Harness::new(lost).await;
    let ledger = |name: &str| Harness::ledger_at(&stage.folder.path().join(name));
    let names = names(20);

    let (first, second) = (moto.receipts().await, moto.receipts().await);
    let (one, other) = tokio::join!(
        stage.enroll_from(ledger("one.db"), first, &names, Run::default()),
        stage.enroll_from(ledger("other.db"), second, &names, Run::default()),
    );
    let charges = stage.sandbox.charges();
    assert_eq!(charges.len(), 20, "each once, whichever machine was faster");
    assert!(
        charges.iter().any(|charge| charge.reply_lost),
        "some replies were lost"
    );
    let enrolled = one.count(State::Enrolled) + other.count(State::Enrolled);
    assert!(enrolled >= 20 - charges.iter().filter(|c| c.reply_lost).count());

    stage.sandbox.set_faults(Faults::default()).unwrap();
    let receipts = moto.receipts().await;
    let third = stage
        .enroll_from(ledger("fresh.db"), receipts, &names, Run::default())
        .await;
    assert_eq!(
        stage.sandbox.charges().len(),
        20,
        "a fresh ledger pays for nothing again"
    );
    for charge in charges.iter().filter(|charge| !charge.reply_lost) {
        let id = third.records[&charge.name].asset_id.as_ref();
        assert_eq!(id, Some(&charge.asset_id), "{}", charge.name);
    }
}
