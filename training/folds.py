"""The second corpus by package: a network is measured on pictures of packages that it was not trained on."""

import collections
import csv
import os
import re

from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))


def package(recipe):
    """The package that a recipe takes its picture from; a set of icons counts as one."""
    for pattern in (r"@iconify-json/([\w-]+)", r"(?:deb:|icn:|gear[:=]|ff:)([\w.+-]+)", r"pypi:([\w.-]+)"):
        if found := re.search(pattern, recipe):
            return found[1]
    return recipe.split(":")[0]


def kind(row):
    """What a figure is told of: a single face by its note, or none, or several."""
    return {"0": "none", "1": row["note"] or "plain", "2": "several"}[row["faces"]]


def boxes(row):
    """The boxes of a picture's faces, as [left, top, right, bottom] in parts of its width and height."""
    width, height = Image.open(row["file"]).size
    found = [list(map(float, box.split(","))) for box in row["box"].split(";") if box]
    return [[x / width, y / height, (x + w) / width, (y + h) / height] for x, y, w, h in found]


def same(a, b):
    """Whether two boxes are of one face, as in crates/inspect/src/faces/boxes.rs."""
    def area(box):
        return max(0, box[2] - box[0]) * max(0, box[3] - box[1])

    shared = area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
    over_union = shared / max(area(a) + area(b) - shared, 1e-9)
    return over_union > 0.3 or shared / max(min(area(a), area(b)), 1e-9) > 0.65


def rows(folders):
    """The rows of built corpora, as dicts, with their folder, package and half (0 or 1)."""
    recipes = {}
    for name in ("dev2-a.csv", "dev2-b.csv"):
        for row in csv.DictReader(open(f"{HERE}/corpus/{name}")):
            recipes[row["id"]] = row["recipe"]
    found = [
        {**row, "file": f"{folder}/{row['path']}", "package": package(recipes[row["id"]])}
        for folder in folders
        for row in csv.DictReader(open(f"{folder}/labels.csv"))
    ]
    half = halves(found)
    return [{**row, "half": half[row["package"]]} for row in found]


def halves(found):
    """{package: 0 or 1}, so that both halves have as much of every kind as whole packages allow: the largest first."""
    packages = collections.defaultdict(collections.Counter)
    for row in found:
        packages[row["package"]][kind(row)] += 1
    total = sum(packages.values(), collections.Counter())
    half, have = {}, [collections.Counter(), collections.Counter()]
    for name in sorted(packages, key=lambda name: (-sum(packages[name].values()), name)):
        count = packages[name]
        # How uneven it would be, each kind in parts of all there is of it.
        uneven = [
            sum(abs(have[to][k] + count[k] - have[1 - to][k]) / total[k] for k in total) for to in (0, 1)
        ]
        half[name] = int(uneven[1] < uneven[0])
        have[half[name]].update(count)
    return half
