"""CenterFace as torch modules, and the split of the corpus."""

import hashlib
import json

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.numpy import save_file

# Steps before this one keep the photo-trained weights: edges are edges, and half of the time is theirs.
FROZEN = 13


class Net(torch.nn.Module):
    """The graph that models/convert.py writes, as torch modules: the same steps, the same names."""

    def __init__(self, path):
        super().__init__()
        file = safe_open(path, "np")
        self.graph = json.loads(file.metadata()["graph"])
        self.weights = torch.nn.ParameterDict()
        channels = {-1: 3}
        for i, step in enumerate(self.graph["steps"]):
            inside = outside = channels[step["in"][0]]
            if "weights" in step:
                key, side = step["weights"], step["kernel"]
                weight, bias = (
                    torch.tensor(file.get_tensor(f"{key}.{part}").astype(np.float32)) for part in "wb"
                )
                outside = bias.shape[0]
                if step["op"] == "depthwise":
                    weight = weight.reshape(side, side, outside).permute(2, 0, 1)[:, None]
                else:
                    weight = weight.reshape(side, side, inside, outside).permute(3, 2, 0, 1)
                for name, value in ((f"{key}w", weight.contiguous()), (f"{key}b", bias)):
                    self.weights[name] = torch.nn.Parameter(value, requires_grad=i >= FROZEN)
            if step["op"] == "depth_to_space":
                outside //= 4
            channels[i] = outside

    def forward(self, x):
        """[n, 3, side, side] of 0–255 → heat as logits, sizes (log h, log w), offsets (dy, dx), a quarter as wide."""
        values = {-1: x}
        for i, step in enumerate(self.graph["steps"]):
            value, op = values[step["in"][0]], step["op"]
            if op in ("conv", "depthwise"):
                top, left, bottom, right = step["pad"]
                value = F.pad(value, (left, right, top, bottom)) if any(step["pad"]) else value
                weight, bias = self.weights[step["weights"] + "w"], self.weights[step["weights"] + "b"]
                groups = value.shape[1] if op == "depthwise" else 1
                value = F.conv2d(value, weight, bias, step["stride"], groups=groups)
            elif op == "add":
                value = value + values[step["in"][1]]
            elif op == "depth_to_space":
                n, c, h, w = value.shape
                value = (
                    value.reshape(n, 2, 2, c // 4, h, w)
                    .permute(0, 3, 4, 1, 5, 2)
                    .reshape(n, c // 4, h * 2, w * 2)
                )
            # "sigmoid" passes on: the loss wants logits.
            values[i] = F.relu(value) if op == "relu" or step.get("relu") else value
        return [values[self.graph["outputs"][name]] for name in ("537", "538", "539")]

    def save(self, path, weights):
        """Writes what castline embeds: fp16 weights, with the graph in the file's metadata."""
        out = {}
        for step in self.graph["steps"]:
            if "weights" in step:
                key = step["weights"]
                weight, bias = (weights[f"weights.{key}{part}"].detach() for part in "wb")
                order = (
                    weight[:, 0].permute(1, 2, 0) if step["op"] == "depthwise" else weight.permute(2, 3, 1, 0)
                )
                out[f"{key}.w"] = np.ascontiguousarray(
                    order.reshape(-1, weight.shape[0]).numpy().astype(np.float16)
                )
                out[f"{key}.b"] = bias.numpy().astype(np.float16)
        save_file(out, path, metadata={"graph": json.dumps(self.graph, separators=(",", ":"))})


def part(picture):
    """0–2: trained on. 3 and 4: never seen by the network; calibrated and told crosswise."""
    return int(hashlib.sha256(picture.encode()).hexdigest(), 16) % 5
