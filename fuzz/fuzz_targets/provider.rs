//! Fuzzes reading a provider's profile: any bytes must never panic.
#![no_main]

use castline::enroll::Provider;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("a file");
    let _ = Provider::load("profile.toml", file.path());
});
