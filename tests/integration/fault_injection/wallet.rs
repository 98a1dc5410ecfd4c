//! The promises once more, paid from a wallet: the balance moves once per character, whatever is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use castline::enroll::Network;
use castline::enroll::payment::{Policy, Wallet};
use castline::pipeline::Payer;
use castline::sandbox::FaultKind;
use castline::sandbox::x402::{Challenge, Replay, WalletOptions};
use futures_util::StreamExt;

use super::crash::run;
use super::fault_table::{FAULTS, FaultRow, exit_of};
use super::kill::kill_at_random_moments;
use super::*;
use crate::support::server::{Server, SmallCast, small_cast};

/// What every wallet holds at first.
const BALANCE: u64 = 1_000_000_000;
const PRICE: u64 = 10_000;

/// What this wallet may sign: two cents a call.
pub(super) fn payment_method(wallet: &Wallet) -> PaymentMethod {
    PaymentMethod::Wallet(Box::new(Payer {
        wallet: wallet.clone(),
        policy: Policy {
            network: Network::Base,
            payee: Some(WalletOptions::default().pay_to),
            max_price: Usd::from_micros(20_000),
        },
    }))
}

pub(super) async fn stage(faults: Faults, change: impl FnOnce(&mut WalletOptions)) -> Harness {
    let mut wallet = WalletOptions::default();
    change(&mut wallet);
    let mut stage = Harness::with(|options| {
        options.faults = faults;
        options.wallet = Some(wallet);
    })
    .await;
    stage.wallet = Some(Wallet::new(stage.sandbox.wallet_key()).unwrap());
    stage
}

impl Harness {
    /// How much the wallet has paid.
    fn paid(&self) -> Usd {
        let address = self.wallet.as_ref().unwrap().address();
        Usd::from_micros(BALANCE).saturating_sub(self.sandbox.balance(address))
    }

    /// What the wallet paid is what the characters cost, each of them once.
    #[track_caller]
    fn assert_paid_once_each(&self, charged: usize) {
        let names: BTreeSet<String> = self.sandbox.charges().into_iter().map(|c| c.name).collect();
        assert_eq!(names.len(), charged);
        assert_eq!(self.paid(), Usd::from_micros(PRICE) * charged as u64);
    }
}

pub(super) fn some(kinds: &[(&str, f64)]) -> Faults {
    let mut faults = Faults {
        seed: 11,
        stall_s: 60.0,
        ..Faults::default()
    };
    for (kind, percent) in kinds {
        faults.set(&format!("{kind}={percent}")).unwrap();
    }
    faults.retry_after.seconds = 1;
    faults
}

/// Every fault of a reply, at 100 %: what state it leaves, and whether money moved.
#[tokio::test(flavor = "multi_thread")]
async fn each_fault_leaves_the_state_that_the_table_says() {
    let plays = FAULTS.iter().flat_map(|row| {
        [Replay::Refuse, Replay::SameAsset].map(|replay| async move {
            let FaultRow {
                kind,
                from_wallet: expected,
                ..
            } = row;
            let stage = stage(some(&[(kind, 100.0)]), |wallet| wallet.replay = replay).await;
            let run = Run {
                timeout: Duration::from_millis(1500),
                retries: 1,
                ..Run::default()
            };
            let ended = stage.enroll(&names(2), run).await;
            stage.assert_promises(&ended);
            for (name, record) in &ended.records {
                assert_eq!(
                    record.state, *expected,
                    "{kind}, {replay:?}: {name} ({:?} {:?})",
                    record.code, record.message
                );
            }
            let charged = kind.parse::<FaultKind>().unwrap().charged();
            let charges = stage.sandbox.charges().len();
            assert_eq!(charges, if charged { 2 } else { 0 }, "{kind}: charged");
            stage.assert_paid_once_each(charges);
            let exit = exit_of(kind, *expected);
            assert_eq!(ended.exit(), exit, "{kind}");
            println!(
                "{kind:>22} at 100 %, {replay:?}: {expected}, exit {}, charged: {charged}",
                exit.code()
            );
        })
    });
    let plays: Vec<_> = futures_util::stream::iter(plays)
        .buffer_unordered(8)
        .collect()
        .await;
    assert_eq!(plays.len(), 2 * FAULTS.len());
}

/// Replies lost before and after the charge, 10 % in all.
const LOST: &[(&str, f64)] = &[
    ("reset-charged", 3.0),
    ("close-charged", 2.0),
    ("truncated", 1.0),
    ("500-charged", 1.0),
    ("reset", 2.0),
    ("502", 1.0),
];

#[tokio::test(flavor = "multi_thread")]
async fn at_ten_percent_lost_replies_the_balance_moves_once_per_character_and_every_id_is_had() {
    let stage = stage(some(LOST), |wallet| wallet.replay = Replay::SameAsset).await;
    let ended = stage.enroll(&names(200), Run::default()).await;
    stage.assert_promises(&ended);
    stage.assert_paid_once_each(200);
    assert_eq!(
        (ended.count(State::Enrolled), ended.exit()),
        (200, ExitCode::Done)
    );
    let sent = enroll_calls(&stage);
    println!("200 characters, $2.00 paid, {sent} calls with and without payment");
    assert!(sent > 400, "a quote and a payment each, and some twice: {sent}");
    for record in ended.records.values() {
        let receipt = record.settlement.as_deref().unwrap_or_default();
        let receipt: serde_json::Value = serde_json::from_str(receipt).unwrap();
        let charge = |c: &castline::sandbox::Charge| c.name == record.name.as_str();
        let charge = stage.sandbox.charges().into_iter().find(charge).unwrap();
        assert_eq!(receipt["transaction"].as_str(), charge.tx_hash.as_deref());
        assert_eq!(record.price, Some(Usd::from_micros(PRICE)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_claimed_payment_tells_no_id_it_is_in_doubt_and_still_paid_once() {
    let stage = stage(some(LOST), |_| {}).await;
    let ended = stage.enroll(&names(200), Run::default()).await;
    stage.assert_promises(&ended);
    stage.assert_paid_once_each(200);
    let doubts = ended.count(State::InDoubt);
    let lost = stage.sandbox.charges().iter().filter(|c| c.reply_lost).count();
    assert_eq!(doubts, lost, "what was lost before the charge was healed");
    assert!(doubts > 0, "some replies were lost");
    assert_eq!(ended.count(State::Enrolled), 200 - doubts);
    for record in ended.records.values().filter(|r| r.state == State::InDoubt) {
        let message = record.message.as_deref().unwrap_or_default();
        assert!(message.contains("resent: PAYMENT_REPLAY"), "{message}");
    }
    // Nothing is paid by running again, with the same wallet or another.
    stage.enroll(&names(200), Run::default()).await;
    stage.assert_paid_once_each(200);
    println!("200 characters, $2.00 paid, {doubts} in doubt");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_of_the_challenge_can_be_paid() {
    for challenge in [Challenge::v2(), Challenge::v1(), Challenge::odd()] {
        let message = format!("{challenge:?}");
        let stage = stage(Faults::default(), |wallet| wallet.challenge = challenge).await;
        let ended = stage.enroll(&names(3), Run::default()).await;
        assert_eq!(ended.count(State::Enrolled), 3, "{message}");
        stage.assert_paid_once_each(3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_signed_stops_the_run_and_is_told() {
    let other = |c: char| c.to_string().repeat(40).parse().unwrap();
    type Change = Box<dyn FnOnce(&mut WalletOptions)>;
    let cases: [(&str, Change); 3] = [
        ("to pay 0x", Box::new(move |w| w.pay_to = other('a'))),
        ("on eip155:1 instead of base", Box::new(|w| w.chain_id = 1)),
        ("instead of USDC", Box::new(move |w| w.asset = other('b'))),
    ];
    for (text, change) in cases {
        let stage = stage(Faults::default(), change).await;
        let ended = stage.enroll(&names(5), Run::default()).await;
        let stop = ended.stop.as_ref().unwrap();
        assert_eq!(
            (ended.exit(), stop.code),
            (ExitCode::AuthOrPayment, "payment_refused")
        );
        assert!(stop.message.contains(text), "{}", stop.message);
        assert_eq!(ended.count(State::Enrolled) + ended.count(State::InDoubt), 0);
        stage.assert_paid_once_each(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_above_the_cap_is_not_signed() {
    let mut stage = Harness::with(|options| {
        options.price = Usd::from_micros(20_001);
        options.wallet = Some(WalletOptions::default());
    })
    .await;
    stage.wallet = Some(Wallet::new(stage.sandbox.wallet_key()).unwrap());
    let ended = stage.enroll(&names(5), Run::default()).await;
    let message = ended.stop.unwrap().message;
    assert!(
        message.contains("$0.020001 for a call, but at most $0.02"),
        "{message}"
    );
    assert_eq!(stage.sandbox.charges().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_holds_for_what_is_signed() {
    let stage = stage(some(&[("500-charged", 30.0)]), |_| {}).await;
    let budget = Budget {
        run: Some(Usd::from_micros(250_000)),
        life: None,
        ..Budget::default()
    };
    let run = Run {
        budget,
        ..Run::default()
    };
    let ended = stage.enroll(&names(60), run).await;
    stage.assert_promises(&ended);
    stage.assert_paid_once_each(25);
    assert_eq!(ended.stop.map(|s| s.exit), Some(ExitCode::LimitReached));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_wallet_stops_the_run() {
    let stage = stage(Faults::default(), |wallet| {
        wallet.balance = Usd::from_micros(30_000);
    })
    .await;
    let ended = stage.enroll(&names(20), Run::default()).await;
    assert_eq!(ended.count(State::Enrolled), 3);
    assert_eq!(ended.count(State::InDoubt), 0);
    assert_eq!(ended.exit(), ExitCode::AuthOrPayment);
    assert_eq!(ended.stop.unwrap().code, "no_funds");
}

/// Calls of the paid endpoint, with a payment and without.
fn enroll_calls(stage: &Harness) -> usize {
    let requests = stage.sandbox.requests();
    let paid = requests.iter().filter(|r| r.path.ends_with("portrait/enroll"));
    paid.count()
}

/// The payments that a ledger keeps, by name.
pub(super) fn payments(ledger: &Path) -> BTreeMap<String, Vec<serde_json::Value>> {
    let db = rusqlite::Connection::open(ledger).unwrap();
    let mut query = db
        .prepare("SELECT name, payment FROM attempts WHERE payment IS NOT NULL ORDER BY id")
        .unwrap();
    let mut payments: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    for (key, payment) in rows.map(Result::<(String, String), _>::unwrap) {
        let payment = serde_json::from_str(&payment).unwrap();
        payments.entry(key).or_default().push(payment);
    }
    payments
}

/// The process dies at each ledger write. An intent that it leaves has its payment beside it, and the next run sends
/// that same one: nothing that was not charged stays in doubt, and each character has one nonce.
#[test]
fn a_payment_that_a_crash_left_open_is_sent_again_as_it_is() {
    let server = Server::start(&["--wallet"]);
    let (mut crashes, mut resumed) = (0, 0);
    for moment in ["before", "after"] {
        for write in 1..200 {
            let cast = small_cast(4, &format!("{moment}{write}"));
            let crashed = run(&server, &cast.csv, Some(&format!("{moment}:{write}")));
            if crashed == Some(0) {
                break;
            }
            crashes += 1;
            let mine = || {
                server
                    .charges()
                    .into_iter()
                    .filter(|c| cast.names.contains(&c.name))
            };
            let open = cast.in_state("intent");
            let code = run(&server, &cast.csv, None);
            cast.assert_promises(&server, code);
            let charged: BTreeSet<_> = mine().map(|c| c.name).collect();
            let doubts = cast.in_state("in_doubt");
            // Claimed before the crash, whose reply nobody was there to read.
            assert!(
                doubts.is_subset(&open),
                "{moment}:{write}: {doubts:?} of {open:?}"
            );
            assert!(
                doubts.is_subset(&charged),
                "{moment}:{write}: {doubts:?} were charged"
            );
            resumed += open.difference(&doubts).count();
            let signed = payments(&cast.csv.with_file_name(".castline/ledger.db"));
            for charge in mine() {
                let of = &signed[&charge.name];
                assert_eq!(of.len(), 1, "{}: one payment", charge.name);
                let nonce = of[0]["payment"]["authorization"]["nonce"].as_str();
                assert_eq!(nonce, charge.nonce.as_deref(), "{}", charge.name);
            }
        }
    }
    println!("{crashes} crashes, {resumed} payments sent again by the next run");
    assert!(crashes > 0, "the process died at some writes");
}

#[test]
fn killed_at_random_moments_a_wallet_never_pays_twice() {
    let server = Server::start(&["--wallet", "--fault", "latency_ms=5"]);
    kill_at_random_moments(&server, if long() { 200 } else { 15 });
}

/// A payment of another age: what was interrupted and has expired since is in doubt, and never sent.
#[test]
fn an_expired_payment_is_not_sent_again() {
    let server = Server::start(&["--wallet"]);
    for write in 1..200 {
        let cast = small_cast(1, &format!("old{write}"));
        assert_eq!(run(&server, &cast.csv, Some(&format!("after:{write}"))), None);
        if cast.in_state("intent").is_empty() {
            continue;
        }
        let charged = server.charges().len();
        let path = cast.csv.parent().unwrap().join(".castline/ledger.db");
        let db = rusqlite::Connection::open(path).unwrap();
        let changed = db.execute(
            "UPDATE attempts SET payment = json_set(payment, '$.payment.authorization.valid_before', 1000)",
            [],
        );
        assert_eq!(changed.unwrap(), 1);
        drop(db);
        assert_eq!(run(&server, &cast.csv, None), Some(6));
        assert_eq!(cast.in_state("in_doubt"), cast.names);
        assert_eq!(server.charges().len(), charged, "nothing was sent");
        return;
    }
    panic!("no write leaves an intent");
}

/// The canary: a key that is looked for in everything that is written.
#[test]
fn a_plan_can_be_priced_by_a_quote_and_costs_nothing() {
    let server = Server::start(&["--wallet", "--price", "0.0103"]);
    let cast = small_cast(3, "quote");
    let plan = |extra: &[&str]| {
        let mut plan = server.castline();
        let output = plan.arg("plan").arg(&cast.csv).args(extra).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (code, message) = plan(&["--quote"]);
    assert_eq!(code, Some(0), "{message}");
    assert!(
        message.contains("0.0103") && message.contains("0.0309"),
        "{message}"
    );
    assert!(message.contains("the API's quote"), "{message}");
    let (code, message) = plan(&["--quote", "--set", "payment.max_price_usd=0.01"]);
    assert_eq!(code, Some(2));
    assert!(
        message.contains("nothing was signed: the API asks $0.0103"),
        "{message}"
    );
    let (code, message) = plan(&["--quote", "--set", "payment.mode=key"]);
    assert_eq!(code, Some(2));
    assert!(message.contains("payment.mode = wallet"), "{message}");
    assert!(server.charges().is_empty());
    assert!(!cast.csv.parent().unwrap().join(".castline").exists());
}

/// Where addresses are signed, too: the one of a call that is made again is signed anew.
#[test]
fn what_a_crash_left_open_is_sent_again_with_a_fresh_address() {
    let server = Server::start(&["--wallet"]);
    let run = |cast: &SmallCast, fault: &str| {
        let mut castline = server.castline();
        castline.args(["run", "--yes", "--set", "s3.presign_expiry=2m"]);
        castline.arg(&cast.csv).env("CASTLINE_TEST_LEDGER", fault);
        castline.output().unwrap().status.code()
    };
    for write in 1..200 {
        let cast = small_cast(1, &format!("signed{write}"));
        assert_eq!(run(&cast, &format!("after:{write}")), None);
        if cast.in_state("intent").is_empty() {
            continue;
        }
        assert_eq!(run(&cast, ""), Some(0));
        assert_eq!(cast.in_state("enrolled"), cast.names);
        assert_eq!(server.charges().len(), 1);
        return;
    }
    panic!("no write leaves an intent");
}

/// Turned away for now, and the run ends: what was signed is valid, so that it counts as spent, and the next run sends
/// it rather than sign another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_was_turned_away_is_the_one_that_the_next_run_sends() {
    for answer in ["429", "402"] {
        let faults = format!("script = [\"{answer}\"]\n[retry_after]\nseconds = 1");
        let stage = stage(toml::from_str(&faults).unwrap(), |_| {}).await;
        let run = || Run {
            retries: 0,
            budget: Budget {
                run: None,
                life: Some(Usd::from_micros(PRICE)),
                ..Budget::default()
            },
            ..Run::default()
        };
        let ended = stage.enroll(&names(1), run()).await;
        assert_eq!(ended.count(State::Published), 1, "{answer}");
        let spent = stage.ledger().view().spend(None).unwrap();
        assert_eq!(
            spent.total(),
            Usd::from_micros(PRICE),
            "{answer}: it could still be charged"
        );
        // The budget has room for this one payment, and for no second one.
        let ended = stage.enroll(&names(1), run()).await;
        assert_eq!(
            (ended.count(State::Enrolled), ended.exit()),
            (1, ExitCode::Done),
            "{answer}"
        );
        stage.assert_promises(&ended);
        stage.assert_paid_once_each(1);
        let signed = payments(&stage.folder.path().join("ledger.db"));
        let nonces = signed["Hero 0000"].iter();
        let nonces: BTreeSet<_> = nonces
            .map(|kept| kept["payment"]["authorization"]["nonce"].as_str().unwrap())
            .collect();
        assert_eq!(nonces.len(), 1, "{answer}: one payment, sent twice");
    }
}
