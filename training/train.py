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

import os
import random
import sys
import warnings

import cv2
import torch

from folds import rows
from loop import fit
from net import Net
from pictures import Sources, sample

warnings.simplefilter("ignore")
cv2.setNumThreads(1)


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


def loss_on(net, batch):
    x, heat, aim, mask = batch
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bool(os.environ.get("BF16"))):
        outputs = net(x.to(memory_format=torch.channels_last))
    return loss_of(outputs, heat, aim, mask)


def main():
    start_file, corpus, target, minutes, *extra = sys.argv[1:]
    torch.manual_seed(7)
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
    fit(
        net, Pictures(sources), loss_on, target, minutes,
        batch=32, rate=8e-4, warm=(40, 0.05), decay=1e-4, clip=5.0, keep=0.995,
    )


if __name__ == "__main__":
    main()
