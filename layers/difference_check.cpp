#include "layers/difference_check.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "core/worse.h"
#include "layers/audit_program.h"

namespace deq {
namespace {

constexpr double kLargestStep = 1e-2;  // of the length of all parameters
constexpr double kSmallestLoss = 1e-3;

double length(const std::vector<float>& x) {
  double sum = 0;
  for (const float value : x) sum += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(sum);
}

/// The trainable parameters as one vector.
class ParameterVector {
 public:
  explicit ParameterVector(const ParameterStore& store) {
    for (const ParameterEntry& entry : store.entries())
      if (entry.is_trainable) parts_.push_back(*entry.value);
    start_ = flat(parts_);
  }
  [[nodiscard]] static std::vector<float> flat(const std::vector<Tensor>& parts) {
    std::vector<float> out;
    for (const Tensor& part : parts) {
      const auto values = part.data<float>();
      out.insert(out.end(), values.begin(), values.end());
    }
    return out;
  }
  /// start + step v
  void set(double step, const std::vector<float>& v) {
    std::size_t i = 0;
    for (Tensor& part : parts_)
      for (float& value : part.data<float>()) {
        value = static_cast<float>(static_cast<double>(start_[i]) + step * static_cast<double>(v[i]));
        ++i;
      }
  }
  [[nodiscard]] double norm() const { return length(start_); }

 private:
  std::vector<Tensor> parts_;  // share the store's memory
  std::vector<float> start_;
};

/// Unit vector along g / |g| + n / |n|, n Gaussian.
std::vector<float> direction(const std::vector<float>& gradient, std::mt19937_64& rng) {
  std::normal_distribution<float> normal;
  std::vector<float> v(gradient.size());
  for (float& value : v) value = normal(rng);
  const double scale_v = 1.0 / length(v), scale_g = 1.0 / length(gradient);
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = static_cast<float>(scale_v * static_cast<double>(v[i]) + scale_g * static_cast<double>(gradient[i]));
  const double unit = 1.0 / length(v);
  for (float& value : v) value = static_cast<float>(unit * static_cast<double>(value));
  return v;
}

}  // namespace

DifferenceCheck check_by_differences(const AuditedModel& model, const AuditPolicy& exact, const AuditInputs& batch,
                                     Backend& backend, const DifferenceOptions& options) {
  const ParameterKeeper keeper(*model.parameters);
  DifferenceCheck out;
  std::vector<float> gradient;
  double loss = 0;
  {
    const AuditRun run = AuditProgram(model, exact, backend).run(batch);
    gradient = ParameterVector::flat(run.gradients);
    loss = run.loss;
    for (const double residual : run.forward.residual) out.forward_residual = worse(out.forward_residual, residual);
  }
  AuditProgram program(model, exact, backend, AuditProgram::Part::loss);
  ParameterVector parameters(*model.parameters);
  std::mt19937_64 rng(options.seed);
  bool goes_on = true;
  for (int i = 0; i < options.directions && goes_on; ++i) {
    const std::vector<float> v = direction(gradient, rng);
    double slope = 0;
    for (std::size_t k = 0; k < v.size(); ++k) slope += static_cast<double>(v[k]) * static_cast<double>(gradient[k]);
    const double wanted = options.change * std::max(std::abs(loss), kSmallestLoss) / std::abs(slope);
    const double step = std::min(wanted, kLargestStep * parameters.norm());
    const auto loss_at = [&](double at) {
      goes_on = goes_on && (!options.progress || options.progress());
      parameters.set(at, v);
      return goes_on ? program.run_loss(batch) : loss;
    };
    const double wide = (loss_at(step) - loss_at(-step)) / (2 * step);
    const double narrow = (loss_at(step / 2) - loss_at(-step / 2)) / step;
    if (!goes_on) break;
    const double extrapolated = (4 * narrow - wide) / 3;
    ++out.directions;
    out.relative_difference = std::max(out.relative_difference, std::abs(extrapolated - slope) / std::abs(slope));
    out.uncertainty = std::max(out.uncertainty, std::abs(narrow - wide) / std::abs(slope));
  }
  return out;
}

}  // namespace deq
