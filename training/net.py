"""CenterFace as torch modules, and the split of the corpus."""
import hashlib, json
import numpy as np, torch, torch.nn.functional as F
from safetensors import safe_open
from safetensors.numpy import save_file

FROZEN = 13  # steps before this one keep the photo-trained weights: edges are edges, and half of the time is theirs

class Depthwise(torch.autograd.Function):
    """A depthwise convolution whose way back is taps of products: torch's own takes ten times as long on CPUs."""
    @staticmethod
    def forward(ctx, x, w, b, stride):
        ctx.save_for_backward(x, w); ctx.stride = stride; return F.conv2d(x, w, b, stride, groups=x.shape[1])
    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors; s = ctx.stride; gx = torch.zeros_like(x); gw = torch.zeros_like(w); h, v = g.shape[2:]
        for i in range(w.shape[2]):
            for j in range(w.shape[3]):
                at = (..., slice(i, i + (h - 1) * s + 1, s), slice(j, j + (v - 1) * s + 1, s))
                gx[at].addcmul_(g, w[:, 0, i, j][None, :, None, None]); gw[:, 0, i, j] = (g * x[at]).sum((0, 2, 3))
        return gx, gw, g.sum((0, 2, 3)), None

def product(x, w, b):
    """A 1×1 convolution as a matrix product."""
    n, c, h, v = x.shape; return (w[:, :, 0, 0] @ x.reshape(n, c, h * v) + b[:, None]).reshape(n, -1, h, v)

class Net(torch.nn.Module):
    """The graph that convert.py writes, as torch modules: the same steps, the same names."""
    def __init__(self, path):
        super().__init__()
        f = safe_open(path, "np"); self.meta = json.loads(f.metadata()["graph"]); self.p = torch.nn.ParameterDict()
        cin = {-1: 3}
        for i, s in enumerate(self.meta["steps"]):
            c = cin[s["in"][0]]
            if "weights" in s:
                k = s["weights"]; w, b = (torch.tensor(f.get_tensor(f"{k}.{x}").astype(np.float32)) for x in "wb")
                n, o = s["kernel"], b.shape[0]
                w = w.reshape(n, n, o).permute(2, 0, 1)[:, None] if s["op"] == "depthwise" else w.reshape(n, n, c, o).permute(3, 2, 0, 1)
                self.p[k + "w"] = torch.nn.Parameter(w.contiguous()); self.p[k + "b"] = torch.nn.Parameter(b); c = o
                if i < FROZEN: self.p[k + "w"].requires_grad_(False); self.p[k + "b"].requires_grad_(False)
            if s["op"] == "depth_to_space": c //= 4
            if s["op"] == "pad_channels": c += s["channels"]
            cin[i] = c
    def forward(self, x):
        t = {-1: x}
        for i, s in enumerate(self.meta["steps"]):
            a = t[s["in"][0]]; op = s["op"]
            if op in ("conv", "depthwise"):
                top, left, bottom, right = s["pad"]; k = s["weights"]
                a = F.pad(a, (left, right, top, bottom)) if any(s["pad"]) else a; w, b = self.p[k + "w"], self.p[k + "b"]
                y = Depthwise.apply(a, w, b, s["stride"]) if op == "depthwise" else F.conv2d(a, w, b, s["stride"]) if s["kernel"] > 1 else product(a, w, b)
                if s["relu"]: y = F.relu(y)
            elif op == "add": y = a + t[s["in"][1]]; y = F.relu(y) if s.get("relu") else y
            elif op == "relu": y = F.relu(a)
            elif op == "sigmoid": y = a  # the loss wants logits
            elif op == "double": y = F.interpolate(a, scale_factor=2, mode="bilinear", align_corners=False)
            elif op == "depth_to_space":
                n, c, h, w = a.shape; y = a.reshape(n, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // 4, h * 2, w * 2)
            t[i] = y
        o = self.meta["outputs"]; return [t[o[k]] for k in ("537", "538", "539")]
    def save(self, path):
        out = {}
        for s in self.meta["steps"]:
            if "weights" in s:
                k = s["weights"]; w = self.p[k + "w"].detach(); b = self.p[k + "b"].detach()
                w = w[:, 0].permute(1, 2, 0).reshape(-1, w.shape[0]) if s["op"] == "depthwise" else w.permute(2, 3, 1, 0).reshape(-1, w.shape[0])
                out[f"{k}.w"], out[f"{k}.b"] = np.ascontiguousarray(w.numpy().astype(np.float16)), b.numpy().astype(np.float16)
        save_file(out, path, metadata={"graph": json.dumps(self.meta, separators=(",", ":"))})

def part(i):
    """0–2: trained on. 3 and 4: never seen by the network; calibrated and told crosswise."""
    return int(hashlib.sha256(i.encode()).hexdigest(), 16) % 5
