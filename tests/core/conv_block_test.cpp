#include <doctest/doctest.h>
#include <omp.h>

#include <cmath>
#include <cstring>
#include <map>
#include <memory>

#include "core/builder.h"
#include "core/cpu/amx_tiles.h"
#include "core/cpu/backend.h"
#include "core/interpreter.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "core/sample_kernel.h"
#include "tests/core/float_tensors.h"

using namespace deq;

namespace {

/// conv2d(relu(group_norm(conv2d(x, w1))), w2).
struct Block {
  std::int64_t height, width, channels, middle, out;
  std::int64_t kernel = 3;  ///< of the second convolution
  int stride = 1;           ///< of it
  int groups = 4;
  bool affine = true;
};

/// What tiles and vectors divide, and what they do not; pixels of a row fewer than a tile, channels on end or padded.
const Block kBlocks[] = {
    {.height = 32, .width = 32, .channels = 24, .middle = 120, .out = 24, .groups = 8},
    {.height = 16, .width = 16, .channels = 32, .middle = 160, .out = 32},
    {.height = 13, .width = 10, .channels = 8, .middle = 40, .out = 8},
    {.height = 7, .width = 37, .channels = 20, .middle = 36, .out = 12, .stride = 2, .affine = false},
    {.height = 9, .width = 19, .channels = 24, .middle = 24, .out = 40, .kernel = 1},
    {.height = 6, .width = 18, .channels = 16, .middle = 40, .out = 24, .kernel = 1},
};

constexpr std::int64_t kBatch = 5;
/// Of operands rounded to 8 bits, in two convolutions, and of the value between them.
constexpr double kBf16Error = 2e-2;

/// The block's graph with values of its operands; x has a mean of 1/2.
struct Traced {
  explicit Traced(const Block& block, std::int64_t batch = kBatch) {
    const auto input = [this](const char* name, Shape shape) {
      values.emplace(name, random_tensor(shape, static_cast<std::uint32_t>(values.size() + 3)));
      return graph.input(name, {DType::f32, shape}, Rate::batch);
    };
    x = input("x", {batch, block.height, block.width, block.channels});
    const Value w1 = input("w1", {block.middle, block.channels, 3, 3});
    const Value w2 = input("w2", {block.out, block.middle, block.kernel, block.kernel});
    first = conv2d(x, w1, {.pad = 1});
    Value gamma, beta;
    if (block.affine) gamma = input("gamma", {block.middle}), beta = input("beta", {block.middle});
    norm = group_norm(first, block.groups, 1e-5, gamma, beta);
    out = conv2d(relu(norm.y), w2, {.stride = block.stride, .pad = static_cast<int>(block.kernel / 2)});
    for (float& value : values.at("x").data<float>()) value += 0.5F;
  }

  Graph graph{};
  Value x, first, out;
  GroupNormValues norm;
  std::map<std::string, Tensor> values;
};

/// What a program of `outputs` gives on `threads` threads, and its description.
struct Ran {
  Ran(const Traced& traced, const std::vector<Value>& outputs, int threads = 2) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    CpuBackend cpu(CpuOptions{.algorithm = ConvAlgorithm::bf16});
    Program program = Program::compile(traced.graph, outputs, cpu);
    for (const auto& [name, value] : traced.values)
      if (program.has_input(name)) program.bind(name, value);
    program.run();
    for (const Value& output : outputs) results.push_back(program.read(output));
    is_one_launch = program.describe().find("conv_block") != std::string::npos;
    omp_set_num_threads(before);
  }

  std::vector<Tensor> results;
  bool is_one_launch = false;
};

/// The kernel of a block of one sample, outside any program.
class BoundBlock {
 public:
  BoundBlock(const Block& block, const Traced& traced, CpuBackend& cpu) : traced_(traced) {
    const TensorType &x = traced.x.type(), middle = traced.first.type();
    const Conv2d first{.pad = 1}, second{.stride = block.stride, .pad = static_cast<int>(block.kernel / 2)};
    const TensorType w1 = traced.values.at("w1").type(), w2 = traced.values.at("w2").type();
    pack({.conv = first, .pass = ConvPass::forward, .image = x.shape}, "w1", cpu);
    pack({.conv = second, .pass = ConvPass::forward, .image = middle.shape}, "w2", cpu);
    std::vector<TensorType> inputs{x, packed_[0].type(), packed_[1].type(), w1, w2};
    if (block.affine) inputs.insert(inputs.end(), 2, traced.values.at("gamma").type());
    const Op op =
        ConvBlock{.first = first, .groups = block.groups, .eps = 1e-5, .affine = block.affine, .second = second};
    kernel_ = lower(op, inputs, traced.out.type(), cpu);
  }

  /// The result of one sample, with scratch memory full of `byte`.
  [[nodiscard]] Tensor run(unsigned char byte) const {
    auto& kernel = dynamic_cast<SampleKernel&>(*kernel_);
    const AlignedBytes scratch = allocate_aligned(kernel.sample_scratch_bytes());
    std::memset(scratch.get(), byte, kernel.sample_scratch_bytes());
    Tensor out(DType::f32, traced_.out.shape());
    std::vector<const void*> inputs{traced_.values.at("x").raw(), packed_[0].raw(), packed_[1].raw(), nullptr, nullptr};
    for (const char* name : {"gamma", "beta"})
      if (traced_.values.count(name) != 0) inputs.push_back(traced_.values.at(name).raw());
    void* to = out.raw();
    kernel.run_sample(inputs, {&to, 1}, scratch.get());
    return out;
  }

 private:
  static std::unique_ptr<Kernel> lower(const Op& op, const std::vector<TensorType>& inputs, const TensorType& output,
                                       CpuBackend& cpu) {
    const std::uint8_t used = 1;
    const std::string label;
    return cpu.lower({op, inputs, {&output, 1}, {&used, 1}, label});
  }
  void pack(PackWeights op, const char* name, CpuBackend& cpu) {
    const Tensor& weight = traced_.values.at(name);
    op.bytes = cpu.packed_weight_bytes(op, weight.type());
    Tensor& packed = packed_.emplace_back(DType::u8, Shape{op.bytes});
    const std::unique_ptr<Kernel> kernel = lower(op, {weight.type()}, packed.type(), cpu);
    const AlignedBytes workspace = allocate_aligned(kernel->workspace_bytes() + 64);
    const void* from = weight.raw();
    void* to = packed.raw();
    kernel->bind({&from, 1}, {&to, 1}, workspace.get());
    kernel->run();
  }

  const Traced& traced_;
  std::vector<Tensor> packed_;
  std::unique_ptr<Kernel> kernel_;
};

Tensor reference_of(const Traced& traced) {
  ReferenceBackend reference;
  return interpret(traced.graph, std::vector<Value>{traced.out}, traced.values, reference).front();
}

}  // namespace

TEST_CASE("a block of bf16 convolutions is one launch where there are tiles, and near its reference") {
  for (const Block& block : kBlocks) {
    const Traced traced(block);
    CAPTURE(concat(traced.first.shape(), " to ", traced.out.shape()));
    const Ran ran(traced, {traced.out});
    CHECK(ran.is_one_launch == cpu::has_amx());
    const double error = normalised_error(ran.results[0], reference_of(traced));
    CHECK(error < kBf16Error);
    CHECK(error > 1e-5);  // else nothing was rounded
  }
}

TEST_CASE("a sample of a block is the same alone and in a batch, on one thread and on several") {
  for (const Block& block : kBlocks) {
    Traced together(block), alone(block, 1);
    CAPTURE(concat(together.first.shape(), " to ", together.out.shape()));
    for (const auto& [name, value] : together.values)
      std::memcpy(alone.values.at(name).raw(), value.raw(), alone.values.at(name).bytes());
    const Tensor batch = Ran(together, {together.out}).results[0];
    for (const int threads : {1, 2, 3}) {
      const Tensor one = Ran(alone, {alone.out}, threads).results[0];
      CHECK(std::memcmp(one.raw(), batch.raw(), one.bytes()) == 0);
    }
  }
}

TEST_CASE("a block whose middle others read stays three launches") {
  const Traced traced(kBlocks[0]);
  for (const Value& read : {traced.first, traced.norm.y, traced.norm.stats}) {
    const Ran ran(traced, {traced.out, read});
    CHECK_FALSE(ran.is_one_launch);
    CHECK(normalised_error(ran.results[0], reference_of(traced)) < kBf16Error);
  }
}

TEST_CASE("a block reads nothing that its scratch memory held before") {
  if (!cpu::has_amx()) return;
  CpuBackend cpu(CpuOptions{.algorithm = ConvAlgorithm::bf16});
  for (const Block& block : kBlocks) {
    const Traced traced(block, 1);
    CAPTURE(concat(traced.first.shape(), " to ", traced.out.shape()));
    const BoundBlock clean(block, traced, cpu), dirty(block, traced, cpu);
    const Tensor wanted = clean.run(0x00), found = dirty.run(0xff);  // 0xff..: nan
    CHECK(std::memcmp(found.raw(), wanted.raw(), wanted.bytes()) == 0);
    CHECK(std::memcmp(wanted.raw(), Ran(traced, {traced.out}).results[0].raw(), wanted.bytes()) == 0);
  }
}

TEST_CASE("a block hands on nan") {
  Traced traced(kBlocks[2]);
  traced.values.at("x").data<float>()[0] = std::nanf("");
  CHECK(std::isnan(Ran(traced, {traced.out}).results[0].data<float>()[0]));
}
