//! The brake: stops a run when too many paid calls in a row end in doubt, and remembers that across runs.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{Mutex, MutexGuard};

/// Counts the paid calls in a row that ended in doubt. Only a reply that shows the API at work ends the row: an id, or a
/// verdict on an image. A 429 or a call that was never sent says nothing about what becomes of paid calls.
#[derive(Debug)]
pub struct Brake {
    in_row: AtomicU32,
    limit: u32,
    alone: Mutex<()>,
}

impl Brake {
    /// A brake that stops a run at `limit` doubts in a row, `before` of which earlier runs have met. After a run that it
    /// stopped, the next one gets one call.
    pub fn new(limit: u32, before: u32) -> Self {
        Self {
            in_row: AtomicU32::new(before.min(limit.saturating_sub(1))),
            limit,
            alone: Mutex::new(()),
        }
    }

    /// When the next doubt stops the run, calls go one by one: the others wait for this guard.
    pub(super) async fn guard(&self) -> Option<MutexGuard<'_, ()>> {
        let last = || self.in_row.load(Ordering::Relaxed) + 1 >= self.limit;
        if !last() {
            return None;
        }
        let alone = self.alone.lock().await;
        last().then_some(alone)
    }

    /// The API is at work.
    pub(super) fn release(&self) {
        self.in_row.store(0, Ordering::Relaxed);
    }

    /// A call ended in doubt; returns the length of the row if that stops the run.
    pub(super) fn doubt(&self) -> Option<u32> {
        let in_row = self.in_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        (in_row >= self.limit).then_some(in_row)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_last_doubt_before_the_limit_is_met_alone() {
        let brake = Brake::new(3, 0);
        assert_eq!(brake.doubt(), None);
        assert!(brake.guard().await.is_none());
        assert_eq!(brake.doubt(), None);
        let first = brake.guard().await;
        assert!(first.is_some());
        assert!(brake.guard().now_or_never().is_none(), "the second waits");
        assert_eq!(brake.doubt(), Some(3));
        drop(first);
        brake.release();
        assert!(brake.guard().await.is_none());
    }

    #[tokio::test]
    async fn after_a_run_that_it_stopped_the_next_has_one_call() {
        let brake = Brake::new(5, 40);
        assert!(brake.guard().await.is_some());
        assert_eq!(brake.doubt(), Some(5));
        let strict = Brake::new(1, 0);
        assert!(strict.guard().await.is_some());
        assert_eq!(strict.doubt(), Some(1));
    }
}
