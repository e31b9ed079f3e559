#include "data/published_set.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "data/file.h"
#include "tests/data/http_server.h"
#include "tests/data/temporary_folder.h"

using namespace deq;
using testing::HttpServer;
using testing::TemporaryFolder;

namespace {

constexpr PublishedFile kAbc{"abc", "http://127.0.0.1:1/abc",
                             "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 3};

bool go_on(std::int64_t, std::int64_t) { return true; }

void write(const std::filesystem::path& path, std::string_view text) {
  write_file(path, std::as_bytes(std::span(text)));
}

}  // namespace

TEST_CASE("a published file takes its name once its sum is right") {
  const TemporaryFolder folder;
  const auto place = folder / "sets";
  const HttpServer server({.content = "abc"});
  CHECK(fetch(kAbc, place, server.url(), go_on) == FetchState::fetched);
  CHECK(read_file(place / "abc").size() == 3);
  CHECK_FALSE(std::filesystem::exists(place / "abc.part"));
  CHECK(fetch(kAbc, place, server.url() + "/", go_on) == FetchState::already_there);
  CHECK(server.requests() == 1);
}

TEST_CASE("an interrupted fetch goes on, and a whole part is not fetched again") {
  const TemporaryFolder folder;
  const HttpServer server({.content = "abc"});
  write(folder / "abc.part", "ab");
  CHECK(fetch(kAbc, folder.path(), server.url(), [](auto, auto) { return false; }) == FetchState::interrupted);
  CHECK(std::filesystem::exists(folder / "abc.part"));
  CHECK(fetch(kAbc, folder.path(), server.url(), go_on) == FetchState::fetched);
  std::filesystem::rename(folder / "abc", folder / "abc.part");
  const int before = server.requests();
  CHECK(fetch(kAbc, folder.path(), server.url(), go_on) == FetchState::fetched);
  CHECK(server.requests() == before);
}

TEST_CASE("a file with a wrong sum is removed, one that was there is left alone") {
  const TemporaryFolder folder;
  for (const char* content : {"abd", "abcd"}) {
    const HttpServer server({.content = content});
    CHECK_THROWS_AS(fetch(kAbc, folder.path(), server.url(), go_on), Error);
    CHECK(std::filesystem::is_empty(folder.path()));
  }
  write(folder / "abc", "mine");
  const std::string message =
      testing::request_error_of([&] { fetch(kAbc, folder.path(), "http://127.0.0.1:1", go_on); });
  CHECK(message.find("4 bytes, not 3") != std::string::npos);
  CHECK(read_file(folder / "abc").size() == 4);
}

TEST_CASE("sets that nobody can fetch say where they are from") {
  CHECK(published_set("cifar10").files.size() == 1);
  CHECK(testing::request_error_of([] { published_set("shapes"); }).find("drawn from a seed") != std::string::npos);
  CHECK(testing::request_error_of([] { published_set("imagenet"); }).find("image-net.org") != std::string::npos);
  CHECK(testing::request_error_of([] { published_set("cifar"); }).find("there are cifar10, digits") !=
        std::string::npos);
}
