//! Computes a value once per image, however many names use it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Caches the values computed from images, by SHA-256 in hex. Concurrent callers wait for the first.
#[derive(Debug)]
pub struct OnceMap<T>(Mutex<HashMap<String, Arc<OnceLock<T>>>>);

impl<T> Default for OnceMap<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> OnceMap<T> {
    /// The value of that image, computed by `make` if not cached.
    pub fn get(&self, sha256: &str, make: impl FnOnce() -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = Arc::clone(all.entry(sha256.to_owned()).or_default());
        // Other images need not wait for this one.
        drop(all);
        one.get_or_init(make).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn whoever_comes_meanwhile_waits_and_gets_the_same() {
        let (once, made) = (OnceMap::default(), AtomicU32::new(0));
        let make = || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            made.fetch_add(1, Ordering::Relaxed)
        };
        let got: Vec<u32> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| once.get("aa", make))).collect();
            asking.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(got, [0; 8]);
        assert_eq!(once.get("bb", make), 1);
    }
}
