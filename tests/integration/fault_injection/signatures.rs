//! Signed payments: what was answered to one never leads to a second that can be charged as well.

use std::collections::BTreeSet;
use std::path::Path;

use castline::ledger::{Reader, Resolution};
use castline::pipeline::{Payer, PaymentMethod, is_chargeable};
use castline::plan::Standing;
use castline::sandbox::FaultKind;
use castline::sandbox::x402::Replay;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::rates::busiest;
use super::wallet::{payments, some, stage};
use super::*;

/// How often a paid call met that fault.
fn met(stage: &Harness, kind: FaultKind) -> usize {
    let requests = stage.sandbox.requests();
    requests.iter().filter(|r| r.fault == Some(kind)).count()
}

/// The nonces that a ledger's calls were paid with, by character.
fn nonces(ledger: &Path) -> Vec<BTreeSet<String>> {
    let nonce = |payment: serde_json::Value| payment["payment"]["authorization"]["nonce"].to_string();
    payments(ledger)
        .into_values()
        .map(|of_one| of_one.into_iter().map(nonce).collect())
        .collect()
}

fn impatient() -> Run {
    Run {
        retries: 1,
        ..Run::default()
    }
}

/// A middleware that lost its facilitator says nothing of the payment: every wording of it, charged and not charged.
#[tokio::test(flavor = "multi_thread")]
async fn an_unclear_402_is_a_doubt_about_that_payment() {
    for (kind, replay) in [
        (FaultKind::PaymentUnclear, Replay::Refuse),
        (FaultKind::PaymentUnclearCharged, Replay::Refuse),
        (FaultKind::PaymentUnclearCharged, Replay::SameAsset),
    ] {
        let stage = stage(some(&[(kind.name(), 100.0)]), |wallet| wallet.replay = replay).await;
        let ended = stage.enroll(&names(14), impatient()).await;
        stage.assert_promises(&ended);
        assert_eq!(met(&stage, kind), 28, "{kind}: each was sent twice");
        assert_eq!(ended.count(State::InDoubt), 14, "{kind}");
        stage.sandbox.set_faults(Faults::default()).unwrap();
        for _ in 0..2 {
            let ended = stage.enroll(&names(14), impatient()).await;
            stage.assert_promises(&ended);
        }
        let charges = stage.sandbox.charges().len();
        assert_eq!(charges, if kind.charged() { 14 } else { 0 }, "{kind}");
        let signed = nonces(&stage.folder.path().join("ledger.db"));
        assert!(
            signed.iter().all(|of_one| of_one.len() == 1),
            "{kind}: {signed:?}"
        );
    }
}

/// An answer that was not clear is healed by sending the same payment again, where the API knows it again.
#[tokio::test(flavor = "multi_thread")]
async fn an_unclear_402_is_healed_by_the_same_payment() {
    let stage = stage(some(&[("402-unclear-charged", 30.0)]), |wallet| {
        wallet.replay = Replay::SameAsset;
    })
    .await;
    let run = Run {
        retries: 8,
        ..Run::default()
    };
    let ended = stage.enroll(&names(40), run).await;
    stage.assert_promises(&ended);
    assert!(met(&stage, FaultKind::PaymentUnclearCharged) > 5);
    assert_eq!(ended.count(State::Enrolled), 40);
    assert_eq!(stage.sandbox.charges().len(), 40);
}

/// Whatever a payment was refused for: until it expires it counts as spent, and the next run sends the same one.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_payment_counts_as_spent_and_is_used_by_the_next_call() {
    for kind in ["invalid-signature", "amount-mismatch", "402", "401", "422"] {
        let stage = stage(some(&[(kind, 100.0)]), |_| {}).await;
        let budget = Budget {
            run: None,
            life: Some(Usd::from_micros(10_000)),
            ..Budget::default()
        };
        for round in 1..=3 {
            let run = Run {
                budget,
                in_flight: 1,
                ..Run::default()
            };
            stage.enroll(&names(3), run).await;
            assert!(met(&stage, kind.parse().unwrap()) >= if kind == "422" { 1 } else { round });
            let spent = stage.ledger().view().spend(None).unwrap().total();
            assert_eq!(
                spent,
                Usd::from_micros(10_000),
                "{kind}, run {round}: it can be charged"
            );
        }
        let signed = nonces(&stage.folder.path().join("ledger.db"));
        assert_eq!(
            signed.iter().map(BTreeSet::len).sum::<usize>(),
            1,
            "{kind}: one signature left"
        );
        stage.sandbox.set_faults(Faults::default()).unwrap();
        let run = Run {
            budget,
            ..Run::default()
        };
        let ended = stage.enroll(&names(3), run).await;
        stage.assert_promises(&ended);
        assert!(
            stage.sandbox.charges().len() <= 1,
            "{kind}: the cap of the ledger's life holds"
        );
    }
}

/// What was signed under other settings is not sent under today's, and no second payment is signed beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_was_set_aside_goes_through_the_policy_of_today() {
    type Change = Box<dyn Fn(&mut Payer) + Send + Sync>;
    let changes: [(&str, Change, Option<Usd>); 4] = [
        (
            "instead of 0x0101",
            Box::new(|payer| payer.policy.payee = Some([1; 20].into())),
            None,
        ),
        (
            "at most $0.005",
            Box::new(|payer| payer.policy.max_price = Usd::from_micros(5_000)),
            None,
        ),
        (
            "from the wallet",
            Box::new(|payer| payer.wallet = castline::enroll::payment::Wallet::new(&"7".repeat(64)).unwrap()),
            None,
        ),
        (
            "the plan agreed to less",
            Box::new(|_| {}),
            Some(Usd::from_micros(9_999)),
        ),
    ];
    for (why, change, agreed) in changes {
        let mut stage = stage(some(&[("401", 100.0)]), |wallet| wallet.max_timeout_s = 600).await;
        let run = Run {
            in_flight: 1,
            ..Run::default()
        };
        stage.enroll(&names(1), run).await;
        assert_eq!(met(&stage, FaultKind::Unauthorized), 1);
        stage.sandbox.set_faults(Faults::default()).unwrap();
        let sent = stage.sandbox.requests().len();
        stage.change_payer = Some(Box::new(move |payment_method| {
            if let PaymentMethod::Wallet(payer) = payment_method {
                change(payer);
            }
        }));
        let run = Run {
            agreed,
            ..Run::default()
        };
        let ended = stage.enroll(&names(1), run).await;
        assert_eq!(
            ended.summary.standing[Standing::Failed],
            1,
            "{why}: {:?}",
            ended.summary
        );
        let posts = stage.sandbox.requests().split_off(sent);
        assert!(
            !posts.iter().any(|r| r.path.ends_with("portrait/enroll")),
            "{why}"
        );
        assert_eq!(stage.sandbox.charges().len(), 0, "{why}");
        assert_eq!(nonces(&stage.folder.path().join("ledger.db"))[0].len(), 1);
        // With the settings that it was signed under, it is used.
        stage.change_payer = None;
        let ended = stage.enroll(&names(1), Run::default()).await;
        stage.assert_promises(&ended);
        assert_eq!(stage.sandbox.charges().len(), 1, "{why}");
        assert_eq!(nonces(&stage.folder.path().join("ledger.db"))[0].len(), 1);
    }
}

/// A person who settles a doubt while its payment is valid: the next call is made with the same one.
#[tokio::test(flavor = "multi_thread")]
async fn a_doubt_that_is_settled_while_its_payment_is_valid_keeps_it() {
    for (kind, replay) in [
        ("500", Replay::Refuse),
        ("500-charged", Replay::SameAsset),
        ("500-charged", Replay::Refuse),
    ] {
        for retry in [false, true] {
            let stage = stage(some(&[(kind, 100.0)]), |wallet| wallet.replay = replay).await;
            let ended = stage.enroll(&names(1), impatient()).await;
            assert_eq!(ended.count(State::InDoubt), 1);
            let name = Name::new(&names(1)[0]).unwrap();
            {
                let ledger = stage.ledger();
                let last = ledger.view().last_attempt(&name.key()).unwrap().unwrap();
                assert!(last.payment.as_deref().is_some_and(is_chargeable));
                let resolution = match retry {
                    true => Resolution::Retry,
                    false => Resolution::Forget { valid: true },
                };
                ledger
                    .write(&name, [Transition::Resolve(resolution)])
                    .await
                    .unwrap();
                let spent = ledger.view().spend(None).unwrap().total();
                assert_eq!(spent, Usd::from_micros(10_000), "it can be charged still");
            }
            stage.sandbox.set_faults(Faults::default()).unwrap();
            stage.enroll(&names(1), impatient()).await;
            let message = format!("{kind}, {replay:?}, retry {retry}");
            assert_eq!(stage.sandbox.charges().len(), 1, "{message}");
            assert_eq!(
                nonces(&stage.folder.path().join("ledger.db"))[0].len(),
                1,
                "{message}"
            );
            let spent = stage.ledger().view().spend(None).unwrap().total();
            assert_eq!(
                spent,
                Usd::from_micros(10_000),
                "{message}: one payment is one price"
            );
            let state = stage.ledger().get(&name.key()).unwrap().unwrap().state;
            let lost = kind == "500-charged" && replay == Replay::Refuse;
            let expected = if lost { State::InDoubt } else { State::Enrolled };
            assert_eq!(state, expected, "{message}");
        }
    }
}

/// A quote and a payment are two requests, and the API counts both.
#[tokio::test(flavor = "multi_thread")]
async fn the_quote_and_the_payment_each_wait_for_their_turn() {
    let stage = stage(Faults::default(), |_| {}).await;
    let run = Run {
        rate: "10/s",
        in_flight: 8,
        ..Run::default()
    };
    let ended = stage.enroll(&names(15), run).await;
    assert_eq!(ended.count(State::Enrolled), 15);
    let requests = stage.sandbox.requests();
    let posts = requests.iter().filter(|r| r.path.ends_with("portrait/enroll"));
    let arrivals: Vec<f64> = posts.map(|r| r.at_ms).collect();
    assert_eq!(arrivals.len(), 30);
    let most = busiest(&arrivals, 1000.0);
    // 20 where a quote and its payment share one turn; arrivals jitter.
    assert!(
        (8..=14).contains(&most),
        "{most} requests within a second at 10/s"
    );
}

/// What happens to a cast of two, from its first payment on.
#[derive(Debug, Clone, Copy)]
enum Happens {
    /// A run in which every answer to a payment is this fault.
    Run(FaultKind),
    /// A run of a wallet that may pay this payee alone.
    RunWithPayee(u8),
    /// A person settles the doubt of the first character.
    Forget,
    Retry,
    /// All payments expire.
    Expire,
}

fn any_happening() -> impl Strategy<Value = Happens> {
    use FaultKind as F;
    let faults = [
        F::None,
        F::Http500,
        F::Http500Charged,
        F::ResetAfterCharge,
        F::ResetBeforeCharge,
        F::PaymentUnclear,
        F::PaymentUnclearCharged,
        F::InvalidSignature,
        F::AmountMismatch,
        F::InsufficientBalance,
        F::Unauthorized,
        F::ImageRejected,
        F::PaymentReplay,
    ];
    prop_oneof![
        6 => prop::sample::select(faults.to_vec()).prop_map(Happens::Run),
        1 => (0..3u8).prop_map(Happens::RunWithPayee),
        1 => Just(Happens::Forget),
        1 => Just(Happens::Retry),
        2 => Just(Happens::Expire),
    ]
}

/// Lets every payment in a ledger expire.
pub(super) fn expire(ledger: &Path) {
    let db = rusqlite::Connection::open(ledger).unwrap();
    db.execute(
        "UPDATE attempts SET payment = json_set(payment,
             '$.payment.authorization.valid_before', unixepoch() - 60,
             '$.payment.authorization.valid_after', unixepoch() - 900)
         WHERE json_extract(payment, '$.payment.authorization.valid_before') > unixepoch() - 60",
        [],
    )
    .unwrap();
}

/// The nonces of each character whose payments can be charged now.
fn alive(ledger: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let db = rusqlite::Connection::open(ledger).unwrap();
    let mut query = db
        .prepare(
            "SELECT DISTINCT name, json_extract(payment, '$.payment.authorization.nonce') FROM attempts
             WHERE json_extract(payment, '$.payment.authorization.valid_before') >= unixepoch()",
        )
        .unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let mut alive: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, nonce) in rows.map(Result::<(String, String), _>::unwrap) {
        alive.entry(name).or_default().insert(nonce);
    }
    alive
}

async fn happen(stage: &mut Harness, happens: Happens) {
    let two = names(2);
    let first = Name::new(&two[0]).unwrap();
    match happens {
        Happens::Run(kind) => {
            let mut faults = Faults::default();
            faults.set(&format!("{}=100", kind.name())).unwrap();
            stage.sandbox.set_faults(faults).unwrap();
            let run = Run {
                retries: 0,
                ..Run::default()
            };
            stage.enroll(&two, run).await;
        }
        Happens::RunWithPayee(payee) => {
            stage.sandbox.set_faults(Faults::default()).unwrap();
            stage.change_payer = Some(Box::new(move |payment_method| {
                if let PaymentMethod::Wallet(payer) = payment_method {
                    payer.policy.payee = Some([payee; 20].into());
                }
            }));
            stage.enroll(&two, Run::default()).await;
            stage.change_payer = None;
        }
        Happens::Forget | Happens::Retry => {
            let ledger = stage.ledger();
            let record = ledger.get(&first.key()).unwrap();
            if record.is_some_and(|record| record.state == State::InDoubt) {
                let last = ledger.view().last_attempt(&first.key()).unwrap().unwrap();
                let valid = last.payment.as_deref().is_some_and(is_chargeable);
                let resolution = match happens {
                    Happens::Forget => Resolution::Forget { valid },
                    _ => Resolution::Retry,
                };
                ledger
                    .write(&first, [Transition::Resolve(resolution)])
                    .await
                    .unwrap();
            }
        }
        Happens::Expire => {
            let path = stage.folder.path().join("ledger.db");
            if path.exists() {
                expire(&path);
            }
        }
    }
}

/// Whatever happens, in whatever order: at no moment can two payments for one character be charged.
#[test]
fn over_random_histories_no_character_has_two_live_signatures() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cases = if long() { 2_000 } else { 40 };
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 50,
        ..ProptestConfig::default()
    });
    let signed = std::cell::Cell::new(0);
    let histories = prop::collection::vec(any_happening(), 2..9);
    let held = runner.run(&histories, |history| {
        runtime.block_on(async {
            let mut stage = stage(Faults::default(), |wallet| wallet.max_timeout_s = 600).await;
            let path = stage.folder.path().join("ledger.db");
            for happens in history {
                happen(&mut stage, happens).await;
                if !path.exists() {
                    continue;
                }
                for (name, nonces) in alive(&path) {
                    prop_assert!(nonces.len() <= 1, "{}: {:?} after {:?}", name, nonces, happens);
                    signed.set(signed.get() + 1);
                }
            }
            Ok(())
        })
    });
    held.unwrap();
    assert!(signed.get() > cases, "payments were signed: {}", signed.get());
}

/// Checks every signature that left with Python's eth-account: `pip install eth-account`.
const SECOND: &str = r#"
import json, sys
try:
    from eth_account import Account
    from eth_account.messages import encode_typed_data
except ImportError:
    sys.exit(77)
types = {"TransferWithAuthorization": [
    {"name": "from", "type": "address"}, {"name": "to", "type": "address"},
    {"name": "value", "type": "uint256"}, {"name": "validAfter", "type": "uint256"},
    {"name": "validBefore", "type": "uint256"}, {"name": "nonce", "type": "bytes32"}]}
domain = {"name": "USD Coin", "version": "2", "chainId": 8453,
          "verifyingContract": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"}
for line in sys.stdin:
    payment = json.loads(line)["payment"]
    a = payment["authorization"]
    message = {"from": a["from"], "to": a["to"], "value": a["value"], "validAfter": a["valid_after"],
               "validBefore": a["valid_before"], "nonce": bytes.fromhex(a["nonce"][2:])}
    signable = encode_typed_data(domain, types, message)
    signer = Account.recover_message(signable, signature=payment["signature"])
    print(signer.lower() == a["from"].lower())
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_implementation_accepts_every_signature_that_left() {
    use std::io::Write;
    let stage = stage(some(&[("500-charged", 20.0), ("reset", 20.0)]), |_| {}).await;
    stage.enroll(&names(20), Run::default()).await;
    let all: Vec<String> = payments(&stage.folder.path().join("ledger.db"))
        .into_values()
        .flatten()
        .map(|payment| payment.to_string())
        .collect();
    assert_eq!(all.len(), 20);
    let python = std::env::var("CASTLINE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut process = std::process::Command::new(&python)
        .args(["-c", SECOND])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // It may have exited before it reads.
    let _ = process
        .stdin
        .take()
        .unwrap()
        .write_all((all.join("\n") + "\n").as_bytes());
    let output = process.wait_with_output().unwrap();
    if output.status.code() == Some(77) {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI needs eth-account in CASTLINE_TEST_PYTHON"
        );
        println!("skipped: no {python} with eth-account");
        return;
    }
    let verdicts = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        verdicts.lines().filter(|line| *line == "True").count(),
        20,
        "{verdicts}"
    );
}
