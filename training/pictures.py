"""Training pictures: single faces, pairs, headless bodies and things, laid on random grounds of 160 × 160 pixels.

A source is an RGBA array; a face box is (left, top, right, bottom) in parts of its width and height.
"""

import csv
import json
import math
import os

import cv2
import numpy as np
from PIL import Image, ImageOps

from draw import block, chibi
from folds import boxes as boxes_in, kind
from net import part

SIDE, GRID = 160, 40
GREY = 128
# How often a picture is shown beside a plain one: what photo-trained networks see least, and what there is least of. Photographs
# and drawings of animals in the first corpus are no characters; the many drawn creatures with a face would outweigh them.
RARE = {"chibi": 3, "nonhuman": 3, "covered": 3, "profile": 5, "animal": 4}
# The same for the second corpus, of which only one half may be there to train on. Closed helmets are for review: neither.
RARE_TOO = {"nonhuman": 3, "profile": 5, "covered": 4, "chibi": 3, "plain": 2, "small": 2}
# The first corpus beside all others: it has what castline must not forget.
FIRST = 2


def rgba(path, most=640):
    """An upright RGBA array, the longer side at most `most`."""
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGBA")
    scale = most / max(picture.size)
    if scale < 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.BOX)
    return np.asarray(picture)


class Sources:
    """What pictures are made of: faces with their boxes, avatars and groups likewise, and pictures without a face.

    `rows` are those of the second corpus that are trained on, from `folds.rows`."""

    def __init__(self, corpus, extra, rows, everything):
        here = os.path.dirname(os.path.abspath(__file__))
        boxes = json.load(open(f"{here}/boxes.json"))
        self.faces, self.others, self.avatars, self.groups = [], [], [], []
        for row in csv.DictReader(open(f"{corpus}/labels.csv")):
            if part(row["id"]) > 2 and not everything:
                continue
            path = f"{corpus}/{row['path']}"
            if row["faces"] == "1" and boxes[row["id"]]:
                self.faces += [(rgba(path), boxes[row["id"]])] * (FIRST * RARE.get(row["note"], 1))
            elif row["faces"] == "0" and row["note"] != "crop":
                self.others += [rgba(path)] * (FIRST * RARE.get(row["note"], 2))
        for row in rows:
            what = kind(row)
            if what == "closed" or (what == "several" and not row["box"]):
                continue
            boxes_of, picture = boxes_in(row), rgba(row["file"], 320)
            if what == "none":
                self.others.append(picture)
            elif what == "several":
                self.groups.append((picture, boxes_of))
            else:
                self.faces += [(picture, boxes_of[0])] * RARE_TOO[what]
        for file in extra:
            more = json.load(open(file))
            self.faces += [(rgba(path, 320), box) for path, box in more["pos"]]
            self.others += [rgba(path, 320) for path in more["neg"]]
            self.avatars += [(rgba(path, 320), box) for path, box in more.get("avatars", [])]

    def face(self, random, drawn=0.2):
        """A picture with one face, and its box; `drawn` of them are drawn here, a tenth are avatars."""
        chance = random.random()
        if chance < drawn:
            return (block if random.random() < 0.12 else chibi)(random)
        return random.choice(self.avatars if self.avatars and chance < drawn + 0.1 else self.faces)


def recoloured(source, random):
    """Other hues, saturation and lightness; sometimes grey, sepia-like, or with few levels."""
    hsv = cv2.cvtColor(source[..., :3], cv2.COLOR_RGB2HSV).astype(np.int16)
    if random.random() < 0.4:
        hsv[..., 0] = (hsv[..., 0] + random.randrange(180 if random.random() < 0.4 else 24)) % 180
    hsv[..., 1] = np.clip(hsv[..., 1] * random.uniform(0.4, 1.4), 0, 255)
    hsv[..., 2] = np.clip(hsv[..., 2] * random.uniform(0.6, 1.35) + random.uniform(-20, 20), 0, 255)
    out = source.copy()
    out[..., :3] = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
    chance = random.random()
    if chance < 0.08:
        out[..., :3] = out[..., :3].mean(-1, keepdims=True)
    elif chance < 0.12:
        step = random.choice([32, 48, 64])
        out[..., :3] = out[..., :3] // step * step + step // 2
    return out


def bent(source, random):
    """The same picture with other proportions here and there: no two orcs are alike."""
    height, width = source.shape[:2]
    shifts = np.random.default_rng(random.randrange(1 << 30)).normal(0, 1, (2, 5, 5)).astype(np.float32)
    strength = random.uniform(0.01, 0.035) * max(height, width)
    across, down = (cv2.resize(s, (width, height), interpolation=cv2.INTER_CUBIC) * strength for s in shifts)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return cv2.remap(source, x + across, y + down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def covered(source, box, random):
    """The face behind dark glasses, a mask or a visor: still one face."""
    out = source.copy()
    height, width = out.shape[:2]
    left, top, right, bottom = box[0] * width, box[1] * height, box[2] * width, box[3] * height
    over, tall = right - left, bottom - top
    colour = tuple(random.randrange(0, 90 if random.random() < 0.7 else 256) for _ in range(3))
    kind = random.choice(["glasses", "glasses", "band", "mask", "mask", "visor"])
    layer = out[..., :3].copy()
    at = lambda x, y: (round(left + x * over), round(top + y * tall))
    if kind == "glasses":
        y, radius = random.uniform(0.3, 0.45), round(random.uniform(0.13, 0.2) * over)
        for x in (0.3, 0.7):
            cv2.circle(layer, at(x, y), radius, colour, -1, cv2.LINE_AA)
        cv2.line(layer, at(0.3, y), at(0.7, y), colour, max(1, radius // 4), cv2.LINE_AA)
    elif kind == "band":
        y = random.uniform(0.25, 0.38)
        cv2.rectangle(layer, at(0.02, y), at(0.98, y + random.uniform(0.15, 0.25)), colour, -1)
    elif kind == "mask":
        y = random.uniform(0.5, 0.62)
        points = np.array(
            [at(0, y), at(0.5, y - 0.08), at(1, y), at(0.85, 0.9), at(0.5, 1.05), at(0.15, 0.9)]
        )
        cv2.fillPoly(layer, [points], colour, cv2.LINE_AA)
    else:
        for x in np.linspace(0.1, 0.9, random.randrange(4, 8)):
            cv2.line(layer, at(x, 0.15), at(x, 1.0), colour, max(1, round(over * 0.05)), cv2.LINE_AA)
    keep = random.uniform(0, 0.3)
    out[..., :3] = (layer * (1 - keep) + out[..., :3] * keep).astype(np.uint8)
    return out


def ground(others, random):
    """What pictures are laid on: grey, a colour, a gradient, or a part of a picture without a face."""
    out = np.empty((SIDE, SIDE, 3), np.uint8)
    chance = random.random()
    if chance < 0.4:
        out[:] = GREY
    elif chance < 0.62:
        out[:] = [random.randrange(256) for _ in range(3)]
    elif chance < 0.8:
        one, two = (np.array([random.randrange(256) for _ in range(3)]) for _ in range(2))
        slope = np.linspace(0, 1, SIDE)[:, None, None]
        out[:] = (one * slope + two * (1 - slope)).astype(np.uint8)
        if random.random() < 0.5:
            out = out.transpose(1, 0, 2).copy()
    else:
        other = random.choice(others)
        height, width = other.shape[:2]
        side = max(8, round(min(height, width) * random.uniform(0.3, 1)))
        y, x = random.randint(0, height - side), random.randint(0, width - side)
        piece = cv2.resize(other[y : y + side, x : x + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        alpha = piece[..., 3:].astype(np.float32) / 255
        out[:] = (piece[..., :3] * alpha + random.randrange(256) * (1 - alpha)).astype(np.uint8)
    return out


def placed(source, random, x, y, longer, middle=None):
    """The matrix that lays a source with its longer side as `longer`, and its middle (or `middle`) at x, y."""
    height, width = source.shape[:2]
    turn = random.uniform(-12, 12) if random.random() < 0.4 else 0
    from_x, from_y = middle or (width / 2, height / 2)
    matrix = cv2.getRotationMatrix2D((from_x, from_y), turn, longer / max(height, width))
    matrix[:, 2] += [x - from_x, y - from_y]
    if random.random() < 0.5:
        matrix = matrix @ np.array([[-1, 0, width], [0, 1, 0], [0, 0, 1.0]])
    return matrix


def lay(on, source, matrix):
    """Lays a source on a ground; coarse copies come first, as warpAffine takes no means."""
    scale = math.hypot(matrix[0, 0], matrix[0, 1])
    while scale < 0.6 and min(source.shape[:2]) > 16:
        height, width = source.shape[:2]
        source = cv2.resize(source, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        matrix = matrix @ np.array(
            [[width / (width // 2), 0, 0], [0, height / (height // 2), 0], [0, 0, 1.0]]
        )
        scale *= 2
    flags = cv2.INTER_AREA if abs(matrix[0, 0]) < 1 else cv2.INTER_LINEAR
    warped = cv2.warpAffine(source, matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_CONSTANT)
    alpha = warped[..., 3:].astype(np.float32) / 255
    on[:] = (warped[..., :3] * alpha + on * (1 - alpha)).astype(np.uint8)


def laid_box(box, source, matrix):
    """Where a face's box comes to lie: its middle is turned, its sides are only scaled."""
    height, width = source.shape[:2]
    middle = np.array([(box[0] + box[2]) / 2 * width, (box[1] + box[3]) / 2 * height])
    x, y = matrix[:, :2] @ middle + matrix[:, 2]
    scale = math.hypot(matrix[0, 0], matrix[0, 1])
    wide, high = (box[2] - box[0]) * width * scale, (box[3] - box[1]) * height * scale
    return [x - wide / 2, y - high / 2, x + wide / 2, y + high / 2]


def varied(source, box, random):
    """A source with a face, made a little different."""
    if random.random() < 0.25:
        source = bent(source, random)
    if random.random() < 0.1:
        source = covered(source, box, random)
    return recoloured(source, random) if random.random() < 0.6 else source


def one_face(on, sources, random):
    source, box = sources.face(random)
    source = varied(source, box, random)
    height, width = source.shape[:2]
    middle = ((box[0] + box[2]) / 2 * width, (box[1] + box[3]) / 2 * height)
    side = max((box[2] - box[0]) * width, (box[3] - box[1]) * height)
    chance = random.random()
    if chance < 0.5:
        matrix = placed(
            source, random, 80 + random.uniform(-6, 6), 80 + random.uniform(-6, 6), random.uniform(145, 168)
        )
    elif chance < 0.88:  # from near or far, about the face: what a closer look sees, too
        longer = random.uniform(14, 110) / side * max(height, width)
        matrix = placed(
            source, random, 80 + random.uniform(-30, 30), 76 + random.uniform(-25, 25), longer, middle
        )
    else:
        matrix = placed(
            source, random, random.uniform(60, 100), random.uniform(60, 100), random.uniform(60, 130)
        )
    lay(on, source, matrix)
    return [laid_box(box, source, matrix)]


def two_faces(on, sources, random):
    """Side by side, of one kind or of two; `None` where one would hide the other."""
    drawn = 1 if random.random() < 0.25 else 0.1
    gap, found = random.uniform(22, 44), []
    for side in (-1, 1):
        source, box = sources.face(random, drawn)
        source = varied(source, box, random)
        height, width = source.shape[:2]
        longer = min(random.uniform(85, 170), random.uniform(70, 100) * max(height, width) / width)
        matrix = placed(source, random, 80 + gap * side, random.uniform(65, 105), longer)
        lay(on, source, matrix)
        found.append(laid_box(box, source, matrix))
    (l, t, r, b), (x, y, v, w) = found
    shared = max(0, min(r, v) - max(l, x)) * max(0, min(b, w) - max(t, y))
    return None if shared > 0.15 * min((r - l) * (b - t), (v - x) * (w - y)) else found


def group(on, sources, random):
    """A picture that shows several faces as it is."""
    source, boxes = random.choice(sources.groups)
    if random.random() < 0.5:
        source = recoloured(source, random)
    x, y = random.uniform(72, 88), random.uniform(72, 88)
    matrix = placed(source, random, x, y, random.uniform(120, 165))
    lay(on, source, matrix)
    return [laid_box(box, source, matrix) for box in boxes]


def card(on, sources, random):
    """A court card: a figure down to the chest, and the same once more, standing on its head."""
    source, (left, top, right, bottom) = sources.face(random)
    source = varied(source, (left, top, right, bottom), random)
    cut = min(1, bottom + random.uniform(0, 0.5) * (bottom - top))
    half = source[: max(1, round(cut * source.shape[0]))]
    both = np.concatenate([half, half[::-1, ::-1]])
    top, bottom = top / cut / 2, bottom / cut / 2
    boxes = [[left, top, right, bottom], [1 - right, 1 - bottom, 1 - left, 1 - top]]
    if random.random() < 0.5:
        paper = random.randrange(200, 256)
        alpha = both[..., 3:] / 255
        both = np.dstack([both[..., :3] * alpha + paper * (1 - alpha), np.full(both.shape[:2], 255)]).astype(np.uint8)
    matrix = placed(both, random, 80, 80, random.uniform(125, 170))
    lay(on, both, matrix)
    return [laid_box(box, both, matrix) for box in boxes]


def headless(on, sources, random):
    source, box = random.choice(sources.faces)
    source = source[int(min(0.9, box[3] + random.uniform(0.05, 0.15)) * source.shape[0]) :]
    if source.shape[0] > 24:
        lay(on, recoloured(source, random), placed(source, random, 80, 80, random.uniform(120, 170)))
    return []


def no_face(on, sources, random):
    source = random.choice(sources.others)
    if random.random() < 0.4:
        source = recoloured(source, random)
    chance = random.random()
    if chance < 0.6:
        matrix = placed(source, random, 80, 80, random.uniform(110, 190))
    else:  # a part of it, near: what a closer look sees
        height, width = source.shape[:2]
        middle = (random.uniform(0.2, 0.8) * width, random.uniform(0.2, 0.8) * height)
        matrix = placed(source, random, 80, 80, random.uniform(170, 420), middle)
    lay(on, source, matrix)
    return []


def spoilt(picture, random):
    """Enlarged from few pixels, noisy, or as it was."""
    if random.random() < 0.18:
        few = random.randrange(40, 150)
        small = cv2.resize(picture, (few, few), interpolation=cv2.INTER_AREA)
        how = random.choice([cv2.INTER_LINEAR, cv2.INTER_NEAREST])
        picture = cv2.resize(small, (SIDE, SIDE), interpolation=how)
    if random.random() < 0.15:
        noise = np.random.default_rng(random.randrange(1 << 30)).normal(
            0, random.uniform(2, 10), picture.shape
        )
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    return picture


def sample(sources, random):
    """A picture [3, 160, 160] of 0–255, and what CenterFace should answer: heat, (log h, log w, dy, dx), mask."""
    while True:
        on = ground(sources.others, random)
        chance = random.random()
        if chance < 0.46:
            found = one_face(on, sources, random)
        elif chance < 0.51 and sources.groups:
            found = group(on, sources, random)
        elif chance < 0.54:
            found = card(on, sources, random)
        elif chance < 0.64:
            found = two_faces(on, sources, random)
        elif chance < 0.69:
            found = headless(on, sources, random)
        else:
            found = no_face(on, sources, random)
        if found is not None:
            break
    on = spoilt(on, random)
    heat = np.zeros((GRID, GRID), np.float32)
    aim = np.zeros((4, GRID, GRID), np.float32)
    mask = np.zeros((GRID, GRID), np.float32)
    rows, columns = np.mgrid[:GRID, :GRID]
    for left, top, right, bottom in found:
        x, y = (left + right) / 8, (top + bottom) / 8  # in cells
        wide, high = max(right - left, 4) / 4, max(bottom - top, 4) / 4
        column, row = int(x), int(y)
        if not (0 <= column < GRID and 0 <= row < GRID) or max(wide, high) * 4 < 5:
            continue
        spread = max(0.7, 0.12 * (wide + high) / 2)
        distance = (columns - column) ** 2 + (rows - row) ** 2
        heat = np.maximum(heat, np.exp(-distance / (2 * spread * spread)))
        heat[row, column] = 1
        mask[row, column] = 1
        aim[:, row, column] = [math.log(high), math.log(wide), y - row - 0.5, x - column - 0.5]
    return on.transpose(2, 0, 1).astype(np.float32), heat, aim, mask
