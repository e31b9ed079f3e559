#!/usr/bin/env bash
# Installs what is missing, builds, and passes every test: format, unit and program tests, the sanitizer build of
# core, autodiff and solvers, the CUDA code where there is nvcc, an installed consumer, a short training from start to
# prediction.
# DEQ_REFERENCE_DIR and DEQ_DATA_DIR add the tests that need reference numbers and real data.
set -euo pipefail
cd "$(dirname "$0")/.."
bash tests/install.sh

section() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }
export CMAKE_CXX_COMPILER_LAUNCHER=ccache
jobs=$(nproc)

section "format"
git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format --dry-run --Werror

section "build"
cmake --preset release >/dev/null
cmake --build --preset release -j "$jobs"

section "sanitizers"
cmake --preset asan >/dev/null
cmake --build --preset asan -j "$jobs" --target core_tests autodiff_tests solvers_tests
# Leaks inside the OpenMP runtime are not ours; everything else stops the run.
ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
  ctest --test-dir build/asan -R '^(core|autodiff|solvers)/' --output-on-failure

section "cuda"
nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)
if [ -z "$nvcc" ]; then
  echo "SKIPPED: no nvcc, neither in PATH nor in /usr/local/cuda"
elif ! CMAKE_CUDA_COMPILER_LAUNCHER=ccache cmake --preset cuda -DDEQ_CUDA_ARCHITECTURES=90 >build/cuda.log 2>&1; then
  grep -q 'DEQ_CUDA is on, but' build/cuda.log || { cat build/cuda.log; exit 1; }
  echo "SKIPPED: $(grep -A2 'DEQ_CUDA is on, but' build/cuda.log | tr -s ' \n' ' ')"
else
  cmake --build --preset cuda -j "$jobs" --target deq core_tests solvers_tests train_tests
  ctest --test-dir build/cuda -L cuda --output-on-failure
  bash tests/device.sh --build build/cuda  # whatever this machine lacks is printed as SKIPPED
fi

section "short training"
bash tests/short_training.sh build/release/deq

section "tests"
ctest --preset release
