#include "train/benchmark.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <utility>

#include "core/cpu/conv_unit.h"
#include "train/allocation_counter.h"
#include "train/interrupt.h"
#include "train/step.h"
#include "train/timed.h"

namespace deq {
namespace {

const std::map<std::string, ConvYardstick> kYardsticks = {
    {"direct", ConvYardstick::direct}, {"winograd", ConvYardstick::winograd}, {"bf16", ConvYardstick::bf16}};

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

/// Multiplications and additions of one convolution.
double flops_of(const ConvShape& shape) {
  const std::int64_t terms = shape.in_channels / shape.conv.groups * shape.kernel_h * shape.kernel_w;
  return 2.0 * static_cast<double>(shape.result().elements() * terms);
}

/// A map that knows how long its evaluations took; it waits for a device that runs behind the host.
class TimedMap final : public FixedPointMap {
 public:
  TimedMap(FixedPointMap& map, Backend& backend)
      : map_(&map), backend_(&backend), sample_ms_(static_cast<std::size_t>(map.spec().batch), 0.0) {
    if (FixedPointMap* const product = map.pullback()) pullback_ = std::make_unique<TimedMap>(*product, backend);
    if (FixedPointMap* const product = map.pushforward()) pushforward_ = std::make_unique<TimedMap>(*product, backend);
  }
  [[nodiscard]] const StateSpec& spec() const override { return map_->spec(); }
  StateView input() override { return map_->input(); }
  StateView output() override { return map_->output(); }
  void replay() override {
    backend_->synchronize();
    const auto start = Clock::now();
    map_->replay();
    backend_->synchronize();
    ms_ += ms_since(start);
  }
  [[nodiscard]] int sample_threads() const override { return map_->sample_threads(); }
  void replay_sample(int sample) override {
    const auto start = Clock::now();
    map_->replay_sample(sample);
    sample_ms_[static_cast<std::size_t>(sample)] += ms_since(start);
  }
  FixedPointMap* pullback() override { return pullback_.get(); }
  FixedPointMap* pushforward() override { return pushforward_.get(); }
  /// Milliseconds of evaluations and products since the last call of this; what threads did side by side counts once.
  double take_ms() {
    double ms = std::exchange(ms_, 0.0);
    for (TimedMap* const product : {pullback_.get(), pushforward_.get()})
      if (product != nullptr) ms += product->take_ms();
    for (double& of_sample : sample_ms_) ms += std::exchange(of_sample, 0.0) / std::max(1, sample_threads());
    return ms;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double ms_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }

  FixedPointMap* map_;
  Backend* backend_;
  std::unique_ptr<TimedMap> pullback_, pushforward_;  // products that the solver asks for
  double ms_ = 0.0;
  std::vector<double> sample_ms_;  // [batch]
};

/// One solver update as training makes it (the estimate is kept): a solve of f less the evaluations inside it, a step.
void measure_update(FixedPointMap& map, Backend& backend, const SolverConfig& config, int repeats,
                    BenchmarkResult& out) {
  TimedMap timed_map(map, backend);
  StateOps& ops = backend.state_ops();
  const StateSpec& spec = map.spec();
  const std::unique_ptr<FixedPointSolver> solver = make_policy(config, "shine")->make_solver(spec, ops);
  const AlignedBytes workspace = backend.allocate(solver->workspace_bytes());
  const AlignedBytes estimate = backend.allocate(solver->estimate_bytes());
  const AlignedBytes state = backend.allocate(spec.bytes());
  solver->bind(workspace.get(), estimate.get());
  SolveReport report;
  std::vector<double> updates, shares;
  for (int i = 0; i <= repeats; ++i) {
    stop_if_interrupted();
    ops.fill(spec, {state.get()}, 0.0, {});
    (void)timed_map.take_ms();
    const auto start = std::chrono::steady_clock::now();
    solver->solve(timed_map, {state.get()}, report);
    const double all = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    const double inside = timed_map.take_ms();
    if (i == 0) continue;  // to warm up
    updates.push_back((all - inside) / std::max(1, report.steps_run));
    shares.push_back(updates.back() / (inside / report.map_calls));
  }
  std::sort(updates.begin(), updates.end());
  std::sort(shares.begin(), shares.end());
  out.solver_overhead_ms = median_of_sorted(updates);
  out.solver_overhead_share = median_of_sorted(shares);
  out.history_bytes = solver->estimate_bytes();
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

double optimizer_time(const std::vector<Program::LaunchTime>& launches) {
  double total = 0;
  for (const Program::LaunchTime& launch : launches)
    if (launch.label == "optimizer") total += launch.ms;
  return total;
}

void measure_estimator(const Model& model, Backend& backend, const BenchmarkOptions& options,
                       const std::string& estimator, BenchmarkResult& out) {
  const Optimizer optimizer(model.config.optimizer, model.store);
  TrainingStep step(model, optimizer, backend,
                    {.batch = options.batch, .is_pretraining = false, .estimator = estimator, .stops_in_solves = true});
  const Batch batch = random_batch(model, options.batch);
  std::int64_t count = 0;
  const auto run = [&] { (void)step.run(batch, model.config.optimizer.lr, count++); };
  out.step_ms[estimator] = median_of_sorted(timed(options.repeats, run));
  std::vector<double> backward, update;
  for (int i = 0; i < options.repeats; ++i) {
    stop_if_interrupted();
    const std::vector<Program::LaunchTime> launches = step.program().profile();
    backward.push_back(backward_time(launches));
    update.push_back(optimizer_time(launches));
  }
  std::sort(backward.begin(), backward.end());
  std::sort(update.begin(), update.end());
  out.optimizer_ms = median_of_sorted(update);
  out.backward_ms[estimator] = median_of_sorted(backward);
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
  const std::vector<double> f = replay_ms([&map] { map.replay(); }, backend, options.repeats);
  out.f_ms = median_of_sorted(f), out.f_ms_min = f.front(), out.f_ms_max = f.back();
  out.map_launches = static_cast<int>(inference.program().map_launches());
  out.map_bytes = inference.program().map_bytes();
  out.inference_ms = median_of_sorted(timed(options.repeats, [&] { (void)inference.run(batch.images); }));
  const std::int64_t waits = backend.state_ops().host_waits();
  inference.program().run();
  out.host_waits_per_solve = backend.state_ops().host_waits() - waits;
  const SolveReport& report = *inference.program().forward_report();
  out.forward_steps = report.steps_run;
  out.evaluations_saved = report.evaluations_saved();
  measure_update(map, backend, model.config.solver, options.repeats, out);
}

void measure_vjp(const Model& model, Backend& backend, const BenchmarkOptions& options, BenchmarkResult& out) {
  const Optimizer optimizer(model.config.optimizer, model.store);
  TrainingStep step(
      model, optimizer, backend,
      {.batch = options.batch, .is_pretraining = false, .estimator = "shine-refine-1", .stops_in_solves = true});
  (void)step.run(random_batch(model, options.batch), 0.0, 0);
  FixedPointMap& map = *step.program().vjp_map();
  out.vjp_ms = median_of_sorted(replay_ms([&map] { map.replay(); }, backend, options.repeats));
}

void measure_single_image(const Model& model, Backend& backend, const BenchmarkOptions& options, BenchmarkResult& out) {
  InferenceStep inference(model, backend, model.image_shape(1), model.config.solver);
  const Batch batch = random_batch(model, 1);
  out.inference_1_ms = median_of_sorted(timed(options.repeats, [&] { (void)inference.run(batch.images); }));
  out.parameter_launches = static_cast<int>(inference.program().step_launches());
  out.inference_launches = static_cast<int>(inference.program().launches()) - out.parameter_launches;
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
  // The yardstick is taken between the parts of the run, so that a machine whose speed drifts bends both alike. It is
  // the processor's: once is enough where a device does the rest.
  const std::vector<ConvShape> shapes = convolutions(model, options.batch, fixed.solver);
  for (const ConvShape& shape : shapes) out.map_flops += flops_of(shape);
  std::map<std::string, std::vector<double>> units;
  const auto measure_unit = [&] {
    for (const auto& [name, yardstick] : kYardsticks)
      units[name].push_back(convolution_unit_ms(shapes, options.repeats, yardstick, stop_if_interrupted));
  };
  measure_unit();
  measure_map(model, backend, options, out);
  measure_single_image(model, backend, options, out);
  measure_vjp(model, backend, options, out);
  const bool drifts_alike = backend.device().kind != DeviceKind::cuda;
  if (drifts_alike) measure_unit();
  for (const std::string& estimator : options.estimators) {
    measure_estimator(model, backend, options, estimator, out);
    if (drifts_alike) measure_unit();
  }
  out.rates = measure_rates(backend, options.repeats);
  for (auto& [name, times] : units) {
    std::sort(times.begin(), times.end());
    if (times.front() > 0) out.conv_floor_ms[name] = median_of_sorted(times);
  }
  out.conv_unit_ms = out.conv_floor_ms.at("direct");
  return out;
}

}  // namespace deq
