#!/usr/bin/env python3
"""calibrate.py BLAZEFACE.onnx CENTERFACE.onnx ART.safetensors CORPUS [none,sure,second,several [SEEN.json]]

Fits how likely a proposed box is a face (crates/inspect/src/faces/belief.rs), at first sight and after a closer look, on the two
fifths of the corpus that the art network was not trained on. Tells verdicts crosswise: each fifth is judged with the
weights fitted on the other. Then prints the weights fitted on both. SEEN.json keeps what the networks saw, for another
try at the thresholds. Needs torch, numpy, opencv, pillow, safetensors, onnxruntime, scikit-learn.
"""

import collections
import csv
import json
import os
import sys
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from e3p import Detector, letterbox, load, merge, peaks, same
from net import Net, part

blaze, center, art, corpus = sys.argv[1:5]
NONE, SURE, SECOND, SEVERAL = map(float, (sys.argv[5] if len(sys.argv) > 5 else ".15,.85,.25,.65").split(","))
kept = sys.argv[6] if len(sys.argv) > 6 else None
# As in crates/inspect/src/faces/mod.rs: a second face of this part of the first one's size counts fully; who is in doubt is looked at again.
COMPARABLE, DOUBT, CLOSE, LOOKED_AT_AGAIN = 0.45, (0.05, 0.95), 2.4, 3
rows = {r["id"]: r for r in csv.DictReader(open(f"{corpus}/labels.csv")) if part(r["id"]) > 2}


def look():
    """{id: [{"a", "b": scores of both, "size", "near": scores from near, "face": whether it is the labelled one}]}"""
    boxes = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "boxes.json")))
    detector, net = Detector(blaze, center), Net(art).eval()

    def passes(picture):
        x, k, ox, oy = letterbox(picture, 160)
        with torch.no_grad():
            heat, sizes, offsets = (t[0].numpy() for t in net(torch.tensor(x)))
        return detector.blaze(picture), peaks(1 / (1 + np.exp(-heat[0])), sizes, offsets, 0.05, k, ox, oy)

    def near(picture, box):
        (l, t, r, b), (h, w) = box, picture.shape[:2]
        side = int(max(16, max(r - l, b - t) * CLOSE))
        x, y = int((l + r - side) / 2), int((t + b - side) / 2)
        crop = np.full((side, side, 3), 128, picture.dtype)
        l2, t2, r2, b2 = max(0, x), max(0, y), min(w, x + side), min(h, y + side)
        crop[t2 - y : b2 - y, l2 - x : r2 - x] = picture[t2:b2, l2:r2]
        return [
            max((float(f[4]) for f in found if same(f[:4], [l - x, t - y, r - x, b - y])), default=0.0)
            for found in passes(crop)
        ]

    seen = {}
    for i, r in rows.items():
        picture = load(f"{corpus}/{r['path']}")
        h, w = picture.shape[:2]
        q = boxes.get(i)
        seen[i] = []
        for box, by in merge(passes(picture)):
            box = [float(v) for v in box[:4]]
            size = max(box[2] - box[0], box[3] - box[1]) / max(h, w)
            if size >= 0.03:
                seen[i].append(
                    {
                        "a": float(by.get(0, 0)),
                        "b": float(by.get(1, 0)),
                        "size": size,
                        "near": near(picture, box),
                        "face": bool(q and same(box, [q[0] * w, q[1] * h, q[2] * w, q[3] * h])),
                        "boxed": bool(q),
                    }
                )
    return seen


if kept and os.path.exists(kept):
    seen = json.load(open(kept))
else:
    seen = look()
    if kept:
        json.dump(seen, open(kept, "w"))


def first(c):
    a, b, s = c["a"], c["b"], c["size"]
    return [a, b, max(a, b), min(a, b), np.log(s), max(0, s - 0.5)]


def again(c, p):
    return [np.log(p / (1 - p)), *c["near"]]


def fit(ids):
    # Pictures with several faces have no boxes: what is seen in them is not told apart.
    known = [
        c for i in ids for c in seen[i] if rows[i]["faces"] == "0" or (rows[i]["faces"] == "1" and c["boxed"])
    ]
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
    left = LOOKED_AT_AGAIN
    for k, (p, c) in enumerate(found):
        if DOUBT[0] <= p < DOUBT[1] and left:
            found[k] = models[1].predict_proba([again(c, p)])[0, 1], c
            left -= 1
    (best, chief), *others = sorted(found, key=lambda t: -t[0])
    return best, max((p * min(1, c["size"] / chief["size"] / COMPARABLE) for p, c in others), default=0)


def tell(title, models_of):
    count = collections.defaultdict(lambda: [0, 0, 0])
    for i, r in rows.items():
        best, second = judge(models_of[part(i)], i)
        v = 2 if best < NONE or second >= SEVERAL else 0 if best >= SURE and second < SECOND else 1
        one = r["faces"] == "1"
        for key in (
            (r["note"] or "plain") if one else {"0": "no face", "2": "several"}[r["faces"]],
            "= one" if one else "= none or several",
        ):
            count[key][v] += 1
        if os.environ.get("LIST") and v != (0 if one else 2):
            print(
                "   ",
                i,
                r["note"],
                r["faces"],
                f"{best:.2f} {second:.2f}",
                ("suitable", "review", "unsuitable")[v],
            )
    print(title)
    for key in sorted(count):
        n = sum(count[key])
        print(
            f"  {key:18} {n:4}  suitable {count[key][0] / n:6.1%}  review {count[key][1] / n:6.1%}  unsuitable {count[key][2] / n:6.1%}"
        )


three, four = (fit([i for i in rows if part(i) == k]) for k in (3, 4))
both = fit(rows)
tell("never seen by the network, calibrated crosswise", {3: four, 4: three})
tell("never seen by the network, calibrated on all of it", {3: both, 4: both})
for name, model in zip(("WEIGHTS", "CLOSER"), both):
    print(name, [round(float(v), 3) for v in model.coef_[0]], "bias", round(float(model.intercept_[0]), 3))
