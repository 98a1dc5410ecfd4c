//! What is made of an image once, however many names it stands under.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Keeps what was made of images, by their SHA-256 in hex. Whoever asks while it is being made waits for it.
#[derive(Debug)]
pub struct OnceMap<T>(Mutex<HashMap<String, Arc<OnceLock<T>>>>);

impl<T> Default for OnceMap<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> OnceMap<T> {
    /// What was made of that image, or is now.
    pub fn get(&self, sha256: &str, make: impl FnOnce() -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = Arc::clone(all.entry(sha256.to_owned()).or_default());
        // The others need not wait for this one.
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
