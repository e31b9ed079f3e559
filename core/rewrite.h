#pragma once

#include <memory>
#include <vector>

#include "core/backend.h"

namespace deq {

/// A rewritten copy of the part of a graph that some outputs and its assignments need.
struct Rewritten {
  std::unique_ptr<Graph> graph;
  std::vector<Ref> outputs;
  std::vector<std::vector<Ref>> refs;  ///< [old node][output] -> new value; empty where the node was not needed
};

/// Copies the live part of `graph`, fusing what belongs together and packing convolution weights for `backend`:
///   relu(group_norm(x))            -> group_norm{post_relu}
///   group_norm(x) + h              -> group_norm{has_residual}
///   group_norm(a * s + b)          -> group_norm{has_scale, has_addend}, s [B,1,..,1,C] as dropout of whole channels
///   resize(a) + b, and more of them -> upsample_sum, with a relu of it, where nearest pixels are repeated evenly
///   group_norm(group_norm(x))      -> group_norm_pair, for backends that have it
///   v * (g / sqrt(sum(v * v)))     -> weight_norm, rows of v
///   broadcast_to(a) * b            -> a * b, and any other binary operation that stretches a as far
///   conv2d(x, w), its input grad   -> with pack_weights(w), which leaves loops by its rate
///   conv2d(relu(group_norm(conv2d(x, v))), w) -> conv_block, for backends that have it
/// Bytes of parameters that are outputs, or are assigned to others, are copied before assignments replace them.
/// A fusion happens only where nobody else reads the intermediate value. Equilibria whose policy compacts get the
/// smaller copies of their region (core/rebatch.h).
Rewritten rewrite(const Graph& graph, std::span<const Value> outputs, const Backend& backend);

}  // namespace deq
