#pragma once

#include "core/samples.h"

namespace deq {

/// The samples of each level: w is fitted to `train`, lambda to `validation`; `test` is only reported on and may be
/// empty. Copies share the features.
struct BilevelSamples {
  Samples train;
  Samples validation;
  Samples test;
};

}  // namespace deq
