//! The rate, measured where it counts: at the server.

use super::*;
use crate::support::server::{Server, SmallCast, small_cast};

/// Arrivals of paid calls, in milliseconds.
fn arrivals(stage: &Harness) -> Vec<f64> {
    let requests = stage.sandbox.requests();
    requests
        .iter()
        .filter(|r| r.path.ends_with("portrait/enroll"))
        .map(|r| r.at_ms)
        .collect()
}

/// The most arrivals in any window of that length.
pub(super) fn busiest(arrivals: &[f64], window_ms: f64) -> usize {
    let in_window = |from: &f64| {
        arrivals
            .iter()
            .filter(|at| (*from..*from + window_ms).contains(*at))
            .count()
    };
    arrivals.iter().map(in_window).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_429_never_makes_a_burst() {
    for form in [
        "header-seconds",
        "header-date",
        "body-snake",
        "body-camel",
        "body-seconds",
        "absent",
        "nonsense",
    ] {
        let text =
            format!("seed = 3\n[percent]\n\"429\" = 20\n[retry_after]\nform = \"{form}\"\nseconds = 1");
        let stage = Harness::new(toml::from_str(&text).unwrap()).await;
        let run = Run {
            rate: "40/s",
            in_flight: 8,
            retries: 20,
            ..Run::default()
        };
        let ended = stage.enroll(&names(30), run).await;
        stage.assert_promises(&ended);
        assert_eq!(
            ended.count(State::Enrolled),
            30,
            "{form}: every 429 is waited for"
        );
        let stormed = |r: &sandbox::RequestRecord| r.status == Some(429);
        assert!(
            stage.sandbox.requests().iter().any(stormed),
            "{form}: a 429 was met"
        );
        let arrivals = arrivals(&stage);
        // 25 ms apart when they leave; arrivals jitter by what the loopback and the scheduler add.
        let most = busiest(&arrivals, 1000.0);
        assert!(most <= 42, "{form}: {most} calls within a second at 40/s");
        println!(
            "{form:>15}: {} calls for 30 characters, at most {most} within a second",
            arrivals.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_means_soon_and_absurd_waits_are_cut() {
    let text = "[percent]\n\"429\" = 40\n[retry_after]\nform = \"header-seconds\"\nseconds = 0";
    let stage = Harness::new(toml::from_str(text).unwrap()).await;
    let run = Run {
        rate: "40/s",
        in_flight: 4,
        retries: 20,
        ..Run::default()
    };
    let ended = stage.enroll(&names(4), run).await;
    assert_eq!(ended.count(State::Enrolled), 4);
    let waited = |r: &sandbox::RequestRecord| r.status == Some(429);
    assert!(stage.sandbox.requests().iter().any(waited), "a 429 was met");
    let asked = arrivals(&stage);
    let longest = asked.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    assert!(
        longest >= 100.0,
        "after a 429 without a wait nobody asks at once: {longest} ms"
    );

    // An absurd one pauses for the longest wait that is believed; the run can still be stopped.
    let text = "[percent]\n\"429\" = 100\n[retry_after]\nform = \"header-seconds\"\nseconds = 99999999999";
    let stage = Harness::new(toml::from_str(text).unwrap()).await;
    let one = names(1);
    let waiting = stage.enroll(&one, Run::default());
    assert!(
        tokio::time::timeout(Duration::from_secs(3), waiting)
            .await
            .is_err(),
        "it waits"
    );
    assert_eq!(arrivals(&stage).len(), 1, "and makes no call meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_limit_of_its_own_is_obeyed() {
    let text = "[rate]\ncount = 5\nwindow_s = 1.0\n[retry_after]\nform = \"rotate\"\nseconds = 1";
    let stage = Harness::new(toml::from_str(text).unwrap()).await;
    let run = Run {
        rate: "20/s",
        in_flight: 4,
        retries: 50,
        ..Run::default()
    };
    let ended = stage.enroll(&names(12), run).await;
    stage.assert_promises(&ended);
    assert_eq!(ended.count(State::Enrolled), 12);
}

/// Runs of one account on one machine, of whatever cast, share its pace: the last departure is remembered.
#[test]
fn the_pace_holds_across_runs_and_casts_of_an_account() {
    let server = Server::start(&[]);
    let casts: Vec<_> = (0..4).map(|n| small_cast(1, &format!("pace{n}"))).collect();
    let run = |cast: &SmallCast| {
        let mut castline = server.castline();
        castline
            .args(["run", "--yes", "--quiet", "--rate", "30/min"])
            .arg(&cast.csv);
        castline.spawn().unwrap()
    };
    // Two in turn, then two at once.
    for mut one in casts[..2].iter().map(&run) {
        assert_eq!(one.wait().unwrap().code(), Some(0));
    }
    for mut one in casts[2..].iter().map(run).collect::<Vec<_>>() {
        assert_eq!(one.wait().unwrap().code(), Some(0));
    }
    let requests = server.requests();
    let posts = requests
        .iter()
        .filter(|r| r["path"].as_str().unwrap().ends_with("portrait/enroll"));
    let arrivals: Vec<f64> = posts.map(|r| r["at_ms"].as_f64().unwrap()).collect();
    assert_eq!(arrivals.len(), 4);
    for pair in arrivals.windows(2) {
        assert!(pair[1] - pair[0] > 1_900.0, "2 s apart at 30/min: {arrivals:?}");
    }
}

/// Six calls, a second apart, with addresses that live for two: each is signed when its turn has come.
#[test]
fn an_address_is_signed_when_the_turn_of_its_call_has_come() {
    let server = Server::start(&[]);
    let cast = small_cast(6, "turn");
    let mut castline = server.castline();
    castline.args(["run", "--yes", "--rate", "1/s", "--set", "s3.presign_expiry=2s"]);
    let output = castline.arg(&cast.csv).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{message}");
    assert_eq!(server.charges().len(), 6);
}
