#include "train/message_line.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "tests/train/tiny_run.h"

namespace deq {

using test::check_refused;
using test::run_program;
using test::TemporaryFolder;
using test::write_text;

TEST_CASE("what is quoted or holds no space is shown with its middle left out, all else as it is") {
  const std::string hundred = std::string(100, 'a'), rest = std::string(99, 'b') + ": no such file";
  CHECK(message_line(hundred + std::string(100000, 'x') + rest) == hundred + "..." + rest);
  CHECK(message_line(hundred + hundred) == hundred + hundred);
  // A quote may hold spaces; what stands beside it stays.
  const std::string spaced = "it isn't '" + std::string(100000, ' ') + "' and the model's 'own' is fine";
  CHECK(message_line(spaced).size() < 260);
  CHECK(message_line(spaced).starts_with("it isn't '"));
  CHECK(message_line(spaced).ends_with("' and the model's 'own' is fine"));
  std::string list = "missing tensors: ";
  for (int i = 0; i < 1000; ++i) list += concat("'layer.", i, "', ");
  CHECK(message_line(list) == list);
  std::string open = std::string(300, 'a');
  for (int i = 0; i < 30000; ++i) open += " 'a";
  CHECK(message_line(open).size() == open.size() - 300 + 203);
}

TEST_CASE("characters of more than one byte are left out whole") {
  std::string name;
  for (int i = 0; i < 1000; ++i) name += "\xe2\x82\xac";  // the euro sign
  const std::string line = message_line("'" + name + "'");
  CHECK(line.size() < 210);
  CHECK(line.find("\xac...\xe2\x82\xac") != std::string::npos);
}

TEST_CASE("control characters are shown, NUL too, also out of an Error") {
  CHECK(message_line(std::string_view("a\0b\x1b\n", 5)) == "a\\x00b\\x1b\\n");
  const std::string name("na\0me", 5);
  CHECK(std::string(Error(name + " is none").what()) == "na\\x00me is none");
  CHECK(std::string(RequestError(name).what()) == "na\\x00me");
}

TEST_CASE("no message of the program repeats endless names") {
  const std::string endless(100000, 'n');
  const TemporaryFolder folder;
  const std::string config = (folder.path() / "c.toml").string();
  write_text(config, "[model]\n\"" + endless + "\" = 1\n");
  for (const std::string& arguments :
       {endless, "info " + endless, "train " + endless, "train " + config, "eval c --split " + endless,
        "eval c --limit " + endless, "eval c --" + endless, "info --device " + endless, "new " + endless,
        "data fetch " + endless, "bench " + config + " --estimators " + endless,
        "train " + config + " --set " + endless + "=1"}) {
    const test::Outcome outcome = run_program(arguments);
    CAPTURE(arguments.substr(0, 40));
    CAPTURE(outcome.err.substr(0, 1000));
    CHECK(outcome.status == 2);
    CHECK(test::is_one_line(outcome.err));
    CHECK(outcome.err.size() < 1500);
  }
  write_text(config, "[model]\n\"na\\u0000me\" = 1\n");
  check_refused("train " + config, "unknown key 'model.na\\x00me'; did you mean '");
}

}  // namespace deq
