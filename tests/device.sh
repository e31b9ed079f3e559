#!/usr/bin/env bash
# Proves the CUDA backend on a machine with a GPU in one call of less than nine minutes: the tests labelled cuda, the
# benchmark of TINY and LARGE at batch 32 and 128, the same steps in PyTorch where it sees the GPU, compute-sanitizer on
# small cases, one table. A part that fails or is missing is named; the others run all the same.
#
#   tests/device.sh [--parts LIST] [--build DIR] [--out DIR]
#       LIST: of tests,benchmark,sanitizer,pytorch; default all. Two calls of two parts each have twice the time.
#       DIR: a build with -DDEQ_CUDA=ON; default build/cuda, built when missing
#   tests/device.sh --train DATA [--epochs N] [--build DIR] [--out DIR]
#       trains TINY as its configuration says (50 epochs; DATA holds cifar-10/) instead, and wants 85 % of the test
#       images
#   tests/device.sh --bundle DIR [--with-nvidia]
#       packs programs, tests, configurations and the shared libraries they need into DIR, and DIR into DIR.tar.gz, for
#       a machine of the same system without packages: unpack it there and run DIR/device.sh. cuDNN and cuBLASLt are
#       large and come along only when asked for; otherwise they are taken from the system, /usr/local/cuda or the
#       Python wheels over there.
#
# Exit status: 0 all that could run is right (what could not is printed as SKIPPED), 1 something failed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
limit_s=530 train_limit_s=560
tests=(core_tests solvers_tests train_tests)

build= out= bundle= with_nvidia= train= epochs=50 parts=tests,benchmark,sanitizer,pytorch
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=$2; shift ;; --out) out=$2; shift ;; --bundle) bundle=$2; shift ;; --with-nvidia) with_nvidia=1 ;;
    --train) train=$2; shift ;; --epochs) epochs=$2; shift ;; --parts) parts=$2; shift ;;
    *) echo "device.sh: unknown argument '$1'; its first lines tell the usage" >&2; exit 2 ;;
  esac
  shift
done

[ -z "$train" ] || train=$(cd "$train" && pwd) || exit 2
for part in ${parts//,/ }; do
  case $part in
    tests | benchmark | sanitizer | pytorch) ;;
    *) echo "device.sh: there is no part '$part', only tests, benchmark, sanitizer and pytorch" >&2; exit 2 ;;
  esac
done
wants() { [[ ",$parts," == *",$1,"* ]]; }
section() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }
skip() { echo "SKIPPED: $1"; }
failures=()
fail() { failures+=("$1"); echo "FAILED: $1"; }

# make_build DIR FLAGS...: configures and builds what this script runs.
make_build() {
  local folder=$1
  shift
  cmake --preset cuda -B "$folder" "$@" >/dev/null &&
    cmake --build "$folder" -j "$(nproc)" --target deq "${tests[@]}"
}

# pack: the bundle. Machine code for the oldest x86-64 with the instruction sets picked at run time, for the GPUs named
# by DEQ_CUDA_ARCHITECTURES (default 90).
pack() {
  set -e
  cd "$here/.."
  make_build build/device -DDEQ_NATIVE=OFF -DDEQ_CUDA_ARCHITECTURES="${DEQ_CUDA_ARCHITECTURES:-90}"
  mkdir -p "$bundle/bin" "$bundle/lib" "$bundle/configs" "$bundle/bench"
  local program
  for program in deq "${tests[@]}"; do
    strip -o "$bundle/bin/$program" "build/device/$program"
    ldd "build/device/$program"
  done | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u | while read -r library; do
    case $library in
      # Of one piece with the loader over there:
      */libc.so.* | */libm.so.* | */libpthread.so.* | */libdl.so.* | */librt.so.* | */libresolv.so.*) ;;
      */libnss_* | */libanl.so.* | */libutil.so.*) ;;
      *cudnn* | *cublas*) [ -z "$with_nvidia" ] || cp -L "$library" "$bundle/lib/" ;;
      *) cp -L "$library" "$bundle/lib/" ;;
    esac
  done
  if [ -n "$with_nvidia" ]; then  # cuDNN loads its parts by name
    cp -L "$(dirname "$(ldd build/device/deq | awk '/cudnn/ {print $3}')")"/libcudnn*.so.9 "$bundle/lib/"
  fi
  cp train/configs/{shapes-mdeq,cifar10-mdeq-tiny,cifar10-mdeq-large}.toml "$bundle/configs/"
  cp bench/{torch_cuda,torch_mdeq,torch_implicit,compare_pytorch,device_table}.py "$bundle/bench/"
  cp tests/device.sh "$bundle/"
  if [ -n "${DEQ_REFERENCE_DIR:-}" ]; then
    mkdir -p "$bundle/reference" && cp -r "$DEQ_REFERENCE_DIR/mdeq-mini" "$bundle/reference/"
  fi
  tar -C "$(dirname "$bundle")" -czf "$bundle.tar.gz" "$(basename "$bundle")"
  du -sh "$bundle" "$bundle.tar.gz"
}

if [ -n "$bundle" ]; then
  mkdir -p "$bundle" && bundle=$(cd "$bundle" && pwd)
  (pack)
  exit
fi

if [ -d "$here/bin" ]; then  # inside a bundle
  bin=$here/bin
  export DEQ_PROGRAM=$bin/deq DEQ_CONFIGS=$here/configs
  [ -d "$here/reference" ] && export DEQ_REFERENCE_DIR=${DEQ_REFERENCE_DIR:-$here/reference}
  scripts=$here/bench
  libraries=$here/lib
else
  cd "$here/.." || exit 1
  bin=${build:-build/cuda}
  if [ ! -x "$bin/deq" ]; then
    section "build"
    make_build "$bin" || exit 1
  fi
  bin=$(cd "$bin" && pwd)
  export DEQ_PROGRAM=$bin/deq DEQ_CONFIGS=$PWD/train/configs
  scripts=$PWD/bench
  libraries=
fi
for folder in $(python3 -c 'import glob, site
print(*(g for s in site.getsitepackages() + [site.getusersitepackages()] for g in glob.glob(s + "/nvidia/*/lib")))' \
    2>/dev/null) /usr/local/cuda/lib64; do
  [ -d "$folder" ] && libraries=$libraries:$folder
done
# For our programs alone: PyTorch has libraries of its own.
ours=(env GOMP_SPINCOUNT=2000 "LD_LIBRARY_PATH=${libraries#:}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}")
out=${out:-$(mktemp -d)}
mkdir -p "$out" && out=$(cd "$out" && pwd)

# limited SECONDS COMMAND...: at most so long, and never past the end of the whole.
limited() {
  local most=$1 left=$((limit_s - SECONDS))
  shift
  [ "$left" -gt 5 ] || { echo "no time left" >&2; return 124; }
  timeout --kill-after=5 "$((most < left ? most : left))" "$@"
}

section "machine"
if ! limited 60 "${ours[@]}" "$bin/deq" info; then
  fail "deq does not start here"
fi
has_gpu=
# Without -q, with which grep may end before deq does, whose end by a broken pipe would then be that of both.
limited 60 "${ours[@]}" "$bin/deq" info --json 2>/dev/null | grep '"cuda:0"' >/dev/null && has_gpu=1
[ -n "$has_gpu" ] || skip "this machine has no GPU that deq can use; what follows skips itself"

if [ -n "$train" ]; then
  section "training, $epochs epochs"
  [ -n "$has_gpu" ] || exit 0
  # An evaluation every fifth epoch: 781 whole steps of 64 images are one.
  # Interrupted, it saves; the same command with another limit goes on.
  resume=
  [ ! -d "$out/run" ] || resume=--resume
  timeout --signal=INT --kill-after=20 "$train_limit_s" "${ours[@]}" "$bin/deq" train \
    "$DEQ_CONFIGS/cifar10-mdeq-tiny.toml" --data "$train" --out "$out/run" --device cuda $resume \
    --set train.epochs="$epochs" --set train.eval_every=3905 --set train.eval_batch_size=250 2>"$out/train.log" ||
    { tail -n 3 "$out/train.log"; grep '"split"' "$out/run/metrics.jsonl" | tail -n 3
      echo "FAILED: not trained to the end within $train_limit_s s; the run is in $out/run"; exit 1; }
  grep -E '"(seconds|images_per_s|test_accuracy|best_accuracy)"' "$out/run/summary.json"
  accuracy=$(sed -n 's/.*"test_accuracy": *\([0-9.]*\).*/\1/p' "$out/run/summary.json")
  section "done, the run is in $out/run"
  awk -v found="$accuracy" 'BEGIN { exit !(found >= 0.85) }' && exit 0
  echo "FAILED: $accuracy of the test images, not 0.85"
  exit 1
fi

run_tests() {
  section "tests labelled cuda"
  local program
  for program in "${tests[@]}"; do
    if limited 170 "${ours[@]}" "$bin/$program" --source-file='*/cuda_*' --no-intro=1 >"$out/$program.log" 2>&1; then
      grep -h '^SKIPPED' "$out/$program.log" | sort | uniq -c
      grep -h 'test cases:' "$out/$program.log" | sed "s/^/$program: /"
      ! grep -q 'test cases: *0 |' "$out/$program.log" || fail "$program holds no test labelled cuda"
    else
      grep -hE 'ERROR|TEST CASE|values:|logged:|error|no time left' "$out/$program.log" | head -60
      fail "$program (whole output in $out/$program.log)"
    fi
  done
}

# measure NAME MODEL BATCH FLAGS...
measure() {
  local name=$1 model=$2 batch=$3
  if [ -z "$has_gpu" ]; then
    skip "benchmark of $name, for want of a GPU"
    return
  fi
  limited 60 "${ours[@]}" "$bin/deq" bench "$DEQ_CONFIGS/cifar10-mdeq-$model.toml" --batch "$batch" --repeats 5 --json \
    --quiet --device cuda "${@:4}" >"$out/deq-$name.json" 2>"$out/deq-$name.err" ||
    { fail "benchmark of $name, status $?: $(tail -n 1 "$out/deq-$name.err")"; rm -f "$out/deq-$name.json"; }
}
run_benchmark() {
  section "benchmark"
  local model batch
  for model in tiny large; do
    for batch in 32 128; do
      measure $model-$batch $model $batch --estimators shine,jfb,shine-refine-5,exact
    done
  done
  measure tiny-128-bf16 tiny 128 --estimators shine,jfb --set compute.precision=bf16
}

has_torch() { limited 60 python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; }
run_eager() {
  section "PyTorch eager"
  limited 150 python3 "$scripts/torch_cuda.py" "$DEQ_CONFIGS"/cifar10-mdeq-{tiny,large}.toml --batch 32,128 --rounds 3 \
    --out "$out" >"$out/eager.log" 2>&1 || skip "the rest of PyTorch eager: $(tail -n 1 "$out/eager.log")"
}
run_compiled() {
  section "PyTorch compiled"
  local model batch log
  for model in tiny large; do  # side by side: compiling takes minutes, all of them on the processor
    for batch in 32 128; do
      log=$out/compiled-$model-$batch.log
      { limited 200 python3 "$scripts/torch_cuda.py" "$DEQ_CONFIGS/cifar10-mdeq-$model.toml" --batch "$batch" \
        --rounds 3 --estimators shine,jfb --compile --turn "$out/turn" --out "$out" >"$log" 2>&1 ||
        skip "PyTorch compiled, $model at $batch: $(tail -n 1 "$log")"; } &
    done
  done
  wait
}

# sanitized NAME TOOL COMMAND...: our libraries are for the command alone, not for the sanitizer.
sanitized() {
  local log=$out/sanitizer-$1.log status=0
  limited 90 "$sanitizer" --target-processes all --tool "$2" --error-exitcode 9 "${ours[@]}" "${@:3}" >"$log" 2>&1 ||
    status=$?
  if [ "$status" -eq 0 ]; then
    echo "$1, $2: $(tail -n 1 "$log")"
  elif grep -q 'Device not supported' "$log"; then
    skip "compute-sanitizer $2 on $1: it does not support this machine"
  elif [[ $status = 124 || $status = 137 ]] &&  # ended by the limit, or killed after it
    ! grep -qE '===== (Invalid|Race|Error: Race|[A-Z]* SUMMARY: [1-9])' "$log"; then
    skip "compute-sanitizer $2 on $1: no time left"
  else
    grep -E '=====' "$log" | head -20
    fail "compute-sanitizer $2 on $1 ($log)"
  fi
}
run_sanitizer() {
  section "compute-sanitizer"
  local sanitizer tool precision
  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
  if [ -z "$has_gpu" ]; then
    skip "compute-sanitizer, for want of a GPU"
    return
  elif [ -z "$sanitizer" ]; then
    skip "compute-sanitizer is not installed here"
    return
  fi
  # First what has most shared memory and copies on its way: bf16 and TF32, which have kernels of their own.
  for tool in memcheck racecheck; do
    for precision in bf16 tf32; do
      sanitized "op-grid-$precision-$tool" $tool "$bin/core_tests" --source-file='*/cuda_op_grid*' \
        --test-case="*in $precision*"
    done
  done
  for tool in memcheck racecheck; do
    sanitized "solver-operations-$tool" $tool "$bin/solvers_tests" --source-file='*/cuda_*' \
      --test-case='*bits*,*operations*'
  done
  rm -rf "$out/sanitized"
  sanitized training-step memcheck "$bin/deq" train "$DEQ_CONFIGS/shapes-mdeq.toml" --out "$out/sanitized" \
    --set train.batch_size=2 --set train.pretrain_steps=1 --set train.total_steps=2 --set train.eval_limit=2 \
    --set data.train_size=8 --set data.test_size=2 --set solver.max_steps=3 --device cuda --quiet
  sanitized op-grid-f32-memcheck memcheck "$bin/core_tests" --source-file='*/cuda_op_grid*' --test-case='*in f32*'
}

# Compiling comes last: it takes minutes, and what it is compared with has been measured by then.
wants tests && run_tests
wants benchmark && run_benchmark
torch=
if wants pytorch; then
  has_torch && torch=1
  [ -n "$torch" ] || skip "PyTorch: not importable here or without a GPU"
fi
[ -z "$torch" ] || run_eager
wants sanitizer && run_sanitizer
[ -z "$torch" ] || run_compiled

section "table"
if [ -z "$has_gpu" ]; then
  skip "nothing was measured"
elif command -v python3 >/dev/null; then
  python3 "$scripts/device_table.py" "$out"
else
  cat "$out"/deq-*.json
fi

section "done, everything is in $out"
[ ${#failures[@]} -eq 0 ] && exit 0
printf 'FAILED: %s\n' "${failures[@]}"
exit 1
