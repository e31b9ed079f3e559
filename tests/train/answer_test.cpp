#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "data/npy.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "tests/train/tiny_run.h"
#include "train/metrics.h"

// What eval, predict and audit answer, through the program itself.

namespace deq {

using test::check_refused;
using test::contains;
using test::Outcome;
using test::run_program;
using test::TemporaryFolder;
using test::tiny_run;

TEST_CASE("names of files that are not UTF-8 do not cost the JSON answer") {
  const Outcome outcome =
      run_program("predict " + tiny_run().checkpoint + " --json 'nope\xff.png' " + tiny_run().images[0]);
  CHECK(outcome.status == 1);
  const auto json = nlohmann::json::parse(outcome.out);
  REQUIRE(json.size() == 2);
  CHECK(contains(json[0]["file"], "nope\xEF\xBF\xBD.png"));
  CHECK(json[0].contains("error"));
  CHECK(json[1]["top"].size() == 5);
  RunSummary summary;
  summary.config_name = "caf\xe9";
  CHECK(contains(summary_json(summary), "caf\xEF\xBF\xBD"));
}

}  // namespace deq
