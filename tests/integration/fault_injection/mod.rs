//! Never pay twice, never lose an id: the paid station under every fault that the sandbox can play.
//!
//! The ledger, the API (over TLS) and the pace are the real ones; the sandbox's own account of charges is
//! what everything is held against. `CASTLINE_FIRE=long` plays longer.

mod casts;
mod chain;
mod clock;
mod crash;
mod doctor;
mod duplicates;
mod fault_table;
mod faults;
mod foreign_store;
mod histories;
mod ids;
mod kill;
mod ownership;
mod plan;
mod price;
mod publishing;
mod rates;
mod receipts;
mod reconcile;
mod signatures;
mod wallet;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use castline::cast::{Character, Source};
use castline::cast::{Kind, Name};
use castline::enroll::{ApiKey, ApiSettings, Client, RateLimiter};
use castline::event::{Event, Reporter, Reporters, Summary};
use castline::exit::ExitCode;
use castline::inspect::Verdict;
use castline::ledger::{Approval, Budget, Ledger, LedgerError, OpenOptions, Record, State, Transition};
use castline::net::public_url::PublicUrl;
use castline::pipeline::{Brake, Enroll, PaymentMethod, Price, Published, Shutdown, ShutdownReason};
use castline::plan::{Image, Policy, Row, Standing, standing};
use castline::publish::{PublishSettings, Publisher, StaticCredentials};
use castline::receipts::{ReceiptSecret, Receipts};
use castline::sandbox::{self, Faults, Sandbox, SandboxOptions};
use castline::util::money::Usd;
use tempfile::TempDir;

/// Whether to play the longer versions.
fn long() -> bool {
    std::env::var("CASTLINE_FIRE").is_ok_and(|v| v == "long")
}

/// The sandbox, one published image, a ledger.
struct Harness {
    sandbox: Sandbox,
    folder: TempDir,
    picture: PublicUrl,
    /// Who pays; without it, the key does.
    wallet: Option<castline::enroll::payment::Wallet>,
    /// What the settings of the next run change of that.
    change_payer: Option<ChangePayer>,
    /// Every id that a run reported.
    reported: ReportedIds,
}

#[derive(Clone, Default)]
struct ReportedIds(Arc<Mutex<BTreeSet<String>>>);

impl ReportedIds {
    fn contains(&self, asset_id: &str) -> bool {
        self.0.lock().unwrap().contains(asset_id)
    }
}

impl Reporter for ReportedIds {
    fn event(&self, event: &Event) {
        if let Event::Enrolled { asset_id, .. } = event {
            self.0.lock().unwrap().insert(asset_id.clone());
        }
    }
}

type ChangePayer = Box<dyn Fn(&mut PaymentMethod) + Send + Sync>;

/// How the paid station runs.
struct Run {
    rate: &'static str,
    in_flight: usize,
    timeout: Duration,
    retries: u32,
    max_consecutive_in_doubt: u32,
    budget: Budget,
    /// The price of a call that a plan agreed to.
    agreed: Option<Usd>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            rate: "1000/s",
            in_flight: 16,
            timeout: Duration::from_secs(5),
            retries: 3,
            max_consecutive_in_doubt: u32::MAX,
            budget: Budget::default(),
            agreed: None,
        }
    }
}

/// How it ended.
struct Ended {
    stop: Option<ShutdownReason>,
    summary: Summary,
    records: BTreeMap<String, Record>,
}

impl Ended {
    /// The exit code that the command would give.
    fn exit(&self) -> ExitCode {
        let own = self.summary.exit();
        self.stop.as_ref().map_or(own, |stop| own.worst(stop.exit))
    }

    fn count(&self, state: State) -> usize {
        self.records.values().filter(|r| r.state == state).count()
    }
}

impl Harness {
    async fn new(faults: Faults) -> Self {
        Self::with(|options| options.faults = faults).await
    }

    async fn with(change: impl FnOnce(&mut SandboxOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = SandboxOptions::new(folder.path().join("sandbox"));
        change(&mut options);
        let sandbox = sandbox::start(options).await.unwrap();
        let picture = upload(&sandbox).await;
        Self {
            sandbox,
            folder,
            picture,
            wallet: None,
            change_payer: None,
            reported: ReportedIds::default(),
        }
    }

    /// How calls are paid.
    fn payment_method(&self) -> PaymentMethod {
        let mut payment_method = match &self.wallet {
            Some(wallet) => wallet::payment_method(wallet),
            None => PaymentMethod::Key,
        };
        if let Some(change) = &self.change_payer {
            change(&mut payment_method);
        }
        payment_method
    }

    fn ledger(&self) -> Ledger {
        Self::ledger_at(&self.folder.path().join("ledger.db"))
    }

    fn ledger_at(path: &std::path::Path) -> Ledger {
        // Other tests start processes meanwhile, which have this one's lock until they are what they will be.
        for _ in 0..200 {
            match Ledger::open(path, OpenOptions::new("sandbox", true, "test")) {
                Err(LedgerError::Locked { .. }) => std::thread::sleep(Duration::from_millis(50)),
                ledger => return ledger.unwrap(),
            }
        }
        panic!("the ledger is not let go of");
    }

    /// Takes all of `names` that may be paid for through the paid station.
    async fn enroll(&self, names: &[String], run: Run) -> Ended {
        let receipts = receipts(&self.sandbox, [7; 32]).await;
        self.enroll_from(self.ledger(), receipts, names, run).await
    }

    /// As [`Harness::enroll`], with a ledger of another machine.
    async fn enroll_from(&self, ledger: Ledger, receipts: Receipts, names: &[String], run: Run) -> Ended {
        castline::pipeline::write_receipts(&ledger, &receipts)
            .await
            .unwrap();
        let shutdown = Shutdown::default();
        let reporters = Arc::new(Reporters::new("run", vec![Box::new(self.reported.clone())]));
        let payment_method = self.payment_method();
        let api = ApiSettings {
            base_url: self.sandbox.api_base_url(),
            key: matches!(payment_method, PaymentMethod::Key)
                .then(|| ApiKey::new(self.sandbox.api_key()).unwrap()),
            provider: castline::enroll::Provider::default(),
            timeout: run.timeout,
            ca_pem: Some(self.sandbox.ca_pem().to_vec()),
        };
        let planned = run.agreed.unwrap_or(Usd::from_micros(10_000));
        let price = Price::new(planned, ledger.view().reply_price().unwrap());
        if run.agreed.is_some() {
            price.set_agreed();
        }
        let station = Arc::new(Enroll {
            client: Client::new(api).unwrap(),
            payment_method,
            signer: None,
            rate_limiter: RateLimiter::new(run.rate.parse().unwrap(), run.in_flight),
            ledger: ledger.clone(),
            receipts: Some(receipts.clone()),
            reporters: Arc::clone(&reporters),
            same_arguments: " cast.csv".to_owned(),
            shutdown: shutdown.clone(),
            price,
            budget: run.budget,
            concurrency: run.in_flight,
            retries: run.retries,
            brake: Brake::new(
                run.max_consecutive_in_doubt,
                ledger.view().consecutive_doubts().unwrap(),
            ),
        });
        let (to, input) = tokio::sync::mpsc::channel(64);
        let enrolling = tokio::spawn(station.run(input));
        for name in names {
            let character = character(name);
            if !self.prepare(&ledger, &character).await {
                continue;
            }
            if to
                .send(Published {
                    character,
                    url: self.picture.clone(),
                    object_key: "hero.jpg".to_owned(),
                    group_id: None,
                    receipt_number: None,
                })
                .await
                .is_err()
            {
                break;
            }
        }
        drop(to);
        enrolling.await.unwrap();
        let records = ledger.view().all().unwrap();
        let records = records
            .into_iter()
            .map(|r| (r.name.as_str().to_owned(), r))
            .collect();
        Ended {
            stop: shutdown.reason(),
            summary: reporters.summary(),
            records,
        }
    }

    /// Brings a character to `published`, as the stations before do, if a run would pay for it; tells whether it would.
    async fn prepare(&self, ledger: &Ledger, character: &Character) -> bool {
        use castline::ledger::Reader;
        let record = ledger.get(&character.name.key()).unwrap();
        let image = Image::Read {
            sha256: "aa",
            verdict: Some(Verdict::Suitable),
        };
        let row = Row::of(character);
        let standing = standing(record.as_ref(), row, Approval::None, image, Policy::default());
        if !standing.is_some_and(Standing::is_paid_next) {
            return false;
        }
        let steps = [
            Transition::see(character, "aa"),
            Transition::Judge {
                verdict: Verdict::Suitable,
                goes_on: true,
                code: None,
                message: None,
            },
            Transition::Publish {
                object_key: "k".to_owned(),
                url: self.picture.unsigned(),
            },
        ];
        ledger.write(&character.name, steps).await.is_ok()
    }

    /// The promises, against the sandbox's own account.
    #[track_caller]
    fn assert_promises(&self, ended: &Ended) {
        let mut charges: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for charge in self.sandbox.charges() {
            charges.entry(charge.name).or_default().push(charge.asset_id);
        }
        for (name, ids) in &charges {
            assert_eq!(ids.len(), 1, "{name} was paid for {} times", ids.len());
            let record = ended
                .records
                .get(name)
                .unwrap_or_else(|| panic!("{name} was paid for, but is unknown"));
            match record.state {
                State::Enrolled => assert_eq!(record.asset_id.as_ref(), ids.first(), "{name}"),
                State::InDoubt | State::Intent => {}
                other => panic!("{name} was paid for, but is {other}"),
            }
        }
        for (name, record) in &ended.records {
            if record.state == State::Enrolled {
                assert!(
                    charges.contains_key(name),
                    "{name} has an id that was never given"
                );
            }
        }
        let spend = self.ledger().view().spend(None).unwrap();
        let paid = Usd::from_micros(10_000) * charges.len() as u64;
        assert!(
            spend.total() >= paid,
            "what is enrolled and in doubt covers what was charged"
        );
        assert_eq!(
            spend.enrolled,
            Usd::from_micros(10_000) * ended.count(State::Enrolled) as u64
        );
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("Hero {n:04}")).collect()
}

fn character(name: &str) -> Character {
    Character {
        name: Name::new(name).unwrap(),
        source: Source::file("a.png", "a.png"),
        kind: Kind::Portrait,
        approved: false,
        overrides: false,
        consent: false,
        note: None,
        extra: Vec::new(),
        line: None,
    }
}

/// The receipts of a payer with that secret.
async fn receipts(sandbox: &Sandbox, secret: [u8; 32]) -> Receipts {
    let publisher = publisher(sandbox).await;
    let secret = ReceiptSecret::new(secret);
    Receipts::new(
        publisher,
        "",
        secret,
        "sandbox",
        "cast.csv",
        Duration::from_secs(5),
    )
}

async fn publisher(sandbox: &Sandbox) -> Publisher {
    let settings = PublishSettings {
        bucket: sandbox.bucket().to_owned(),
        prefix: String::new(),
        region: Some(sandbox.region().to_owned()),
        endpoint: Some(sandbox.s3_endpoint()),
        force_path_style: true,
        public_base_url: None,
        presign_expiry: None,
        cache_control: "no-cache".to_owned(),
        retries: 2,
        ca_pem: Some(sandbox.ca_pem().to_vec()),
    };
    let credentials = StaticCredentials::new(sandbox.access_key(), sandbox.secret_key());
    Publisher::new(settings, Some(credentials)).await.unwrap()
}

/// One image that the API takes, published.
async fn upload(sandbox: &Sandbox) -> PublicUrl {
    let mut jpeg = Vec::new();
    let pixels = vec![90; 320 * 320 * 3];
    jpeg_encoder::Encoder::new(&mut jpeg, 80)
        .encode(&pixels, 320, 320, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    publisher(sandbox)
        .await
        .publish(jpeg.into(), "image/jpeg", "hero.jpg")
        .await
        .unwrap()
}

/// Sets back by an hour the date of all receipts without an outcome, of one payer or of all.
fn age_open_receipts(folder: &std::path::Path, payer: Option<&str>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let is_payer = folder.ends_with("receipts");
            if !is_payer || payer.is_none_or(|payer| path.ends_with(payer)) {
                age_open_receipts(&path, payer);
            }
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if text.contains(r#""castline_receipt": 1"#)
            && text.contains(r#""state": "open""#)
            && let Ok(file) = std::fs::File::options().write(true).open(&path)
        {
            let hour = std::time::Duration::from_secs(3600);
            file.set_modified(std::time::SystemTime::now() - hour).ok();
        }
    }
}
