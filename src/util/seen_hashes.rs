//! Tells what may have occurred before, in eight bytes each: the texts of a large cast would take as much memory as the cast.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash, RandomState};

/// The hashes of what has occurred, with keys of this process: nobody can make two texts collide on purpose.
#[derive(Debug, Default)]
pub(crate) struct SeenHashes {
    random: RandomState,
    hashes: HashSet<u64>,
}

impl SeenHashes {
    /// Remembers a value. `false` when none like it has occurred; `true` when one has, or, hardly ever, another one
    /// has that only shares its hash.
    pub(crate) fn may_repeat(&mut self, value: &impl Hash) -> bool {
        !self.hashes.insert(self.random.hash_one(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_occurs_twice_is_told_and_nothing_else() {
        let mut seen = SeenHashes::default();
        let repeats: Vec<_> = ["a", "b", "a", "c", "b"]
            .iter()
            .map(|text| seen.may_repeat(text))
            .collect();
        assert_eq!(repeats, [false, false, true, false, true]);
    }
}
