#!/usr/bin/env python3
"""extra.py BLAZEFACE.onnx CENTERFACE.onnx FOLDER OUT.json: art of other packages to train on, beside the corpus.

Fetches Debian packages of free clip art and games into FOLDER. Animals, objects and scenes in which the photo-trained
networks see nothing are negatives; people in whom all of their passes agree on exactly one face are examples, with that
box (pseudo-labels). drawn.mjs adds avatars, whose faces stand where their style has them, and icons, all negatives.
The pictures are not kept in this repository. Needs apt-get, dpkg, npm, and what e3p.py needs.
"""

import glob
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
from PIL import Image

blaze, center, folder, target = sys.argv[1:5]
from e3p import Detector, load

R = random.Random(1)
detector = Detector(blaze, center)
os.makedirs(folder, exist_ok=True)
for (
    package
) in "openclipart-png lordsawar-data pokerth-data unknown-horizons hedgewars-data fillets-ng-data gcompris-qt-data".split():
    if not os.path.isdir(f"{folder}/{package}"):
        subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True)
        subprocess.run(
            ["dpkg", "-x", os.path.basename(glob.glob(f"{folder}/{package}_*.deb")[0]), package],
            cwd=folder,
            check=True,
        )


def carve(pack):
    """The pictures inside a Qt resource file, which holds them whole."""
    data, out = (
        open(f"{folder}/gcompris-qt-data/usr/share/gcompris-qt/rcc/{pack}.rcc", "rb").read(),
        f"{folder}/carved",
    )
    os.makedirs(out, exist_ok=True)
    for match in re.finditer(b"RIFF(....)WEBP|\xff\xd8\xff|\x89PNG\r\n\x1a\n", data, re.S):
        try:
            picture = Image.open(io.BytesIO(data[match.start() : match.start() + 4_000_000]))
            picture.load()
        except Exception:
            continue
        if min(picture.size) >= 90:
            picture.convert("RGBA").save(f"{out}/{pack}-{match.start()}.png")


# Photographs: they show no character. A drawn animal may, and is left out.
ANIMALS = "erase explore_farm_animals explore_world_animals".split()
for pack in ANIMALS + "categorization photo_hunter clickgame lang wordsgame memory-sound".split():
    carve(pack)
here = os.path.dirname(os.path.abspath(__file__))
shutil.copy(f"{here}/drawn.mjs", folder)
subprocess.run(
    "npm init -y >/dev/null && npm i --silent @dicebear/core@9.4.3 @dicebear/collection@9.4.3 @resvg/resvg-js@2 @iconify-json/noto@1 @iconify-json/fluent-emoji-flat@1 @iconify-json/twemoji@1 @iconify-json/game-icons@1 && node drawn.mjs drawn",
    shell=True,
    cwd=folder,
    check=True,
)
# Where the face of a style stands, in parts of width and height: read off by eye.
AVATARS = {
    "micah": (0.3, 0.25, 0.7, 0.65),
    "personas": (0.33, 0.27, 0.68, 0.66),
    "bigSmile": (0.35, 0.3, 0.9, 0.82),
    "notionists": (0.37, 0.22, 0.62, 0.53),
    "miniavs": (0.3, 0.32, 0.8, 0.76),
    "pixelArt": (0.22, 0.22, 0.78, 0.78),
    "croodles": (0.22, 0.35, 0.75, 0.82),
    "bottts": (0.15, 0.28, 0.85, 0.9),
    "toonHead": (0.3, 0.25, 0.7, 0.72),
    "dylan": (0.25, 0.3, 0.75, 0.8),
    "adventurer": (0.25, 0.35, 0.75, 0.78),
    "lorelei": (0.33, 0.3, 0.68, 0.68),
    "openPeeps": (0.35, 0.28, 0.72, 0.62),
    "avataaars": (0.32, 0.28, 0.68, 0.68),
    "bigEars": (0.25, 0.4, 0.75, 0.85),
}


def some(pattern, most=None):
    files = sorted(glob.glob(f"{folder}/{pattern}", recursive=True))
    if most:
        R.shuffle(files)
        files = files[:most]
    return files


art = "openclipart-png/usr/share/openclipart/png"
things = [
    f
    for d in "buildings containers decorations electronics food geography office plants tools transportation recreation".split()
    for f in some(f"{art}/{d}/**/*.png", 70)
]
things += (
    some("unknown-horizons/**/buildings/**/*.png", 40)
    + some("hedgewars-data/**/Themes/*/*.png", 120)
    + some("fillets-ng-data/**/*.png", 60)
)
things += some("carved/*.png")
people = (
    some(f"{art}/people/**/*.png")
    + some("pokerth-data/**/avatars/default/*/*.png")
    + some("lordsawar-data/**/various/*.png")
)
negatives, examples = [], []
for path in things + people:
    try:
        picture = load(path)
    except (OSError, Image.DecompressionBombError):
        continue
    height, width = picture.shape[:2]
    if min(height, width) < 48:
        continue
    seen = detector.faces(picture)  # [score, left, top, right, bottom], the surest first
    if path in people:
        if seen and seen[0][0] > 0.5 and (len(seen) < 2 or seen[1][0] < 0.1):
            _, l, t, r, b = seen[0]
            examples.append([path, [l / width, t / height, r / width, b / height]])
    elif not seen or seen[0][0] < 0.25:
        negatives += [path] * (
            3 if "/carved/" in path and os.path.basename(path).rsplit("-", 1)[0] in ANIMALS else 1
        )
negatives += some("drawn/icons/*.png")
avatars = [[path, AVATARS[os.path.basename(path).split("-")[0]]] for path in some("drawn/avatars/*.png")]
json.dump({"neg": negatives, "pos": examples, "avatars": avatars}, open(target, "w"))
print(len(negatives), "negatives,", len(examples), "examples")
