#!/usr/bin/env python3
"""calibrate.py BLAZEFACE.onnx CENTERFACE.onnx ART.safetensors CORPUS [none,sure,second,several]

Fits how likely a proposed box is a face (src/inspect/faces/belief.rs) on the two fifths of the corpus that the art network
was not trained on. Tells verdicts crosswise: each fifth is judged with the weights fitted on the other. Then prints the
weights fitted on both. Needs torch, numpy, opencv, pillow, safetensors, onnxruntime, scikit-learn.
"""
import collections, csv, json, os, sys
import numpy as np, torch
from sklearn.linear_model import LogisticRegression
from e3p import Detector, letterbox, load, merge, peaks, same
from net import Net, part
blaze, center, art, corpus = sys.argv[1:5]
NONE, SURE, SECOND, SEVERAL = map(float, (sys.argv[5] if len(sys.argv) > 5 else ".15,.75,.25,.65").split(","))
COMPARABLE = .45  # a second face of this part of the first one's size counts fully
boxes = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "boxes.json")))
detector, net = Detector(blaze, center), Net(art).eval()

def candidates(picture):
    """[(box, evidence, size)]"""
    x, k, ox, oy = letterbox(picture, 160)
    with torch.no_grad(): heat, sizes, offsets = (t[0].numpy() for t in net(torch.tensor(x)))
    out = []
    for box, by in merge((detector.blaze(picture), peaks(1 / (1 + np.exp(-heat[0])), sizes, offsets, .05, k, ox, oy))):
        size = max(box[2] - box[0], box[3] - box[1]) / max(picture.shape[:2]); a, b = by.get(0, 0.), by.get(1, 0.)
        if size >= .03: out.append((box, [a, b, max(a, b), min(a, b), np.log(size), max(0, size - .5)], size))
    return out
rows = {r["id"]: r for r in csv.DictReader(open(f"{corpus}/labels.csv"))}
seen, truth = {}, {}
for i, r in rows.items():
    picture = load(f"{corpus}/{r['path']}"); h, w = picture.shape[:2]; seen[i] = candidates(picture); b = boxes.get(i)
    truth[i] = b and [b[0] * w, b[1] * h, b[2] * w, b[3] * h]

def fit(ids):
    x, y = [], []
    for i in ids:
        if rows[i]["faces"] == "2" or (rows[i]["faces"] == "1" and not truth[i]): continue
        for box, evidence, _ in seen[i]: x.append(evidence); y.append(bool(truth[i] and same(box, truth[i])))
    return LogisticRegression(C=3, max_iter=3000).fit(x, y)
def verdict(model, i):
    if not seen[i]: return 2
    p = model.predict_proba([e for _, e, _ in seen[i]])[:, 1]; order = np.argsort(-p); first = seen[i][order[0]][2]
    best, second = p[order[0]], max([p[k] * min(1, seen[i][k][2] / first / COMPARABLE) for k in order[1:]], default=0)
    return 2 if best < NONE or second >= SEVERAL else 0 if best >= SURE and second < SECOND else 1
def tell(title, model_of):
    count = collections.defaultdict(lambda: [0, 0, 0])
    for i, r in rows.items():
        if (m := model_of(part(i))) is None: continue
        v = verdict(m, i); one = r["faces"] == "1"
        for key in ((r["note"] or "plain") if one else {"0": "no face", "2": "several"}[r["faces"]], "= one" if one else "= none or several"): count[key][v] += 1
    print(title)
    for key in sorted(count): n = sum(count[key]); print(f"  {key:18} {n:4}  suitable {count[key][0] / n:6.1%}  review {count[key][1] / n:6.1%}  unsuitable {count[key][2] / n:6.1%}")

three, four = (fit([i for i in rows if part(i) == k]) for k in (3, 4)); both = fit([i for i in rows if part(i) > 2])
tell("never seen by the network, calibrated crosswise", lambda k: {3: four, 4: three}.get(k))
tell("trained on", lambda k: both if k < 3 else None)
print("weights", [round(float(v), 3) for v in both.coef_[0]], "bias", round(float(both.intercept_[0]), 3))
