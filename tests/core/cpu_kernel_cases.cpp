#include "tests/core/cpu_kernel_cases.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "core/reference/backend.h"

namespace deq::tests {

namespace {

/// Draws operands; every call moves on, so no two operands are alike.
class Draw {
 public:
  Tensor real(const Shape& shape, float low = -1, float high = 1) {
    std::uniform_real_distribution<float> distribution(low, high);
    Tensor out(DType::f32, shape);
    for (float& value : out.data<float>()) value = distribution(engine_);
    return out;
  }
  Tensor index(const Shape& shape, std::int32_t low, std::int32_t high) {
    std::uniform_int_distribution<std::int32_t> distribution(low, high);
    Tensor out(DType::i32, shape);
    for (std::int32_t& value : out.data<std::int32_t>()) value = distribution(engine_);
    return out;
  }

 private:
  std::mt19937 engine_{17};
};

/// Collects cases.
class Grid {
 public:
  Draw draw;
  std::vector<KernelCase> cases;

  void add(const std::string& name, Op op, std::vector<Tensor> values) {
    std::vector<TensorType> inputs;
    for (const Tensor& value : values) inputs.push_back(value.type());
    cases.push_back({name, std::move(op), std::move(inputs), std::move(values)});
  }
};

void add_elementwise(Grid& grid) {
  Draw& draw = grid.draw;
  for (int fn = 0; fn <= static_cast<int>(UnaryFn::sign); ++fn) {
    for (const Shape& shape : {Shape{2, 3, 5}, Shape{3, 71, 97}}) {
      const auto unary = static_cast<UnaryFn>(fn);
      const bool is_positive = unary == UnaryFn::log || unary == UnaryFn::sqrt || unary == UnaryFn::reciprocal;
      grid.add(concat("unary ", fn, " on ", shape), Unary{unary}, {draw.real(shape, is_positive ? 0.2F : -3.0F, 3)});
    }
  }
  const std::vector<std::pair<Shape, Shape>> patterns = {{{2, 3}, {2, 3}},
                                                         {{40, 30, 24}, {40, 30, 24}},
                                                         {{40, 30, 24}, {}},
                                                         {{}, {40, 30, 24}},
                                                         {{900, 24}, {24}},
                                                         {{24}, {900, 24}},
                                                         {{3, 9, 9, 8}, {3, 1, 1, 8}},
                                                         {{32, 24, 24, 3}, {32, 1, 1, 3}},
                                                         {{6, 1}, {1, 7}},
                                                         {{5, 1, 4, 1}, {1, 3, 1, 2}},
                                                         {{4, 5, 6}, {4, 5, 1}},
                                                         {{3, 20000}, {3, 1}},
                                                         {{1, 1}, {1, 1}},
                                                         {{4, 1}, {4, 1}},
                                                         {{2, 3, 4}, {3, 1}},
                                                         {{0, 4}, {4}}};
  for (int fn = 0; fn <= static_cast<int>(BinaryFn::relu_grad); ++fn) {
    for (const auto& [a, b] : patterns) {
      const auto binary = static_cast<BinaryFn>(fn);
      grid.add(concat("binary ", fn, " of ", a, " and ", b), Binary{binary},
               {draw.real(a), draw.real(b, binary == BinaryFn::div ? 0.5F : -1.0F, 2)});
    }
  }
  for (const auto& [a, b] : patterns) {
    if (a.rank() < b.rank()) continue;
    grid.add(concat("broadcast ", b), BroadcastTo{a.rank() == 2 && a[1] == 1 ? Shape{a[0], 9} : a},
             {draw.real(a.rank() == 2 && a[1] == 1 ? a : Shape{})});
  }
  grid.add("broadcast channels of samples", BroadcastTo{{32, 24, 24, 3}}, {draw.real({32, 1, 1, 3})});
  grid.add("broadcast indices", BroadcastTo{{3, 4}}, {draw.index({4}, 0, 9)});
  grid.add("affine", Affine{0.3, -1.25}, {draw.real({5, 7})});
  grid.add("affine in parallel", Affine{-2.0, 0.5}, {draw.real({3, 8191})});
  grid.add("copy", Copy{}, {draw.real({5, 3, 9})});
  grid.add("copy in parallel", Copy{}, {draw.real({7, 8191})});
  grid.add("copy indices", Copy{}, {draw.index({5}, 0, 9)});
  grid.add("constant", Constant{{DType::f32, {3, 9000}}, 0.1}, {});
  grid.add("constant index", Constant{{DType::i32, {3}}, 7}, {});
}

void add_shape(Grid& grid) {
  Draw& draw = grid.draw;
  grid.add("reshape", Reshape{{6, 4}}, {draw.real({2, 3, 4})});
  for (const std::vector<int>& permutation :
       {std::vector<int>{0, 1, 2, 3}, {0, 3, 1, 2}, {0, 2, 3, 1}, {3, 2, 1, 0}, {1, 0, 2, 3}, {2, 3, 0, 1}}) {
    grid.add("transpose", Transpose{permutation}, {draw.real({3, 4, 5, 6})});
    grid.add("transpose in parallel", Transpose{permutation}, {draw.real({8, 16, 1, 150})});
  }
  grid.add("transpose indices", Transpose{{1, 0}}, {draw.index({3, 4}, 0, 99)});
  for (const int axis : {0, 1, 2}) {
    grid.add("concat", Concat{axis}, {draw.real({2, 3, 4}), draw.real({2, 3, 4}), draw.real({2, 3, 4})});
    grid.add("slice", Slice{axis, 1, 3}, {draw.real({4, 3, 5})});
    grid.add("slice in parallel", Slice{axis, 1, 29}, {draw.real({30, 40, 50})});
    grid.add("pad", Pad{axis, 2, 1}, {draw.real({4, 3, 5})});
  }
  grid.add("concat of uneven parts", Concat{1}, {draw.real({64, 3, 40}), draw.real({64, 9, 40})});
  grid.add("slice indices", Slice{0, 1, 3}, {draw.index({4}, 0, 9)});
  const std::vector<std::vector<int>> axes = {{0}, {1}, {3}, {0, 1}, {1, 2}, {0, 2}, {1, 3}, {0, 1, 2}, {0, 1, 2, 3}};
  for (const std::vector<int>& summed : axes) {
    grid.add("sum", Sum{summed, false}, {draw.real({2, 3, 4, 5})});
    grid.add("sum keeping axes", Sum{summed, true}, {draw.real({3, 1, 4, 2})});
    grid.add("sum in parallel", Sum{summed, false}, {draw.real({9, 17, 19, 24}, 0, 1)});
  }
}

void add_norm(Grid& grid) {
  Draw& draw = grid.draw;
  // At least 8 values a group: two random values may nearly agree, and then the rounding of their mean is all there is.
  const std::vector<std::pair<Shape, int>> layouts = {
      {{3, 16, 16, 24}, 8}, {{2, 9, 7, 120}, 8}, {{4, 24}, 3}, {{1, 5, 5, 3}, 1}, {{2, 3, 3, 4}, 4}};
  for (const auto& [shape, groups] : layouts) {
    const Shape channels{shape[-1]};
    Shape scale = shape;
    for (int axis = 1; axis + 1 < shape.rank(); ++axis) scale = scale.with(axis, 1);
    for (int flags = 0; flags < 64; ++flags) {
      const GroupNorm op{.groups = groups,
                         .affine = (flags & 1) != 0,
                         .has_scale = (flags & 32) != 0,
                         .has_addend = (flags & 2) != 0,
                         .pre_relu = (flags & 4) != 0,
                         .has_residual = (flags & 8) != 0,
                         .post_relu = (flags & 16) != 0};
      std::vector<Tensor> values;
      values.push_back(draw.real(shape, -1, 3));
      if (op.affine) values.push_back(draw.real(channels)), values.push_back(draw.real(channels));
      if (op.has_scale) values.push_back(draw.real(scale, 0.5, 1.5));
      if (op.has_addend) values.push_back(draw.real(shape));
      if (op.has_residual) values.push_back(draw.real(shape));
      grid.add(concat("group norm ", shape, " flags ", flags), op, std::move(values));
    }
    Shape lengths = shape;
    for (int axis = 1; axis < shape.rank(); ++axis) lengths = lengths.with(axis, 1);
    grid.add(concat("weight norm ", shape), WeightNorm{}, {draw.real(shape, 0.1F, 1), draw.real(lengths)});
    const Tensor x = draw.real(shape, -1, 3), g = draw.real(shape);
    const Tensor stats = run_reference({"statistics", GroupNorm{.groups = groups}, {x.type()}, {x}})[1];
    Tensor rounded(DType::f32, stats.shape());
    std::transform(stats.data<double>().begin(), stats.data<double>().end(), rounded.data<float>().begin(),
                   [](double value) { return static_cast<float>(value); });
    grid.add(concat("group norm grad ", shape), GroupNormGrad{.groups = groups}, {x, rounded, g});
    grid.add(concat("affine group norm grad ", shape), GroupNormGrad{.groups = groups, .affine = true},
             {x, rounded, g, draw.real(channels)});
    grid.add(concat("batch norm ", shape), BatchNorm{}, {x});
    grid.add(concat("affine batch norm ", shape), BatchNorm{.affine = true},
             {x, draw.real(channels), draw.real(channels)});
    const Tensor mean = draw.real(channels), variance = draw.real(channels, 0.5, 2);
    grid.add(concat("batch norm grad ", shape), BatchNormGrad{}, {x, mean, variance, g});
    grid.add(concat("affine batch norm grad ", shape), BatchNormGrad{.affine = true},
             {x, mean, variance, g, draw.real(channels)});
  }
}

void add_image(Grid& grid) {
  Draw& draw = grid.draw;
  for (const ResizeMode mode : {ResizeMode::nearest, ResizeMode::bilinear}) {
    for (const bool corners : {false, true}) {
      for (const auto& [h, w] : {std::pair{8, 12}, {3, 4}, {16, 18}, {1, 2}, {5, 6}, {2, 1}}) {
        grid.add(concat("resize to ", h, "x", w), Resize{mode, h, w, corners}, {draw.real({3, 4, 6, 5})});
        grid.add(concat("resize grad from ", h, "x", w), ResizeGrad{mode, 4, 6, corners}, {draw.real({3, h, w, 5})});
      }
      grid.add("resize in parallel", Resize{mode, 32, 32, corners}, {draw.real({3, 8, 8, 24})});
      grid.add("resize grad in parallel", ResizeGrad{mode, 8, 8, corners}, {draw.real({3, 32, 32, 24})});
    }
  }
  for (const bool post_relu : {false, true}) {
    grid.add("upsample sum", UpsampleSum{6, 8, post_relu}, {draw.real({3, 6, 8, 5}), draw.real({3, 2, 4, 5})});
    grid.add("upsample sum in parallel", UpsampleSum{32, 32, post_relu},
             {draw.real({3, 32, 32, 24}), draw.real({3, 16, 16, 24}), draw.real({3, 4, 8, 24})});
    grid.add("upsample sum of small ones", UpsampleSum{8, 8, post_relu},
             {draw.real({2, 4, 8, 4}), draw.real({2, 8, 8, 4}), draw.real({2, 1, 1, 4})});
  }
  for (const auto& [kernel, stride, pad] : {std::tuple{2, 2, 0}, {3, 2, 1}, {3, 1, 1}, {8, 8, 0}}) {
    for (const Shape& shape : {Shape{2, 8, 8, 3}, Shape{3, 17, 16, 70}}) {
      const Shape out =
          infer(MaxPool{kernel, stride, pad}, std::vector{TensorType{DType::f32, shape}}, "case")[0].shape;
      const std::string name = concat(kernel, "/", stride, "/", pad, " on ", shape);
      grid.add("average pool " + name, AvgPool{kernel, stride, pad}, {draw.real(shape)});
      grid.add("average pool grad " + name, AvgPoolGrad{{kernel, stride, pad}, shape[1], shape[2]}, {draw.real(out)});
      grid.add("max pool " + name, MaxPool{kernel, stride, pad}, {draw.real(shape)});
      const Tensor winner = draw.index(out, 0, static_cast<std::int32_t>(shape[1] * shape[2] - 1));
      grid.add("winner gather " + name, WinnerGather{}, {draw.real(shape), winner});
      grid.add("winner scatter " + name, WinnerScatter{shape[1], shape[2]}, {draw.real(out), winner});
    }
  }
  grid.add("max pool with ties", MaxPool{3, 2, 1}, {Tensor(DType::f32, {2, 5, 5, 3})});
}

void add_training(Grid& grid) {
  Draw& draw = grid.draw;
  grid.add("gather", Gather{}, {draw.real({7, 5}), draw.index({3, 4}, -1, 7)});
  grid.add("gather in parallel", Gather{}, {draw.real({50, 130}), draw.index({300}, 0, 49)});
  grid.add("gather grad", GatherGrad{7}, {draw.real({3, 4, 5}), draw.index({3, 4}, -1, 7)});
  grid.add("gather grad in parallel", GatherGrad{50}, {draw.real({300, 130}), draw.index({300}, 0, 49)});
  grid.add("one hot", OneHot{10}, {draw.index({4, 3}, -1, 10)});
  grid.add("one hot in parallel", OneHot{100}, {draw.index({500}, 0, 99)});
  grid.add("cross entropy", SoftmaxCrossEntropy{}, {draw.real({6, 10}, -5, 5), draw.index({6}, -1, 10)});
  grid.add("cross entropy in parallel", SoftmaxCrossEntropy{}, {draw.real({300, 30}, -9, 9), draw.index({300}, 0, 29)});
  const Tensor seed = Tensor::of<std::int64_t>({2}, std::vector<std::int64_t>{1234567890123, 42});
  for (const Shape& shape : {Shape{3, 7}, Shape{3, 8191}}) {
    grid.add("bernoulli", Random{Distribution::bernoulli, 0.25, 3, shape}, {seed});
    grid.add("normal", Random{Distribution::normal, 0, 5, shape}, {seed});
    const Tensor param = draw.real(shape), grad = draw.real(shape), first = draw.real(shape);
    const Tensor second = draw.real(shape, 0, 1), rate = Tensor::scalar(0.05F), step = Tensor::scalar(3.0F);
    for (const bool flag : {false, true}) {
      grid.add("sgd", SgdUpdate{0.9, 0.01, flag}, {param, grad, first, rate});
      grid.add("adam", AdamUpdate{0.9, 0.999, 1e-8, 0.01, flag}, {param, grad, first, second, rate, step});
    }
  }
}

template <class... Ops>
bool is_one_of(const Op& op) {
  return (std::holds_alternative<Ops>(op) || ...);
}

std::vector<const void*> addresses(const std::vector<Tensor>& tensors) {
  std::vector<const void*> out;
  for (const Tensor& tensor : tensors) out.push_back(tensor.raw());
  return out;
}

Tensor in_double(const Tensor& tensor) {
  if (tensor.dtype() != DType::f32) return tensor;
  Tensor out(DType::f64, tensor.shape());
  std::copy(tensor.data<float>().begin(), tensor.data<float>().end(), out.data<double>().begin());
  return out;
}

}  // namespace

const std::vector<KernelCase>& kernel_cases() {
  static const std::vector<KernelCase> cases = [] {
    Grid grid;
    add_elementwise(grid);
    add_shape(grid);
    add_norm(grid);
    add_image(grid);
    add_training(grid);
    return std::move(grid.cases);
  }();
  return cases;
}

Factory factory_of(const Op& op) {
  if (is_one_of<Unary, Binary, Affine, Copy, Constant>(op)) return &cpu::lower_elementwise;
  if (is_one_of<Reshape, Transpose, Concat, Slice, Pad, BroadcastTo, Sum>(op)) return &cpu::lower_shape;
  if (is_one_of<GroupNorm, WeightNorm, GroupNormGrad, BatchNorm, BatchNormGrad>(op)) return &cpu::lower_norm;
  if (is_one_of<Resize, ResizeGrad, UpsampleSum, AvgPool, AvgPoolGrad, MaxPool, WinnerGather, WinnerScatter>(op)) {
    return &cpu::lower_image;
  }
  if (is_one_of<Gather, GatherGrad, OneHot, SoftmaxCrossEntropy>(op)) return &cpu::lower_loss;
  if (is_one_of<Random>(op)) return &cpu::lower_random;
  if (is_one_of<SgdUpdate, AdamUpdate>(op)) return &cpu::lower_optimizer;
  return nullptr;
}

std::vector<std::size_t> overwritable_inputs(const KernelCase& kernel_case) {
  const Op& op = kernel_case.op;
  std::vector<std::size_t> candidates;
  if (is_one_of<Unary, Affine, BatchNorm, UpsampleSum, SgdUpdate, AdamUpdate>(op)) candidates = {0};
  if (is_one_of<Binary>(op)) candidates = {0, 1};
  if (is_one_of<GroupNormGrad>(op)) candidates = {0, 2};
  if (is_one_of<BatchNormGrad>(op)) candidates = {0, 3};
  if (is_one_of<GroupNorm>(op)) {
    for (std::size_t i = 0; i < kernel_case.inputs.size(); ++i)
      if (std::get<GroupNorm>(op).may_overwrite(i)) candidates.push_back(i);
  }
  const TensorType output = kernel_case.outputs()[0];
  std::erase_if(candidates, [&](std::size_t i) { return kernel_case.inputs[i] != output; });
  return candidates;
}

std::vector<Tensor> run_case(const KernelCase& kernel_case, const std::vector<std::uint8_t>& used, int overwritten,
                             Factory factory) {
  if (factory == nullptr) factory = factory_of(kernel_case.op);
  std::vector<Tensor> values = kernel_case.values, results;
  const std::vector<TensorType> types = kernel_case.outputs();
  for (std::size_t i = 0; i < types.size(); ++i) {
    results.push_back(used[i] ? Tensor(types[i]) : Tensor());
    // What was there before must not matter.
    if (used[i]) std::fill_n(results[i].raw(), results[i].bytes(), std::byte{0x7f});
  }
  if (overwritten >= 0) {
    results[0] = values[static_cast<std::size_t>(overwritten)].clone();
    values[static_cast<std::size_t>(overwritten)] = results[0];
  }
  const auto kernel = factory({.op = kernel_case.op,
                               .inputs = kernel_case.inputs,
                               .outputs = types,
                               .output_used = used,
                               .label = kernel_case.name});
  const AlignedBytes workspace = allocate_aligned(kernel->workspace_bytes());
  std::fill_n(workspace.get(), kernel->workspace_bytes(), std::byte{0x7f});
  std::vector<void*> outputs;
  for (std::size_t i = 0; i < types.size(); ++i) outputs.push_back(used[i] ? results[i].raw() : nullptr);
  kernel->bind(addresses(values), outputs, workspace.get());
  kernel->run();
  return results;
}

std::vector<Tensor> run_reference(const KernelCase& kernel_case) {
  ReferenceBackend backend;
  std::vector<Tensor> values, results;
  for (const Tensor& value : kernel_case.values) values.push_back(in_double(value));
  const std::vector<TensorType> types = kernel_case.outputs();
  std::vector<void*> outputs;
  for (const TensorType& type : types) {
    results.emplace_back(backend.storage(type.dtype), type.shape);
    outputs.push_back(results.back().raw());
  }
  const std::vector<std::uint8_t> used(types.size(), 1);
  const auto kernel = backend.lower({.op = kernel_case.op,
                                     .inputs = kernel_case.inputs,
                                     .outputs = types,
                                     .output_used = used,
                                     .label = kernel_case.name});
  kernel->bind(addresses(values), outputs, nullptr);
  kernel->run();
  return results;
}

double relative_difference(const Tensor& a, const Tensor& b) {
  if (a.dtype() != DType::f32) {
    const bool is_equal = a.type() == b.type() && std::equal(a.raw(), a.raw() + a.bytes(), b.raw());
    return is_equal ? 0.0 : std::numeric_limits<double>::infinity();
  }
  const Tensor found = in_double(a);
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < b.data<double>().size(); ++i) {
    const double wanted = b.data<double>()[i], distance = std::abs(found.data<double>()[i] - wanted);
    largest = std::max(largest, std::abs(wanted));
    if (!(distance <= difference)) difference = distance;
  }
  return difference / (largest > 0 ? largest : 1);
}

}  // namespace deq::tests
