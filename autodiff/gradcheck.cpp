#include "autodiff/gradcheck.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "autodiff/vjp.h"
#include "core/reference/backend.h"

namespace deq {
namespace {

using Vector = std::vector<double>;

Vector doubles_of(const Tensor& tensor) {
  if (tensor.dtype() == DType::f32) {
    const auto data = tensor.data<float>();
    return {data.begin(), data.end()};
  }
  const auto data = tensor.data<double>();
  return {data.begin(), data.end()};
}

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Standard normal values from the generator alone (library distributions differ between implementations).
Vector normal_values(std::mt19937_64& generator, std::size_t count) {
  constexpr double kTwoPi = 6.283185307179586;
  const auto uniform = [&] { return (static_cast<double>(generator() >> 11) + 0.5) * 0x1p-53; };
  Vector out(count);
  for (double& value : out) value = std::sqrt(-2 * std::log(uniform())) * std::cos(kTwoPi * uniform());
  return out;
}

/// Derivative of `f` at 0: central differences at step, step/2, step/4, .., extrapolated to step 0.
double extrapolated_derivative(const std::function<double(double)>& f, double step) {
  constexpr std::size_t kLevels = 7;
  std::array<std::array<double, kLevels>, kLevels> table{};
  double best = 0, best_error = std::numeric_limits<double>::infinity();
  for (std::size_t level = 0; level < kLevels; ++level, step /= 2) {
    table[level][0] = (f(step) - f(-step)) / (2 * step);
    double factor = 4;
    for (std::size_t order = 1; order <= level; ++order, factor *= 4) {
      const double coarse = table[level - 1][order - 1], fine = table[level][order - 1];
      table[level][order] = (factor * fine - coarse) / (factor - 1);
      const double error = std::max(std::abs(table[level][order] - fine), std::abs(table[level][order] - coarse));
      if (error < best_error) best = table[level][order], best_error = error;
    }
  }
  return best;
}

/// The check of one graph: the scalar sum_k <c_k, output_k> and its gradient.
class Check {
 public:
  Check(std::span<const Value> outputs, const Bindings& bindings, const GradcheckOptions& options)
      : outputs_(outputs.begin(), outputs.end()), bindings_(bindings), options_(options), generator_(options.seed) {
    // The graph grows with each check, so its size never names two.
    Graph& graph = outputs.front().owner("gradcheck");
    const std::string prefix = concat("gradcheck.", graph.size(), ".c");
    for (std::size_t k = 0; k < outputs_.size(); ++k) {
      const TensorType type = outputs_[k].type("gradcheck");
      const std::string name = concat(prefix, k);
      weights_.push_back(normal_values(generator_, static_cast<std::size_t>(type.shape.elements())));
      bindings_[name] = Tensor::of(type.shape, weights_.back());
      cotangents_.push_back(graph.input(name, type, Rate::batch));
    }
  }

  void differentiate(std::span<const std::string> names) {
    Graph& graph = outputs_.front().owner("gradcheck");
    std::vector<Value> wrt;
    for (const std::string& name : names) wrt.push_back(graph.find(name));
    const std::vector<Value> found = vjp(outputs_, cotangents_, wrt);
    std::vector<Value> present;
    std::copy_if(found.begin(), found.end(), std::back_inserter(present), [](Value v) { return !v.is_empty(); });
    const std::vector<Tensor> values = interpret(graph, present, bindings_, backend_);
    std::size_t next = 0;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const bool is_zero = found[i].is_empty();
      const Vector gradient =
          is_zero ? Vector(static_cast<std::size_t>(wrt[i].shape().elements())) : doubles_of(values[next++]);
      compare(names[i], wrt[i], gradient);
    }
  }

  [[nodiscard]] const GradcheckReport& report() const { return report_; }

 private:
  void compare(const std::string& name, Value input, const Vector& gradient) {
    if (!bindings_.contains(name)) {
      const std::shared_ptr<Tensor> storage = input.owner("gradcheck").storage(input.ref.node);
      check(storage != nullptr, "gradcheck", "input '", name, "' has no value");
      bindings_[name] = *storage;
    }
    const Tensor original = bindings_[name];
    const Vector at = doubles_of(original);
    double largest = 0;
    for (const double value : gradient) largest = std::max(largest, std::abs(value));

    const auto check_along = [&](const Vector& direction, const std::string& what) {
      const auto along = [&](double t) {
        Tensor moved(DType::f64, input.shape());
        for (std::size_t i = 0; i < at.size(); ++i) moved.data<double>()[i] = at[i] + t * direction[i];
        bindings_[name] = moved;
        return scalar();
      };
      record(dot(gradient, direction), extrapolated_derivative(along, options_.step), largest, name + what);
    };
    for (const std::size_t element : chosen_elements(at.size())) {
      Vector unit(at.size());
      unit[element] = 1;
      check_along(unit, concat("[", element, "]"));
    }
    for (int i = 0; i < options_.directions && !at.empty(); ++i) {
      Vector direction = normal_values(generator_, at.size());
      // No element moves further than one varied alone.
      double longest = 0;
      for (const double value : direction) longest = std::max(longest, std::abs(value));
      for (double& value : direction) value /= longest;
      check_along(direction, concat(" along direction ", i));
    }
    bindings_[name] = original;
  }

  std::vector<std::size_t> chosen_elements(std::size_t count) {
    std::vector<std::size_t> elements(count);
    for (std::size_t i = 0; i < count; ++i) elements[i] = i;
    const std::size_t kept = std::min(count, static_cast<std::size_t>(options_.elements_per_input));
    for (std::size_t i = 0; i < kept; ++i) std::swap(elements[i], elements[i + generator_() % (count - i)]);
    elements.resize(kept);
    return elements;
  }

  double scalar() {
    const std::vector<Tensor> values = interpret(*outputs_.front().graph, outputs_, bindings_, backend_);
    double sum = 0;
    for (std::size_t k = 0; k < values.size(); ++k) sum += dot(weights_[k], doubles_of(values[k]));
    return sum;
  }

  void record(double analytic, double numeric, double largest, const std::string& where) {
    const double scale = std::max({std::abs(analytic), std::abs(numeric), 1e-3 * largest, 1e-4});
    const double error = std::abs(analytic - numeric) / scale;
    ++report_.checks;
    if (error <= report_.worst_error) return;
    report_.worst_error = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
    report_.worst = concat(where, ": analytic ", analytic, ", numeric ", numeric);
  }

  std::vector<Value> outputs_, cotangents_;
  std::vector<Vector> weights_;
  Bindings bindings_;
  GradcheckOptions options_;
  std::mt19937_64 generator_;
  ReferenceBackend backend_;
  GradcheckReport report_;
};

}  // namespace

GradcheckReport gradcheck(std::span<const Value> outputs, const Bindings& bindings, std::span<const std::string> wrt,
                          const GradcheckOptions& options) {
  check(!outputs.empty(), "gradcheck", "needs at least one output");
  Check run(outputs, bindings, options);
  run.differentiate(wrt);
  return run.report();
}

}  // namespace deq
