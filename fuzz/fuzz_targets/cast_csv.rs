//! Fuzzes reading a cast: any bytes must never panic, and no two characters may share a name.
#![no_main]

use std::collections::HashSet;

use castline::cast::{self, CastOptions};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cast.csv");
    std::fs::write(&path, bytes).expect("a file");
    if let Ok(cast) = cast::read(&path, &CastOptions::default()) {
        let mut keys = HashSet::new();
        assert!(cast.characters.iter().all(|c| keys.insert(c.name.key())));
        for row in &cast.bad_rows {
            assert!(!row.to_string().is_empty());
        }
    }
});
