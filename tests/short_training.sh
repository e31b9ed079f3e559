#!/usr/bin/env bash
# Trains a small model for a few steps, resumes it, evaluates it and predicts: the whole job in seconds.
set -euo pipefail
deq=$(realpath "$1")
here=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
settings=(--set train.batch_size=16 --set train.pretrain_steps=4 --set train.total_steps=8 --set train.eval_every=4
  --set train.eval_limit=32 --set data.train_size=128 --set data.test_size=32 --set train.log_every=1)
"$deq" train "$here/train/configs/shapes-mdeq.toml" --out "$folder/run" "${settings[@]}" --max-steps 6 --quiet
"$deq" train "$here/train/configs/shapes-mdeq.toml" --out "$folder/run" "${settings[@]}" --resume --quiet
"$deq" eval "$folder/run/checkpoints/last" --limit 32 --quiet --json
"$deq" info "$folder/run/checkpoints/last/model.safetensors" >/dev/null
test "$(wc -l <"$folder/run/metrics.jsonl")" -ge 8
