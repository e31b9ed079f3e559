#include "tests/core/wide_kernel_cases.h"

#include <algorithm>
#include <random>

namespace deq::tests {

Tensor draw(const Shape& shape, float low, float high) {
  static std::mt19937 engine{5};
  std::uniform_real_distribution<float> distribution(low, high);
  Tensor out(DType::f32, shape);
  for (float& value : out.data<float>()) value = distribution(engine);
  return out;
}

namespace {

std::vector<KernelCase> wide_cases() {
  std::vector<KernelCase> cases;
  const auto add = [&](Op op, std::vector<Tensor> values) {
    std::vector<TensorType> inputs;
    for (const Tensor& value : values) inputs.push_back(value.type());
    cases.push_back({concat(name_of(op), " of ", inputs[0]), std::move(op), std::move(inputs), std::move(values)});
  };
  for (const auto& [shape, groups] : {std::pair{Shape{2, 40, 33, 150}, 5},
                                      {Shape{1, 150, 150, 24}, 8},
                                      {Shape{3, 2, 2, 256}, 1},
                                      {Shape{2, 32, 32, 24}, 8},
                                      {Shape{2, 16, 15, 24}, 4},
                                      {Shape{1, 32, 32, 120}, 8},
                                      {Shape{1, 32, 32, 160}, 8},
                                      {Shape{1, 32, 32, 112}, 8},
                                      {Shape{2, 16, 16, 8}, 4},
                                      {Shape{2, 16, 16, 320}, 8},
                                      {Shape{2, 4, 4, 1280}, 8},
                                      {Shape{2, 70, 1, 129}, 43}}) {
    const Shape channels{shape[-1]};
    const Tensor x = draw(shape, -1, 3), gamma = draw(channels, 0.5, 1.5), beta = draw(channels, -1, 1);
    add(GroupNorm{.groups = groups, .affine = true, .has_addend = true, .post_relu = true},
        {x, gamma, beta, draw(shape, -1, 1)});
    const Tensor stats = run_reference({"statistics", GroupNorm{.groups = groups}, {x.type()}, {x}})[1];
    Tensor rounded(DType::f32, stats.shape());
    std::ranges::transform(stats.data<double>(), rounded.data<float>().begin(),
                           [](double value) { return static_cast<float>(value); });
    add(GroupNormGrad{.groups = groups, .affine = true}, {x, rounded, draw(shape, -1, 1), gamma});
    add(BatchNorm{.affine = true}, {x, gamma, beta});
    add(BatchNormGrad{.affine = true}, {x, draw(channels, 0, 2), draw(channels, 0.5, 2), draw(shape, -1, 1), gamma});
  }
  for (const Shape& shape : {Shape{120, 24, 3, 3}, Shape{24, 120, 3, 3}, Shape{3, 70}})
    add(WeightNorm{},
        {draw(shape, -1, 1), draw(shape.rank() == 4 ? Shape{shape[0], 1, 1, 1} : Shape{shape[0], 1}, 0.5, 2)});
  add(Sum{{0, 1, 2}}, {draw({32, 32, 32, 24}, 0, 1)});
  add(Sum{{1}}, {draw({3, 5000, 200}, 0, 1)});
  add(Sum{{0, 1}}, {draw({300, 301}, 0, 1)});
  add(Sum{{1}}, {draw({500, 33}, 0, 1)});
  return cases;
}

}  // namespace

std::vector<KernelCase> all_kernel_cases() {
  std::vector<KernelCase> cases = kernel_cases();
  for (KernelCase& wide : wide_cases()) cases.push_back(std::move(wide));
  return cases;
}

}  // namespace deq::tests
