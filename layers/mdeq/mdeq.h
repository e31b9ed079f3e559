#pragma once

#include <optional>
#include <vector>

#include "layers/equilibrium.h"
#include "layers/mdeq/classification_head.h"
#include "layers/mdeq/segmentation_head.h"
#include "layers/mdeq/stem.h"
#include "layers/mdeq/transformation.h"
#include "layers/start_state.h"

namespace deq {

/// How one trace of the model reaches its states.
struct MdeqForward {
  int unrolled_steps = 0;            ///< > 0: apply f that often instead of solving (pre-training)
  EquilibriumOptions equilibrium{};  ///< used when unrolled_steps is 0
  /// Slices of the solve that come before the one of `equilibrium` and are to be supervised too (layers/trajectory.h).
  std::vector<EquilibriumOptions> earlier = {};
  StartState start = {};  ///< of a solve in a training graph; inference and unrolling begin at zero
  /// Scalar loss of the logits, for solvers that follow its gradient; goes through a copy of the head in the loop.
  std::function<Value(Value logits)> outer_loss = {};
};

/// Multiscale deep equilibrium network: stem, z* = f(z*, stem(image)) over all branches at once from zero, head.
/// Parameters carry the published names and layouts (`fullstage.branches.0.blocks.0.conv1.weight_v`, ...).
///
/// A fresh network has no fixed point within reach, which is why training begins unrolled; a solve that does not
/// converge is a status in its report, not an error.
/// Source: Bai, Koltun, Kolter, Multiscale Deep Equilibrium Models, NeurIPS 2020.
struct Mdeq {
  /// Errors (RequestError): see MdeqConfig::validate.
  Mdeq(const ParamScope& scope, const MdeqConfig& chosen);

  struct Output {
    Value logits;                                 ///< [B, classes], or [B,h0,w0,classes] in segmentation
    Value injected;                               ///< the stem's result, which every application of f takes in
    std::vector<Value> states;                    ///< what the head saw, one per branch
    std::optional<EquilibriumTrace> equilibrium;  ///< absent when unrolled; of the last slice
    std::vector<Value> earlier_logits;            ///< one for each of MdeqForward::earlier
  };
  /// image f32 [B,H,W,C], normalised.
  Output operator()(Value image, const MdeqForward& forward) const;

  /// The parts, for audits and benchmarks.
  [[nodiscard]] Value injection(Value image) const { return stem(image); }
  [[nodiscard]] StateFunction function(Value injected) const;
  /// Errors: another number of states than branches.
  [[nodiscard]] Value head(const std::vector<Value>& states) const;

  MdeqConfig config;
  mdeq::Stem stem;
  mdeq::Transformation transformation;
  std::optional<mdeq::ClassificationHead> classification;
  std::optional<mdeq::SegmentationHead> segmentation;
};

}  // namespace deq
