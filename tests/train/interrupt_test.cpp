#include "train/interrupt.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <initializer_list>

namespace deq {

TEST_CASE("the first SIGINT or SIGTERM sets a flag") {
  for (const int signal : {SIGINT, SIGTERM}) {
    const InterruptGuard guard;
    CHECK_FALSE(is_interrupted());
    ::raise(signal);
    CHECK(is_interrupted());
  }
}

TEST_CASE("commands with nothing to save end where they ask") {
  const InterruptGuard guard;
  CHECK_NOTHROW(stop_if_interrupted());
  ::raise(SIGINT);
  CHECK_THROWS_AS(stop_if_interrupted(), Interrupted);
}

TEST_CASE("a guard inside another keeps the flag") {
  const InterruptGuard outer;
  ::raise(SIGINT);
  {
    const InterruptGuard inner;
    CHECK(is_interrupted());
  }
  CHECK(is_interrupted());
}

TEST_CASE("the flag that programs watch is down once nobody minds signals") {
  {
    const InterruptGuard guard;
    CHECK_FALSE(interrupt_flag());
    ::raise(SIGTERM);
    CHECK(interrupt_flag());
  }
  CHECK_FALSE(interrupt_flag());
  CHECK_FALSE(is_interrupted());
}

TEST_CASE("the second signal ends the process") {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGINT, SIG_DFL);
    const InterruptGuard guard;
    ::raise(SIGINT);
    ::raise(SIGINT);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGINT);
}

}  // namespace deq
