#include "train/commands/plot.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "train/durable_file.h"
#include "train/json_text.h"
#include "train/message_line.h"
#include "train/output_folder.h"
#include "train/run_figure.h"
#include "train/run_history.h"
#include "train/run_report.h"

namespace deq {

namespace {

using Json = nlohmann::ordered_json;

void print_json(const PlotRequest& request, const std::vector<RunHistory>& runs) {
  Json json = {{"file", request.out.string()}, {"runs", Json::array()}};
  for (const RunHistory& run : runs)
    json["runs"].push_back({{"name", run.name},
                            {"folder", run.folder.string()},
                            {"training_records", run.training.size()},
                            {"evaluations", run.evaluations.size()},
                            {"notes", run.notes}});
  std::cout << json_text(json);
}

}  // namespace

int run_plot(const PlotRequest& request) {
  const std::string extension = request.out.extension().string();
  require(extension == ".html" || extension == ".svg" || extension == ".png", "--out", "'", request.out.string(),
          "' should end in .html, .svg or .png");
  const std::vector<RunHistory> runs = read_run_histories(request.runs);
  check_output_file(request.out, "--out");
  for (const RunHistory& run : runs)
    for (const std::string& note : run.notes) std::cerr << "deq: note: " << message_line(note) << "\n";
  if (extension == ".html")
    write_durably(request.out, run_report(runs));
  else
    write_figure(run_figure(runs), request.out);
  if (request.run.is_json)
    print_json(request, runs);
  else
    std::cout << request.out.string() << "\n";
  return 0;
}

}  // namespace deq
