#pragma once

#include <cstddef>
#include <filesystem>
#include <istream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace deq {

/// An image to answer about: a file, which is read when it is asked for, or the bytes of a stream.
class ImageSource {
 public:
  explicit ImageSource(std::filesystem::path file) : name_(std::move(file)) {}
  /// Reads `stream` to its end. Errors: RequestError when it is longer than 256 MiB.
  static ImageSource from_stream(std::istream& stream);

  /// The file, or "-" for a stream.
  [[nodiscard]] std::string name() const { return name_.string(); }
  /// What files about the image are called after: the file's name without its ending, or "stdin".
  [[nodiscard]] std::string stem() const;
  /// Errors: as read_image.
  [[nodiscard]] Image read() const;

 private:
  std::filesystem::path name_;
  std::shared_ptr<const std::vector<std::byte>> bytes_;  ///< of a stream; null: the file's are read
};

/// Images in the order in which they are asked about, and what was left out on the way.
struct ImageSources {
  std::vector<ImageSource> images;
  std::vector<std::string> notes = {};  ///< one sentence for each folder that holds other files too
};

/// The images of `arguments`: a file is one, a folder the image files in it (by their ending) in order of their names,
/// without those of its folders and hidden ones, and "-" is `stream`.
/// Errors (RequestError): a folder without image files; "-" given twice; as from_stream.
ImageSources image_sources(std::span<const std::filesystem::path> arguments, std::istream& stream);

}  // namespace deq
