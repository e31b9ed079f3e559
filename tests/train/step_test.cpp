#include "train/step.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "core/reference/backend.h"
#include "tests/op_cases/allocation_counter.h"
#include "tests/op_cases/counting_backend.h"
#include "tests/train/small_model.h"
#include "tests/train/threads.h"

namespace deq {

using test::make_contractive;
using test::random_batch;
using test::Threads;
using test::tiny_config;

namespace {

const std::vector<std::string> kEstimators{"shine",     "shine-fallback", "jfb",       "shine-refine-2",
                                           "limited-2", "exact",          "neumann-2", "phantom-2"};
// Nystrom's draw follows the last bits of the cotangent, so two numbers of threads may draw differently.
const std::vector<std::string> kMoreEstimators{"gdeq",      "jfb-refine-2",    "unrolled-2",
                                               "nystrom-2", "adjoint-broyden", "adjoint-broyden-opa"};

/// A model with its optimiser and one compiled step.
struct Run {
  explicit Run(const Config& config, Backend& backend, StepOptions options = {.batch = 4})
      : model(config), optimizer(config.optimizer, model.store), step(model, optimizer, backend, options) {}
  StepResult train(const Batch& batch) { return step.run(batch, model.config.optimizer.lr, count++); }
  /// Every parameter and running statistic, copied.
  [[nodiscard]] std::map<std::string, std::vector<float>> values() const {
    std::map<std::string, std::vector<float>> out;
    for (const auto& [name, tensor] : model.tensors()) {
      const auto elements = tensor.data<float>();
      out[name].assign(elements.begin(), elements.end());
    }
    return out;
  }

  Model model;
  Optimizer optimizer;
  TrainingStep step;
  std::int64_t count = 0;
};

/// The phases of training: pre-training, and one per estimator.
std::vector<StepOptions> all_phases(int batch) {
  std::vector<StepOptions> out{{.batch = batch, .is_pretraining = true}};
  for (const std::string& estimator : kEstimators) out.push_back({.batch = batch, .estimator = estimator});
  return out;
}

/// The gradient of every trainable parameter, read off a plain step of rate 1.
std::map<std::string, std::vector<double>> gradients(const Config& config, Backend& backend, const StepOptions& options,
                                                     const Batch& batch) {
  Run run(config, backend, options);
  make_contractive(run.model);
  const auto before = run.values();
  (void)run.step.run(batch, /*lr=*/1.0, /*step=*/0);
  const auto after = run.values();
  if (const SolveReport* report = run.step.program().forward_report())
    CHECK(report->count(SolveStatus::converged) == options.batch);
  if (const SolveReport* report = run.step.program().backward_report(); report && options.estimator == "exact")
    CHECK(report->count(SolveStatus::converged) == options.batch);
  std::map<std::string, std::vector<double>> out;
  for (const ParameterEntry& entry : run.model.store.entries()) {
    if (!entry.is_trainable) continue;
    for (std::size_t i = 0; i < before.at(entry.name).size(); ++i)
      out[entry.name].push_back(static_cast<double>(before.at(entry.name)[i]) - after.at(entry.name)[i]);
  }
  return out;
}

double length(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return std::sqrt(sum);
}

std::vector<double> minus(std::vector<double> x, const std::vector<double>& y) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] -= y[i];
  return x;
}

}  // namespace

TEST_CASE("a training step in steady state allocates nothing") {
  CpuBackend backend;
  const Config config = tiny_config();
  const Batch batch = random_batch(config, 4, 1);
  for (const StepOptions& options : all_phases(4)) {
    CAPTURE(options.estimator);
    CAPTURE(options.is_pretraining);
    Run run(config, backend, options);
    for (int i = 0; i < 2; ++i) (void)run.train(batch);
    const std::size_t before = tests::allocations();
    for (int i = 0; i < 3; ++i) run.step.program().run();
    const std::size_t replayed = tests::allocations();
    CHECK(replayed - before == 0);
    for (int i = 0; i < 3; ++i) (void)run.train(batch);  // binding and reading included
    CHECK(tests::allocations() - replayed == 0);
  }
}

TEST_CASE("inference in steady state allocates nothing") {
  CpuBackend backend;
  const Config config = tiny_config();
  const Model model(config);
  InferenceStep step(model, backend, model.image_shape(3), config.solver);
  const Batch batch = random_batch(config, 3, 1);
  for (int i = 0; i < 2; ++i) (void)step.run(batch.images);
  const std::size_t before = tests::allocations();
  for (int i = 0; i < 3; ++i) (void)step.run(batch.images);
  CHECK(tests::allocations() - before == 0);
}

TEST_CASE("inference normalises and packs weights once, not at every run") {
  CpuBackend backend;
  const Config config = tiny_config();
  const Model model(config);
  InferenceStep step(model, backend, model.image_shape(3), config.solver);
  const Batch batch = random_batch(config, 3, 1);
  const auto logits = [&] {
    const auto values = step.run(batch.images).data<float>();
    return std::vector<float>(values.begin(), values.end());
  };
  const std::vector<float> before = logits();
  for (const ParameterEntry& entry : model.store.entries())
    if (entry.name.ends_with("weight_v")) entry.value->data<float>()[0] += 1.0F;
  CHECK(logits() == before);  // nobody said that parameters changed, so what was made of them still stands
  step.program().parameters_changed();
  CHECK(logits() != before);
}

TEST_CASE("the planned peak of a training step is the arena it takes, to the byte") {
  const Config config = tiny_config();
  for (StepOptions options : all_phases(3)) {
    CAPTURE(options.estimator);
    CAPTURE(options.is_pretraining);
    tests::CountingBackend backend;
    options.plans_only = true;
    const Run planned(config, backend, options);
    CHECK(backend.asked == 0);
    options.plans_only = false;
    const Run run(config, backend, options);
    CHECK(backend.asked == run.step.program().peak_bytes());
    CHECK(planned.step.program().peak_bytes() == run.step.program().peak_bytes());
  }
}

TEST_CASE("recomputing f in the backward changes no bit of the gradients") {
  const Threads one(1);
  CpuBackend backend;
  Config config = tiny_config();
  config.model.post_gn_affine = true;  // for make_contractive
  config.solver.max_steps = 60;
  config.solver.tolerance = 1e-4;
  const Batch batch = random_batch(config, 3, 1);
  for (const std::string estimator : {"shine", "shine-fallback", "jfb", "shine-refine-2", "phantom-2"})
    for (const int slices : {1, 2}) {
      CAPTURE(estimator);
      CAPTURE(slices);
      config.train.correction_states = slices;
      const StepOptions options{.batch = 3, .estimator = estimator};
      config.train.recompute = false;
      const auto kept = gradients(config, backend, options, batch);
      const Run keeping(config, backend, options);
      config.train.recompute = true;
      CHECK(gradients(config, backend, options, batch) == kept);
      const Run recomputing(config, backend, options);
      if (options.estimator == "shine")
        CHECK(recomputing.step.program().launches() > keeping.step.program().launches());
    }
}

TEST_CASE("recomputation takes a quarter off the memory of a step of MDEQ TINY") {
  CpuBackend backend;
  const auto peak = [&](const std::string& recompute) {
    const std::vector<std::string> settings{"train.recompute=" + recompute};
    const Config config = load_config(DEQ_CONFIGS "/cifar10-mdeq-tiny.toml", settings);
    const Run run(config, backend, {.batch = 32, .plans_only = true});
    return static_cast<double>(run.step.program().peak_bytes());
  };
  CHECK(peak("true") < 0.75 * peak("false"));
}

TEST_CASE("the loss on one batch falls within twenty steps in every phase") {
  const Threads one(1);  // images this small gain nothing from more
  CpuBackend backend;
  const Config config = tiny_config();
  const Batch batch = random_batch(config, 4, 2);
  for (const StepOptions& options : all_phases(4)) {
    CAPTURE(options.estimator);
    CAPTURE(options.is_pretraining);
    Run run(config, backend, options);
    const double first = run.train(batch).loss;
    double last = first;
    for (int i = 1; i < 20; ++i) last = run.train(batch).loss;
    CHECK(std::isfinite(last));
    CHECK(last < 0.7 * first);  // four images, four classes: from log 4 towards 0
  }
}

TEST_CASE("every other estimator and every way to solve the adjoint trains as well") {
  CpuBackend backend;
  std::vector<std::pair<std::string, std::string>> cases;
  for (const std::string& estimator : kMoreEstimators) cases.emplace_back(estimator, "broyden");
  for (const char* backward : {"gmres", "bicgstab", "anderson", "picard", "broyden-lowrank"})
    for (const char* estimator : {"exact", "limited-2"}) cases.emplace_back(estimator, backward);
  for (const auto& [estimator, backward] : cases) {
    CAPTURE(estimator);
    CAPTURE(backward);
    Config config = tiny_config();
    config.solver.backward = backward;
    const Batch batch = random_batch(config, 4, 5);
    Run run(config, backend, {.batch = 4, .estimator = estimator});
    const double first = run.train(batch).loss;
    double last = first;
    for (int i = 1; i < 20; ++i) last = run.train(batch).loss;
    CHECK(std::isfinite(last));
    CHECK(last < 0.7 * first);
  }
}

TEST_CASE("steps with another start and with several supervised states train as well") {
  CpuBackend backend;
  struct Case {
    std::string start;
    int states;
    std::string weights;
  };
  for (const char* estimator : {"shine", "phantom-2", "exact", "adjoint-broyden-opa"})
    for (const Case& given : {Case{"gaussian", 1, "geometric"}, Case{"mixed", 3, "geometric"},
                              Case{"zeros", 2, "linear"}, Case{"mixed", 4, "constant"}}) {
      CAPTURE(estimator);
      CAPTURE(given.start);
      CAPTURE(given.states);
      Config config = tiny_config();
      config.train.start = given.start;
      config.train.correction_states = given.states;
      config.train.correction_weights = given.weights;
      config.solver.max_steps = 9;
      const Batch batch = random_batch(config, 4, 5);
      Run run(config, backend, {.batch = 4, .estimator = estimator});
      const double first = run.train(batch).loss;
      for (int k = 0; k < given.states; ++k) {
        REQUIRE(run.step.program().forward_report(static_cast<std::size_t>(k)) != nullptr);
        CHECK(run.step.program().forward_report(static_cast<std::size_t>(k))->steps_run <= 9 / given.states);
      }
      CHECK(run.step.program().forward_report(static_cast<std::size_t>(given.states)) == nullptr);
      double last = first;
      for (int i = 1; i < 20; ++i) last = run.train(batch).loss;
      CHECK(std::isfinite(last));
      CHECK(last < 0.7 * first);
    }
}

TEST_CASE("supervising earlier states makes a solve that is cut short more accurate") {
  const Threads one(1);
  CpuBackend backend;
  double loss[2];
  for (const int states : {1, 4}) {
    Config config = tiny_config();
    config.model.dropout = 0;
    config.solver.max_steps = 8;
    config.train.correction_states = states;
    config.train.correction_weights = "constant";
    const Batch batch = random_batch(config, 4, 5);
    Run run(config, backend, {.batch = 4, .estimator = "jfb"});
    for (int i = 0; i < 30; ++i) (void)run.train(batch);
    // The loss of a solve of two steps on the trained model, in training form; a rate of 0 leaves it as it is.
    Config cut = config;
    cut.solver.max_steps = 2;
    cut.train.correction_states = 1;
    Run short_run(cut, backend, {.batch = 4, .estimator = "jfb"});
    copy_tensors(run.model.tensors(), short_run.model.tensors(), "test");
    loss[states == 1 ? 0 : 1] = short_run.step.run(batch, 0.0, 0).loss;
  }
  CHECK(loss[1] < loss[0]);
}

TEST_CASE("the same steps from the same state end on the same bits") {
  // For one number of threads: weight gradients are summed over the batch in as many parts as there are threads.
  const Config config = tiny_config();
  const Batch batch = random_batch(config, 4, 3);
  for (const int used : {1, 2})
    for (const StepOptions& options : all_phases(4)) {
      CAPTURE(options.estimator);
      CAPTURE(options.is_pretraining);
      const Threads fixed(used);
      std::vector<std::map<std::string, std::vector<float>>> ends;
      for (int repeat = 0; repeat < 2; ++repeat) {
        CpuBackend backend;
        Run run(config, backend, options);
        for (int i = 0; i < 3; ++i) (void)run.train(batch);
        ends.push_back(run.values());
      }
      CHECK(ends[0] == ends[1]);
    }
}

TEST_CASE("one step differs between numbers of threads by rounding alone") {
  const Config config = tiny_config();
  const Batch batch = random_batch(config, 4, 3);
  for (const StepOptions& options : all_phases(4)) {
    CAPTURE(options.estimator);
    CAPTURE(options.is_pretraining);
    std::vector<StepResult> results;
    for (const int used : {1, 2}) {
      const Threads fixed(used);
      CpuBackend backend;
      Run run(config, backend, options);
      results.push_back(run.train(batch));
    }
    constexpr double kRounding = 1e-4;  // f32 sums in another order, amplified by a solve that has not converged
    CHECK(results[0].loss == doctest::Approx(results[1].loss).epsilon(kRounding));
    CHECK(results[0].gradient_norm == doctest::Approx(results[1].gradient_norm).epsilon(kRounding));
  }
}

TEST_CASE("a tightly solved exact step has the gradient of a long unrolled one") {
  Config config = tiny_config();
  config.model.post_gn_affine = true;
  config.model.dropout = 0.0;
  config.solver.max_steps = 60;
  config.solver.tolerance = 1e-8;
  config.solver.backward_max_steps = 60;
  config.solver.backward_tolerance = 1e-8;
  config.train.unroll_steps = 40;
  config.optimizer = {.name = "sgd", .momentum = 0.0};
  ReferenceBackend backend;  // in double, so that nothing but the method differs
  const Batch batch = random_batch(config, 2, 4);
  const auto implicit = gradients(config, backend, {.batch = 2, .estimator = "exact"}, batch);
  const auto unrolled = gradients(config, backend, {.batch = 2, .is_pretraining = true}, batch);
  const auto jacobian_free = gradients(config, backend, {.batch = 2, .estimator = "jfb"}, batch);
  REQUIRE(implicit.size() == unrolled.size());
  double largest = 0;
  for (const auto& [name, gradient] : unrolled) largest = std::max(largest, length(gradient));
  double jacobian_free_error = 0;
  for (const auto& [name, gradient] : unrolled) {
    CAPTURE(name);
    // A step of rate 1 in f32 parameters keeps about 1e-7 of each value.
    CHECK(length(minus(implicit.at(name), gradient)) < 1e-3 * length(gradient) + 1e-5 * largest);
    jacobian_free_error =
        std::max(jacobian_free_error, length(minus(jacobian_free.at(name), gradient)) / (length(gradient) + largest));
  }
  CHECK(jacobian_free_error > 1e-2);  // the adjoint solve is what makes the difference
}

TEST_CASE("the logits of an image are the same bits whatever its batch mates") {
  CpuBackend backend;
  Config config = tiny_config();
  config.model.post_gn_affine = true;
  Model model(config);
  make_contractive(model);
  config.solver.max_steps = 30;
  for (const std::string solver : {"broyden", "anderson", "picard"}) {
    CAPTURE(solver);
    config.solver.name = solver;
    InferenceStep step(model, backend, model.image_shape(3), config.solver);
    const Batch first = random_batch(config, 3, 5);
    Batch second = random_batch(config, 3, 6);
    const auto image = static_cast<std::ptrdiff_t>(first.images.shape().elements() / 3);
    const auto from = first.images.data<float>();
    std::copy(from.begin() + image, from.begin() + 2 * image, second.images.data<float>().begin() + image);
    const auto row_of = [&](const Batch& batch, std::size_t row) {
      const Tensor& logits = step.run(batch.images);
      const auto all = logits.data<float>().subspan(row * 4, 4);
      return std::vector<float>(all.begin(), all.end());
    };
    CHECK(row_of(first, 1) == row_of(second, 1));
    CHECK(row_of(first, 0) != row_of(second, 0));
    CHECK(step.program().forward_report()->count(SolveStatus::converged) == 3);
  }
}

TEST_CASE("solver.warm_start reaches inference and never training") {
  CpuBackend backend;
  Config config = tiny_config();
  config.model.post_gn_affine = true;
  Model model(config);
  make_contractive(model);
  config.solver.max_steps = 30;
  config.solver.warm_start = true;
  CHECK(make_policy(config.solver, "shine")->describe().find("warm") == std::string::npos);
  InferenceStep step(model, backend, model.image_shape(3), config.solver);
  Batch batch = random_batch(config, 3, 5);
  const Tensor first = step.run(batch.images).clone();
  CHECK(step.program().forward_report()->steps_run > 2);
  // A frame that repeats the last one but for one image solves that image alone.
  for (float& x : batch.images.data<float>().first(192)) x = -x;
  const Tensor& second = step.run(batch.images);
  const SolveReport& report = *step.program().forward_report();
  CHECK(report.count(SolveStatus::converged) == 3);
  CHECK(report.steps[0] > 0);
  for (std::size_t row : {1U, 2U}) {
    CHECK(report.steps[row] == 0);
    for (std::size_t i = 4 * row; i < 4 * row + 4; ++i) CHECK(second.data<float>()[i] == first.data<float>()[i]);
  }
}

TEST_CASE("the number of threads changes no bit of an image's logits") {
  const Config config = tiny_config();
  const Model model(config);
  const Batch batch = random_batch(config, 3, 5);
  std::vector<std::vector<float>> logits;
  for (const int used : {1, 2}) {
    const Threads fixed(used);
    CpuBackend backend;
    InferenceStep step(model, backend, model.image_shape(3), config.solver);
    const auto all = step.run(batch.images).data<float>();
    logits.emplace_back(all.begin(), all.end());
  }
  CHECK(logits[0] == logits[1]);
}

TEST_CASE("a solver that does not converge keeps training and is reported") {
  CpuBackend backend;
  Config config = tiny_config();
  config.solver.max_steps = 2;
  config.solver.tolerance = 1e-7;
  Run run(config, backend, {.batch = 4, .estimator = "shine"});
  const Batch batch = random_batch(config, 4, 7);
  const auto before = run.values();
  for (int i = 0; i < 3; ++i) CHECK(std::isfinite(run.train(batch).loss));
  const SolveReport& report = *run.step.program().forward_report();
  CHECK(report.count(SolveStatus::max_steps) == 4);
  CHECK(report.mean_residual() > 1e-7);
  CHECK(report.steps_run == 2);
  CHECK(run.values() != before);
}

TEST_CASE("a nan in one image of an inference batch is reported for that image and touches no other") {
  CpuBackend backend;
  const Config config = tiny_config();
  const Model model(config);
  InferenceStep step(model, backend, model.image_shape(3), config.solver);
  Batch batch = random_batch(config, 3, 8);
  const Tensor clean = step.run(batch.images);
  batch.images.data<float>()[70] = std::numeric_limits<float>::quiet_NaN();
  const Tensor& logits = step.run(batch.images);
  const SolveReport& report = *step.program().forward_report();
  CHECK(report.status[0] == SolveStatus::nonfinite);
  CHECK(report.count(SolveStatus::nonfinite) == 1);
  for (std::size_t i = 4; i < 12; ++i) CHECK(logits.data<float>()[i] == clean.data<float>()[i]);
}

TEST_CASE("a nan in a training batch is reported by every estimator and crashes none") {
  CpuBackend backend;
  const Config config = tiny_config();
  Batch batch = random_batch(config, 4, 9);
  batch.images.data<float>()[70] = std::numeric_limits<float>::quiet_NaN();
  for (const std::string& estimator : kEstimators) {
    CAPTURE(estimator);
    Run run(config, backend, {.batch = 4, .estimator = estimator});
    const StepResult result = run.train(batch);
    CHECK_FALSE(std::isfinite(result.loss));
    // Batch statistics carry the nan to every image.
    CHECK(run.step.program().forward_report()->count(SolveStatus::nonfinite) == 4);
  }
}

}  // namespace deq
