#pragma once

#include "train/commands/predict.h"
#include "train/segmentation_predictor.h"

namespace deq {

/// deq predict CKPT IMAGE... of a segmentation model: writes label maps and overlays, prints what each image holds.
/// @returns exit status: predict_status
int predict_labels(const PredictRequest& request, std::span<const ImageSource> sources, const LoadedModel& loaded,
                   Backend& backend);

}  // namespace deq
