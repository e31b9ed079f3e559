#include "train/image_source.h"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "tests/train/tiny_run.h"

namespace deq {

namespace fs = std::filesystem;
using test::check_refused;
using test::contains;
using test::message_of;
using test::Outcome;
using test::read_text;
using test::run_program;
using test::TemporaryFolder;
using test::tiny_run;
using test::write_text;
using Json = nlohmann::json;

namespace {

ImageSources sources_of(const std::vector<fs::path>& arguments, const std::string& input = {}) {
  std::istringstream stream(input);
  return image_sources(arguments, stream);
}

std::vector<std::string> names_of(const ImageSources& sources) {
  std::vector<std::string> out;
  for (const ImageSource& image : sources.images) out.push_back(image.name());
  return out;
}

/// b.png, a.PNG, .hidden.png, notes.txt and a folder with an image.
void fill(const fs::path& folder) {
  for (const char* name : {"b.png", "a.PNG", ".hidden.png"}) write_png(folder / name, Image(2, 3));
  write_text(folder / "notes.txt", "none");
  fs::create_directories(folder / "inner");
  write_png(folder / "inner" / "c.png", Image(2, 3));
}

}  // namespace

TEST_CASE("a folder stands for its image files in order of their names") {
  const TemporaryFolder folder;
  fill(folder.path());
  const ImageSources sources = sources_of({folder.path(), "other.png"});
  CHECK(names_of(sources) ==
        std::vector<std::string>{(folder.path() / "a.PNG").string(), (folder.path() / "b.png").string(), "other.png"});
  REQUIRE(sources.notes.size() == 1);
  CHECK(contains(sources.notes[0], "skipped 1 file of '" + folder.path().string() + "'"));
  CHECK(sources.images[0].read().width == 3);
}

TEST_CASE("a folder without image files is refused with what it holds instead") {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() / "outer" / "inner");
  write_text(folder.path() / "outer" / "notes.txt", "none");
  const auto refusal = message_of<RequestError>([&] { (void)sources_of({folder.path() / "outer"}); });
  CHECK(contains(refusal, "holds no image file (.png, .jpg, .bmp, ..), but 1 other file and 1 folder"));
}

TEST_CASE("'-' is one image of a stream, which is read again as often as it is asked for") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "a.png";
  write_png(file, Image(4, 5));
  const ImageSources sources = sources_of({"-", file}, read_text(file));
  CHECK(names_of(sources) == std::vector<std::string>{"-", file.string()});
  CHECK(sources.images[0].stem() == "stdin");
  CHECK(sources.images[1].stem() == "a");
  for (int i = 0; i < 2; ++i) CHECK(sources.images[0].read().pixels == Image(4, 5).pixels);
  CHECK(contains(message_of<RequestError>([&] { (void)sources_of({"-", "-"}); }), "given twice"));
  const ImageSource text = sources_of({"-"}, "no image").images[0];
  CHECK(contains(message_of<BadImage>([&] { (void)text.read(); }), "standard input: not an image"));
}

TEST_CASE("deq predict answers the images of a folder and the one on standard input") {
  const TemporaryFolder folder;
  const fs::path images = folder.path() / "images";
  fs::create_directories(images);
  fs::copy_file(tiny_run().images[0], images / "b.png");
  fs::copy_file(tiny_run().images[1], images / "a.png");
  write_text(images / "notes.txt", "none");
  const std::string predict = "predict " + tiny_run().checkpoint + " --threads 1 ";
  const Outcome outcome = run_program(predict + "--json " + images.string());
  REQUIRE(outcome.status == 0);
  CHECK(contains(outcome.err, "skipped 1 file of"));
  const Json answers = Json::parse(outcome.out);
  REQUIRE(answers.size() == 2);
  CHECK(answers[0]["file"] == (images / "a.png").string());
  CHECK_FALSE(contains(run_program(predict + "--quiet " + images.string()).err, "skipped"));
  check_refused(predict + "-", "standard input: not an image");  // which is empty

  const fs::path out = folder.path() / "out";
  const std::string command = DEQ_PROGRAM " " + predict + "--json - --sheet " + (folder.path() / "sheet.png").string() +
                              " <" + (images / "a.png").string() + " >" + out.string() + " 2>/dev/null";
  const int status = std::system(command.c_str());
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  Json answer = Json::parse(read_text(out));
  CHECK(answer[0]["file"] == "-");
  CHECK(answer[0]["top"][0]["class"] == answers[0]["top"][0]["class"]);
  CHECK(fs::exists(folder.path() / "sheet.png"));
}

}  // namespace deq
