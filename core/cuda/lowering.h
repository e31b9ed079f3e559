#pragma once

#include <string>
#include <string_view>

#include "core/backend.h"
#include "core/cpu/bound_kernel.h"
#include "core/cuda/launch.h"
#include "core/elementwise.h"

// What the kernel headers of this folder share. Each family is a template over the launcher (host_launcher.h): .cu
// files make it for the device, tests make it for the host, and both run the same functors over the same indices.

namespace deq::cuda {

using cpu::make_idle_kernel;
using cpu::make_kernel;
using cpu::Operands;

/// Throws Error naming op, types and label; `why` says what is missing.
[[noreturn]] inline void no_kernel(const KernelRequest& request, std::string_view why) {
  std::string types;
  for (const TensorType& type : request.inputs) types += concat(types.empty() ? "" : ", ", type);
  throw Error(concat(name_of(request.op), ": no kernel on cuda: ", why, " (operands ", types, ", layer '",
                     request.label, "')"));
}

/// Errors: a tensor with more elements than kernels count.
inline void check_sizes(const KernelRequest& request) {
  for (const std::span<const TensorType> types : {request.inputs, request.outputs})
    for (const TensorType& type : types)
      if (type.shape.elements() > kMostElements)
        no_kernel(request, concat(type, " has more than ", kMostElements, " elements; make the batch smaller"));
}

/// Errors: an operand or result that is not f32.
inline void require_f32(const KernelRequest& request) {
  for (const TensorType& type : request.inputs)
    if (type.dtype != DType::f32) no_kernel(request, "operands must be f32");
  if (request.outputs[0].dtype != DType::f32) no_kernel(request, "the output must be f32");
}

[[nodiscard]] inline Index narrow(std::int64_t n) { return static_cast<Index>(n); }

/// True when nobody reads any output with elements.
[[nodiscard]] inline bool is_idle(const KernelRequest& request) {
  for (std::size_t i = 0; i < request.outputs.size(); ++i)
    if (request.output_used[i] && request.outputs[i].shape.elements() > 0) return false;
  return true;
}

/// Calls `use` with a value of an unsigned type of `bytes` bytes, for kernels that only move elements.
template <class Use>
std::unique_ptr<Kernel> with_word(const KernelRequest& request, std::size_t bytes, const Use& use) {
  switch (bytes) {
    case 1: return use(std::uint8_t{});
    case 2: return use(std::uint16_t{});
    case 4: return use(std::uint32_t{});
    case 8: return use(std::uint64_t{});
  }
  no_kernel(request, "no kernel for elements of this size");
}

}  // namespace deq::cuda
