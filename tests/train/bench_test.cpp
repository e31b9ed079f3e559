#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/train/program.h"

using namespace deq;

TEST_CASE("a benchmarked training step reaches the heap no more and every figure is there") {
  const test::Outcome run =
      test::run_program("bench " + test::config_file("shapes-mdeq") +
                        " --batch 2 --repeats 1 --estimators shine,jfb,exact --set solver.max_steps=3 --json");
  REQUIRE(run.status == 0);
  const auto json = nlohmann::json::parse(run.out);
  CHECK(json.at("allocations_per_step") == 0);
  CHECK(json.at("vendor_allocations_per_step") == 0);
  CHECK(json.at("batch") == 2);
  CHECK(json.at("parameters") == 158890);
  CHECK(json.at("forward_steps") == 3);
  CHECK(json.at("device") == "cpu");
  for (const char* key :
       {"conv_unit_ms", "f_ms", "f_ms_min", "f_ms_max", "vjp_ms", "inference_ms", "inference_1_ms", "peak_bytes",
        "solver_overhead_ms", "solver_overhead_share", "history_bytes", "optimizer_ms", "inference_launches",
        "parameter_launches", "reachable_bytes_per_s", "reachable_flops_per_s", "map_floor_ms"}) {
    CAPTURE(key);
    CHECK(json.at(key).get<double>() > 0);
  }
  CHECK(json.at("convolution") == "auto");
  CHECK(json.at("conv_floor_ms").at("direct") == json.at("conv_unit_ms"));
  for (const char* estimator : {"shine", "jfb", "exact"}) {
    CAPTURE(estimator);
    CHECK(json.at("step_ms").at(estimator).get<double>() > 0);
    CHECK(json.at("backward_ms").at(estimator).get<double>() > 0);
  }
}

TEST_CASE("an interrupted benchmark ends at once with status 130") {
  test::RunningProgram bench({"bench", test::config_file("shapes-mdeq"), "--batch", "2", "--repeats", "100000"});
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  REQUIRE(bench.is_running());
  bench.send(SIGINT);
  CHECK(bench.wait() == 130);
}

TEST_CASE("every policy for convolutions runs a training step, and a wrong name is refused") {
  for (const char* policy : {"auto", "direct", "winograd"}) {
    CAPTURE(policy);
    const test::Outcome run = test::run_program("bench " + test::config_file("shapes-mdeq") +
                                                " --batch 2 --repeats 1 --set solver.max_steps=2 --json" +
                                                " --set compute.convolution=" + policy);
    REQUIRE(run.status == 0);
    CHECK(nlohmann::json::parse(run.out).at("convolution") == policy);
  }
  const test::Outcome wrong =
      test::run_program("bench " + test::config_file("shapes-mdeq") + " --set compute.convolution=winogrd");
  CHECK(wrong.status == 2);
  CHECK(wrong.err.find("winograd") != std::string::npos);
}
