#pragma once

#include <cstdint>

#include "core/cuda/bf16.h"
#include "core/cuda/launch.h"
#include "core/elementwise.h"
#include "core/error.h"
#include "core/fixed_point.h"
#include "core/state_ops.h"

namespace deq::cuda {

/// Most blocks of a state that a kernel's arguments have room for.
inline constexpr int kMostStateBlocks = 32;

/// A StateSpec as a kernel argument.
struct StateLayout {
  int batch = 1;
  int blocks = 0;
  Index elems[kMostStateBlocks] = {};  ///< of one sample, by block

  /// Errors: more than kMostStateBlocks blocks or kMostElements elements.
  static StateLayout of(const StateSpec& spec) {
    check(spec.block_elems.size() <= kMostStateBlocks, "cuda", "a state has ", spec.block_elems.size(),
          " blocks but the solver kernels take at most ", kMostStateBlocks);
    check(spec.layout_batch() == spec.batch, "cuda", "the solver kernels take whole states, not single samples");
    check(spec.elements() <= kMostElements, "cuda", "a state has ", spec.elements(), " elements but kernels count to ",
          kMostElements, "; make the batch smaller");
    StateLayout out;
    out.batch = spec.batch;
    for (const std::int64_t elems : spec.block_elems) out.elems[out.blocks++] = static_cast<Index>(elems);
    return out;
  }
  /// Sample that element `offset` of a state belongs to.
  [[nodiscard]] DEQ_HOST_DEVICE int sample_of(Index offset) const {
    for (int block = 0; block < blocks; ++block) {
      const Index block_elems = batch * elems[block];
      if (offset < block_elems) return offset / elems[block];
      offset -= block_elems;
    }
    return batch;
  }
};

/// StateStack with the type of its elements, as a kernel argument.
template <class T>
struct TypedStack {
  std::byte* data = nullptr;
  std::size_t stride_bytes = 0;

  TypedStack() = default;
  explicit TypedStack(StateStack stack) : data(static_cast<std::byte*>(stack.data)), stride_bytes(stack.stride_bytes) {}
  [[nodiscard]] DEQ_HOST_DEVICE T* at(int slot) const {
    return reinterpret_cast<T*>(data + static_cast<std::size_t>(slot) * stride_bytes);
  }
};

/// body(float{}) or body(double{}), whichever `state` is.
template <class Body>
void with_type(DType state, const Body& body) {
  if (state == DType::f64)
    body(double{});
  else
    body(float{});
}
/// As above with the type of stored steps behind: that of the state, or Bf16 beside float.
template <class Body>
void with_types(DType state, DType stored, const Body& body) {
  if (stored == DType::bf16)
    body(float{}, Bf16{});
  else
    with_type(state, [&]<class T>(T) { body(T{}, T{}); });
}

template <class T>
T* typed(StateView state) {
  return static_cast<T*>(state.data);
}

}  // namespace deq::cuda
