//! Bounds the memory that images in progress take together, by their bytes rather than by their number.

use std::sync::{Condvar, Mutex, PoisonError};

/// The bytes that all images in progress may take together.
#[derive(Debug)]
pub struct MemoryBudget {
    bytes: u64,
    taken: Mutex<u64>,
    given_back: Condvar,
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Part<'a> {
    of: &'a MemoryBudget,
    bytes: u64,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: u64) -> Self {
        Self {
            bytes,
            taken: Mutex::new(0),
            given_back: Condvar::new(),
        }
    }

    /// Waits until there is room for `bytes`. An image that needs more than the whole budget is processed alone.
    ///
    /// Must not be called by a thread that holds a part already.
    pub(super) fn take(&self, bytes: u64) -> Part<'_> {
        let bytes = bytes.min(self.bytes);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken + bytes > self.bytes {
            taken = self
                .given_back
                .wait(taken)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *taken += bytes;
        Part { of: self, bytes }
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        *self.of.taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.of.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn what_is_taken_together_stays_within_the_budget_and_everyone_gets_a_turn() {
        let budget = MemoryBudget::new(100);
        let (now, most, turns) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for bytes in [10, 40, 90, 500, 60, 1, 100, 30] {
                let (budget, now, most, turns) = (&budget, &now, &most, &turns);
                scope.spawn(move || {
                    for _ in 0..50 {
                        let _part = budget.take(bytes);
                        let bytes = bytes.min(100);
                        most.fetch_max(now.fetch_add(bytes, Ordering::SeqCst) + bytes, Ordering::SeqCst);
                        std::thread::yield_now();
                        now.fetch_sub(bytes, Ordering::SeqCst);
                        turns.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(turns.into_inner(), 400);
        let most = most.into_inner();
        assert!((90..=100).contains(&most), "{most}");
    }
}
