#pragma once

#include <algorithm>
#include <vector>

#include "core/cuda/update_rules.h"
#include "core/dependencies.h"

// Parameter updates. Element i of every operand is read before element i of any output is written, so outputs may lie
// over the inputs they replace. Updates that follow each other with the same rule run as one launch (join_updates).

namespace deq::cuda {

/// An update that can be joined with others.
class UpdateKernel : public Kernel {
 public:
  /// True when this and `other` follow one rule with the same scalars and work in place, so that they may run together.
  [[nodiscard]] virtual bool goes_with(const UpdateKernel& other) const = 0;
  /// One kernel that does what `updates` do, all of which go with this one.
  [[nodiscard]] virtual std::unique_ptr<Kernel> joined(std::span<UpdateKernel* const> updates) const = 0;
};

/// `launches` with runs of updates that go together, and of which none touches what another writes, replaced by one
/// each, whose kernel `owned` receives.
inline std::vector<BoundLaunch> join_updates(std::span<const BoundLaunch> launches,
                                             std::vector<std::unique_ptr<Kernel>>& owned) {
  std::vector<BoundLaunch> out;
  for (std::size_t i = 0; i < launches.size();) {
    std::vector<UpdateKernel*> run;
    while (i + run.size() < launches.size()) {
      const BoundLaunch& candidate = launches[i + run.size()];
      auto* next = dynamic_cast<UpdateKernel*>(candidate.kernel);
      if (next == nullptr || !next->goes_with(run.empty() ? *next : *run.front())) break;
      const auto is_tied = [&](const BoundLaunch& other) { return depend(candidate, other); };
      if (std::ranges::any_of(launches.subspan(i, run.size()), is_tied)) break;
      run.push_back(next);
    }
    BoundLaunch& launch = out.emplace_back(launches[i++]);
    if (run.size() < 2) continue;
    owned.push_back(run.front()->joined(run));
    launch.kernel = owned.back().get();
    for (std::size_t more = 1; more < run.size(); ++more, ++i) {
      launch.reads.insert(launch.reads.end(), launches[i].reads.begin(), launches[i].reads.end());
      launch.writes.insert(launch.writes.end(), launches[i].writes.begin(), launches[i].writes.end());
    }
  }
  return out;
}

/// Runs one rule over `tensors`, 48 a launch.
template <class Rule, class Launcher>
void update_all(const Launcher& launcher, const Rule& rule, std::span<const UpdatedTensor> tensors) {
  UpdateElements<Rule> many{.rule = rule, .tensors = {}, .begins = {}, .count = 0};
  std::int64_t n = 0;
  const auto flush = [&] {
    launcher.for_each(n, many);
    many.count = 0;
    n = 0;
  };
  for (const UpdatedTensor& tensor : tensors) {
    if (tensor.n == 0) continue;
    if (many.count == UpdateElements<Rule>::kMost || n + tensor.n > kMostElements) flush();
    many.tensors[many.count] = tensor;
    many.begins[many.count++] = narrow(n);
    n += tensor.n;
  }
  if (many.count > 0) flush();
}

/// One SgdUpdate or AdamUpdate, or several joined.
template <class Op, class Launcher>
class UpdateKernelOf final : public UpdateKernel {
 public:
  static constexpr bool kIsAdam = std::is_same_v<Op, AdamUpdate>;

  UpdateKernelOf(const Launcher& launcher, const Op& op, std::int64_t n) : launcher_(launcher), op_(op), n_(n) {}

  [[nodiscard]] std::size_t workspace_bytes() const override { return kIsAdam ? sizeof(AdamStep) : 0; }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    const auto in = [&](std::size_t i) { return static_cast<const float*>(inputs[i]); };
    const auto out = [&](std::size_t i) { return static_cast<float*>(outputs[i]); };
    tensors_ = {
        {in(0), in(1), in(2), kIsAdam ? in(3) : nullptr, out(0), out(1), kIsAdam ? out(2) : nullptr, narrow(n_)}};
    rate_ = in(kIsAdam ? 4 : 3);
    t_ = kIsAdam ? in(5) : nullptr;
    step_ = static_cast<AdamStep*>(workspace);
  }
  void run() override {
    if constexpr (kIsAdam) {
      launcher_.for_each(1, PrepareAdam{rate_, t_, op_.beta1, op_.beta2, op_.decoupled ? op_.weight_decay : 0, step_});
      update_all(launcher_,
                 AdamRule{step_, static_cast<float>(op_.beta1), static_cast<float>(op_.beta2),
                          static_cast<float>(1 - op_.beta1), static_cast<float>(1 - op_.beta2),
                          static_cast<float>(op_.eps), op_.decoupled ? 0.0F : static_cast<float>(op_.weight_decay)},
                 tensors_);
    } else {
      const auto momentum = static_cast<float>(op_.momentum);
      update_all(launcher_,
                 SgdRule{rate_, momentum, static_cast<float>(op_.weight_decay), op_.nesterov ? 1.0F : 0.0F,
                         op_.nesterov ? momentum : 1.0F},
                 tensors_);
    }
  }
  [[nodiscard]] bool goes_with(const UpdateKernel& other) const override {
    const auto* same = dynamic_cast<const UpdateKernelOf*>(&other);
    return same != nullptr && same->op_ == op_ && same->rate_ == rate_ && same->t_ == t_ &&
           tensors_.front().is_in_place() && same->tensors_.front().is_in_place();
  }
  [[nodiscard]] std::unique_ptr<Kernel> joined(std::span<UpdateKernel* const> updates) const override {
    auto out = std::make_unique<UpdateKernelOf>(*this);
    out->tensors_.clear();
    for (const UpdateKernel* update : updates)
      out->tensors_.push_back(dynamic_cast<const UpdateKernelOf&>(*update).tensors_.front());
    return out;
  }

 private:
  Launcher launcher_;
  Op op_;
  std::int64_t n_;
  std::vector<UpdatedTensor> tensors_;
  const float *rate_ = nullptr, *t_ = nullptr;
  AdamStep* step_ = nullptr;
};

/// SgdUpdate, AdamUpdate.
template <class Launcher>
std::unique_ptr<Kernel> lower_update(const KernelRequest& request, const Launcher& launcher) {
  require_f32(request);
  if (is_idle(request)) return make_idle_kernel();
  const std::int64_t n = request.inputs[0].shape.elements();
  if (const auto* op = std::get_if<SgdUpdate>(&request.op))
    return std::make_unique<UpdateKernelOf<SgdUpdate, Launcher>>(launcher, *op, n);
  if (const auto* op = std::get_if<AdamUpdate>(&request.op))
    return std::make_unique<UpdateKernelOf<AdamUpdate, Launcher>>(launcher, *op, n);
  no_kernel(request, "not an optimizer update");
}

}  // namespace deq::cuda
