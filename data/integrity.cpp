#include "data/integrity.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/error.h"
#include "data/archive.h"
#include "data/cifar10.h"
#include "data/digest.h"
#include "data/file.h"
#include "data/published_set.h"

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

/// A file to be compared: `sum` is empty when it is missing.
struct Comparison {
  std::string file, expected;
  std::function<std::string()> sum;
};

std::string sum_if_there(const fs::path& file) { return fs::exists(file) ? sha256_of(file) : std::string(); }

/// Lines "SUM  NAME" or "SUM *NAME".
std::vector<Comparison> comparisons_of(const fs::path& list) {
  constexpr std::size_t kDigits = 64;
  const std::vector<std::byte> bytes = read_file(list);
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<Comparison> out;
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
    const std::string name = line.substr(kDigits + 2);
    out.push_back({name, std::move(sum), [file = list.parent_path() / name] { return sum_if_there(file); }});
  }
  require(!out.empty(), list.string(), "lists no file");
  return out;
}

/// The bytes of CIFAR-10's files by name. None where there is none of them.
std::optional<ArchiveFiles> read_cifar10_files(const fs::path& path) {
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

void add_cifar10(const fs::path& path, std::vector<Comparison>& out) {
  const std::optional<ArchiveFiles> files = read_cifar10_files(path);
  if (!files) return;
  for (const KnownSum& known : kCifar10) {
    const auto file = files->find(std::string(known.file));
    const std::string sum = file == files->end() ? std::string() : md5_of(file->second);
    out.push_back({std::string(known.file), std::string(known.md5), [sum] { return sum; }});
  }
}

/// The files of a set when any of them lies at `path`: itself, in it, or in the set's own folder in it.
void add_published(const PublishedSet& set, const fs::path& path, std::vector<Comparison>& out) {
  const bool is_file = fs::is_regular_file(path);
  for (const fs::path& folder : {is_file ? path.parent_path() : path, path / set.folder}) {
    const auto is_there = [&](const PublishedFile& file) {
      return is_file ? path == folder / file.name : fs::exists(folder / file.name);
    };
    if (std::ranges::none_of(set.files, is_there)) continue;
    for (const PublishedFile& file : set.files)
      if (!is_file || is_there(file))
        out.push_back({std::string(file.name), std::string(file.sha256),
                       [place = folder / file.name] { return sum_if_there(place); }});
    return;
  }
}

/// Against the published sums of the sets of which something lies at `path`; their names are put into `names`.
std::vector<Comparison> published_comparisons(const fs::path& path, std::string& names) {
  std::vector<Comparison> out;
  for (const PublishedSet& set : published_sets()) {
    const std::size_t before = out.size();
    if (set.name == "cifar10")
      add_cifar10(path, out);  // packed or unpacked
    else
      add_published(set, path, out);
    if (out.size() > before) names += concat(names.empty() ? "" : ", ", set.name);
  }
  return out;
}

}  // namespace

bool IntegrityReport::is_intact() const {
  return std::ranges::all_of(files, [](const FileCheck& check) { return check.state == FileState::intact; });
}

IntegrityReport check_integrity(const fs::path& path, const std::function<void(std::size_t, std::size_t)>& on_file) {
  require(fs::exists(path), path.string(), "no such file or folder");
  const bool is_list = fs::is_regular_file(path) && path.filename() == kSums;
  const fs::path list = is_list ? path : path / kSums;
  const bool has_list = is_list || fs::exists(list);
  std::string sets;
  const std::vector<Comparison> all = has_list ? comparisons_of(list) : published_comparisons(path, sets);
  require(!all.empty(), path.string(), "holds nothing that has sums: no ", kSums,
          " (make it with sha256sum), no file of a published set (deq data list), no checkpoint");
  IntegrityReport report{.against = has_list ? list.string() : "the published sums of " + sets, .files = {}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    on_file(i, all.size());
    FileCheck check{.file = all[i].file, .expected = all[i].expected, .found = all[i].sum()};
    if (check.found != check.expected) check.state = check.found.empty() ? FileState::missing : FileState::damaged;
    report.files.push_back(std::move(check));
  }
  return report;
}

}  // namespace deq
