#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/npy.h"
#include "data/safetensors.h"
#include "tests/train/golden_mdeq.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "train/make_backend.h"

// The program with --device cuda, against the program on the CPU and against reference numbers.

namespace deq::test {
namespace {

const std::string kExact = " --set compute.precision=f32 --set compute.deterministic=true";

bool is_skipped() {
  const std::string reason = no_gpu_reason();
  if (!reason.empty()) std::cout << "SKIPPED: no CUDA device: " << reason << '\n';
  return !reason.empty();
}

/// Losses of the steps in RUN/metrics.jsonl.
std::vector<double> losses(const std::filesystem::path& run) {
  std::vector<double> out;
  std::ifstream file(run / "metrics.jsonl");
  for (std::string line; std::getline(file, line);) {
    const auto record = nlohmann::json::parse(line);
    if (!record.contains("split")) out.push_back(record.at("loss").get<double>());
  }
  return out;
}

/// A short run of shapes-mdeq, half of it in pre-training, with dropout and augmentation.
std::filesystem::path trained(const TemporaryFolder& folder, const std::string& name, const std::string& flags) {
  const std::filesystem::path out = folder.path() / name;
  const Outcome run = run_program("train " + config_file("shapes-mdeq") + " --out " + out.string() +
                                  " --quiet --set train.batch_size=16 --set train.total_steps=50 --set "
                                  "train.pretrain_steps=25 --set train.log_every=1 --set train.eval_every=50 --set "
                                  "train.eval_limit=32 --set data.train_size=800 --set data.test_size=32 " +
                                  flags + kExact);
  REQUIRE_MESSAGE(run.status == 0, run.err);
  return out;
}

}  // namespace

TEST_CASE("training curves on CPU and GPU agree to 1e-3 over 50 steps in f32") {
  if (is_skipped()) return;
  const TemporaryFolder folder;
  const std::vector<double> cpu = losses(trained(folder, "cpu", "--device cpu"));
  const std::vector<double> gpu = losses(trained(folder, "gpu", "--device cuda"));
  REQUIRE(cpu.size() == 50);
  REQUIRE(gpu.size() == 50);
  for (std::size_t step = 0; step < cpu.size(); ++step) {
    CAPTURE(step);
    CHECK(std::abs(gpu[step] - cpu[step]) <= 1e-3 * std::abs(cpu[step]));
  }
}

TEST_CASE("two deterministic runs on one GPU end on the same bits, and the CPU reads their checkpoint") {
  if (is_skipped()) return;
  const TemporaryFolder folder;
  const auto first = trained(folder, "first", "--device cuda");
  const auto second = trained(folder, "second", "--device cuda");
  const auto model = [](const std::filesystem::path& run) {
    return read_text(run / "checkpoints" / "last" / "model.safetensors");
  };
  CHECK(losses(first) == losses(second));
  CHECK(model(first) == model(second));
  const std::string checkpoint = (first / "checkpoints" / "last").string();
  const auto evaluated = [&](const std::string& device) {
    const Outcome run = run_program("eval " + checkpoint + " --limit 32 --json --quiet --device " + device);
    REQUIRE_MESSAGE(run.status == 0, run.err);
    return nlohmann::json::parse(run.out);
  };
  const auto cpu = evaluated("cpu"), gpu = evaluated("cuda");
  CHECK(gpu["images"] == 32);
  CHECK(std::abs(gpu["loss"].get<double>() - cpu["loss"].get<double>()) <= 1e-3 * cpu["loss"].get<double>());
}

TEST_CASE("a run that began on the CPU goes on on the GPU") {
  if (is_skipped()) return;
  const TemporaryFolder folder;
  const auto whole = losses(trained(folder, "whole", "--device cpu"));
  (void)trained(folder, "parts", "--device cpu --max-steps 20");
  const auto parts = losses(trained(folder, "parts", "--device cuda --resume"));
  REQUIRE(parts.size() == whole.size());
  CHECK(std::abs(parts.back() - whole.back()) <= 1e-3 * std::abs(whole.back()));
}

TEST_CASE("imported reference weights predict the reference's logits on the GPU") {
  if (is_skipped()) return;
  const auto golden = golden_mdeq_folder();
  if (!golden) return;
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return (folder.path() / name).string(); };
  const Tensors cases = read_safetensors(*golden / "case.safetensors").tensors;
  write_text(path("mini.toml"), golden_mdeq_config() + "\n[compute]\nprecision = \"f32\"\ndeterministic = true\n");
  write_npy(path("x.npy"), cases.at("x"));
  write_npy(path("labels.npy"), cases.at("labels"));
  REQUIRE(run_program("import mdeq --config " + path("mini.toml") + " --weights " +
                      (*golden / "weights.safetensors").string() + " --out " + path("mini"))
              .status == 0);
  const Outcome answered = run_program("predict " + path("mini") + " --tensor " + path("x.npy") + " --save-logits " +
                                       path("y.npy") + " --tol 1e-6 --max-steps 120 --quiet --device cuda");
  REQUIRE_MESSAGE(answered.status == 0, answered.err);
  CHECK(max_difference(read_npy(path("y.npy")), cases.at("eval_tight_logits")) < 1e-4);  // as on the CPU
  const Outcome audited =
      run_program("audit " + path("mini") + " --tensor " + path("x.npy") + " --labels " + path("labels.npy") +
                  " --estimators exact,shine,jfb --tol 1e-6 --max-steps 120 --save-gradients " + path("gradients") +
                  " --json --quiet --device cuda");
  REQUIRE_MESSAGE(audited.status == 0, audited.err);
  const auto saved = read_safetensors(folder.path() / "gradients" / "exact.safetensors").tensors;
  (void)check_gradients(saved, read_safetensors(*golden / "implicit_gradients.safetensors").tensors);
}

TEST_CASE("a benchmarked step on the GPU waits for it at most once an evaluation of f and once a solve") {
  if (is_skipped()) return;
  const Outcome run = run_program("bench " + config_file("shapes-mdeq") +
                                  " --batch 8 --repeats 2 --estimators shine,jfb --set solver.max_steps=6 --json "
                                  "--device cuda");
  REQUIRE_MESSAGE(run.status == 0, run.err);
  const auto json = nlohmann::json::parse(run.out);
  CHECK(json.at("device") == "cuda:0");
  CHECK(json.at("host_waits_per_solve") <= 8);  // 7 evaluations
  CHECK(json.at("f_ms").get<double>() > 0);
}

}  // namespace deq::test
