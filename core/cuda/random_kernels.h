#pragma once

#include "core/cuda/lowering.h"
#include "core/random.h"

namespace deq::cuda {

/// Elements 4 quad .. 4 quad + 3 of a draw that exist, with the bits of every other backend.
struct DrawQuad {
  const std::int64_t* seed;
  float* y;
  Index n;
  std::uint32_t site;
  bool is_normal;
  double dropped;
  float kept;

  DEQ_HOST_DEVICE void operator()(Index quad) const {
    const RandomStream stream{static_cast<std::uint64_t>(seed[0]), static_cast<std::uint64_t>(seed[1]), site};
    const RandomBlock block = random_block(stream, static_cast<std::uint32_t>(quad));
    float drawn[4];
    if (is_normal) {
      const NormalPair low = normals_from(block[0], block[1]), high = normals_from(block[2], block[3]);
      drawn[0] = static_cast<float>(low.first), drawn[1] = static_cast<float>(low.second);
      drawn[2] = static_cast<float>(high.first), drawn[3] = static_cast<float>(high.second);
    } else {
      for (unsigned k = 0; k < 4; ++k) drawn[k] = is_dropped(block[k], dropped) ? 0.0F : kept;
    }
    for (Index k = 0; k < 4 && k < n - 4 * quad; ++k) y[4 * quad + k] = drawn[k];
  }
};

/// Random.
template <class Launcher>
std::unique_ptr<Kernel> lower_random(const KernelRequest& request, const Launcher& launcher, const Random& op) {
  if (is_idle(request)) return make_idle_kernel();
  if (request.inputs[0].dtype != DType::i64) no_kernel(request, "the seed must be i64[2]");
  const bool is_normal = op.distribution == Distribution::normal;
  return make_kernel([=, n = request.outputs[0].shape.elements()](const Operands& bound) {
    const auto kept = static_cast<float>(1 / (1 - op.p));
    launcher.for_each((n + 3) / 4,
                      DrawQuad{bound.in<std::int64_t>(0), bound.out(0), narrow(n), op.site, is_normal, op.p, kept});
  });
}

}  // namespace deq::cuda
