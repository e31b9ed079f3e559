#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "data/legacy_permutation.h"
#include "solvers/bilevel/inverse_quality.h"
#include "tests/solvers/dense_problem.h"

namespace deq::test {
namespace {

constexpr int kFeatures = 30;
constexpr int kKept = 113;  // 20 % of 569 rows, rounded down
constexpr int kLeftOut = 456;
constexpr int kRuns = 100;  // of the published protocol

/// wdbc.data: "id,M|B,30 features" a line. Features over their population standard deviation on all rows, not centred.
Rows read_wdbc(const std::string& path) {
  Rows rows{.x = {}, .y = {}, .columns = kFeatures};
  std::ifstream file(path);
  for (std::string line; std::getline(file, line) && !line.empty();) {
    std::istringstream fields(line);
    std::string field;
    std::getline(fields, field, ',');
    std::getline(fields, field, ',');
    rows.y.push_back(field == "B" ? 1.0 : -1.0);
    while (std::getline(fields, field, ',')) rows.x.push_back(std::stod(field));
  }
  for (int j = 0; j < kFeatures; ++j) {
    double mean = 0.0, square = 0.0;
    for (int i = 0; i < rows.count(); ++i) mean += rows.row(i)[j] / rows.count();
    for (int i = 0; i < rows.count(); ++i) square += std::pow(rows.row(i)[j] - mean, 2) / rows.count();
    for (int i = 0; i < rows.count(); ++i) rows.x[i * kFeatures + j] /= std::sqrt(square);
  }
  return rows;
}

Rows published_split(const Rows& all) {
  const auto order = legacy_permutation(3, all.count());
  Rows kept{.x = {}, .y = {}, .columns = kFeatures};
  for (int i = kLeftOut; i < kLeftOut + kKept; ++i) {
    const ConstVector row = all.row(static_cast<int>(order[i]));
    kept.x.insert(kept.x.end(), row.begin(), row.end());
    kept.y.push_back(all.y[order[i]]);
  }
  return kept;
}

struct Summary {
  double error = 0, cosine = 0, worst_cosine = 1, inside = 0;
};

/// Of one direction; `inside`: the share of points in the published window, ratio 0.985-1.10 and cosine 0.994-1.0005.
Summary summarise(const InverseQualityResult& result, ProbedDirection direction) {
  Numbers errors, cosines;
  Summary summary;
  for (const InverseQuality& point : result.points) {
    if (point.direction != direction) continue;
    errors.push_back(point.error);
    cosines.push_back(point.cosine);
    summary.worst_cosine = std::min(summary.worst_cosine, point.cosine);
    summary.inside +=
        0.985 <= point.ratio && point.ratio <= 1.10 && 0.994 <= point.cosine && point.cosine <= 1.0005 ? 1 : 0;
  }
  summary.inside /= static_cast<double>(errors.size());
  summary.error = median(errors);
  summary.cosine = median(cosines);
  return summary;
}

Summary report(const InverseQualityResult& result, ProbedDirection direction) {
  const Summary summary = summarise(result, direction);
  MESSAGE(name_of(direction) << ": median error " << summary.error << ", median cosine " << summary.cosine << ", least "
                             << summary.worst_cosine << ", inside the window " << summary.inside);
  return summary;
}

TEST_CASE("On breast cancer the shared inverse has the published quality, and outer awareness sharpens it") {
  const char* folder = std::getenv("DEQ_DATA_DIR");
  if (folder == nullptr) {
    MESSAGE("SKIPPED: DEQ_DATA_DIR is not set");
    return;
  }
  const Rows all = read_wdbc(std::string(folder) + "/wdbc/wdbc.data");
  REQUIRE(all.count() == 569);
  const auto order = legacy_permutation(3, 569);
  const std::vector<std::int64_t> first(order.begin() + kLeftOut, order.begin() + kLeftOut + 10);
  CHECK(first == std::vector<std::int64_t>{100, 19, 515, 554, 264, 276, 8, 363, 309, 283});
  const Rows kept = published_split(all);
  CHECK(std::count(kept.y.begin(), kept.y.end(), 1.0) == 67);
  DenseProblem problem(kept, kept, Loss::logistic, false);

  const InverseQualityResult aware = measure_inverse_quality(problem, Numbers{0.0}, {.runs = kRuns});
  CHECK(aware.unconverged == 0);
  CHECK(aware.points.size() == 3 * kRuns);
  const Summary prescribed = report(aware, ProbedDirection::prescribed),
                krylov = report(aware, ProbedDirection::krylov), random = report(aware, ProbedDirection::random);
  CHECK(prescribed.error <= 0.02);
  CHECK(krylov.error <= 1e-5);
  CHECK(random.worst_cosine >= 0.98);
  CHECK(prescribed.inside + krylov.inside + random.inside >= 3 * 0.95);

  const InverseQualityResult unaware = measure_inverse_quality(problem, Numbers{0.0}, {.runs = kRuns, .period = 0});
  CHECK(unaware.unconverged == 0);
  const Summary plain = report(unaware, ProbedDirection::prescribed);
  CHECK(plain.error >= 0.03);
  CHECK(plain.error <= 0.12);
  CHECK(report(unaware, ProbedDirection::krylov).error <= 1e-5);

  // The more often the inverse learns along the direction, the better it knows it: medians within a factor of three of
  // 0.060 (never), 0.0085 (every fifth step) and 5.8e-5 (every step).
  const InverseQualityResult each =
      measure_inverse_quality(problem, Numbers{0.0}, {.runs = kRuns, .memory = 500, .period = 1});
  const double every_step = report(each, ProbedDirection::prescribed).error;
  CHECK(every_step < 3 * 5.8e-5);
  CHECK(every_step > 5.8e-5 / 3);
  CHECK(prescribed.error > 0.0085 / 3);
  CHECK(plain.error > prescribed.error);
  CHECK(prescribed.error > every_step);
}

TEST_CASE("The inverse of a quadratic is exact along what the solver has seen") {
  const Numbers a = symmetric_matrix({0.5, 1.0, 2.0, 4.0, 8.0, 16.0}, 2);
  QuadraticProblem problem(a, normals(6, 3), normals(6, 4), normals(6, 5));
  const InverseQualityResult result = measure_inverse_quality(problem, Numbers{0.0}, {.runs = 5, .period = 1});
  CHECK(result.unconverged == 0);
  CHECK(summarise(result, ProbedDirection::krylov).error < 1e-9);
  CHECK(summarise(result, ProbedDirection::prescribed).error < 1e-3);
}

}  // namespace
}  // namespace deq::test
