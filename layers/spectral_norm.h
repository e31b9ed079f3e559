#pragma once

#include "core/builder.h"
#include "layers/parameter.h"

namespace deq::layers {

struct SpectralNormOptions {
  double bound = 1.0;       ///< largest singular value of the weight, > 0
  bool only_above = false;  ///< weights within the bound stay as they are; else every weight is scaled to the bound
};

/// A weight whose matrix [out, rest] has its largest singular value s kept at a bound: w = weight_orig * bound / s, s
/// by one step of power iteration a training step. With norms like that around activations of slope at most 1, f
/// contracts and its fixed point is unique; a convolution's own norm may be up to its kernel's extent larger than its
/// matrix's.
///
/// Parameter `weight_orig` (drawn); buffer `weight_u` [out], the left singular vector, converged for the drawn weight.
/// Training graphs move it by one step and take it as given in gradients; inference graphs use it as it is. It depends
/// on parameters only and therefore leaves every solver loop by its rate.
/// Source: Miyato, Kataoka, Koyama, Yoshida, Spectral normalization for generative adversarial networks, ICLR 2018.
struct SpectralNorm {
  SpectralNorm() = default;
  /// Errors: fewer than two axes, bound not above 0.
  SpectralNorm(const ParamScope& scope, Shape shape, const init::Initializer& start, SpectralNormOptions options = {});

  [[nodiscard]] Value operator()(Value like) const;

  Parameter weight, u;
  SpectralNormOptions options;
};

}  // namespace deq::layers
