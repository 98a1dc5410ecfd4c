"""The loop that trains a network, for train.py and verify.py."""

import math
import os
import time

import torch


def fit(net, pictures, loss_of, target, minutes, *, batch, rate, warm, decay, clip, keep):
    """Trains for `minutes` on batches of `pictures`, and writes the running mean of the weights to `target`.

    `loss_of(net, batch)` is the loss; `warm` how many steps the rate takes to rise, and from which part of it; `decay` the
    weight decay; `clip` the longest gradient; `keep` the part of the mean that a step keeps. THREADS and LR, the rate, are
    taken from the environment. It is written every ten minutes: a run that was cut goes on from there."""
    torch.set_num_threads(int(os.environ.get("THREADS", 1)))
    rate = float(os.environ.get("LR", rate))
    feed = iter(torch.utils.data.DataLoader(pictures, batch, num_workers=1, prefetch_factor=6))
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], rate, weight_decay=decay)
    shadow = {name: p.detach().clone() for name, p in net.named_parameters()}
    trained, step, mean, waited = 0.0, 0, None, 0.0
    saved = began = time.time()
    while (done := trained / 60 / float(minutes)) < 1:
        for group in optimizer.param_groups:
            rising = min(1, step / warm[0] + warm[1])
            group["lr"] = rate * rising * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        before = time.time()
        shown = next(feed)
        waited += time.time() - before
        loss = loss_of(net, shown)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
        step += 1
        with torch.no_grad():
            kept = min(keep, step / (step + 10))
            for name, p in net.named_parameters():
                shadow[name].mul_(kept).add_(p, alpha=1 - kept)
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
