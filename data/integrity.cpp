#include "data/integrity.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/error.h"
#include "data/archive.h"
#include "data/cifar10.h"
#include "data/digest.h"
#include "data/file.h"

namespace deq {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSums = "SHA256SUMS";

struct KnownSum {
  std::string_view file, md5;
};
/// A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009), binary version.
constexpr std::array kCifar10{KnownSum{"data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25"},
                              KnownSum{"data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692"},
                              KnownSum{"data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421"},
                              KnownSum{"data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb"},
                              KnownSum{"data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d"},
                              KnownSum{"test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d"}};

FileCheck compare(std::string file, std::string expected, std::string found) {
  const FileState state = found == expected ? FileState::intact : FileState::damaged;
  return {std::move(file), state, std::move(expected), std::move(found)};
}

/// Lines "SUM  NAME" or "SUM *NAME".
std::vector<FileCheck> read_sums(const fs::path& list) {
  constexpr std::size_t kDigits = 64;
  const std::vector<std::byte> bytes = read_file(list);
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<FileCheck> out;
  std::size_t line_number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    const bool is_sum = line.size() > kDigits + 2 && line[kDigits] == ' ' &&
                        (line[kDigits + 1] == ' ' || line[kDigits + 1] == '*') &&
                        line.find_first_not_of("0123456789abcdefABCDEF") == kDigits;
    require(is_sum, list.string(), "line ", line_number,
            ": expected 64 hexadecimal digits, two spaces and a file's name");
    std::string sum = line.substr(0, kDigits);
    std::ranges::transform(sum, sum.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    out.push_back(
        {.file = line.substr(kDigits + 2), .state = FileState::missing, .expected = std::move(sum), .found = {}});
  }
  require(!out.empty(), list.string(), "lists no file");
  return out;
}

IntegrityReport check_sums(const fs::path& list, const std::function<void(std::size_t, std::size_t)>& on_file) {
  IntegrityReport report{.against = list.string(), .files = read_sums(list)};
  for (std::size_t i = 0; i < report.files.size(); ++i) {
    FileCheck& entry = report.files[i];
    on_file(i, report.files.size());
    const fs::path file = list.parent_path() / entry.file;
    if (fs::exists(file)) entry = compare(entry.file, entry.expected, sha256_of(file));
  }
  return report;
}

/// The bytes of CIFAR-10's files by name. None where there is none of them.
std::optional<ArchiveFiles> read_known(const fs::path& path) {
  std::vector<std::string> names;
  for (const KnownSum& known : kCifar10) names.emplace_back(known.file);
  const bool is_archive = fs::is_regular_file(path) && path.filename().string().ends_with(".tar.gz");
  const fs::path place = is_archive ? path : find_cifar10(path, names);
  if (place.empty()) return std::nullopt;
  if (!fs::is_directory(place)) return read_tar_gz(place, names);
  ArchiveFiles found;
  for (const std::string& name : names)
    if (fs::exists(place / name)) found[name] = read_file(place / name);
  return found;
}

}  // namespace

bool IntegrityReport::is_intact() const {
  return std::ranges::all_of(files, [](const FileCheck& check) { return check.state == FileState::intact; });
}

IntegrityReport check_integrity(const fs::path& path, const std::function<void(std::size_t, std::size_t)>& on_file) {
  require(fs::exists(path), path.string(), "no such file or folder");
  if (fs::is_regular_file(path) && path.filename() == kSums) return check_sums(path, on_file);
  if (fs::exists(path / kSums)) return check_sums(path / kSums, on_file);
  const std::optional<ArchiveFiles> found = read_known(path);
  require(found.has_value(), path.string(), "holds nothing that has sums: neither ", kSums,
          " (make it with sha256sum) nor the files of cifar10");
  IntegrityReport report{.against = "the published sums of cifar10", .files = {}};
  for (std::size_t i = 0; i < kCifar10.size(); ++i) {
    const std::string name(kCifar10[i].file), expected(kCifar10[i].md5);
    on_file(i, kCifar10.size());
    const auto file = found->find(name);
    if (file == found->end())
      report.files.push_back({.file = name, .state = FileState::missing, .expected = expected, .found = {}});
    else
      report.files.push_back(compare(name, expected, md5_of(file->second)));
  }
  return report;
}

}  // namespace deq
