#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"

// `deq data fetch` through the program.

namespace deq::test {

TEST_CASE("deq data fetch says what is wrong with a request") {
  const TemporaryFolder folder;
  const std::string to = " --quiet --data " + folder.path().string();
  const Outcome drawn = run_program("data fetch shapes" + to);
  CHECK(drawn.status == 2);
  CHECK(is_one_line(drawn.err));
  CHECK(contains(drawn.err, "drawn from a seed"));
  const Outcome nowhere = run_program("data fetch wdbc --from file://" + folder.path().string() + to);
  CHECK(nowhere.status == 1);
  CHECK(is_one_line(nowhere.err));
  CHECK(contains(nowhere.err, "wdbc.data"));
}

TEST_CASE("deq data fetch brings a set that deq then reads") {
  const char* data = std::getenv("DEQ_DATA_DIR");
  if (data == nullptr) {
    std::cout << "SKIPPED: DEQ_DATA_DIR is not set\n";
    return;
  }
  const TemporaryFolder folder;
  const std::string command = "data fetch digits --quiet --json --data " + folder.path().string() + " --from file://" +
                              (std::filesystem::absolute(data) / "digits").string();
  const Outcome fetched = run_program(command);
  CHECK(fetched.status == 0);
  const auto json = nlohmann::json::parse(fetched.out);
  CHECK(json.at("files").size() == 2);
  CHECK(json.at("files").at(0).at("state") == "fetched");
  CHECK(nlohmann::json::parse(run_program(command).out).at("files").at(1).at("state") == "already there");
  const Outcome read = run_program("data export digits --count 1 --quiet --data " + folder.path().string() + " --out " +
                                   (folder.path() / "images").string());
  CHECK(read.status == 0);
}

}  // namespace deq::test
