//! Fuzzes the inspection: decoding, judging and preparing any bytes must never panic. `just fuzz inspect`
#![no_main]

use castline_inspect::{InspectSettings, Inspector, MAX_BYTES, Verdict};
use std::sync::LazyLock;

static INSPECTOR: LazyLock<Inspector> = LazyLock::new(|| {
    Inspector::new(InspectSettings { max_decode_bytes: 64 << 20, ..InspectSettings::default() })
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (inspection, prepared) = INSPECTOR.inspect_and_prepare(bytes, |_| true);
    assert!(inspection.verdict == Verdict::Suitable || !inspection.reasons.is_empty());
    assert!(prepared.is_none_or(|p| p.bytes.len() <= MAX_BYTES));
});
