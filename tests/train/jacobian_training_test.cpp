#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "autodiff/jacobian_penalty.h"
#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/interpreter.h"
#include "core/reference/backend.h"
#include "tests/train/program.h"
#include "tests/train/small_model.h"
#include "tests/train/temporary_folder.h"
#include "tests/train/threads.h"
#include "train/step.h"

// The Jacobian penalty as a part of training: which gradient a penalised step adds, and what a run records of it.

namespace deq {

using test::make_contractive;
using test::random_batch;
using test::read_text;
using test::run_program;
using test::TemporaryFolder;
using test::Threads;
using test::tiny_config;

namespace {

using Elements = std::vector<double>;

Elements doubles_of(const Tensor& tensor) {
  if (tensor.dtype() == DType::f64) return {tensor.data<double>().begin(), tensor.data<double>().end()};
  return {tensor.data<float>().begin(), tensor.data<float>().end()};
}

double length(const Elements& x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return std::sqrt(sum);
}

/// A model whose solve and whose unrolled iteration both reach the fixed point.
Config converging_config() {
  Config config = tiny_config();
  config.model.post_gn_affine = true;
  config.model.dropout = 0;
  config.solver.max_steps = 60;
  config.solver.tolerance = 1e-9;
  config.solver.backward_max_steps = 60;
  config.train.unroll_steps = 40;
  config.optimizer = {.name = "sgd", .momentum = 0.0};
  return config;
}

/// What a plain step of rate 1 subtracts from each parameter, by name, and what the step found.
struct Taken {
  std::map<std::string, Elements> gradient;
  StepResult result;
};
Taken take_step(const Config& config, const StepOptions& options, const Batch& batch, double weight) {
  ReferenceBackend backend;
  Model model(config);
  make_contractive(model);
  const Optimizer optimizer(config.optimizer, model.store);
  TrainingStep step(model, optimizer, backend, options);
  std::map<std::string, Elements> before;
  for (const ParameterEntry& entry : model.store.entries()) before[entry.name] = doubles_of(*entry.value);
  if (options.jacobian_probes > 0) step.set_penalty({.weight = weight, .max_steps = config.solver.max_steps});
  Taken out;
  out.result = step.run(batch, /*lr=*/1.0, /*step=*/0);
  for (const ParameterEntry& entry : model.store.entries()) {
    if (!entry.is_trainable) continue;
    const Elements after = doubles_of(*entry.value);
    for (std::size_t i = 0; i < after.size(); ++i)
      out.gradient[entry.name].push_back(before.at(entry.name)[i] - after[i]);
  }
  return out;
}

/// Gradient of the penalty alone, interpreted, with the states of a long iteration as constants.
struct Expected {
  std::map<std::string, Elements> gradient;
  double penalty = 0;
};
Expected penalty_alone(const Config& config, const Batch& batch, int probes) {
  ReferenceBackend backend;
  Model model(config);
  make_contractive(model);
  Bindings bindings{{"image", batch.images},
                    {"rng_seed", Tensor::of<std::int64_t>({2}, std::vector<std::int64_t>{config.train.seed, 0})}};
  Graph iteration(Mode::training);
  const Value image = iteration.input("image", batch.images.type(), Rate::batch);
  const auto reached = model.network(image, {.unrolled_steps = config.train.unroll_steps});
  const std::vector<Tensor> states = interpret(iteration, reached.states, bindings, backend);

  Graph graph(Mode::training);
  const Value same_image = graph.input("image", batch.images.type(), Rate::batch);
  std::vector<Value> z, parameters;
  for (std::size_t i = 0; i < states.size(); ++i) {
    z.push_back(graph.input(concat("z", i), {DType::f32, states[i].shape()}, Rate::batch));
    bindings[concat("z", i)] = states[i];
  }
  const Value penalty = jacobian_penalty(model.network.function(model.network.injection(same_image))(z), z, probes);
  for (const ParameterEntry& entry : model.store.entries())
    if (entry.is_trainable) parameters.push_back(graph.parameter(entry.name, entry.value));
  std::vector<Value> outputs = gradients_or_zeros(penalty, parameters);
  outputs.push_back(penalty);
  const std::vector<Tensor> values = interpret(graph, outputs, bindings, backend);
  Expected out;
  std::size_t i = 0;
  for (const ParameterEntry& entry : model.store.entries())
    if (entry.is_trainable) out.gradient[entry.name] = doubles_of(values[i++]);
  out.penalty = doubles_of(values.back())[0];
  return out;
}

/// Records of metrics.jsonl without what depends on the clock.
std::vector<nlohmann::json> records_of(const std::filesystem::path& run) {
  std::vector<nlohmann::json> out;
  std::istringstream lines(read_text(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    out.push_back(nlohmann::json::parse(line));
    out.back().erase("images_per_s");
  }
  return out;
}

}  // namespace

TEST_CASE("a penalised step adds the weighted gradient of the penalty with the states held") {
  const Threads one(1);  // images this small gain nothing from more
  const Config config = converging_config();
  const Batch batch = random_batch(config, 2, 4);
  constexpr double kWeight = 0.5;
  constexpr int kProbes = 2;
  const Expected expected = penalty_alone(config, batch, kProbes);
  REQUIRE(expected.penalty > 1e-4);
  double largest = 0;
  for (const auto& [name, gradient] : expected.gradient) largest = std::max(largest, kWeight * length(gradient));
  for (const bool is_pretraining : {true, false}) {
    CAPTURE(is_pretraining);
    StepOptions options{.batch = 2, .is_pretraining = is_pretraining, .estimator = "exact"};
    const Taken plain = take_step(config, options, batch, 0);
    options.jacobian_probes = kProbes;
    const Taken penalised = take_step(config, options, batch, kWeight);
    CHECK(plain.result.jacobian_penalty == 0);
    CHECK(penalised.result.jacobian_penalty == doctest::Approx(expected.penalty).epsilon(1e-5));
    CHECK(penalised.result.loss == doctest::Approx(plain.result.loss).epsilon(1e-6));
    for (const auto& [name, gradient] : expected.gradient) {
      CAPTURE(name);
      Elements difference(gradient.size());
      for (std::size_t i = 0; i < gradient.size(); ++i)
        difference[i] = penalised.gradient.at(name)[i] - plain.gradient.at(name)[i] - kWeight * gradient[i];
      // The steps are differences of f32 parameters, which keep about 1e-7 of each value.
      CHECK(length(difference) < 1e-3 * kWeight * length(gradient) + 1e-4 * largest);
    }
  }
}

TEST_CASE("the drawn step limit holds for the run it was drawn for and needs no other program") {
  Config config = tiny_config();
  config.solver.tolerance = 0;  // every solve takes its limit
  const Threads one(1);         // images this small gain nothing from more
  CpuBackend backend;
  const Model model(config);
  const Optimizer optimizer(config.optimizer, model.store);
  TrainingStep step(model, optimizer, backend, {.batch = 3, .jacobian_probes = 1, .max_steps = 9});
  const Batch batch = random_batch(config, 3, 6);
  std::int64_t count = 0;
  for (const int limit : {9, 6, 8, 1, 9}) {
    step.set_penalty({.weight = 0.1, .max_steps = limit});
    (void)step.run(batch, 1e-3, count++);
    CHECK(step.program().forward_report()->steps_run == limit);
  }
  CHECK_THROWS_AS(step.set_penalty({.weight = 0.1, .max_steps = 10}), Error);
}

TEST_CASE("training on the penalty alone lowers it, in both phases") {
  Config config = tiny_config();
  const Threads one(1);  // images this small gain nothing from more
  config.model.dropout = 0;
  CpuBackend backend;
  const Batch batch = random_batch(config, 4, 2);
  for (const bool is_pretraining : {true, false}) {
    CAPTURE(is_pretraining);
    const Model model(config);
    const Optimizer optimizer(config.optimizer, model.store);
    TrainingStep step(model, optimizer, backend,
                      {.batch = 4, .is_pretraining = is_pretraining, .estimator = "jfb", .jacobian_probes = 4});
    step.set_penalty({.weight = 1000, .max_steps = config.solver.max_steps});
    const double first = step.run(batch, 5e-3, 0).jacobian_penalty;
    double last = first;
    for (int i = 1; i < 15; ++i) last = step.run(batch, 5e-3, i).jacobian_penalty;
    CHECK(last < 0.8 * first);  // probes differ from step to step by a few per cent
  }
}

TEST_CASE("a run records its penalties and radii, and resumed it ends on the bits of an uninterrupted one") {
  const TemporaryFolder folder;
  const auto arguments = [&](const std::string& name, int until) {
    std::vector<std::string> out = test::small_run(folder.path() / name, 30);
    for (const char* setting :
         {"train.jacobian_frequency=0.5", "train.jacobian_weight=0.3", "train.jacobian_pretrain_weight=0.05",
          "train.jacobian_target_radius=0.9", "train.spectral_radius_steps=6", "train.eval_every=6"}) {
      out.emplace_back("--set");
      out.emplace_back(setting);
    }
    if (until > 0) out.insert(out.end(), {"--max-steps", std::to_string(until)});
    return test::joined(out);
  };
  REQUIRE(run_program(arguments("whole", 0)).status == 0);
  for (const int until : {7, 19, 0}) REQUIRE(run_program(arguments("parts", until)).status == 0);

  const auto whole = records_of(folder.path() / "whole"), parts = records_of(folder.path() / "parts");
  CHECK(whole == parts);
  for (const char* part : {"model.safetensors", "state.safetensors"}) {
    const auto last = std::filesystem::path("checkpoints") / "last" / part;
    if (std::string_view(part) == "state.safetensors")
      CHECK(read_text(folder.path() / "whole" / last) == read_text(folder.path() / "parts" / last));
    else  // the training time differs
      CHECK(std::filesystem::file_size(folder.path() / "whole" / last) > 0);
  }
  int penalised = 0, plain = 0, measured = 0;
  for (const nlohmann::json& record : whole) {
    if (record.contains("split")) {
      REQUIRE(record.contains("spectral_radius"));
      ++measured;
      CHECK(record["spectral_radius"]["mean"].get<double>() > 0);
      CHECK(record["spectral_radius"]["max"].get<double>() >= record["spectral_radius"]["mean"].get<double>());
    } else if (record.contains("jacobian_weight")) {
      ++penalised;
      CHECK(record["jacobian_penalty"].get<double>() > 0);
      if (record["phase"] == "pretrain") CHECK(record["jacobian_weight"] == 0.05);
    } else {
      ++plain;
    }
  }
  CHECK(measured == 5);
  CHECK(penalised >= 5);
  CHECK(plain >= 5);
}

}  // namespace deq
