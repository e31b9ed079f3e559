#pragma once

#include <atomic>

namespace deq {

/// While it lives, the first SIGINT or SIGTERM only sets a flag; the next of the same kind ends the process as usual.
/// The handlers that were there come back on destruction. A guard made while another lives changes nothing.
/// To be made and destroyed by one thread.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

/// True once a signal has arrived since the outermost InterruptGuard was made, while it lives. Loops ask it between
/// steps.
bool is_interrupted();

/// What is_interrupted tells, for programs (ProgramOptions::stop): their solves end before the next evaluation of f.
const std::atomic<bool>& interrupt_flag();

/// What stop_if_interrupted throws; main ends with kInterruptedStatus on it, as on Stopped, which ends a solve.
struct Interrupted {};

/// Ends a command that has nothing to save. Loops of such commands call it between steps.
void stop_if_interrupted();

/// Exit status of a command that was interrupted.
inline constexpr int kInterruptedStatus = 130;

}  // namespace deq
