#!/usr/bin/env python3
"""train.py START.safetensors CORPUS EXTRA.json OUT.safetensors MINUTES: fine-tunes CenterFace on drawn faces (torch, CPU).

START is what models/make.sh makes of CenterFace, or an earlier OUT; CORPUS what corpus/build.py makes; EXTRA what extra.py
makes. Pictures of the training part are laid on random grounds, alone, in pairs, from far and near, flipped, turned a
little, recoloured, blurred; bodies without heads, animals and objects are negatives. Loss: CenterNet's focal loss on the
heat map, L1 on sizes and offsets at the centres. Batch norms are folded in the file already and stay so.
Environment: LR (8e-4), SEED (7), ALL (any value: no part is kept from training). Needs torch, numpy, opencv, pillow, safetensors.
"""
import warnings; warnings.simplefilter("ignore")
import csv, json, math, os, random, sys, time
import cv2, numpy as np, torch
from PIL import Image, ImageOps
from draw import block, chibi
from net import Net, part
cv2.setNumThreads(1)
SIDE, GRID = 160, 40
source, corpus, extra, target, minutes = *sys.argv[1:5], float(sys.argv[5])
here = os.path.dirname(os.path.abspath(__file__))

def rgba(path, most=640):
    im = ImageOps.exif_transpose(Image.open(path)).convert("RGBA"); k = most / max(im.size)
    return np.asarray(im.resize((max(1, round(im.width * k)), max(1, round(im.height * k))), Image.BOX) if k < 1 else im)

def load():
    boxes = json.load(open(f"{here}/boxes.json")); rows = list(csv.DictReader(open(f"{corpus}/labels.csv")))
    ones, zeros = [], []
    for r in rows:
        if part(r["id"]) > 2 and not os.environ.get("ALL"): continue
        if r["faces"] == "1" and boxes[r["id"]]:
            w = 3 if r["note"] in ("chibi", "nonhuman", "covered") else 1
            ones += [(rgba(f"{corpus}/{r['path']}"), boxes[r["id"]], r["note"])] * w
        elif r["faces"] == "0" and r["note"] != "crop": zeros += [rgba(f"{corpus}/{r['path']}")] * 2
    x = json.load(open(extra))
    ones += [(rgba(p, 320), b, "") for p, b in x["pos"].items()]; zeros += [rgba(p, 320) for p in x["neg"]]
    avatars = [(rgba(p, 320), b, "") for p, b in x.get("avatars", {}).items()]
    return ones, zeros, avatars

def recolour(a, R):
    h = cv2.cvtColor(a[..., :3], cv2.COLOR_RGB2HSV).astype(np.int16)
    if R.random() < .4: h[..., 0] = (h[..., 0] + R.randrange(180 if R.random() < .4 else 24)) % 180
    h[..., 1] = np.clip(h[..., 1] * R.uniform(.4, 1.4), 0, 255); h[..., 2] = np.clip(h[..., 2] * R.uniform(.6, 1.35) + R.uniform(-20, 20), 0, 255)
    out = a.copy(); out[..., :3] = cv2.cvtColor(h.astype(np.uint8), cv2.COLOR_HSV2RGB)
    if R.random() < .08: out[..., :3] = out[..., :3].mean(-1, keepdims=True)
    return out

def ground(zeros, R):
    g = np.empty((SIDE, SIDE, 3), np.uint8); u = R.random()
    if u < .45: g[:] = 128
    elif u < .75: g[:] = [R.randrange(256) for _ in range(3)]
    else:
        a, b = (np.array([R.randrange(256) for _ in range(3)]) for _ in range(2)); t = np.linspace(0, 1, SIDE)[:, None, None]
        g[:] = (a * t + b * (1 - t)).astype(np.uint8) if R.random() < .5 else (a * t + b * (1 - t)).astype(np.uint8).transpose(1, 0, 2)
    return g

def lay(g, a, M):
    w = cv2.warpAffine(a, M, (SIDE, SIDE), flags=cv2.INTER_AREA if abs(M[0, 0]) < 1 else cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    al = w[..., 3:].astype(np.float32) / 255; g[:] = (w[..., :3] * al + g * (1 - al)).astype(np.uint8)

def place(a, box, R, cx, cy, long, near=None):
    """The matrix that lays a picture so that its middle (or its face) is at cx, cy, and its longer side is `long`."""
    h, w = a.shape[:2]; k = long / max(h, w); ang = R.uniform(-12, 12) if R.random() < .4 else 0
    ox, oy = near if near else (w / 2, h / 2)
    M = cv2.getRotationMatrix2D((ox, oy), ang, k); M[:, 2] += [cx - ox, cy - oy]
    if R.random() < .5:  # flip
        f = np.array([[-1, 0, w], [0, 1, 0], [0, 0, 1.]]); M = M @ f
    return M
def moved(box, a, M):
    h, w = a.shape[:2]; p = np.array([[box[0] * w, box[1] * h], [box[2] * w, box[1] * h], [box[2] * w, box[3] * h], [box[0] * w, box[3] * h]])
    c = p.mean(0); q = M[:, :2] @ c + M[:, 2]; s = math.hypot(M[0, 0], M[0, 1])
    bw, bh = (box[2] - box[0]) * w * s, (box[3] - box[1]) * h * s
    return [q[0] - bw / 2, q[1] - bh / 2, q[0] + bw / 2, q[1] + bh / 2]

def shrink(a, M):
    """Coarse copies first: warpAffine does not average."""
    k = math.hypot(M[0, 0], M[0, 1])
    while k < .6 and min(a.shape[:2]) > 16:
        h, w = a.shape[:2]; b = cv2.resize(a, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
        M = M @ np.array([[w / (w // 2), 0, 0], [0, h / (h // 2), 0], [0, 0, 1.]]); a = b; k *= 2
    return a, M

def one(ones, avatars, R, drawn=.2):
    """A picture with one face and its box; some are drawn here, some are generated avatars."""
    u = R.random()
    if u < drawn: return *(block if R.random() < .12 else chibi)(R), "drawn"
    return R.choice(avatars if avatars and u < drawn + .1 else ones)

def sample(ones, zeros, avatars, R):
    g = ground(zeros, R); found = []; u = R.random()
    def put(a, M): b, N = shrink(a, M); lay(g, b, N)
    if u < .48:      # one picture
        a, box, _ = one(ones, avatars, R); a = recolour(a, R) if R.random() < .7 else a
        v = R.random(); h, w = a.shape[:2]; mid = ((box[0] + box[2]) / 2 * w, (box[1] + box[3]) / 2 * h); side = max((box[2] - box[0]) * w, (box[3] - box[1]) * h)
        if v < .55: M = place(a, box, R, 80 + R.uniform(-6, 6), 80 + R.uniform(-6, 6), R.uniform(145, 168))
        elif v < .85: M = place(a, box, R, 80 + R.uniform(-30, 30), 75 + R.uniform(-25, 25), R.uniform(16, 110) / side * max(h, w), mid)
        else: M = place(a, box, R, R.uniform(60, 100), R.uniform(60, 100), R.uniform(60, 130))
        put(a, M); found.append(moved(box, a, M))
    elif u < .66:    # two side by side
        drawn = 1 if R.random() < .25 else .1; gap = R.uniform(22, 44)  # alike, and touching
        for s in (0, 1):
            a, box, _ = one(ones, avatars, R, drawn); a = recolour(a, R) if R.random() < .5 else a; h, w = a.shape[:2]
            long = min(R.uniform(85, 170), R.uniform(70, 100) * max(h, w) / w)
            M = place(a, box, R, 80 - gap + 2 * gap * s, R.uniform(65, 105), long)
            put(a, M); found.append(moved(box, a, M))
        (l, t, r, b), (x, y, v, w) = found; shared = max(0, min(r, v) - max(l, x)) * max(0, min(b, w) - max(t, y))
        if shared > .15 * min((r - l) * (b - t), (v - x) * (w - y)): found = None  # one covers the other
    elif u < .73:    # a body without its head
        a, box, _ = R.choice(ones); h = a.shape[0]; y = int(min(.9, box[3] + R.uniform(.05, .15)) * h); a = a[y:]
        if a.shape[0] > 24: put(recolour(a, R), place(a, box, R, 80, 80, R.uniform(120, 170)))
    else:            # none
        a = R.choice(zeros); put(recolour(a, R) if R.random() < .5 else a, place(a, None, R, 80, 80, R.uniform(110, 190)))
    if found is None: return sample(ones, zeros, avatars, R)
    if R.random() < .15: g = cv2.resize(cv2.resize(g, (R.randrange(70, 150),) * 2, interpolation=cv2.INTER_AREA), (SIDE, SIDE), interpolation=R.choice([cv2.INTER_LINEAR, cv2.INTER_NEAREST]))
    if R.random() < .15: g = np.clip(g + np.random.normal(0, R.uniform(2, 10), g.shape), 0, 255).astype(np.uint8)
    heat = np.zeros((GRID, GRID), np.float32); aim = np.zeros((4, GRID, GRID), np.float32); mask = np.zeros((GRID, GRID), np.float32)
    yy, xx = np.mgrid[:GRID, :GRID]
    for l, t, r, b in found:
        cx, cy, w, h = (l + r) / 8, (t + b) / 8, max(r - l, 4) / 4, max(b - t, 4) / 4  # in cells
        x, y = int(cx), int(cy)
        if not (0 <= x < GRID and 0 <= y < GRID) or max(w, h) * 4 < 5: continue
        s = max(.7, .12 * (w + h) / 2); heat = np.maximum(heat, np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * s * s))); heat[y, x] = 1
        mask[y, x] = 1; aim[:, y, x] = [math.log(h), math.log(w), cy - y - .5, cx - x - .5]
    return g.transpose(2, 0, 1).astype(np.float32), heat, aim, mask

class Data(torch.utils.data.IterableDataset):
    def __init__(self, d): self.d = d
    def __iter__(self):
        i = torch.utils.data.get_worker_info(); seed = int(os.environ.get("SEED", 7)); R = random.Random(seed); np.random.seed(seed)
        while True: yield sample(*self.d, R)

if __name__ == "__main__":
    torch.manual_seed(7); torch.set_num_threads(1); data = load(); print(len(data[0]), "ones", len(data[1]), "zeros", flush=True)
    net = Net(source); batch = 24
    feed = iter(torch.utils.data.DataLoader(Data(data), batch, num_workers=1, prefetch_factor=6))
    base = float(os.environ.get("LR", "8e-4")); opt = torch.optim.AdamW(net.parameters(), base, weight_decay=1e-4)
    start, n, mean = time.time(), 0, None
    shadow = {k: v.detach().clone() for k, v in net.named_parameters()}
    while (u := (time.time() - start) / 60 / minutes) < 1:
        for gr in opt.param_groups: gr["lr"] = base * min(1, n / 40 + .05) * (.02 + .98 * .5 * (1 + math.cos(math.pi * u)))
        x, heat, aim, mask = next(feed); hm, sz, off = net(x); p = torch.sigmoid(hm[:, 0]).clamp(1e-4, 1 - 1e-4)
        pos = (heat == 1).float(); loss = -(pos * (1 - p) ** 2 * p.log() + (1 - pos) * (1 - heat) ** 4 * p ** 2 * (1 - p).log()).sum() / max(1, pos.sum())
        loss = loss + .3 * ((torch.cat([sz, off], 1) - aim).abs().sum(1) * mask).sum() / max(1, mask.sum())
        opt.zero_grad(); loss.backward(); torch.nn.utils.clip_grad_norm_(net.parameters(), 5.); opt.step(); n += 1
        with torch.no_grad():
            d = min(.995, n / (n + 10))
            for k, v in net.named_parameters(): shadow[k].mul_(d).add_(v, alpha=1 - d)
        mean = loss.item() if mean is None else .98 * mean + .02 * loss.item()
        if n % 50 == 0: print(n, f"{mean:.3f} {time.time() - start:.0f}s", flush=True)
    with torch.no_grad():
        for k, v in net.named_parameters(): v.copy_(shadow[k])
    net.save(target)
