//! Any bytes as a saved plan: reading must answer, never panic; a plan that is read still holds against itself.
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
