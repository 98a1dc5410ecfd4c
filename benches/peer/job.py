#!/usr/bin/env python3
"""The whole job, castline beside `pipeline.py`: wall time, CPU time, and the most memory of all its processes together.

    job.py PICTURES MODELS CASTLINE [COUNT]

PICTURES is what `pictures.py make` wrote; COUNT (500) characters take them in turn, each with grain of its own. Services
are `castline sandbox`, a process of its own that isn't counted; rounds in turn, medians.
"""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROUNDS, RATE = 3, 200
HERE = Path(__file__).parent


def make(pictures, count, folder):
    """A cast of mixed formats, in which no two pictures are the same."""
    files = sorted(f for f in Path(pictures).rglob("hero_*"))
    rows = ["name,image,approve"]
    for number in range(count):
        file = files[number % len(files)]
        picture = Image.open(file)
        pixels = np.asarray(picture).astype("int16")
        grain = np.random.default_rng(number).normal(0, 1.5, (*pixels.shape[:2], 1)).astype("int16")
        pixels[..., :3] = np.clip(pixels[..., :3] + grain, 0, 255)
        to = folder / f"{number:04}{file.suffix}"
        Image.fromarray(pixels.astype("uint8"), picture.mode).save(to, quality=92)
        # Copies of one picture are alike, and some show no face: all are taken, as the peer takes them.
        rows.append(f"Hero {number:04},{to.name},override")
    (folder / "cast.csv").write_text("\n".join(rows) + "\n")


def family(pid):
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from family(int(child))


def memory(pid):
    """Bytes of a process and its children; pages that several share count once."""
    total = 0
    for one in family(pid):
        try:
            total += int(re.search(r"^Pss: +(\d+)", Path(f"/proc/{one}/smaps_rollup").read_text(), re.M)[1])
        except (OSError, TypeError):
            pass
    return total * 1024


def timed(command, environment, errors):
    start, peak = time.monotonic(), 0
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
    while True:
        done, status, usage = os.wait4(process.pid, os.WNOHANG)
        if done:
            break
        peak = max(peak, memory(process.pid))
        time.sleep(0.1)
    if status:
        errors.seek(0)
        sys.exit(errors.read().decode())
    # The usage of a process includes that of the children for which it waited.
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, peak


def main(pictures, models, castline, count="500"):
    results = {"castline": [], "pipeline.py": []}
    with tempfile.TemporaryDirectory() as scratch:
        cast = Path(scratch, "cast")
        cast.mkdir()
        make(pictures, int(count), cast)
        for turn in range(ROUNDS):
            for name, values in results.items():
                folder = Path(scratch, f"{turn}-{name}")
                sandbox = subprocess.Popen([castline, "sandbox", "--dir", folder], stdout=subprocess.PIPE, text=True)
                lines = iter(sandbox.stdout.readline, "# ready\n")
                given = [re.match(r"export (\w+)='(.*)'", line) for line in lines]
                environment = dict(os.environ, OMP_NUM_THREADS="1", **{m[1]: m[2] for m in given if m})
                manifest = folder / "manifest.json"
                command = {
                    "castline": [castline, "run", cast / "cast.csv", "--yes", "--max-cost", "1000"]
                    + ["--rate", f"{RATE}/s", "--ledger", folder / "ledger.db", "--manifest", manifest],
                    "pipeline.py": [sys.executable, HERE / "pipeline.py", cast / "cast.csv", models, manifest, str(RATE)],
                }[name]
                try:
                    with tempfile.TemporaryFile() as errors:
                        values.append(timed(command, environment, errors))
                finally:
                    sandbox.send_signal(signal.SIGTERM)
                    sandbox.wait()
                charged = len((folder / "charges.ndjson").read_text().splitlines())
                print(f"{name}: {charged} charged", file=sys.stderr)
    medians = {name: [statistics.median(part) for part in zip(*values)] for name, values in results.items()}
    print("| | wall s | CPU s | memory MB |\n|---|---|---|---|")
    for name, (wall, cpu, peak) in medians.items():
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {peak / 1e6:.0f} |")
    ratio = [theirs / ours for ours, theirs in zip(medians["castline"], medians["pipeline.py"])]
    print("| ratio | " + " | ".join(f"{part:.2f}" for part in ratio) + " |")
    print(json.dumps(results), file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
