#pragma once

#include <filesystem>
#include <memory>

#include "data/dataset.h"

namespace deq {

/// Reads one split of CIFAR-10 (A. Krizhevsky, 2009; binary version) into memory, from the first of these that exists
/// in `directory` or in `directory`/cifar-10: the folder cifar-10-batches-bin, the .bin files themselves, the archive
/// cifar-10-binary.tar.gz. Errors: RequestError naming the file that is missing, damaged or of the wrong size, what
/// was expected, and how to get the data.
std::shared_ptr<const ImageSet> read_cifar10(const std::filesystem::path& directory, Split split);

}  // namespace deq
