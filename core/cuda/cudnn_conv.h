#pragma once

#include <cudnn.h>

#include <memory>
#include <string_view>

#include "core/cpu/conv_shape.h"
#include "core/cuda/options.h"
#include "core/cuda/stream.h"

// The vendor's convolutions. Nothing else includes cudnn.h.

namespace deq::cuda {

/// Throws Error("cuda: `call` failed: ...") unless `status` is success.
void check_cudnn(cudnnStatus_t status, std::string_view call);

/// The library, launching on one stream.
class Cudnn {
 public:
  explicit Cudnn(const Stream& stream);
  ~Cudnn();
  Cudnn(const Cudnn&) = delete;
  Cudnn& operator=(const Cudnn&) = delete;
  [[nodiscard]] cudnnHandle_t handle() const { return handle_; }

 private:
  cudnnHandle_t handle_ = nullptr;
};

enum class ConvDirection : std::uint8_t { forward, input_grad, weight_grad };

/// One convolution on NHWC with weights [Cout,Kh,Kw,Cin/groups]; images and weights are f32, or bf16 when the precision
/// is bf16. Descriptors, algorithm and workspace are settled when it is made.
class CudnnConv {
 public:
  CudnnConv(const Cudnn& library, ConvDirection direction, const ConvShape& shape, const CudaOptions& options);
  ~CudnnConv();
  CudnnConv(const CudnnConv&) = delete;
  CudnnConv& operator=(const CudnnConv&) = delete;

  /// False when the library has no algorithm for this shape, precision and determinism.
  [[nodiscard]] bool is_supported() const { return is_supported_; }
  [[nodiscard]] std::size_t workspace_bytes() const { return workspace_bytes_; }
  /// x [B,H,W,Cin], w, y [B,H',W',Cout]: the one that `direction` names is written, the others are read.
  void run(void* x, void* w, void* y, void* workspace) const;

 private:
  template <class Performance, class Ask, class Size>
  void choose(int most, const CudaOptions& options, const Ask& ask, const Size& size);
  void choose_algorithm(const CudaOptions& options);

  cudnnHandle_t handle_;
  ConvDirection direction_;
  cudnnTensorDescriptor_t x_ = nullptr, y_ = nullptr;
  cudnnFilterDescriptor_t w_ = nullptr;
  cudnnConvolutionDescriptor_t conv_ = nullptr;
  int algorithm_ = 0;
  std::size_t workspace_bytes_ = 0;
  bool is_supported_ = false;
};

}  // namespace deq::cuda
