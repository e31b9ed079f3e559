#!/usr/bin/env bash
# Trains every gradient estimator on the same data from the same starts and prints one table in Markdown: test accuracy
# as mean and standard deviation over seeds, and training speed. Each seed is pre-trained once; its estimators go on
# from that checkpoint, so they differ in nothing else. What is there already is not trained again.
#
# Accuracy: runs of one thread each, as many at once as there are cores. Speed: afterwards, one run at a time with all
# threads, the estimators in turn, several rounds: the median of the steps of a round, in the fastest round, for other
# load can only slow a run down.
#
# usage: bench/estimators.sh [--out DIR] [--sets "shapes cifar10"] [--seeds "1 2 3"] [--estimators a,b,...] [--jobs N]
#          [--only accuracy|speed|table] [--rounds N] [--speed-steps N] [-- more flags of deq train]
#   --only accuracy trains, --only speed measures speed alone (again), --only table prints what is there.
#   CIFAR-10 needs DEQ_DATA_DIR. The model is MDEQ TINY on half the resolution (model.downsample_times = 1).
# A short look:  bench/estimators.sh --sets shapes --seeds "1 2" --estimators exact,shine,jfb
set -euo pipefail
cd "$(dirname "$0")/.."

export deq=${DEQ:-build/release/deq} out=build/estimators
sets="shapes cifar10" seeds="1 2 3" only="" rounds=3 speed_steps=6 jobs=$(nproc)
estimators=exact,shine,shine-fallback,gdeq,shine-refine-2,shine-refine-5,jfb,jfb-refine-5,limited-5,neumann-5
estimators+=,phantom-5,unrolled-5,nystrom-5,adjoint-broyden,adjoint-broyden-opa
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2 ;; --sets) sets=$2 ;; --seeds) seeds=$2 ;; --estimators) estimators=$2 ;; --jobs) jobs=$2 ;;
    --only) only=$2 ;; --rounds) rounds=$2 ;; --speed-steps) speed_steps=$2 ;;
    --) shift; break ;;
    *) echo "estimators.sh: unknown argument '$1'; its first lines tell the usage" >&2; exit 2 ;;
  esac
  shift 2
done
export more="$*"
case $only in
  "" | accuracy | speed | table) ;;
  *) echo "estimators.sh: --only takes accuracy, speed or table, not '$only'" >&2; exit 2 ;;
esac
[ -x "$deq" ] || { echo "estimators.sh: no program '$deq'; build it or set DEQ" >&2; exit 2; }

# Sets what belongs to a set of data.
choose() {
  case $1 in
    shapes) config=train/configs/shapes-mdeq.toml pretrain=100 steps=60 train_size=10000 ;;
    cifar10) config=train/configs/cifar10-mdeq-tiny.toml pretrain=300 steps=80 train_size=5000 ;;
    *) echo "estimators.sh: no set '$1'; there are shapes and cifar10" >&2; exit 2 ;;
  esac
}

# train FOLDER SET ESTIMATOR SEED FLAGS...
train() {
  local folder=$1 set=$2 estimator=$3 seed=$4
  shift 4
  choose "$set"
  # shellcheck disable=SC2086  # more flags are words
  "$deq" train "$config" --out "$folder" --quiet --set train.estimator="$estimator" --set train.seed="$seed" \
    --set data.seed="$seed" --set train.batch_size=32 --set train.pretrain_steps="$pretrain" \
    --set train.total_steps=$((pretrain + steps)) --set train.eval_every=$((pretrain + steps)) \
    --set data.train_size="$train_size" --set data.test_size=1000 --set train.eval_limit=1000 \
    --set train.unroll_steps=5 --set train.spectral_radius_steps=0 --set model.downsample_times=1 \
    --set model.dropout=0 --set solver.max_steps=10 --set solver.backward_max_steps=20 "$@" $more >/dev/null
}

# The pre-trained checkpoint of a set and a seed.
start() {
  local folder=$out/$1-$2/start
  choose "$1"
  [ -e "$folder/done" ] && return
  rm -rf "$folder"
  echo "$1, seed $2, pre-training" >&2
  train "$folder" "$1" jfb "$2" --threads 1 --max-steps "$pretrain"
  touch "$folder/done"
}

# One estimator from there.
finish() {
  local folder=$out/$1-$2/$3
  [ -e "$folder/done" ] && return
  rm -rf "$folder"
  cp -r "$out/$1-$2/start" "$folder"
  rm "$folder/done"
  echo "$1, seed $2, $3" >&2
  train "$folder" "$1" "$3" "$2" --threads 1 --resume
  touch "$folder/done"
}

# A few steps of one estimator with all threads: their median of images/s.
speed() {
  local set=$1 estimator=$2 seed=${seeds%% *} folder=$out/$1-${seeds%% *}/speed
  choose "$set"
  rm -rf "$folder"
  cp -r "$out/$set-$seed/start" "$folder"
  train "$folder" "$set" "$estimator" "$seed" --resume --max-steps $((pretrain + speed_steps + 1)) \
    --set train.log_every=1
  # The first step compiles the program.
  grep '"equilibrium"' "$folder/metrics.jsonl" | tail -n "$speed_steps" |
    sed 's/.*"images_per_s": *\([-0-9.e+]*\).*/\1/' | median >>"$out/$set-speed/$estimator"
  rm -rf "$folder"
}
export -f choose train start finish

median() { sort -g | awk '{ x[NR] = $1 } END { print (x[int((NR + 1) / 2)] + x[int(NR / 2) + 1]) / 2 }'; }
largest() { sort -g "$1" | tail -1 | awk '{ printf "%.0f", $1 }'; }
number() { grep -o "\"$2\": *[-0-9.e+]*" "$1" | head -1 | sed 's/.*: *//'; }

if [ -z "$only" ] || [ "$only" = accuracy ]; then
  for set in $sets; do for seed in $seeds; do echo "$set $seed"; done; done |
    xargs -P "$jobs" -L 1 bash -euo pipefail -c 'start "$@"' _
  for seed in $seeds; do for set in $sets; do for estimator in ${estimators//,/ }; do
    echo "$set $seed $estimator"
  done; done; done | xargs -P "$jobs" -L 1 bash -euo pipefail -c 'finish "$@"' _
fi

if [ -z "$only" ] || [ "$only" = speed ]; then
  for set in $sets; do
    start "$set" "${seeds%% *}"
    mkdir -p "$out/$set-speed"
    for estimator in ${estimators//,/ }; do rm -f "$out/$set-speed/$estimator"; done
    for _ in $(seq "$rounds"); do
      for estimator in ${estimators//,/ }; do speed "$set" "$estimator"; done
    done
  done
fi

[ "$only" = accuracy ] || [ "$only" = speed ] && exit
for set in $sets; do
  choose "$set"
  printf '\n%s: %s steps of 32 images after %s of pre-training, seeds %s\n\n' "$set" "$steps" "$pretrain" "$seeds"
  printf '| estimator | test accuracy, %% | images/s |\n|---|---|---|\n'
  for estimator in ${estimators//,/ }; do
    rate=$([ -e "$out/$set-speed/$estimator" ] && largest "$out/$set-speed/$estimator" || echo "not measured")
    for seed in $seeds; do
      folder=$out/$set-$seed/$estimator
      [ ! -e "$folder/done" ] || number "$folder/summary.json" test_accuracy
    done | awk -v name="$estimator" -v rate="$rate" -v wanted="$(wc -w <<<"$seeds")" '
      { a += 100 * $1; aa += 1e4 * $1 * $1; n++ }
      END { if (n == 0) { printf "| `%s` | not trained | %s |\n", name, rate; exit }
            m = a / n; v = n > 1 ? (aa - n * m * m) / (n - 1) : 0
            few = n < wanted ? sprintf(" (%d of %d seeds)", n, wanted) : ""
            printf "| `%s` | %.2f ± %.2f%s | %s |\n", name, m, sqrt(v > 0 ? v : 0), few, rate }'
  done
done
