#include "core/cuda/cudnn_conv.h"

#include <algorithm>

#include "core/error.h"

namespace deq::cuda {

namespace {

int extent(std::int64_t n) { return static_cast<int>(n); }

cudnnDataType_t element_type(CudaPrecision precision) {
  return precision == CudaPrecision::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

/// Strict f32 forbids tensor cores; the other precisions take them where they are.
cudnnMathType_t math_type(CudaPrecision precision) {
  switch (precision) {
    case CudaPrecision::f32: return CUDNN_FMA_MATH;
    case CudaPrecision::tf32:
    case CudaPrecision::bf16: return CUDNN_TENSOR_OP_MATH;
  }
  return CUDNN_FMA_MATH;
}

}  // namespace

void check_cudnn(cudnnStatus_t status, std::string_view call) {
  check(status == CUDNN_STATUS_SUCCESS, "cuda", call, " failed: ", cudnnGetErrorString(status));
}

Cudnn::Cudnn(const Stream& stream) {
  check_cudnn(cudnnCreate(&handle_), "cudnnCreate");
  check_cudnn(cudnnSetStream(handle_, stream.handle()), "cudnnSetStream");
}

Cudnn::~Cudnn() { (void)cudnnDestroy(handle_); }

const ConvChoice* Cudnn::known(const ConvKey& key) const {
  const auto found = std::ranges::find_if(choices_, [&](const auto& entry) { return entry.first == key; });
  return found == choices_.end() ? nullptr : &found->second;
}

CudnnConv::CudnnConv(Cudnn& library, ConvDirection direction, const ConvShape& shape, const CudaOptions& options)
    : handle_(library.handle()), direction_(direction) {
  describe(shape, options.precision);
  const ConvKey key{direction, shape, options.precision};
  if (const ConvChoice* known = library.known(key)) {
    choice_ = *known;
  } else {
    if (!options.is_deterministic) choice_ = choose(options, /*is_timed=*/true);
    if (!choice_.is_supported) choice_ = choose(options, /*is_timed=*/false);
    library.remember(key, choice_);
  }
  if (choice_.is_supported)
    check_cudnn(cudnnSetConvolutionMathType(conv_, choice_.math), "cudnnSetConvolutionMathType");
}

CudnnConv::~CudnnConv() {
  (void)cudnnDestroyConvolutionDescriptor(conv_);
  (void)cudnnDestroyFilterDescriptor(w_);
  (void)cudnnDestroyTensorDescriptor(y_);
  (void)cudnnDestroyTensorDescriptor(x_);
}

void CudnnConv::describe(const ConvShape& shape, CudaPrecision precision) {
  check_cudnn(cudnnCreateTensorDescriptor(&x_), "cudnnCreateTensorDescriptor");
  check_cudnn(cudnnCreateTensorDescriptor(&y_), "cudnnCreateTensorDescriptor");
  check_cudnn(cudnnCreateFilterDescriptor(&w_), "cudnnCreateFilterDescriptor");
  check_cudnn(cudnnCreateConvolutionDescriptor(&conv_), "cudnnCreateConvolutionDescriptor");
  const cudnnDataType_t type = element_type(precision);
  check_cudnn(cudnnSetTensor4dDescriptor(x_, CUDNN_TENSOR_NHWC, type, extent(shape.batch), extent(shape.in_channels),
                                         extent(shape.height), extent(shape.width)),
              "cudnnSetTensor4dDescriptor");
  check_cudnn(cudnnSetTensor4dDescriptor(y_, CUDNN_TENSOR_NHWC, type, extent(shape.batch), extent(shape.out_channels),
                                         extent(shape.out_height()), extent(shape.out_width())),
              "cudnnSetTensor4dDescriptor");
  check_cudnn(cudnnSetFilter4dDescriptor(w_, type, CUDNN_TENSOR_NHWC, extent(shape.out_channels),
                                         extent(shape.in_channels / shape.conv.groups), extent(shape.kernel_h),
                                         extent(shape.kernel_w)),
              "cudnnSetFilter4dDescriptor");
  check_cudnn(cudnnSetConvolution2dDescriptor(conv_, shape.conv.pad, shape.conv.pad, shape.conv.stride,
                                              shape.conv.stride, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
              "cudnnSetConvolution2dDescriptor");
  check_cudnn(cudnnSetConvolutionGroupCount(conv_, shape.conv.groups), "cudnnSetConvolutionGroupCount");
}

/// The first algorithm of the library's ranking that meets the options, in a workspace of sensible size, and that the
/// library really has.
template <class Performance, class Ask, class Size>
ConvChoice CudnnConv::choose(int most, const CudaOptions& options, const Ask& ask, const Size& size) {
  constexpr std::size_t kMostWorkspace = std::size_t{256} << 20;
  std::vector<Performance> ranking(static_cast<std::size_t>(most));
  int count = 0;
  if (ask(most, &count, ranking.data()) != CUDNN_STATUS_SUCCESS) return {};
  for (int i = 0; i < count; ++i) {
    const Performance& candidate = ranking[static_cast<std::size_t>(i)];
    if (candidate.status != CUDNN_STATUS_SUCCESS) continue;
    if (options.is_deterministic && candidate.determinism != CUDNN_DETERMINISTIC) continue;
    // Strict f32 keeps to fused multiply-adds; what the library calls its default may be TF32.
    const bool is_strict = options.precision == CudaPrecision::f32;
    if (is_strict && candidate.mathType != CUDNN_FMA_MATH && candidate.mathType != CUDNN_DEFAULT_MATH) continue;
    ConvChoice choice{.algorithm = static_cast<int>(candidate.algo),
                      .math = is_strict ? CUDNN_FMA_MATH : candidate.mathType,
                      .workspace_bytes = 0,
                      .is_supported = true};
    if (cudnnSetConvolutionMathType(conv_, choice.math) != CUDNN_STATUS_SUCCESS) continue;
    if (size(candidate.algo, &choice.workspace_bytes) != CUDNN_STATUS_SUCCESS) continue;
    if (choice.workspace_bytes <= kMostWorkspace) return choice;
  }
  return {};
}

ConvChoice CudnnConv::choose(const CudaOptions& options, bool is_timed) {
  check_cudnn(cudnnSetConvolutionMathType(conv_, math_type(options.precision)), "cudnnSetConvolutionMathType");
  switch (direction_) {
    case ConvDirection::forward:
      return choose<cudnnConvolutionFwdAlgoPerf_t>(
          CUDNN_CONVOLUTION_FWD_ALGO_COUNT, options,
          [&](int most, int* count, auto* ranking) {
            return is_timed ? cudnnFindConvolutionForwardAlgorithm(handle_, x_, w_, conv_, y_, most, count, ranking)
                            : cudnnGetConvolutionForwardAlgorithm_v7(handle_, x_, w_, conv_, y_, most, count, ranking);
          },
          [&](auto algorithm, std::size_t* bytes) {
            return cudnnGetConvolutionForwardWorkspaceSize(handle_, x_, w_, conv_, y_, algorithm, bytes);
          });
    case ConvDirection::input_grad:
      return choose<cudnnConvolutionBwdDataAlgoPerf_t>(
          CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT, options,
          [&](int most, int* count, auto* ranking) {
            return is_timed
                       ? cudnnFindConvolutionBackwardDataAlgorithm(handle_, w_, y_, conv_, x_, most, count, ranking)
                       : cudnnGetConvolutionBackwardDataAlgorithm_v7(handle_, w_, y_, conv_, x_, most, count, ranking);
          },
          [&](auto algorithm, std::size_t* bytes) {
            return cudnnGetConvolutionBackwardDataWorkspaceSize(handle_, w_, y_, conv_, x_, algorithm, bytes);
          });
    case ConvDirection::weight_grad:
      return choose<cudnnConvolutionBwdFilterAlgoPerf_t>(
          CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT, options,
          [&](int most, int* count, auto* ranking) {
            return is_timed
                       ? cudnnFindConvolutionBackwardFilterAlgorithm(handle_, x_, y_, conv_, w_, most, count, ranking)
                       : cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle_, x_, y_, conv_, w_, most, count,
                                                                       ranking);
          },
          [&](auto algorithm, std::size_t* bytes) {
            return cudnnGetConvolutionBackwardFilterWorkspaceSize(handle_, x_, y_, conv_, w_, algorithm, bytes);
          });
  }
  return {};
}

void CudnnConv::run(void* x, void* w, void* y, void* workspace) const {
  const float one = 1, zero = 0;
  switch (direction_) {
    case ConvDirection::forward:
      return check_cudnn(cudnnConvolutionForward(handle_, &one, x_, x, w_, w, conv_,
                                                 static_cast<cudnnConvolutionFwdAlgo_t>(choice_.algorithm), workspace,
                                                 choice_.workspace_bytes, &zero, y_, y),
                         "cudnnConvolutionForward");
    case ConvDirection::input_grad:
      return check_cudnn(cudnnConvolutionBackwardData(handle_, &one, w_, w, y_, y, conv_,
                                                      static_cast<cudnnConvolutionBwdDataAlgo_t>(choice_.algorithm),
                                                      workspace, choice_.workspace_bytes, &zero, x_, x),
                         "cudnnConvolutionBackwardData");
    case ConvDirection::weight_grad:
      return check_cudnn(cudnnConvolutionBackwardFilter(handle_, &one, x_, x, y_, y, conv_,
                                                        static_cast<cudnnConvolutionBwdFilterAlgo_t>(choice_.algorithm),
                                                        workspace, choice_.workspace_bytes, &zero, w_, w),
                         "cudnnConvolutionBackwardFilter");
  }
}

}  // namespace deq::cuda
