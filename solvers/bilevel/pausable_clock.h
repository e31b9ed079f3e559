#pragma once

#include <chrono>

namespace deq {

/// Wall-clock time since construction, without the spans between pause() and resume().
class PausableClock {
 public:
  [[nodiscard]] double seconds() const {
    const Clock::duration running = is_paused_ ? Clock::duration::zero() : Clock::now() - since_;
    return std::chrono::duration<double>(total_ + running).count();
  }
  void pause() {
    if (is_paused_) return;
    total_ += Clock::now() - since_;
    is_paused_ = true;
  }
  void resume() {
    if (!is_paused_) return;
    since_ = Clock::now();
    is_paused_ = false;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point since_ = Clock::now();
  Clock::duration total_{};
  bool is_paused_ = false;
};

}  // namespace deq
