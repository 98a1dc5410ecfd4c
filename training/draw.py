"""Chibi figures and block heads, drawn at random: big heads, huge or closed eyes, fringes, tiny mouths.

draw.py OUT.png lays forty of them on one sheet, with their boxes, to look at.
"""
import math, random, sys
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE, FINE = 288, 2  # pixels of a figure; it is drawn at twice that

def shade(c, k): return tuple(int(max(0, min(255, v * k))) for v in c)
def colour(R, dull=.2): h = R.random(); s = R.uniform(dull, .9); v = R.uniform(.25, 1); import colorsys; return tuple(int(255 * x) for x in colorsys.hsv_to_rgb(h, s, v))

class Pen:
    """Shapes in units of the head's half width, round the head's middle, turned."""
    def __init__(self, R, x, y, unit, turn):
        self.image = Image.new("RGBA", (SIZE * FINE,) * 2); self.d = ImageDraw.Draw(self.image); self.x, self.y, self.u, self.a = x * FINE, y * FINE, unit * FINE, turn
        self.line = tuple(R.randrange(0, 70) for _ in range(3)); self.w = max(2, int(unit * FINE * R.choice([.02, .035, .05])))
    def at(self, p):
        c, s = math.cos(self.a), math.sin(self.a); return self.x + self.u * (p[0] * c - p[1] * s), self.y + self.u * (p[0] * s + p[1] * c)
    def shape(self, points, fill, outline=True):
        q = [self.at(p) for p in points]
        if fill: self.d.polygon(q, fill)
        if outline: self.d.line(q + q[:2], self.line, self.w, joint="curve")
    def stroke(self, points, w=1., c=None): self.d.line([self.at(p) for p in points], c or self.line, max(2, int(self.w * w)), joint="curve")
    def round(self, cx, cy, rx, ry, fill, outline=True, a=0., b=360., power=2.):
        t = np.radians(np.linspace(a, b, 48)); f = lambda v: np.sign(v) * np.abs(v) ** (2 / power)
        self.shape(list(zip(cx + rx * f(np.cos(t)), cy + ry * f(np.sin(t)))), fill, outline)
def arc(cx, cy, rx, ry, a, b): t = np.radians(np.linspace(a, b, 16)); return list(zip(cx + rx * np.cos(t), cy + ry * np.sin(t)))

def eye(pen, R, x, y, kind, iris, size):
    w, h = size * R.uniform(.85, 1.05), size * R.uniform(1., 1.5); m = 1 if x > 0 else -1
    if kind == "open" or kind == "half":
        pen.round(x, y, w, h, (250,) * 3, False); pen.round(x, y + h * .08, w * R.uniform(.6, .95), h * R.uniform(.75, .95), iris, False)
        if R.random() < .8: pen.round(x, y + h * .1, w * .35, h * .45, shade(iris, .3), False)
        pen.round(x - w * .25, y - h * .35, w * .25, h * .25, (255,) * 3, False)
        if kind == "half": pen.shape([(x - 1.3 * w, y - 1.3 * h), (x + 1.3 * w, y - 1.3 * h), (x + 1.3 * w, y - .1 * h), (x - 1.3 * w, y - .1 * h)], pen.skin, False); pen.stroke([(x - 1.2 * w, y - .1 * h), (x + 1.2 * w, y - .1 * h)], 2)
        else: pen.stroke(arc(x, y, w * 1.1, h, 190, 350), R.uniform(1.2, 2.8))
    elif kind == "happy": pen.stroke(arc(x, y + h * .4, w * 1.1, h * .8, 195, 345), 1.8)
    elif kind == "shut": pen.stroke(arc(x, y, w * 1.1, h * .6, 15, 165), 1.8)
    elif kind == "pressed": pen.stroke([(x + m * w, y - h * .7), (x - m * w, y), (x + m * w, y + h * .7)], 2)
    elif kind == "line": pen.stroke([(x - w, y), (x + w, y)], 2.2)
    else: pen.round(x, y, w * .45, w * .6, pen.line, False)  # a dot

def mouth(pen, R, x, y):
    kind = R.choice("smile open frown dot cat wave none big".split()); w = R.uniform(.08, .18); red = (200, 80, 80)
    if kind == "smile": pen.stroke(arc(x, y - .05, w, .1, 20, 160))
    elif kind == "open": pen.round(x, y, w * .8, w * R.uniform(.6, 1.2), red)
    elif kind == "big": pen.shape([(x - w * 1.4, y - .05), (x + w * 1.4, y - .05)] + arc(x, y - .05, w * 1.4, w * 1.7, 0, 180), red)
    elif kind == "frown": pen.stroke(arc(x, y + .06, w, .1, 200, 340))
    elif kind == "dot": pen.round(x, y, .03, .03, pen.line, False)
    elif kind == "cat": pen.stroke(arc(x - w / 2, y, w / 2, .06, 0, 180) + arc(x + w / 2, y, w / 2, .06, 180, 0)[::1])
    elif kind == "wave": pen.stroke([(x - w + 2 * w * i / 12, y + .03 * math.sin(i * 1.6)) for i in range(13)])

def chibi(R):
    """An RGBA array and the face's box in parts of width and height."""
    unit = R.uniform(52, 92); turn = math.radians(R.gauss(0, 9)); x, y = SIZE / 2 + R.uniform(-14, 14), R.uniform(unit * 1.35, SIZE * .52)
    pen = Pen(R, x, y, unit, turn); skin = R.choice([(255, 236, 224), (255, 226, 205), (250, 214, 186), (224, 172, 130), (150, 100, 70), (238, 238, 250)]); pen.skin = skin
    hair, cloth, iris = colour(R, .05), colour(R, .05), colour(R, .3)
    # hair behind
    long = R.random()
    if long < .55:
        low, wide = R.uniform(.9, 2.2), R.uniform(1.05, 1.7)
        pts = arc(0, -.2, 1.2, 1.1, 180, 360) + [(wide, low * .6), (wide * R.uniform(.7, 1.1), low)] + [(wide * (.6 - i * .3), low * R.uniform(.85, 1.1)) for i in range(5)] + [(-wide * R.uniform(.7, 1.1), low), (-wide, low * .6)]
        pen.shape(pts, shade(hair, .85))
    elif long < .75:
        for m in (-1, 1): pen.round(m * R.uniform(1.1, 1.5), R.uniform(-.2, .9), R.uniform(.25, .5), R.uniform(.5, 1.), shade(hair, .85))
    # the body
    b = R.random()
    if b < .85:
        w, h = R.uniform(.4, .75), R.uniform(.6, 1.4)
        pen.shape([(-w * .6, .75), (w * .6, .75), (w * 1.1, .75 + h), (-w * 1.1, .75 + h)], cloth)
        pen.shape([(-.2, .8), (.2, .8), (0, 1.1)], R.choice([(255,) * 3, shade(cloth, .6), colour(R)]))
        for m in (-1, 1):
            if R.random() < .7:
                hx, hy = m * R.uniform(.3, 1.1), R.uniform(.8, 1.4); pen.stroke([(m * w * .6, 1.0), (hx, hy)], 6, shade(cloth, .9)); pen.round(hx, hy, .16, .16, skin)
    pen.round(0, -.14, 1.05, .98, hair)  # the skull
    # the face
    cx, cy = R.uniform(-.12, .12), R.uniform(.18, .34); fw, fh = R.uniform(.68, .86), R.uniform(.6, .74)
    pen.round(cx, cy, fw, fh, skin, power=R.uniform(2, 2.6))
    for m in (-1, 1):
        if R.random() < .3: pen.round(cx + m * fw * 1.02, cy + .1, .12, .16, skin)
    kinds = "open open open open half happy shut pressed line dot".split(); k = R.choice(kinds); k2 = k if R.random() < .88 else R.choice(kinds)
    ey, gap, size = cy + R.uniform(-.02, .14), R.uniform(.3, .42), R.uniform(.13, .24); shift = R.uniform(-.1, .1)
    if R.random() < .5:
        for m in (-1, 1): pen.round(cx + shift + m * gap * 1.15, ey + size * 1.7, .14, .07, (250, 150, 150, 200), False)
    eye(pen, R, cx + shift - gap, ey, k, iris, size); eye(pen, R, cx + shift + gap, ey, k2, iris if R.random() < .9 else colour(R, .3), size)
    if R.random() < .7:
        tilt = R.uniform(-.08, .08)
        for m in (-1, 1): pen.stroke([(cx + shift + m * gap * 1.4, ey - size * 1.9 - tilt), (cx + shift + m * gap * .6, ey - size * 1.9 + tilt)], .9, shade(hair, .5))
    mouth(pen, R, cx + shift * 1.4, cy + fh * R.uniform(.55, .75))
    if R.random() < .1:
        for m in (-1, 1): pen.round(cx + shift + m * gap, ey, size * 1.35, size * 1.2, None)
        pen.stroke([(cx + shift - .1, ey), (cx + shift + .1, ey)])
    if R.random() < .1: pen.shape([(cx - fw, cy - fh), (cx + fw, cy - fh), (cx + fw, ey + .3), (cx - fw, ey + .3)], (60, 50, 110, 110), False)  # a shadow over the eyes
    # the fringe
    top = -1.08; tips = R.randrange(3, 9); low = cy - R.uniform(-.1, .32); edge = []
    for i in range(tips):
        l, r = -1.02 + 2.04 * i / tips, -1.02 + 2.04 * (i + 1) / tips; edge += [(r - .12, low - R.uniform(.2, .45)), ((l + r) / 2 + R.uniform(-.15, .15), low + R.uniform(-.15, .12) + .25 * abs(l + r) / 2)]
    pen.shape(arc(0, 0, 1.05, 1.08, 180, 360) + [(1.05, .45 + R.uniform(-.2, .3)), (.82, .5)] + edge[::-1] + [(-.82, .5), (-1.05, .45 + R.uniform(-.2, .3))], hair)
    if R.random() < .5: pen.stroke(arc(R.uniform(-.2, .2), -.1, .7, .6, 215, 325), R.uniform(1.5, 5), shade(hair, 1.3))
    if R.random() < .3: pen.stroke(arc(0, -1.25, .2, .3, 90, 300), 4, hair)
    # what is worn
    u = R.random()
    if u < .12:
        for m in (-1, 1): pen.shape([(m * .35, -.95), (m * .95, -.6), (m * R.uniform(.75, 1.05), -1.6)], hair); pen.shape([(m * .5, -.95), (m * .85, -.7), (m * .85, -1.3)], (250, 190, 190), False)
    elif u < .22:
        for m in (-1, 1): pen.shape([(m * .4, -.9), (m * .65, -.8)] + [(m * R.uniform(.7, 1.1), -1.5)], colour(R, .05))
    elif u < .34: pen.shape(arc(0, -.55, 1.15, .75, 180, 360) + [(1.2, -.45), (-1.2, -.45)], colour(R, .05))
    elif u < .42: c = colour(R); px = R.uniform(-.9, .9); [pen.shape([(px, -.95), (px + m * .4, -1.2), (px + m * .4, -.7)], c) for m in (-1, 1)]
    elif u < .5: pen.round(R.choice([-.75, .75]), -.65, .22, .22, colour(R))
    elif u < .55: pen.shape(arc(0, -.3, 1.12, .6, 190, 350) + arc(0, -.1, 1.0, .5, 350, 190), colour(R, .05))
    elif u < .6: pen.round(0, -.45, .9, .25, colour(R), power=4); pen.round(-.4, -.45, .25, .15, (150, 220, 250)); pen.round(.4, -.45, .25, .15, (150, 220, 250))
    if R.random() < .3:
        for _ in range(R.randrange(1, 4)): px, py = R.choice([-1, 1]) * R.uniform(1.2, 1.6), R.uniform(-1.2, .6); R.choice([lambda: pen.round(px, py, .1, .14, colour(R), False), lambda: pen.stroke([(px, py), (px + .2, py - .3)], 3, colour(R))])()
    if R.random() < .2: px = R.choice([-1, 1]) * R.uniform(.6, 1.2); pen.stroke([(px, 1.5), (px * 1.2, -R.uniform(0, 1.2))], R.uniform(3, 8), colour(R, .05))
    im = pen.image.resize((SIZE,) * 2, Image.LANCZOS)
    if R.random() < .4:  # a sticker's border
        rim = Image.new("RGBA", im.size, R.choice([(255, 255, 255, 255)] * 3 + [colour(R) + (255,)])); alpha = im.getchannel("A").filter(ImageFilter.MaxFilter(R.choice([5, 9]))); rim.putalpha(alpha); rim.alpha_composite(im); im = rim
    l, r, t, bt = cx - fw * .95, cx + fw * .95, ey - size * 2.2, cy + fh * .97; c = [pen.at(p) for p in ((l, t), (r, t), (r, bt), (l, bt))]
    mx, my = sum(p[0] for p in c) / 4 / FINE, sum(p[1] for p in c) / 4 / FINE; w, h = (r - l) * unit, (bt - t) * unit
    return finish(R, im, [mx - w / 2, my - h / 2, mx + w / 2, my + h / 2])

def block(R):
    """A head of few pixels."""
    n = R.randrange(10, 26); im = Image.new("RGBA", (n, n)); d = ImageDraw.Draw(im); skin = R.choice([(235, 190, 150), (250, 220, 190), (150, 100, 70), (20, 20, 20), (110, 160, 80), (200, 200, 210), colour(R)])
    l, r = round(n * R.uniform(.1, .22)), round(n * R.uniform(.78, .9)); t, b = round(n * R.uniform(.12, .3)), round(n * R.uniform(.82, .98)); eyes, lips = R.choice([(0, 0, 0), (255, 255, 255), colour(R)]), R.choice([(120, 50, 40), (255, 255, 255), (20, 20, 20)])
    if sum(abs(a - c) for a, c in zip(eyes, skin)) < 150: eyes = (255, 255, 255) if sum(skin) < 380 else (0, 0, 0)
    d.rectangle([l, t, r, b], skin); hat = colour(R, .05); y = round(t + (b - t) * R.uniform(.05, .28)); d.rectangle([l - 1, max(0, t - round(n * .12)), r + 1, y], hat)
    if R.random() < .3: d.rectangle([l - 2, y, r + 2, y], shade(hat, .6))
    e = round(y + (b - y) * R.uniform(.2, .4)); w = max(1, n // 12); lx, rx = round(l + (r - l) * R.uniform(.18, .3)), round(l + (r - l) * R.uniform(.66, .8))
    for x in (lx, rx): d.rectangle([x, e, x + w - (R.random() < .3), e + R.randrange(0, w + 1)], eyes)
    m = max(e + 2, round(y + (b - y) * R.uniform(.62, .82)))
    if R.random() < .85: d.rectangle([round(n * R.uniform(.32, .45)), m, round(n * R.uniform(.55, .68)), m + R.randrange(0, max(1, n // 8))], lips)
    if R.random() < .3: d.rectangle([round(n / 2) - 1, e + 1, round(n / 2), m - 1], shade(skin, .8))
    k = SIZE // n; big = im.resize((n * k, n * k), R.choice([Image.NEAREST, Image.NEAREST, Image.BICUBIC]))
    return finish(R, big, [l * k, y * k, (r + 1) * k, (b + 1) * k])

def finish(R, im, box):
    l, t, r, b = im.getbbox(); m = R.randrange(0, 8); l, t, r, b = max(0, l - m), max(0, t - m), min(im.width, r + m), min(im.height, b + m); im = im.crop((l, t, r, b)); w, h = im.size
    return np.asarray(im), [(box[0] - l) / w, (box[1] - t) / h, (box[2] - l) / w, (box[3] - t) / h]

if __name__ == "__main__":
    R = random.Random(3); sheet = Image.new("RGB", (8 * 200, 5 * 200), (128,) * 3); d = ImageDraw.Draw(sheet)
    for i in range(40):
        a, q = (block if i > 31 else chibi)(R); p = Image.fromarray(a); p.thumbnail((200, 200)); x, y = i % 8 * 200, i // 8 * 200; sheet.paste(p, (x, y), p)
        d.rectangle([x + q[0] * p.width, y + q[1] * p.height, x + q[2] * p.width, y + q[3] * p.height], outline=(255, 0, 0))
    sheet.save(sys.argv[1])
