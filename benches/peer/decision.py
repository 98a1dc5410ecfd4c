"""The face decision that a Python pipeline would take: three passes of two published detectors on onnxruntime.

BlazeFace (full range, sparse) sees the picture letterboxed to 192 px, once whole and once small in a wide margin, and
CenterFace to 160 px. Boxes are merged over the passes; the score of a face is the mean of its passes' scores.
"""

import cv2
import numpy as np
import onnxruntime

ONE, SECOND = 0.32, 0.24  # the least score of a face, and of a further one
SMALLEST = 0.03  # of the longer side


class Detector:
    """`models` has blazeface.onnx and centerface.onnx, which `models/make.sh DIR` writes."""

    def __init__(self, models):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        session = lambda name: onnxruntime.InferenceSession(f"{models}/{name}.onnx", options)
        self.blaze, self.center = session("blazeface"), session("centerface")
        cv2.setNumThreads(1)

    def faces(self, rgb):
        """How many faces an image `[height, width, 3]` shows: 0, 1 or 2 for more."""
        merged = []
        passes = (self.blaze_boxes(rgb, 1.0), self.blaze_boxes(rgb, 0.42), self.center_boxes(rgb))
        boxes = [(which, *box) for which, found in enumerate(passes) for box in found]
        for which, box, score in sorted(boxes, key=lambda found: -found[2]):
            same = next((face for face in merged if alike(face["box"], box)), None)
            if same is None:
                merged.append({"box": box, "scores": {which: score}})
            else:
                same["scores"].setdefault(which, score)
        least = SMALLEST * max(rgb.shape[:2])
        large = [f for f in merged if max(f["box"][2] - f["box"][0], f["box"][3] - f["box"][1]) >= least]
        scores = sorted((sum(face["scores"].values()) / 3 for face in large), reverse=True)
        if not scores or scores[0] < ONE:
            return 0
        return 2 if len(scores) > 1 and scores[1] >= SECOND else 1

    def blaze_boxes(self, rgb, zoom):
        pixels, scale, left, top = letterbox(rgb, 192, zoom)
        boxes, logits = self.blaze.run(["regressors", "scores"], {"input": pixels / 127.5 - 1})
        scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0], -60, 60)))
        found = []
        for at in np.where(scores > 0.1)[0]:
            x, y = boxes[0, at, 0] + (at % 48 + 0.5) * 4, boxes[0, at, 1] + (at // 48 + 0.5) * 4
            found.append((square(x, y, *boxes[0, at, 2:4], scale, left, top), float(scores[at])))
        return suppressed(found)

    def center_boxes(self, rgb):
        pixels, scale, left, top = letterbox(rgb, 160)
        heat, sizes, offsets, _ = self.center.run(None, {self.center.get_inputs()[0].name: pixels})
        found = []
        for row, column in zip(*np.where(heat[0, 0] > 0.1)):
            height, width = np.exp(sizes[0, :, row, column]) * 4
            y, x = (row + offsets[0, 0, row, column] + 0.5) * 4, (column + offsets[0, 1, row, column] + 0.5) * 4
            found.append((square(x, y, width, height, scale, left, top), float(heat[0, 0, row, column])))
        return suppressed(found)


def letterbox(rgb, side, zoom=1.0):
    """The input `[1, 3, side, side]`, its scale, and where the picture begins."""
    height, width = rgb.shape[:2]
    scale = side * zoom / max(height, width)
    to = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(rgb, to, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (side - to[0]) // 2, (side - to[1]) // 2
    out = np.full((side, side, 3), 128, np.uint8)
    out[top : top + to[1], left : left + to[0]] = small
    return out.transpose(2, 0, 1)[None].astype(np.float32), scale, left, top


def square(x, y, width, height, scale, left, top):
    corners = (x - width / 2 - left, y - height / 2 - top, x + width / 2 - left, y + height / 2 - top)
    return tuple(corner / scale for corner in corners)


def area(box):
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def shared(a, b):
    return area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def overlap(a, b):
    return shared(a, b) / max(area(a) + area(b) - shared(a, b), 1e-9)


def alike(a, b):
    return overlap(a, b) > 0.3 or shared(a, b) / max(min(area(a), area(b)), 1e-9) > 0.65


def suppressed(found):
    kept = []
    for box, score in sorted(found, key=lambda one: -one[1]):
        if all(overlap(box, other) <= 0.3 for other, _ in kept):
            kept.append((box, score))
    return kept
