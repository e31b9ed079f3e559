#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/graph.h"
#include "layers/init.h"

namespace deq {

/// A named tensor of a model. Buffers (running statistics) are entries that are not trainable.
struct ParameterEntry {
  std::string name;  ///< dotted path, e.g. "stem.conv1.weight"
  std::shared_ptr<Tensor> value;
  bool is_trainable = true;
};

/// What new parameters hold. `zeros` skips the drawing: for counting, and for models whose weights are loaded at once.
enum class ParameterStart : std::uint8_t { drawn, zeros };

/// Owns a model's parameters in order of creation. Programs use the tensors in place, so training changes them here.
/// New values come by `set`; who writes into a tensor's `data` calls its `touch`, and replaces no tensor by another.
/// Layouts and names are those of published weights: convolution [out, in/groups, kh, kw], linear [out, in].
class ParameterStore {
 public:
  /// `seed` decides every parameter's start together with its name.
  explicit ParameterStore(std::uint64_t seed = 0, ParameterStart start = ParameterStart::drawn)
      : seed_(seed), start_(start) {}
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  /// Errors: the name is taken or empty.
  std::shared_ptr<Tensor> add(const std::string& name, Shape shape, const init::Initializer& start, bool is_trainable);
  std::shared_ptr<Tensor> add(const std::string& name, Tensor start, bool is_trainable);

  [[nodiscard]] const std::vector<ParameterEntry>& entries() const { return entries_; }
  [[nodiscard]] bool contains(const std::string& name) const { return index_.contains(name); }
  /// Errors: no parameter has that name.
  [[nodiscard]] const ParameterEntry& find(const std::string& name) const;
  /// Copies `value` over the parameter, keeping its memory. Errors: unknown name, other type or shape.
  void set(const std::string& name, const Tensor& value);

  /// The trainable entries as inputs of `graph`, in order of creation: what gradients are taken in.
  [[nodiscard]] std::vector<Value> trainable(Graph& graph) const;
  /// Elements of all trainable entries, optionally of those whose name starts with `prefix`.
  [[nodiscard]] std::int64_t trainable_elements(std::string_view prefix = {}) const;
  [[nodiscard]] std::uint64_t seed() const { return seed_; }

  /// Number of a random draw that belongs to the layer called `name`: the same on every trace, so a function that is
  /// traced twice draws once. The top bit is set, which keeps it apart from Graph::next_random_site.
  std::uint32_t random_site(const std::string& name);

 private:
  std::uint64_t seed_;
  ParameterStart start_;
  std::vector<ParameterEntry> entries_;
  std::unordered_map<std::string, std::size_t> index_;
  std::map<std::uint32_t, std::string> sites_;
};

/// A place in the tree of names: `scope / "conv1" / 0` is "...conv1.0".
class ParamScope {
 public:
  /// `store` must outlive the scope. The root has the empty prefix.
  explicit ParamScope(ParameterStore& store, std::string prefix = {}) : store_(&store), prefix_(std::move(prefix)) {}

  [[nodiscard]] ParamScope operator/(std::string_view child) const { return ParamScope(*store_, path(child)); }
  [[nodiscard]] ParamScope operator/(int child) const { return *this / std::to_string(child); }

  /// Full name of `leaf` in this scope.
  [[nodiscard]] std::string path(std::string_view leaf) const;
  [[nodiscard]] const std::string& prefix() const { return prefix_; }
  [[nodiscard]] ParameterStore& store() const { return *store_; }
  /// See ParameterStore::random_site.
  [[nodiscard]] std::uint32_t random_site() const { return store_->random_site(prefix_); }

 private:
  ParameterStore* store_;
  std::string prefix_;
};

/// Handle of one entry. Calling it gives the graph's input backed by the tensor: the same value on every call in one
/// graph, so sharing a parameter adds up its gradients. A default-constructed handle is absent.
class Parameter {
 public:
  Parameter() = default;
  Parameter(const ParamScope& scope, std::string_view leaf, Shape shape, const init::Initializer& start,
            bool is_trainable = true);
  Parameter(const ParamScope& scope, std::string_view leaf, Tensor start, bool is_trainable = true);

  [[nodiscard]] bool is_absent() const { return tensor_ == nullptr; }
  [[nodiscard]] Value operator()(Graph& graph) const;
  /// In the graph of `like`; an absent parameter gives the empty value. Errors: `like` is empty.
  [[nodiscard]] Value operator()(Value like) const;
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::shared_ptr<Tensor>& tensor() const { return tensor_; }

 private:
  std::string name_;
  std::shared_ptr<Tensor> tensor_;
};

}  // namespace deq
