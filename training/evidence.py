"""What castline's own runner says of pictures (crates/inspect/examples/evidence.rs), for calibrate.py and verify.py."""

import json
import os
import subprocess


def evidence(networks, files):
    """What ART.safetensors and VERIFIER.safetensors say of each file: a list of its boxes, as dicts."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    run = "cargo run --release --quiet --locked -p castline-inspect --example evidence --".split()
    paths = map(os.path.abspath, [*networks, *files])
    told = subprocess.run([*run, *paths], cwd=root, check=True, capture_output=True)
    return [json.loads(line) for line in told.stdout.splitlines()]
