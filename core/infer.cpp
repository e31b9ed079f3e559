#include "core/infer.h"

#include <algorithm>

namespace deq {

std::vector<TensorType> infer(const Op& op, std::span<const TensorType> inputs, const std::string& label) {
  return std::visit(InferRules(name_of(op), inputs, label), op);
}

bool broadcast(const Shape& a, const Shape& b, Shape& out) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<std::int64_t> extents(static_cast<std::size_t>(rank));
  for (int i = 1; i <= rank; ++i) {
    const std::int64_t ea = i <= a.rank() ? a[-i] : 1;
    const std::int64_t eb = i <= b.rank() ? b[-i] : 1;
    if (ea != eb && ea != 1 && eb != 1) return false;
    extents[static_cast<std::size_t>(rank - i)] = ea == 1 ? eb : ea;
  }
  out = Shape(extents);
  return true;
}

void InferRules::fail(const std::string& reason) const {
  std::ostringstream out;
  out << op_ << ": " << reason << " (operands";
  for (const TensorType& type : in_) out << ' ' << type;
  if (in_.empty()) out << " none";
  if (!label_.empty()) out << ", layer '" << label_ << '\'';
  out << ')';
  throw Error(out.str());
}

void InferRules::expect_count(std::size_t least, std::size_t most) const {
  expect(in_.size() >= least && in_.size() <= most, "got ", in_.size(), " operands, needs ", least,
         least == most ? "" : concat(" to ", most));
}

void InferRules::expect_float(std::size_t input) const {
  expect(is_float(in_[input].dtype), "operand ", input, " must be floating point");
}

using Types = InferRules::Types;

// Sources

Types InferRules::operator()(const Input& op) const {
  expect_count(0, 0);
  return {op.type};
}

Types InferRules::operator()(const Constant& op) const {
  expect_count(0, 0);
  return {op.type};
}

Types InferRules::operator()(const Random& op) const {
  expect_count(1, 1);
  expect(in_[0] == TensorType{DType::i64, {2}}, "the seed must be i64[2]");
  expect(op.p >= 0 && op.p < 1, "drop probability ", op.p, " is outside [0, 1)");
  return {TensorType{DType::f32, op.shape}};
}

// Elementwise

Types InferRules::operator()(const Unary&) const {
  expect_count(1, 1);
  expect_float(0);
  return {in_[0]};
}

Types InferRules::operator()(const Binary&) const {
  expect_count(2, 2);
  expect_float(0);
  expect(in_[0].dtype == in_[1].dtype, "element types differ");
  Shape out;
  expect(broadcast(in_[0].shape, in_[1].shape, out), "shapes do not broadcast");
  return {TensorType{in_[0].dtype, out}};
}

Types InferRules::operator()(const Affine&) const {
  expect_count(1, 1);
  expect_float(0);
  return {in_[0]};
}

Types InferRules::operator()(const Copy&) const {
  expect_count(1, 1);
  return {in_[0]};
}

// Shape

Types InferRules::operator()(const Reshape& op) const {
  expect_count(1, 1);
  expect(op.shape.elements() == in_[0].shape.elements(), "cannot become ", op.shape, ": ", in_[0].shape.elements(),
         " elements against ", op.shape.elements());
  return {TensorType{in_[0].dtype, op.shape}};
}

Types InferRules::operator()(const Transpose& op) const {
  expect_count(1, 1);
  const int rank = in_[0].shape.rank();
  expect(static_cast<int>(op.permutation.size()) == rank, "permutation has ", op.permutation.size(), " axes, operand ",
         rank);
  std::vector<int> sorted = op.permutation;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::int64_t> extents;
  for (int i = 0; i < rank; ++i) {
    expect(sorted[static_cast<std::size_t>(i)] == i, "not a permutation of the axes");
    extents.push_back(in_[0].shape[op.permutation[static_cast<std::size_t>(i)]]);
  }
  return {TensorType{in_[0].dtype, Shape(extents)}};
}

Types InferRules::operator()(const Concat& op) const {
  expect(!in_.empty(), "needs at least one operand");
  const Shape& first = in_[0].shape;
  expect(op.axis >= 0 && op.axis < first.rank(), "axis ", op.axis, " is out of range");
  std::int64_t total = 0;
  for (const TensorType& type : in_) {
    expect(type.dtype == in_[0].dtype, "element types differ");
    expect(type.shape.rank() == first.rank() && type.shape.with(op.axis, first[op.axis]) == first,
           "shapes differ outside axis ", op.axis);
    total += type.shape[op.axis];
  }
  return {TensorType{in_[0].dtype, first.with(op.axis, total)}};
}

Types InferRules::operator()(const Slice& op) const {
  expect_count(1, 1);
  const Shape& shape = in_[0].shape;
  expect(op.axis >= 0 && op.axis < shape.rank(), "axis ", op.axis, " is out of range");
  expect(op.begin >= 0 && op.begin < op.end && op.end <= shape[op.axis], "range [", op.begin, ", ", op.end,
         ") is outside axis ", op.axis);
  return {TensorType{in_[0].dtype, shape.with(op.axis, op.end - op.begin)}};
}

Types InferRules::operator()(const Pad& op) const {
  expect_count(1, 1);
  const Shape& shape = in_[0].shape;
  expect(op.axis >= 0 && op.axis < shape.rank(), "axis ", op.axis, " is out of range");
  expect(op.before >= 0 && op.after >= 0, "negative padding");
  return {TensorType{in_[0].dtype, shape.with(op.axis, shape[op.axis] + op.before + op.after)}};
}

Types InferRules::operator()(const BroadcastTo& op) const {
  expect_count(1, 1);
  Shape out;
  expect(broadcast(in_[0].shape, op.shape, out) && out == op.shape, "does not broadcast to ", op.shape);
  return {TensorType{in_[0].dtype, op.shape}};
}

Types InferRules::operator()(const Sum& op) const {
  expect_count(1, 1);
  expect_float(0);
  const Shape& shape = in_[0].shape;
  std::vector<std::int64_t> extents;
  for (std::size_t i = 0; i < op.axes.size(); ++i) {
    expect(op.axes[i] >= 0 && op.axes[i] < shape.rank(), "axis ", op.axes[i], " is out of range");
    expect(i == 0 || op.axes[i - 1] < op.axes[i], "axes must be sorted and unique");
  }
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const bool is_summed = std::find(op.axes.begin(), op.axes.end(), axis) != op.axes.end();
    if (!is_summed) extents.push_back(shape[axis]);
    if (is_summed && op.keep_dims) extents.push_back(1);
  }
  return {TensorType{in_[0].dtype, Shape(extents)}};
}

}  // namespace deq
