#include <algorithm>
#include <utility>

#include "core/program_state.h"

// What goes into a program and comes out of it: parameters, inputs, results.

namespace deq {
namespace {

/// Converts elements between f32 and f64 in host memory: what a backend that stores f32 as f64 needs.
void convert(const void* from, DType from_type, void* to, std::int64_t elements) {
  if (from_type == DType::f32) {
    std::copy_n(static_cast<const float*>(from), elements, static_cast<double*>(to));
  } else {
    std::transform(static_cast<const double*>(from), static_cast<const double*>(from) + elements,
                   static_cast<float*>(to), [](double x) { return static_cast<float>(x); });
  }
}

/// Elements in host memory to the backend.
void send(Backend& backend, const void* from, DType from_type, void* to, DType to_type, std::int64_t elements) {
  const std::size_t bytes = static_cast<std::size_t>(elements) * size_of(to_type);
  if (from_type == to_type) return backend.upload(to, from, bytes);
  if (backend.device().kind == DeviceKind::cpu) return convert(from, from_type, to, elements);
  std::vector<std::byte> converted(bytes);
  convert(from, from_type, converted.data(), elements);
  backend.upload(to, converted.data(), bytes);
}

/// As `send`, the other way.
void fetch(Backend& backend, const void* from, DType from_type, void* to, DType to_type, std::int64_t elements) {
  const std::size_t bytes = static_cast<std::size_t>(elements) * size_of(from_type);
  if (from_type == to_type) return backend.download(to, from, bytes);
  if (backend.device().kind == DeviceKind::cpu) return convert(from, from_type, to, elements);
  std::vector<std::byte> stored(bytes);
  backend.download(stored.data(), from, bytes);
  convert(stored.data(), from_type, to, elements);
}

}  // namespace

// Parameters

void Program::State::send_parameters() {
  if (backend->keeps_parameters()) {
    if (!are_parameters_stale) return;
    for (const BoundParameter& parameter : parameters) {
      ParameterCopy& copy = *parameter.copy;
      if (copy.is_ahead && copy.version == parameter.version) continue;
      backend->upload(copy.data, parameter.memory.raw(), parameter.memory.bytes());
      copy.is_ahead = false;
      copy.version = parameter.version;
    }
    are_parameters_stale = false;
    return;
  }
  if (shares_parameters()) return;
  for (const NodeId id : graph().parameters()) {
    const Ref ref{id, 0};
    if (plan.place(ref).buffer == Place::kNone) continue;
    const auto storage = graph().storage(id);
    send(*backend, storage->raw(), storage->dtype(), address(ref), backend->storage(storage->dtype()),
         storage->shape().elements());
  }
}

void Program::State::see_parameters() {
  for (BoundParameter& parameter : parameters) {
    check(std::as_const(*parameter.tensor).raw() == parameter.memory.raw(), "program", "the tensor of parameter '",
          graph().input_name(parameter.node),
          "' was replaced by another after the program was compiled: copy the values into it (ParameterStore::set)");
    if (parameter.version == parameter.tensor->version()) continue;
    parameter.version = parameter.tensor->version();
    is_step_stale = are_parameters_stale = true;
  }
}

void Program::State::store_assignments() {
  for (const auto& [from, to, which] : stores) {
    BoundParameter& parameter = parameters[which];
    const TensorType& type = parameter.memory.type();
    parameter.tensor->touch();
    parameter.version = parameter.tensor->version();
    if (parameter.copy) {
      if (from != to) backend->copy(to, from, type.bytes());
      parameter.copy->is_ahead = true;
      parameter.copy->version = parameter.version;
    } else if (from != to) {  // else an optimiser wrote it in place
      fetch(*backend, from, backend->storage(type.dtype), to, type.dtype, type.shape.elements());
    }
  }
}

void Program::parameters_changed() {
  state().is_step_stale = true;
  state().are_parameters_stale = true;
}

void Program::fetch_parameters() {
  for (const BoundParameter& parameter : state().parameters) {
    if (!parameter.copy || !parameter.copy->is_ahead) continue;
    if (parameter.copy->version != parameter.tensor->version()) continue;  // the host wrote it since
    state().backend->download(parameter.tensor->raw(), parameter.copy->data, parameter.memory.bytes());
    parameter.copy->is_ahead = false;
  }
}

// Inputs and results

bool Program::State::is_input(NodeId id) const {
  return graph().node(id).rate < Rate::iterate && std::ranges::find(graph().inputs(), id) != graph().inputs().end();
}

Ref Program::State::mapped(Value value) const {
  check(!value.is_empty(), "program", "an empty value");
  check(value.graph_id == source, "program", "the value belongs to another graph than the program was compiled from");
  check(value.ref.node < rewritten.refs.size() && !rewritten.refs[value.ref.node].empty(), "program",
        "the value is no part of this program: nothing that it computes needs it");
  return rewritten.refs[value.ref.node][value.ref.output];
}

Ref Program::State::bindable(Value input) const {
  const Ref ref = mapped(input);
  check(graph().storage(ref.node) == nullptr, "program", "'", graph().input_name(ref.node),
        "' is a parameter, which is not bound: its values come by ParameterStore::set");
  check(graph().rate(ref) < Rate::iterate, "program", "only inputs can be bound, '", graph().input_name(ref.node),
        "' is what a solver iterates");
  check(is_input(ref.node), "program", "only inputs can be bound, the value is the result of ",
        name_of(graph().node(ref.node).op));
  return ref;
}

std::optional<NodeId> Program::State::input_called(const std::string& name) const {
  for (const NodeId id : graph().inputs())
    if (is_input(id) && graph().input_name(id) == name) return id;
  return std::nullopt;
}

void Program::State::refuse_name(const std::string& name) const {
  std::string names;
  for (const NodeId id : graph().inputs())
    if (is_input(id)) names += concat(names.empty() ? "; its inputs are '" : ", '", graph().input_name(id), "'");
  throw Error(concat("program: has no input called '", name, "'", names.empty() ? "; it has none at all" : names));
}

void Program::State::bound(NodeId input) {
  std::erase(unbound, input);
  const Rate rate = graph().node(input).rate;
  if (rate <= Rate::step) is_step_stale = true;
  if (rate == Rate::constant) are_constants_stale = true;
}

void Program::State::bind(NodeId input, const Tensor& value) {
  const TensorType& type = graph().node(input).outputs[0];
  const DType stored = backend->storage(type.dtype);
  check(value.shape() == type.shape && (value.dtype() == type.dtype || value.dtype() == stored), "program", "input '",
        graph().input_name(input), "' is ", type, ", got ", value.type());
  enter();
  send(*backend, value.raw(), value.dtype(), address(Ref{input, 0}), stored, type.shape.elements());
  bound(input);
}

void Program::bind(Value input, const Tensor& value) { state().bind(state().bindable(input).node, value); }

void Program::bind(Value input, const PixelBatch& images) {
  const Ref ref = state().bindable(input);
  const TensorType& type = state().graph().type(ref);
  PixelFeed* const feed = state().backend->pixel_feed();
  check(feed != nullptr, "program", name_of(state().backend->device()), " takes no 8-bit images");
  check(type.dtype == DType::f32 && type.shape == images.shape, "program", "input '",
        state().graph().input_name(ref.node), "' is ", type, ", got 8-bit images ", images.shape);
  state().enter();
  feed->deliver(images, state().address(ref));
  state().bound(ref.node);
}

bool Program::has_input(const std::string& input_name) const { return state().input_called(input_name).has_value(); }

void Program::bind(const std::string& input_name, const Tensor& value) {
  const std::optional<NodeId> input = state().input_called(input_name);
  if (!input) state().refuse_name(input_name);
  state().bind(*input, value);
}

Ref Program::State::readable(Value output) const {
  const Ref ref = mapped(output);
  const bool is_kept = std::ranges::find(rewritten.outputs, ref) != rewritten.outputs.end();
  check(is_kept || is_input(ref.node) || graph().storage(ref.node) != nullptr, "program", "the value (",
        name_of(graph().node(ref.node).op), ' ', graph().type(ref),
        ") is no output of this program, which may have used its memory again: name it when you compile");
  check_present("results");
  check(has_run || is_input(ref.node), "program", "has not run yet: there is nothing to read");
  return ref;
}

void Program::read(Value output, Tensor& into) const {
  const Ref ref = state().readable(output);
  const TensorType& type = state().graph().type(ref);
  const DType stored = state().backend->storage(type.dtype);
  const auto is_real = [](DType dtype) { return dtype == DType::f32 || dtype == DType::f64; };
  check(into.shape() == type.shape && (into.dtype() == stored || (is_real(into.dtype()) && is_real(stored))), "program",
        "output is ", type, ", got room for ", into.type());
  fetch(*state().backend, state().address(ref), stored, into.raw(), into.dtype(), type.shape.elements());
}

Tensor Program::read(Value output) const {
  Tensor out(state().graph().type(state().readable(output)));
  read(output, out);
  return out;
}

}  // namespace deq
