#include "data/table.h"

#include <cmath>

#include "core/error.h"
#include "data/npy.h"

namespace deq {
namespace {

template <class T>
std::vector<double> widened(const Tensor& tensor) {
  const auto values = tensor.data<T>();
  return {values.begin(), values.end()};
}

/// Values of any type as doubles; refuses those that are not finite.
std::vector<double> doubles_of(const Tensor& tensor, const std::string& name) {
  std::vector<double> values;
  switch (tensor.dtype()) {
    case DType::f32: values = widened<float>(tensor); break;
    case DType::f64: values = widened<double>(tensor); break;
    case DType::i32: values = widened<std::int32_t>(tensor); break;
    case DType::i64: values = widened<std::int64_t>(tensor); break;
    case DType::u8: values = widened<std::uint8_t>(tensor); break;
    case DType::bf16: throw RequestError(concat(name, ": elements of type bf16; expected f4, f8, i4, i8 or u1"));
  }
  for (std::size_t i = 0; i < values.size(); ++i)
    require(std::isfinite(values[i]), name, "element ", i, " (row by row, from 0) is ", values[i],
            "; every value must be finite");
  return values;
}

}  // namespace

Table read_npy_table(const std::filesystem::path& features, const std::filesystem::path& labels) {
  const Tensor x = read_npy(features);
  const Tensor y = read_npy(labels);
  require(x.shape().rank() == 2 && x.shape()[0] > 0 && x.shape()[1] > 0, features.string(), "shape ", x.shape(),
          "; expected [rows, columns], both above 0");
  require(y.shape().rank() == 1 && y.shape()[0] == x.shape()[0], labels.string(), "shape ", y.shape(),
          "; expected one label for each of the ", x.shape()[0], " rows of ", features.string());
  return {.rows = x.shape()[0],
          .columns = x.shape()[1],
          .values = doubles_of(x, features.string()),
          .labels = doubles_of(y, labels.string()),
          .feature_names = {},
          .label_words = {}};
}

Samples to_samples(const Table& table) {
  return {SparseMatrix::from_dense(table.rows, table.columns, table.values), table.labels};
}

}  // namespace deq
