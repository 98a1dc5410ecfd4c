//! Any bytes: decoding, judging and preparing must answer, never panic. `cargo +nightly fuzz run inspect`
#![no_main]

use castline::inspect::{InspectSettings, Inspector};
use std::sync::LazyLock;

static INSPECTOR: LazyLock<Inspector> = LazyLock::new(|| {
    Inspector::new(InspectSettings { max_decode_bytes: 64 << 20, ..InspectSettings::default() })
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (inspection, prepared) = INSPECTOR.inspect_and_prepare(bytes);
    assert!(inspection.verdict == castline::inspect::Verdict::Suitable || !inspection.reasons.is_empty());
    assert!(prepared.is_none_or(|p| p.bytes.len() <= castline::inspect::MAX_BYTES));
});
