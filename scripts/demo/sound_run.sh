#!/usr/bin/env bash
# make demo-sound: an audio-visual network trained on synthesised videos whose class needs picture and sound: sound alone,
# pictures alone, both plainly, and both with Gradient-Blending, whose weights the first three trainings give.
# Usage: sound_run.sh OUTPUT_FOLDER [ENGINE] (its sound* parts are made anew). ENGINE: pytorch (the default) or caffe2.
# PYTHON and CAFFE2_PYTHON as in run.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
CAFFE2_PYTHON=${CAFFE2_PYTHON:-.venv-caffe2/bin/python}
OUT=${1:?usage: scripts/demo/sound_run.sh OUTPUT_FOLDER [ENGINE]}
ENGINE=${2:-pytorch}
TRAINER=$PYTHON
if [ "$ENGINE" = caffe2 ]; then TRAINER=$CAFFE2_PYTHON; fi

TRAINING=(--engine "$ENGINE" --model_depth 18 --num_labels 4 --num_gpus 0 --clip_length_rgb 8 --sampling_rate_rgb 2
    --num_decode_threads 2 --train_data "$OUT/sound_train/list.csv" --test_data "$OUT/sound_test/list.csv"
    --batch_size 8 --epoch_size 0 --num_epochs 6 --base_learning_rate 0.01 --schedule cosine --warmup_epochs 1
    --weight_decay 0.0005 --jitter_scales 128 --shuffle 1 --test_every 1 --test_clip_per_video 1 --test_batch_size 8
    --top_k 1 --file_store_path "$OUT/sound_runs")
PICTURES=(--channel_multiplier 0.25)

rm -rf "$OUT"/sound_{train,test,runs} "$OUT"/sound_*.json
mkdir -p "$OUT"
train() { # train NAME FLAGS...
    local name=$1
    shift
    "$TRAINER" tools/train_net.py "${TRAINING[@]}" --save_model_name "$name" --output "$OUT/sound_$name.json" "$@"
}
set -x
"$PYTHON" scripts/demo/make_sound_videos.py --output "$OUT/sound_train" --videos_per_class 40 --seed 1
"$PYTHON" scripts/demo/make_sound_videos.py --output "$OUT/sound_test" --videos_per_class 15 --seed 2
train audio --model_name a_resnet --input_type 2 --channel_multiplier 0.25
train visual --model_name r3d --input_type 0 "${PICTURES[@]}"
train joint --model_name av_resnet-r3d --input_type 3 "${PICTURES[@]}"
# A tenth: what 60 test videos tell of an overfitting is no more exact.
"$PYTHON" tools/gblend_weights.py --least_overfitting 0.1 --audio "$OUT/sound_audio.json" --visual "$OUT/sound_visual.json" \
    --joint "$OUT/sound_joint.json" --output "$OUT/sound_weights.json"
read -r -a WEIGHTS <<<"$("$PYTHON" scripts/demo/sound_summary.py flags "$OUT")"
train blended --model_name av_resnet-r3d --input_type 3 "${PICTURES[@]}" --g_blend 1 "${WEIGHTS[@]}"
{ set +x; } 2>/dev/null
"$PYTHON" scripts/demo/sound_summary.py table "$OUT"
