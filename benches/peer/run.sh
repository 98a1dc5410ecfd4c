#!/usr/bin/env bash
# run.sh ART [DIR]: measures castline beside its peers in Python, and prints both tables: CPU time a picture on one core,
# and the whole job of 500 characters. ART is a folder of pictures to make the files from; DIR (a temporary folder) keeps
# them, the models and the Python environment. Needs Linux, python3 with venv, npm, cargo; twenty minutes on a quiet machine.
set -euo pipefail
art=$(realpath "$1") here=$(realpath "$(dirname "$0")")
dir=$(realpath -m "${2:-$(mktemp -d)}")
mkdir -p "$dir/models"
cd "$here/../.."
[ -x "$dir/venv/bin/python" ] || python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q numpy==2.4.6 pillow==13.0.0 opencv-python-headless==5.0.0.93 pyvips==3.2.0 \
    pyvips-binary==8.18.7 onnxruntime==1.32.0 boto3==1.44.8 requests
[ -f "$dir/models/centerface.onnx" ] || models/make.sh "$dir/models"
cargo build --release --locked
python=$dir/venv/bin/python
[ -d "$dir/pictures" ] || "$python" "$here/pictures.py" make "$art" "$dir/pictures" 24
"$python" "$here/pictures.py" run "$dir/pictures" "$dir/models" target/release/castline
"$python" "$here/job.py" "$dir/pictures" "$dir/models" target/release/castline
