//! The ledger in a real PostgreSQL: what holds for a file holds there, and for several machines at once. Charges are counted at
//! the server of the API.

mod between;
mod engines;
mod payers;
mod shards;

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::server::{Server, SmallCast, small_cast, stderr};

/// Runs a cast until the ledger is free: the lease of a run that was killed runs out after a second.
fn run_when_free(server: &Server, cast: &SmallCast) -> Output {
    let start = Instant::now();
    loop {
        let output = server
            .castline()
            .args(["run", "--yes", "--rate", "150/s"])
            .arg(&cast.csv)
            .output()
            .unwrap();
        if output.status.code() != Some(11) {
            // Shown when the test fails.
            println!("{}", stderr(&output));
            return output;
        }
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it stays held: {}",
            stderr(&output)
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn start(server: &Server, cast: &SmallCast, rate: &str) -> Child {
    let mut run: Command = server.castline();
    run.args(["run", "--yes", "--quiet", "--rate", rate])
        .arg(&cast.csv);
    run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until so many calls were charged.
fn wait_for_charges(server: &Server, count: usize, run: &mut Child) {
    let start = Instant::now();
    while server.charges().len() < count {
        assert!(run.try_wait().unwrap().is_none(), "the run goes on");
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{} were charged",
            server.charges().len()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
