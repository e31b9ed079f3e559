#include "data/image_folder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"
#include "data/class_folders.h"
#include "data/image.h"

namespace deq {

ImageFolder read_image_folder(const std::filesystem::path& directory, Split split, const ImageFolderOptions& options) {
  constexpr std::array<std::string_view, 2> kTestNames = {"test", "val"};
  const ClassFolders folders = list_class_folders(directory, split, kTestNames);
  auto set = std::make_shared<ImageSet>(DatasetInfo{.name = "folder",
                                                    .image_shape = {options.height, options.width, 3},
                                                    .class_names = folders.class_names,
                                                    .normalisation = imagenet_normalisation(),
                                                    .serves_both_splits = folders.serves_both_splits});
  ImageFolder out;
  for (std::size_t i = 0; i < folders.files.size(); ++i) {
    try {
      const Image image = fitted(read_image(folders.files[i]), options.height, options.width);
      std::ranges::copy(image.pixels, set->append(folders.labels[i]).begin());
    } catch (const RequestError& error) {
      if (options.bad_images == BadImagePolicy::fail) throw;
      out.skipped.emplace_back(error.what());
    }
  }
  require(set->size() > 0, folders.part.string(), "holds no readable image",
          out.skipped.empty() ? std::string()
                              : concat("; the first of ", out.skipped.size(), " bad files: ", out.skipped.front()));
  out.images = std::move(set);
  return out;
}

}  // namespace deq
