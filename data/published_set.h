#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/download.h"

namespace deq {

/// A file of a data set as its authors publish it.
struct PublishedFile {
  std::string_view name;
  std::string_view url;
  std::string_view sha256;
  std::int64_t bytes;
};

/// A data set that can be fetched.
struct PublishedSet {
  std::string_view name;    ///< as `data.name` has it
  std::string_view folder;  ///< its own folder below the data folder
  std::string_view terms;   ///< as they are commonly stated
  std::span<const PublishedFile> files;
};

std::span<const PublishedSet> published_sets();

/// Errors: RequestError when no published set is called `name`: where to get it, or which there are.
const PublishedSet& published_set(std::string_view name);

enum class FetchState : std::uint8_t { fetched, already_there, interrupted };

/// Fetches a file into `folder`. It arrives as NAME.part, where an interrupted fetch goes on, and takes its name once
/// its sum is right.
/// @param mirror where else the files lie, a URL without their names; empty: where they are published
/// Errors: as download; RequestError when another file of that name is there; Error when the sum is not the published
/// one, and what has arrived is then gone.
FetchState fetch(const PublishedFile& file, const std::filesystem::path& folder, const std::string& mirror,
                 const OnBytes& on_bytes);

}  // namespace deq
