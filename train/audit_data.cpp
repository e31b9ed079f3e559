#include <cmath>

#include "core/counted.h"
#include "core/error.h"
#include "train/audit.h"

namespace deq {
namespace {

void check_images(const Model& model, const Tensor& x) {
  const Shape& shape = x.shape();
  const std::vector<int>& image = model.config.data.image;
  const int channels = model.network.config.image_channels;
  require(x.dtype() == DType::f32 && shape.rank() == 4, "audit", "the tensor is ", x.type(), ", needs f32[N,C,H,W]");
  require(shape[1] == channels && shape[2] == image[0] && shape[3] == image[1], "audit", "the tensor is ", x.type(),
          ", the model takes images of ", channels, "x", image[0], "x", image[1]);
  const auto values = x.data<float>();
  for (std::size_t i = 0; i < values.size(); ++i)
    require(std::isfinite(values[i]), "audit", "element ", i, " of the tensor is ", values[i],
            "; inputs must be finite");
}

/// i32 copy of labels that are classes of the model. In segmentation those that do not count become -1.
Tensor checked_labels(const Model& model, const Tensor& labels, const Shape& wanted) {
  const bool is_segmentation = model.is_segmentation();
  require(labels.shape().rank() == wanted.rank() && (labels.dtype() == DType::i64 || labels.dtype() == DType::i32),
          "audit", "the labels are ", labels.type(), ", needs i64", is_segmentation ? "[N,H,W]" : "[N]");
  require(labels.shape()[0] == wanted[0], "audit", counted(labels.shape()[0], "label"), " for ",
          counted(wanted[0], "image"));
  require(labels.shape() == wanted, "audit", "the labels are ", labels.type(), ", the model takes ", wanted);
  Tensor out(DType::i32, labels.shape());
  for (std::size_t i = 0; i < out.data<std::int32_t>().size(); ++i) {
    std::int64_t label =
        labels.dtype() == DType::i64 ? labels.data<std::int64_t>()[i] : std::int64_t{labels.data<std::int32_t>()[i]};
    if (is_segmentation && label == model.config.data.ignore_label) label = -1;
    require((label >= 0 || (is_segmentation && label == -1)) && label < model.config.model.classes, "audit", "label ",
            i, " is ", label, ", the model has classes 0 to ", model.config.model.classes - 1);
    out.data<std::int32_t>()[i] = static_cast<std::int32_t>(label);
  }
  return out;
}

}  // namespace

std::vector<AuditBatch> audit_batches(const Model& model, const Tensor& x, const Tensor& labels, int batch) {
  check_images(model, x);
  const std::int64_t total = x.shape()[0], channels = x.shape()[1], pixels = x.shape()[2] * x.shape()[3];
  const Shape label_shape = model.label_shape(model.image_shape(static_cast<int>(total)));
  const Tensor classes = checked_labels(model, labels, label_shape);
  const std::int64_t labels_each = label_shape.elements() / total;
  require(batch >= 1 && batch <= total, "audit", "a batch of ", batch, " images, but there are ", total);
  std::vector<AuditBatch> out;
  for (std::int64_t first = 0; first + batch <= total; first += batch) {
    AuditBatch next{.images = Tensor(DType::f32, model.image_shape(batch)),
                    .labels = Tensor(DType::i32, label_shape.with(0, batch))};
    const auto from = x.data<float>();
    const auto to = next.images.data<float>();
    for (std::int64_t n = 0; n < batch; ++n)
      for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t i = 0; i < pixels; ++i)
          to[static_cast<std::size_t>((n * pixels + i) * channels + c)] =
              from[static_cast<std::size_t>(((first + n) * channels + c) * pixels + i)];
    const auto label = classes.data<std::int32_t>().subspan(static_cast<std::size_t>(first * labels_each));
    std::copy_n(label.begin(), batch * labels_each, next.labels.data<std::int32_t>().begin());
    out.push_back(std::move(next));
  }
  return out;
}

}  // namespace deq
