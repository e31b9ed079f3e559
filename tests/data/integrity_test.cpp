#include "data/integrity.h"

#include <doctest/doctest.h>

#include <fstream>

#include "core/error.h"
#include "data/digest.h"
#include "data/file.h"
#include "data/published_set.h"
#include "tests/data/temporary_folder.h"

using namespace deq;

namespace {

void write(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  write_file(path, std::as_bytes(std::span(text)));
}

constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

IntegrityReport checked(const std::filesystem::path& path) {
  std::size_t told = 0;
  IntegrityReport report = check_integrity(path, [&](std::size_t done, std::size_t all) {
    CHECK(done == told);
    CHECK(done < all);
    ++told;
  });
  CHECK(told == report.files.size());
  return report;
}

}  // namespace

TEST_CASE("digests are those of their standards") {
  const testing::TemporaryFolder folder;
  write(folder.path() / "abc", "abc");
  write(folder.path() / "nothing", "");
  CHECK(sha256_of(folder.path() / "abc") == kAbc);  // FIPS 180-4, its first example
  CHECK(sha256_of(folder.path() / "nothing") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const std::string_view abc = "abc";
  CHECK(md5_of(std::as_bytes(std::span(abc))) == "900150983cd24fb0d6963f7d28e17f72");  // RFC 1321, A.5
  CHECK_THROWS_AS((void)sha256_of(folder.path() / "absent"), RequestError);
  CHECK_THROWS_AS((void)sha256_of(folder.path()), RequestError);
}

TEST_CASE("files are compared with the sums in SHA256SUMS") {
  const testing::TemporaryFolder folder;
  write(folder.path() / "a", "abc");
  write(folder.path() / "part" / "b", "abd");
  write(folder.path() / "SHA256SUMS", std::string(kAbc) + "  a\n" + kAbc + " *part/b\r\n\n" + kAbc + "  c\n");
  for (const auto& path : {folder.path(), folder.path() / "SHA256SUMS"}) {
    const IntegrityReport report = checked(path);
    REQUIRE(report.files.size() == 3);
    CHECK(report.files[0].state == FileState::intact);
    CHECK(report.files[1].state == FileState::damaged);
    CHECK(report.files[1].file == "part/b");
    CHECK(report.files[1].found != kAbc);
    CHECK(report.files[2].state == FileState::missing);
    CHECK(!report.is_intact());
  }
  write(folder.path() / "part" / "b", "abc");
  write(folder.path() / "c", "abc");
  CHECK(checked(folder.path()).is_intact());
}

TEST_CASE("what is no list of sums, and what has none, is refused") {
  const testing::TemporaryFolder folder;
  const auto refused = [&](const std::filesystem::path& path, const char* why) {
    CHECK_THROWS_WITH_AS((void)check_integrity(path, [](std::size_t, std::size_t) {}), doctest::Contains(why),
                         RequestError);
  };
  refused(folder.path() / "absent", "no such file or folder");
  refused(folder.path(), "holds nothing that has sums");
  write(folder.path() / "notes.txt", "abc");
  refused(folder.path() / "notes.txt", "holds nothing that has sums");
  write(folder.path() / "SHA256SUMS", "");
  refused(folder.path(), "lists no file");
  write(folder.path() / "SHA256SUMS", std::string(kAbc) + "  a\nabc  b\n");
  refused(folder.path(), "line 2");
}

TEST_CASE("files of the other published sets are compared with the sums they are fetched with") {
  const testing::TemporaryFolder folder;
  write(folder.path() / "digits" / "optdigits.tra", "not digits");
  write(folder.path() / "wdbc.data", "not wdbc");
  const IntegrityReport all = checked(folder.path());
  CHECK(all.against == "the published sums of digits, wdbc");
  REQUIRE(all.files.size() == 3);
  CHECK(all.files[0].file == "optdigits.tra");
  CHECK(all.files[0].state == FileState::damaged);
  CHECK(all.files[0].expected == published_set("digits").files[0].sha256);
  CHECK(all.files[1].state == FileState::missing);
  CHECK(all.files[2].file == "wdbc.data");
  CHECK(checked(folder.path() / "digits").files.size() == 2);
  CHECK(checked(folder.path() / "wdbc.data").files.size() == 1);
}

TEST_CASE("files of CIFAR-10 have published sums") {
  const testing::TemporaryFolder folder;
  write(folder.path() / "cifar-10" / "test_batch.bin", "not images");
  const IntegrityReport report = checked(folder.path());
  REQUIRE(report.files.size() == 6);
  CHECK(report.files[0].state == FileState::missing);
  CHECK(report.files[5].state == FileState::damaged);
  CHECK(report.files[5].file == "test_batch.bin");
}
