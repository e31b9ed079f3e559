#include "core/cpu/onednn.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <vector>

#include "core/cpu/rounded_conv.h"
#include "core/cpu/vendor_call.h"
#include "core/error.h"

namespace deq::cpu {

namespace {

using Dims = dnnl::memory::dims;
using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

/// While it lives, oneDNN prepares and runs primitives for the threads of a plan: it asks OpenMP how many there are.
/// The pool keeps its threads.
class ThreadsOf {
 public:
  explicit ThreadsOf(int threads) : before_(omp_get_max_threads()) {
    if (threads > 0) omp_set_num_threads(threads);
  }
  ~ThreadsOf() { omp_set_num_threads(before_); }
  ThreadsOf(const ThreadsOf&) = delete;
  ThreadsOf& operator=(const ThreadsOf&) = delete;

 private:
  int before_;
};

/// Runs `body` for the threads of `plan` and turns oneDNN's exceptions into ours.
template <class Body>
auto translated(const ConvPlan& plan, Body&& body) {
  const ThreadsOf threads(plan.threads);
  try {
    return body();
  } catch (const dnnl::error& failure) {
    throw Error(concat("conv2d: oneDNN rejects ", plan.shape, ": ", failure.what()));
  }
}

Desc image_desc(const ConvShape& s, Tag tag, Type type = Type::f32) {
  return {Dims{s.batch, s.in_channels, s.height, s.width}, type, tag};
}

Desc result_desc(const ConvShape& s, Tag tag, Type type = Type::f32) {
  return {Dims{s.batch, s.out_channels, s.out_height(), s.out_width()}, type, tag};
}

Desc weight_desc(const ConvShape& s, bool is_dense, Type type = Type::f32) {
  const std::int64_t groups = s.conv.groups;
  if (groups == 1)
    return {Dims{s.out_channels, s.in_channels, s.kernel_h, s.kernel_w}, type, is_dense ? Tag::oihw : Tag::any};
  return {Dims{groups, s.out_channels / groups, s.in_channels / groups, s.kernel_h, s.kernel_w}, type,
          is_dense ? Tag::goihw : Tag::any};
}

/// Type in which the convolution holds an operand: what it reads is rounded under bf16, what it writes is not.
Type type_in(const ConvPlan& plan, ConvRole writer) {
  return plan.method == ConvMethod::bf16 && plan.role != writer ? Type::bf16 : Type::f32;
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

/// Descriptors as the convolution is asked for, before oneDNN fills in `any`.
struct Wanted {
  Desc image, weight, result;
  Dims strides, padding;
  dnnl::algorithm algorithm;

  explicit Wanted(const ConvPlan& plan)
      : image(image_desc(plan.shape, tag_of(plan), type_in(plan, ConvRole::input_grad))),
        weight(weight_desc(plan.shape, plan.weights == ConvLayout::dense, type_in(plan, ConvRole::weight_grad))),
        result(result_desc(plan.shape, tag_of(plan), type_in(plan, ConvRole::forward))),
        strides{plan.shape.conv.stride, plan.shape.conv.stride},
        padding{plan.shape.conv.pad, plan.shape.conv.pad},
        algorithm(plan.method == ConvMethod::winograd ? dnnl::algorithm::convolution_winograd
                                                      : dnnl::algorithm::convolution_direct) {}

  static Tag tag_of(const ConvPlan& plan) {
    const bool is_dense = plan.activations == ConvLayout::dense || plan.activations == ConvLayout::inner;
    return is_dense ? Tag::nhwc : Tag::any;
  }
};

// oneDNN 3 merged operation descriptors into primitive descriptors; nothing else differs for us.
#if DNNL_VERSION_MAJOR >= 3
dnnl::convolution_forward::primitive_desc forward_desc(const Wanted& w, dnnl::prop_kind kind) {
  return {engine(), kind, w.algorithm, w.image, w.weight, w.result, w.strides, w.padding, w.padding, user_scratchpad()};
}
dnnl::convolution_backward_data::primitive_desc input_grad_desc(const Wanted& w) {
  return {engine(),         w.algorithm, w.image,
          w.weight,         w.result,    w.strides,
          w.padding,        w.padding,   forward_desc(w, dnnl::prop_kind::forward_training),
          user_scratchpad()};
}
dnnl::convolution_backward_weights::primitive_desc weight_grad_desc(const Wanted& w) {
  return {engine(),         w.algorithm, w.image,
          w.weight,         w.result,    w.strides,
          w.padding,        w.padding,   forward_desc(w, dnnl::prop_kind::forward_training),
          user_scratchpad()};
}
#else
dnnl::convolution_forward::primitive_desc forward_desc(const Wanted& w, dnnl::prop_kind kind) {
  return {
      {kind, w.algorithm, w.image, w.weight, w.result, w.strides, w.padding, w.padding}, user_scratchpad(), engine()};
}
dnnl::convolution_backward_data::primitive_desc input_grad_desc(const Wanted& w) {
  return {{w.algorithm, w.image, w.weight, w.result, w.strides, w.padding, w.padding},
          user_scratchpad(),
          engine(),
          forward_desc(w, dnnl::prop_kind::forward_training)};
}
dnnl::convolution_backward_weights::primitive_desc weight_grad_desc(const Wanted& w) {
  return {{w.algorithm, w.image, w.weight, w.result, w.strides, w.padding, w.padding},
          user_scratchpad(),
          engine(),
          forward_desc(w, dnnl::prop_kind::forward_training)};
}
#endif

/// A primitive with its argument table in the form the C interface takes, so that a run builds nothing.
struct Step {
  dnnl::primitive primitive;
  std::vector<dnnl_exec_arg_t> arguments;
};

void execute(const std::vector<Step>& steps, const dnnl::stream& stream, int threads) {
  const VendorCall inside;
  const ThreadsOf planned(threads);
  for (const Step& step : steps) {
    const dnnl_status_t status = dnnl_primitive_execute(step.primitive.get(), stream.get(),
                                                        static_cast<int>(step.arguments.size()), step.arguments.data());
    check(status == dnnl_success, "onednn", "execution failed with status ", static_cast<int>(status));
  }
}

dnnl::memory unbound(const Desc& desc) { return dnnl::memory(desc, engine(), DNNL_MEMORY_NONE); }

/// Scratch memory of several primitives that run one after the other: they share the bytes.
class Scratchpad {
 public:
  /// Adds the scratch argument of a primitive to its table.
  void serve(const Desc& desc, std::vector<dnnl_exec_arg_t>& arguments) {
    if (desc.get_size() == 0) return;
    bytes_ = std::max(bytes_, aligned(desc.get_size()));
    views_.push_back(unbound(desc));
    arguments.push_back({DNNL_ARG_SCRATCHPAD, views_.back().get()});
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  void bind(void* memory) {
    for (dnnl::memory& view : views_) view.set_data_handle(memory);
  }

 private:
  std::vector<dnnl::memory> views_;
  std::size_t bytes_ = 0;
};

/// Non-const view of memory that the primitives only read.
void* address(const void* memory) { return const_cast<void*>(memory); }

Step conversion(const dnnl::memory& from, const dnnl::memory& to, Scratchpad& scratchpad) {
  const dnnl::reorder::primitive_desc desc(engine(), from.get_desc(), engine(), to.get_desc(), user_scratchpad());
  Step step{dnnl::reorder(desc), {{DNNL_ARG_FROM, from.get()}, {DNNL_ARG_TO, to.get()}}};
  scratchpad.serve(desc.scratchpad_desc(), step.arguments);
  return step;
}

/// An operand as the caller sees it and as the convolution does; the same memory when the layouts agree.
struct Operand {
  dnnl::memory outer, inner;
  bool is_converted = false;

  Operand() = default;
  Operand(const Desc& outer_desc, const Desc& inner_desc) : outer(unbound(outer_desc)), inner(outer) {
    is_converted = outer_desc != inner_desc;
    if (is_converted) inner = unbound(inner_desc);
  }
};

}  // namespace

struct OnednnConv::State {
  std::array<Operand, 3> operands;  ///< in the order of ConvOperand
  Scratchpad scratchpad;
  std::vector<Step> steps;
  dnnl::stream stream{engine()};
  std::string implementation;
  int threads;

  explicit State(const ConvPlan& plan) : threads(plan.threads) {
    const Wanted wanted(plan);
    switch (plan.role) {
      case ConvRole::forward: {
        const auto desc = forward_desc(wanted, dnnl::prop_kind::forward_inference);
        build(plan, desc, dnnl::convolution_forward(desc), desc.src_desc(), desc.weights_desc(), desc.dst_desc(),
              {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST}, ConvOperand::result);
        return;
      }
      case ConvRole::input_grad: {
        const auto desc = input_grad_desc(wanted);
        build(plan, desc, dnnl::convolution_backward_data(desc), desc.diff_src_desc(), desc.weights_desc(),
              desc.diff_dst_desc(), {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST}, ConvOperand::image);
        return;
      }
      case ConvRole::weight_grad: {
        const auto desc = weight_grad_desc(wanted);
        build(plan, desc, dnnl::convolution_backward_weights(desc), desc.src_desc(), desc.diff_weights_desc(),
              desc.diff_dst_desc(), {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}, ConvOperand::weight);
        return;
      }
    }
  }

  /// Conversions of what is read, the convolution, conversion of `written`.
  template <class PrimitiveDesc>
  void build(const ConvPlan& plan, const PrimitiveDesc& desc, const dnnl::primitive& primitive, const Desc& image,
             const Desc& weight, const Desc& result, const std::array<int, 3>& arguments, ConvOperand written) {
    const bool keeps_activations = plan.activations == ConvLayout::chosen || plan.activations == ConvLayout::inner;
    operands[0] = Operand(keeps_activations ? image : image_desc(plan.shape, Tag::nhwc), image);
    operands[1] = Operand(plan.weights == ConvLayout::chosen ? weight : weight_desc(plan.shape, true), weight);
    operands[2] = Operand(keeps_activations ? result : result_desc(plan.shape, Tag::nhwc), result);
    implementation = desc.impl_info_str();
    std::vector<dnnl_exec_arg_t> table;
    for (std::size_t i = 0; i < 3; ++i) {
      const bool is_read = i != static_cast<std::size_t>(written);
      if (is_read && operands[i].is_converted)
        steps.push_back(conversion(operands[i].outer, operands[i].inner, scratchpad));
      table.push_back({arguments[i], operands[i].inner.get()});
    }
    scratchpad.serve(desc.scratchpad_desc(), table);
    steps.push_back({primitive, std::move(table)});
    const Operand& output = operands[static_cast<std::size_t>(written)];
    if (output.is_converted) steps.push_back(conversion(output.inner, output.outer, scratchpad));
  }
};

OnednnConv::OnednnConv(const ConvPlan& plan)
    : state_(translated(plan, [&] { return std::make_unique<State>(plan); })) {}
OnednnConv::OnednnConv(OnednnConv&&) noexcept = default;
OnednnConv& OnednnConv::operator=(OnednnConv&&) noexcept = default;
OnednnConv::~OnednnConv() = default;

std::size_t OnednnConv::workspace_bytes() const {
  std::size_t bytes = state_->scratchpad.bytes();
  for (const Operand& operand : state_->operands)
    if (operand.is_converted) bytes += aligned(operand.inner.get_desc().get_size());
  return bytes;
}

std::size_t OnednnConv::operand_bytes(ConvOperand operand) const {
  return state_->operands[static_cast<std::size_t>(operand)].outer.get_desc().get_size();
}

void OnednnConv::bind(const void* image, const void* weight, const void* result, void* workspace) {
  const std::array<const void*, 3> addresses{image, weight, result};
  auto* free = static_cast<std::byte*>(workspace);
  for (std::size_t i = 0; i < 3; ++i) {
    Operand& operand = state_->operands[i];
    operand.outer.set_data_handle(address(addresses[i]));
    if (!operand.is_converted) continue;
    operand.inner.set_data_handle(free);
    free += aligned(operand.inner.get_desc().get_size());
  }
  state_->scratchpad.bind(free);
}

void OnednnConv::run() { execute(state_->steps, state_->stream, state_->threads); }

bool OnednnConv::supports(const ConvPlan& plan) {
  if (plan.method == ConvMethod::bf16 && !multiplies_bf16()) return false;
  const ThreadsOf threads(plan.threads);
  const Wanted wanted(plan);
  try {
    switch (plan.role) {
      case ConvRole::forward: return bool(forward_desc(wanted, dnnl::prop_kind::forward_inference));
      case ConvRole::input_grad: return bool(input_grad_desc(wanted));
      case ConvRole::weight_grad: return bool(weight_grad_desc(wanted));
    }
  } catch (const dnnl::error&) {  // how oneDNN says "unimplemented"
  }
  return false;
}

const char* OnednnConv::implementation() const { return state_->implementation.c_str(); }

struct OnednnPack::State {
  dnnl::memory from, to;
  Scratchpad scratchpad;
  std::vector<Step> steps;
  dnnl::stream stream{engine()};
  int threads;

  explicit State(const ConvPlan& plan) : threads(plan.threads) {
    const Wanted wanted(plan);
    const Desc dense = weight_desc(plan.shape, true);
    const Desc packed = plan.role == ConvRole::forward
                            ? forward_desc(wanted, dnnl::prop_kind::forward_inference).weights_desc()
                            : input_grad_desc(wanted).weights_desc();
    from = unbound(dense);
    to = unbound(packed);
    if (dense != packed) steps.push_back(conversion(from, to, scratchpad));
  }
};

OnednnPack::OnednnPack(const ConvPlan& plan)
    : state_(translated(plan, [&] { return std::make_unique<State>(plan); })) {}
OnednnPack::OnednnPack(OnednnPack&&) noexcept = default;
OnednnPack& OnednnPack::operator=(OnednnPack&&) noexcept = default;
OnednnPack::~OnednnPack() = default;

std::size_t OnednnPack::packed_bytes() const { return state_->steps.empty() ? 0 : state_->to.get_desc().get_size(); }

std::size_t OnednnPack::workspace_bytes() const { return state_->scratchpad.bytes(); }

bool OnednnPack::packs_like(const OnednnPack& other) const {
  return state_->from.get_desc() == other.state_->from.get_desc() &&
         state_->to.get_desc() == other.state_->to.get_desc();
}

void OnednnPack::bind(const void* weight, void* packed, void* workspace) {
  state_->from.set_data_handle(address(weight));
  state_->to.set_data_handle(packed);
  state_->scratchpad.bind(workspace);
}

void OnednnPack::run() { execute(state_->steps, state_->stream, state_->threads); }

}  // namespace deq::cpu
