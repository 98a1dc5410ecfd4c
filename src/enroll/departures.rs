//! Remembers when the last call of an account left: the rate holds across the runs, casts and processes of one machine.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::rate_limiter::{SharedPace, Spacing};
use super::retry_after::LONGEST_WAIT;

/// How soon to ask again while another process writes the file; it takes microseconds.
const BUSY: Duration = Duration::from_millis(1);

/// A file with the time when the next call of an account is due, and until when the API asked all calls to wait. Times are
/// of the machine's clock: one that was set back makes nobody wait for longer than the interval, or the pause.
#[derive(Debug)]
pub struct Departures {
    file: File,
    spacing: Spacing,
}

/// The content of the file, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Times {
    due: u64,
    paused_until: u64,
}

impl Departures {
    /// The file of `account` in `folder`, which is created, for calls that leave so far apart.
    ///
    /// # Errors
    /// The file can't be opened for writing.
    pub fn open(folder: &Path, account: &str, spacing: Spacing) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(account))?;
        Ok(Self { file, spacing })
    }

    fn interval(&self) -> u64 {
        micros(self.spacing.interval).max(1)
    }

    /// When the call after one that leaves now is due; an error says how long this one must wait.
    fn next_due(&self, times: Times, now: u64) -> Result<u64, Duration> {
        let tolerance = micros(self.spacing.tolerance);
        // Further away than a call that leaves as early as it may puts it: the clock was set back.
        let due = match times.due > now.saturating_add(self.interval() + tolerance) {
            true => now,
            false => times.due,
        };
        let paused = match times.paused_until.saturating_sub(now) > micros(LONGEST_WAIT) {
            true => 0,
            false => times.paused_until,
        };
        match due.saturating_sub(tolerance).max(paused).saturating_sub(now) {
            // As in the process's own limiter, one that is late within the tolerance does not shift the next.
            0 => Ok(due.max(now) + self.interval()),
            wait => Err(Duration::from_micros(wait)),
        }
    }

    /// Changes the times under the file's lock; `None` where the file fails.
    fn change(
        &self,
        change: impl FnOnce(&mut Times, u64) -> Result<(), Duration>,
    ) -> Option<Result<(), Duration>> {
        match self.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Some(Err(BUSY)),
            Err(TryLockError::Error(_)) => return None,
        }
        let changed = (|| {
            let mut times = self.read()?;
            let changed = change(&mut times, now());
            if changed.is_ok() {
                self.write(times)?;
            }
            io::Result::Ok(changed)
        })();
        let _ = self.file.unlock();
        changed.ok()
    }

    fn read(&self) -> io::Result<Times> {
        let mut text = String::new();
        (&self.file).rewind()?;
        (&self.file).take(64).read_to_string(&mut text)?;
        let mut numbers = text.split_whitespace().map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten().unwrap_or_default();
        Ok(Times {
            due: next(),
            paused_until: next(),
        })
    }

    fn write(&self, times: Times) -> io::Result<()> {
        (&self.file).rewind()?;
        // Of one length, so that nothing of an earlier text remains.
        (&self.file).write_all(format!("{:020} {:020}\n", times.due, times.paused_until).as_bytes())
    }
}

impl SharedPace for Departures {
    fn try_go(&self) -> Result<(), Duration> {
        self.change(|times, now| {
            times.due = self.next_due(*times, now)?;
            Ok(())
        })
        .unwrap_or(Ok(()))
    }

    fn pause(&self, length: Duration) {
        let length = micros(length.min(LONGEST_WAIT));
        while let Some(Err(wait)) = self.change(|times, now| {
            times.paused_until = times.paused_until.max(now.saturating_add(length));
            Ok(())
        }) {
            std::thread::sleep(wait);
        }
    }
}

fn now() -> u64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::rate::Rate;
    use super::*;

    fn spacing() -> Spacing {
        Spacing {
            interval: Duration::from_secs(20),
            tolerance: Duration::from_millis(4),
        }
    }

    #[test]
    fn a_second_process_waits_for_the_departures_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let open = |account| Departures::open(folder.path(), account, spacing()).unwrap();
        let (first, second) = (open("a"), open("a"));
        assert_eq!(first.try_go(), Ok(()));
        let wait = second.try_go().unwrap_err();
        assert!(
            wait > Duration::from_secs(18) && wait <= Duration::from_secs(20),
            "{wait:?}"
        );
        assert_eq!(open("b").try_go(), Ok(()), "another account");
        second.pause(Duration::from_secs(300));
        assert!(first.try_go().unwrap_err() > Duration::from_secs(290));
    }

    proptest! {
        #[test]
        fn no_window_sees_more_calls_than_the_rate_whichever_processes_ask_when(
            rate in prop::sample::select(vec!["1/s", "5/s", "20/s", "3/min", "30/min"]),
            steps in prop::collection::vec(prop_oneof![3 => Just(0u64), 1 => 0..90_000_000u64], 2..150),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let rate: Rate = rate.parse().unwrap();
            let departures = Departures::open(folder.path(), "a", Spacing::of(rate)).unwrap();
            let (mut times, mut now, mut left) = (Times::default(), 1_700_000_000_000_000, Vec::new());
            for later in steps {
                now += later;
                times.due = loop {
                    match departures.next_due(times, now) {
                        Ok(due) => break due,
                        Err(wait) => now += micros(wait),
                    }
                };
                left.push(now);
            }
            let calls = rate.calls() as usize;
            for first in 0..left.len().saturating_sub(calls) {
                let span = Duration::from_micros(left[first + calls] - left[first]);
                prop_assert!(span >= rate.window(), "{} calls within {span:?}", calls + 1);
            }
        }
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_wait_for_years() {
        let folder = tempfile::tempdir().unwrap();
        let departures = Departures::open(folder.path(), "a", spacing()).unwrap();
        let year = 365 * 24 * 3_600_000_000;
        let now = 2 * year;
        let next = |due, paused_until| departures.next_due(Times { due, paused_until }, now);
        assert_eq!(next(now + year, 0), Ok(now + 20_000_000));
        assert_eq!(next(now + 15_004_000, now + year), Err(Duration::from_secs(15)));
        std::fs::write(folder.path().join("a"), "no numbers").unwrap();
        assert_eq!(departures.try_go(), Ok(()));
        assert!(departures.try_go().is_err(), "what was damaged is written anew");
    }
}
