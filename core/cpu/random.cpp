#include "core/random.h"

#include <algorithm>

#include "core/cpu/bound_kernel.h"
#include "core/cpu/kernels.h"
#include "core/cpu/parallel.h"

namespace deq::cpu {

namespace {

/// Writes elements 4 quad .. 4 quad + 3 of the draw that exist.
void draw_quad(const Random& op, const RandomStream& stream, std::int64_t quad, std::int64_t n, float* y) {
  const RandomBlock block = random_block(stream, static_cast<std::uint32_t>(quad));
  float drawn[4] = {};
  switch (op.distribution) {
    case Distribution::bernoulli: {
      const auto kept = static_cast<float>(1 / (1 - op.p));
      for (std::size_t i = 0; i < 4; ++i) drawn[i] = is_dropped(block[i], op.p) ? 0.0F : kept;
      break;
    }
    case Distribution::normal: {
      const NormalPair low = normals_from(block[0], block[1]), high = normals_from(block[2], block[3]);
      drawn[0] = static_cast<float>(low.first), drawn[1] = static_cast<float>(low.second);
      drawn[2] = static_cast<float>(high.first), drawn[3] = static_cast<float>(high.second);
      break;
    }
  }
  std::copy_n(drawn, std::min<std::int64_t>(4, n - 4 * quad), y + 4 * quad);
}

}  // namespace

std::unique_ptr<Kernel> lower_random(const KernelRequest& request) {
  const auto* op = std::get_if<Random>(&request.op);
  if (op == nullptr) no_kernel(request, "not a random op");
  if (!request.output_used[0]) return make_idle_kernel();
  if (request.inputs[0].dtype != DType::i64) no_kernel(request, "the seed must be i64[2]");
  return make_kernel([op = *op, n = request.outputs[0].shape.elements()](const Operands& operands) {
    const std::int64_t* seed = operands.in<std::int64_t>(0);
    const RandomStream stream{static_cast<std::uint64_t>(seed[0]), static_cast<std::uint64_t>(seed[1]), op.site};
    float* y = operands.out(0);
    constexpr std::int64_t kQuadsPerBlock = 1024;
    // A draw costs tens of additions, hence n * 16.
    parallel_blocks((n + 3) / 4, kQuadsPerBlock, n * 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t quad = begin; quad < end; ++quad) draw_quad(op, stream, quad, n, y);
    });
  });
}

}  // namespace deq::cpu
