#pragma once

#include <functional>
#include <random>
#include <vector>

#include "core/cpu/host_state_ops.h"
#include "core/fixed_point.h"
#include "core/tensor.h"
#include "solvers/adjoint.h"
#include "solvers/loop.h"

namespace deq::test {

using Vector = std::vector<double>;

/// Dense row-major matrix of doubles.
struct Matrix {
  int rows = 0;
  int cols = 0;
  Vector data;
  Matrix(int row_count, int col_count) : rows(row_count), cols(col_count), data(row_count * col_count, 0.0) {}
  double& at(int i, int j) { return data[i * cols + j]; }
  [[nodiscard]] double at(int i, int j) const { return data[i * cols + j]; }
  [[nodiscard]] Vector times(const Vector& x) const;
  [[nodiscard]] Vector transposed_times(const Vector& x) const;
};
/// Entries N(0, scale^2 / n).
Matrix random_matrix(int n, double scale, std::mt19937_64& rng);
Vector random_vector(int n, std::mt19937_64& rng);
/// Gaussian elimination with pivoting.
Vector solve_dense(Matrix a, Vector b);
double dot(const Vector& x, const Vector& y);
double norm(const Vector& x);
double distance(const Vector& x, const Vector& y);

/// Owned host state.
struct State {
  explicit State(const StateSpec& layout) : spec(layout), memory(allocate_aligned(layout.bytes())) {}
  [[nodiscard]] StateView view() const { return {memory.get()}; }
  [[nodiscard]] Vector sample(int b) const;
  void set(int b, const Vector& values);
  StateSpec spec;
  AlignedBytes memory;
};
State random_state(const StateSpec& spec, unsigned seed);

/// f given sample by sample in double; remembers where it was evaluated.
class SampleMap final : public FixedPointMap {
 public:
  using Function = std::function<Vector(int sample, const Vector& z)>;
  SampleMap(const StateSpec& layout, Function function, bool records = true)
      : in(layout), out(layout), function_(std::move(function)), records_(records) {}
  [[nodiscard]] const StateSpec& spec() const override { return in.spec; }
  StateView input() override { return in.view(); }
  StateView output() override { return out.view(); }
  void replay() override;

  State in;
  State out;
  std::vector<std::vector<Vector>> queries;  ///< [calls][batch]

 private:
  Function function_;
  bool records_;
};

/// f with products of its Jacobian and the gradient of a loss, all functions of one sample's z.
class ModelMap final : public FixedPointMap {
 public:
  using Function = std::function<Vector(int sample, const Vector& z)>;
  using Product = std::function<Vector(int sample, const Vector& z, const Vector& v)>;
  struct Functions {
    Function f;
    Product vjp = {};
    Product jvp = {};
    Function outer_gradient = {};
  };
  ModelMap(const StateSpec& layout, Functions functions);
  [[nodiscard]] const StateSpec& spec() const override { return f_.spec(); }
  StateView input() override { return f_.input(); }
  StateView output() override { return f_.output(); }
  void replay() override { f_.replay(); }
  FixedPointMap* pullback() override { return functions_.vjp ? &pullback_ : nullptr; }
  FixedPointMap* pushforward() override { return functions_.jvp ? &pushforward_ : nullptr; }
  FixedPointMap* outer_gradient() override { return functions_.outer_gradient ? &outer_gradient_ : nullptr; }
  [[nodiscard]] const std::vector<std::vector<Vector>>& queries() const { return f_.queries; }

 private:
  Functions functions_;
  SampleMap f_, pullback_, pushforward_, outer_gradient_;
};

/// A loop with its memory.
struct BoundLoop {
  BoundLoop(const StateSpec& spec, const SolverOptions& options, EstimateUse use = EstimateUse::kept);
  HostStateOps ops;
  Loop loop;
  AlignedBytes workspace;
  AlignedBytes estimate;
  SolveReport report;
};

/// f(z) = tanh(W z + b), the toy equilibrium model.
struct TanhModel {
  Matrix w;
  Vector b;
  TanhModel(int n, double scale, unsigned seed);
  [[nodiscard]] Vector f(const Vector& z) const;
  /// J v at z.
  [[nodiscard]] Vector jvp(const Vector& z, const Vector& v) const;
  /// J^T v at z.
  [[nodiscard]] Vector vjp(const Vector& z, const Vector& v) const;
  /// (I - J^T)^-1 w at z.
  [[nodiscard]] Vector exact_adjoint(const Vector& z, const Vector& cotangent) const;
};

}  // namespace deq::test
