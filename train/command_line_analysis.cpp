#include <sstream>

#include "core/error.h"
#include "solvers/bilevel/method_preset.h"
#include "solvers/names.h"
#include "train/audit.h"
#include "train/command_line_parts.h"
#include "train/config_keys.h"

namespace deq {

namespace {

std::vector<std::string> split_estimators(const std::string& list) {
  std::vector<std::string> names;
  std::istringstream in(list);
  for (std::string name; std::getline(in, name, ',');) {
    require(is_estimator_name(name), "--estimators", "'", name, "' is not one of ", estimator_names());
    names.push_back(name);
  }
  return names;
}

void check_audit(const AuditRequest& request) {
  require(request.tensor.empty() == request.labels.empty(), "audit", "--tensor and --labels go together");
  require(request.tensor.empty() || request.data.empty(), "audit", "give --data or --tensor, not both");
  const std::filesystem::path extension = request.plot.extension();
  require(request.plot.empty() || extension == ".svg" || extension == ".png", "--plot", "'", request.plot.string(),
          "' should end in .svg or .png");
}

/// Names that the solvers know; the error for others lists them.
std::vector<std::string> audited_estimators(const std::string& list) {
  if (list.empty()) return audited_by_default();
  std::vector<std::string> names;
  std::istringstream in(list);
  for (std::string name; std::getline(in, name, ',');) {
    (void)adjoint_from_name(name);
    names.push_back(name);
  }
  return names;
}

}  // namespace

void add_bench(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(app, "bench", "Measure a training step and its parts on random input",
                                  "deq bench train/configs/cifar10-mdeq-tiny.toml --batch 32 --estimators shine,jfb");
  BenchRequest& request = parsed.bench;
  command->add_option("config", request.config, "configuration (TOML)")->required();
  add_set_option(*command, request.overrides);
  command->add_option("--batch", request.batch, "images at once; default: as configured")
      ->transform(whole_number(1, 1 << 20));
  command->add_option("--repeats", request.repeats, concat("timed repetitions; default: ", request.repeats))
      ->transform(whole_number(1, 100000));
  command->add_option("--estimators", parsed.estimators,
                      "gradient estimators, separated by commas; default: the configured one");
  add_run_options(*command, request.run, parsed);
  command->final_callback([command, &parsed] {
    parsed.finish = [command, &parsed]() -> Request {
      BenchRequest out = parsed.bench;
      out.run = finish_run(*command, out.run, parsed);
      out.estimators = split_estimators(parsed.estimators);
      return out;
    };
  });
}

void add_audit(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(app, "audit", "Compare gradient estimators with the exact gradient",
                                  "deq audit runs/shapes/checkpoints/best --batch 32 --plot gradients.svg");
  AuditRequest& request = parsed.audit;
  command->add_option("checkpoint", request.checkpoint, "checkpoint folder or model.safetensors")->required();
  command->add_option("--data", request.data, kDataFlag);
  command->add_option("--tensor", request.tensor, "normalised images instead, float32 .npy of shape [N, C, H, W]");
  command->add_option("--labels", request.labels, "their classes, int64 .npy of shape [N]");
  command->add_option("--estimators", parsed.audit_estimators,
                      "gradient estimators, separated by commas; default: about 20 of them");
  command->add_option("--batch", request.batch, "images at once; default: the whole tensor, or as configured")
      ->transform(whole_number(1, 1 << 20));
  command->add_option("--batches", request.batches, "batches to average over; default: the whole tensor, or 1")
      ->transform(whole_number(1, kLargest));
  add_set_option(*command, request.overrides, "solver.*, compute.*, some of data.*");
  add_solver_limits(*command, request.tolerance, request.max_steps,
                    concat("as configured, of the exact adjoint ", kExactTolerance),
                    concat("as configured, of the exact adjoint ", kExactSteps));
  command
      ->add_option("--differences", request.differences,
                   concat("directions in which the exact gradient is checked against differences of the loss; 0: none; "
                          "default: ",
                          request.differences))
      ->transform(whole_number(0, 1000));
  command->add_option("--plot", request.plot, "chart of error against cost, .svg or .png; default: none");
  command->add_option("--save-gradients", request.save_gradients,
                      "folder for one safetensors file an estimator; default: none");
  add_run_options(*command, request.run, parsed);
  command->final_callback([command, &parsed] {
    parsed.finish = [command, &parsed]() -> Request {
      AuditRequest out = parsed.audit;
      check_audit(out);
      out.estimators = audited_estimators(parsed.audit_estimators);
      out.run = finish_run(*command, out.run, parsed);
      return out;
    };
  });
}

void add_tune(CLI::App& app, Parsed& parsed) {
  CLI::App* command =
      add_command(app, "tune", "Tune hyper-parameters of a model by hypergradients, comparing methods",
                  "deq tune train/configs/tune-20news.toml --method hoag,shine --seeds 3 --out runs/20news");
  TuneRequest& request = parsed.tune;
  command->add_option("config", request.config, "configuration (TOML)")->required();
  command->add_option("--method", request.methods,
                      concat("methods, separated by commas: ", method_preset_names(), "; default: as configured"));
  command->add_option("--seeds", request.seeds, "number of seeds, from --seed or 0 on; default: as configured")
      ->transform(whole_number(1, 10000));
  command->add_option("--data", request.data, kDataFlag);
  command->add_option("--out", request.out,
                      "folder of traces, summary and plots; default: runs/NAME, NAME of the configuration's file");
  command->add_flag("--dry-run", request.is_dry_run, "print the whole configuration and do nothing");
  auto* audit = command->add_flag("--audit", request.is_audit,
                                  "compare each method's hypergradient with the exact one along HOAG's path");
  command
      ->add_flag("--inverse-quality", request.is_inverse_quality,
                 "compare the inverse that the inner solver leaves with the exact one")
      ->excludes(audit);
  add_run_options(*command, request.run, parsed);
  command->final_callback([command, &parsed] {
    parsed.finish = [command, &parsed]() -> Request {
      require(parsed.device.empty() || parsed.device == "cpu", "--device", "'", parsed.device,
              "' asked for, but deq tune computes on the CPU alone; use --device cpu");
      TuneRequest out = parsed.tune;
      out.run = finish_run(*command, out.run, parsed);
      if (out.out.empty()) out.out = std::filesystem::path("runs") / out.config.stem();
      return out;
    };
  });
}

void add_plot(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(app, "plot", "Draw the curves of training runs, several runs over each other",
                                  "deq plot runs/shapes runs/shapes-jfb -o comparison.html");
  PlotRequest& request = parsed.plot;
  command->add_option("runs", request.runs, "folders of runs: what deq train --out was given")->required();
  command->add_option("-o,--out", request.out,
                      ".html (a report in one file), .svg or .png; default: report.html in the first folder");
  add_run_options(*command, request.run, parsed);
  command->final_callback([command, &parsed] {
    parsed.finish = [command, &parsed]() -> Request {
      PlotRequest out = parsed.plot;
      out.run = finish_run(*command, out.run, parsed);
      if (out.out.empty()) out.out = out.runs.front() / "report.html";
      return out;
    };
  });
}

}  // namespace deq
