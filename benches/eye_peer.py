#!/usr/bin/env python3
"""eye_peer.py BLAZEFACE.onnx CENTERFACE.onnx: ms of one core for the reference's three passes on onnxruntime.

The ONNX files are what models/make.sh makes on its way. Needs numpy and onnxruntime."""

import sys
import time
import numpy as np
import onnxruntime as ort

options = ort.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 4
blaze, center = (ort.InferenceSession(path, options) for path in sys.argv[1:3])
a, b = (
    np.random.rand(1, 3, 192, 192).astype(np.float32) * 2 - 1,
    np.random.rand(1, 3, 160, 160).astype(np.float32) * 255,
)


def run(session, x):
    session.run(None, {session.get_inputs()[0].name: x})


def cost(work, rounds=200):
    for _ in range(10):
        work()
    times = []
    for _ in range(rounds):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return 1000 * np.median(times)


one, two = cost(lambda: run(blaze, a)), cost(lambda: run(center, b))
print(
    f"BlazeFace 192: {one:.1f} ms, CenterFace 160: {two:.1f} ms, E3p (2 + 1 passes): {2 * one + two:.1f} ms"
)
