#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "train/run_history.h"

namespace deq {

/// One line of a table with a value for every run.
struct RunFact {
  std::string name;
  std::vector<std::string> values;
};

/// What the runs reached: from summary.json of a run that has ended, else from its records.
std::vector<RunFact> run_facts(std::span<const RunHistory> runs);

/// Keys of the configuration whose values differ between the runs; for one run every key.
std::vector<RunFact> config_facts(std::span<const RunHistory> runs);

/// A page of HTML in one file, without scripts and without anything to fetch: the tables and the curves as SVG.
std::string run_report(std::span<const RunHistory> runs);

}  // namespace deq
