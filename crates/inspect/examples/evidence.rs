//! evidence ART.safetensors VERIFIER.safetensors IMAGE...: what the networks say of each image, as a line of JSON; for
//! `training/evidence.py`.

use std::io::Write as _;

use castline_inspect::{InspectSettings, Inspector};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut network = || {
        let path = arguments
            .next()
            .ok_or("ART.safetensors VERIFIER.safetensors IMAGE... are needed")?;
        Ok::<_, Box<dyn std::error::Error>>(std::fs::read(path)?)
    };
    let (art, verifier) = (network()?, network()?);
    let inspector = Inspector::new(InspectSettings::default());
    let evidence = inspector.evidence(&art, &verifier);
    let mut out = std::io::stdout().lock();
    for path in arguments {
        let seen = evidence(&std::fs::read(&path)?)?;
        writeln!(out, "{}", serde_json::to_string(&seen)?)?;
    }
    Ok(())
}
