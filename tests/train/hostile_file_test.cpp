#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "tests/train/tiny_run.h"
#include "train/toml_depth.h"

// Files made to do harm, through the program itself: one clear message, never a signal.

namespace deq {

using test::check_refused;
using test::contains;
using test::is_one_line;
using test::Outcome;
using test::read_text;
using test::run_program;
using test::TemporaryFolder;
using test::tiny_run;
using test::TinyRun;
using test::write_text;

namespace {

constexpr int kDepth = 200'000;  // a printer or a destructor that calls itself for each level needs more than a stack

std::string nested(char open, const std::string& inside, char close) {
  return std::string(kDepth, open) + inside + std::string(kDepth, close);
}

std::string deep_key() {
  std::string key = "a";
  for (int i = 0; i < kDepth; ++i) key += ".a";
  return key;
}

std::filesystem::path copy_of(const std::filesystem::path& from, const TemporaryFolder& folder, const char* name) {
  std::filesystem::copy(from, folder.path() / name, std::filesystem::copy_options::recursive);
  return folder.path() / name;
}

}  // namespace

TEST_CASE("values nested without end are refused wherever JSON is read") {
  const TinyRun& run = tiny_run();
  const TemporaryFolder folder;
  const std::string deep = nested('[', "", ']');

  const auto checkpoint = copy_of(run.checkpoint, folder, "checkpoint");
  const std::string entry = "{\"bytes\":" + deep + ",\"crc32\":\"0\"}";
  write_text(checkpoint / "manifest.json", "{\"format\":\"deq-checkpoint-1\",\"files\":{\"model.safetensors\":" +
                                               entry + ",\"state.safetensors\":" + entry + "}}");
  for (const char* command : {"info ", "eval --quiet ", "data verify --quiet "})
    check_refused(command + checkpoint.string(), "manifest.json");

  const std::string header = R"({"w":{"dtype":"F32","shape":[)" + deep + R"(],"data_offsets":[0,4]}})";
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i) & 255);
  write_text(folder.path() / "deep.safetensors", bytes + header + std::string(4, '\0'));
  check_refused("info " + (folder.path() / "deep.safetensors").string(), "nests");

  const auto plotted = copy_of(run.path, folder, "run");
  const std::string metrics = read_text(plotted / "metrics.jsonl"), summary = read_text(plotted / "summary.json");
  const std::string plot = "plot " + plotted.string() + " -o " + (folder.path() / "plot.svg").string();
  write_text(plotted / "metrics.jsonl", metrics + "{\"step\":3,\"loss\":" + deep + "}\n");
  check_refused(plot, "metrics.jsonl");
  write_text(plotted / "metrics.jsonl", metrics);
  write_text(plotted / "summary.json", "{\"steps\":" + deep + "}");
  check_refused(plot, "summary.json");
  write_text(plotted / "summary.json", summary);
  CHECK(run_program(plot).status == 0);
}

TEST_CASE("keys of endlessly many parts are refused by file and line") {
  const TemporaryFolder folder;
  const std::string config = (folder.path() / "deep.toml").string();
  for (const std::string& text :
       {"[" + deep_key() + "]\nx = 1\n", deep_key() + " = 1\n", "x = {" + deep_key() + " = 1}\n"}) {
    write_text(config, "# a . comment\n" + text);
    check_refused("train " + config + " --dry-run", "deep.toml:2: a key of more than");
    check_refused("tune " + config + " --dry-run", "deep.toml:2: a key of more than");
  }
}

TEST_CASE("dots that part no key count for nothing") {
  std::string dots(1000, '.');
  for (const std::string& text :
       {"# " + dots + "\n", "a = \"" + dots + "\"\n", "a = '" + dots + "'\n", "a = \"\\\"" + dots + "\"\n",
        "a = \"\"\"\n\"" + dots + "\n\"\"\"\n", "a = '''\n'" + dots + "\n'''\n", std::string("a = [")})
    CHECK(line_of_deep_key(text) == 0);
  std::string list = "a = [";
  for (int i = 0; i < 1000; ++i) list += "1.5, ";
  CHECK(line_of_deep_key(list + "]") == 0);
  CHECK(line_of_deep_key("a = \"\"\"\n\n\"\"\"\n" + deep_key()) == 4);
  CHECK(line_of_deep_key("a = \"unclosed\n" + deep_key()) == 2);
}

TEST_CASE("control characters out of a file do not reach the terminal") {
  const TemporaryFolder folder;
  const std::string config = (folder.path() / "c.toml").string();
  write_text(config, "[train]\nestimator = \"sh\\u001b[31m\\nine\\u007f\"\n");
  const Outcome outcome = run_program("train " + config + " --dry-run");
  CHECK(outcome.status == 2);
  CHECK(is_one_line(outcome.err));
  CHECK(contains(outcome.err, R"('sh\x1b[31m\nine\x7f')"));
}

TEST_CASE("a checkpoint that lost its model is damaged, not absent") {
  const TemporaryFolder folder;
  const auto run = copy_of(tiny_run().path, folder, "run");
  const auto last = run / "checkpoints" / "last";
  std::filesystem::remove(last / "model.safetensors");
  const std::string state = read_text(last / "state.safetensors");
  const std::string arguments = test::joined(test::small_run(run, 3));
  check_refused(arguments, "model.safetensors");  // with --resume
  CHECK(read_text(last / "state.safetensors") == state);
}

TEST_CASE("info tells of a checkpoint whose state is missing") {
  const TemporaryFolder folder;
  const auto checkpoint = copy_of(tiny_run().checkpoint, folder, "checkpoint");
  const auto manifest = [&] {
    return nlohmann::json::parse(run_program("info --json " + checkpoint.string()).out)
        .at("manifest")
        .get<std::string>();
  };
  CHECK(manifest() == "ok");
  std::filesystem::remove(checkpoint / "state.safetensors");
  CHECK(contains(manifest(), "state.safetensors is missing"));
}

}  // namespace deq
