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

/// A run of shapes-mdeq with these flags in `out`, in f32 and deterministic.
void train(const std::filesystem::path& out, const std::string& flags) {
  const Outcome run = run_program(
      "train " + config_file("shapes-mdeq") + " --out " + out.string() +
      " --quiet --set train.log_every=1 --set train.eval_limit=32 --set data.test_size=32 " + flags + kExact);
  REQUIRE_MESSAGE(run.status == 0, run.err);
}

}  // namespace

TEST_CASE("a run that began on the CPU goes on on the GPU, and its losses agree to 1e-3 over 50 steps in f32") {
  // 125 steps of pre-training come first: untrained, normalisations magnify rounding so much that the CPU's own losses
  // with two algorithms of convolution are 3e-3 apart after three steps. Six steps of the solver, for each of Broyden's
  // magnifies rounding too: with twelve the CPU's own losses are 1.7e-2 apart once in 50 steps, with six 1.5e-4 at most
  // (compute.convolution=auto, direct and winograd, three seeds).
  if (is_skipped()) return;
  const TemporaryFolder folder;
  const std::string flags =
      "--set solver.max_steps=6 --set train.batch_size=32 --set train.total_steps=175 --set train.pretrain_steps=125 "
      "--set train.eval_every=175 "
      "--set data.train_size=5600 ";
  const auto begun = folder.path() / "begun";
  train(begun, flags + "--device cpu --max-steps 125");
  const auto continued = [&](const std::string& device) {
    const auto out = folder.path() / device;
    std::filesystem::copy(begun, out, std::filesystem::copy_options::recursive);
    train(out, flags + "--resume --device " + device);
    return losses(out);
  };
  const std::vector<double> cpu = continued("cpu"), gpu = continued("cuda");
  REQUIRE(cpu.size() == 175);
  REQUIRE(gpu.size() == 175);
  for (std::size_t step = 125; step < cpu.size(); ++step) {
    CAPTURE(step);
    CHECK(std::abs(gpu[step] - cpu[step]) <= 1e-3 * std::abs(cpu[step]));
  }
}

TEST_CASE("two deterministic runs on one GPU end on the same bits, and the CPU reads their checkpoint") {
  if (is_skipped()) return;
  const TemporaryFolder folder;
  const auto first = folder.path() / "first", second = folder.path() / "second";
  for (const auto& out : {first, second})
    train(out,
          "--device cuda --set train.batch_size=16 --set train.total_steps=50 --set train.pretrain_steps=25 --set "
          "train.eval_every=50 --set data.train_size=800 ");
  const auto model = [](const std::filesystem::path& run) {
    return read_safetensors(run / "checkpoints" / "last" / "model.safetensors").tensors;
  };
  CHECK(losses(first) == losses(second));
  const Tensors one = model(first), other = model(second);
  REQUIRE(one.size() == other.size());
  for (const auto& [name, tensor] : one) {
    CAPTURE(name);
    const Tensor& twin = other.at(name);
    CHECK((tensor.type() == twin.type() && std::equal(tensor.raw(), tensor.raw() + tensor.bytes(), twin.raw())));
  }
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

TEST_CASE("imported reference weights predict the reference's logits on the GPU") {
  if (is_skipped()) return;
  const auto golden = golden_mdeq_folder();
  if (!golden) return;
  const Tensors cases = read_safetensors(*golden / "case.safetensors").tensors;
  // Algorithms that are ranked by rule, and those that are the fastest, side by side in one graph: the latter may round
  // more, but what they leave in each other's memory would be seen.
  for (const auto& [deterministic, bound] : {std::pair{"true", 1e-4}, {"false", 1e-3}}) {
    CAPTURE(deterministic);
    const TemporaryFolder folder;
    const auto path = [&](const char* name) { return (folder.path() / name).string(); };
    write_text(path("mini.toml"),
               golden_mdeq_config() + "\n[compute]\nprecision = \"f32\"\ndeterministic = " + deterministic + "\n");
    write_npy(path("x.npy"), cases.at("x"));
    write_npy(path("labels.npy"), cases.at("labels"));
    REQUIRE(run_program("import mdeq --config " + path("mini.toml") + " --weights " +
                        (*golden / "weights.safetensors").string() + " --out " + path("mini"))
                .status == 0);
    const Outcome answered = run_program("predict " + path("mini") + " --tensor " + path("x.npy") + " --save-logits " +
                                         path("y.npy") + " --tol 1e-6 --max-steps 120 --quiet --device cuda");
    REQUIRE_MESSAGE(answered.status == 0, answered.err);
    CHECK(max_difference(read_npy(path("y.npy")), cases.at("eval_tight_logits")) < bound);  // 1e-4: as on the CPU
    const Outcome audited =
        run_program("audit " + path("mini") + " --tensor " + path("x.npy") + " --labels " + path("labels.npy") +
                    " --estimators exact,shine,jfb --tol 1e-6 --max-steps 120 --save-gradients " + path("gradients") +
                    " --json --quiet --device cuda");
    REQUIRE_MESSAGE(audited.status == 0, audited.err);
    const auto saved = read_safetensors(folder.path() / "gradients" / "exact.safetensors").tensors;
    (void)check_gradients(saved, read_safetensors(*golden / "implicit_gradients.safetensors").tensors);
  }
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
