#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>

#include "train/commands/audit.h"
#include "train/commands/bench.h"
#include "train/commands/data.h"
#include "train/commands/data_fetch.h"
#include "train/commands/eval.h"
#include "train/commands/import.h"
#include "train/commands/info.h"
#include "train/commands/new_project.h"
#include "train/commands/plot.h"
#include "train/commands/predict.h"
#include "train/commands/train.h"
#include "train/commands/tune.h"

namespace deq {

/// What a command line asks for.
using Request = std::variant<TrainRequest, EvalRequest, PredictRequest, InfoRequest, BenchRequest, DataListRequest,
                             DataExportRequest, DataVerifyRequest, DataFetchRequest, ImportRequest, AuditRequest,
                             TuneRequest, PlotRequest, NewProjectRequest>;

/// Reads the arguments after the program's name. Empty when help or the version was asked for; it is then in `text`.
/// Errors: RequestError for an unknown command or flag, a missing or malformed argument.
std::optional<Request> parse_command_line(std::span<const std::string> arguments, std::string& text);

}  // namespace deq
