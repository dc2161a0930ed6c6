#!/usr/bin/env bash
# make demo-train: the demo's network, a narrow R(2+1)D-10, trained from scratch on synthetic motion by tools/train_net.py,
# then evaluated by tools/test_net.py on every engine that is here: the same figures each time.
# Usage: train_run.sh OUTPUT_FOLDER (its train* parts are made anew). PYTHON and CAFFE2_PYTHON as in run.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
CAFFE2_PYTHON=${CAFFE2_PYTHON:-.venv-caffe2/bin/python}
OUT=${1:?usage: scripts/demo/train_run.sh OUTPUT_FOLDER}

# Plain videos: on the hard ones of `make demo` it takes longer to learn anything from scratch.
# Clips of 4 frames, every fourth one: enough to see how the view moves, and half the work of 8.
NETWORK=(--model_name r2plus1d --model_depth 10 --channel_multiplier 0.1 --num_labels 8 --num_gpus 0
    --clip_length_rgb 4 --sampling_rate_rgb 4 --video_res_type 1 --num_decode_threads 2)

EPOCHS=6

rm -rf "$OUT"/train_{videos,lmdb,test,test_lmdb,run} "$OUT"/trained_*.json
mkdir -p "$OUT"
set -x
"$PYTHON" scripts/demo/make_videos.py --output "$OUT/train_videos" --videos_per_class 40 --seed 1 --plain
"$PYTHON" data/create_video_db.py --list_file "$OUT/train_videos/list.csv" --output_file "$OUT/train_lmdb"
"$PYTHON" scripts/demo/make_videos.py --output "$OUT/train_test" --videos_per_class 12 --seed 2 --plain
"$PYTHON" data/create_video_db.py --list_file "$OUT/train_test/list.csv" --output_file "$OUT/train_test_lmdb"
"$PYTHON" tools/train_net.py "${NETWORK[@]}" --engine pytorch --train_data "$OUT/train_lmdb" --test_data "$OUT/train_test_lmdb" \
    --batch_size 8 --epoch_size 800 --num_epochs "$EPOCHS" --base_learning_rate 0.05 --schedule cosine --warmup_epochs 1 \
    --weight_decay 0.0005 --jitter_scales 128 --random_mirror 0 --shuffle 1 --channels_last 1 --test_every 2 --test_batch_size 4 \
    --label_names "$OUT/train_videos/classes.txt" --file_store_path "$OUT/train_run" --save_model_name motion --report "$OUT/train_run/curves.html" \
    --output "$OUT/trained_training.json"
evaluate() { # evaluate INTERPRETER ENGINE
    "$1" tools/test_net.py "${NETWORK[@]}" --test_data "$OUT/train_test_lmdb" --engine "$2" --batch_size 4 \
        --load_model_path "$OUT/train_run/motion_$EPOCHS.mdl" --output "$OUT/trained_$2.json"
}
evaluate "$PYTHON" pytorch
{ set +x; } 2>/dev/null
if [ -x "$CAFFE2_PYTHON" ] && [ -e "${VMZ_OPS_LIBRARY:-build/ops/libvmz_ops.so}" ]; then
    set -x
    evaluate "$CAFFE2_PYTHON" caffe2
    { set +x; } 2>/dev/null
else
    echo "Skipped Caffe2: no environment with its operators. Run \`make setup-caffe2\` to create it (Python 3.9, 900 MB)."
fi
"$PYTHON" scripts/demo/train_summary.py "$OUT"
