#include "train/audit.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "data/npy.h"
#include "layers/audit_vector.h"
#include "tests/train/golden_mdeq.h"
#include "tests/train/program.h"
#include "tests/train/small_model.h"
#include "tests/train/temporary_folder.h"
#include "train/make_backend.h"
#include "train/model.h"

namespace deq {

using test::contains;
using test::is_one_line;
using test::message_of;
using test::Outcome;
using test::run_program;
using test::TemporaryFolder;

namespace {

constexpr const char* kTinyConfig = R"([model]
channels = [8, 8]
head_channels = [2, 2]
final_channels = 4
expansion = 1
dropout = 0.5
classes = 3
[data]
name = "folder"
image = [8, 8]
)";

/// Images that differ from each other, f32 [count,3,8,8].
Tensor images(int count) {
  Tensor out(DType::f32, {count, 3, 8, 8});
  float angle = 0.3F;
  for (float& x : out.data<float>()) x = std::sin(angle), angle += 1.7F;
  return out;
}

Tensor labels(std::vector<std::int64_t> values) {
  return Tensor::of<std::int64_t>(Shape{static_cast<std::int64_t>(values.size())}, values);
}

void save_tiny(const std::filesystem::path& folder) {
  const Model model(parse_config(kTinyConfig, "tiny"));
  save_checkpoint(folder, {.config = model.config,
                           .class_names = {},
                           .training = {.phase = "equilibrium"},
                           .model = model.tensors(),
                           .state = {},
                           .counters = {}});
}

}  // namespace

TEST_CASE("vectors compare by error, angle and length") {
  const std::vector<Tensor> a{Tensor::of<float>(Shape{2}, {3, 0}), Tensor::of<float>(Shape{1}, {4})};
  const std::vector<Tensor> b{Tensor::of<float>(Shape{2}, {6, 0}), Tensor::of<float>(Shape{1}, {8})};
  const VectorComparison result = compare(a, b);
  CHECK(result.relative_error == doctest::Approx(0.5));
  CHECK(result.cosine == doctest::Approx(1.0));
  CHECK(result.norm_ratio == doctest::Approx(0.5));
}

TEST_CASE("an audit leaves the model as it was, dropout included") {
  const Model model(parse_config(kTinyConfig, "tiny"));
  NamedTensors before;
  for (const auto& [name, tensor] : model.tensors()) before.emplace(name, tensor.clone());
  const auto backend = make_backend({});
  const auto batches = audit_batches(model, images(5), labels({0, 1, 2, 0, 1}), 2);
  REQUIRE(batches.size() == 2);
  const ModelAuditOptions options{.estimators = {"exact", "jfb", "limited-3"}, .solver = model.config.solver};
  const AuditResult first = audit_gradients(model, *backend, batches, options);
  const AuditResult second = audit_gradients(model, *backend, batches, options);
  for (const auto& [name, tensor] : model.tensors()) {
    CAPTURE(name);
    CHECK(test::max_difference(tensor, before.at(name)) == 0);
  }
  REQUIRE(first.estimators.size() == 3);
  CHECK(first.estimators[0].relative_error == 0);
  CHECK(first.estimators[0].cosine == doctest::Approx(1.0));
  CHECK(first.estimators[1].vjp_calls == 0);
  CHECK(first.estimators[2].vjp_calls > 0);
  CHECK(first.estimators[1].extra_bytes == 0);
  // Without dropout nothing is random.
  for (std::size_t i = 0; i < 3; ++i) CHECK(first.estimators[i].relative_error == second.estimators[i].relative_error);
}

TEST_CASE("the default table has a finite row for every estimator, a check by differences and a chart") {
  const TemporaryFolder folder;
  const std::string checkpoint = (folder.path() / "tiny").string();
  Config config = test::tiny_config();
  config.model.post_gn_affine = true;
  config.data.name = "folder";
  Model model(config);
  test::make_contractive(model);
  save_checkpoint(checkpoint, {.config = model.config,
                               .class_names = {},
                               .training = {.phase = "equilibrium"},
                               .model = model.tensors(),
                               .state = {},
                               .counters = {}});
  const std::string x = (folder.path() / "x.npy").string(), y = (folder.path() / "y.npy").string();
  write_npy(x, images(3));
  write_npy(y, labels({0, 1, 2}));
  const std::string plot = (folder.path() / "error.svg").string();
  const Outcome outcome =
      run_program("audit " + checkpoint + " --tensor " + x + " --labels " + y + " --json --quiet --plot " + plot);
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  const auto json = nlohmann::json::parse(outcome.out);
  std::set<std::string> names;
  for (const auto& row : json.at("estimators")) {
    CAPTURE(row.dump());
    names.insert(row.at("name").get<std::string>());
    for (const auto& [key, value] : row.items()) CHECK((key == "name" || value.is_number()));
  }
  for (const char* name : {"exact", "shine", "shine-fallback", "shine-refine-5", "jfb", "jfb-refine-5", "limited-5",
                           "neumann-5", "phantom-5", "unrolled-5", "nystrom-5"})
    CHECK(names.contains(name));
  CHECK(json.at("finite_difference").at("directions") == 2);
  // Curvature and kinks of a random network within the step; it shrinks with the step.
  CHECK(json.at("finite_difference").at("relative_difference").get<double>() < 1e-2);
  CHECK(json.at("finite_difference").at("uncertainty").get<double>() < 0.1);
  CHECK_FALSE(contains(outcome.err, "prove nothing"));
  CHECK(std::filesystem::file_size(plot) > 1000);
}

TEST_CASE("differences that prove nothing are warned of") {
  const TemporaryFolder folder;
  const std::string checkpoint = (folder.path() / "tiny").string();
  const std::string x = (folder.path() / "x.npy").string(), y = (folder.path() / "y.npy").string();
  save_tiny(checkpoint);
  write_npy(x, images(2));
  write_npy(y, labels({0, 1}));
  bool is_ever_warned = false;
  for (const char* limits : {" --max-steps 1 --tol 0", " --max-steps 3 --tol 0", " --max-steps 80 --tol 1e-6"}) {
    const Outcome outcome = run_program("audit " + checkpoint + " --tensor " + x + " --labels " + y +
                                        " --estimators jfb --json --quiet" + limits);
    INFO(outcome.err);
    REQUIRE(outcome.status == 0);
    const double uncertainty = nlohmann::json::parse(outcome.out).at("finite_difference").at("uncertainty");
    CAPTURE(uncertainty);
    CHECK(contains(outcome.err, "prove nothing") == (uncertainty >= 0.1));
    is_ever_warned = is_ever_warned || uncertainty >= 0.1;
  }
  CHECK(is_ever_warned);
}

TEST_CASE("images and labels that do not fit the model are refused") {
  const Model model(parse_config(kTinyConfig, "tiny"));
  const auto refused = [&](const Tensor& x, const Tensor& y, int batch) {
    return message_of<RequestError>([&] { (void)audit_batches(model, x, y, batch); });
  };
  CHECK(contains(refused(images(2), labels({0, 3}), 2), "classes 0 to 2"));
  CHECK(contains(refused(images(2), labels({0, -1}), 2), "classes 0 to 2"));
  CHECK(contains(refused(images(2), labels({0}), 2), "1 label for 2 images"));
  CHECK(contains(refused(Tensor(DType::f32, {2, 3, 8, 4}), labels({0, 1}), 2), "3x8x8"));
  CHECK(contains(refused(images(2), Tensor(DType::f32, {2}), 2), "i64[N]"));
  CHECK(contains(refused(images(2), labels({0, 1}), 3), "a batch of 3"));
}

TEST_CASE("audit ends with status 2 and one line on a wrong request") {
  const TemporaryFolder folder;
  const std::string checkpoint = (folder.path() / "tiny").string();
  const std::string x = (folder.path() / "x.npy").string();
  const std::string y = (folder.path() / "y.npy").string();
  save_tiny(checkpoint);
  write_npy(x, images(2));
  write_npy(y, labels({0, 7}));
  const std::string tensors = " --tensor " + x + " --labels " + y;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"audit", "checkpoint is required"},
      {"audit /nowhere" + tensors, "/nowhere"},
      {"audit " + checkpoint + " --tensor " + x, "--labels"},
      {"audit " + checkpoint + tensors + " --data " + checkpoint, "not both"},
      {"audit " + checkpoint + tensors, "label 1 is 7"},
      {"audit " + checkpoint + tensors + " --estimators neumann-0", "neumann-5"},
      {"audit " + checkpoint + tensors + " --plot error.pdf", ".svg or .png"},
      {"audit " + checkpoint + tensors + " --estimators magic", "magic"},
  };
  for (const auto& [arguments, part] : cases) {
    const Outcome outcome = run_program(arguments);
    INFO("deq " << arguments << ": " << outcome.err);
    CHECK(outcome.status == 2);
    CHECK(outcome.out.empty());
    CHECK(is_one_line(outcome.err));
    CHECK(contains(outcome.err, part));
  }
}

}  // namespace deq
