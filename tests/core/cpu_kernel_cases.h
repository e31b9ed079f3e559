#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/cpu/kernels.h"
#include "core/graph.h"

namespace deq::tests {

/// One op with operands, small enough for the naive reference; several are large enough to run on more than one thread.
struct KernelCase {
  std::string name;
  Op op;
  std::vector<TensorType> inputs;
  std::vector<Tensor> values;  ///< f32 or integers
  [[nodiscard]] std::vector<TensorType> outputs() const { return infer(op, inputs, name); }
};

/// Every op of the families elementwise, shape, norm, image, loss, random and optimizer, with every broadcast pattern,
/// reduction pattern and fused flag.
const std::vector<KernelCase>& kernel_cases();

using Factory = std::unique_ptr<Kernel> (*)(const KernelRequest&);
/// Factory of the op's family, null for convolutions, products and equilibrium nodes.
Factory factory_of(const Op& op);

/// Inputs of equal size over which the kernel may write output 0.
std::vector<std::size_t> overwritable_inputs(const KernelCase& kernel_case);

/// Outputs of a kernel on `values`.
/// @param used        0 for outputs that get no memory; they come back empty
/// @param overwritten index of the input whose memory is output 0, or -1
/// @param factory     makes the kernel; null: the CPU's factory of the op
std::vector<Tensor> run_case(const KernelCase& kernel_case, const std::vector<std::uint8_t>& used, int overwritten = -1,
                             Factory factory = nullptr);
/// The same on the reference backend, in double.
std::vector<Tensor> run_reference(const KernelCase& kernel_case);

/// Largest |a - b| over the largest |b| (or 1 where b is all zero); integers must be equal, else infinity.
double relative_difference(const Tensor& a, const Tensor& b);

}  // namespace deq::tests
