//! Fuzzes reading a saved plan: any bytes must never panic; a valid plan matches itself.
#![no_main]

use castline::plan::PlanFile;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("a file");
    if let Ok(plan) = PlanFile::read(file.path()) {
        let _ = plan.agreed();
        plan.still_holds(&plan).expect("the same plan");
    }
});
