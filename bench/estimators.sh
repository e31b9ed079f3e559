#!/usr/bin/env bash
# Trains every gradient estimator on the same data from the same starts and prints one table in Markdown: test accuracy
# as mean and standard deviation over seeds, and training speed. Each seed is pre-trained once; its estimators go on
# from that checkpoint, so they differ in nothing else. A run that is there already is not trained again.
#
# usage: bench/estimators.sh [--out DIR] [--sets "shapes cifar10"] [--seeds "1 2 3"] [--estimators a,b,...]
#          [--pretrain N] [--steps N] [--batch N] [--train-size N] [--test-size N] [-- more flags of deq train]
#   --steps counts the steps after pre-training. CIFAR-10 needs DEQ_DATA_DIR.
# A short look:  bench/estimators.sh --sets shapes --seeds "1 2" --pretrain 40 --steps 20 --test-size 256
set -euo pipefail
cd "$(dirname "$0")/.."

deq=${DEQ:-build/release/deq}
out=build/estimators
sets="shapes cifar10"
seeds="1 2 3"
estimators=exact,shine,shine-fallback,gdeq,shine-refine-2,shine-refine-5,jfb,jfb-refine-5,limited-5,neumann-5,phantom-5,unrolled-5,nystrom-5
pretrain=300 steps=300 batch=64 train_size=10000 test_size=2000
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2 ;; --sets) sets=$2 ;; --seeds) seeds=$2 ;; --estimators) estimators=$2 ;;
    --pretrain) pretrain=$2 ;; --steps) steps=$2 ;; --batch) batch=$2 ;;
    --train-size) train_size=$2 ;; --test-size) test_size=$2 ;;
    --) shift; break ;;
    *) echo "estimators.sh: unknown argument '$1'; its first lines tell the usage" >&2; exit 2 ;;
  esac
  shift 2
done
[ -x "$deq" ] || { echo "estimators.sh: no program '$deq'; build it or set DEQ" >&2; exit 2; }

# train FOLDER CONFIG ESTIMATOR SEED FLAGS...
train() {
  local folder=$1 config=$2 estimator=$3 seed=$4
  shift 4
  "$deq" train "$config" --out "$folder" --quiet --set train.estimator="$estimator" --set train.seed="$seed" \
    --set data.seed="$seed" --set train.batch_size="$batch" --set train.pretrain_steps="$pretrain" \
    --set train.total_steps=$((pretrain + steps)) --set train.eval_every=$((pretrain + steps)) \
    --set data.train_size="$train_size" --set data.test_size="$test_size" --set train.eval_limit="$test_size" \
    "$@" >/dev/null
}

number() { grep -o "\"$2\": *[-0-9.e+]*" "$1" | head -1 | sed 's/.*: *//'; }

for set in $sets; do
  case $set in
    shapes) config=train/configs/shapes-mdeq.toml ;;
    cifar10) config=train/configs/cifar10-mdeq-tiny.toml ;;
    *) echo "estimators.sh: no set '$set'; there are shapes and cifar10" >&2; exit 2 ;;
  esac
  for seed in $seeds; do
    start=$out/$set-$seed/start
    [ -e "$start/summary.json" ] || { rm -rf "$start"; train "$start" "$config" jfb "$seed" --max-steps "$pretrain" "$@"; }
    for estimator in ${estimators//,/ }; do
      run=$out/$set-$seed/$estimator
      [ -e "$run/done" ] && continue
      rm -rf "$run"
      cp -r "$start" "$run"
      echo "$set, seed $seed, $estimator" >&2
      train "$run" "$config" "$estimator" "$seed" --resume "$@"
      touch "$run/done"
    done
  done
done

for set in $sets; do
  printf '\n%s: %s steps of %s images after %s of pre-training, seeds %s\n\n' "$set" "$steps" "$batch" "$pretrain" "$seeds"
  printf '| estimator | test accuracy, %% | images/s |\n|---|---|---|\n'
  for estimator in ${estimators//,/ }; do
    for seed in $seeds; do
      file=$out/$set-$seed/$estimator/summary.json
      echo "$(number "$file" test_accuracy) $(number "$file" images_per_s)"
    done | awk -v name="$estimator" '{ a += 100 * $1; aa += 1e4 * $1 * $1; r += $2; n++ }
      END { m = a / n; v = n > 1 ? (aa - n * m * m) / (n - 1) : 0
            printf "| %s | %.2f ± %.2f | %.0f |\n", name, m, sqrt(v > 0 ? v : 0), r / n }'
  done
done
