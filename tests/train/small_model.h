#pragma once

#include "data/loader.h"
#include "train/model.h"

namespace deq::test {

/// Two branches of eight channels on 8x8 images: every part of the model, in milliseconds.
Config tiny_config();

/// Normal pixels; labels 0, 1, 2, ...
Batch random_batch(const Config& config, int size, unsigned seed);

/// Changes the parameters of `tiny_config` so that the solve converges: the state enters f weakly, because the
/// injection is large and whatever passes a state on by itself is scaled down before it is added.
void make_contractive(Model& model);

}  // namespace deq::test
