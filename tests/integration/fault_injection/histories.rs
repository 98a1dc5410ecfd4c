//! Random histories: runs, kills, lost and restored ledgers, copied folders, two machines and one bucket.
//!
//! Charges of each character are at most one, and one more for each time that a person asked to pay again. Every id that
//! was acknowledged is found in the bucket, and every other charge is in doubt there. `CASTLINE_FIRE=long` plays 20,000.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
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
    /// Every id that a ledger ever had.
    acknowledged: BTreeSet<String>,
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
                let records = self.run(machine, None).expect("it was left to end");
                self.played.acknowledged.extend(records);
            }
            Step::Kill(machine, after) => {
                let ended = self.run(machine, Some(Duration::from_millis(after)));
                self.played.killed += usize::from(ended.is_none());
                let ledger = Harness::ledger_at(&self.path(machine));
                self.played
                    .acknowledged
                    .extend(ledger.view().asset_ids().unwrap().into_keys());
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
                age_open_receipts(&self.harness.folder.path().join("sandbox"), Some(&fingerprint));
            }
        }
    }

    /// Runs the cast on a machine, in a runtime of its own; `None` if it was killed before its end.
    fn run(&self, machine: usize, kill_after: Option<Duration>) -> Option<BTreeSet<String>> {
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
        let records = ended.ok()?.records;
        Some(
            records
                .into_values()
                .filter_map(|record| record.asset_id)
                .collect(),
        )
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
                let known = self.played.acknowledged.contains(&charge.asset_id);
                prop_assert!(
                    !known || has(&charge.asset_id),
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

#[test]
fn no_history_pays_twice_or_loses_an_id() {
    static HISTORY: AtomicUsize = AtomicUsize::new(0);
    static KILLED: AtomicUsize = AtomicUsize::new(0);
    let servers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let harness = OnceLock::new();
    let new_harness = || {
        let mut faults = Faults {
            seed: 11,
            ..Faults::default()
        };
        for (kind, percent) in [("reset-charged", 10.0), ("reset-before-read", 5.0), ("429", 5.0)] {
            faults.percent.insert(kind.parse().unwrap(), percent);
        }
        servers.block_on(Harness::new(faults))
    };
    // Histories wait more than they compute: several at a time.
    let (cases, at_once) = if long() { (20_000, 4) } else { (300, 4) };
    let play = |steps: Vec<Step>| {
        let harness = harness.get_or_init(new_harness);
        let number = HISTORY.fetch_add(1, Ordering::Relaxed);
        let mut payer = [0; 32];
        payer[..8].copy_from_slice(&(number as u64).to_be_bytes());
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
        KILLED.fetch_add(machines.played.killed, Ordering::Relaxed);
        machines.check()
    };
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                let config = Config {
                    cases: cases / at_once,
                    max_shrink_iters: 0,
                    failure_persistence: None,
                    ..Config::default()
                };
                if let Err(error) = TestRunner::new(config).run(&steps(), play) {
                    panic!("{error}");
                }
            });
        }
    });
    let harness = harness.get().unwrap();
    let (killed, charges) = (KILLED.load(Ordering::Relaxed), harness.sandbox.charges().len());
    println!("{cases} histories, {killed} kills, {charges} charges");
    assert!(killed as u32 > cases / 10, "kills met runs: {killed}");
}
