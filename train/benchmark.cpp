#include "train/benchmark.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>

#include "core/cpu/conv_unit.h"
#include "train/allocation_counter.h"
#include "train/step.h"

namespace deq {
namespace {

const std::map<std::string, ConvYardstick> kYardsticks = {
    {"direct", ConvYardstick::direct}, {"winograd", ConvYardstick::winograd}, {"bf16", ConvYardstick::bf16}};

/// Milliseconds of `repeats` calls after one to warm up, sorted.
std::vector<double> timed(int repeats, const std::function<void()>& call) {
  std::vector<double> out;
  call();
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    call();
    out.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(out.begin(), out.end());
  return out;
}

double median(const std::vector<double>& sorted) { return sorted[sorted.size() / 2]; }

Batch random_batch(const Model& model, int batch) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  const Shape images = model.image_shape(batch);
  Batch out{
      .images = Tensor(DType::f32, images), .labels = Tensor(DType::i32, model.label_shape(images)), .valid = batch};
  for (float& x : out.images.data<float>()) x = normal(generator);
  std::uniform_int_distribution<std::int32_t> label(0, model.network.config.classes - 1);
  for (std::int32_t& y : out.labels.data<std::int32_t>()) y = label(generator);
  return out;
}

/// The convolutions of one f.
std::vector<ConvShape> convolutions(const Model& model, int batch, const SolverConfig& solver) {
  Graph graph(Mode::inference);
  const Value image = graph.input("image", {DType::f32, model.image_shape(batch)}, Rate::batch);
  MdeqForward forward;
  forward.equilibrium.policy = make_policy(solver, "jfb");
  (void)model.network(image, forward);
  std::vector<ConvShape> out;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const auto* conv = std::get_if<Conv2d>(&node.op);
    if (!conv || node.rate != Rate::iterate) continue;
    const Shape &x = graph.type(node.inputs[0]).shape, &w = graph.type(node.inputs[1]).shape;
    out.push_back({.batch = x[0],
                   .height = x[1],
                   .width = x[2],
                   .in_channels = x[3],
                   .out_channels = w[0],
                   .kernel_h = w[2],
                   .kernel_w = w[3],
                   .conv = *conv});
  }
  return out;
}

/// Launches after the loss and before the optimiser.
double backward_time(const std::vector<Program::LaunchTime>& launches) {
  double total = 0;
  bool is_backward = false;
  for (const Program::LaunchTime& launch : launches) {
    if (is_backward && launch.label != "optimizer") total += launch.ms;
    if (launch.op == "softmax_cross_entropy") is_backward = true;
  }
  return total;
}

void measure_estimator(const Model& model, Backend& backend, const BenchmarkOptions& options,
                       const std::string& estimator, BenchmarkResult& out) {
  const Optimizer optimizer(model.config.optimizer, model.store);
  TrainingStep step(model, optimizer, backend,
                    {.batch = options.batch, .is_pretraining = false, .estimator = estimator});
  const Batch batch = random_batch(model, options.batch);
  std::int64_t count = 0;
  const auto run = [&] { (void)step.run(batch, model.config.optimizer.lr, count++); };
  out.step_ms[estimator] = median(timed(options.repeats, run));
  std::vector<double> backward;
  for (int i = 0; i < options.repeats; ++i) backward.push_back(backward_time(step.program().profile()));
  std::sort(backward.begin(), backward.end());
  out.backward_ms[estimator] = median(backward);
  out.peak_bytes = std::max(out.peak_bytes, step.program().peak_bytes());
  const AllocationCount before = allocation_count();
  step.program().run();
  const AllocationCount after = allocation_count();
  out.allocations_per_step = std::max(out.allocations_per_step, static_cast<double>(after.own - before.own));
  out.vendor_allocations_per_step =
      std::max(out.vendor_allocations_per_step, static_cast<double>(after.vendor - before.vendor));
  out.launches = static_cast<int>(step.program().launches());
}

void measure_map(const Model& model, Backend& backend, const BenchmarkOptions& options, BenchmarkResult& out) {
  InferenceStep inference(model, backend, model.image_shape(options.batch), model.config.solver);
  const Batch batch = random_batch(model, options.batch);
  (void)inference.run(batch.images);
  FixedPointMap& map = *inference.program().map();
  const std::vector<double> f = timed(options.repeats, [&] { map.replay(); });
  out.f_ms = median(f), out.f_ms_min = f.front(), out.f_ms_max = f.back();
  out.map_launches = static_cast<int>(inference.program().map_launches());
  out.inference_ms = median(timed(options.repeats, [&] { (void)inference.run(batch.images); }));
  const SolveReport& report = *inference.program().forward_report();
  out.forward_steps = report.steps_run;
  out.evaluations_saved = report.evaluations_saved();
  std::vector<double> solve;
  for (int i = 0; i < options.repeats; ++i)
    for (const Program::LaunchTime& launch : inference.program().profile())
      if (launch.op == "equilibrium") solve.push_back(launch.ms);
  std::sort(solve.begin(), solve.end());
  out.solver_overhead_ms = (median(solve) - report.map_calls * out.f_ms) / std::max(1, report.steps_run);
}

void measure_vjp(const Model& model, Backend& backend, const BenchmarkOptions& options, BenchmarkResult& out) {
  const Optimizer optimizer(model.config.optimizer, model.store);
  TrainingStep step(model, optimizer, backend,
                    {.batch = options.batch, .is_pretraining = false, .estimator = "shine-refine-1"});
  (void)step.run(random_batch(model, options.batch), 0.0, 0);
  FixedPointMap& map = *step.program().vjp_map();
  out.vjp_ms = median(timed(options.repeats, [&] { map.replay(); }));
}

void measure_single_image(const Model& model, Backend& backend, const BenchmarkOptions& options, BenchmarkResult& out) {
  InferenceStep inference(model, backend, model.image_shape(1), model.config.solver);
  const Batch batch = random_batch(model, 1);
  out.inference_1_ms = median(timed(options.repeats, [&] { (void)inference.run(batch.images); }));
}

}  // namespace

BenchmarkResult run_benchmark(const Config& config, Backend& backend, const BenchmarkOptions& options) {
  Config fixed = config;
  fixed.solver.tolerance = 0;  // fixed step counts
  fixed.solver.patience = 0;
  fixed.solver.backward_tolerance = 0;
  const Model model(fixed);
  BenchmarkResult out;
  out.batch = options.batch;
  out.parameters = model.store.trainable_elements();
  // The yardstick is taken between the parts of the run, so that a machine whose speed drifts bends both alike.
  const std::vector<ConvShape> shapes = convolutions(model, options.batch, fixed.solver);
  std::map<std::string, std::vector<double>> units;
  const auto measure_unit = [&] {
    for (const auto& [name, yardstick] : kYardsticks)
      units[name].push_back(convolution_unit_ms(shapes, options.repeats, yardstick));
  };
  measure_unit();
  measure_map(model, backend, options, out);
  measure_single_image(model, backend, options, out);
  measure_vjp(model, backend, options, out);
  measure_unit();
  for (const std::string& estimator : options.estimators) {
    measure_estimator(model, backend, options, estimator, out);
    measure_unit();
  }
  for (auto& [name, times] : units) {
    std::sort(times.begin(), times.end());
    if (times.front() > 0) out.conv_floor_ms[name] = median(times);
  }
  out.conv_unit_ms = out.conv_floor_ms.at("direct");
  return out;
}

}  // namespace deq
