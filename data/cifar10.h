#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"

namespace deq {

/// The classes by their number.
inline constexpr std::array<std::string_view, 10> kCifar10Classes = {
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};

/// Where CIFAR-10 lies: the first of these that exists in `directory` or in `directory`/cifar-10: the folder
/// cifar-10-batches-bin, the folder itself when it has any of `names`, the archive cifar-10-binary.tar.gz. Empty
/// without.
std::filesystem::path find_cifar10(const std::filesystem::path& directory, const std::vector<std::string>& names);

/// Reads one split of CIFAR-10 (A. Krizhevsky, 2009; binary version) into memory, from where find_cifar10 finds
/// it. Errors: RequestError naming the file that is missing, damaged or of the wrong size, what
/// was expected, and how to get the data.
std::shared_ptr<const ImageSet> read_cifar10(const std::filesystem::path& directory, Split split);

}  // namespace deq
