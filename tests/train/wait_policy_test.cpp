#include "core/wait_policy.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"

namespace deq::test {
namespace {

/// What the OpenMP library of the program says of its settings, where the environment has those given and no others.
std::string settings(const char* name, const char* value) {
  for (const char* other : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}) ::unsetenv(other);
  if (name != nullptr) ::setenv(name, value, 1);
  ::setenv("OMP_DISPLAY_ENV", "VERBOSE", 1);
  const Outcome outcome = run_program("--version");
  ::unsetenv("OMP_DISPLAY_ENV");
  if (name != nullptr) ::unsetenv(name);
  CHECK(outcome.status == 0);
  CHECK(contains(outcome.out, "deq "));
  return outcome.err;
}

}  // namespace

TEST_CASE("threads of the program give up their core soon, unless the environment says otherwise") {
  CHECK(contains(settings(nullptr, nullptr), "GOMP_SPINCOUNT = '2000'"));
  CHECK(contains(settings("GOMP_SPINCOUNT", "7"), "GOMP_SPINCOUNT = '7'"));
  CHECK_FALSE(contains(settings("OMP_WAIT_POLICY", "passive"), "GOMP_SPINCOUNT = '2000'"));
}

}  // namespace deq::test
