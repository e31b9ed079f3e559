#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "autodiff/jvp.h"
#include "core/composed.h"
#include "core/program.h"
#include "solvers/policy.h"
#include "tests/train/small_model.h"

namespace deq::test {

/// Of the loss: the gradient g in one weight w, and the Hessian times a direction d. Of the logits: the tangent along
/// d.
struct SecondDerivatives {
  std::vector<double> gradient, product, tangent;
};

/// A small model whose equilibrium is solved to 1e-11.
class SecondDerivativeProblem {
 public:
  SecondDerivativeProblem() : model_(config()), direction_(weight().type()), batch_(random_batch(model_.config, 2, 3)) {
    make_contractive(model_);
    float angle = 0;
    for (float& element : direction_.data<float>()) element = std::sin(angle += 1.7F);
  }

  /// At w + `distance` d.
  [[nodiscard]] SecondDerivatives at(float distance, Backend& backend) {
    const Tensor kept = weight().clone();
    for (std::size_t i = 0; i < kept.data<float>().size(); ++i)
      weight().data<float>()[i] += distance * direction_.data<float>()[i];
    SecondDerivatives out = here(backend);
    std::ranges::copy(kept.data<float>(), weight().data<float>().begin());
    return out;
  }

 private:
  static constexpr const char* kWeight = "fullstage.branches.0.blocks.0.conv1.weight_v";

  static Config config() {
    Config out = tiny_config();
    out.model.post_gn_affine = true;
    return out;
  }
  Tensor& weight() { return *model_.store.find(kWeight).value; }

  SecondDerivatives here(Backend& backend) {
    Graph graph(Mode::training);
    const Value image = graph.input("image", {DType::f32, model_.image_shape(2)}, Rate::batch);
    const Value label = graph.input("label", {DType::i32, {2}}, Rate::batch);
    const SolverOptions tight{.max_steps = 120, .tolerance = {1e-11, NormMode::absolute}, .patience = 0};
    MdeqForward forward;
    forward.equilibrium.policy = std::make_shared<ImplicitPolicy>(tight, FullAdjoint{.solver = tight});
    const Value logits = model_.network(image, forward).logits;
    const Value w = graph.parameter(kWeight, model_.store.find(kWeight).value);
    const Value d = graph.parameter("direction", std::make_shared<Tensor>(direction_));
    const Value loss = mean(softmax_cross_entropy(logits, label).loss);
    const Value gradient = gradients(loss, {w}, {.differentiable = true})[0];
    const std::vector<Value> outputs{gradient, gradients(sum(gradient * d), {w})[0], jvp({logits}, {w}, {d})[0]};
    Program program = Program::compile(graph, outputs, backend);
    program.bind("image", batch_.images);
    program.bind("label", batch_.labels);
    if (program.has_input("rng_seed")) program.bind("rng_seed", Tensor(DType::i64, {2}));
    program.run();
    SecondDerivatives out;
    std::vector<double>* const places[] = {&out.gradient, &out.product, &out.tangent};
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const bool is_double = backend.storage(DType::f32) == DType::f64;
      Tensor values(is_double ? DType::f64 : DType::f32, outputs[i].shape());
      program.read(outputs[i], values);
      if (is_double)
        places[i]->assign(values.data<double>().begin(), values.data<double>().end());
      else
        places[i]->assign(values.data<float>().begin(), values.data<float>().end());
    }
    return out;
  }

  Model model_;
  Tensor direction_;
  Batch batch_;
};

inline double norm(const std::vector<double>& a) {
  double total = 0;
  for (const double value : a) total += value * value;
  return std::sqrt(total);
}

inline double relative_difference(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> difference(a.size());
  std::ranges::transform(a, b, difference.begin(), std::minus<>());
  return norm(difference) / norm(b);
}

}  // namespace deq::test
