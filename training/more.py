#!/usr/bin/env python3
"""more.py FOLDER OUT.json: faces that photo-trained networks don't see, with boxes that a person looked at.

Fetches game art and icons of people and creatures into FOLDER, and writes where more.json (a box in parts of width and
height, or null where there is no face) says what is in them, for train.py. The pictures are not kept in this repository.
Needs apt-get, dpkg, unzip, node with npm.
"""

import glob
import json
import os
import shutil
import subprocess
import sys

GAMES = "freecol megaglest-data adonthell-data openarena-data openarena-081-players openarena-085-data openarena-088-data"
# So often as others: what there is little of.
DRAWN_CREATURES, GAME_ART = 4, 2
CREATURES = "alien angry-face clown-face ghost goblin jack-o-lantern moai ogre robot skull smiling-face-with-horns".split()


def fetch(folder):
    os.makedirs(folder, exist_ok=True)
    for package in GAMES.split():
        if not os.path.isdir(f"{folder}/{package}"):
            subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True)
            archive = os.path.basename(glob.glob(f"{folder}/{package}_*.deb")[0])
            subprocess.run(["dpkg", "-x", archive, package], cwd=folder, check=True)
        # Later packages of OpenArena patch earlier ones.
        for pack in sorted(glob.glob(f"{folder}/{package}/**/baseoa/*.pk3", recursive=True)):
            subprocess.run(
                ["unzip", "-qo", os.path.abspath(pack), "models/players/*", "-d", "openarena"], cwd=folder
            )


def draw(folder, icons):
    here = os.path.dirname(os.path.abspath(__file__))
    shutil.copy(f"{here}/icons.mjs", folder)
    packages = "@resvg/resvg-js@2 @iconify-json/noto@1 @iconify-json/fluent-emoji-flat@1 @iconify-json/twemoji@1".split()
    subprocess.run(["npm", "init", "-y"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["npm", "install", "--silent", *packages], cwd=folder, check=True)
    subprocess.run(["node", "icons.mjs", "icons"], cwd=folder, check=True, input="\n".join(icons), text=True)


def main():
    folder, target = sys.argv[1:]
    boxes = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "more.json")))
    fetch(folder)
    draw(folder, [path.removeprefix("icons/") for path in boxes if path.startswith("icons/")])
    faces, others = [], []
    for path, box in boxes.items():
        name = os.path.basename(path).partition("_")[2]
        often = (
            GAME_ART
            if not path.startswith("icons/")
            else DRAWN_CREATURES if name.startswith(tuple(CREATURES)) else 1
        )
        (faces if box else others).extend([[f"{folder}/{path}", box] if box else f"{folder}/{path}"] * often)
    json.dump({"pos": faces, "neg": others}, open(target, "w"))
    print(len(faces), "faces,", len(others), "without")


if __name__ == "__main__":
    main()
