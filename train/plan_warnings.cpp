#include "train/plan_warnings.h"

#include <algorithm>
#include <cmath>

#include "core/counted.h"
#include "core/cpu/rounded_conv.h"
#include "train/build_info.h"
#include "train/jacobian_schedule.h"
#include "train/model.h"

namespace deq {
namespace {

/// Relative residual below which float32 rounding hides any progress.
constexpr double kRounding = 2e-7;
/// Relative residual that solves of trained multiscale models hardly reach within some tens of steps.
constexpr double kHardlyReached = 1e-5;

class Warnings {
 public:
  Warnings(const Config& config, const RunPlan& plan) : config_(config), plan_(plan) {}

  std::vector<std::string> all() {
    add_phases();
    add_tolerances();
    add_penalty();
    add_sharing();
    add_recomputation();
    add_memory();
    add_bf16();
    if (plan_.train_images < config_.train.batch_size)
      add("the training set has ", counted(plan_.train_images, "image"), ", less than one batch of ",
          config_.train.batch_size);
    return std::move(out_);
  }

 private:
  template <class... Parts>
  void add(const Parts&... parts) {
    out_.push_back(concat(parts...));
  }

  void add_phases() {
    const TrainConfig& train = config_.train;
    if (train.pretrain_steps >= plan_.total_steps)
      add("the run never leaves pre-training: train.pretrain_steps is ", train.pretrain_steps, " of ",
          counted(plan_.total_steps, "step"));
    if (config_.schedule.warmup_steps > plan_.total_steps)
      add("schedule.warmup_steps is ", config_.schedule.warmup_steps, " but the run has ",
          counted(plan_.total_steps, "step"));
  }

  /// States are normalised, so a state of N elements has a norm of about sqrt(N).
  void add_tolerances() {
    const SolverConfig& solver = config_.solver;
    if (solver.tolerance == 0 || plan_.total_steps <= plan_.pretrain_steps) return;
    const bool is_absolute = solver.mode == "abs";
    const double norm = is_absolute ? std::sqrt(static_cast<double>(plan_.state_elements)) : 1;
    const double relative = solver.tolerance / norm;
    const std::string size = is_absolute
                                 ? concat("an absolute tolerance of ", solver.tolerance, " on ", plan_.state_elements,
                                          " elements asks for a relative residual of about ", relative)
                                 : concat("a relative tolerance of ", solver.tolerance);
    if (relative < kRounding)
      add(size, ", which float32 cannot reach: every solve will run its ", counted(solver.max_steps, "step"));
    else if (is_absolute && relative < kHardlyReached)
      add(size, ", which is hardly ever met: expect every solve to run its ", counted(solver.max_steps, "step"));
  }

  void add_penalty() {
    const TrainConfig& train = config_.train;
    const bool has_weight = train.jacobian_weight > 0 || train.jacobian_pretrain_weight > 0;
    const bool is_drawn = train.jacobian_frequency > 0;
    if (has_weight && !is_drawn)
      add("the Jacobian penalty has a weight but train.jacobian_frequency is 0: no step will have it");
    if (is_drawn && !has_jacobian_penalty(train))
      add("train.jacobian_frequency is ", train.jacobian_frequency,
          " but all weights of the Jacobian penalty are 0: no step will have it");
    if (train.jacobian_target_radius > 0 && !(is_drawn && train.jacobian_weight > 0))
      add("train.jacobian_target_radius steers the weight of the Jacobian penalty, but train.jacobian_weight or "
          "train.jacobian_frequency is 0");
    const std::int64_t per_epoch = std::max<std::int64_t>(1, plan_.train_images / train.batch_size);
    if (is_drawn && train.jacobian_weight > 0 && train.jacobian_stop_epoch > 0 &&
        train.jacobian_stop_epoch * per_epoch <= plan_.pretrain_steps)
      add("the Jacobian penalty ends with epoch ", train.jacobian_stop_epoch,
          ", before the equilibrium phase begins with epoch ", plan_.pretrain_steps / per_epoch);
  }

  /// Of the forward methods two leave no inverse estimate: M = I, with which a shared inverse is no inverse at all.
  void add_sharing() {
    const auto policy = make_policy(config_.solver, config_.train.estimator);
    const SolverMethod& method = policy->solver().method;
    const auto* refined = std::get_if<Refined>(&policy->adjoint());
    const bool shares = std::holds_alternative<SharedInverse>(policy->adjoint()) ||
                        (refined != nullptr && refined->start == AdjointStart::shared);
    const bool leaves_none = std::holds_alternative<Picard>(method) || std::holds_alternative<NewtonKrylov>(method);
    if (shares && leaves_none)
      add("the estimator ", config_.train.estimator, " shares the inverse that the forward solver built, and ",
          config_.solver.name, " builds none: gradients are those of ", refined != nullptr ? "jfb-refine" : "jfb",
          "; take solver.name broyden, adjoint-broyden or anderson");
  }

  void add_recomputation() {
    const TrainConfig& train = config_.train;
    if (!train.recompute) return;
    const auto policy = make_policy(config_.solver, train.estimator);
    if (policy->needs_vjp() || policy->unrolling())
      add("train.recompute changes nothing with the estimator ", train.estimator,
          ", whose backward needs the values of f at z* while it solves");
    else if (train.jacobian_frequency > 0 && has_jacobian_penalty(train))
      add("train.recompute saves little with the Jacobian penalty, which keeps the values of f at z* by itself");
  }

  void add_memory() {
    const std::int64_t machine = machine_info().memory_bytes;
    const auto gib = [](auto bytes) { return std::ceil(static_cast<double>(bytes) / 0x1p30 * 10) / 10; };
    if (machine <= 0 || !plan_.uses_host_memory) return;
    if (plan_.history_bytes > static_cast<std::size_t>(machine))
      add("the solver's history alone takes ", gib(plan_.history_bytes), " GiB (", config_.solver.max_steps,
          " steps of ", plan_.state_elements, " elements for ", config_.train.batch_size, " images), this machine has ",
          gib(machine), " GiB: lower train.batch_size or solver.max_steps, or set solver.memory");
    else if (plan_.peak_bytes > static_cast<std::size_t>(machine))
      add("the run needs ", gib(plan_.peak_bytes), " GiB of memory, this machine has ", gib(machine),
          " GiB: lower train.batch_size");
  }

  void add_bf16() {
    if (config_.compute.convolution == "bf16" && plan_.uses_host_memory && !cpu::multiplies_bf16())
      add("compute.convolution is bf16, but this processor has no avx512_bf16: operands are rounded and multiplied in "
          "float32, which is slower than direct");
  }

  const Config& config_;
  const RunPlan& plan_;
  std::vector<std::string> out_;
};

}  // namespace

std::vector<std::string> plan_warnings(const Config& config, const RunPlan& plan) {
  return Warnings(config, plan).all();
}

}  // namespace deq
