#pragma once

#include "core/builder.h"
#include "layers/parameter.h"

namespace deq::layers {

struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;  ///< weight of the new batch in the running statistics
  bool is_affine = true;
};

/// Batch normalisation per channel of [B,..,channels]. Parameters `weight` (ones) and `bias` (zeros) when affine;
/// buffers `running_mean` (zeros) and `running_var` (ones).
///
/// Training graphs normalise with the batch and assign the running statistics (with the unbiased variance); inference
/// graphs are plain arithmetic with them. Inside a solver loop nothing is assigned: the one evaluation at the solution
/// does that. A layer applied several times in one training graph keeps the statistics of its first application.
/// Source: Ioffe, Szegedy, Batch Normalization, ICML 2015.
struct BatchNorm {
  BatchNorm(const ParamScope& scope, int channel_count, BatchNormOptions options = {});

  Value operator()(Value x) const;

  int channels;
  BatchNormOptions options;
  Parameter weight, bias, running_mean, running_var;
  std::string label;

 private:
  [[nodiscard]] Value with_batch(Value x) const;
  [[nodiscard]] Value with_running(Value x) const;
};

}  // namespace deq::layers
