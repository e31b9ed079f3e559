#include "core/cuda/cublas_product.h"

#include "core/error.h"

namespace deq::cuda {

namespace {

void check_cublas(cublasStatus_t status, std::string_view call) {
  check(status == CUBLAS_STATUS_SUCCESS, "cuda", call, " failed: ", cublasLtGetStatusString(status));
}

cublasComputeType_t compute_type(CudaPrecision precision) {
  switch (precision) {
    case CudaPrecision::f32: return CUBLAS_COMPUTE_32F;
    case CudaPrecision::tf32: return CUBLAS_COMPUTE_32F_FAST_TF32;
    case CudaPrecision::bf16: return CUBLAS_COMPUTE_32F_FAST_16BF;
  }
  return CUBLAS_COMPUTE_32F;
}

/// The library thinks in columns: a row-major matrix [rows, columns] is a column-major one [columns, rows].
cublasLtMatrixLayout_t layout_of(std::int64_t rows, std::int64_t columns, int count) {
  cublasLtMatrixLayout_t layout = nullptr;
  check_cublas(cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, static_cast<std::uint64_t>(columns),
                                          static_cast<std::uint64_t>(rows), columns),
               "cublasLtMatrixLayoutCreate");
  const std::int64_t stride = rows * columns;
  check_cublas(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count)),
               "cublasLtMatrixLayoutSetAttribute");
  check_cublas(
      cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof(stride)),
      "cublasLtMatrixLayoutSetAttribute");
  return layout;
}

}  // namespace

CublasLt::CublasLt() { check_cublas(cublasLtCreate(&handle_), "cublasLtCreate"); }
CublasLt::~CublasLt() { (void)cublasLtDestroy(handle_); }

CublasProduct::CublasProduct(const CublasLt& library, const Stream& stream, const ProductShape& shape,
                             const CudaOptions& options)
    : handle_(library.handle()), stream_(stream.handle()) {
  check_cublas(cublasLtMatmulDescCreate(&product_, compute_type(options.precision), CUDA_R_32F),
               "cublasLtMatmulDescCreate");
  // y = a b by rows is y^T = b^T a^T by columns: b comes first.
  const cublasOperation_t first = shape.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t second = shape.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  check_cublas(cublasLtMatmulDescSetAttribute(product_, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof(first)),
               "cublasLtMatmulDescSetAttribute");
  check_cublas(cublasLtMatmulDescSetAttribute(product_, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof(second)),
               "cublasLtMatmulDescSetAttribute");
  a_ = shape.transpose_a ? layout_of(shape.k, shape.m, shape.count) : layout_of(shape.m, shape.k, shape.count);
  b_ = shape.transpose_b ? layout_of(shape.n, shape.k, shape.count) : layout_of(shape.k, shape.n, shape.count);
  y_ = layout_of(shape.m, shape.n, shape.count);
  choose_algorithm();
}

CublasProduct::~CublasProduct() {
  for (const cublasLtMatrixLayout_t layout : {a_, b_, y_}) (void)cublasLtMatrixLayoutDestroy(layout);
  (void)cublasLtMatmulDescDestroy(product_);
}

void CublasProduct::choose_algorithm() {
  constexpr std::size_t kMostWorkspace = std::size_t{32} << 20;
  constexpr std::uint32_t kAlignment = 16;  // matrices of a batch follow each other, so no more can be promised
  cublasLtMatmulPreference_t preference = nullptr;
  check_cublas(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    check_cublas(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)),
                 "cublasLtMatmulPreferenceSetAttribute");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kMostWorkspace);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, kAlignment);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, kAlignment);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, kAlignment);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, kAlignment);
  cublasLtMatmulHeuristicResult_t result{};
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(handle_, product_, b_, a_, y_, y_, preference, 1, &result, &count);
  (void)cublasLtMatmulPreferenceDestroy(preference);
  is_supported_ = status == CUBLAS_STATUS_SUCCESS && count > 0 && result.state == CUBLAS_STATUS_SUCCESS;
  if (!is_supported_) return;
  algorithm_ = result.algo;
  workspace_bytes_ = result.workspaceSize;
}

void CublasProduct::run(const float* a, const float* b, float* y, void* workspace) const {
  const float one = 1, zero = 0;
  check_cublas(cublasLtMatmul(handle_, product_, &one, b, b_, a, a_, &zero, y, y_, y, y_, &algorithm_, workspace,
                              workspace_bytes_, stream_),
               "cublasLtMatmul");
}

}  // namespace deq::cuda
