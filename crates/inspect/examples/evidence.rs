//! evidence ART.safetensors IMAGE...: what the network says of each image, as a line of JSON; for `training/calibrate.py`.

use std::io::Write as _;

use castline_inspect::{InspectSettings, Inspector};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let art = std::fs::read(arguments.next().ok_or("ART.safetensors IMAGE... are needed")?)?;
    let inspector = Inspector::new(InspectSettings::default());
    let evidence = inspector.evidence(&art);
    let mut out = std::io::stdout().lock();
    for path in arguments {
        let seen = evidence(&std::fs::read(&path)?)?;
        writeln!(out, "{}", serde_json::to_string(&seen)?)?;
    }
    Ok(())
}
