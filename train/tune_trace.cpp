#include "train/tune_trace.h"

#include <algorithm>
#include <array>
#include <fstream>

#include "core/error.h"
#include "train/durable_file.h"

namespace deq {
namespace {

using Json = nlohmann::ordered_json;

std::vector<double> lambda_from(const Json& json) {
  if (json.is_number()) return {json.get<double>()};
  if (json.is_array()) return json.get<std::vector<double>>();
  return {json.at("min").get<double>(), json.at("median").get<double>(), json.at("max").get<double>()};
}

/// JSON has no word for values that are not finite: they are null.
double number_from(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

template <class Status>
Status status_from(const Json& json, std::span<const Status> all) {
  const auto name = json.get<std::string>();
  const auto found = std::find_if(all.begin(), all.end(), [&](Status status) { return name_of(status) == name; });
  check(found != all.end(), "trace", "unknown status '", name, "'");
  return *found;
}

constexpr std::array kSolveStatuses = {SolveStatus::converged, SolveStatus::max_steps, SolveStatus::stalled,
                                       SolveStatus::diverged, SolveStatus::nonfinite};
constexpr std::array kAdjointStatuses = {AdjointStatus::converged, AdjointStatus::max_steps,
                                         AdjointStatus::negative_curvature, AdjointStatus::nonfinite,
                                         AdjointStatus::direct};

OuterPoint point_from(const Json& json) {
  OuterPoint out;
  out.outer = json.at("outer").get<int>();
  out.seconds = number_from(json.at("seconds"));
  out.lambda = lambda_from(json.at("lambda"));
  out.validation_loss = number_from(json.at("validation_loss"));
  out.test_loss = number_from(json.at("test_loss"));
  out.count.inner_gradients = json.at("inner_gradients").get<std::int64_t>();
  out.count.hessian_products = json.at("hessian_products").get<std::int64_t>();
  out.count.outer_gradients = json.at("outer_gradients").get<std::int64_t>();
  out.count.cross_products = json.at("cross_products").get<std::int64_t>();
  out.inner_residual = number_from(json.at("inner_residual"));
  out.inner_tolerance = number_from(json.at("inner_tolerance"));
  out.inner_status = status_from<SolveStatus>(json.at("inner_status"), kSolveStatuses);
  out.inner_iterations = json.at("inner_iterations").get<int>();
  out.adjoint_status = status_from<AdjointStatus>(json.at("adjoint_status"), kAdjointStatuses);
  out.adjoint_steps = json.at("adjoint_steps").get<int>();
  out.gradient_norm = number_from(json.at("gradient_norm"));
  return out;
}

}  // namespace

int TuneTrace::unconverged() const {
  return static_cast<int>(std::count_if(points.begin(), points.end(), [](const OuterPoint& point) {
    return point.inner_status != SolveStatus::converged;
  }));
}

const OuterPoint& TuneTrace::best() const {
  return *std::ranges::min_element(points, is_lower, &OuterPoint::validation_loss);
}

Json lambda_json(const std::vector<double>& lambda, std::int64_t size) {
  if (size > kLargestLambdaList) return {{"min", lambda.at(0)}, {"median", lambda.at(1)}, {"max", lambda.at(2)}};
  return size == 1 ? Json(lambda.front()) : Json(lambda);
}

std::vector<double> lambda_summary(std::vector<double> lambda) {
  std::sort(lambda.begin(), lambda.end());
  return {lambda.front(), lambda[lambda.size() / 2], lambda.back()};
}

Json points_json(const TuneTrace& trace) {
  Json out = Json::array();
  for (const OuterPoint& point : trace.points)
    out.push_back({{"outer", point.outer},
                   {"seconds", point.seconds},
                   {"lambda", lambda_json(point.lambda, trace.lambda_size)},
                   {"validation_loss", point.validation_loss},
                   {"test_loss", point.test_loss},
                   {"inner_gradients", point.count.inner_gradients},
                   {"hessian_products", point.count.hessian_products},
                   {"outer_gradients", point.count.outer_gradients},
                   {"cross_products", point.count.cross_products},
                   {"inner_residual", point.inner_residual},
                   {"inner_tolerance", point.inner_tolerance},
                   {"inner_status", name_of(point.inner_status)},
                   {"inner_iterations", point.inner_iterations},
                   {"adjoint_status", name_of(point.adjoint_status)},
                   {"adjoint_steps", point.adjoint_steps},
                   {"gradient_norm", point.gradient_norm}});
  return out;
}

std::filesystem::path trace_file(const std::filesystem::path& out, const std::string& method, std::int64_t seed) {
  return out / "traces" / concat(method, "-seed", seed, ".json");
}

void write_trace(const std::filesystem::path& file, const TuneTrace& trace) {
  Json json = {
      {"method", trace.method}, {"seed", trace.seed}, {"status", trace.status}, {"lambda_size", trace.lambda_size}};
  if (trace.cleaning_precision) json["cleaning_precision"] = *trace.cleaning_precision;
  json["points"] = points_json(trace);
  write_durably(file, json.dump(1) + "\n");
}

TuneTrace read_trace(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  require(in.good(), file.string(), "cannot be opened");
  TuneTrace out;
  try {
    const Json json = Json::parse(in);
    out.method = json.at("method").get<std::string>();
    out.seed = json.at("seed").get<std::int64_t>();
    out.status = json.at("status").get<std::string>();
    out.lambda_size = json.at("lambda_size").get<std::int64_t>();
    if (json.contains("cleaning_precision")) out.cleaning_precision = json["cleaning_precision"].get<double>();
    const std::int64_t listed = out.lambda_size > kLargestLambdaList ? 3 : out.lambda_size;
    for (const Json& point : json.at("points")) {
      out.points.push_back(point_from(point));
      check(std::ssize(out.points.back().lambda) == listed, "lambda", out.points.back().lambda.size(),
            " values in a point, expected ", listed);
    }
  } catch (const std::exception& failure) {
    throw RequestError(
        concat(file.string(), ": is not a trace of deq tune (", failure.what(), "); delete it to have it made again"));
  }
  require(!out.points.empty(), file.string(), "holds no point; delete it to have it made again");
  return out;
}

}  // namespace deq
