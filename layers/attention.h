#pragma once

#include "core/builder.h"
#include "layers/linear.h"
#include "layers/parameter.h"

namespace deq::layers {

/// softmax(q k^T / sqrt(D) + mask) v of every head: q [B,H,Q,D], k [B,H,K,D], v [B,H,K,E] -> [B,H,Q,E].
/// `mask` is added to the scores [B,H,Q,K] with broadcasting: 0 where a query may look, -1e9 where not; may be empty.
/// Errors: as matmul and operator+.
/// Source: Vaswani et al., Attention Is All You Need, NeurIPS 2017.
Value attention(Value q, Value k, Value v, Value mask = {});

/// [length,length]: 0 where key <= query, -1e9 after it, so that nothing hears what comes later. Errors: length < 1.
Value causal_mask(Graph& graph, std::int64_t length);

struct AttentionOptions {
  bool is_causal = false;  ///< row t hears rows 0 .. t only
  bool has_bias = true;
};

/// Attention with several heads, in which the rows of a sequence hear each other: [B,T,width] -> [B,T,width]. Sequences
/// stay apart. Parameters `in_proj_weight` [3 width, width] (queries, keys, values) and `in_proj_bias` [3 width],
/// U(+-1/sqrt(width)) at the start, and a Linear `out_proj`: names and layouts of torch.nn.MultiheadAttention.
struct SelfAttention {
  /// Errors: `heads` does not divide `width`, or either is below 1.
  SelfAttention(const ParamScope& scope, int width, int heads, AttentionOptions options = {});

  /// A mask is added to the scores [B,heads,T,T], beside the causal one: [B,1,1,T] for padding, [T,T] for windows.
  Value operator()(Value x, Value mask = {}) const;

  int heads;
  AttentionOptions options;
  Parameter weight, bias;
  Linear out;
  std::string label;

 private:
  /// Rows [B T,width] times part 0, 1 or 2 of the weight, cut into heads: [B,heads,T,width / heads].
  [[nodiscard]] Value projected(Value rows, int part, const Shape& sequence) const;
};

}  // namespace deq::layers
