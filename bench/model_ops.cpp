// Every distinct operation that one f, one product with J^T and the weight gradients of an MDEQ are made of, beside the
// roofline of this machine.
//
//   build/release/bench_model_ops train/configs/cifar10-mdeq-tiny.toml [--batch=32] [--threads=2] [Google Benchmark
//   flags]
//
// `GFLOP/s` counts the multiplications and additions of convolutions and matrix products, `GB/s` every operand and
// result once. `of_roof` is the time the machine would need at least, max(FLOP / peak, bytes / bandwidth), over the
// time taken; peak (fused multiply-adds in registers) and bandwidth (the read of an array beyond every cache) are
// measured in the same run by the same threads. Operands that still lie in a cache can exceed 1. `in_f` is how often
// one f runs it.

#include <benchmark/benchmark.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/cpu/state_kernels.h"
#include "core/cpu/vector.h"
#include "core/error.h"
#include "core/rewrite.h"
#include "train/model.h"

namespace {

using namespace deq;

double seconds_of(const auto& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The machine's limits, by all threads.
struct Roof {
  double flops = 0;  ///< per second
  double bytes = 0;  ///< per second
};

/// Fused multiply-adds a second in registers: 12 independent chains on every thread.
double peak_flops() {
  using Vector = cpu::Vec<cpu::kRegisterFloats>;
  constexpr int kChains = 12, kTurns = 2'000'000, kRounds = 5;
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    double sink = 0;
    const double seconds = seconds_of([&] {
#pragma omp parallel reduction(+ : sink)
      {
        std::array<Vector, kChains> sum{};  // of different values, or the compiler keeps one of them
        for (std::size_t chain = 0; chain < kChains; ++chain) sum[chain] += static_cast<float>(chain);
        const Vector scale = Vector{} + 0.999F, shift = Vector{} + 1e-3F;
        for (int turn = 0; turn < kTurns; ++turn)
#pragma GCC unroll 12
          for (Vector& chain : sum) chain = chain * scale + shift;
        for (const Vector& chain : sum) sink += static_cast<double>(chain[0]);
      }
    });
    benchmark::DoNotOptimize(sink);
    best = std::max(best, 2.0 * cpu::kRegisterFloats * kChains * kTurns * omp_get_max_threads() / seconds);
  }
  return best;
}

/// Bytes a second read from 256 MiB.
double read_bandwidth() {
  constexpr std::int64_t kPiece = 1 << 16, kPieces = 1 << 10;  // floats, and how many times as many
  const AlignedBytes memory = allocate_aligned(kPiece * kPieces * sizeof(float));
  const float* const data = reinterpret_cast<const float*>(memory.get());
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    double sum = 0;
    const double seconds = seconds_of([&] {
#pragma omp parallel for reduction(+ : sum) schedule(static)
      for (std::int64_t i = 0; i < kPieces; ++i) sum += dot(data + i * kPiece, data + i * kPiece, kPiece);
    });
    benchmark::DoNotOptimize(sum);
    best = std::max(best, static_cast<double>(kPiece * kPieces * sizeof(float)) / seconds);
  }
  return best;
}

std::string text_of(const Shape& shape) {
  std::string out;
  for (int i = 0; i < shape.rank(); ++i) out += (i > 0 ? "x" : "") + std::to_string(shape[i]);
  return out;
}

/// Multiplications and additions; 0 for operations that memory bounds.
double flops_of(const Graph& graph, const Node& node) {
  const auto of_conv = [](const Shape& result, const Shape& weight) {  // weight [Cout, Cin / groups, Kh, Kw]
    return 2.0 * static_cast<double>(result.elements()) * static_cast<double>(weight[1] * weight[2] * weight[3]);
  };
  const auto shape = [&](std::size_t input) { return graph.type(node.inputs[input]).shape; };
  if (std::holds_alternative<Conv2d>(node.op)) return of_conv(node.outputs[0].shape, shape(node.inputs.size() - 1));
  if (std::holds_alternative<Conv2dInputGrad>(node.op)) return of_conv(shape(0), shape(node.inputs.size() - 1));
  if (std::holds_alternative<Conv2dWeightGrad>(node.op)) return of_conv(shape(1), node.outputs[0].shape);
  return 0;
}

/// One lowered node with memory of its own.
struct Case {
  Case(const Graph& graph, const Node& node, Backend& backend) : flops(flops_of(graph, node)) {
    std::vector<TensorType> types;
    for (const Ref& input : node.inputs) types.push_back(graph.type(input));
    const std::vector<std::uint8_t> used(node.outputs.size(), 1);
    kernel = backend.lower({node.op, types, node.outputs, used, node.label});
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    for (const TensorType& type : types) inputs.push_back(take(type, 1.0F / 64));
    for (const TensorType& type : node.outputs) outputs.push_back(take(type, 0.0F));
    memory.push_back(backend.allocate(std::max<std::size_t>(kernel->workspace_bytes(), 64)));
    kernel->bind(inputs, outputs, memory.back().get());
  }
  void* take(const TensorType& type, float value) {
    memory.push_back(allocate_aligned(std::max<std::size_t>(type.bytes(), 64)));
    bytes += static_cast<double>(type.bytes());
    if (type.dtype == DType::f32)
      std::fill_n(reinterpret_cast<float*>(memory.back().get()), type.shape.elements(), value);
    return memory.back().get();
  }
  double flops = 0;
  double bytes = 0;
  std::unique_ptr<Kernel> kernel;
  std::vector<AlignedBytes> memory;
};

void measure(benchmark::State& state, Case& one, Roof roof, int in_f) {
  one.kernel->run();
  double seconds = 1e9;
  for (auto _ : state) {
    const double taken = seconds_of([&] { one.kernel->run(); });
    state.SetIterationTime(taken);
    seconds = std::min(seconds, taken);
  }
  state.counters["best_ms"] = seconds * 1e3;
  state.counters["GFLOP/s"] = one.flops / seconds * 1e-9;
  state.counters["GB/s"] = one.bytes / seconds * 1e-9;
  state.counters["of_roof"] = std::max(one.flops / roof.flops, one.bytes / roof.bytes) / seconds;
  state.counters["in_f"] = in_f;
}

/// A graph that holds f, the product with its transposed Jacobian and the weight gradients, as a training step would.
void trace(const Model& model, int batch, Graph& graph, std::vector<Value>& outputs) {
  const Value image = graph.input("image", {DType::f32, model.image_shape(batch)}, Rate::batch);
  MdeqForward forward;
  forward.equilibrium.policy = make_policy(model.config.solver, "shine-refine-1");
  const Mdeq::Output output = model.network(image, forward);
  const Value loss = mean(square(output.logits));
  outputs = gradients_or_zeros(loss, model.store.trainable(graph));
  outputs.push_back(loss);
}

struct Found {
  std::string name;
  NodeId node = 0;
  int in_f = 0;
};

/// Distinct operations that do work, with f's first.
std::vector<Found> distinct(const Graph& graph) {
  std::map<std::string, std::size_t> places;
  std::vector<Found> out;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const bool is_inside = node.rate == Rate::iterate || node.rate == Rate::cotangent;
    const bool is_weight_gradient = std::holds_alternative<Conv2dWeightGrad>(node.op);
    if (node.inputs.empty() || (!is_inside && !is_weight_gradient)) continue;
    if (std::holds_alternative<LinearSolve>(node.op) || std::holds_alternative<Equilibrium>(node.op)) continue;
    std::string name = (node.rate == Rate::iterate ? "f " : is_weight_gradient ? "weights " : "vjp ");
    name += name_of(node.op);
    for (const Ref& input : node.inputs)
      if (graph.type(input).dtype == DType::f32) name += " " + text_of(graph.type(input).shape);
    name += " > " + text_of(node.outputs[0].shape);
    const auto [place, is_new] = places.try_emplace(name, out.size());
    if (is_new) out.push_back({name, id, 0});
    if (node.rate == Rate::iterate) ++out[place->second].in_f;
  }
  std::stable_sort(out.begin(), out.end(), [](const Found& a, const Found& b) { return a.in_f > 0 && b.in_f == 0; });
  return out;
}

/// "--name=7" among the arguments, removed from them; otherwise `fallback`.
int take_flag(std::vector<char*>& arguments, const std::string& name, int fallback) {
  const std::string prefix = "--" + name + "=";
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string argument = arguments[i];
    if (!argument.starts_with(prefix)) continue;
    arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i));
    return std::stoi(argument.substr(prefix.size()));
  }
  return fallback;
}

int run(std::vector<char*> arguments) {
  require(arguments.size() >= 2, "bench_model_ops", "name a configuration, e.g. train/configs/cifar10-mdeq-tiny.toml");
  const int batch = take_flag(arguments, "batch", 32);
  omp_set_num_threads(take_flag(arguments, "threads", omp_get_max_threads()));
  const Config config = load_config(arguments[1], {});
  arguments.erase(arguments.begin() + 1);
  std::string tabular = "--benchmark_counters_tabular=true";
  arguments.insert(arguments.begin() + 1, tabular.data());

  const Model model(config);
  CpuBackend backend;
  Graph graph(Mode::training);
  std::vector<Value> outputs;
  trace(model, batch, graph, outputs);
  const Rewritten rewritten = rewrite(graph, outputs, backend);
  const Roof roof{.flops = peak_flops(), .bytes = read_bandwidth()};
  std::printf("%s, batch %d, %d threads: peak %.0f GFLOP/s, read %.1f GB/s\n", config.model.name.c_str(), batch,
              omp_get_max_threads(), roof.flops * 1e-9, roof.bytes * 1e-9);
  std::vector<std::unique_ptr<Case>> cases;
  for (const Found& found : distinct(*rewritten.graph)) {
    cases.push_back(std::make_unique<Case>(*rewritten.graph, rewritten.graph->node(found.node), backend));
    Case& one = *cases.back();
    benchmark::RegisterBenchmark(
        found.name.c_str(), [&one, roof, found](benchmark::State& state) { measure(state, one, roof, found.in_f); })
        ->UseManualTime()
        ->MinTime(0.05)
        ->Unit(benchmark::kMillisecond);
  }
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(std::vector<char*>(argv, argv + argc));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
