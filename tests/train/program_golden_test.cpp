#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "data/npy.h"
#include "data/safetensors.h"
#include "tests/train/golden_mdeq.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"

// The program on the weights of the reference implementation. A file of its own, as it is skipped without them.

namespace deq {

using test::Outcome;
using test::run_program;
using test::TemporaryFolder;
using test::write_text;

TEST_CASE("imported reference weights predict the reference's logits") {
  const auto golden = test::golden_mdeq_folder();
  if (!golden) return;
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return (folder.path() / name).string(); };
  const test::Tensors cases = read_safetensors(*golden / "case.safetensors").tensors;
  write_text(path("mini.toml"), test::golden_mdeq_config());
  write_npy(path("x.npy"), cases.at("x"));
  const Outcome made = run_program("import mdeq --json --config " + path("mini.toml") + " --weights " +
                                   (*golden / "weights.safetensors").string() + " --out " + path("mini"));
  REQUIRE(made.status == 0);
  CHECK(nlohmann::json::parse(made.out)["parameters"] == 119587);
  const Outcome answered = run_program("predict " + path("mini") + " --tensor " + path("x.npy") + " --save-logits " +
                                       path("y.npy") + " --tol 1e-6 --max-steps 120 --quiet");
  CHECK_MESSAGE(answered.status == 0, answered.err);
  // Limit of the reference data for float32.
  CHECK(test::max_difference(read_npy(path("y.npy")), cases.at("eval_tight_logits")) < 1e-4);
}

TEST_CASE("audited exact gradients of imported weights are the reference's implicit gradients") {
  const auto golden = test::golden_mdeq_folder();
  if (!golden) return;
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return (folder.path() / name).string(); };
  const test::Tensors cases = read_safetensors(*golden / "case.safetensors").tensors;
  write_text(path("mini.toml"), test::golden_mdeq_config());
  write_npy(path("x.npy"), cases.at("x"));
  write_npy(path("labels.npy"), cases.at("labels"));
  REQUIRE(run_program("import mdeq --config " + path("mini.toml") + " --weights " +
                      (*golden / "weights.safetensors").string() + " --out " + path("mini"))
              .status == 0);
  const Outcome outcome =
      run_program("audit " + path("mini") + " --tensor " + path("x.npy") + " --labels " + path("labels.npy") +
                  " --estimators exact,shine,shine-fallback,shine-refine-5,jfb,jfb-refine-5,limited-5 --tol 1e-6 "
                  "--max-steps 120 --save-gradients " +
                  path("gradients") + " --json --quiet");
  REQUIRE_MESSAGE(outcome.status == 0, outcome.err);
  const auto json = nlohmann::json::parse(outcome.out);
  CHECK(json["exact"]["residual"] < 1e-6);
  CHECK(json["estimators"].size() == 7);
  for (const auto& row : json["estimators"]) {
    CAPTURE(row.dump());
    for (const char* key : {"relative_error", "cosine", "norm_ratio", "adjoint_relative_error", "adjoint_cosine",
                            "map_calls", "vjp_calls", "milliseconds", "extra_bytes", "fallback_fraction"})
      CHECK(row[key].is_number());
    // Every estimator points down the same hill.
    CHECK(row["cosine"] > 0.5);
    CHECK(std::filesystem::exists(folder.path() / "gradients" / (row["name"].get<std::string>() + ".safetensors")));
  }
  const auto saved = read_safetensors(folder.path() / "gradients" / "exact.safetensors").tensors;
  const auto truth = read_safetensors(*golden / "implicit_gradients.safetensors").tensors;
  CHECK(saved.size() == truth.size() + 1);
  const auto expected = nlohmann::json::parse(test::read_text(*golden / "expected.json"));
  CHECK(saved.at("loss").data<float>()[0] ==
        doctest::Approx(expected["train_ift"]["loss"].get<double>()).epsilon(1e-5));
  (void)test::check_gradients(saved, truth);
}

}  // namespace deq
