//! Signed payments: what was answered to one never leads to a second that can be charged as well.

use std::collections::BTreeSet;
use std::path::Path;

use castline::ledger::{Reader, Resolution};
use castline::pipeline::{Payer, PaymentMethod, is_chargeable};
use castline::plan::Standing;
use castline::sandbox::FaultKind;
use castline::sandbox::x402::Replay;

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
    let changes: [(&str, Change); 3] = [
        (
            "instead of 0x0101",
            Box::new(|payer| payer.policy.payee = Some([1; 20].into())),
        ),
        (
            "at most $0.005",
            Box::new(|payer| payer.policy.max_price = Usd::from_micros(5_000)),
        ),
        (
            "from the wallet",
            Box::new(|payer| payer.wallet = castline::enroll::payment::Wallet::new(&"7".repeat(64)).unwrap()),
        ),
    ];
    for (why, change) in changes {
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
        let ended = stage.enroll(&names(1), Run::default()).await;
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
