#include "train/progress.h"

#include <doctest/doctest.h>

namespace deq {

TEST_CASE("durations are short and round to seconds") {
  CHECK(duration_text(0.4) == "0:00");
  CHECK(duration_text(123) == "2:03");
  CHECK(duration_text(3723) == "1:02:03");
}

TEST_CASE("the progress text shows what is known and leaves out the rest") {
  ProgressState state{.step = 3, .total = 10, .phase = "equilibrium", .loss = 1.25, .accuracy = 0.5};
  CHECK(progress_text(state, -1) == "3/10 equilibrium  loss 1.2500  acc 50.0%");
  state.solver_steps = 17.5;
  state.residual = 2e-3;
  state.images_per_s = 99.6;
  CHECK(progress_text(state, 61) ==
        "3/10 equilibrium  loss 1.2500  acc 50.0%  solver 17.5 steps res 2.0e-03  100 img/s  ETA 1:01");
}

}  // namespace deq
