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

# The configuration of shapes is made for two minutes; that of CIFAR-10 is cut down to them.
data=shapes
config=train/configs/shapes-mdeq.toml
settings=()
if [ -n "${DEQ_DATA_DIR:-}" ] && { [ -e "$DEQ_DATA_DIR/cifar-10" ] || ls "$DEQ_DATA_DIR"/cifar-10-* >/dev/null 2>&1; }; then
  data=cifar10
  config=train/configs/cifar10-mdeq-tiny.toml
  settings=(--set train.total_steps=160 --set train.pretrain_steps=100 --set train.eval_every=80
    --set train.eval_limit=256 --set train.unroll_steps=5 --set solver.max_steps=12 --set model.dropout=0.0)
fi

rm -rf "$out/run" "$out/images" "$out/predictions.png"
mkdir -p "$out"

section "train on $data"
"$deq" train "$config" --out "$out/run" "${settings[@]}"

checkpoint=$out/run/checkpoints/best
section "evaluate $checkpoint"
"$deq" eval "$checkpoint" --limit 1000

section "classify images from files"
"$deq" data export "$data" --split test --count 40 --out "$out/images"
"$deq" predict "$checkpoint" "$out"/images/*.png --top-k 2 --sheet "$out/predictions.png"

section "done"
echo "contact sheet: $(realpath "$out/predictions.png")"
echo "more:          $deq --help"
