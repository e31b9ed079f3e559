#include "train/command_line.h"

#include "core/error.h"
#include "train/build_info.h"
#include "train/command_line_parts.h"
#include "train/nearest.h"

namespace deq {

namespace {

void add_train(CLI::App& app, Parsed& parsed) {
  CLI::App* command =
      add_command(app, "train", "Train a model from a configuration",
                  "deq train train/configs/shapes-mdeq.toml --out runs/shapes --set train.batch_size=32");
  TrainRequest& request = parsed.train;
  command->add_option("config", request.config, "configuration (TOML)")->required();
  command->add_option("--data", request.data, kDataFlag);
  command->add_option("--out", request.out, "folder of the run; default: runs/NAME, NAME of the configuration's file");
  command->add_option(
      "--weights", request.weights,
      "checkpoint whose weights training begins from, as train.initial_weights; default: drawn weights");
  add_set_option(*command, request.overrides);
  command->add_flag("--resume", request.is_resume, "go on from the last checkpoint of the run");
  command
      ->add_option("--max-steps", request.max_steps,
                   "stop, saved, once the run has this many steps; default: at its end")
      ->transform(whole_number(1, kLargest));
  command->add_flag("--dry-run", request.is_dry_run, "print the plan and train nothing");
  add_run_options(*command, request.run, parsed);
  command->final_callback([command, &parsed] {
    parsed.finish = [command, &parsed]() -> Request {
      TrainRequest out = parsed.train;
      out.run = finish_run(*command, out.run, parsed);
      if (out.out.empty()) out.out = std::filesystem::path("runs") / out.config.stem();
      return out;
    };
  });
}

void add_inference_limits(CLI::App& command, SolverLimits& limits) {
  add_solver_limits(command, limits.tolerance, limits.max_steps);
  command
      .add_option(
          "--time-budget", limits.time_budget_ms,
          "milliseconds the solve of one batch may take, checked once a step; 0: no limit; default: as configured")
      ->transform(finite_number(0));
  command.add_flag_callback(
      "--no-compaction", [&limits] { limits.has_compaction = false; },
      "where the images of a batch are computed together, go on with those whose solve has stopped, for comparison");
}

void add_eval(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(app, "eval", "Evaluate a checkpoint on a data set",
                                  "deq eval runs/shapes/checkpoints/best --split test --limit 1000 --json");
  EvalRequest& request = parsed.eval;
  command->add_option("checkpoint", request.checkpoint, "checkpoint folder or model.safetensors")->required();
  command->add_option("--data", request.data, kDataFlag);
  command->add_option("--split", request.split, "test or train; default: test")
      ->check(CLI::IsMember({"test", "train"}));
  command->add_option("--limit", request.limit, "most images; default: all")->transform(whole_number(1, kLargest));
  command->add_option("--batch", request.batch, "images at once; default: as configured")
      ->transform(whole_number(1, 1 << 20));
  add_set_option(*command, request.overrides, "solver.*, compute.*, model.inference_output, some of data.*");
  add_inference_limits(*command, request.limits);
  add_run_options(*command, request.run, parsed);
  answer_with(*command, parsed, &Parsed::eval);
}

void check_predict(const PredictRequest& request) {
  const bool has_tensor = !request.tensor.empty();
  require(has_tensor || !request.images.empty(), "predict", "nothing to classify: give image files or --tensor x.npy");
  require(!has_tensor || request.images.empty(), "predict", "give image files or --tensor, not both");
  require(has_tensor == !request.save_logits.empty(), "predict", "--tensor and --save-logits go together");
  require(!has_tensor || request.sheet.empty(), "predict", "--sheet shows image files, not --tensor");
}

void add_predict(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(app, "predict", "Classify image files, their pixels, or a tensor",
                                  "deq predict runs/shapes/checkpoints/best cat.png dog.png --top-k 3");
  PredictRequest& request = parsed.predict;
  command->add_option("checkpoint", request.checkpoint, "checkpoint folder or model.safetensors")->required();
  command->add_option("images", request.images,
                      "image files (PNG, JPEG, BMP, ..), folders of them, - for one on standard input");
  command->add_option("--top-k", request.top_k, concat("classes listed for an image; default: ", request.top_k))
      ->transform(whole_number(1, kLargest));
  command->add_option("--save-dir", request.save_dir,
                      "folder of label maps and overlays of a segmentation model; default: predictions");
  command->add_option("--sheet", request.sheet, "PNG that shows every image with its answer; default: none");
  command->add_option("--tensor", request.tensor, "normalised images, float32 .npy of shape [N, C, H, W]");
  command->add_option(
      "--save-logits", request.save_logits,
      "where the logits of --tensor go, .npy [N, classes], in segmentation [N, classes, rows, columns]");
  add_set_option(*command, request.overrides, "solver.*, compute.*, model.inference_output");
  add_inference_limits(*command, request.limits);
  add_run_options(*command, request.run, parsed);
  command->final_callback([command, &parsed] {
    parsed.finish = [command, &parsed]() -> Request {
      PredictRequest out = parsed.predict;
      check_predict(out);
      out.run = finish_run(*command, out.run, parsed);
      return out;
    };
  });
}

void add_info(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(app, "info", "Describe this build and machine, a checkpoint or a configuration",
                                  "deq info runs/shapes/checkpoints/best");
  command->add_option("checkpoint", parsed.info.checkpoint, "checkpoint folder, model.safetensors or CONFIG.toml");
  add_run_options(*command, parsed.info.run, parsed);
  answer_with(*command, parsed, &Parsed::info);
}

void add_data_list(CLI::App& data, Parsed& parsed) {
  CLI::App* command = add_command(data, "list", "List the data sets known by name", "deq data list");
  add_run_options(*command, parsed.data_list.run, parsed);
  answer_with(*command, parsed, &Parsed::data_list);
}

void add_data_export(CLI::App& data, Parsed& parsed) {
  CLI::App* command = add_command(data, "export", "Write images of a data set as PNG files called CLASS-INDEX.png",
                                  "deq data export shapes --split test --count 40 --out images");
  DataExportRequest& request = parsed.data_export;
  command->add_option("name", request.name, "data set, see deq data list")->required();
  command->add_option("--data", request.data, "folder with the data; default: DEQ_DATA_DIR");
  command->add_option("--split", request.split, "test or train; default: test")
      ->check(CLI::IsMember({"test", "train"}));
  command->add_option("--count", request.count, concat("images; default: ", request.count))
      ->transform(whole_number(1, 99999));
  command->add_option("--out", request.out, "folder of the images")->required();
  add_run_options(*command, request.run, parsed);
  answer_with(*command, parsed, &Parsed::data_export);
}

void add_data_verify(CLI::App& data, Parsed& parsed) {
  CLI::App* command =
      add_command(data, "verify", "Compare files with their published sums: SHA256SUMS, cifar10, a checkpoint",
                  "deq data verify data/cifar-10");
  command->add_option("path", parsed.data_verify.path, "folder, SHA256SUMS, archive of cifar10 or checkpoint")
      ->required();
  add_run_options(*command, parsed.data_verify.run, parsed);
  answer_with(*command, parsed, &Parsed::data_verify);
}

void add_data_fetch(CLI::App& data, Parsed& parsed) {
  CLI::App* command = add_command(data, "fetch", "Download a published data set and check its sums",
                                  "deq data fetch cifar10 --data datasets");
  DataFetchRequest& request = parsed.data_fetch;
  command->add_option("name", request.name, "data set, see deq data list")->required();
  command->add_option("--data", request.data, "folder for data sets; default: DEQ_DATA_DIR");
  command->add_option("--from", request.mirror, "URL of a folder with the files; default: where they are published");
  add_run_options(*command, request.run, parsed);
  answer_with(*command, parsed, &Parsed::data_fetch);
}

void add_data(CLI::App& app, Parsed& parsed) {
  CLI::App* data =
      add_command(app, "data", "List, fetch or verify data sets, or write their images as files", "deq data list");
  data->require_subcommand(1);
  add_data_list(*data, parsed);
  add_data_fetch(*data, parsed);
  add_data_export(*data, parsed);
  add_data_verify(*data, parsed);
}

void add_import(CLI::App& app, Parsed& parsed) {
  CLI::App* family = add_command(app, "import", "Make a checkpoint of weights from elsewhere",
                                 "deq import mdeq --config model.toml --weights weights.safetensors --out checkpoint");
  family->require_subcommand(1);
  CLI::App* command = add_command(*family, "mdeq", "Weights under the names of the reference implementation of MDEQ",
                                  "deq import mdeq --config model.toml --weights weights.safetensors --out checkpoint");
  ImportRequest& request = parsed.import_mdeq;
  command->add_option("--config", request.config, "configuration of the model (TOML)")->required();
  command->add_option("--weights", request.weights, "the weights (safetensors)")->required();
  command->add_option("--out", request.out, "folder of the checkpoint")->required();
  add_run_options(*command, request.run, parsed);
  answer_with(*command, parsed, &Parsed::import_mdeq);
}

void add_new(CLI::App& app, Parsed& parsed) {
  CLI::App* command = add_command(app, "new", "Make a CMake project with a model and a trainer of your own",
                                  "deq new mymodel && cmake -S mymodel -B mymodel/build");
  NewProjectRequest& request = parsed.new_project;
  command->add_option("name", request.folder, "folder to make; its last part is the project's name")->required();
  add_run_options(*command, request.run, parsed);
  answer_with(*command, parsed, &Parsed::new_project);
}

/// CLI11 would only say that the word was not expected. `called`: the words before the arguments.
void check_command_name(const CLI::App& app, std::span<const std::string> arguments, const std::string& called) {
  if (arguments.empty() || arguments.front().starts_with('-')) return;
  const std::string& word = arguments.front();
  std::vector<std::string_view> names;
  std::string all;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == word) return check_command_name(*command, arguments.subspan(1), called + " " + word);
    names.emplace_back(command->get_name());
    all += concat(all.empty() ? "" : ", ", command->get_name());
  }
  if (names.empty()) return;  // a command that takes files or names
  throw RequestError(concat("unknown command '", word, "'; did you mean '", nearest_name(word, names), "'? ", called,
                            " has ", all, " (see ", called, " --help)"));
}

/// Text is never empty, of no option of any command.
void refuse_empty_text(CLI::App& app) {
  for (CLI::Option* option : app.get_options([](const CLI::Option*) { return true; }))
    if (option->get_type_name() == "TEXT") option->check(not_empty(option->get_description()));
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) refuse_empty_text(*command);
}

}  // namespace

std::optional<Request> parse_command_line(std::span<const std::string> arguments, std::string& text) {
  CLI::App app("deq: deep equilibrium models in C++", "deq");
  app.set_version_flag("--version", "deq " + std::string(build_info().version));
  app.require_subcommand(1);
  app.footer("deq COMMAND --help tells more. Example:\n  deq train train/configs/shapes-mdeq.toml --out runs/shapes\n");
  Parsed parsed;
  add_train(app, parsed);
  add_eval(app, parsed);
  add_predict(app, parsed);
  add_info(app, parsed);
  add_bench(app, parsed);
  add_data(app, parsed);
  add_import(app, parsed);
  add_audit(app, parsed);
  add_tune(app, parsed);
  add_plot(app, parsed);
  add_new(app, parsed);
  refuse_empty_text(app);
  check_command_name(app, arguments, "deq");
  try {
    // CLI11 takes the arguments last first.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    text = app.help();
    return std::nullopt;
  } catch (const CLI::CallForVersion& version) {
    text = std::string(version.what()) + "\n";
    return std::nullopt;
  } catch (const CLI::ParseError& failure) {
    const auto called = app.get_subcommands();
    throw RequestError(
        concat(failure.what(), " (see deq ", called.empty() ? "" : called.front()->get_name() + " ", "--help)"));
  }
  return parsed.finish();
}

}  // namespace deq
