#!/usr/bin/env python3
"""calibrate.py ART.safetensors VERIFIER.safetensors [none,sure,second,several] [CORPUS | FOLDER]...

Fits how likely a proposed box is a face (crates/inspect/src/faces/calibration.rs), at first sight and where the verifier was
asked, on pictures that the networks were not trained on: two fifths of CORPUS, and of the second corpus' FOLDERs the packages
of the half in the environment's HALF (0 or 1). Tells verdicts crosswise, with 95 % intervals: every fifth, and every
package, is judged with weights that were fitted on others. Then prints the weights fitted on all. With LIST, every error.
What the network sees tells castline's own runner (crates/inspect/examples/evidence.rs). Needs numpy, scikit-learn, cargo.
"""

import collections
import csv
import json
import os
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression

import folds
from evidence import evidence
from net import part

networks, rest = sys.argv[1:3], sys.argv[3:]
folders = [path for path in rest if os.path.isdir(path)]
thresholds = [path for path in rest if not os.path.isdir(path)] or [".08,.84,.25,.75"]
NONE, SURE, SECOND, SEVERAL = map(float, thresholds[0].split(","))
# As in crates/inspect/src/faces/mod.rs: a second face of this part of the first one's size counts fully; where there is doubt, the verifier is asked.
COMPARABLE, DOUBT, ASKED, BELIEVED = 0.45, (0.12, 0.9), 3, 2.5


def both():
    """{id: row} of the pictures to judge: with the file, its fold (one of FOLDS), and the boxes of its faces in parts of its sides."""
    first = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "boxes.json")))
    found = {}
    second = [folder for folder in folders if open(f"{folder}/labels.csv").readline().strip().endswith("box")]
    for corpus in set(folders) - set(second):
        for row in csv.DictReader(open(f"{corpus}/labels.csv")):
            if part(row["id"]) > 2:
                boxes = [first[row["id"]]] if first.get(row["id"]) else []
                file, fold = f"{corpus}/{row['path']}", part(row["id"])
                found[row["id"]] = {**row, "file": file, "fold": fold, "boxes": boxes}
    for row in folds.rows(second):
        if str(row["half"]) == os.environ.get("HALF", str(row["half"])):
            found[row["id"]] = {**row, "fold": part(row["package"]), "boxes": folds.boxes(row)}
    return found


FOLDS = 5
rows = both()


def look():
    """{id: [{"scores": on 160² and on 96², "size", "near": the verifier's log-odds, "turned", "face", "boxed"}]}"""
    seen = {}
    for row, found in zip(rows.values(), evidence(networks, [row["file"] for row in rows.values()]), strict=True):
        seen[row["id"]] = found
        for candidate in found:
            candidate["face"] = any(folds.same(candidate["area"], box) for box in row["boxes"])
            candidate["boxed"] = bool(row["boxes"])
    return seen


seen = look()


def first(c):
    (a, b), s = c["scores"], c["size"]
    return [a, b, max(a, b), min(a, b), np.log(s), max(0, s - 0.5)]


def again(c, p):
    return [np.log(p / (1 - p)), np.clip(c["near"], -BELIEVED, BELIEVED)]


def fit(ids):
    # What is seen in a picture whose faces have no boxes is not told apart; a closed helmet is neither.
    ids = [i for i in ids if rows[i]["note"] != "closed"]
    known = [c for i in ids for c in seen[i] if rows[i]["faces"] == "0" or c["boxed"]]
    one = LogisticRegression(C=3, max_iter=3000).fit([first(c) for c in known], [c["face"] for c in known])
    likely = one.predict_proba([first(c) for c in known])[:, 1]
    doubt = [(c, p) for c, p in zip(known, likely) if DOUBT[0] <= p < DOUBT[1]]
    return one, LogisticRegression(C=1, max_iter=3000).fit(
        [again(c, p) for c, p in doubt], [c["face"] for c, _ in doubt]
    )


def judge(models, i):
    """(how likely the surest is a face, how likely there is a comparable second)"""
    if not seen[i]:
        return 0, 0
    found = sorted(
        ((p, c) for p, c in zip(models[0].predict_proba([first(c) for c in seen[i]])[:, 1], seen[i])),
        key=lambda t: -t[0],
    )
    left = ASKED
    for k, (p, c) in enumerate(found):
        if DOUBT[0] <= p < DOUBT[1] and left:
            found[k] = models[1].predict_proba([again(c, p)])[0, 1], c
            left -= 1
    (best, chief), *others = sorted(found, key=lambda t: -t[0])
    if chief["turned"]:
        return best, best
    return best, max((p * min(1, c["size"] / chief["size"] / COMPARABLE) for p, c in others), default=0)


def interval(part, n, z=1.96):
    """Wilson's 95 % interval of a proportion."""
    p = part / n
    middle, spread = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)


def tell(title, models_of):
    count = collections.defaultdict(lambda: [0, 0, 0])
    for i, r in rows.items():
        best, second = judge(models_of[r["fold"]], i)
        v = 2 if best < NONE or second >= SEVERAL else 0 if best >= SURE and second < SECOND else 1
        one = r["faces"] == "1"
        for key in (folds.kind(r), "= one" if one else "= none or several"):
            count[key][v] += 1
        if os.environ.get("LIST") and v != (0 if one else 2):
            print("   ", i, r["note"], r["faces"], f"{best:.2f} {second:.2f}", WORDS[v])
    print(title)
    for key in sorted(count):
        n = sum(count[key])
        told = (
            f"{word} {part / n:6.1%} [{interval(part, n)[0]:.1%}–{interval(part, n)[1]:.1%}]"
            for word, part in zip(WORDS, count[key])
        )
        print(f"  {key:18} {n:4}  " + "  ".join(told))


WORDS = ("suitable", "review", "unsuitable")
crosswise = {fold: fit([i for i in rows if rows[i]["fold"] != fold]) for fold in range(FOLDS)}
tell("never seen by the network, calibrated crosswise", crosswise)
everything = fit(rows)
tell("never seen by the network, calibrated on all of it", dict.fromkeys(range(FOLDS), everything))
for name, model in zip(("WEIGHTS", "ASKED"), everything):
    print(name, [round(float(v), 3) for v in model.coef_[0]], "bias", round(float(model.intercept_[0]), 3))
