#include "tests/train/tiny_run.h"

#include <doctest/doctest.h>

#include "tests/train/program.h"

namespace deq::test {

TinyRun::TinyRun() {
  REQUIRE(run_program(joined(small_run(path, 3))).status == 0);
  REQUIRE(run_program("data export shapes --count 2 --out " + (folder.path() / "images").string()).status == 0);
  for (const auto& entry : std::filesystem::directory_iterator(folder.path() / "images"))
    images.push_back(entry.path().string());
}

const TinyRun& tiny_run() {
  static const TinyRun run;
  return run;
}

void check_refused(const std::string& arguments, const std::string& part, int status) {
  const Outcome outcome = run_program(arguments);
  INFO("deq " << arguments << ": " << outcome.err);
  CHECK(outcome.status == status);
  CHECK(is_one_line(outcome.err));
  CHECK(contains(outcome.err, part));
  CHECK(outcome.err.starts_with("deq: "));
  for (const char* trace : {"terminate", "Aborted", "core dumped", "std::", "filesystem error"})
    CHECK_FALSE(contains(outcome.err, trace));
}

}  // namespace deq::test
