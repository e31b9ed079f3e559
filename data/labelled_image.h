#pragma once

#include <array>

#include "data/example.h"
#include "data/image.h"
#include "data/pixel_labels.h"
#include "data/random.h"

namespace deq {

/// An image and the class of each of its pixels (or kNoLabel); both have one size.
struct LabelledImage {
  Image image;
  PixelLabels labels;
};

/// Size of an image of height x width when it is scaled, aspect kept, to just fit into max_height x max_width.
struct FittedSize {
  int height = 0;
  int width = 0;
};
FittedSize fitted_size(int height, int width, int max_height, int max_width);

/// The image scaled to just fit into height x width, at the top left, black below or to the right. An image of that
/// size stays as it is.
Image fitted_inside(const Image& image, int height, int width);

/// Writes the example that evaluation sees: as fitted_inside, with kNoLabel around.
void fit_example(const LabelledImage& from, int height, int width, Example& out);

/// Writes a random example of height x width pixels; what happens to the image happens to the labels.
/// Scales both by a factor drawn from scale[0], scale[0] + 0.1, ... up to scale[1] (the image bilinearly, labels by the
/// nearest pixel), extends them below and to the right when that is too small (black before normalisation, kNoLabel),
/// cuts out a random part and mirrors it with probability 1/2.
/// Source: the Cityscapes training of Sun et al., Deep High-Resolution Representation Learning, CVPR 2019.
void augment_example(const LabelledImage& from, int height, int width, const std::array<double, 2>& scale,
                     KeyedRandom& random, Example& out);

}  // namespace deq
