#include <doctest/doctest.h>

#include <cmath>

#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/cuda/aligned_kernel.h"
#include "core/program.h"
#include "core/state_ops.h"
#include "tests/core/float_tensors.h"
#include "tests/op_cases/emulated_cuda.h"
#include "tests/op_cases/plain_solvers.h"
#ifdef DEQ_CUDA
#include "core/cuda/backend.h"
#include "core/cuda/device.h"
#endif

// Blocks of a state that begin between two quads, on the emulated device, which refuses them, and on a real one.

using namespace deq;

namespace {

/// z <- f(z), three times, wherever the state lies.
class RepeatedMap final : public FixedPointSolver {
 public:
  RepeatedMap(StateSpec spec, StateOps& ops) : spec_(std::move(spec)), ops_(&ops) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return 0; }
  [[nodiscard]] std::size_t estimate_bytes() const override { return 0; }
  void bind(void*, void*) override {}
  void solve(FixedPointMap& map, StateView z, SolveReport&) override {
    for (int step = 0; step < 3; ++step) {
      ops_->copy(spec_, z, map.input(), {});
      map.replay();
      ops_->copy(spec_, map.output(), z, {});
    }
  }
  [[nodiscard]] const InverseEstimate& estimate() const override { return estimate_; }

 private:
  StateSpec spec_;
  StateOps* ops_;
  tests::NoEstimate estimate_;
};

class RepeatedPolicy final : public EquilibriumPolicy {
 public:
  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_solver(const StateSpec& spec, StateOps& ops) const override {
    return std::make_unique<RepeatedMap>(spec, ops);
  }
  [[nodiscard]] std::unique_ptr<AdjointSolver> make_adjoint(const StateSpec&, StateOps&) const override {
    throw Error("repeated map: has no adjoint");
  }
  [[nodiscard]] bool needs_vjp() const override { return false; }
  [[nodiscard]] bool compacts() const override { return false; }
  [[nodiscard]] std::string describe() const override { return "repeated map"; }
};

/// The third state after three steps of a map whose images follow a vector of three numbers: convolutions, norms,
/// enlarged images and products read and write them where they lie.
std::vector<Tensor> solved_on(Backend& backend) {
  Graph graph;
  const std::vector<TensorType> types{
      {DType::f32, {1, 3}}, {DType::f32, {1, 4, 4, 8}}, {DType::f32, {1, 8, 8, 8}}, {DType::f32, {1, 5}}};
  const auto parameter = [&graph](const char* name, const Shape& shape, unsigned seed) {
    return graph.parameter(name, std::make_shared<Tensor>(random_tensor(shape, seed)));
  };
  const Value first = parameter("first", {8, 8, 3, 3}, 1), second = parameter("second", {8, 8, 1, 1}, 2);
  const Value square = parameter("square", {5, 5}, 3), mix = parameter("mix", {3, 3}, 4);
  const Value small = graph.input("small", types[1], Rate::batch), large = graph.input("large", types[2], Rate::batch);
  std::vector<Value> z, start;
  for (std::size_t i = 0; i < types.size(); ++i) {
    z.push_back(graph.input("z" + std::to_string(i), types[i], Rate::iterate));
    start.push_back(constant(graph, 0.1, types[i].shape));
  }
  const std::vector<Value> image{group_norm(conv2d(z[1], first, {.pad = 1}) + small, 4, 1e-5).y,
                                 conv2d(z[2], second, {}) * 0.1 + resize(z[1], {.height = 8, .width = 8}) + large};
  const std::vector<Value> f{deq::tanh(matmul(z[0], mix)), image[0], group_norm(image[1], 2, 1e-5).y,
                             deq::tanh(matmul(z[3], square) + 0.5)};
  const RegionId region = graph.add_region(z, f);
  const std::vector<Value> solution =
      graph.add(Equilibrium{.region = region, .policy = std::make_shared<RepeatedPolicy>()}, start);
  std::vector<Value> outputs = solution;
  outputs.push_back(group_norm(solution[2], 4, 1e-5).y);
  Program program = Program::compile(graph, outputs, backend);
  program.bind("small", random_tensor(types[1].shape, 5));
  program.bind("large", random_tensor(types[2].shape, 6));
  std::vector<Tensor> found;
  for (int run = 0; run < 3; ++run) program.run();
  for (const Value& output : outputs) found.push_back(program.read(output));
  return found;
}

void check_as_on_the_host(Backend& backend) {
  CpuBackend cpu;
  const std::vector<Tensor> wanted = solved_on(cpu), found = solved_on(backend);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    CAPTURE(i);
    const auto a = found[i].data<float>(), b = wanted[i].data<float>();
    double worst = 0;
    for (std::size_t k = 0; k < b.size(); ++k) worst = std::max(worst, std::abs(static_cast<double>(a[k]) - b[k]));
    CHECK(worst <= 1e-4);  // three norms of values of order one, in f32
  }
}

/// Notes what it is bound to, and adds one.
class Recorder final : public Kernel {
 public:
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void*) override {
    in = static_cast<const float*>(inputs[0]), out = static_cast<float*>(outputs[0]);
  }
  void run() override { *out = *in + 1; }
  const float* in = nullptr;
  float* out = nullptr;
};

}  // namespace

TEST_CASE("an operand between two quads is moved, one at their border stays") {
  CpuBackend backend;
  const Op op = MatMul{};
  const std::vector<TensorType> types{{DType::f32, {1, 1}}};
  const std::vector<std::uint8_t> used{1};
  const std::string label;
  const KernelRequest request{.op = op, .inputs = types, .outputs = types, .output_used = used, .label = label};
  auto owned = std::make_unique<Recorder>();
  const Recorder& recorder = *owned;
  const auto kernel = cuda::with_aligned_operands(backend, request, std::move(owned));
  alignas(16) float memory[8] = {};
  for (float* in = memory; in < memory + 4; ++in)
    for (float* out = memory + 4; out < memory + 8; ++out) {
      kernel->bind(std::vector<const void*>{in}, std::vector<void*>{out}, nullptr);
      CHECK(cuda::is_aligned(recorder.in));
      CHECK(cuda::is_aligned(recorder.out));
      CHECK((recorder.in == in) == cuda::is_aligned(in));
      CHECK((recorder.out == out) == cuda::is_aligned(out));
      *in = 3;
      kernel->run();
      CHECK(*out == 4);
    }
}

TEST_CASE("states may have blocks that begin between two quads") {
  tests::EmulatedCuda device;
  check_as_on_the_host(device);
}

#ifdef DEQ_CUDA
TEST_CASE("a CUDA device takes states whose blocks begin between two quads") {
  if (!no_cuda_reason().empty()) return;  // said by cuda_op_grid_test.cpp; here it would hide what the host proves
  for (const bool is_deterministic : {true, false}) {
    CudaBackend device(0, {.precision = CudaPrecision::f32, .is_deterministic = is_deterministic});
    check_as_on_the_host(device);
  }
}
#endif
