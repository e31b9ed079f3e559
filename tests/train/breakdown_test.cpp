#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "core/cpu/backend.h"
#include "core/error.h"
#include "tests/train/program.h"
#include "tests/train/small_model.h"
#include "tests/train/temporary_folder.h"
#include "tests/train/threads.h"
#include "train/metrics.h"
#include "train/step.h"

// One image of a batch whose solve breaks down. The model is contractive because its injection is large; in a faint
// image the injection is small, the state enters f with all its weight, and Picard runs in circles: it stalls.

namespace deq {

using test::make_contractive;
using test::random_batch;
using test::Threads;
using test::tiny_config;

namespace {

constexpr int kBatch = 4;
constexpr std::size_t kFaint = 0;  // the row that breaks down
constexpr float kFaintness = 0.1F;

Config picard_config(const std::string& fallback) {
  Config config = tiny_config();
  config.model.post_gn_affine = true;
  config.model.dropout = 0;
  config.solver.name = "picard";
  config.solver.fallback = fallback;
  config.solver.max_steps = 40;
  config.solver.patience = 3;
  return config;
}

Batch batch_with_faint_row(const Config& config) {
  Batch batch = random_batch(config, kBatch, 9);
  const std::size_t image = batch.images.data<float>().size() / kBatch;
  for (float& x : batch.images.data<float>().subspan(kFaint * image, image)) x *= kFaintness;
  return batch;
}

/// A contractive model that trains.
struct Run {
  Run(const Config& config, Backend& backend, const std::string& estimator)
      : model(config),
        optimizer(config.optimizer, model.store),
        step(model, optimizer, backend, {.batch = kBatch, .estimator = estimator}) {
    make_contractive(model);
  }
  StepResult train(const Batch& batch) { return step.run(batch, model.config.optimizer.lr, count++); }
  [[nodiscard]] const SolveReport& forward() const { return *step.program().forward_report(); }
  [[nodiscard]] bool is_finite() const {
    for (const auto& [name, tensor] : model.tensors())
      for (const float value : tensor.data<float>())
        if (!std::isfinite(value)) return false;
    return true;
  }

  Model model;
  Optimizer optimizer;
  TrainingStep step;
  std::int64_t count = 0;
};

}  // namespace

TEST_CASE("training goes on when the solve of one image breaks down") {
  CpuBackend backend;
  for (const char* fallback : {"none", "auto"})
    for (const char* estimator : {"shine-fallback", "jfb", "shine-refine-2", "limited-2", "exact", "neumann-2"}) {
      CAPTURE(fallback);
      CAPTURE(estimator);
      const Config config = picard_config(fallback);
      const Batch batch = batch_with_faint_row(config);
      Run run(config, backend, estimator);
      const double first = run.train(batch).loss;
      const SolveReport& report = run.forward();
      const bool has_chain = std::string(fallback) == "auto";
      CHECK((has_chain ? report.cause : report.status)[kFaint] == SolveStatus::stalled);
      CHECK((report.solver[kFaint] > 0) == has_chain);
      CHECK(report.status[kFaint] != SolveStatus::converged);  // nor does a chain with so little patience help
      for (std::size_t row = 1; row < kBatch; ++row) {
        CHECK(report.status[row] == SolveStatus::converged);
        CHECK(report.solver[row] == 0);
      }
      SolveMetrics metrics;
      metrics.add(report);
      CHECK(metrics.samples == kBatch);
      CHECK(metrics.status[static_cast<std::size_t>(report.status[kFaint])] == 1);
      CHECK(metrics.status[static_cast<std::size_t>(SolveStatus::converged)] == kBatch - 1);
      double last = first;
      for (int i = 1; i < 20; ++i) {
        const StepResult result = run.train(batch);
        CHECK(std::isfinite(result.gradient_norm));
        last = result.loss;
      }
      CHECK(run.is_finite());
      CHECK(std::isfinite(first));
      CHECK(last < 0.7 * first);  // four images, four classes: from log 4 towards 0
    }
}

TEST_CASE("what a broken solve goes on with changes no bit of the other images' solves in training") {
  const Threads one(1);
  CpuBackend backend;
  std::vector<SolveReport> reports;
  for (const char* fallback : {"none", "auto"}) {
    const Config config = picard_config(fallback);
    Run run(config, backend, "jfb");
    (void)run.train(batch_with_faint_row(config));
    reports.push_back(run.forward());
  }
  CHECK(reports[0].residual[kFaint] != reports[1].residual[kFaint]);
  for (std::size_t row = 1; row < kBatch; ++row) {
    CHECK(reports[0].status[row] == reports[1].status[row]);
    CHECK(reports[0].steps[row] == reports[1].steps[row]);
    CHECK(reports[0].residual[row] == reports[1].residual[row]);
  }
}

TEST_CASE("an image whose solve breaks down changes no bit of the other images' logits") {
  CpuBackend backend;
  for (const char* fallback : {"none", "auto"}) {
    CAPTURE(fallback);
    const Config config = picard_config(fallback);
    Model model(config);
    make_contractive(model);
    InferenceStep step(model, backend, model.image_shape(kBatch), config.solver);
    const Tensor clean = step.run(random_batch(config, kBatch, 9).images).clone();
    CHECK(step.program().forward_report()->count(SolveStatus::converged) == kBatch);
    const Tensor& logits = step.run(batch_with_faint_row(config).images);
    const SolveReport& report = *step.program().forward_report();
    CHECK((report.solver[kFaint] > 0 ? report.cause : report.status)[kFaint] == SolveStatus::stalled);
    const auto classes = static_cast<std::size_t>(config.model.classes);
    for (std::size_t i = classes; i < kBatch * classes; ++i) CHECK(logits.data<float>()[i] == clean.data<float>()[i]);
    for (std::size_t i = 0; i < classes; ++i) CHECK(std::isfinite(logits.data<float>()[i]));
  }
}

TEST_CASE("a whole run whose solves break down goes on to its end and says how they ended") {
  // An untrained network has no fixed point within reach, and Picard gives up after one step without progress.
  for (const char* fallback : {"none", "auto"})
    for (const char* estimator : {"shine", "exact"}) {
      CAPTURE(fallback);
      CAPTURE(estimator);
      const test::TemporaryFolder folder;
      std::vector<std::string> arguments = test::small_run(folder.path() / "run", 6);
      for (const std::string& setting :
           {std::string("solver.name=picard"), std::string("solver.patience=1"), std::string("solver.max_steps=12"),
            std::string("train.pretrain_steps=0"), concat("solver.fallback=", fallback),
            concat("train.estimator=", estimator), std::string("solver.backward=picard")})
        arguments.insert(arguments.end(), {"--set", setting});
      const test::Outcome outcome = test::run_program(test::joined(arguments));
      INFO(outcome.err);
      REQUIRE(outcome.status == 0);
      int steps = 0, broken = 0;
      std::istringstream lines(test::read_text(folder.path() / "run" / "metrics.jsonl"));
      for (std::string line; std::getline(lines, line);) {
        const auto record = nlohmann::json::parse(line);
        if (record.contains("split")) continue;
        ++steps;
        CHECK(record["loss"].is_number());
        int samples = 0;
        for (const auto& [status, count] : record["forward"]["status"].items()) {
          samples += count.get<int>();
          if (status != "converged" && status != "max_steps") broken += count.get<int>();
        }
        CHECK(samples == 4);
      }
      CHECK(steps == 6);
      CHECK(broken > 0);
    }
}

}  // namespace deq
