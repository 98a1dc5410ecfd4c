//! Random histories: runs, kills, lost and restored ledgers, copied folders, two machines and one bucket.
//!
//! Charges of each character are at most one, and one more for each time that a person asked to pay again. Every id that
//! was acknowledged is found in the bucket, and every other charge is in doubt there. `CASTLINE_FIRE=long` plays 20,000.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use castline::ledger::{CallState, Resolution};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// What happens to one of two machines.
#[derive(Debug, Clone)]
enum Step {
    Run(usize),
    /// A run that is killed after so many milliseconds.
    Kill(usize, u64),
    /// The ledger is lost.
    Lose(usize),
    /// The ledger is copied aside.
    Save(usize),
    /// The copy takes the place of the ledger.
    Restore(usize),
    /// The ledger of the other machine is copied to this one.
    Copy(usize),
    /// A person asks to pay again for all that is in doubt.
    Retry(usize),
    /// So much time passes that no call can be under way.
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let machine = || 0..2usize;
    let step = prop_oneof![
        6 => machine().prop_map(Step::Run),
        4 => (machine(), 0..60u64).prop_map(|(machine, after)| Step::Kill(machine, after)),
        3 => machine().prop_map(Step::Lose),
        2 => machine().prop_map(Step::Save),
        2 => machine().prop_map(Step::Restore),
        1 => machine().prop_map(Step::Copy),
        1 => machine().prop_map(Step::Retry),
        2 => Just(Step::Wait),
    ];
    prop::collection::vec(step, 3..9)
}

/// What became of the characters of one history.
#[derive(Default)]
struct Played {
    /// How often a person asked to pay again, by name.
    asked: BTreeMap<String, usize>,
    killed: usize,
}

struct Machines<'a> {
    harness: &'a Harness,
    folder: TempDir,
    names: Vec<String>,
    payer: [u8; 32],
    played: Played,
}

impl Machines<'_> {
    /// The receipts of this history: each has a payer of its own.
    async fn receipts(&self) -> Receipts {
        receipts(&self.harness.sandbox, self.payer).await
    }

    fn path(&self, machine: usize) -> PathBuf {
        self.folder.path().join(format!("machine{machine}.db"))
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::Run(machine) => {
                self.run(machine, None).expect("it was left to end");
            }
            Step::Kill(machine, after) => {
                let ended = self.run(machine, Some(Duration::from_millis(after)));
                self.played.killed += usize::from(ended.is_none());
            }
            Step::Lose(machine) => remove(&self.path(machine)),
            Step::Save(machine) => copy(
                &self.path(machine),
                &self.folder.path().join(format!("saved{machine}")),
            ),
            Step::Restore(machine) => {
                copy(
                    &self.folder.path().join(format!("saved{machine}")),
                    &self.path(machine),
                );
            }
            Step::Copy(machine) => copy(&self.path(1 - machine), &self.path(machine)),
            Step::Retry(machine) => self.retry(machine),
            Step::Wait => {
                let fingerprint = ReceiptSecret::new(self.payer).fingerprint();
                age_open_receipts(&self.harness.folder.path().join("sandbox/s3"), Some(&fingerprint));
                for machine in 0..2 {
                    let ledger = self.path(machine);
                    if self.harness.wallet.is_some() && ledger.exists() {
                        super::signatures::expire(&ledger);
                    }
                }
            }
        }
    }

    /// Runs the cast on a machine, in a runtime of its own; `None` if it was killed before its end.
    fn run(&self, machine: usize, kill_after: Option<Duration>) -> Option<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let ledger = Harness::ledger_at(&self.path(machine));
        let ended = runtime.block_on(async {
            let receipts = self.receipts().await;
            let run = Run {
                in_flight: 3,
                ..Run::default()
            };
            let run = self.harness.enroll_from(ledger, receipts, &self.names, run);
            tokio::time::timeout(kill_after.unwrap_or(Duration::MAX), run).await
        });
        runtime.shutdown_background();
        ended.ok().map(drop)
    }

    fn retry(&mut self, machine: usize) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let ledger = Harness::ledger_at(&self.path(machine));
        for record in ledger.view().all().unwrap() {
            if record.state == State::InDoubt {
                let retry = [Transition::Resolve(Resolution::Retry)];
                runtime.block_on(ledger.write(&record.name, retry)).unwrap();
                *self
                    .played
                    .asked
                    .entry(record.name.as_str().to_owned())
                    .or_default() += 1;
            }
        }
    }

    /// What must hold at the end of a history.
    fn check(&self) -> Result<(), TestCaseError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let receipts = runtime.block_on(async { self.receipts().await.all().await.unwrap() });
        let charges = self.harness.sandbox.charges();
        for name in &self.names {
            let ids: Vec<_> = charges.iter().filter(|c| c.name == *name).collect();
            let asked = self.played.asked.get(name).copied().unwrap_or_default();
            prop_assert!(
                ids.len() <= 1 + asked,
                "{} was paid for {} times, asked {}",
                name,
                ids.len(),
                asked
            );
            let of_name: Vec<_> = receipts.iter().filter(|r| r.name == *name).collect();
            let has = |id: &str| of_name.iter().any(|r| r.asset_id.as_deref() == Some(id));
            let doubts = of_name
                .iter()
                .filter(|r| matches!(r.state, CallState::InDoubt | CallState::Open | CallState::Retried))
                .count();
            let unseen = ids.iter().filter(|charge| !has(&charge.asset_id)).count();
            prop_assert!(
                unseen <= doubts,
                "{}: {} charges are unknown, {} in doubt",
                name,
                unseen,
                doubts
            );
            for charge in ids {
                let reported = self.harness.reported.contains(&charge.asset_id);
                prop_assert!(
                    !reported || has(&charge.asset_id),
                    "{} of {} is lost",
                    charge.asset_id,
                    name
                );
            }
        }
        Ok(())
    }
}

fn remove(ledger: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = ledger.as_os_str().to_owned();
        file.push(suffix);
        std::fs::remove_file(file).ok();
    }
}

/// Copies the main file alone, as people do.
fn copy(from: &Path, to: &Path) {
    if from.exists() {
        remove(to);
        std::fs::copy(from, to).unwrap();
    }
}

/// Who pays in a history.
#[derive(Clone, Copy)]
enum PaidBy {
    Key,
    Wallet,
}

/// The servers of some histories: 15 % of the replies are lost, 5 % say 429.
async fn servers(paid_by: PaidBy) -> Harness {
    let mut faults = Faults {
        seed: 11,
        ..Faults::default()
    };
    for (kind, percent) in [("reset-charged", 10.0), ("reset-before-read", 5.0), ("429", 5.0)] {
        faults.percent.insert(kind.parse().unwrap(), percent);
    }
    match paid_by {
        PaidBy::Key => Harness::new(faults).await,
        PaidBy::Wallet => wallet::stage(faults, |_| {}).await,
    }
}

/// Plays so many random histories, and returns the kills that met a run.
fn play_histories(paid_by: PaidBy, cases: usize) -> usize {
    /// Histories wait more than they compute: several at a time.
    const AT_ONCE: usize = 6;
    /// The sandbox's log and bucket grow with each history: they begin anew after so many.
    const ON_ONE_SERVER: usize = 250;
    let most = ON_ONE_SERVER.min(cases.div_ceil(AT_ONCE));
    let killed = AtomicUsize::new(0);
    let charged = AtomicUsize::new(0);
    let left = AtomicUsize::new(cases);
    let play = |harness: &Harness, number: u64, steps: Vec<Step>| {
        let mut payer = [0; 32];
        payer[..8].copy_from_slice(&number.to_be_bytes());
        let mut machines = Machines {
            harness,
            folder: tempfile::tempdir().unwrap(),
            names: (0..3).map(|n| format!("Hero {number} {n}")).collect(),
            payer,
            played: Played::default(),
        };
        for step in &steps {
            machines.play(step);
        }
        // Whatever happened, one more run on each machine.
        machines.play(&Step::Wait);
        machines.play(&Step::Run(0));
        machines.play(&Step::Run(1));
        killed.fetch_add(machines.played.killed, Ordering::Relaxed);
        machines.check()
    };
    let play_some = || {
        loop {
            let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left.saturating_sub(most))
            });
            let some = taken.unwrap().min(most);
            if some == 0 {
                return;
            }
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            let harness = runtime.block_on(servers(paid_by));
            let number = std::cell::Cell::new(0);
            let config = Config {
                cases: some as u32,
                max_shrink_iters: 0,
                failure_persistence: None,
                ..Config::default()
            };
            let played = TestRunner::new(config).run(&steps(), |steps| {
                number.set(number.get() + 1);
                play(&harness, number.get(), steps)
            });
            if let Err(error) = played {
                panic!("{error}");
            }
            charged.fetch_add(harness.sandbox.charges().len(), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(play_some);
        }
    });
    let killed = killed.into_inner();
    println!(
        "{cases} histories, {killed} kills, {} charges",
        charged.into_inner()
    );
    killed
}

#[test]
fn no_history_pays_twice_or_loses_an_id() {
    let cases = if long() { 20_000 } else { 1_000 };
    let killed = play_histories(PaidBy::Key, cases);
    assert!(killed > cases / 10, "kills met runs: {killed}");
}

#[test]
fn no_history_of_a_wallet_pays_twice_or_loses_an_id() {
    let cases = if long() { 4_000 } else { 200 };
    let killed = play_histories(PaidBy::Wallet, cases);
    assert!(killed > cases / 10, "kills met runs: {killed}");
}
