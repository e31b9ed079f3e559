#!/usr/bin/env bash
# From a bare Debian 12 to a trained multiscale DEQ that classifies image files: installs, builds, trains for about
# two minutes on two cores, evaluates, saves, reloads the checkpoint and shows its answers.
# Trains on the drawn set `shapes`, or on CIFAR-10 when DEQ_DATA_DIR holds it. Every run starts afresh.
# Usage: quickstart.sh [--out FOLDER]     FOLDER is replaced; default: build/quickstart
set -euo pipefail
cd "$(dirname "$0")/.."

out=build/quickstart
case "${1:-}" in
  "") ;;
  --out) out=${2:?"--out needs a folder"} ;;
  *) echo "quickstart.sh: unknown argument '$1'; usage: quickstart.sh [--out FOLDER]" >&2; exit 2 ;;
esac
if [ -d "$out" ] && [ -n "$(ls -A "$out")" ] && [ ! -d "$out/run" ]; then
  echo "quickstart.sh: '$out' holds something else; give an empty or absent folder" >&2
  exit 2
fi

section() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

section "install"
bash tests/install.sh build

section "build"
options=()
command -v ccache >/dev/null && options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
[ -e /usr/include/doctest/doctest.h ] || options+=(-DDEQ_TESTS=OFF)
cmake --preset release "${options[@]}" >/dev/null
cmake --build --preset release -j "$(nproc)" --target deq
deq=build/release/deq

# CIFAR-10 in two minutes: few pre-training steps, a short schedule, evaluation on a part of the test images.
data=shapes
settings=()
if [ -n "${DEQ_DATA_DIR:-}" ] && [ -e "$DEQ_DATA_DIR/cifar-10" ]; then
  data=cifar10
  settings=(--set train.pretrain_steps=150 --set train.total_steps=250 --set train.unroll_steps=5
    --set train.eval_every=125 --set train.eval_limit=512 --set model.dropout=0.0 --set train.log_every=5)
fi
case $data in
  shapes) config=train/configs/shapes-mdeq.toml ;;
  cifar10) config=train/configs/cifar10-mdeq-tiny.toml ;;
esac

rm -rf "$out/run" "$out/images" "$out/predictions.png"
mkdir -p "$out"

section "train on $data"
"$deq" train "$config" --out "$out/run" "${settings[@]}"

checkpoint=$out/run/checkpoints/best
section "evaluate $checkpoint"
"$deq" eval "$checkpoint" --limit 2000

section "classify images from files"
"$deq" data export "$data" --split test --count 40 --out "$out/images"
"$deq" predict "$checkpoint" "$out"/images/*.png --top-k 2 --sheet "$out/predictions.png"

section "done"
echo "contact sheet: $(realpath "$out/predictions.png")"
echo "more:          $deq --help"
