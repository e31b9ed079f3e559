#include "core/wait_policy.h"

#include <sys/auxv.h>
#include <unistd.h>

#include <cstdlib>

namespace deq {

void limit_spinning(char** argv) {
  constexpr const char* kSpins = "GOMP_SPINCOUNT";
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv(kSpins) != nullptr) return;
  if (::getauxval(AT_BASE) == 0) return;  // the loader was started by hand: the executable is not this program
  ::setenv(kSpins, "2000", /*overwrite=*/1);
  ::execv("/proc/self/exe", argv);
}

}  // namespace deq
