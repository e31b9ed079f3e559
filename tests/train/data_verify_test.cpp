#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"

// `deq data verify` through the program.

namespace deq::test {

TEST_CASE("deq data verify names damaged files and ends with 2") {
  const TemporaryFolder folder;
  const auto sums = folder.path() / "SHA256SUMS";
  write_text(folder.path() / "a", "abc");
  write_text(sums, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n");
  const Outcome whole = run_program("data verify " + folder.path().string() + " --quiet");
  CHECK(whole.status == 0);
  CHECK(whole.out == "intact   a\n");
  write_text(folder.path() / "a", "abd");
  const Outcome damaged = run_program("data verify " + folder.path().string() + " --json --quiet");
  CHECK(damaged.status == 2);
  CHECK(is_one_line(damaged.err));
  CHECK(damaged.err.find("1 of 1 files are damaged or missing") != std::string::npos);
  const auto json = nlohmann::json::parse(damaged.out);
  CHECK(json.at("intact") == false);
  CHECK(json.at("against") == sums.string());
  CHECK(json.at("files").at(0).at("state") == "damaged");
}

TEST_CASE("deq data verify compares a checkpoint with its manifest") {
  const TemporaryFolder folder;
  const auto run = folder.path() / "run";
  REQUIRE(run_program(joined(small_run(run, 1))).status == 0);
  const auto checkpoint = run / "checkpoints" / "last";
  const Outcome whole = run_program("data verify " + checkpoint.string() + " --quiet");
  CHECK(whole.status == 0);
  CHECK(whole.out.find("intact   model.safetensors") != std::string::npos);
  const std::string verify = "data verify " + checkpoint.string() + " --quiet --json";
  const auto intact = nlohmann::json::parse(run_program(verify).out);
  const std::string sum = intact.at("files").at(0).at("expected");
  CHECK(sum.find(" bytes, CRC-32 ") != std::string::npos);
  CHECK(intact.at("files").at(0).at("found") == sum);
  std::filesystem::resize_file(checkpoint / "model.safetensors", 100);
  std::filesystem::remove(checkpoint / "state.safetensors");
  const Outcome damaged = run_program(verify);
  CHECK(damaged.status == 2);
  CHECK(damaged.err.find("2 of 2 files are damaged or missing") != std::string::npos);
  const auto files = nlohmann::json::parse(damaged.out).at("files");
  CHECK(files.at(0).at("state") == "damaged");
  CHECK(files.at(0).at("expected") == sum);
  CHECK(files.at(0).at("found").get<std::string>().starts_with("100 bytes, CRC-32 "));
  CHECK(files.at(1).at("state") == "missing");
  write_text(checkpoint / "manifest.json", "{}");
  CHECK(run_program(verify).err.find("not the manifest of a checkpoint") != std::string::npos);
}

TEST_CASE("deq data verify finds CIFAR-10 as it was published") {
  const char* data = std::getenv("DEQ_DATA_DIR");
  if (data == nullptr) {
    std::cout << "SKIPPED: DEQ_DATA_DIR is not set\n";
    return;
  }
  const Outcome found =
      run_program("data verify " + (std::filesystem::path(data) / "cifar-10").string() + " --json --quiet");
  CHECK(found.status == 0);
  const auto json = nlohmann::json::parse(found.out);
  CHECK(json.at("intact") == true);
  CHECK(json.at("files").size() == 6);
}

}  // namespace deq::test
