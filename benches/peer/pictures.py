#!/usr/bin/env python3
"""CPU time a picture, castline beside Pillow, OpenCV and libvips, on one core.

    pictures.py make ART OUT COUNT             # COUNT pictures of each kind, from the pictures in the folder ART
    pictures.py run OUT MODELS CASTLINE…       # rounds of all in turn; several builds of castline may be compared

Everyone reads the same files, hashes them, decides how many faces they show, and makes a JPEG of at most 1024 px, quality
90, on grey. castline decides with its own networks, the others with `decision.py`. MODELS is what `models/make.sh MODELS`
writes. Needs numpy, pillow, opencv-python-headless, pyvips, pyvips-binary, onnxruntime.
"""

import hashlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS, SIDE, QUALITY = 3, 1024, 90
PEERS = ("pillow", "opencv", "libvips")


def make(art, out, count):
    import numpy as np
    from PIL import Image

    files = sorted(f for f in Path(art).rglob("*") if f.suffix.lower() in (".png", ".jpg", ".webp"))
    files = files[:: max(1, len(files) // count)]
    for number in range(count):
        picture = Image.open(files[number % len(files)]).convert("RGBA")
        scale = 2 * SIDE / max(picture.size)
        large = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.LANCZOS)
        # Grain, as painted and rendered art has; enlarged pictures are too smooth for a codec to work on.
        pixels = np.asarray(large).astype("int16")
        grain = np.random.default_rng(number).normal(0, 2.5, (*pixels.shape[:2], 1)).astype("int16")
        pixels[..., :3] = np.clip(pixels[..., :3] + grain, 0, 255)
        large = Image.fromarray(pixels.astype("uint8"), "RGBA")
        small = large.resize([side // 2 for side in large.size], Image.LANCZOS)
        for side, of in ((2 * SIDE, large), (SIDE, small)):
            for kind, ending, options in (
                ("png", "png", {}),
                ("jpeg", "jpg", {"quality": 92}),
                ("webp", "webp", {"quality": 85}),
            ):
                folder = Path(out, f"{kind}{side}")
                folder.mkdir(parents=True, exist_ok=True)
                flat = of.convert("RGB") if kind == "jpeg" else of
                flat.save(folder / f"hero_{number:03}.{ending}", **options)


def with_pillow(data):
    import numpy as np
    from PIL import Image

    picture = Image.open(io.BytesIO(data))
    if picture.format == "JPEG":
        picture.draft("RGB", (SIDE, SIDE))
    if picture.mode in ("P", "LA", "RGBA"):
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, (128, 128, 128, 255))
        ground.alpha_composite(picture)
        picture = ground
    picture = picture.convert("RGB")
    picture.thumbnail((SIDE, SIDE), Image.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return np.asarray(picture), out.getvalue()


def with_opencv(data):
    import cv2
    import numpy as np

    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture.ndim == 3 and picture.shape[2] == 4:
        alpha = picture[..., 3:].astype(np.uint16)
        picture = ((picture[..., :3] * alpha + 128 * (255 - alpha) + 127) // 255).astype(np.uint8)
    scale = SIDE / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), encoded.tobytes()


def with_libvips(data):
    import numpy as np
    import pyvips

    picture = pyvips.Image.thumbnail_buffer(data, SIDE, height=SIDE, size="down")
    if picture.hasalpha():
        picture = picture.flatten(background=[128] * 3)
    picture = picture.colourspace("srgb").copy_memory()
    return np.asarray(picture)[..., :3], picture.jpegsave_buffer(Q=QUALITY)


def peer(library, folder, models):
    """One peer over one folder; prints its CPU seconds."""
    from decision import Detector

    detector = Detector(models)
    prepare = {"pillow": with_pillow, "opencv": with_opencv, "libvips": with_libvips}[library]
    files, one, start = sorted(Path(folder).iterdir()), 0, time.process_time()
    for file in files:
        data = file.read_bytes()
        hashlib.sha256(data).hexdigest()
        rgb, _ = prepare(data)
        one += detector.faces(rgb) == 1
    print(json.dumps({"ms": 1000 * (time.process_time() - start) / len(files), "one": one}))


def castline(binary, folder):
    """CPU milliseconds a picture of `castline plan`, which prepares what it would upload."""
    with tempfile.TemporaryDirectory() as scratch:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        output = subprocess.run(
            ["taskset", "-c", "1", binary, "plan", folder, "--jobs", "1", "--json"]
            + ["--ledger", f"{scratch}/ledger.db", "--set", "s3.bucket=none"],
            capture_output=True,
            text=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    checked = [line for line in map(json.loads, output.stdout.splitlines()) if line["type"] == "checked"]
    if not checked:
        sys.exit(output.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1000 * cpu / len(checked)


def run(out, models, *binaries):
    environment = dict(os.environ, VIPS_CONCURRENCY="1", OMP_NUM_THREADS="1")
    print("| | " + " | ".join([*binaries, *PEERS]) + " | first / best peer |")
    print("|---" * (len(binaries) + len(PEERS) + 2) + "|")
    for folder in sorted(f for f in Path(out).iterdir() if f.is_dir()):
        times = {name: [] for name in [*binaries, *PEERS]}
        for _ in range(ROUNDS):
            for binary in binaries:
                times[binary].append(castline(binary, folder))
            for library in PEERS:
                command = ["taskset", "-c", "1", sys.executable, __file__, "peer", library, folder, models]
                output = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
                times[library].append(json.loads(output.stdout.splitlines()[-1])["ms"])
        median = {name: statistics.median(values) for name, values in times.items()}
        best = min(median[library] for library in PEERS)
        cells = " | ".join(f"{value:.1f}" for value in median.values())
        print(f"| {folder.name} | {cells} | {median[binaries[0]] / best:.2f} |", flush=True)


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "make":
        make(*arguments[:2], int(arguments[2]))
    else:
        {"run": run, "peer": peer}[what](*arguments)
