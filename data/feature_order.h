#pragma once

#include "data/tabular.h"

namespace deq {

/// The same set with the features that most samples have first (those of both parts count; ties as they stand). Names
/// of features mean nothing to a model whose penalty does not tell them apart, and products gain: the weights of the
/// words that make up most of a text then lie side by side in the first cache.
TabularSet with_frequent_features_first(const TabularSet& set);

}  // namespace deq
