#!/usr/bin/env bash
# The demo: videos of moving views, an LMDB of them, and the published evaluation protocol on a small R(2+1)D.
# Usage: run.sh OUTPUT_FOLDER (made anew). PYTHON names the interpreter of an environment that has VMZ.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
OUT=${1:?usage: scripts/demo/run.sh OUTPUT_FOLDER}

rm -rf "$OUT/test" "$OUT/test_lmdb" "$OUT/results.json"
mkdir -p "$OUT"
set -x
"$PYTHON" scripts/demo/make_videos.py --output "$OUT/test" --videos_per_class 12
"$PYTHON" data/create_video_db.py --list_file "$OUT/test/list.csv" --output_file "$OUT/test_lmdb"
"$PYTHON" tools/test_net.py --test_data "$OUT/test_lmdb" --load_model_path models_zoo/demo/motion_r2plus1d_10.pkl \
    --model_name r2plus1d --model_depth 10 --channel_multiplier 0.1 --num_labels 8 \
    --clip_length_rgb 8 --sampling_rate_rgb 1 --clip_per_video 10 --batch_size 4 --num_gpus 0 \
    --output "$OUT/results.json"
set +x
"$PYTHON" - "$OUT/results.json" <<'END'
import json, sys

figures = json.load(open(sys.argv[1]))["figures"]
print(", ".join(f"{name} {value:.3f}" for name, value in figures.items()))
print(f"chance is 0.125, 0.125 and 0.625; everything about this run: {sys.argv[1]}")
END
