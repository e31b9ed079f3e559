#include "train/interrupt.h"

#include <array>
#include <atomic>
#include <csignal>

namespace deq {

namespace {

constexpr std::array<int, 2> kSignals = {SIGINT, SIGTERM};

// A signal handler can reach nothing but globals; lock-free atomics are the ones it may write.
std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);
int depth = 0;  // guards alive
std::array<struct sigaction, kSignals.size()> previous{};

extern "C" void note_signal(int) { interrupted.store(true, std::memory_order_relaxed); }

}  // namespace

InterruptGuard::InterruptGuard() {
  if (depth++ > 0) return;
  interrupted.store(false, std::memory_order_relaxed);
  struct sigaction action {};
  action.sa_handler = note_signal;
  // RESETHAND: the second signal meets the default. RESTART: reads and writes of the loop go on undisturbed.
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &previous[i]);
}

InterruptGuard::~InterruptGuard() {
  if (--depth > 0) return;
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &previous[i], nullptr);
  interrupted.store(false, std::memory_order_relaxed);
}

bool is_interrupted() { return interrupted.load(std::memory_order_relaxed); }

const std::atomic<bool>& interrupt_flag() { return interrupted; }

void stop_if_interrupted() {
  if (is_interrupted()) throw Interrupted{};
}

}  // namespace deq
