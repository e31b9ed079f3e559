#include <doctest/doctest.h>

#include <random>

#include "core/cuda/host_launcher.h"
#include "core/cuda/tile_conv_kernel.h"
#include "tests/core/cpu_kernel_cases.h"
#ifdef DEQ_CUDA
#include "core/cuda/device.h"
#include "core/cuda/kernels.h"
#include "core/cuda/stream.h"
#endif

// Convolutions in tiles, on the host: what is loaded, multiplied and stored where. Sums are f32 over up to 2880 terms.
// On a device, where there is one, every kernel that there is.

using namespace deq;
using namespace deq::tests;

namespace {

/// Numbers that the format does not round any more.
template <class Format>
Tensor draw(const Shape& shape) {
  static std::mt19937 engine{7};
  std::uniform_real_distribution<float> distribution(-1, 1);
  Tensor out(DType::f32, shape);
  for (float& value : out.data<float>()) value = Format::rounded(distribution(engine));
  return out;
}

template <class Format>
constexpr CudaPrecision kPrecision =
    std::is_same_v<Format, cuda::Bf16Tiles> ? CudaPrecision::bf16 : CudaPrecision::tf32;

/// y = conv(x, w), or its gradient by the input.
template <class Format>
struct TileCase {
  TileCase(const ConvShape& of, ConvPass which) : shape(of), pass(which) {
    const bool is_forward = pass == ConvPass::forward;
    x = draw<Format>(is_forward ? shape.image() : shape.result()), w = draw<Format>(shape.weight());
    const Op op = is_forward ? Op{shape.conv} : Op{Conv2dInputGrad{shape.conv, shape.height, shape.width}};
    wanted = run_reference({"conv", op, {x.type(), w.type()}, {x, w}})[0];
  }
  [[nodiscard]] std::optional<cuda::ConvTiles> cut() const {
    return cuda::ConvTiles::of(shape, pass, kPrecision<Format>);
  }
  /// As `cut`, for every number of tiles and stages that there are kernels and room for.
  [[nodiscard]] std::vector<cuda::ConvTiles> all_cuts() const {
    std::vector<cuda::ConvTiles> out;
    for (const cuda::Index tiles : cuda::conv_cut::kTileChoices)
      for (const cuda::Index stages : {2, 3, 4}) {
        cuda::ConvTiles own = *cut();
        own.tiles = tiles, own.stages = stages, own.columns = cuda::conv_cut::pieces((own.out + 7) / 8, tiles);
        if (own.shared_elements(tiles, stages) <= cuda::conv_cut::kMostShared) out.push_back(own);
      }
    return out;
  }
  /// Largest error on the host, against the largest value of the reference.
  [[nodiscard]] double error_of(const cuda::ConvTiles& own) const {
    Tensor found(DType::f32, wanted.shape());
    for (float& value : found.data<float>()) value = std::numeric_limits<float>::quiet_NaN();
    cuda::TileConvKernel<Format, cuda::HostLauncher> kernel({}, own, /*is_packed=*/false);
    std::vector<float> workspace(kernel.workspace_bytes() / sizeof(float), std::numeric_limits<float>::quiet_NaN());
    const void* const in[] = {x.raw(), w.raw()};
    void* const out[] = {found.raw()};
    kernel.bind(in, out, workspace.data());
    kernel.run();
    return relative_difference(found, wanted);
  }

  ConvShape shape;
  ConvPass pass;
  Tensor x, w, wanted;
};

template <class Format>
double error_of(const ConvShape& shape, ConvPass pass) {
  const TileCase<Format> conv(shape, pass);
  REQUIRE(conv.cut().has_value());
  return conv.error_of(*conv.cut());
}

/// A kernel of every kind: 3x3, 1x1 and others; channels of which quads, pairs and neither are whole.
const ConvShape kKinds[] = {{2, 9, 16, 72, 40, 3, 3, {1, 1, 1}},
                            {1, 8, 8, 330, 17, 1, 1, {1, 0, 1}},
                            {1, 13, 9, 20, 24, 5, 5, {1, 2, 1}},
                            {3, 5, 7, 3, 10, 3, 3, {1, 1, 1}}};

}  // namespace

TEST_CASE_TEMPLATE("convolutions in tiles agree with the reference, forward and by the input", Format, cuda::Tf32Tiles,
                   cuda::Bf16Tiles) {
  const ConvShape shapes[] = {{2, 32, 32, 24, 120, 3, 3, {1, 1, 1}},  // a whole patch of one image
                              {1, 32, 32, 120, 24, 3, 3, {1, 1, 1}},  // many channels
                              {3, 9, 7, 3, 10, 3, 3, {1, 1, 1}},      // odd everywhere
                              {5, 4, 4, 40, 64, 3, 3, {1, 1, 1}},     // several images in a patch
                              {2, 8, 8, 320, 16, 3, 3, {1, 1, 1}},    // several chunks of channels
                              {2, 8, 8, 330, 17, 1, 1, {1, 0, 1}},    // several chunks, the last not full
                              {2, 13, 33, 24, 24, 5, 5, {1, 2, 1}},   // a large kernel
                              {2, 6, 5, 8, 9, 3, 2, {1, 0, 1}},       // no padding, a kernel that is not square
                              {64, 2, 2, 16, 160, 1, 1, {1, 0, 1}}};
  for (const ConvShape& shape : shapes) {
    CAPTURE(shape);
    CHECK(error_of<Format>(shape, ConvPass::forward) <= 5e-6);
    CHECK(error_of<Format>(shape, ConvPass::input_grad) <= 5e-6);
  }
}

TEST_CASE_TEMPLATE("every number of tiles and stages gives the same sums", Format, cuda::Tf32Tiles, cuda::Bf16Tiles) {
  for (const ConvShape& shape : kKinds) {
    const TileCase<Format> conv(shape, ConvPass::forward);
    CAPTURE(shape);
    CHECK(conv.all_cuts().size() > 6);
    for (const cuda::ConvTiles& cut : conv.all_cuts()) {
      CAPTURE(cut.tiles);
      CAPTURE(cut.stages);
      CHECK(conv.error_of(cut) <= 5e-6);
    }
  }
}

#ifdef DEQ_CUDA
TEST_CASE_TEMPLATE("every kernel of convolutions in tiles agrees with the reference on a CUDA device", Format,
                   cuda::Tf32Tiles, cuda::Bf16Tiles) {
  if (!no_cuda_reason().empty()) return;  // said by cuda_op_grid_test.cpp; here it would hide what the host proves
  cuda::Stream stream(0);
  const auto sent = [&](const Tensor& tensor) {
    AlignedBytes memory = stream.allocate(tensor.bytes());
    stream.upload(memory.get(), tensor.raw(), tensor.bytes());
    return memory;
  };
  for (const ConvShape& shape : kKinds)
    for (const ConvPass pass : {ConvPass::forward, ConvPass::input_grad}) {
      const TileCase<Format> conv(shape, pass);
      const AlignedBytes x = sent(conv.x), w = sent(conv.w);
      for (const cuda::ConvTiles& cut : conv.all_cuts()) {
        CAPTURE(shape);
        CAPTURE(cut.tiles);
        CAPTURE(cut.stages);
        Tensor found(DType::f32, conv.wanted.shape());
        const AlignedBytes y = stream.allocate(found.bytes());
        const std::unique_ptr<Kernel> kernel = cuda::tile_conv_on(stream, cut, /*is_packed=*/false);
        const AlignedBytes workspace = stream.allocate(kernel->workspace_bytes());
        const void* const in[] = {x.get(), w.get()};
        void* const out[] = {y.get()};
        kernel->bind(in, out, workspace.get());
        kernel->run();
        stream.download(found.raw(), y.get(), found.bytes());
        CHECK(relative_difference(found, conv.wanted) <= 1e-4);  // tensor cores cut sums off instead of rounding them
      }
    }
}
#endif

TEST_CASE_TEMPLATE("strided convolutions run in tiles, their gradients do not", Format, cuda::Tf32Tiles,
                   cuda::Bf16Tiles) {
  for (const ConvShape& shape : {ConvShape{2, 32, 32, 24, 24, 3, 3, {2, 1, 1}}, {3, 9, 7, 5, 3, 3, 3, {2, 1, 1}}}) {
    CAPTURE(shape);
    CHECK(error_of<Format>(shape, ConvPass::forward) <= 5e-6);
    CHECK(!cuda::ConvTiles::of(shape, ConvPass::input_grad, kPrecision<Format>).has_value());
  }
}

TEST_CASE("grouped convolutions and long sums that fill few blocks are left to the library") {
  CHECK(!cuda::ConvTiles::of({2, 8, 8, 16, 16, 3, 3, {1, 1, 2}}, ConvPass::forward, CudaPrecision::tf32).has_value());
  CHECK(
      !cuda::ConvTiles::of({32, 4, 4, 1280, 256, 3, 3, {1, 1, 1}}, ConvPass::forward, CudaPrecision::tf32).has_value());
}

TEST_CASE("operands are rounded to their format, not further") {
  const auto shape = ConvShape{1, 8, 8, 24, 16, 3, 3, {1, 1, 1}};
  const std::optional<cuda::ConvTiles> cut = cuda::ConvTiles::of(shape, ConvPass::forward, CudaPrecision::bf16);
  REQUIRE(cut.has_value());
  CHECK(cut->packed_words() * 2 == cuda::ConvTiles::of(shape, ConvPass::forward, CudaPrecision::tf32)->packed_words());
  CHECK(!cut->packs_like(*cuda::ConvTiles::of(shape, ConvPass::forward, CudaPrecision::tf32)));
  CHECK(!cuda::ConvTiles::of(shape, ConvPass::forward, CudaPrecision::f32).has_value());
  CHECK(cuda::Bf16Tiles::rounded(1.0F + 0x1p-7F) == 1.0F + 0x1p-7F);
  CHECK(cuda::Bf16Tiles::rounded(1.0F + 0x1p-9F) == 1.0F);
}

TEST_CASE("rounding to TF32 keeps ten bits") {
  CHECK(cuda::rounded_to_tf32(1.0F + 0x1p-10F) == 1.0F + 0x1p-10F);
  CHECK(cuda::rounded_to_tf32(1.0F + 0x1p-11F) == 1.0F + 0x1p-10F);  // half way: away from zero
  CHECK(cuda::rounded_to_tf32(-1.0F - 0x1p-11F) == -1.0F - 0x1p-10F);
  CHECK(cuda::rounded_to_tf32(1.0F + 0x1.fp-12F) == 1.0F);
  CHECK(std::isnan(cuda::rounded_to_tf32(std::numeric_limits<float>::quiet_NaN())));
  CHECK(cuda::rounded_to_tf32(-std::numeric_limits<float>::infinity()) == -std::numeric_limits<float>::infinity());
}

TEST_CASE("division by a product is exact") {
  std::mt19937 engine{3};
  for (const cuda::Index by : {1, 2, 3, 5, 6, 7, 18, 24, 30, 31, 100, 641, 65535, 65537, 1 << 30, INT32_MAX}) {
    const cuda::Divider divider(by);
    for (const cuda::Index n : {0, 1, by - 1, by, by / 2, INT32_MAX - 1, INT32_MAX})
      CHECK(divider.quotient(n) == n / by);
    for (int i = 0; i < 1000; ++i) {
      const auto n = static_cast<cuda::Index>(engine() >> 1);
      REQUIRE(divider.quotient(n) == n / by);
    }
  }
}
