#!/usr/bin/env python3
"""convert.py IN.onnx OUT.safetensors: a face network for castline's own small runner (crates/inspect/src/faces/network.rs).

Activations are NHWC there. Padding, activations and batch norms are folded into their convolutions; a 2x2 transposed
convolution of stride 2 becomes a 1x1 convolution and a depth-to-space. Weights are fp16:
  dense      [kh*kw*cin, cout]   rows in the order of the patch (dy, dx, channel)
  depthwise  [kh*kw, c]
The graph is JSON in the file's metadata: {"input":[h,w,c], "steps":[{op, in, out, …}], "outputs":{name: tensor}}.
Needs numpy, onnx, safetensors.
"""

import json
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file

source, target = sys.argv[1:3]
graph = onnx.load(source).graph
const = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
attr = lambda node: {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
used = {}
for node in graph.node:
    for name in node.input:
        used.setdefault(name, []).append(node)

tensors, steps, alias, padding = {}, [], {}, {}
real = lambda name: alias.get(name, name)


def emit(op, inputs, out, **more):
    steps.append({"op": op, "in": inputs, "out": out, **more})


def weights(step, w, b):
    key = f"{len(tensors) // 2:03}"
    tensors[f"{key}.w"] = np.ascontiguousarray(w, np.float32).astype(np.float16)
    tensors[f"{key}.b"] = np.ascontiguousarray(b, np.float32).astype(np.float16)
    step["weights"] = key


for node in graph.node:
    a, out, ins = attr(node), node.output[0], list(node.input)
    if node.op_type == "Pad":
        p = const[ins[1]]
        assert (p[0], p[1], p[4], p[5]) == (0, 0, 0, 0), "only the borders are padded"
        padding[out] = (real(ins[0]), (int(p[2]), int(p[3]), int(p[6]), int(p[7])))
    elif node.op_type == "Conv":
        w = const[ins[1]]
        b = const[ins[2]] if len(ins) > 2 else np.zeros(w.shape[0], np.float32)
        x, pad = padding.get(ins[0], (real(ins[0]), (0, 0, 0, 0)))
        own = a.get("pads", [0, 0, 0, 0])
        pad = [p + int(q) for p, q in zip(pad, (own[0], own[1], own[2], own[3]))]
        group = a.get("group", 1)
        if group > 1:
            assert w.shape[1] == 1 and group == w.shape[0]
            m, op = w[:, 0].transpose(1, 2, 0).reshape(-1, w.shape[0]), "depthwise"
        else:
            m, op = w.transpose(2, 3, 1, 0).reshape(-1, w.shape[0]), "conv"
        emit(
            op, [x], out, kernel=int(w.shape[2]), stride=int(a.get("strides", [1, 1])[0]), pad=pad, relu=False
        )
        weights(steps[-1], m, b)
    elif node.op_type == "ConvTranspose":
        w = const[ins[1]]  # cin, cout, 2, 2
        assert (
            w.shape[2:] == (2, 2)
            and list(a["strides"]) == [2, 2]
            and not any(a.get("pads", [0]))
            and a.get("group", 1) == 1
        )
        cout = w.shape[1]
        b = const[ins[2]] if len(ins) > 2 else np.zeros(cout, np.float32)
        emit("conv", [real(ins[0])], out + ".flat", kernel=1, stride=1, pad=[0, 0, 0, 0], relu=False)
        weights(steps[-1], w.transpose(0, 2, 3, 1).reshape(w.shape[0], 4 * cout), np.tile(b, 4))
        emit("depth_to_space", [out + ".flat"], out)
    elif node.op_type == "BatchNormalization":
        gamma, beta, mean, var = (const[i] for i in ins[1:5])
        k = gamma / np.sqrt(var + a.get("epsilon", 1e-5))
        step = next(s for s in reversed(steps) if "weights" in s)
        assert steps[-1]["op"] == "depth_to_space" and steps[-1]["out"] == ins[0]
        w, b = (tensors[f"{step['weights']}.{p}"].astype(np.float32) for p in "wb")
        tensors[f"{step['weights']}.w"] = (w * np.tile(k, 4)).astype(np.float16)
        tensors[f"{step['weights']}.b"] = (b * np.tile(k, 4) + np.tile(beta - mean * k, 4)).astype(np.float16)
        alias[out] = ins[0]
    elif node.op_type == "Relu":
        x = real(ins[0])
        if (
            steps[-1]["out"] == x
            and len(used[ins[0]]) == 1
            and steps[-1]["op"] in ("conv", "depthwise", "add")
        ):
            steps[-1]["relu"], alias[out] = True, x
        else:
            emit("relu", [x], out)
    elif node.op_type == "Add":
        emit("add", [real(ins[0]), real(ins[1])], out, relu=False)
    elif node.op_type == "DepthToSpace":
        assert a["blocksize"] == 2 and a["mode"] == b"DCR"
        emit("depth_to_space", [real(ins[0])], out)
    elif node.op_type == "Sigmoid":
        emit("sigmoid", [real(ins[0])], out)
    elif node.op_type in ("Transpose", "Reshape", "Identity"):
        alias[out] = real(ins[0])  # NCHW → NHWC → flat: what NHWC is already
    else:
        sys.exit(f"{node.op_type} is not known to the runner")

# Tensors become numbers: the slot of the step that made them; -1 is the picture.
number = {graph.input[0].name: -1, **{s["out"]: i for i, s in enumerate(steps)}}
for s in steps:
    s["in"] = [number[real(i)] for i in s["in"]]
    del s["out"]
shape = [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
outputs = {o.name: number[real(o.name)] for o in graph.output}
meta = {"input": [shape[2], shape[3], shape[1]], "steps": steps, "outputs": outputs}
save_file(tensors, target, metadata={"graph": json.dumps(meta, separators=(",", ":"))})
print(target, len(steps), "steps", sum(t.nbytes for t in tensors.values()), "bytes of weights")
