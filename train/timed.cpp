#include "train/timed.h"

#include <algorithm>
#include <chrono>

#include "train/interrupt.h"

namespace deq {

std::vector<double> timed(int repeats, const std::function<void()>& call) {
  std::vector<double> out;
  call();
  for (int i = 0; i < repeats; ++i) {
    stop_if_interrupted();
    const auto start = std::chrono::steady_clock::now();
    call();
    out.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace deq
