//! Writes the manifest periodically during a run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ledger::Ledger;

/// Writes the manifest during a run.
pub trait Checkpoint: Send + Sync {
    /// Writes the manifest from the current ledger and returns its path; `None` while it would be empty and no file
    /// exists.
    fn write(&self) -> anyhow::Result<Option<PathBuf>>;
}

/// Checkpoints take at most 1/`CHECKPOINT_SHARE` of the time: a large manifest takes seconds to write.
const CHECKPOINT_SHARE: u32 = 20;

/// Writes the manifest at intervals of at least `every`, whenever new characters have been enrolled.
pub(super) async fn checkpoints(checkpoint: Arc<dyn Checkpoint>, every: Duration, ledger: Ledger) {
    let (mut took, mut written) = (Duration::ZERO, 0);
    loop {
        tokio::time::sleep(every.max(took * CHECKPOINT_SHARE)).await;
        let enrolled = ledger.enrolled();
        if enrolled == written {
            continue;
        }
        let began = Instant::now();
        let checkpoint = Arc::clone(&checkpoint);
        match tokio::task::spawn_blocking(move || checkpoint.write()).await {
            Ok(Ok(_)) => written = enrolled,
            // Nothing is lost: the end of the run writes the manifest again from the ledger, and reports a failure.
            Ok(Err(error)) => tracing::warn!("the manifest can't be written during the run: {error:#}"),
            Err(_) => {}
        }
        took = began.elapsed();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::cast::Name;
    use crate::ledger::OpenOptions;
    use crate::ledger::test_steps::enrolling;

    /// Counts the writes, each of which takes 20 ms.
    struct Slow(AtomicUsize);

    impl Checkpoint for Slow {
        fn write(&self) -> anyhow::Result<Option<PathBuf>> {
            std::thread::sleep(Duration::from_millis(20));
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_manifest_is_written_on_the_way_only_when_it_has_something_new() {
        let folder = tempfile::tempdir().unwrap();
        let options = OpenOptions::new("sandbox", true, "test");
        let ledger = Ledger::open(&folder.path().join("ledger.db"), options).unwrap();
        let slow = Arc::new(Slow(AtomicUsize::new(0)));
        let written = || slow.0.load(Ordering::Relaxed);
        let every = Duration::from_millis(5);
        let writing = tokio::spawn(checkpoints(slow.clone(), every, ledger.clone()));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(written(), 0, "no character is enrolled");
        enroll(&ledger, "Ada").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(written(), 1);
        for name in ["Bo", "Cay", "Dee"] {
            enroll(&ledger, name).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(written() <= 2, "a write of 20 ms is followed by a wait of 400 ms");
        writing.abort();
    }

    async fn enroll(ledger: &Ledger, name: &str) {
        let name = Name::new(name).unwrap();
        ledger.write(&name, enrolling(&name, &[])).await.unwrap();
    }
}
