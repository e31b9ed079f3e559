#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "train/checkpoint.h"

namespace deq {

/// A checkpoint made of weights of the reference implementation, and what was done to them on the way.
struct ImportedModel {
  Checkpoint checkpoint;
  std::vector<std::string> ignored;  ///< tensors that no MDEQ needs, by their name in the file
  std::vector<std::string> notes;    ///< one sentence for each setting that the weights overrule
};

/// Matches `weights` with the MDEQ of `config`. Tolerated as published files have them: the prefixes `model.` and
/// `module.`; the copies `fullstage_copy.*` and the counters `*.num_batches_tracked`, which are left out; post-fuse
/// normalisations that are affine where the configuration says they are not, or the other way about.
/// Classes get the names that those of the configured set have wherever it lies (data/class_names.h).
/// Errors (RequestError starting with `place`): lists missing, surplus and misshapen tensors; a tensor given twice;
/// a value that is not finite.
ImportedModel import_mdeq(const Config& config, NamedTensors weights, std::string_view place);

}  // namespace deq
