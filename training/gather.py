#!/usr/bin/env python3
"""gather.py FOLDER OUT.json [LIST.json]: faces that are not built like a human head, pen, pixel and covered ones, and things
without a face, out of packages that are not measured with. The pictures are not kept in this repository.

LIST, else gathered.json, says what is taken: a box in parts of width and height, or null where there is no face, by package
and file; the boxes were looked at one by one, or once for a style whose faces stand where they stand.
  deb/PACKAGE  files of a Debian package        icon/SET  icons of npm @iconify-json/SET
  gen/STYLE    `count` avatars that are drawn, all with the face at `box`
Licences: Debian's packages are free, see /usr/share/doc of each (scratch: MIT, GPL, CC BY-SA; pysiogame, ardentryst, pingus,
brainparty, xbubble: GPL, CC BY-SA; gigalomania: CC BY, CC0, GPL; hannah, slimevolley: GPL; gnome-icon-theme, oxygen: LGPL,
GPL). Icons: openmoji CC BY-SA 4.0; twemoji CC BY 4.0; fxemoji, noto-v1, icon-park Apache-2.0; the others MIT. Avatars:
robohash's parts CC BY 3.0 and 4.0; django-robohash-svg LGPL 2.1; animal-avatar, generate-avatar, DiceBear's sprites MIT;
facesjs Apache-2.0; multiavatar under a free licence of its own.
Needs apt-get, dpkg, node with npm, Pillow.
"""

import glob
import json
import os
import random
import shutil
import subprocess
import sys

from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
SIDE = 288
NPM = """@multiavatar/multiavatar@1 facesjs@5 generate-avatar@1 @dicebear/avatars@4 @dicebear/avatars-male-sprites@4
    @dicebear/avatars-female-sprites@4 @dicebear/avatars-human-sprites@4 @resvg/resvg-js@2""".split()
PYPI = "robohash==2.0 animal-avatar==0.0.5 django-robohash-svg==0.9.5".split()
ROBOTS = ("set1", "set2", "set3", "set4")


def fetch(folder, groups):
    """Fetches the packages of these groups into a folder."""
    node, python = f"{folder}/npm", f"{folder}/python"
    if not os.path.isdir(node):
        os.makedirs(node)
        icons = [f"@iconify-json/{group[5:]}@1" for group in groups if group.startswith("icon/")]
        install = "npm install --ignore-scripts --no-audit --no-fund --legacy-peer-deps --silent --prefix".split()
        subprocess.run([*install, node, *NPM, *icons], check=True)
    if not os.path.isdir(python):
        install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", python]
        subprocess.run([*install, *PYPI], check=True)
    for package in (group[4:] for group in groups if group.startswith("deb/")):
        if not os.path.isdir(f"{folder}/{package}"):
            subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True)
            archive = os.path.basename(glob.glob(f"{folder}/{package}_*.deb")[0])
            subprocess.run(["dpkg", "-x", archive, package], cwd=folder, check=True)


def robot(folder, style, seed):
    """A picture of robohash: one part of each kind, laid over one another."""
    pick, parts = random.Random(seed), f"{folder}/python/robohash/sets/{style}"
    if style == "set1":
        parts += "/" + pick.choice(sorted(os.listdir(parts)))
    picture = Image.new("RGBA", (SIDE, SIDE))
    for part in sorted(os.listdir(parts), key=lambda name: name.split("#")[1]):
        if files := sorted(glob.glob(f"{parts}/{part}/*.png")):
            layer = Image.open(pick.choice(files)).convert("RGBA")
            picture.alpha_composite(layer.resize((SIDE, SIDE)))
    return picture


def svg(style, seed):
    """What the styles draw that are written in Python; None for the others."""
    random.seed(seed)
    if style == "animalpy":
        from animal_avatar.animal_avatar import Avatar

        return Avatar(seed, size=SIDE).create_avatar()
    if style == "robosvg":
        from django_robohash.robotmaker import make_robot_svg

        return make_robot_svg(seed, SIDE, SIDE)
    return None


def copied(path):
    """A picture with its longer side as long as SIDE; enlarged pixel art keeps its edges."""
    picture = Image.open(path).convert("RGBA")
    scale = SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.NEAREST if scale >= 2 else Image.LANCZOS)


def main():
    folder, target, *lists = map(os.path.abspath, sys.argv[1:])
    os.makedirs(f"{folder}/pictures", exist_ok=True)
    groups = json.load(open(lists[0] if lists else f"{HERE}/gathered.json"))
    fetch(folder, groups)
    sys.path.insert(0, f"{folder}/python")
    found, drawn = [], []
    for group, taken in groups.items():
        kind, name = group.split("/", 1)
        if kind == "gen":
            taken = {f"g{number}": taken["box"] for number in range(taken["count"])}
        for item, box in taken.items():
            file = f"{kind}+{name}+{os.path.splitext(item)[0] if kind == 'deb' else item}"
            path = f"{folder}/pictures/{file.replace('/', '+').replace(' ', '_')}.png"
            found.append((path, box))
            if kind == "deb":
                copied(f"{folder}/{name}/{item}").save(path)
            elif name in ROBOTS:
                robot(folder, name, item).save(path)
            else:
                drawn.append([kind, name, item, svg(name, item) if kind == "gen" else None, path])
    shutil.copy(f"{HERE}/gather.mjs", f"{folder}/npm")
    drawing = subprocess.run(["node", "gather.mjs"], cwd=f"{folder}/npm", input=json.dumps(drawn), text=True)
    drawing.check_returncode()
    found = [(path, box) for path, box in found if os.path.exists(path)]
    faces = [[path, box] for path, box in found if box]
    others = [path for path, box in found if not box]
    json.dump({"pos": faces, "neg": others}, open(target, "w"))
    print(len(faces), "faces,", len(others), "without")


if __name__ == "__main__":
    main()
