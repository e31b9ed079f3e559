#include "train/stability_monitor.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/cpu/backend.h"
#include "core/reference/backend.h"
#include "solvers/loop.h"
#include "tests/train/small_model.h"
#include "tests/train/threads.h"
#include "train/step.h"

namespace deq {

using test::make_contractive;
using test::random_batch;
using test::Threads;
using test::tiny_config;

namespace {

// The promise of the monitor.
constexpr double kPromised = 0.02;

using Matrix = std::vector<double>;

/// Writes down J^T column by column in place of an adjoint solve. One sample.
class DenseAdjoint final : public AdjointSolver {
 public:
  explicit DenseAdjoint(std::shared_ptr<Matrix> out) : out_(std::move(out)) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return 0; }
  void bind(void*) override {}
  void solve(FixedPointMap& vjp, const InverseEstimate&, const SolveReport&, StateView, StateView,
             SolveReport&) override {
    const auto n = static_cast<std::size_t>(vjp.spec().elements());
    out_->assign(n * n, 0.0);
    for (std::size_t j = 0; j < n; ++j) {
      auto* v = static_cast<double*>(vjp.input().data);
      std::fill(v, v + n, 0.0);
      v[j] = 1.0;
      vjp.replay();
      const auto* product = static_cast<const double*>(vjp.output().data);
      for (std::size_t i = 0; i < n; ++i) (*out_)[i * n + j] = product[i];
    }
  }

 private:
  std::shared_ptr<Matrix> out_;
};

class DensePolicy final : public EquilibriumPolicy {
 public:
  explicit DensePolicy(SolverOptions solver) : solver_(solver) {}
  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_solver(const StateSpec& spec, StateOps& ops) const override {
    return std::make_unique<Loop>(spec, ops, solver_, EstimateUse::dropped);
  }
  [[nodiscard]] std::unique_ptr<AdjointSolver> make_adjoint(const StateSpec&, StateOps&) const override {
    return std::make_unique<DenseAdjoint>(matrix);
  }
  [[nodiscard]] bool needs_vjp() const override { return true; }
  [[nodiscard]] std::string describe() const override { return "dense"; }

  std::shared_ptr<Matrix> matrix = std::make_shared<Matrix>();

 private:
  SolverOptions solver_;
};

/// J^T of image `row` at its z*, on the reference backend.
Matrix dense_jacobian(const Model& model, const Batch& batch, std::int64_t row) {
  ReferenceBackend backend;
  Graph graph(Mode::inference);
  Tensor one(DType::f32, model.image_shape(1));
  const auto elements = one.shape().elements();
  const auto all = batch.images.data<float>().subspan(static_cast<std::size_t>(row * elements));
  std::copy_n(all.begin(), elements, one.data<float>().begin());
  const Value image = graph.input("image", one.type(), Rate::batch);
  const auto policy = std::make_shared<DensePolicy>(solver_options(model.config.solver));
  const std::vector<Value> u = trace_random_adjoint(model, image, policy);
  Program program = Program::compile(graph, u, backend);
  program.bind(image, one);
  program.bind("rng_seed", Tensor(DType::i64, {2}));
  program.run();
  return *policy->matrix;
}

double length(const Matrix& a) {
  double sum = 0;
  for (const double value : a) sum += value * value;
  return std::sqrt(sum);
}

/// |A^p|^(1/p), p = 2^10 by repeated squaring: within (log condition) / p of the largest modulus of an eigenvalue.
double dense_radius(Matrix a) {
  const auto n = static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(a.size()))));
  double log_radius = 0, power = 1;
  for (int squaring = 0; squaring < 10; ++squaring, power *= 2) {
    const double scale = length(a);
    log_radius += std::log(scale) / power;
    for (double& value : a) value /= scale;
    Matrix square(a.size(), 0.0);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = 0; k < n; ++k)
        for (std::size_t j = 0; j < n; ++j) square[i * n + j] += a[i * n + k] * a[k * n + j];
    a = square;
  }
  return std::exp(log_radius + std::log(length(a)) / power);
}

}  // namespace

TEST_CASE("the monitor finds the largest eigenvalue of the dense Jacobian of an MDEQ, image by image") {
  const Threads one(1);  // images this small gain nothing from more
  Config config = tiny_config();
  config.model.post_gn_affine = true;
  config.data.image = {4, 4};  // 160 elements of state: small enough to write the Jacobian down
  for (const bool is_contractive : {true, false}) {
    CAPTURE(is_contractive);
    // Without contraction a solve does not converge and its steps amplify rounding: a few leave both backends at one z.
    config.solver.max_steps = is_contractive ? 40 : 4;
    Model model(config);
    if (is_contractive) make_contractive(model);
    const Batch batch = random_batch(config, 2, 3);
    CpuBackend backend;
    StabilityMonitor monitor(model, backend, model.image_shape(2), 40);
    const SpectralMetrics found = monitor.measure(batch.images, 2, 0);
    REQUIRE(found.samples == 2);
    for (std::int64_t row = 0; row < 2; ++row) {
      const double expected = dense_radius(dense_jacobian(model, batch, row));
      CHECK(expected > 0.01);
      CHECK(monitor.report().radius[static_cast<std::size_t>(row)] == doctest::Approx(expected).epsilon(kPromised));
    }
    CHECK(found.mean == doctest::Approx((monitor.report().radius[0] + monitor.report().radius[1]) / 2));
    CHECK(found.max == std::max(monitor.report().radius[0], monitor.report().radius[1]));
    // Rows that pad do not count.
    CHECK(monitor.measure(batch.images, 1, 0).mean == monitor.report().radius[0]);
  }
}

TEST_CASE("inference hands the iterate or one more application of f to the head, as configured") {
  const Threads one(1);  // images this small gain nothing from more
  Config config = tiny_config();
  config.model.post_gn_affine = true;
  config.solver.name = "picard";
  config.solver.tolerance = 0;  // z* is z_n after n plain steps
  Model model(config);
  make_contractive(model);
  CpuBackend backend;
  const Batch batch = random_batch(config, 2, 3);
  const auto logits = [&](const std::string& output, int steps) {
    model.config.model.inference_output = output;
    model.config.solver.max_steps = steps;
    InferenceStep step(model, backend, model.image_shape(2), model.config.solver);
    const auto values = step.run(batch.images).data<float>();
    return std::vector<float>(values.begin(), values.end());
  };
  const std::vector<float> applied = logits("applied", 3), next = logits("iterate", 4), same = logits("iterate", 3);
  double from_next = 0, from_same = 0;
  for (std::size_t i = 0; i < applied.size(); ++i) {
    from_next = std::max(from_next, static_cast<double>(std::abs(applied[i] - next[i])));
    from_same = std::max(from_same, static_cast<double>(std::abs(applied[i] - same[i])));
  }
  CHECK(from_next < 1e-6);  // the same arithmetic in another place of the program
  CHECK(from_same > 10 * from_next);
}

}  // namespace deq
