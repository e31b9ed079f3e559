#include "data/cifar10.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "data/archive.h"
#include "data/file.h"

namespace deq {
namespace {

constexpr std::int64_t kSide = 32;
constexpr std::int64_t kPlane = kSide * kSide;
constexpr std::int64_t kChannels = 3;
constexpr std::int64_t kRowBytes = 1 + kChannels * kPlane;
constexpr std::int64_t kImagesPerFile = 10'000;
constexpr std::int64_t kFileBytes = kImagesPerFile * kRowBytes;

constexpr std::string_view kFolder = "cifar-10-batches-bin";
constexpr std::string_view kArchive = "cifar-10-binary.tar.gz";
constexpr std::string_view kHowToGet = "get it with `deq data fetch cifar10` and give its folder as the data folder";

std::vector<std::string> files_of(Split split) {
  switch (split) {
    case Split::train:
      return {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"};
    case Split::test: return {"test_batch.bin"};
  }
  return {};
}

/// Appends the images of one .bin file: rows of a label byte and three colour planes.
void append_rows(ImageSet& set, std::span<const std::byte> bytes, const std::string& file) {
  require(static_cast<std::int64_t>(bytes.size()) == kFileBytes, file, "holds ", bytes.size(), " bytes, expected ",
          kFileBytes, " (10,000 images); ", kHowToGet);
  for (std::int64_t row = 0; row < kImagesPerFile; ++row) {
    const auto image = bytes.subspan(static_cast<std::size_t>(row * kRowBytes), static_cast<std::size_t>(kRowBytes));
    const int label = std::to_integer<int>(image[0]);
    require(label < 10, file, "byte ", row * kRowBytes, ": label ", label, " is not 0 to 9; ", kHowToGet);
    const auto out = set.append(label);
    for (std::size_t pixel = 0; pixel < kPlane; ++pixel) {
      for (std::size_t c = 0; c < kChannels; ++c)
        out[pixel * kChannels + c] = std::to_integer<std::uint8_t>(image[1 + c * kPlane + pixel]);
    }
  }
}

void read_folder(ImageSet& set, const std::filesystem::path& folder, Split split) {
  for (const std::string& name : files_of(split)) {
    const auto path = folder / name;
    require(std::filesystem::exists(path), path.string(), "no such file; ", kHowToGet);
    append_rows(set, read_file(path), path.string());
  }
}

void read_archive(ImageSet& set, const std::filesystem::path& path, Split split) {
  ArchiveFiles files;
  try {
    files = read_tar_gz(path, files_of(split));
  } catch (const RequestError& error) {
    throw RequestError(concat(error.what(), "; ", kHowToGet));
  }
  for (const std::string& name : files_of(split)) {
    const auto found = files.find(name);
    require(found != files.end(), path.string(), "does not contain ", name, "; ", kHowToGet);
    append_rows(set, found->second, concat(path.string(), "/", name));
  }
}

DatasetInfo cifar10_info() {
  // Statistics of the MDEQ training code: the deviation is the mean over images of each image's own.
  return {.name = "cifar10",
          .image_shape = {kSide, kSide, kChannels},
          .class_names = {kCifar10Classes.begin(), kCifar10Classes.end()},
          .normalisation = {.mean = {0.4914F, 0.4822F, 0.4465F}, .std = {0.2023F, 0.1994F, 0.2010F}}};
}

}  // namespace

std::filesystem::path find_cifar10(const std::filesystem::path& directory, const std::vector<std::string>& names) {
  for (const auto& folder : {directory, directory / "cifar-10"}) {
    const auto holds = [&](const std::string& name) { return std::filesystem::exists(folder / name); };
    if (std::filesystem::is_directory(folder / kFolder)) return folder / kFolder;
    if (std::ranges::any_of(names, holds)) return folder;
    if (holds(std::string(kArchive))) return folder / kArchive;
  }
  return {};
}

std::shared_ptr<const ImageSet> read_cifar10(const std::filesystem::path& directory, Split split) {
  const std::filesystem::path place = find_cifar10(directory, files_of(split));
  require(!place.empty(), directory.string(), "holds neither ", kFolder, "/ nor ", kArchive,
          ", nor does its folder cifar-10; ", kHowToGet);
  auto set = std::make_shared<ImageSet>(cifar10_info());
  set->reserve(static_cast<std::int64_t>(files_of(split).size()) * kImagesPerFile);
  if (std::filesystem::is_directory(place))
    read_folder(*set, place, split);
  else
    read_archive(*set, place, split);
  return set;
}

}  // namespace deq
