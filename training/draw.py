"""Chibi figures and block heads, drawn at random: big heads, huge or closed eyes, fringes, tiny mouths.

draw.py OUT.png lays forty of them on one sheet, with their boxes, to look at.
"""

import colorsys
import math
import random
import sys
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE, FINE = 288, 2  # pixels of a figure; it is drawn at twice that


def shade(c, k):
    return tuple(int(max(0, min(255, v * k))) for v in c)


def colour(R, dull=0.2):
    h = R.random()
    s = R.uniform(dull, 0.9)
    v = R.uniform(0.25, 1)
    return tuple(int(255 * x) for x in colorsys.hsv_to_rgb(h, s, v))


class Pen:
    """Shapes in units of the head's half width, round the head's middle, turned."""

    def __init__(self, R, x, y, unit, turn):
        self.image = Image.new("RGBA", (SIZE * FINE,) * 2)
        self.d = ImageDraw.Draw(self.image)
        self.x, self.y, self.u, self.a = x * FINE, y * FINE, unit * FINE, turn
        self.line = tuple(R.randrange(0, 70) for _ in range(3))
        self.w = max(2, int(unit * FINE * R.choice([0.02, 0.035, 0.05])))

    def at(self, p):
        c, s = math.cos(self.a), math.sin(self.a)
        return self.x + self.u * (p[0] * c - p[1] * s), self.y + self.u * (p[0] * s + p[1] * c)

    def shape(self, points, fill, outline=True):
        q = [self.at(p) for p in points]
        if fill:
            self.d.polygon(q, fill)
        if outline:
            self.d.line(q + q[:2], self.line, self.w, joint="curve")

    def stroke(self, points, w=1.0, c=None):
        self.d.line([self.at(p) for p in points], c or self.line, max(2, int(self.w * w)), joint="curve")

    def round(self, cx, cy, rx, ry, fill, outline=True, a=0.0, b=360.0, power=2.0):
        t = np.radians(np.linspace(a, b, 48))
        f = lambda v: np.sign(v) * np.abs(v) ** (2 / power)
        self.shape(list(zip(cx + rx * f(np.cos(t)), cy + ry * f(np.sin(t)))), fill, outline)


def arc(cx, cy, rx, ry, a, b):
    t = np.radians(np.linspace(a, b, 16))
    return list(zip(cx + rx * np.cos(t), cy + ry * np.sin(t)))


def eye(pen, R, x, y, kind, iris, size):
    w, h = size * R.uniform(0.85, 1.05), size * R.uniform(1.0, 1.5)
    m = 1 if x > 0 else -1
    if kind == "open" or kind == "half":
        pen.round(x, y, w, h, (250,) * 3, False)
        pen.round(x, y + h * 0.08, w * R.uniform(0.6, 0.95), h * R.uniform(0.75, 0.95), iris, False)
        if R.random() < 0.8:
            pen.round(x, y + h * 0.1, w * 0.35, h * 0.45, shade(iris, 0.3), False)
        pen.round(x - w * 0.25, y - h * 0.35, w * 0.25, h * 0.25, (255,) * 3, False)
        if kind == "half":
            pen.shape(
                [
                    (x - 1.3 * w, y - 1.3 * h),
                    (x + 1.3 * w, y - 1.3 * h),
                    (x + 1.3 * w, y - 0.1 * h),
                    (x - 1.3 * w, y - 0.1 * h),
                ],
                pen.skin,
                False,
            )
            pen.stroke([(x - 1.2 * w, y - 0.1 * h), (x + 1.2 * w, y - 0.1 * h)], 2)
        else:
            pen.stroke(arc(x, y, w * 1.1, h, 190, 350), R.uniform(1.2, 2.8))
    elif kind == "happy":
        pen.stroke(arc(x, y + h * 0.4, w * 1.1, h * 0.8, 195, 345), 1.8)
    elif kind == "shut":
        pen.stroke(arc(x, y, w * 1.1, h * 0.6, 15, 165), 1.8)
    elif kind == "pressed":
        pen.stroke([(x + m * w, y - h * 0.7), (x - m * w, y), (x + m * w, y + h * 0.7)], 2)
    elif kind == "line":
        pen.stroke([(x - w, y), (x + w, y)], 2.2)
    else:
        pen.round(x, y, w * 0.45, w * 0.6, pen.line, False)  # a dot


def mouth(pen, R, x, y):
    kind = R.choice("smile open frown dot cat wave none big".split())
    w = R.uniform(0.08, 0.18)
    red = (200, 80, 80)
    if kind == "smile":
        pen.stroke(arc(x, y - 0.05, w, 0.1, 20, 160))
    elif kind == "open":
        pen.round(x, y, w * 0.8, w * R.uniform(0.6, 1.2), red)
    elif kind == "big":
        pen.shape(
            [(x - w * 1.4, y - 0.05), (x + w * 1.4, y - 0.05)] + arc(x, y - 0.05, w * 1.4, w * 1.7, 0, 180),
            red,
        )
    elif kind == "frown":
        pen.stroke(arc(x, y + 0.06, w, 0.1, 200, 340))
    elif kind == "dot":
        pen.round(x, y, 0.03, 0.03, pen.line, False)
    elif kind == "cat":
        pen.stroke(arc(x - w / 2, y, w / 2, 0.06, 0, 180) + arc(x + w / 2, y, w / 2, 0.06, 180, 0)[::1])
    elif kind == "wave":
        pen.stroke([(x - w + 2 * w * i / 12, y + 0.03 * math.sin(i * 1.6)) for i in range(13)])


def chibi(R):
    """An RGBA array and the face's box in parts of width and height."""
    unit = R.uniform(52, 92)
    turn = math.radians(R.gauss(0, 9))
    x, y = SIZE / 2 + R.uniform(-14, 14), R.uniform(unit * 1.35, SIZE * 0.52)
    pen = Pen(R, x, y, unit, turn)
    skin = R.choice(
        [(255, 236, 224), (255, 226, 205), (250, 214, 186), (224, 172, 130), (150, 100, 70), (238, 238, 250)]
    )
    pen.skin = skin
    hair, cloth, iris = colour(R, 0.05), colour(R, 0.05), colour(R, 0.3)
    # hair behind
    long = R.random()
    if long < 0.55:
        low, wide = R.uniform(0.9, 2.2), R.uniform(1.05, 1.7)
        pts = (
            arc(0, -0.2, 1.2, 1.1, 180, 360)
            + [(wide, low * 0.6), (wide * R.uniform(0.7, 1.1), low)]
            + [(wide * (0.6 - i * 0.3), low * R.uniform(0.85, 1.1)) for i in range(5)]
            + [(-wide * R.uniform(0.7, 1.1), low), (-wide, low * 0.6)]
        )
        pen.shape(pts, shade(hair, 0.85))
    elif long < 0.75:
        for m in (-1, 1):
            pen.round(
                m * R.uniform(1.1, 1.5),
                R.uniform(-0.2, 0.9),
                R.uniform(0.25, 0.5),
                R.uniform(0.5, 1.0),
                shade(hair, 0.85),
            )
    # the body
    b = R.random()
    if b < 0.85:
        w, h = R.uniform(0.4, 0.75), R.uniform(0.6, 1.4)
        pen.shape([(-w * 0.6, 0.75), (w * 0.6, 0.75), (w * 1.1, 0.75 + h), (-w * 1.1, 0.75 + h)], cloth)
        pen.shape([(-0.2, 0.8), (0.2, 0.8), (0, 1.1)], R.choice([(255,) * 3, shade(cloth, 0.6), colour(R)]))
        for m in (-1, 1):
            if R.random() < 0.7:
                hx, hy = m * R.uniform(0.3, 1.1), R.uniform(0.8, 1.4)
                pen.stroke([(m * w * 0.6, 1.0), (hx, hy)], 6, shade(cloth, 0.9))
                pen.round(hx, hy, 0.16, 0.16, skin)
    pen.round(0, -0.14, 1.05, 0.98, hair)  # the skull
    # the face
    cx, cy = R.uniform(-0.12, 0.12), R.uniform(0.18, 0.34)
    fw, fh = R.uniform(0.68, 0.86), R.uniform(0.6, 0.74)
    pen.round(cx, cy, fw, fh, skin, power=R.uniform(2, 2.6))
    for m in (-1, 1):
        if R.random() < 0.3:
            pen.round(cx + m * fw * 1.02, cy + 0.1, 0.12, 0.16, skin)
    kinds = "open open open open half happy shut pressed line dot".split()
    k = R.choice(kinds)
    k2 = k if R.random() < 0.88 else R.choice(kinds)
    ey, gap, size = cy + R.uniform(-0.02, 0.14), R.uniform(0.3, 0.42), R.uniform(0.13, 0.24)
    shift = R.uniform(-0.1, 0.1)
    if R.random() < 0.5:
        for m in (-1, 1):
            pen.round(cx + shift + m * gap * 1.15, ey + size * 1.7, 0.14, 0.07, (250, 150, 150, 200), False)
    eye(pen, R, cx + shift - gap, ey, k, iris, size)
    eye(pen, R, cx + shift + gap, ey, k2, iris if R.random() < 0.9 else colour(R, 0.3), size)
    if R.random() < 0.7:
        tilt = R.uniform(-0.08, 0.08)
        for m in (-1, 1):
            pen.stroke(
                [
                    (cx + shift + m * gap * 1.4, ey - size * 1.9 - tilt),
                    (cx + shift + m * gap * 0.6, ey - size * 1.9 + tilt),
                ],
                0.9,
                shade(hair, 0.5),
            )
    mouth(pen, R, cx + shift * 1.4, cy + fh * R.uniform(0.55, 0.75))
    if R.random() < 0.1:
        for m in (-1, 1):
            pen.round(cx + shift + m * gap, ey, size * 1.35, size * 1.2, None)
        pen.stroke([(cx + shift - 0.1, ey), (cx + shift + 0.1, ey)])
    if R.random() < 0.1:
        pen.shape(
            [(cx - fw, cy - fh), (cx + fw, cy - fh), (cx + fw, ey + 0.3), (cx - fw, ey + 0.3)],
            (60, 50, 110, 110),
            False,
        )  # a shadow over the eyes
    # the fringe
    top = -1.08
    tips = R.randrange(3, 9)
    low = cy - R.uniform(-0.1, 0.32)
    edge = []
    for i in range(tips):
        l, r = -1.02 + 2.04 * i / tips, -1.02 + 2.04 * (i + 1) / tips
        edge += [
            (r - 0.12, low - R.uniform(0.2, 0.45)),
            ((l + r) / 2 + R.uniform(-0.15, 0.15), low + R.uniform(-0.15, 0.12) + 0.25 * abs(l + r) / 2),
        ]
    pen.shape(
        arc(0, 0, 1.05, 1.08, 180, 360)
        + [(1.05, 0.45 + R.uniform(-0.2, 0.3)), (0.82, 0.5)]
        + edge[::-1]
        + [(-0.82, 0.5), (-1.05, 0.45 + R.uniform(-0.2, 0.3))],
        hair,
    )
    if R.random() < 0.5:
        pen.stroke(arc(R.uniform(-0.2, 0.2), -0.1, 0.7, 0.6, 215, 325), R.uniform(1.5, 5), shade(hair, 1.3))
    if R.random() < 0.3:
        pen.stroke(arc(0, -1.25, 0.2, 0.3, 90, 300), 4, hair)
    # what is worn
    u = R.random()
    if u < 0.12:
        for m in (-1, 1):
            pen.shape([(m * 0.35, -0.95), (m * 0.95, -0.6), (m * R.uniform(0.75, 1.05), -1.6)], hair)
            pen.shape([(m * 0.5, -0.95), (m * 0.85, -0.7), (m * 0.85, -1.3)], (250, 190, 190), False)
    elif u < 0.22:
        for m in (-1, 1):
            pen.shape(
                [(m * 0.4, -0.9), (m * 0.65, -0.8)] + [(m * R.uniform(0.7, 1.1), -1.5)], colour(R, 0.05)
            )
    elif u < 0.34:
        pen.shape(arc(0, -0.55, 1.15, 0.75, 180, 360) + [(1.2, -0.45), (-1.2, -0.45)], colour(R, 0.05))
    elif u < 0.42:
        c = colour(R)
        px = R.uniform(-0.9, 0.9)
        [pen.shape([(px, -0.95), (px + m * 0.4, -1.2), (px + m * 0.4, -0.7)], c) for m in (-1, 1)]
    elif u < 0.5:
        pen.round(R.choice([-0.75, 0.75]), -0.65, 0.22, 0.22, colour(R))
    elif u < 0.55:
        pen.shape(arc(0, -0.3, 1.12, 0.6, 190, 350) + arc(0, -0.1, 1.0, 0.5, 350, 190), colour(R, 0.05))
    elif u < 0.6:
        pen.round(0, -0.45, 0.9, 0.25, colour(R), power=4)
        pen.round(-0.4, -0.45, 0.25, 0.15, (150, 220, 250))
        pen.round(0.4, -0.45, 0.25, 0.15, (150, 220, 250))
    if R.random() < 0.3:
        for _ in range(R.randrange(1, 4)):
            px, py = R.choice([-1, 1]) * R.uniform(1.2, 1.6), R.uniform(-1.2, 0.6)
            R.choice(
                [
                    lambda: pen.round(px, py, 0.1, 0.14, colour(R), False),
                    lambda: pen.stroke([(px, py), (px + 0.2, py - 0.3)], 3, colour(R)),
                ]
            )()
    if R.random() < 0.2:
        px = R.choice([-1, 1]) * R.uniform(0.6, 1.2)
        pen.stroke([(px, 1.5), (px * 1.2, -R.uniform(0, 1.2))], R.uniform(3, 8), colour(R, 0.05))
    im = pen.image.resize((SIZE,) * 2, Image.LANCZOS)
    if R.random() < 0.4:  # a sticker's border
        rim = Image.new("RGBA", im.size, R.choice([(255, 255, 255, 255)] * 3 + [colour(R) + (255,)]))
        alpha = im.getchannel("A").filter(ImageFilter.MaxFilter(R.choice([5, 9])))
        rim.putalpha(alpha)
        rim.alpha_composite(im)
        im = rim
    l, r, t, bt = cx - fw * 0.95, cx + fw * 0.95, ey - size * 2.2, cy + fh * 0.97
    c = [pen.at(p) for p in ((l, t), (r, t), (r, bt), (l, bt))]
    mx, my = sum(p[0] for p in c) / 4 / FINE, sum(p[1] for p in c) / 4 / FINE
    w, h = (r - l) * unit, (bt - t) * unit
    return finish(R, im, [mx - w / 2, my - h / 2, mx + w / 2, my + h / 2])


def block(R):
    """A head of few pixels."""
    n = R.randrange(10, 26)
    im = Image.new("RGBA", (n, n))
    d = ImageDraw.Draw(im)
    skin = R.choice(
        [
            (235, 190, 150),
            (250, 220, 190),
            (150, 100, 70),
            (20, 20, 20),
            (110, 160, 80),
            (200, 200, 210),
            colour(R),
        ]
    )
    l, r = round(n * R.uniform(0.1, 0.22)), round(n * R.uniform(0.78, 0.9))
    t, b = round(n * R.uniform(0.12, 0.3)), round(n * R.uniform(0.82, 0.98))
    eyes, lips = R.choice([(0, 0, 0), (255, 255, 255), colour(R)]), R.choice(
        [(120, 50, 40), (255, 255, 255), (20, 20, 20)]
    )
    if sum(abs(a - c) for a, c in zip(eyes, skin)) < 150:
        eyes = (255, 255, 255) if sum(skin) < 380 else (0, 0, 0)
    d.rectangle([l, t, r, b], skin)
    hat = colour(R, 0.05)
    y = round(t + (b - t) * R.uniform(0.05, 0.28))
    d.rectangle([l - 1, max(0, t - round(n * 0.12)), r + 1, y], hat)
    if R.random() < 0.3:
        d.rectangle([l - 2, y, r + 2, y], shade(hat, 0.6))
    e = round(y + (b - y) * R.uniform(0.2, 0.4))
    w = max(1, n // 12)
    lx, rx = round(l + (r - l) * R.uniform(0.18, 0.3)), round(l + (r - l) * R.uniform(0.66, 0.8))
    for x in (lx, rx):
        d.rectangle([x, e, x + w - (R.random() < 0.3), e + R.randrange(0, w + 1)], eyes)
    m = max(e + 2, round(y + (b - y) * R.uniform(0.62, 0.82)))
    if R.random() < 0.85:
        d.rectangle(
            [
                round(n * R.uniform(0.32, 0.45)),
                m,
                round(n * R.uniform(0.55, 0.68)),
                m + R.randrange(0, max(1, n // 8)),
            ],
            lips,
        )
    if R.random() < 0.3:
        d.rectangle([round(n / 2) - 1, e + 1, round(n / 2), m - 1], shade(skin, 0.8))
    k = SIZE // n
    big = im.resize((n * k, n * k), R.choice([Image.NEAREST, Image.NEAREST, Image.BICUBIC]))
    return finish(R, big, [l * k, y * k, (r + 1) * k, (b + 1) * k])


def finish(R, im, box):
    l, t, r, b = im.getbbox()
    m = R.randrange(0, 8)
    l, t, r, b = max(0, l - m), max(0, t - m), min(im.width, r + m), min(im.height, b + m)
    im = im.crop((l, t, r, b))
    w, h = im.size
    return np.asarray(im), [(box[0] - l) / w, (box[1] - t) / h, (box[2] - l) / w, (box[3] - t) / h]


if __name__ == "__main__":
    R = random.Random(3)
    sheet = Image.new("RGB", (8 * 200, 5 * 200), (128,) * 3)
    d = ImageDraw.Draw(sheet)
    for i in range(40):
        a, q = (block if i > 31 else chibi)(R)
        p = Image.fromarray(a)
        p.thumbnail((200, 200))
        x, y = i % 8 * 200, i // 8 * 200
        sheet.paste(p, (x, y), p)
        d.rectangle(
            [x + q[0] * p.width, y + q[1] * p.height, x + q[2] * p.width, y + q[3] * p.height],
            outline=(255, 0, 0),
        )
    sheet.save(sys.argv[1])
