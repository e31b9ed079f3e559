#pragma once

#include <cublasLt.h>

#include <string_view>

#include "core/cuda/options.h"
#include "core/cuda/stream.h"

// The vendor's matrix products. Nothing else includes cublasLt.h.

namespace deq::cuda {

/// The library.
class CublasLt {
 public:
  CublasLt();
  ~CublasLt();
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;
  [[nodiscard]] cublasLtHandle_t handle() const { return handle_; }

 private:
  cublasLtHandle_t handle_ = nullptr;
};

/// `count` products of row-major f32 matrices, [m,k] x [k,n] -> [m,n], behind each other in memory; a transposed
/// operand is stored with its axes swapped.
struct ProductShape {
  int count = 1;
  std::int64_t m = 1, n = 1, k = 1;
  bool transpose_a = false, transpose_b = false;
};

/// Descriptors, algorithm and workspace are settled when it is made.
class CublasProduct {
 public:
  CublasProduct(const CublasLt& library, const Stream& stream, const ProductShape& shape, const CudaOptions& options);
  ~CublasProduct();
  CublasProduct(const CublasProduct&) = delete;
  CublasProduct& operator=(const CublasProduct&) = delete;

  /// False when the library has no algorithm for this shape.
  [[nodiscard]] bool is_supported() const { return is_supported_; }
  [[nodiscard]] std::size_t workspace_bytes() const { return workspace_bytes_; }
  void run(const float* a, const float* b, float* y, void* workspace) const;

 private:
  void choose_algorithm();

  cublasLtHandle_t handle_;
  cudaStream_t stream_;
  cublasLtMatmulDesc_t product_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr, b_ = nullptr, y_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_ = {};
  std::size_t workspace_bytes_ = 0;
  bool is_supported_ = false;
};

}  // namespace deq::cuda
