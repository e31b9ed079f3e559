#include "core/rewrite.h"

#include <algorithm>

#include "core/infer.h"
#include "core/live_nodes.h"
#include "core/pack.h"
#include "core/plan.h"
#include "core/rebatch.h"

namespace deq {
namespace {

/// `ref`, or a copy where it is the bytes of a parameter: assignments may replace these before it is read or stored.
Value kept(Graph& graph, Ref ref) {
  Ref source = ref;
  while (std::holds_alternative<Reshape>(graph.node(source).op)) source = graph.node(source).inputs[0];
  const Value value = graph.value(ref);
  return graph.storage(source.node) != nullptr ? graph.add_one(Copy{}, {value}) : value;
}

bool is_float_like(const TensorType& a, const TensorType& b) { return a == b && is_float(a.dtype); }

class Rewriter {
 public:
  Rewriter(const Graph& from, Graph& to, const Backend& backend, std::span<const Ref> outputs)
      : from_(from),
        to_(to),
        backend_(backend),
        live_(live_nodes(from, outputs)),
        readers_(count_readers(from, live_, outputs)),
        refs_(from.size()) {}

  std::vector<std::vector<Ref>> run() {
    for (NodeId id = 0; id < from_.size(); ++id)
      if (live_[id]) copy(id);
    for (const Assignment& assignment : from_.assignments())
      to_.assign(to_.value(mapped(assignment.target)), kept(to_, mapped(assignment.updated)));
    return std::move(refs_);
  }

 private:
  [[nodiscard]] Ref mapped(Ref ref) const { return refs_[ref.node][ref.output]; }
  [[nodiscard]] bool is_used_once(Ref ref) const { return ref.output == 0 && readers_.of_first[ref.node] == 1; }

  void copy(NodeId id) {
    const Node& node = from_.node(id);
    const Scope scope(to_, node.label);
    if (std::holds_alternative<Input>(node.op)) return copy_input(id);
    if (const auto* stand_in = std::get_if<StandIn>(&node.op); stand_in && !stand_in->waits) {
      refs_[id] = {mapped(node.inputs[1])};
      return;
    }
    std::vector<Value> inputs;
    for (const Ref& ref : node.inputs) inputs.push_back(to_.value(mapped(ref)));
    std::vector<Value> out = fused(id, inputs);
    if (out.empty()) out = same_solve(id, inputs);
    if (out.empty()) out = to_.add(remapped(node.op), inputs);
    for (const Value& value : out) refs_[id].push_back(value.ref);
  }

  void copy_input(NodeId id) {
    const std::string& name = from_.input_name(id);
    const auto& input = std::get<Input>(from_.node(id).op);
    const auto storage = from_.storage(id);
    refs_[id] = {(storage ? to_.parameter(name, storage) : to_.input(name, input.type, input.rate)).ref};
  }

  /// The op with its references to nodes and regions carried over.
  Op remapped(Op op) {
    if (auto* solve = std::get_if<Equilibrium>(&op)) {
      solve->region = copy_region(solve->region);
      to_.set_joint(solve->region, why_joint(to_, to_.region(solve->region)));
      for (auto* region : {&solve->beside.pullback, &solve->beside.pushforward, &solve->beside.outer_gradient})
        if (*region) *region = copy_region(**region);
      if (solve->policy->compacts()) add_rungs(to_, solve->region, backend_);
    }
    if (auto* solve = std::get_if<LinearSolve>(&op)) {
      solve->region = copy_region(solve->region);
      solve->equilibrium = refs_[solve->equilibrium].front().node;
    }
    if (auto* gradient = std::get_if<ImplicitGradient>(&op)) gradient->solve = refs_[gradient->solve].front().node;
    return op;
  }

  /// Outputs of a linear solve of the same system with the same right-hand side, if there is one: gradients that are
  /// differentiated once more repeat the solves of those that are not.
  std::vector<Value> same_solve(NodeId id, const std::vector<Value>& inputs) {
    const auto* solve = std::get_if<LinearSolve>(&from_.node(id).op);
    if (solve == nullptr) return {};
    std::vector<Ref> operands;
    for (const Value& value : inputs) operands.push_back(value.ref);
    for (const NodeId before : linear_solves_) {
      const auto& other = std::get<LinearSolve>(from_.node(before).op);
      const std::vector<Ref>& outputs = refs_[before];
      if (other.equilibrium != solve->equilibrium || other.system != solve->system ||
          to_.node(outputs.front()).inputs != operands)
        continue;
      std::vector<Value> out;
      for (const Ref& ref : outputs) out.push_back(to_.value(ref));
      return out;
    }
    linear_solves_.push_back(id);
    return {};
  }

  /// Results that name a state or share bytes of the loop are copied, so that input and output buffers of a map never
  /// coincide and the output is written by a launch; so are what a solve in the loop leaves in its own place, and
  /// results that appear twice, for each has its place in the output.
  RegionId copy_region(RegionId id) {
    const Region& region = from_.region(id);
    std::vector<Value> states, results;
    for (const Ref& ref : region.states) states.push_back(to_.value(mapped(ref)));
    for (const Ref& ref : region.results) {
      Value value = to_.value(mapped(ref));
      const Op& op = to_.node(value.ref).op;
      const bool lies_elsewhere = std::holds_alternative<Input>(op) || is_alias(op) || !regions_of(op).empty();
      if (lies_elsewhere && to_.rate(value.ref) >= Rate::iterate) value = to_.add_one(Copy{}, {value});
      while (std::find(results.begin(), results.end(), value) != results.end()) value = to_.add_one(Copy{}, {value});
      results.push_back(value);
    }
    return to_.add_region(states, results);
  }

  /// Outputs of the node that replaces `node`, or nothing when no rule fits.
  std::vector<Value> fused(NodeId id, const std::vector<Value>& inputs) {
    const Node& node = from_.node(id);
    if (std::holds_alternative<GroupNorm>(node.op)) {
      std::vector<Value> out = with_operands(node, inputs);
      return out.empty() ? pair_of(id, inputs) : out;
    }
    if (const auto* unary = std::get_if<Unary>(&node.op); unary && unary->fn == UnaryFn::relu)
      return with_relu(node, inputs);
    if (const auto* binary = std::get_if<Binary>(&node.op)) {
      std::vector<Value> out;
      if (binary->fn == BinaryFn::add) out = sum_of(node, inputs);
      if (binary->fn == BinaryFn::mul) out = weight_norm(node, inputs);
      return out.empty() ? without_stretching(node, inputs) : out;
    }
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) return conv_or_block(node, *conv, inputs);
    if (const auto* grad = std::get_if<Conv2dInputGrad>(&node.op))
      return packed(grad->conv, *grad, ConvPass::input_grad, node.outputs[0].shape, inputs);
    return {};
  }

  /// v * (g / sqrt(sum(v * v))). Readers of the quotient and the root that come after it follow.
  std::vector<Value> weight_norm(const Node& node, const std::vector<Value>& inputs) {
    for (const std::size_t side : {0u, 1u}) {
      const Value v = inputs[side], ratio = inputs[1 - side];
      const Node& quotient = to_.node(ratio.ref);
      const auto* div = std::get_if<Binary>(&quotient.op);
      if (div == nullptr || div->fn != BinaryFn::div || !is_length(quotient.inputs[1], v.ref)) continue;
      const Value g = to_.value(quotient.inputs[0]);
      if (g.type() != ratio.type()) continue;
      const Ref old_ratio = node.inputs[1 - side], old_norm = from_.node(old_ratio).inputs[1];
      const std::vector<Value> out = to_.add(WeightNorm{}, std::vector<Value>{v, g});
      refs_[old_ratio.node][0] = out[1].ref;
      refs_[old_norm.node][0] = out[2].ref;
      return {out[0]};
    }
    return {};
  }

  /// True when `norm` [O,1,..,1] is the root of the sum of v's squares over all axes but the first.
  [[nodiscard]] bool is_length(Ref norm, Ref v) const {
    const auto* root = std::get_if<Unary>(&to_.node(norm).op);
    if (root == nullptr || root->fn != UnaryFn::sqrt || !is_float(to_.type(v).dtype)) return false;
    const Node& total = to_.node(to_.node(norm).inputs[0]);
    const auto* sum = std::get_if<Sum>(&total.op);
    const int rank = to_.type(v).shape.rank();
    if (sum == nullptr || !sum->keep_dims || static_cast<int>(sum->axes.size()) != rank - 1 || sum->axes.front() != 1)
      return false;
    const Node& squares = to_.node(total.inputs[0]);
    const auto* mul = std::get_if<Binary>(&squares.op);
    return mul != nullptr && mul->fn == BinaryFn::mul && squares.inputs[0] == v && squares.inputs[1] == v;
  }

  std::vector<Value> sum_of(const Node& node, const std::vector<Value>& inputs) {
    std::vector<Value> out = upsample_sum(node, inputs);
    return out.empty() ? with_residual(node, inputs) : out;
  }

  /// What an operand of a sum is the sum of, when it is an enlarged image or itself such a sum and nobody else reads
  /// it.
  [[nodiscard]] std::vector<Value> enlarged_parts(Ref old, Value value) const {
    const Node& source = to_.node(value.ref);
    if (!is_used_once(old) || value.type().dtype != DType::f32) return {};
    std::vector<Value> parts;
    if (const auto* sum = std::get_if<UpsampleSum>(&source.op); sum && !sum->post_relu)
      for (const Ref& ref : source.inputs) parts.push_back(to_.value(ref));
    if (const auto* op = std::get_if<Resize>(&source.op); op && op->mode == ResizeMode::nearest) {
      const Value small = to_.value(source.inputs[0]);
      if (op->height % small.shape()[1] == 0 && op->width % small.shape()[2] == 0) parts.push_back(small);
    }
    return parts;
  }

  std::vector<Value> upsample_sum(const Node& node, const std::vector<Value>& inputs) {
    if (inputs[0].type() != inputs[1].type()) return {};
    std::vector<Value> parts;
    bool is_enlarging = false;
    for (const std::size_t side : {0u, 1u}) {
      std::vector<Value> own = enlarged_parts(node.inputs[side], inputs[side]);
      is_enlarging = is_enlarging || !own.empty();
      if (own.empty()) own.push_back(inputs[side]);
      parts.insert(parts.end(), own.begin(), own.end());
    }
    if (!is_enlarging || parts.size() > UpsampleSum::kMostInputs) return {};
    return to_.add(UpsampleSum{inputs[0].shape()[1], inputs[0].shape()[2]}, parts);
  }

  /// A group norm with the sum and the product before it.
  std::vector<Value> with_operands(const Node& node, const std::vector<Value>& inputs) {
    GroupNorm norm = std::get<GroupNorm>(node.op);
    if (norm.has_scale || norm.has_addend || norm.pre_relu || norm.has_residual) return {};
    Value x = inputs[0], scale, addend;
    Ref old = node.inputs[0];
    if (const auto* add = std::get_if<Binary>(&to_.node(x.ref).op);
        add && add->fn == BinaryFn::add && is_used_once(old)) {
      const std::vector<Ref> terms = to_.node(x.ref).inputs;
      if (is_float_like(to_.type(terms[0]), to_.type(terms[1]))) {
        norm.has_addend = true;
        x = to_.value(terms[0]), addend = to_.value(terms[1]);
        old = from_.node(old).inputs[0];
      }
    }
    if (const auto* mul = std::get_if<Binary>(&to_.node(x.ref).op);
        mul && mul->fn == BinaryFn::mul && is_used_once(old)) {
      const std::vector<Ref> factors = to_.node(x.ref).inputs;
      for (const std::size_t side : {0u, 1u}) {
        if (norm.has_scale || !scales_samples(to_.type(factors[1 - side]), to_.type(factors[side]))) continue;
        norm.has_scale = true;
        x = to_.value(factors[side]), scale = to_.value(factors[1 - side]);
      }
    }
    if (!norm.has_scale && !norm.has_addend) return {};
    std::vector<Value> operands{x};
    operands.insert(operands.end(), inputs.begin() + 1, inputs.end());
    if (norm.has_scale) operands.push_back(scale);
    if (norm.has_addend) operands.push_back(addend);
    return to_.add(norm, operands);
  }

  /// A group norm of a group norm whose statistics nobody reads.
  std::vector<Value> pair_of(NodeId id, const std::vector<Value>& inputs) {
    const Node& node = from_.node(id);
    const auto& norm = std::get<GroupNorm>(node.op);
    const Node before = to_.node(inputs[0].ref);  // by value: adding moves nodes
    const auto* first = std::get_if<GroupNorm>(&before.op);
    if (first == nullptr || !is_used_once(node.inputs[0]) || norm.has_scale || norm.has_addend || norm.pre_relu ||
        norm.has_residual || reads_statistics(inputs[0].ref.node) || readers_.of_others[id] > 0)
      return {};
    const GroupNormPair pair{*first, norm};
    if (!backend_.has_group_norm_pair(pair, to_.type(before.inputs[0]))) return {};
    std::vector<Value> operands;
    for (const Ref& ref : before.inputs) operands.push_back(to_.value(ref));
    operands.insert(operands.end(), inputs.begin() + 1, inputs.end());
    return to_.add(pair, operands);
  }

  /// True when somebody reads the statistics of the new group norm `norm`.
  [[nodiscard]] bool reads_statistics(NodeId norm) const {
    for (NodeId id = 0; id < refs_.size(); ++id)
      if (refs_[id].size() == 2 && refs_[id][1] == Ref{norm, 1} && readers_.of_others[id] > 0) return true;
    return false;
  }

  /// True when `scale` is [B,1,..,1,C] for x [B,..,C], and not x's own size.
  [[nodiscard]] static bool scales_samples(const TensorType& scale, const TensorType& x) {
    if (scale.dtype != x.dtype || !is_float(x.dtype) || scale.shape == x.shape || x.shape.rank() < 3) return false;
    Shape wanted = x.shape;
    for (int axis = 1; axis + 1 < x.shape.rank(); ++axis) wanted = wanted.with(axis, 1);
    return scale.shape == wanted;
  }

  std::vector<Value> with_relu(const Node& node, const std::vector<Value>& inputs) {
    const Node& source = to_.node(inputs[0].ref);
    if (const auto* sum = std::get_if<UpsampleSum>(&source.op); sum && is_used_once(node.inputs[0])) {
      std::vector<Value> parts;
      for (const Ref& ref : source.inputs) parts.push_back(to_.value(ref));
      return to_.add(UpsampleSum{sum->height, sum->width, /*post_relu=*/true}, parts);
    }
    if (const auto* pair = std::get_if<GroupNormPair>(&source.op); pair && is_used_once(node.inputs[0])) {
      GroupNormPair rectified = *pair;
      rectified.second.post_relu = true;
      return replace_norm(inputs[0].ref, rectified, {});
    }
    const auto* norm = std::get_if<GroupNorm>(&source.op);
    if (!norm || inputs[0].ref.output != 0 || norm->post_relu || !is_used_once(node.inputs[0])) return {};
    GroupNorm fused_norm = *norm;
    fused_norm.post_relu = true;
    return replace_norm(inputs[0].ref, fused_norm, {});
  }

  std::vector<Value> with_residual(const Node& node, const std::vector<Value>& inputs) {
    for (const std::size_t side : {0u, 1u}) {
      const Node& source = to_.node(inputs[side].ref);
      const auto* norm = std::get_if<GroupNorm>(&source.op);
      if (!norm || inputs[side].ref.output != 0 || norm->post_relu || norm->has_residual) continue;
      if (!is_used_once(node.inputs[side]) || inputs[0].type() != inputs[1].type()) continue;
      GroupNorm fused_norm = *norm;
      fused_norm.has_residual = true;
      return replace_norm(inputs[side].ref, fused_norm, {inputs[1 - side]});
    }
    return {};
  }

  /// What the operation stretches by itself need not be stretched before.
  std::vector<Value> without_stretching(const Node& node, std::vector<Value> inputs) {
    bool is_changed = false;
    for (const std::size_t side : {0u, 1u}) {
      const Node& source = to_.node(inputs[side].ref);
      if (!std::holds_alternative<BroadcastTo>(source.op)) continue;
      const Value narrow = to_.value(source.inputs[0]);
      Shape stretched;
      if (!broadcast(narrow.shape(), inputs[1 - side].shape(), stretched)) continue;
      if (stretched != node.outputs[0].shape) continue;
      inputs[side] = narrow;
      is_changed = true;
    }
    return is_changed ? to_.add(node.op, inputs) : std::vector<Value>{};
  }

  /// Adds `norm` in place of the group norm at `old`; readers of its statistics follow. Returns the new y.
  std::vector<Value> replace_norm(Ref old, const Op& norm, const std::vector<Value>& more) {
    std::vector<Value> operands;
    for (const Ref& ref : std::vector<Ref>(to_.node(old).inputs)) operands.push_back(to_.value(ref));
    operands.insert(operands.end(), more.begin(), more.end());
    const std::vector<Value> out = to_.add(norm, operands);
    for (auto& outputs : refs_)
      if (outputs.size() == 2 && outputs[1] == Ref{old.node, 1}) outputs[1] = out.back().ref;
    return {out[0]};
  }

  std::vector<Value> packed(const Conv2d& conv, const Op& op, ConvPass pass, const Shape& image,
                            const std::vector<Value>& inputs) {
    if (inputs.size() != 2) return {};
    const PackWeights pack{.conv = conv, .pass = pass, .image = image};
    return to_.add(op, packed_operands(to_, backend_, pack, inputs[0], inputs[1]));
  }

  std::vector<Value> conv_or_block(const Node& node, const Conv2d& conv, const std::vector<Value>& inputs) {
    std::vector<Value> out = packed(conv, conv, ConvPass::forward, inputs[0].shape(), inputs);
    if (out.empty() || !reads_norm_of_conv(node)) return out;
    const Node norm_node = to_.node(inputs[0].ref), second = to_.node(out[0].ref);  // by value: adding moves nodes
    const Node first = to_.node(norm_node.inputs[0]);
    if (first.inputs.size() != 3 || second.inputs.size() != 3) return out;  // weights are not packed
    const auto& norm = std::get<GroupNorm>(norm_node.op);
    const ConvBlock block{.first = std::get<Conv2d>(first.op),
                          .groups = norm.groups,
                          .eps = norm.eps,
                          .affine = norm.affine,
                          .second = conv};
    std::vector<Value> operands;
    for (const Ref& ref : {first.inputs[0], first.inputs[1], second.inputs[1], first.inputs[2], second.inputs[2]})
      operands.push_back(to_.value(ref));
    for (std::size_t i = 1; i < norm_node.inputs.size(); ++i) operands.push_back(to_.value(norm_node.inputs[i]));
    const bool is_there = backend_.has_conv_block(block, operands[0].type(), operands[3].type(), operands[4].type());
    return is_there ? to_.add(block, operands) : out;
  }

  /// True when `node` is the only reader of relu(group_norm(conv2d(..))), fused as far as that, and nobody reads what
  /// lies between.
  [[nodiscard]] bool reads_norm_of_conv(const Node& node) const {
    const Ref relu = node.inputs[0];
    const Node& fused = to_.node(mapped(relu));
    const auto* norm = std::get_if<GroupNorm>(&fused.op);
    if (!norm || !norm->post_relu || norm->has_scale || norm->has_addend || norm->pre_relu || norm->has_residual)
      return false;
    const Ref before = std::holds_alternative<GroupNorm>(from_.node(relu).op) ? relu : from_.node(relu).inputs[0];
    const Ref conv = from_.node(before).inputs[0];
    return std::holds_alternative<Conv2d>(to_.node(fused.inputs[0]).op) && is_used_once(relu) && is_used_once(before) &&
           readers_.of_others[before.node] == 0 && is_used_once(conv);
  }

  const Graph& from_;
  Graph& to_;
  const Backend& backend_;
  std::vector<std::uint8_t> live_;
  Readers readers_;  ///< of the old nodes
  std::vector<std::vector<Ref>> refs_;
  std::vector<NodeId> linear_solves_ = {};  ///< old nodes, copied
};

}  // namespace

Rewritten rewrite(const Graph& graph, std::span<const Value> outputs, const Backend& backend) {
  std::vector<Ref> wanted;
  for (const Value& value : outputs) wanted.push_back(value.ref);
  Rewritten out{.graph = std::make_unique<Graph>(graph.mode()), .outputs = {}, .refs = {}};
  out.refs = Rewriter(graph, *out.graph, backend, wanted).run();
  for (const Ref& ref : wanted) {
    Ref& place = out.refs[ref.node][ref.output];
    if (!graph.assignments().empty()) place = kept(*out.graph, place).ref;
    out.outputs.push_back(place);
  }
  return out;
}

}  // namespace deq
