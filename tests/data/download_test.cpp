#include "data/download.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "data/file.h"
#include "tests/data/http_server.h"
#include "tests/data/temporary_folder.h"

using namespace deq;
using testing::HttpServer;
using testing::TemporaryFolder;

namespace {

constexpr Retries kPatient{.count = 3, .first_wait_s = 0.01};

/// 300,000 bytes that differ from place to place.
std::string some_content() {
  std::string out(300'000, '\0');
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>((i * 2654435761U) >> 13U);
  return out;
}

std::string content_of(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void write(const std::filesystem::path& path, const std::string& text) {
  write_file(path, std::as_bytes(std::span(text)));
}

bool go_on(std::int64_t, std::int64_t) { return true; }

std::string error_of(const std::string& url, const std::filesystem::path& path, const Retries& retries = kPatient) {
  try {
    download(url, path, go_on, retries);
  } catch (const RequestError&) {
    return "a request error";
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a download brings the file and tells how much has arrived") {
  const TemporaryFolder folder;
  const HttpServer server({.content = some_content()});
  std::int64_t last = 0, all = 0;
  CHECK(download(server.url() + "/x", folder / "x", [&](std::int64_t done, std::int64_t of) {
    CHECK(done >= last);
    last = done;
    if (of > 0) all = of;
    return true;
  }));
  CHECK(content_of(folder / "x") == some_content());
  CHECK(last == 300'000);
  CHECK(all == 300'000);
}

TEST_CASE("a download goes on where the file ends") {
  const TemporaryFolder folder;
  const HttpServer server({.content = some_content()});
  write(folder / "x", some_content().substr(0, 200'000));
  CHECK(download(server.url() + "/x", folder / "x", go_on));
  CHECK(content_of(folder / "x") == some_content());
  CHECK(server.bytes_sent() == 100'000);
}

TEST_CASE("a download that breaks off is taken up again without loss") {
  const TemporaryFolder folder;
  const HttpServer server({.broken_answers = 2, .content = some_content()});
  CHECK(download(server.url() + "/x", folder / "x", go_on, kPatient));
  CHECK(content_of(folder / "x") == some_content());
  CHECK(server.requests() == 3);
  CHECK(server.bytes_sent() == 300'000);
}

TEST_CASE("a server without parts, or with less than is there, sends everything anew") {
  for (const bool has_parts : {false, true}) {
    const TemporaryFolder folder;
    const HttpServer server({.has_parts = has_parts, .content = some_content()});
    write(folder / "x", std::string(has_parts ? 400'000 : 1000, 'x'));
    CHECK(download(server.url() + "/x", folder / "x", go_on));
    CHECK(content_of(folder / "x") == some_content());
  }
}

TEST_CASE("files of this machine are downloaded like others") {
  const TemporaryFolder folder;
  write(folder / "from", some_content());
  write(folder / "x", some_content().substr(0, 17));
  CHECK(download("file://" + (folder / "from").string(), folder / "x", go_on));
  CHECK(content_of(folder / "x") == some_content());
}

TEST_CASE("what cannot be downloaded says why, and what has arrived stays") {
  const TemporaryFolder folder;
  const HttpServer gone({.status = 404});
  CHECK(error_of(gone.url() + "/x", folder / "x").find("404") != std::string::npos);
  CHECK(gone.requests() == 1);
  const HttpServer overloaded({.status = 503});
  CHECK(error_of(overloaded.url() + "/x", folder / "x").find("after 4 attempts") != std::string::npos);
  CHECK(overloaded.requests() == 4);
  const HttpServer breaking({.broken_answers = 9, .content = some_content()});
  const std::string message = error_of(breaking.url() + "/x", folder / "x", {.count = 1, .first_wait_s = 0.01});
  CHECK(message.find("225000 bytes have arrived") != std::string::npos);
  CHECK(content_of(folder / "x") == some_content().substr(0, 225'000));
  CHECK(error_of("gopher://127.0.0.1/x", folder / "y").find("gopher") != std::string::npos);
  CHECK(error_of("http://127.0.0.1:1/x", folder / "y").find("onnect") != std::string::npos);
  CHECK(error_of(gone.url(), folder / "nowhere" / "x").find("cannot be written") != std::string::npos);
}

TEST_CASE("a full disk is named") {
  if (!std::filesystem::exists("/dev/full")) return;
  const HttpServer server({.content = some_content()});
  const TemporaryFolder folder;
  std::filesystem::create_symlink("/dev/full", folder / "x");
  CHECK(error_of(server.url() + "/x", folder / "x").find("No space left") != std::string::npos);
}

TEST_CASE("the caller ends a download; the next one goes on") {
  const TemporaryFolder folder;
  const HttpServer server({.content = some_content()});
  CHECK_FALSE(download(server.url() + "/x", folder / "x", [](std::int64_t done, std::int64_t) { return done < 1; }));
  CHECK(download(server.url() + "/x", folder / "x", go_on));
  CHECK(content_of(folder / "x") == some_content());
}
