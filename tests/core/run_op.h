#pragma once

#include <string>
#include <vector>

#include "core/interpreter.h"
#include "core/reference/backend.h"

namespace deq {

/// All outputs of one op on the reference backend. Float operands are given as f64 and stand for f32 values.
inline std::vector<Tensor> run_op(const Op& op, const std::vector<Tensor>& operands) {
  Graph graph;
  std::vector<Value> inputs;
  Bindings bindings;
  for (const Tensor& operand : operands) {
    const std::string name = "x" + std::to_string(inputs.size());
    const DType dtype = operand.dtype() == DType::f64 ? DType::f32 : operand.dtype();
    inputs.push_back(graph.input(name, {dtype, operand.shape()}, Rate::batch));
    bindings[name] = operand;
  }
  const std::vector<Value> outputs = graph.add(op, inputs);
  ReferenceBackend backend;
  return interpret(graph, outputs, bindings, backend);
}

/// 1, 2, 3, .. in row-major order.
inline Tensor counting(const Shape& shape, double first = 1) {
  Tensor out(DType::f64, shape);
  for (double& x : out.data<double>()) x = first++;
  return out;
}

inline std::vector<double> doubles(const Tensor& tensor) {
  return {tensor.data<double>().begin(), tensor.data<double>().end()};
}

inline double inner_product(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.data<double>().size(); ++i) sum += a.data<double>()[i] * b.data<double>()[i];
  return sum;
}

}  // namespace deq
