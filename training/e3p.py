"""The photo-trained reference: two passes of BlazeFace and one of CenterFace on onnxruntime, merged ("E3p")."""

import cv2
import numpy as np
import onnxruntime as ort
from PIL import Image, ImageOps


def load(path):
    """An upright RGB array on grey, the longer side at most 1280."""
    im = ImageOps.exif_transpose(Image.open(path)).convert("RGBA")
    ground = Image.new("RGBA", im.size, (128, 128, 128, 255))
    ground.alpha_composite(im)
    im = ground.convert("RGB")
    k = 1280 / max(im.size)
    return np.asarray(
        im.resize((max(1, round(im.width * k)), max(1, round(im.height * k))), Image.LANCZOS) if k < 1 else im
    )


def letterbox(a, side, zoom=1.0):
    h, w = a.shape[:2]
    k = side * zoom / max(h, w)
    nw, nh = max(1, round(w * k)), max(1, round(h * k))
    r = cv2.resize(a, (nw, nh), interpolation=cv2.INTER_AREA if k < 1 else cv2.INTER_LINEAR)
    out = np.full((side, side, 3), 128, np.uint8)
    x, y = (side - nw) // 2, (side - nh) // 2
    out[y : y + nh, x : x + nw] = r
    return out.transpose(2, 0, 1)[None].astype(np.float32), k, x, y


def inter(a, b):
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def area(a):
    return max(0, a[2] - a[0]) * max(0, a[3] - a[1])


def same(a, b):
    i = inter(a, b)
    return i / max(area(a) + area(b) - i, 1e-9) > 0.3 or i / max(min(area(a), area(b)), 1e-9) > 0.65


def nms(boxes):
    keep = []
    for b in sorted(boxes, key=lambda b: -b[4]):
        if all(inter(b, k) / max(area(b) + area(k) - inter(b, k), 1e-9) <= 0.3 for k in keep):
            keep.append(b)
    return keep


def peaks(heat, sizes, offsets, least, k, ox, oy):
    """Boxes out of CenterFace's maps."""
    out = []
    for y, x in zip(*np.where(heat > least)):
        h, w = np.exp(sizes[0, y, x]) * 4, np.exp(sizes[1, y, x]) * 4
        cy, cx = (y + offsets[0, y, x] + 0.5) * 4, (x + offsets[1, y, x] + 0.5) * 4
        out.append(
            [
                (cx - w / 2 - ox) / k,
                (cy - h / 2 - oy) / k,
                (cx + w / 2 - ox) / k,
                (cy + h / 2 - oy) / k,
                float(heat[y, x]),
            ]
        )
    return nms(out)


def merge(passes):
    """[(box, {pass: score})] of boxes that overlap, the surest first."""
    merged = []
    for p, b in sorted(((p, b) for p, boxes in enumerate(passes) for b in boxes), key=lambda t: -t[1][4]):
        for box, by in merged:
            if same(b, box):
                by.setdefault(p, b[4])
                break
        else:
            merged.append((b, {p: b[4]}))
    return merged


class Detector:
    def __init__(self, blaze, center):
        o = ort.SessionOptions()
        o.intra_op_num_threads = 1
        o.log_severity_level = 4
        self.b, self.c = ort.InferenceSession(blaze, o), ort.InferenceSession(center, o)

    def blaze(self, a, zoom=1.0):
        x, k, ox, oy = letterbox(a, 192, zoom)
        reg, sc = self.b.run(["regressors", "scores"], {"input": x / 127.5 - 1})
        sc = 1 / (1 + np.exp(-np.clip(sc[0, :, 0], -60, 60)))
        out = []
        for j in np.where(sc > 0.1)[0]:
            cx, cy = reg[0, j, 0] + (j % 48 + 0.5) * 4, reg[0, j, 1] + (j // 48 + 0.5) * 4
            w, h = reg[0, j, 2:4]
            out.append(
                [
                    (cx - w / 2 - ox) / k,
                    (cy - h / 2 - oy) / k,
                    (cx + w / 2 - ox) / k,
                    (cy + h / 2 - oy) / k,
                    float(sc[j]),
                ]
            )
        return nms(out)

    def center(self, a):
        x, k, ox, oy = letterbox(a, 160)
        heat, sizes, offsets, _ = self.c.run(None, {self.c.get_inputs()[0].name: x})
        return peaks(heat[0, 0], sizes[0], offsets[0], 0.1, k, ox, oy)

    def faces(self, a):
        """[score, left, top, right, bottom] in pixels, the surest first."""
        found = merge((self.blaze(a), self.blaze(a, 0.42), self.center(a)))
        least = 0.03 * max(a.shape[:2])
        return sorted(
            ([sum(by.values()) / 3, *b[:4]] for b, by in found if max(b[2] - b[0], b[3] - b[1]) >= least),
            reverse=True,
        )
