#include "train/image_source.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "core/counted.h"
#include "core/error.h"
#include "data/class_folders.h"

namespace deq {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStream = "-";

bool has_image_name(const fs::path& file) {
  constexpr std::array<std::string_view, 9> kEndings = {".png", ".jpg", ".jpeg", ".bmp", ".gif",
                                                        ".tga", ".pnm", ".ppm",  ".pgm"};
  std::string ending = file.extension().string();
  std::ranges::transform(ending, ending.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::find(kEndings, ending) != kEndings.end();
}

void append_folder(const fs::path& folder, ImageSources& out) {
  const std::size_t before = out.images.size();
  std::int64_t others = 0;
  for (const fs::path& file : entries_of(folder, /*are_folders=*/false)) {
    if (fs::is_regular_file(file) && has_image_name(file))
      out.images.emplace_back(file);
    else
      ++others;
  }
  const auto folders = std::ssize(entries_of(folder, /*are_folders=*/true));
  const char* const endings = "(.png, .jpg, .bmp, ..)";
  require(out.images.size() > before, folder.string(), "holds no image file ", endings, ", but ",
          counted(others, "other file"), " and ", counted(folders, "folder"), ", which are not entered");
  if (others > 0)
    out.notes.push_back(concat("skipped ", counted(others, "file"), " of '", folder.string(),
                               "' without the ending of an image ", endings));
}

}  // namespace

ImageSource ImageSource::from_stream(std::istream& stream) {
  constexpr std::size_t kMost = std::size_t{256} << 20, kPiece = std::size_t{1} << 16;
  auto bytes = std::make_shared<std::vector<std::byte>>();
  while (stream.good()) {
    const std::size_t size = bytes->size();
    require(size <= kMost, "standard input", "is longer than 256 MiB, expected one image");
    bytes->resize(size + kPiece);
    stream.read(reinterpret_cast<char*>(bytes->data() + size), kPiece);
    bytes->resize(size + static_cast<std::size_t>(stream.gcount()));
  }
  ImageSource out{fs::path(kStream)};
  out.bytes_ = std::move(bytes);
  return out;
}

std::string ImageSource::stem() const { return bytes_ ? "stdin" : name_.stem().string(); }

Image ImageSource::read() const { return bytes_ ? decode_image(*bytes_, "standard input") : read_image(name_); }

ImageSources image_sources(std::span<const fs::path> arguments, std::istream& stream) {
  require(std::ranges::count(arguments, fs::path(kStream)) <= 1, "predict",
          "standard input ('-') holds one image, but is given twice; a file of that name is './-'");
  ImageSources out;
  for (const fs::path& argument : arguments) {
    std::error_code ignored;
    if (argument == kStream)
      out.images.push_back(ImageSource::from_stream(stream));
    else if (fs::is_directory(argument, ignored))
      append_folder(argument, out);
    else
      out.images.emplace_back(argument);
  }
  return out;
}

}  // namespace deq
