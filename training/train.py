#!/usr/bin/env python3
"""train.py START.safetensors CORPUS OUT.safetensors MINUTES [EXTRA.json | FOLDER]...: trains CenterFace on drawn faces.

START is what models/make.sh makes of CenterFace, or an earlier OUT; CORPUS what corpus/build.py makes; EXTRA what extra.py,
more.py and gather.py make; FOLDER what corpus/build2.py and build2_b.py make. Loss: CenterNet's focal loss on the heat map, L1 on
sizes and offsets at the centres. Batch norms are folded in the file already and stay so. Runs on the CPU. Needs torch,
numpy, opencv, pillow, safetensors.
Environment: LR (8e-4), SEED (7), ALL (any value: no part of the corpus is kept from training), HALF (0 or 1: the packages
of the second corpus that are trained on; both without it), THREADS (1), BF16 (any value: in bfloat16, where the processor
has it). OUT is written every ten minutes: a run that was cut goes on from there.
"""

import math
import os
import random
import sys
import time
import warnings

import cv2
import numpy as np
import torch

from folds import rows
from net import Net
from pictures import Sources, sample

warnings.simplefilter("ignore")
cv2.setNumThreads(1)
BATCH = 32


class Pictures(torch.utils.data.IterableDataset):
    def __init__(self, sources):
        self.sources = sources

    def __iter__(self):
        generator = random.Random(int(os.environ.get("SEED", 7)))
        while True:
            yield sample(self.sources, generator)


def loss_of(outputs, heat, aim, mask):
    heats, sizes, offsets = (o.float() for o in outputs)
    p = torch.sigmoid(heats[:, 0]).clamp(1e-4, 1 - 1e-4)
    centre = (heat == 1).float()
    found = centre * (1 - p) ** 2 * p.log()
    elsewhere = (1 - centre) * (1 - heat) ** 4 * p**2 * (1 - p).log()
    focal = -(found + elsewhere).sum() / max(1, centre.sum())
    distance = ((torch.cat([sizes, offsets], 1) - aim).abs().sum(1) * mask).sum() / max(1, mask.sum())
    return focal + 0.3 * distance


def main():
    start_file, corpus, target, minutes, *extra = sys.argv[1:]
    torch.manual_seed(7)
    torch.set_num_threads(int(os.environ.get("THREADS", 1)))
    half = os.environ.get("HALF")
    second = rows([path for path in extra if os.path.isdir(path)])
    second = [row for row in second if half in (None, str(row["half"]))]
    extra = [path for path in extra if not os.path.isdir(path)]
    sources = Sources(corpus, extra, second, everything=bool(os.environ.get("ALL")))
    print(
        len(sources.faces),
        "faces",
        len(sources.others),
        "others",
        len(sources.avatars),
        "avatars",
        flush=True,
    )
    net = Net(start_file)
    feed = iter(torch.utils.data.DataLoader(Pictures(sources), BATCH, num_workers=1, prefetch_factor=6))
    rate = float(os.environ.get("LR", "8e-4"))
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], rate, weight_decay=1e-4)
    shadow = {name: p.detach().clone() for name, p in net.named_parameters()}
    trained, step, mean, waited = 0.0, 0, None, 0.0
    saved = began = time.time()
    while (done := trained / 60 / float(minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = (
                rate * min(1, step / 40 + 0.05) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
            )
        before = time.time()
        x, heat, aim, mask = next(feed)
        waited += time.time() - before
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bool(os.environ.get("BF16"))):
            outputs = net(x.to(memory_format=torch.channels_last))
        loss = loss_of(outputs, heat, aim, mask)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        step += 1
        with torch.no_grad():
            keep = min(0.995, step / (step + 10))
            for name, p in net.named_parameters():
                shadow[name].mul_(keep).add_(p, alpha=1 - keep)
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        # A step takes about a second: what is beyond was a pause (Ctrl-Z, a suspended machine), and is not counted.
        began, before = time.time(), began
        trained += min(began - before, 5)
        if began - saved > 600:
            saved = began
            net.save(target, shadow)
        if step % 50 == 0:
            print(step, f"{mean:.3f} {trained:.0f}s, waited {waited:.0f}s", flush=True)
    net.save(target, shadow)


if __name__ == "__main__":
    main()
