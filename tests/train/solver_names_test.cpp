#include <doctest/doctest.h>

#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"

namespace deq {

using test::joined;
using test::Outcome;
using test::run_program;

TEST_CASE("every solver of the configuration trains, with its evaluations, and is measured") {
  for (const std::string name :
       {"broyden", "broyden-lowrank", "anderson", "picard", "adjoint-broyden", "newton-krylov"}) {
    CAPTURE(name);
    const test::TemporaryFolder folder;
    const Outcome trained =
        run_program(joined(test::small_run(folder.path() / "run", 6)) + " --set solver.name=" + name);
    CHECK_MESSAGE(trained.status == 0, trained.err);
    const Outcome measured = run_program("bench " + test::config_file("shapes-mdeq") + " --batch 2 --repeats 1" +
                                         " --estimators jfb --set solver.max_steps=3 --json --set solver.name=" + name);
    CHECK_MESSAGE(measured.status == 0, measured.err);
  }
}

}  // namespace deq
