#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/model.h"

namespace deq {

/// What a checkpoint is loaded for, which decides the keys of its configuration that --set may change.
enum class CheckpointUse : std::uint8_t { eval, predict_files, predict_tensor, audit_set, audit_tensor };

/// Names of keys that --set changed.
using GivenKeys = std::set<std::string_view>;

/// The keys that `use` reads of a checkpoint and that leave the meaning of its parameters alone, sorted by name. Of a
/// model in pre-training, which applies f instead of solving, inference reads other keys than those of the solver.
std::vector<std::string_view> settable_keys(const LoadedModel& loaded, CheckpointUse use);

/// Puts `assignments`, "section.key=value" each, into the configuration of `loaded`; of equal keys the last one holds.
/// Errors (RequestError): as override_key; a key that is not among the settable ones (says why, and which are); values
/// that contradict each other.
GivenKeys override_checkpoint(LoadedModel& loaded, std::span<const std::string> assignments, CheckpointUse use);

/// Refuses the flag `flag`, which was given, beside a --set of the key that it stands for.
/// Errors: RequestError naming both.
void require_unset(const GivenKeys& given, std::string_view key, std::string_view flag);

}  // namespace deq
