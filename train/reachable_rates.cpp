#include "train/reachable_rates.h"

#include <algorithm>

#include "core/builder.h"
#include "core/program.h"
#include "layers/equilibrium.h"
#include "solvers/policy.h"
#include "train/timed.h"

namespace deq {
namespace {

constexpr double kMs = 1e3;

/// Numbers between -1 and 1 without order. Processors draw less power for zeros, and GPUs then run faster than they can
/// with other numbers.
Tensor noise(const Shape& shape) {
  Tensor out(DType::f32, shape);
  std::uint32_t bits = 1;
  for (float& value : out.data<float>()) {
    bits = bits * 1664525U + 1013904223U;  // W. Press and others, Numerical Recipes, 7.1
    value = static_cast<float>(static_cast<std::int32_t>(bits)) * 0x1p-31F;
  }
  return out;
}

/// Seconds of one f on states of `shape`.
double seconds_of(const Shape& shape, const StateFunction& f, Graph& graph, Backend& backend, int repeats) {
  const auto once = std::make_shared<ImplicitPolicy>(SolverOptions{.method = Picard{}, .max_steps = 1}, JacobianFree{});
  const Value start = graph.input("start", {DType::f32, shape}, Rate::batch);
  const std::vector<Value> values = equilibrium(f, {start}, {.policy = once});
  Program program = Program::compile(graph, values, backend);
  program.bind("start", noise(shape));
  program.run();
  FixedPointMap& map = *program.map();
  return median_of_sorted(replay_ms([&map] { map.replay(); }, backend, repeats)) / kMs;
}

/// Seconds of a copy of `values` within the backend's memory.
double seconds_of_copy(const Tensor& values, Backend& backend, int repeats) {
  const AlignedBytes from = backend.allocate(values.bytes()), to = backend.allocate(values.bytes());
  backend.upload(from.get(), values.raw(), values.bytes());
  const auto copy = [&] { backend.copy(to.get(), from.get(), values.bytes()); };
  return median_of_sorted(replay_ms(copy, backend, repeats)) / kMs;
}

/// By an operation on a long array, or by a copy where that is faster: on a GPU a thread of an operation has one number
/// under way, which is too few for the memory of some.
double bytes_per_s(Backend& backend, std::int64_t rows, int repeats) {
  const Shape shape{rows, 1 << 14};
  Graph graph(Mode::inference);
  const StateFunction f = [](std::span<const Value> z) { return std::vector<Value>{z[0] * 0.5}; };
  const double seconds =
      std::min(seconds_of(shape, f, graph, backend, repeats), seconds_of_copy(noise(shape), backend, repeats));
  return 2.0 * sizeof(float) * static_cast<double>(shape.elements()) / seconds;
}

double flops_per_s(Backend& backend, std::int64_t n, int repeats) {
  Graph graph(Mode::inference);
  const Value w = graph.parameter("w", std::make_shared<Tensor>(noise({n, n})));
  const StateFunction f = [w](std::span<const Value> z) { return std::vector<Value>{matmul(z[0], w)}; };
  const auto side = static_cast<double>(n);
  return 2.0 * side * side * side / seconds_of(Shape{n, n}, f, graph, backend, repeats);
}

}  // namespace

std::vector<double> replay_ms(const std::function<void()>& replay, Backend& backend, int repeats) {
  const int replays = backend.device().kind == DeviceKind::cuda ? 10 : 1;
  std::vector<double> out = timed(repeats, [&] {
    for (int i = 0; i < replays; ++i) replay();
    backend.synchronize();
  });
  for (double& ms : out) ms /= replays;
  return out;
}

ReachableRates measure_rates(Backend& backend, int repeats) {
  const bool is_large = backend.device().kind == DeviceKind::cuda;
  return {.bytes_per_s = bytes_per_s(backend, is_large ? 4096 : 512, repeats),
          .flops_per_s = flops_per_s(backend, is_large ? 8192 : 1024, repeats)};
}

}  // namespace deq
