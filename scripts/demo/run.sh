#!/usr/bin/env bash
# The demo: videos of moving views, an LMDB of them, and the published evaluation protocol on a small R(2+1)D.
# Where there is an environment with real Caffe2 and our operators, it runs the same evaluation and the two are compared.
# Usage: run.sh OUTPUT_FOLDER (made anew). PYTHON names the interpreter of an environment that has VMZ, CAFFE2_PYTHON that
# of the one which make setup-caffe2 makes.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
CAFFE2_PYTHON=${CAFFE2_PYTHON:-.venv-caffe2/bin/python}
OUT=${1:?usage: scripts/demo/run.sh OUTPUT_FOLDER}

# The checkpoint says which network it is of, how its clips are drawn and what its classes are called.
EVALUATION=(tools/test_net.py --test_data "$OUT/test_lmdb" --load_model_path models_zoo/demo/motion_r2plus1d_10.pkl
    --batch_size 4 --num_gpus 0)

rm -rf "$OUT"/{test,test_lmdb,results.json,report.html,scores.npz,results_caffe2.json,scores_caffe2.npz}
mkdir -p "$OUT"
set -x
"$PYTHON" scripts/demo/make_videos.py --output "$OUT/test" --videos_per_class 12
"$PYTHON" data/create_video_db.py --list_file "$OUT/test/list.csv" --output_file "$OUT/test_lmdb"
"$PYTHON" "${EVALUATION[@]}" --engine pytorch --output "$OUT/results.json" --save_scores "$OUT/scores.npz" \
    --report "$OUT/report.html" --list "$OUT/test/list.csv"
{ set +x; } 2>/dev/null
if [ ! -x "$CAFFE2_PYTHON" ]; then
    echo "Skipped Caffe2: $CAFFE2_PYTHON not found. Run \`make setup-caffe2\` to create it (Python 3.9, a download of 900 MB)."
elif [ ! -e "${VMZ_OPS_LIBRARY:-build/ops/libvmz_ops.so}" ]; then
    echo "Skipped Caffe2: its operators are not built. Run \`make setup-caffe2\` to build them."
else
    set -x
    "$CAFFE2_PYTHON" "${EVALUATION[@]}" --engine caffe2 --output "$OUT/results_caffe2.json" \
        --save_scores "$OUT/scores_caffe2.npz"
    { set +x; } 2>/dev/null
fi
"$PYTHON" scripts/demo/summary.py "$OUT"
