#include "data/file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "core/error.h"
#include "tests/data/temporary_folder.h"
#include "tests/full_disk.h"

using namespace deq;
namespace fs = std::filesystem;

namespace {

void write(const fs::path& path, const std::string& text) { write_file(path, std::as_bytes(std::span(text))); }

std::string text_of(const fs::path& path) {
  const std::vector<std::byte> bytes = read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

auto entries_of(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

/// The message of the Error that writing 4,000 bytes to a full disk ends with.
std::string failure_of_writing(const fs::path& path) {
  const test::FullDisk disk(1000);
  try {
    write(path, std::string(4000, 'x'));
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a file that does not fit on the disk leaves what was there before, and nothing else") {
  const testing::TemporaryFolder folder;
  CHECK(failure_of_writing(folder / "new").starts_with((folder / "new").string() + ": writing 4000 bytes failed: "));
  CHECK(entries_of(folder.path()) == 0);
  write(folder / "old", "as it was");
  CHECK_FALSE(failure_of_writing(folder / "old").empty());
  CHECK(text_of(folder / "old") == "as it was");
  CHECK(entries_of(folder.path()) == 1);
}

TEST_CASE("what stands in the way of a file is found before it is written, and nothing is left") {
  const testing::TemporaryFolder folder;
  CHECK(write_obstacle(folder / "new").empty());
  write(folder / "old", "as it was");
  fs::create_symlink("old", folder / "link");
  CHECK(write_obstacle(folder / "old").empty());
  CHECK(write_obstacle(folder / "link").empty());
  CHECK(write_obstacle("/dev/null").empty());
  fs::create_symlink("loop", folder / "loop");
  CHECK(write_obstacle(folder / "loop") == "cannot be written: Too many levels of symbolic links");
  CHECK(write_obstacle(folder.path()) == "is a folder, expected a file");
  CHECK(write_obstacle(folder / "nowhere" / "file") == "cannot be written: No such file or directory");
  CHECK(write_obstacle(folder / std::string(250, 'x')) == "cannot be written: File name too long");
  CHECK(write_obstacle("/proc/file").starts_with("cannot be written: "));
  CHECK(text_of(folder / "old") == "as it was");
  CHECK(entries_of(folder.path()) == 3);
}

TEST_CASE("what killed processes left beside a file goes, and nothing else") {
  const testing::TemporaryFolder folder;
  const fs::path file = folder / "a.txt";
  for (const char* kept : {"a.txt", "a.txt.new", "a.txt..new", "a.txt.1x.new", "b.txt.12.new", "a.txt.12.newer"})
    write(folder / kept, "kept");
  for (const char* left : {"a.txt.1.new", "a.txt.4194304.new"}) write(folder / left, "left");
  remove_unfinished(file);
  CHECK(entries_of(folder.path()) == 6);
  CHECK_FALSE(fs::exists(folder / "a.txt.1.new"));
  remove_unfinished(folder / "none" / "a.txt");  // nothing to do
}

TEST_CASE("a file that is replaced keeps who may read it") {
  const testing::TemporaryFolder folder;
  write(folder / "old", "as it was");
  fs::permissions(folder / "old", fs::perms::owner_read | fs::perms::owner_write);
  write(folder / "old", "new");
  CHECK(text_of(folder / "old") == "new");
  CHECK(fs::status(folder / "old").permissions() == (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("writing to a symbolic link writes what it points at") {
  const testing::TemporaryFolder folder;
  fs::create_directory(folder / "elsewhere");
  fs::create_symlink("elsewhere/file", folder / "link");
  fs::create_symlink("link", folder / "second");
  for (const char* text : {"made", "replaced"}) {
    write(folder / "second", text);
    CHECK(fs::is_symlink(folder / "second"));
    CHECK(fs::is_symlink(folder / "link"));
    CHECK(text_of(folder / "elsewhere" / "file") == text);
  }
  CHECK(entries_of(folder / "elsewhere") == 1);
  fs::create_symlink("loop", folder / "loop");
  CHECK_THROWS_WITH_AS(write(folder / "loop", "x"), doctest::Contains("too many symbolic links"), Error);
}

TEST_CASE("a device and a pipe are written into and stay what they are") {
  const testing::TemporaryFolder folder;
  const fs::path pipe = folder / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  write(pipe, "through");
  std::string text(7, ' ');
  CHECK(::read(reader, text.data(), text.size()) == 7);
  CHECK(text == "through");
  ::close(reader);
  CHECK(fs::is_fifo(pipe));
  write("/dev/null", "away");
  CHECK(fs::is_character_file("/dev/null"));
  CHECK_THROWS_WITH_AS(write("/dev/full", "x"), doctest::Contains("/dev/full: "), Error);
  CHECK(fs::is_character_file("/dev/full"));
}

TEST_CASE("a folder is no file to write") {
  const testing::TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(write(folder.path(), "x"), doctest::Contains("is a folder"), Error);
  CHECK_THROWS_WITH_AS(write(folder / "nowhere" / "x", "x"), doctest::Contains("cannot be created"), Error);
}
