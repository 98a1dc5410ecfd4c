//! What comes of each fault, and of all of them together at any rate.

use castline::sandbox::FaultKind;

use super::fault_table::{FAULTS, FaultRow, exit_of};
use super::*;

fn only(kind: &str, percent: f64) -> Faults {
    let mut faults = Faults {
        stall_s: 60.0,
        ..Faults::default()
    };
    faults.set(&format!("{kind}={percent}")).unwrap();
    faults
}

/// Every fault of a reply, at 100 %: what state it leaves, and whether money moved.
#[tokio::test(flavor = "multi_thread")]
async fn each_fault_leaves_the_state_that_the_table_says() {
    for FaultRow {
        kind,
        by_key: expected,
        ..
    } in FAULTS
    {
        let mut faults = only(kind, 100.0);
        faults.retry_after.seconds = 1;
        let stage = Harness::new(faults).await;
        let run = Run {
            timeout: Duration::from_millis(1500),
            retries: 0,
            ..Run::default()
        };
        let ended = stage.enroll(&names(2), run).await;
        stage.assert_promises(&ended);
        for (name, record) in &ended.records {
            // What stops the run leaves the second one where it was: published.
            assert_eq!(
                record.state, *expected,
                "{kind}: {name} ({:?} {:?})",
                record.code, record.message
            );
        }
        let charged = kind.parse::<FaultKind>().unwrap().charged();
        assert_eq!(!stage.sandbox.charges().is_empty(), charged, "{kind}: charged");
        let exit = exit_of(kind, *expected);
        assert_eq!(ended.exit(), exit, "{kind}");
        println!(
            "{kind:>22} at 100 %: {expected}, exit {}, charged: {charged}",
            exit.code()
        );
    }
}

/// All faults that leave doubt, mixed, over 1,000 characters; then everything again, as a second run would.
#[tokio::test(flavor = "multi_thread")]
async fn no_mixture_of_faults_pays_twice() {
    const MIXED: &[&str] = &[
        "500",
        "502",
        "503",
        "504",
        "500-charged",
        "502-charged",
        "reset-before-read",
        "reset",
        "close",
        "reset-charged",
        "close-charged",
        "reset-during-reply",
        "truncated",
        "garbage",
        "empty",
        "no-asset-id",
        "error-in-200",
        "error-in-200-charged",
        "422",
        "refuse",
    ];
    let many = if long() { 5_000 } else { 1_000 };
    for (percent, count) in [
        (0.0, 300),
        (1.0, 300),
        (10.0, many),
        (50.0, many),
        (90.0, 300),
        (100.0, 300),
    ] {
        let mut faults = Faults {
            seed: 7,
            ..Faults::default()
        };
        for kind in MIXED {
            faults
                .set(&format!("{kind}={}", percent / MIXED.len() as f64))
                .unwrap();
        }
        let stage = Harness::new(faults).await;
        let names = names(count);
        let first = stage.enroll(&names, Run::default()).await;
        stage.assert_promises(&first);
        if percent == 0.0 {
            assert_eq!(
                (first.count(State::Enrolled), first.exit()),
                (count, ExitCode::Done)
            );
        } else if percent >= 10.0 {
            assert_eq!(first.exit(), ExitCode::InDoubt);
        }
        let before = first.count(State::InDoubt);
        let second = stage.enroll(&names, Run::default()).await;
        stage.assert_promises(&second);
        assert!(
            second.count(State::InDoubt) >= before,
            "no doubt is settled by running again"
        );
        println!(
            "{percent:>5} %: charged {}, enrolled {}, in doubt {}, refused {}, exit {}",
            stage.sandbox.charges().len(),
            second.count(State::Enrolled),
            second.count(State::InDoubt),
            second.count(State::Refused),
            first.exit().code()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_loses_replies_does_not_eat_a_cast() {
    let stage = Harness::new(only("reset-charged", 100.0)).await;
    let run = Run {
        in_flight: 2,
        max_consecutive_in_doubt: 5,
        ..Run::default()
    };
    let ended = stage.enroll(&names(100), run).await;
    stage.assert_promises(&ended);
    let doubts = ended.count(State::InDoubt);
    assert!(
        (5..=6).contains(&doubts),
        "five in a row, and at most the other call under way: {doubts}"
    );
    assert_eq!(ended.exit(), ExitCode::InDoubt);
    assert_eq!(ended.stop.map(|s| s.code), Some("too_many_doubts"));
}

/// A 429 between two doubts says nothing of what becomes of paid calls.
#[tokio::test(flavor = "multi_thread")]
async fn a_429_between_doubts_does_not_reset_the_brake() {
    let script = (0..80).map(|n| if n % 4 == 3 { "429" } else { "503-charged" });
    let script: Vec<String> = script.map(|kind| format!("{kind:?}")).collect();
    let faults = format!("script = [{}]\n[retry_after]\nseconds = 1", script.join(", "));
    let stage = Harness::new(toml::from_str(&faults).unwrap()).await;
    let run = Run {
        in_flight: 1,
        max_consecutive_in_doubt: 5,
        ..Run::default()
    };
    let ended = stage.enroll(&names(60), run).await;
    stage.assert_promises(&ended);
    let requests = stage.sandbox.requests();
    assert!(requests.iter().any(|r| r.status == Some(429)), "a 429 was met");
    assert_eq!(stage.sandbox.charges().len(), 5);
    assert_eq!(ended.stop.map(|s| s.code), Some("too_many_doubts"));
}

/// Five nights against a dead provider: after the first one, each makes one call.
#[tokio::test(flavor = "multi_thread")]
async fn the_brake_remembers_across_runs() {
    let stage = Harness::new(only("503-charged", 100.0)).await;
    let night = || Run {
        in_flight: 2,
        max_consecutive_in_doubt: 5,
        ..Run::default()
    };
    let mut charged = Vec::new();
    for _ in 0..5 {
        let ended = stage.enroll(&names(40), night()).await;
        stage.assert_promises(&ended);
        assert_eq!(ended.stop.map(|s| s.code), Some("too_many_doubts"));
        charged.push(stage.sandbox.charges().len());
    }
    let first = charged[0];
    assert!((5..=6).contains(&first), "{charged:?}");
    assert_eq!(charged, [first, first + 1, first + 2, first + 3, first + 4]);
    // Once a call succeeds, the run goes on as ever.
    stage.sandbox.set_faults(Faults::default()).unwrap();
    let ended = stage.enroll(&names(40), night()).await;
    stage.assert_promises(&ended);
    assert_eq!(ended.count(State::Enrolled), 40 - charged[4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_counts_what_is_in_doubt_and_holds_for_calls_under_way_at_once() {
    let stage = Harness::new(only("500-charged", 30.0)).await;
    let budget = Budget {
        run: Some(Usd::from_micros(250_000)),
        life: Some(Usd::from_micros(400_000)),
        ..Budget::default()
    };
    let ended = stage
        .enroll(
            &names(100),
            Run {
                budget,
                ..Run::default()
            },
        )
        .await;
    stage.assert_promises(&ended);
    assert_eq!(
        stage.sandbox.charges().len(),
        25,
        "25 calls of one cent, lost replies among them"
    );
    assert_eq!(ended.stop.as_ref().map(|s| s.exit), Some(ExitCode::LimitReached));
    // The next run has its own 25 cents, but the ledger's life allows 15 more.
    let ended = stage
        .enroll(
            &names(100),
            Run {
                budget,
                ..Run::default()
            },
        )
        .await;
    stage.assert_promises(&ended);
    assert_eq!(stage.sandbox.charges().len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stops_the_run_stops_it_before_the_next_call() {
    for kind in ["401", "402", "quota"] {
        let text = format!("[stop_after]\ncharges = 10\nkind = \"{kind}\"");
        let stage = Harness::new(toml::from_str(&text).unwrap()).await;
        let ended = stage
            .enroll(
                &names(100),
                Run {
                    in_flight: 2,
                    ..Run::default()
                },
            )
            .await;
        stage.assert_promises(&ended);
        // Two calls that arrive together may both be the tenth for the stand-in.
        let charged = stage.sandbox.charges().len();
        assert!((10..=11).contains(&charged), "{kind}: {charged}");
        assert_eq!(ended.exit(), ExitCode::AuthOrPayment, "{kind}");
        let calls = stage
            .sandbox
            .requests()
            .iter()
            .filter(|r| r.path.ends_with("portrait/enroll"))
            .count();
        assert!(
            calls <= charged + 2,
            "{kind}: the refused one, and at most the other under way: {calls}"
        );
    }
}
