#include "layers/parameter.h"

#include <cstring>
#include <utility>

#include "core/error.h"

namespace deq {

std::shared_ptr<Tensor> ParameterStore::add(const std::string& name, Shape shape, const init::Initializer& start,
                                            bool is_trainable) {
  switch (start_) {
    case ParameterStart::drawn: return add(name, init::draw(start, shape, seed_, name), is_trainable);
    case ParameterStart::zeros: return add(name, Tensor(DType::f32, shape), is_trainable);
  }
  return nullptr;
}

std::shared_ptr<Tensor> ParameterStore::add(const std::string& name, Tensor start, bool is_trainable) {
  check(!name.empty(), "parameter store", "a parameter needs a name");
  check(index_.emplace(name, entries_.size()).second, "parameter store", "there is already a parameter '", name, "'");
  auto value = std::make_shared<Tensor>(std::move(start));
  entries_.push_back({name, value, is_trainable});
  return value;
}

const ParameterEntry& ParameterStore::find(const std::string& name) const {
  const auto at = index_.find(name);
  check(at != index_.end(), "parameter store", "no parameter is called '", name, "' (", entries_.size(), " entries)");
  return entries_[at->second];
}

void ParameterStore::set(const std::string& name, const Tensor& value) {
  Tensor& own = *find(name).value;
  check(own.type() == value.type(), "parameter store", "'", name, "' is ", own.type(), ", given ", value.type());
  std::memcpy(own.raw(), value.raw(), own.bytes());
  own.touch();
}

std::vector<Value> ParameterStore::trainable(Graph& graph) const {
  std::vector<Value> out;
  for (const ParameterEntry& entry : entries_)
    if (entry.is_trainable) out.push_back(graph.parameter(entry.name, entry.value));
  return out;
}

std::int64_t ParameterStore::trainable_elements(std::string_view prefix) const {
  std::int64_t elements = 0;
  for (const ParameterEntry& entry : entries_)
    if (entry.is_trainable && entry.name.starts_with(prefix)) elements += entry.value->shape().elements();
  return elements;
}

std::uint32_t ParameterStore::random_site(const std::string& name) {
  constexpr std::uint32_t kOwnedSite = 0x80000000U;
  auto site = kOwnedSite | static_cast<std::uint32_t>(init::hash_of(name) >> 33);
  // Two names may hash alike (one pair in 2^31): the later one takes the next free number.
  while (sites_.contains(site) && sites_[site] != name) site = kOwnedSite | (site + 1);
  sites_[site] = name;
  return site;
}

std::string ParamScope::path(std::string_view leaf) const {
  if (prefix_.empty()) return std::string(leaf);
  return concat(prefix_, '.', leaf);
}

Parameter::Parameter(const ParamScope& scope, std::string_view leaf, Shape shape, const init::Initializer& start,
                     bool is_trainable)
    : name_(scope.path(leaf)), tensor_(scope.store().add(name_, shape, start, is_trainable)) {}

Parameter::Parameter(const ParamScope& scope, std::string_view leaf, Tensor start, bool is_trainable)
    : name_(scope.path(leaf)), tensor_(scope.store().add(name_, std::move(start), is_trainable)) {}

Value Parameter::operator()(Graph& graph) const {
  check(!is_absent(), "parameter", "this layer was built without the parameter that is read");
  return graph.parameter(name_, tensor_);
}

Value Parameter::operator()(Value like) const { return is_absent() ? Value{} : (*this)(like.owner(name_)); }

}  // namespace deq
