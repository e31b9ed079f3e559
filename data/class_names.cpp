#include "data/class_names.h"

#include "data/cifar10.h"
#include "data/cityscapes.h"
#include "data/digits.h"
#include "data/outline.h"
#include "data/shape_scenes.h"

namespace deq {

std::vector<std::string> fixed_class_names(std::string_view name) {
  if (name == "cifar10") return {kCifar10Classes.begin(), kCifar10Classes.end()};
  if (name == "digits") return {kDigitClasses.begin(), kDigitClasses.end()};
  if (name == "shapes") return {kOutlineNames.begin(), kOutlineNames.end()};
  if (name == "shapes-seg") return {kSceneClasses.begin(), kSceneClasses.end()};
  if (name == "cityscapes") return {kCityscapesClasses.begin(), kCityscapesClasses.end()};
  return {};
}

}  // namespace deq
