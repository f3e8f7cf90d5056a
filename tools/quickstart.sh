#!/usr/bin/env bash
# From a bare machine with python3 to a tracker that learned: installs, paints videos, packs them, trains SiamRPN++ (a narrow
# ResNet-18), tracks videos that it has never seen, and shows success plot and video. About five minutes on two CPU cores.
# Arguments are changes to configs/siamrpnpp_quickstart.py, as KEY=VALUE.
EXTRAS='' source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
config=configs/siamrpnpp_quickstart.py
work=work_dirs/quickstart
videos="$work/videos"
mkdir -p "$work"
start=$(date +%s)
say() { printf '== %s (%s s)\n' "$1" "$(($(date +%s) - start))"; }

say "synthetic videos: 400 short ones to learn from, 12 others to track"
rm -rf "$videos" "$work"/*.lmdb "$work"/epoch_*.pth "$work"/best_*.pth "$work/results"
python tools/make_synthetic_vid.py "$videos" --videos 400 --frames 12 --split train --seed 0
python tools/make_synthetic_vid.py "$videos" --videos 12 --frames 60 --split val --seed 0
say "packing"
for split in train val; do
    python tools/pack_dataset.py vid "$videos" "$work/$split.lmdb" --split "$split" --crop-size 383 --template-size 95
done
say "training"
trained=$(date +%s)
options=()
if [ $# -gt 0 ]; then options=(--cfg-options "$@"); fi
python tools/train.py "$config" --work-dir "$work" "${options[@]}"
train_seconds=$(($(date +%s) - trained))
say "pairs never seen, in one look"
last=$(ls -v "$work"/epoch_*.pth | tail -n 1)
python tools/analysis/evaluate_pairs.py "$config" "$last" "${options[@]}"
say "tracking the held-out videos"
python tools/test.py "$config" "$last" --benchmark vid --data-root "$videos" --split val --out "$work/results" --static \
    --tracker-name SiamRPN++ --batch-videos 4 "${options[@]}"
python tools/analysis/summarize_quickstart.py "$work" "$train_seconds"
say "done"
