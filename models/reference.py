#!/usr/bin/env python3
"""reference.py PICTURE…: what PyTorch makes of the shipped networks, as JSON, for the parity test of the runner
(crates/inspect/src/faces/parity.rs). `reference.py samples/cast/kestrel_oduya.png … > models/reference.json`, in the repository.

The face network looks at the picture letterboxed by area means, on 160² and on 96²; boxes come after NMS, the surest first, as
[left, top, right, bottom, score] in pixels of the picture. The verifier takes the whole of it for a close-up, on 128². Needs numpy, Pillow, safetensors and torch.
"""

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import safe_open

torch.set_num_threads(1)


class Network:
    """The graph in a network's file, on PyTorch's own operators."""

    def __init__(self, path):
        with safe_open(path, "pt") as file:
            self.graph = json.loads(file.metadata()["graph"])
            self.weights = {name: file.get_tensor(name).float() for name in file.keys()}

    def run(self, picture):
        """`[side, side, 3]` in; outputs by name, each `[channels, height, width]`."""
        first, made = torch.from_numpy(picture.transpose(2, 0, 1).copy())[None], []
        at = lambda slot: first if slot == -1 else made[slot]
        for step in self.graph["steps"]:
            x, op = at(step["in"][0]), step["op"]
            if op in ("conv", "depthwise"):
                w, b = (self.weights[f"{step['weights']}.{part}"] for part in "wb")
                k, (top, left, bottom, right) = step["kernel"], step["pad"]
                groups = x.shape[1] if op == "depthwise" else 1
                w = w.reshape(k, k, x.shape[1] // groups, -1).permute(3, 2, 0, 1)
                x = F.conv2d(F.pad(x, (left, right, top, bottom)), w, b, stride=step["stride"], groups=groups)
            elif op == "add":
                x = x + at(step["in"][1])
            elif op == "relu":
                x = F.relu(x)
            elif op == "sigmoid":
                x = torch.sigmoid(x)
            elif op == "depth_to_space":
                n, c, h, w = x.shape
                x = (
                    x.reshape(n, 2, 2, c // 4, h, w)
                    .permute(0, 3, 4, 1, 5, 2)
                    .reshape(n, c // 4, 2 * h, 2 * w)
                )
            elif op == "mean":
                x = x.mean((2, 3), keepdim=True)
            x = F.relu6(x) if step.get("relu6") else x
            made.append(F.relu(x) if step.get("relu") else x)
        return {name: made[slot][0].numpy() for name, slot in self.graph["outputs"].items()}


def load(path):
    picture = Image.open(path).convert("RGBA")
    ground = Image.new("RGBA", picture.size, (128, 128, 128, 255))
    ground.alpha_composite(picture)
    return ground.convert("RGB")


def letterbox(picture, side):
    scale = side / max(picture.size)
    width, height = (max(1, int(v * scale + 0.5)) for v in picture.size)
    out = np.full((side, side, 3), 128, np.uint8)
    x, y = (side - width) // 2, (side - height) // 2
    out[y : y + height, x : x + width] = np.asarray(picture.resize((width, height), Image.BOX))
    return out.astype(np.float32), scale, x, y


def nms(boxes):
    def over_union(a, b):
        w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        shared, area = max(0, w) * max(0, h), lambda r: (r[2] - r[0]) * (r[3] - r[1])
        return shared / (area(a) + area(b) - shared)

    kept = []
    for box in sorted(boxes, key=lambda b: -b[4]):
        if all(over_union(box, k) <= 0.3 for k in kept):
            kept.append(box)
    return kept


def placed(cx, cy, w, h, score, scale, left, top):
    x, y = cx - left, cy - top
    edges = ((x - w / 2) / scale, (y - h / 2) / scale, (x + w / 2) / scale, (y + h / 2) / scale)
    return [*map(float, edges), float(score)]


def seen(network, picture, side):
    canvas, *back = letterbox(picture, side)
    out = network.run(canvas)
    heat, sizes, offsets = out["537"][0], np.exp(out["538"]) * 4, out["539"]
    boxes = []
    for y, x in zip(*np.where(heat > 0.05)):
        cy, cx = (y + offsets[0, y, x] + 0.5) * 4, (x + offsets[1, y, x] + 0.5) * 4
        boxes.append(placed(cx, cy, sizes[1, y, x], sizes[0, y, x], heat[y, x], *back))
    return nms(boxes)


if __name__ == "__main__":
    network, verifier = (Network(f"models/{name}.safetensors") for name in ("artface_160", "verifier_128"))
    rounded = lambda boxes: [[round(v, 2) for v in b[:4]] + [round(b[4], 4)] for b in boxes]
    told = []
    for path in sys.argv[1:]:
        picture = load(path)
        middle = verifier.run((letterbox(picture, 128)[0] - 127) / 128)["face"].item()
        told.append(
            {
                "picture": path,
                "fine": rounded(seen(network, picture, 160)),
                "coarse": rounded(seen(network, picture, 96)),
                "middle": round(middle, 3),
            }
        )
    print(json.dumps(told, indent=1))
