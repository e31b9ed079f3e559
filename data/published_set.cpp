#include "data/published_set.h"

#include <array>

#include "core/error.h"
#include "data/digest.h"

namespace deq {
namespace {

namespace fs = std::filesystem;

constexpr std::array kCifar10 = {
    PublishedFile{"cifar-10-binary.tar.gz", "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                  "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", 170052171}};
constexpr std::array kDigits = {
    PublishedFile{"optdigits.tra", "https://archive.ics.uci.edu/ml/machine-learning-databases/optdigits/optdigits.tra",
                  "e1b683cc211604fe8fd8c4417e6a69f31380e0c61d4af22e93cc21e9257ffedd", 563639},
    PublishedFile{"optdigits.tes", "https://archive.ics.uci.edu/ml/machine-learning-databases/optdigits/optdigits.tes",
                  "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8", 264712}};
constexpr std::array kA9a = {
    PublishedFile{"a9a", "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary/a9a",
                  "f5d5ffd8d865ff41328e7ee043e4b020816914ff6843ff15b98905ddbedce906", 2329875},
    PublishedFile{"a9a.t", "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary/a9a.t",
                  "1f448a153f0320399a7e40836eb207655b0bde0f21fc941cc472193daa9f5de9", 1164628}};
constexpr std::array kMushrooms = {
    PublishedFile{"mushrooms", "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary/mushrooms",
                  "f39a4eb628dc61a7d43760815b061c9e497aa728ce1ad8bde57a09ef6043b538", 879712}};
constexpr std::array kWdbc = {PublishedFile{
    "wdbc.data", "https://archive.ics.uci.edu/ml/machine-learning-databases/breast-cancer-wisconsin/wdbc.data",
    "d606af411f3e5be8a317a5a8b652b425aaf0ff38ca683d5327ffff94c3695f4a", 124103}};

constexpr std::array kSets = {
    PublishedSet{"cifar10", "cifar-10", "free for research; cite A. Krizhevsky, 2009", kCifar10},
    PublishedSet{"digits", "digits", "CC BY 4.0; E. Alpaydin, C. Kaynak, UCI", kDigits},
    PublishedSet{"a9a", "libsvm", "CC BY 4.0; UCI Adult, prepared by J. Platt", kA9a},
    PublishedSet{"mushrooms", "libsvm", "CC BY 4.0; UCI Mushroom", kMushrooms},
    PublishedSet{"wdbc", "wdbc", "CC BY 4.0; W. Wolberg and others, UCI", kWdbc},
};

/// Sets that nobody may or need fetch for others.
struct Elsewhere {
  std::string_view name, advice;
};
constexpr std::array kElsewhere = {
    Elsewhere{"imagenet", "needs an account at https://image-net.org; unpack it to train/CLASS/ and val/CLASS/"},
    Elsewhere{"cityscapes", "needs an account at https://www.cityscapes-dataset.com; get leftImg8bit and gtFine"},
    Elsewhere{"shapes", "is drawn from a seed: there is nothing to fetch"},
    Elsewhere{"shapes-seg", "is drawn from a seed: there is nothing to fetch"},
    Elsewhere{"folder", "is for images of your own: there is nothing to fetch"},
    Elsewhere{"segmentation_folder", "is for images of your own: there is nothing to fetch"},
    Elsewhere{"20news", "is made of http://qwone.com/~jason/20Newsgroups (bydate) as word counts in LIBSVM text"},
};

/// The sum of what lies at `path` when it has as many bytes as the published file, else how many it has.
std::string sum_or_size(const fs::path& path, const PublishedFile& file) {
  const auto bytes = static_cast<std::int64_t>(fs::file_size(path));
  return bytes == file.bytes ? sha256_of(path) : concat(bytes, " bytes, not ", file.bytes);
}

}  // namespace

std::span<const PublishedSet> published_sets() { return kSets; }

const PublishedSet& published_set(std::string_view name) {
  std::string names;
  for (const PublishedSet& set : kSets) {
    if (set.name == name) return set;
    names += concat(names.empty() ? "" : ", ", set.name);
  }
  for (const Elsewhere& set : kElsewhere)
    if (set.name == name) throw RequestError(concat("data set '", name, "' ", set.advice));
  throw RequestError(concat("no published data set is called '", name, "'; there are ", names));
}

FetchState fetch(const PublishedFile& file, const fs::path& folder, const std::string& mirror,
                 const OnBytes& on_bytes) {
  const fs::path path = folder / file.name;
  if (fs::exists(path)) {
    const std::string found = sum_or_size(path, file);
    require(found == file.sha256, path.string(), "is there, but not as it was published (", found,
            "); see deq data verify, or move it away to fetch it");
    return FetchState::already_there;
  }
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, folder.string(), "cannot be made: ", error.message());
  const fs::path part = path.string() + ".part";
  const bool is_whole = fs::exists(part) && sum_or_size(part, file) == file.sha256;
  const std::string url =
      mirror.empty() ? std::string(file.url) : concat(mirror, mirror.back() == '/' ? "" : "/", file.name);
  if (!is_whole && !download(url, part, on_bytes)) return FetchState::interrupted;
  if (const std::string found = sum_or_size(part, file); found != file.sha256) {
    fs::remove(part);
    throw Error(concat(url, ": what arrived is not the published file (", found, ", SHA-256 expected ", file.sha256,
                       "); it was removed"));
  }
  fs::rename(part, path);
  return FetchState::fetched;
}

}  // namespace deq
