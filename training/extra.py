#!/usr/bin/env python3
"""extra.py BLAZEFACE.onnx CENTERFACE.onnx FOLDER OUT.json: art of other packages to train on, beside the corpus.

Fetches Debian packages of free clip art and games into FOLDER. Animals, objects and scenes in which the photo-trained
networks see nothing are negatives; people in whom all of their passes agree on exactly one face are examples, with that
box (pseudo-labels). The pictures are not kept in this repository.
"""
import glob, json, os, random, subprocess, sys
blaze, center, folder, target = sys.argv[1:5]
from e3p import Detector, load

R = random.Random(1); detector = Detector(blaze, center); os.makedirs(folder, exist_ok=True)
for package in "openclipart-png lordsawar-data pokerth-data unknown-horizons hedgewars-data fillets-ng-data".split():
    if not os.path.isdir(f"{folder}/{package}"):
        subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True)
        subprocess.run(["dpkg", "-x", os.path.basename(glob.glob(f"{folder}/{package}_*.deb")[0]), package], cwd=folder, check=True)
def some(pattern, most=None):
    files = sorted(glob.glob(f"{folder}/{pattern}", recursive=True))
    if most: R.shuffle(files); files = files[:most]
    return files
art = "openclipart-png/usr/share/openclipart/png"
things = [f for d in "animals buildings containers decorations electronics food geography office plants tools transportation recreation".split()
          for f in some(f"{art}/{d}/**/*.png", 320 if d == "animals" else 70)]
things += some("unknown-horizons/**/buildings/**/*.png", 40) + some("hedgewars-data/**/Themes/*/*.png", 120) + some("fillets-ng-data/**/*.png", 60)
people = some(f"{art}/people/**/*.png") + some("pokerth-data/**/avatars/default/*/*.png") + some("lordsawar-data/**/various/*.png")
negatives, examples = [], {}
for path in things + people:
    try: picture = load(path)
    except OSError: continue
    height, width = picture.shape[:2]
    if min(height, width) < 48: continue
    seen = detector.faces(picture)  # [score, left, top, right, bottom], the surest first
    if path in people:
        if seen and seen[0][0] > .5 and (len(seen) < 2 or seen[1][0] < .1):
            _, l, t, r, b = seen[0]; examples[path] = [l / width, t / height, r / width, b / height]
    elif not seen or seen[0][0] < .25: negatives.append(path)
json.dump({"neg": negatives, "pos": examples}, open(target, "w")); print(len(negatives), "negatives,", len(examples), "examples")
