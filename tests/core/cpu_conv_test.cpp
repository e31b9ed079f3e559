#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/builder.h"
#include "core/cpu/amx_conv.h"
#include "core/cpu/backend.h"
#include "core/cpu/bfloat16.h"
#include "core/cpu/conv_shape.h"
#include "core/interpreter.h"
#include "core/reference/backend.h"
#include "tests/core/float_tensors.h"
#include "tests/op_cases/allocation_counter.h"

using namespace deq;

namespace {

// |found - wanted| / |wanted| over a whole output. A float32 sum of n products carries about sqrt(n) * 6e-8; the
// longest here (a weight gradient over 2 * 32 * 32 pixels) has 2048. Winograd F(4x4,3x3) adds and takes away more; bf16
// keeps 8 bits of each operand.
constexpr double kDirectError = 3e-6;
constexpr double kWinogradError = 1e-5;
constexpr double kBf16Error = 1e-2;

ConvShape square(std::int64_t extent, std::int64_t in, std::int64_t out, std::int64_t kernel, int stride,
                 int groups = 1) {
  return {.batch = 2,
          .height = extent,
          .width = extent,
          .in_channels = in,
          .out_channels = out,
          .kernel_h = kernel,
          .kernel_w = kernel,
          .conv = {.stride = stride, .pad = static_cast<int>(kernel / 2), .groups = groups}};
}

/// Convolutions of the multiscale networks, and some that no vector width divides.
std::vector<ConvShape> shapes() {
  std::vector<ConvShape> out{square(32, 3, 24, 3, 1),   square(32, 24, 120, 3, 1), square(16, 120, 24, 3, 1),
                             square(16, 24, 24, 3, 2),  square(16, 24, 24, 1, 1),  square(8, 64, 128, 3, 2),
                             square(4, 128, 256, 3, 1), square(7, 5, 3, 3, 2),     square(6, 6, 9, 3, 1, 3),
                             square(9, 1, 1, 5, 3)};
  out.push_back({.batch = 3,
                 .height = 5,
                 .width = 8,
                 .in_channels = 7,
                 .out_channels = 4,
                 .kernel_h = 1,
                 .kernel_w = 3,
                 .conv = {}});
  return out;
}

/// 3x3 convolutions that no tile, vector or block divides, of one sample and of several, with all paddings.
std::vector<ConvShape> ragged_shapes() {
  std::vector<ConvShape> out;
  const auto add = [&out](std::int64_t batch, std::int64_t height, std::int64_t width, std::int64_t in,
                          std::int64_t channels, int pad) {
    out.push_back({.batch = batch,
                   .height = height,
                   .width = width,
                   .in_channels = in,
                   .out_channels = channels,
                   .kernel_h = 3,
                   .kernel_w = 3,
                   .conv = {.stride = 1, .pad = pad, .groups = 1}});
  };
  add(1, 1, 1, 1, 1, 1);
  add(1, 3, 2, 2, 3, 1);
  add(1, 7, 5, 9, 17, 1);
  add(3, 9, 6, 33, 70, 1);
  add(2, 6, 11, 40, 12, 0);
  add(2, 3, 3, 8, 24, 0);
  add(1, 5, 13, 15, 26, 2);
  add(5, 4, 4, 31, 64, 1);
  add(2, 5, 5, 160, 192, 1);  // weights beyond the cache: threads share the channels instead of the tiles
  return out;
}

/// x, w and g of a convolution in a graph, with values.
struct Operands {
  explicit Operands(const ConvShape& s)
      : shape(s),
        x(graph.input("x", {DType::f32, s.image()}, Rate::batch)),
        w(graph.input("w", {DType::f32, s.weight()}, Rate::batch)),
        g(graph.input("g", {DType::f32, s.result()}, Rate::batch)),
        bindings{{"x", random_tensor(s.image(), 1)},
                 {"w", random_tensor(s.weight(), 2)},
                 {"g", random_tensor(s.result(), 3)}} {}

  [[nodiscard]] std::vector<Value> passes() const {
    return {conv2d(x, w, shape.conv), conv2d_input_grad(g, w, shape.conv, shape.height, shape.width),
            conv2d_weight_grad(x, g, shape.conv, shape.kernel_h, shape.kernel_w)};
  }
  std::vector<Tensor> run(const std::vector<Value>& outputs, Backend& backend) const {
    return interpret(graph, outputs, bindings, backend);
  }

  ConvShape shape;
  Graph graph;
  Value x, w, g;
  Bindings bindings;
};

void expect_parity(const CpuOptions& options, double bound, const std::vector<ConvShape>& cases) {
  ReferenceBackend reference;
  CpuBackend cpu(options);
  for (const ConvShape& shape : cases) {
    CAPTURE(concat(shape));
    const Operands operands(shape);
    const std::vector<Value> passes = operands.passes();
    const std::vector<Tensor> wanted = operands.run(passes, reference), found = operands.run(passes, cpu);
    for (std::size_t pass = 0; pass < passes.size(); ++pass) {
      CAPTURE(pass);
      CHECK(normalised_error(found[pass], wanted[pass]) < bound);
    }
  }
}

/// `weight` packed for a pass, or empty when the backend takes it as it is.
Value packed(Value weight, ConvPass pass, const ConvShape& shape, const Backend& backend) {
  PackWeights pack{.conv = shape.conv, .pass = pass, .image = shape.image(), .bytes = 0};
  pack.bytes = backend.packed_weight_bytes(pack, weight.type());
  return pack.bytes == 0 ? Value{} : weight.graph->add_one(pack, {weight});
}

/// Every element becomes the nearest bf16.
void round_elements(Tensor& tensor) {
  for (float& x : tensor.data<float>()) x = widen(round_to_bfloat16(x));
}

void expect_same_bits(const Tensor& a, const Tensor& b) {
  REQUIRE(a.type() == b.type());
  CHECK(std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

/// Checks both passes of `shape`; returns how many have a packed form.
int expect_packing_changes_nothing(const ConvShape& shape, CpuBackend& cpu) {
  Operands operands(shape);
  const std::vector<Value> passes = operands.passes();
  const std::vector<Tensor> plain = operands.run(passes, cpu);
  int packed_passes = 0;
  if (const Value w = packed(operands.w, ConvPass::forward, shape, cpu); !w.is_empty()) {
    const Value y = operands.graph.add_one(shape.conv, {operands.x, w, operands.w});
    expect_same_bits(operands.run({y}, cpu)[0], plain[0]);
    ++packed_passes;
  }
  if (const Value w = packed(operands.w, ConvPass::input_grad, shape, cpu); !w.is_empty()) {
    const Conv2dInputGrad op{.conv = shape.conv, .height = shape.height, .width = shape.width};
    const Value dx = operands.graph.add_one(op, {operands.g, w, operands.w});
    expect_same_bits(operands.run({dx}, cpu)[0], plain[1]);
    ++packed_passes;
  }
  return packed_passes;
}

/// A kernel of one pass of `shape` on the cpu backend, bound to memory of its own.
struct BoundPass {
  BoundPass(const Op& op, std::vector<TensorType> inputs, TensorType output, CpuBackend& cpu) {
    const std::vector<std::uint8_t> is_used{1};
    const std::string label = "test";
    const std::vector<TensorType> outputs{output};
    kernel = cpu.lower({.op = op, .inputs = inputs, .outputs = outputs, .output_used = is_used, .label = label});
    std::vector<const void*> addresses;
    for (const TensorType& type : inputs) addresses.push_back(memory.emplace_back(type).raw());
    void* result = memory.emplace_back(output).raw();
    workspace = allocate_aligned(kernel->workspace_bytes());
    kernel->bind(addresses, std::span<void* const>(&result, 1), workspace.get());
  }

  [[nodiscard]] std::size_t allocations_per_run() {
    kernel->run();
    const std::size_t before = tests::allocations();
    kernel->run();
    return tests::allocations() - before;
  }

  std::unique_ptr<Kernel> kernel;
  std::vector<Tensor> memory;
  AlignedBytes workspace;
};

/// The gradient in x and the result of a sample alone have the bits that they have as the last of seven.
void expect_same_in_every_batch(ConvShape shape, CpuBackend& cpu) {
  CAPTURE(concat(shape));
  shape.batch = 1;
  const Operands alone(shape);
  shape.batch = 7;
  Operands together(shape);
  for (const char* name : {"x", "g"}) {
    const Tensor& one = alone.bindings.at(name);
    std::memcpy(static_cast<std::byte*>(together.bindings.at(name).raw()) + 6 * one.bytes(), one.raw(), one.bytes());
  }
  const std::vector<Tensor> one = alone.run(alone.passes(), cpu), all = together.run(together.passes(), cpu);
  for (const std::size_t pass : {0u, 1u}) {
    CAPTURE(pass);
    const auto* last = static_cast<const std::byte*>(all[pass].raw()) + 6 * one[pass].bytes();
    CHECK(std::memcmp(last, one[pass].raw(), one[pass].bytes()) == 0);
  }
}

}  // namespace

TEST_CASE("direct convolutions agree with the reference in all three passes") {
  expect_parity({.algorithm = ConvAlgorithm::direct}, kDirectError, shapes());
}

TEST_CASE("Winograd convolutions agree with the reference in all three passes") {
  expect_parity({.algorithm = ConvAlgorithm::winograd}, kWinogradError, shapes());
  expect_parity({.algorithm = ConvAlgorithm::winograd}, kWinogradError, ragged_shapes());
}

TEST_CASE("the automatic choice of convolutions agrees with the reference") {
  expect_parity({}, kWinogradError, shapes());
  expect_parity({}, kWinogradError, ragged_shapes());
}

TEST_CASE("bf16 convolutions are those of rounded operands, on every processor") {
  const ConvShape shape = square(16, 24, 120, 3, 1);
  CpuBackend cpu(CpuOptions{.algorithm = ConvAlgorithm::bf16});
  Operands operands(shape);
  expect_parity({.algorithm = ConvAlgorithm::bf16}, kBf16Error, shapes());
  ReferenceBackend reference;
  const std::vector<Tensor> found = operands.run(operands.passes(), cpu);
  const std::vector<Tensor> exact = operands.run(operands.passes(), reference);
  CHECK(normalised_error(found[0], exact[0]) > 1e-4);  // else nothing was rounded
  CHECK(normalised_error(found[1], exact[1]) > 1e-4);
  CHECK(normalised_error(found[2], exact[2]) < kDirectError);
  for (const char* name : {"x", "w", "g"}) round_elements(operands.bindings.at(name));
  const std::vector<Tensor> of_rounded = operands.run(operands.passes(), reference);
  CHECK(normalised_error(found[0], of_rounded[0]) < kDirectError);
  CHECK(normalised_error(found[1], of_rounded[1]) < kDirectError);
}

TEST_CASE("bf16 convolutions hand on nan") {
  const ConvShape shape = square(16, 24, 24, 3, 1);
  CpuBackend cpu(CpuOptions{.algorithm = ConvAlgorithm::bf16});
  Operands operands(shape);
  operands.bindings.at("x").data<float>()[0] = std::bit_cast<float>(0x7fffffffU);  // rounding its bits would wrap to -0
  CHECK(std::isnan(operands.run(operands.passes(), cpu)[0].data<float>()[0]));
}

TEST_CASE("a Winograd convolution of a sample is the same in every batch") {
  CpuBackend cpu(CpuOptions{.algorithm = ConvAlgorithm::winograd});
  for (const ConvShape& shape : ragged_shapes()) expect_same_in_every_batch(shape, cpu);
}

TEST_CASE("a convolution by tiles of AMX fits its reference and is the same in every batch, on any threads") {
  const CpuOptions options{.algorithm = ConvAlgorithm::bf16};
  CpuBackend cpu(options);
  std::vector<ConvShape> fitting;
  for (const std::vector<ConvShape>& some : {shapes(), ragged_shapes()})
    std::ranges::copy_if(some, std::back_inserter(fitting),
                         [](const ConvShape& s) { return cpu::AmxConv::fits(s, false); });
  if (fitting.empty()) return;  // this processor has none: the cases above are of oneDNN
  CHECK(fitting.size() > 10);
  const int threads = omp_get_max_threads();
  for (const int wanted : {1, 2, 5}) {
    omp_set_num_threads(wanted);
    expect_parity(options, kBf16Error, fitting);
    for (const ConvShape& shape : fitting) expect_same_in_every_batch(shape, cpu);
  }
  omp_set_num_threads(threads);
}

TEST_CASE("packed weights give the same bits as plain ones") {
  for (const ConvAlgorithm algorithm :
       {ConvAlgorithm::automatic, ConvAlgorithm::direct, ConvAlgorithm::winograd, ConvAlgorithm::bf16}) {
    CpuBackend cpu(CpuOptions{.algorithm = algorithm});
    int packed_passes = 0;
    for (const ConvShape& shape : shapes()) {
      CAPTURE(concat(shape));
      packed_passes += expect_packing_changes_nothing(shape, cpu);
    }
    MESSAGE(packed_passes, " of ", 2 * shapes().size(), " passes take packed weights");
  }
}

TEST_CASE("running a convolution allocates nothing of its own") {
  CpuBackend cpu;
  const ConvShape s = square(16, 24, 24, 3, 1);
  const TensorType x{DType::f32, s.image()}, w{DType::f32, s.weight()}, y{DType::f32, s.result()};
  const Conv2dInputGrad input_grad{.conv = s.conv, .height = s.height, .width = s.width};
  const Conv2dWeightGrad weight_grad{.conv = s.conv, .kernel_h = s.kernel_h, .kernel_w = s.kernel_w};
  BoundPass forward(s.conv, {x, w}, y, cpu), backward(input_grad, {y, w}, x, cpu), weights(weight_grad, {x, y}, w, cpu);
  for (BoundPass* pass : {&forward, &backward, &weights}) {
    CHECK(pass->allocations_per_run() == 0);  // oneDNN's own bookkeeping counts apart: core/cpu/vendor_call.h
  }
}

TEST_CASE("a convolution in double is refused by name") {
  CpuBackend cpu;
  const ConvShape s = square(4, 2, 2, 3, 1);
  const TensorType x{DType::f64, s.image()}, w{DType::f64, s.weight()}, y{DType::f64, s.result()};
  CHECK_THROWS_WITH_AS(BoundPass(s.conv, {x, w}, y, cpu), doctest::Contains("conv2d: no kernel on cpu"), Error);
}
