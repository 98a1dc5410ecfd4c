//! An API that charges more than it was expected to: budgets and plans hold against what its replies tell.

use super::*;
use crate::support::server::{Server, small_cast};

async fn dear() -> Harness {
    Harness::with(|options| options.price = Usd::from_micros(30_000)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_holds_against_what_the_replies_tell() {
    let stage = dear().await;
    let cents = |cents: u64| Some(Usd::from_micros(cents * 10_000));
    let names = names(20);
    let spend = |run: Option<Usd>, life: Option<Usd>| {
        let budget = Budget {
            run,
            life,
            ..Budget::default()
        };
        stage.enroll(
            &names,
            Run {
                budget,
                ..Run::default()
            },
        )
    };
    // The first call is thought to cost one cent, and goes alone; the second would cost three.
    let ended = spend(cents(5), None).await;
    assert_eq!(ended.exit(), ExitCode::LimitReached);
    assert_eq!(stage.sandbox.charges().len(), 1);
    assert!(ended.stop.unwrap().message.contains("the next call costs $0.03"));
    // What a run was told, the next one knows before its first call.
    assert_eq!(spend(None, cents(5)).await.exit(), ExitCode::LimitReached);
    assert_eq!(stage.sandbox.charges().len(), 1);
    assert_eq!(spend(None, cents(10)).await.exit(), ExitCode::LimitReached);
    assert_eq!(stage.sandbox.charges().len(), 3);
    let spent = stage.ledger().view().spend(None).unwrap();
    assert_eq!(Some(spent.total()), cents(9));
}

/// An API that says that its calls cost nothing: they count at the expected price.
#[tokio::test(flavor = "multi_thread")]
async fn a_price_of_zero_makes_no_budget_endless() {
    let stage = Harness::with(|options| options.price = Usd::ZERO).await;
    let budget = Budget {
        run: Some(Usd::from_micros(30_000)),
        life: None,
        ..Budget::default()
    };
    let run = Run {
        budget,
        ..Run::default()
    };
    let ended = stage.enroll(&names(20), run).await;
    assert_eq!(ended.exit(), ExitCode::LimitReached);
    assert_eq!(stage.sandbox.charges().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_budget_a_dearer_call_stops_nobody() {
    let stage = dear().await;
    let ended = stage.enroll(&names(20), Run::default()).await;
    assert_eq!((ended.count(State::Enrolled), ended.exit()), (20, ExitCode::Done));
}

#[test]
fn a_plan_ends_at_the_first_reply_that_tells_a_higher_price() {
    let server = Server::start(&["--price", "0.03"]);
    let cast = small_cast(13, "plan");
    let plan = cast.csv.with_file_name("plan.json");
    let castline = |args: &[&str], file: &std::path::Path| {
        let output = server.castline().args(args).arg(file).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, message) = castline(&["plan", "--out", plan.to_str().unwrap()], &cast.csv);
    assert_eq!(code, Some(0), "{message}");
    let (code, message) = castline(&["run", "--rate", "1000/s"], &plan);
    assert_eq!(code, Some(8), "{message}");
    assert!(
        message.contains("the price rose from $0.01 to $0.03 a call"),
        "{message}"
    );
    assert_eq!(server.charges().len(), 1);
    // Whoever says yes to whatever it costs is warned.
    let (code, message) = castline(
        &["run", "--yes", "--rate", "1000/s", "--max-cost", "0.09"],
        &cast.csv,
    );
    assert_eq!(code, Some(5), "{message}");
    assert_eq!(message.matches("(api.price_usd)").count(), 1, "{message}");
    assert_eq!(server.charges().len(), 4);
    // A new plan says what the API asks, and is done.
    let (code, message) = castline(&["plan", "--out", plan.to_str().unwrap()], &cast.csv);
    assert_eq!(code, Some(0), "{message}");
    let saved: serde_json::Value = serde_json::from_slice(&std::fs::read(&plan).unwrap()).unwrap();
    assert_eq!(
        (&saved["price_usd"], &saved["cost_usd"]),
        (&0.03.into(), &0.27.into())
    );
    let (code, message) = castline(&["run", "--rate", "1000/s"], &plan);
    assert_eq!((code, server.charges().len()), (Some(0), 13), "{message}");
}
