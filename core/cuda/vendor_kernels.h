#pragma once

#include <memory>

#include "core/backend.h"
#include "core/cuda/conv_choice.h"
#include "core/cuda/cublas_product.h"
#include "core/cuda/cudnn_conv.h"

// Kernels around the vendor's libraries.

namespace deq::cuda {

/// What convolutions and products are made with; all outlive their kernels.
struct Vendor {
  const Stream& stream;
  Cudnn& cudnn;
  const CublasLt& cublas;
  ConvChoices& choices;
  CudaOptions options;
};

/// Conv2d, Conv2dInputGrad, Conv2dWeightGrad. Weights come packed, or plain and are then packed in every run. With
/// bf16, weight gradients are computed in TF32.
std::unique_ptr<Kernel> conv_on(const Vendor& vendor, const KernelRequest& request);
/// The same by the library, whatever ConvChoices say; null where it has no algorithm. With bf16, images are rounded on
/// the way in and widened on the way out.
std::unique_ptr<Kernel> library_conv_on(const Vendor& vendor, ConvDirection direction, const ConvShape& shape,
                                        bool is_packed);
/// PackWeights.
std::unique_ptr<Kernel> pack_on(const Vendor& vendor, const KernelRequest& request);
/// Bytes of what `pack` makes of `weight`.
std::int64_t packed_bytes(const Vendor& vendor, const PackWeights& pack, const TensorType& weight);
/// True when both make the same bytes of `weight`.
bool packed_alike(const Vendor& vendor, const PackWeights& a, const PackWeights& b, const TensorType& weight);
/// MatMul.
std::unique_ptr<Kernel> matmul_on(const Vendor& vendor, const KernelRequest& request);

}  // namespace deq::cuda
