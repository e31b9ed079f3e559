#pragma once

#include <cudnn.h>

#include <string_view>
#include <vector>

#include "core/cpu/conv_shape.h"
#include "core/cuda/options.h"
#include "core/cuda/stream.h"

// The vendor's convolutions. Nothing else includes cudnn.h.

namespace deq::cuda {

/// Throws Error("cuda: `call` failed: ...") unless `status` is success.
void check_cudnn(cudnnStatus_t status, std::string_view call);

enum class ConvDirection : std::uint8_t { forward, input_grad, weight_grad };

/// How one convolution is computed.
struct ConvChoice {
  int algorithm = 0;
  cudnnMathType_t math = CUDNN_FMA_MATH;
  std::size_t workspace_bytes = 0;
  bool is_supported = false;
};

/// A convolution that a choice was made for.
struct ConvKey {
  ConvDirection direction;
  ConvShape shape;
  CudaPrecision precision;
  bool operator==(const ConvKey&) const = default;
};

/// The library, launching on one stream, with the choices made so far: layers and programs ask for the same ones again.
class Cudnn {
 public:
  explicit Cudnn(const Stream& stream);
  ~Cudnn();
  Cudnn(const Cudnn&) = delete;
  Cudnn& operator=(const Cudnn&) = delete;
  [[nodiscard]] cudnnHandle_t handle() const { return handle_; }
  /// The choice made for `key`; null: none yet.
  [[nodiscard]] const ConvChoice* known(const ConvKey& key) const;
  void remember(const ConvKey& key, const ConvChoice& choice) { choices_.emplace_back(key, choice); }

 private:
  cudnnHandle_t handle_ = nullptr;
  std::vector<std::pair<ConvKey, ConvChoice>> choices_;
};

/// One convolution on NHWC with weights [Cout,Kh,Kw,Cin/groups]; images and weights are f32, or bf16 when the precision
/// is bf16. Descriptors, algorithm and workspace are settled when it is made: the library times its algorithms on the
/// device, or, where runs must repeat their bits, ranks them by rule.
class CudnnConv {
 public:
  CudnnConv(Cudnn& library, ConvDirection direction, const ConvShape& shape, const CudaOptions& options);
  ~CudnnConv();
  CudnnConv(const CudnnConv&) = delete;
  CudnnConv& operator=(const CudnnConv&) = delete;

  /// False when the library has no algorithm for this shape, precision and determinism.
  [[nodiscard]] bool is_supported() const { return choice_.is_supported; }
  [[nodiscard]] std::size_t workspace_bytes() const { return choice_.workspace_bytes; }
  /// x [B,H,W,Cin], w, y [B,H',W',Cout]: the one that `direction` names is written, the others are read.
  void run(void* x, void* w, void* y, void* workspace) const;

 private:
  void describe(const ConvShape& shape, CudaPrecision precision);
  template <class Performance, class Ask, class Size>
  [[nodiscard]] ConvChoice choose(int most, const CudaOptions& options, const Ask& ask, const Size& size);
  [[nodiscard]] ConvChoice choose(const CudaOptions& options, bool is_timed);

  cudnnHandle_t handle_;
  ConvDirection direction_;
  cudnnTensorDescriptor_t x_ = nullptr, y_ = nullptr;
  cudnnFilterDescriptor_t w_ = nullptr;
  cudnnConvolutionDescriptor_t conv_ = nullptr;
  ConvChoice choice_;
};

}  // namespace deq::cuda
