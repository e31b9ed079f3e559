#include "core/infer.h"

namespace deq {

using Types = InferRules::Types;

// Lookup and loss

namespace {

Shape append(const Shape& shape, std::int64_t extent) {
  std::vector<std::int64_t> extents(shape.extents().begin(), shape.extents().end());
  extents.push_back(extent);
  return Shape(extents);
}

}  // namespace

Types InferRules::operator()(const Gather&) const {
  expect_count(2, 2);
  expect_float(0);
  expect(in_[0].shape.rank() == 2, "the table must be [rows,width]");
  expect(in_[1].dtype == DType::i32, "the index must be i32");
  return {TensorType{in_[0].dtype, append(in_[1].shape, in_[0].shape[1])}};
}

Types InferRules::operator()(const GatherGrad& op) const {
  expect_count(2, 2);
  expect_float(0);
  expect(in_[1].dtype == DType::i32 && in_[0].shape == append(in_[1].shape, in_[0].shape[-1]),
         "the cotangent must be [index shape..,width]");
  return {TensorType{in_[0].dtype, {op.rows, in_[0].shape[-1]}}};
}

Types InferRules::operator()(const OneHot& op) const {
  expect_count(1, 1);
  expect(in_[0].dtype == DType::i32, "the index must be i32");
  return {TensorType{DType::f32, append(in_[0].shape, op.classes)}};
}

Types InferRules::operator()(const SoftmaxCrossEntropy&) const {
  expect_count(2, 2);
  expect_float(0);
  expect(in_[0].shape.rank() == 2, "logits must be [B,classes]");
  expect(in_[1] == TensorType{DType::i32, {in_[0].shape[0]}}, "labels must be i32[B]");
  return {TensorType{in_[0].dtype, {in_[0].shape[0]}}, in_[0]};
}

// Optimiser updates

Types InferRules::operator()(const SgdUpdate&) const {
  expect_count(4, 4);
  for (std::size_t i = 1; i < 3; ++i) expect(in_[i] == in_[0], "operand ", i, " must be like the parameter");
  expect(in_[3] == TensorType{DType::f32, {}}, "the learning rate must be a scalar");
  return {in_[0], in_[0]};
}

Types InferRules::operator()(const AdamUpdate&) const {
  expect_count(6, 6);
  for (std::size_t i = 1; i < 4; ++i) expect(in_[i] == in_[0], "operand ", i, " must be like the parameter");
  for (std::size_t i = 4; i < 6; ++i) expect(in_[i] == TensorType{DType::f32, {}}, "operand ", i, " must be a scalar");
  return {in_[0], in_[0], in_[0]};
}

// Implicit layers

Types InferRules::operator()(const Equilibrium& op) const {
  expect(!in_.empty(), "needs at least one state");
  expect(op.policy != nullptr, "has no policy");
  for (std::size_t i = 0; i < in_.size(); ++i) {
    expect(in_[i].dtype == DType::f32, "state ", i, " must be f32");
    expect(in_[i].shape.rank() >= 1, "state ", i,
           " is a scalar, but a state is [batch, ..]; reshape it to [1] and let f take and return that");
    expect(in_[i].shape[0] == in_[0].shape[0], "states have different batch sizes");
  }
  return {in_.begin(), in_.end()};
}

Types InferRules::operator()(const ImplicitGradient&) const {
  expect(!in_.empty() && in_.size() % 2 == 0, "needs as many results as states");
  const std::size_t blocks = in_.size() / 2;
  for (std::size_t i = 0; i < blocks; ++i)
    expect(in_[i] == in_[blocks + i], "result ", i, " is ", in_[i], " but its state is ", in_[blocks + i]);
  return {in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(blocks)};
}

Types InferRules::operator()(const LinearSolve&) const {
  expect(in_.size() >= 2, "needs the cotangents and one state");
  return {in_.begin(), in_.end() - 1};
}

Types InferRules::operator()(const StandIn&) const {
  expect_count(2, 2);
  expect(in_[0] == in_[1], "needs two of one type");
  return {in_[1]};
}

}  // namespace deq
