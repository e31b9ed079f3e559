#include "train/trainer.h"

#include <algorithm>
#include <cmath>

#include "core/counted.h"
#include "core/depth_first.h"
#include "data/file.h"
#include "train/durable_file.h"
#include "train/interrupt.h"
#include "train/run_memory.h"
#include "train/same_run.h"

namespace deq {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

std::string number(double value) { return concat(value); }
std::string percent(double share) { return concat(std::round(share * 10000) / 100, " %"); }

/// Doubles pass through text without loss.
std::string exact(double value) {
  std::ostringstream out;
  out.precision(17);
  out << value;
  return out.str();
}

bool is_finite(const Tensor& tensor) {
  return tensor.dtype() != DType::f32 ||
         std::ranges::all_of(tensor.data<float>(), [](float value) { return std::isfinite(value); });
}

double counter(const Checkpoint& checkpoint, const std::string& name) {
  const auto it = checkpoint.counters.find(name);
  require(it != checkpoint.counters.end(), "resume", "the checkpoint's state has no counter '", name, "'");
  return std::stod(it->second);
}

/// A counter that earlier versions did not save.
double counter(const Checkpoint& checkpoint, const std::string& name, double otherwise) {
  return checkpoint.counters.contains(name) ? counter(checkpoint, name) : otherwise;
}

}  // namespace

std::int64_t total_steps(const TrainConfig& train, std::int64_t train_images) {
  if (train.total_steps > 0) return train.total_steps;
  return std::max<std::int64_t>(1, train_images / train.batch_size) * train.epochs;
}

Trainer::Trainer(const Config& config, std::shared_ptr<const Dataset> train_set,
                 std::shared_ptr<const Dataset> test_set, Backend& backend, TrainerOptions options)
    : config_(config),
      train_set_(std::move(train_set)),
      test_set_(std::move(test_set)),
      backend_(backend),
      options_(std::move(options)),
      model_(config),
      optimizer_(config.optimizer, model_.store),
      total_(total_steps(config.train, train_set_->size())),
      schedule_(config.schedule, config.optimizer.lr, total_),
      jacobian_(config.train, config.solver.max_steps),
      progress_(progress_style(options_.is_quiet)) {
  std::filesystem::create_directories(options_.out / "checkpoints");
  lock_ = std::make_unique<FolderLock>(options_.out);
  for (const char* file : {"config.toml", "metrics.jsonl", "summary.json"}) remove_unfinished(options_.out / file);
  const std::filesystem::path last = options_.out / "checkpoints" / "last";
  const bool has_last = has_checkpoint(last);
  require(has_last || !std::filesystem::exists(last) || std::filesystem::is_empty(last), last.string(),
          "is damaged: it has no model.safetensors; move it away to begin at step 0");
  if (options_.is_resume && has_last) {
    resume();
    write_durably(options_.out / "config.toml", write_config(config_));  // rates and limits may have changed
    return;
  }
  if (options_.is_resume)
    progress_.note(concat("'", options_.out.string(), "' holds no checkpoints/last yet; the run begins at step 0"));
  require(options_.is_resume || !has_last, "train", "'", options_.out.string(),
          "' already holds a run; continue it with --resume or choose another --out");
  for (const auto& [name, tensor] : options_.initial_weights) model_.store.set(name, tensor);
  options_.initial_weights.clear();
  write_durably(options_.out / "config.toml", write_config(config_));
  metrics_ = std::make_unique<MetricsWriter>(options_.out / "metrics.jsonl");
}

void Trainer::resume() {
  const std::filesystem::path folder = options_.out / "checkpoints" / "last";
  const Checkpoint checkpoint = load_checkpoint(folder, CheckpointParts::all);
  require_same_run(checkpoint.config, config_, options_.out);
  config_.train.initial_weights = checkpoint.config.train.initial_weights;
  copy_tensors(checkpoint.model, model_.tensors(), folder.string());
  copy_tensors(checkpoint.state, optimizer_.state(), folder.string());
  step_ = static_cast<std::int64_t>(counter(checkpoint, "step"));
  epoch_ = checkpoint.training.epoch;
  best_score_ = counter(checkpoint, "best_accuracy");
  best_step_ = static_cast<std::int64_t>(counter(checkpoint, "best_step"));
  evaluated_step_ = static_cast<std::int64_t>(counter(checkpoint, "evaluated_step"));
  jacobian_.restore_scale(counter(checkpoint, "jacobian_scale", 1));
  last_radius_ = counter(checkpoint, "spectral_radius", -1);
  earlier_seconds_ = checkpoint.training.seconds;
  last_result_.loss = checkpoint.training.train_loss;
  last_evaluation_.loss = checkpoint.training.test_loss;
  last_evaluation_.accuracy = checkpoint.training.test_accuracy;
  if (const auto it = checkpoint.counters.find("test_miou"); it != checkpoint.counters.end())
    last_evaluation_.miou = std::stod(it->second);
  metrics_ = std::make_unique<MetricsWriter>(options_.out / "metrics.jsonl", step_);
  if (metrics_->damaged_lines() > 0)
    progress_.note(concat("left ", counted(metrics_->damaged_lines(), "damaged line"), " out of metrics.jsonl"));
  saved_step_ = step_;
  earlier_speed_ = read_speed(options_.out / "summary.json");
}

std::int64_t Trainer::eval_every() const {
  if (config_.train.eval_every > 0) return config_.train.eval_every;
  return std::max<std::int64_t>(1, train_set_->size() / config_.train.batch_size);
}

double Trainer::seconds() const {
  return earlier_seconds_ + std::chrono::duration<double>(Clock::now() - start_).count();
}

PhasePrograms& Trainer::programs(bool is_pretraining) {
  if (programs_ && programs_->is_pretraining() == is_pretraining) return *programs_;
  if (programs_) programs_->fetch_parameters();  // no program is left that could
  programs_.reset();                             // its arena goes before the next one comes
  programs_ = std::make_unique<PhasePrograms>(model_, optimizer_, backend_, is_pretraining, test_set_->size());
  programs_->allocate();
  peak_bytes_ = std::max(peak_bytes_, run_bytes(model_, optimizer_, programs_->arena_bytes()));
  return *programs_;
}

RunSummary Trainer::run() {
  const InterruptGuard guard;
  const std::int64_t last = options_.max_steps > 0 ? std::min(options_.max_steps, total_) : total_;
  train_until(last);
  progress_.finish();
  const RunSummary out = summary();
  write_summary(options_.out / "summary.json", out);
  return out;
}

void Trainer::train_until(std::int64_t last) {
  Loader loader(train_set_,
                {.batch_size = config_.train.batch_size,
                 .is_training = true,
                 .augments = config_.data.augment,
                 .seed = static_cast<std::uint64_t>(config_.train.seed),
                 .threads = config_.data.threads,
                 .keeps_pixels = backend_.pixel_feed() != nullptr},
                step_);
  if (step_ > 0 && is_due(eval_every()) && evaluated_step_ != step_) {  // an interruption came before it
    evaluate_now();
    save_last();
  }
  while (step_ < last && !is_interrupted()) {
    const auto begin = Clock::now();
    const Batch& batch = loader.next();
    const double lr = schedule_.lr(step_);
    jacobian_draw_ = jacobian_.draw(step_, batch.epoch);
    TrainingStep& step = programs(is_pretraining()).training(jacobian_draw_.weight > 0);
    if (jacobian_draw_.weight > 0) step.set_penalty(jacobian_draw_);
    const StepResult result = step.run(batch, lr, step_, loader.peek());
    const double elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
    images_since_record_ += config_.train.batch_size;
    seconds_since_record_ += elapsed;
    const double rate = config_.train.batch_size / std::max(elapsed, 1e-9);
    images_per_s_ = images_per_s_ == 0 ? rate : 0.9 * images_per_s_ + 0.1 * rate;
    check_finite(result);
    ++step_;
    epoch_ = batch.epoch;
    last_result_ = result;
    log_step(step, result, batch, lr);
    if (is_due(eval_every()) && !is_interrupted()) evaluate_now();
    const std::int64_t every = config_.train.checkpoint_every > 0 ? config_.train.checkpoint_every : eval_every();
    if (is_due(every)) save_last();
  }
  if (is_interrupted() || step_ % eval_every() != 0) save_last();
  note_bad_files();
}

std::string Trainer::way_back() const {
  const std::string advice = "lower optimizer.lr, set train.clip_norm or raise train.pretrain_steps";
  if (saved_step_ < 0) return concat("nothing was saved yet: ", advice, " and start again");
  const std::string last = (options_.out / "checkpoints" / "last").string();
  if (saved_step_ < step_) return concat("'", last, "' is that of step ", saved_step_, ": ", advice, ", and --resume");
  return concat("'", last, "' is that of step ", saved_step_, " and may be past help: ", advice, " and start again");
}

void Trainer::check_finite(const StepResult& result) const {
  const bool is_penalty = std::isfinite(result.loss) && !std::isfinite(result.jacobian_penalty);
  check(std::isfinite(result.loss) && std::isfinite(result.jacobian_penalty), "train", "the ",
        is_penalty ? "Jacobian penalty" : "loss", " of step ", step_ + 1, " is not finite; ", way_back());
}

SolveMetrics Trainer::solves(const TrainingStep& taken, Direction direction) const {
  std::vector<SolveMetrics> slices;
  for (std::size_t k = 0; k < static_cast<std::size_t>(config_.train.correction_states); ++k) {
    const Program& program = taken.program();
    const SolveReport* report =
        direction == Direction::forward ? program.forward_report(k) : program.backward_report(k);
    if (!report) continue;
    slices.emplace_back();
    slices.back().add(*report);
  }
  return slices.empty() ? SolveMetrics{} : joined(slices);
}

void Trainer::log_step(const TrainingStep& taken, const StepResult& result, const Batch& batch, double lr) {
  StepRecord record{.step = step_,
                    .epoch = batch.epoch,
                    .is_pretraining = taken.is_pretraining(),
                    .loss = result.loss,
                    .accuracy = result.accuracy,
                    .lr = lr,
                    .images_per_s = static_cast<double>(images_since_record_) / std::max(seconds_since_record_, 1e-9),
                    .forward = solves(taken, Direction::forward),
                    .estimator = config_.train.estimator,
                    .backward = solves(taken, Direction::backward),
                    .jacobian_weight = jacobian_draw_.weight,
                    .jacobian_penalty = result.jacobian_penalty,

                    .bad_images = batch.count_bad(batch.valid)};
  if (record.is_pretraining) {
    record.estimator = "unrolled-" + std::to_string(config_.train.unroll_steps);
    record.forward.steps = config_.train.unroll_steps;
    record.forward.calls = config_.train.unroll_steps;
  }
  if (is_due(config_.train.log_every) || step_ == 1 || record.jacobian_weight > 0) {
    metrics_->write(record);
    images_since_record_ = 0;
    seconds_since_record_ = 0;
  }
  progress_.update({.step = step_,
                    .total = total_,
                    .phase = phase_name(record.is_pretraining),
                    .loss = result.loss,
                    .accuracy = result.accuracy,
                    .solver_steps = record.forward.steps,
                    .residual = record.forward.samples > 0 ? record.forward.residual : -1,
                    .images_per_s = images_per_s_,
                    .spectral_radius = last_radius_});
}

SpectralMetrics Trainer::measured_stability() {
  StabilityMonitor* const monitor = programs_->monitor();
  if (monitor == nullptr) return {};
  const int batch = monitored_images(config_.train, test_set_->size());
  Loader loader(test_set_, {.batch_size = batch, .is_training = false, .threads = 1});
  const Batch& images = loader.next();
  const SpectralMetrics out = monitor->measure(images.images, images.valid, step_);
  if (out.samples > 0) last_radius_ = out.mean;
  jacobian_.observe(out.mean);
  return out;
}

void Trainer::evaluate_now() {
  try {
    evaluate_whole();
  } catch (const Stopped&) {  // done again on resuming: evaluated_step_ is not this step
  }
}

void Trainer::evaluate_whole() {
  const bool is_unrolled = step_ <= config_.train.pretrain_steps;
  const Evaluation result = evaluate(programs(is_unrolled).inference(), test_set_,
                                     {.limit = config_.train.eval_limit,
                                      .threads = config_.data.threads,
                                      .class_weights = config_.data.class_weights,
                                      .progress = [](std::int64_t, std::int64_t) { return !is_interrupted(); }});
  if (is_interrupted()) return;  // done again on resuming: evaluated_step_ is not this step
  const SpectralMetrics spectral = measured_stability();
  last_evaluation_ = result;
  evaluated_step_ = step_;
  metrics_->write(EvaluationRecord{.step = step_,
                                   .epoch = epoch_,
                                   .is_pretraining = is_unrolled,
                                   .split = "test",
                                   .loss = result.loss,
                                   .accuracy = result.accuracy,
                                   .images = result.images,
                                   .images_per_s = result.images_per_s,
                                   .forward = result.forward,
                                   .spectral = spectral,
                                   .miou = result.miou,
                                   .bad_images = result.bad_images});
  note_bad_files();
  const bool has_miou = !std::isnan(result.miou);
  progress_.note(concat("step ", step_, ": test accuracy ", percent(result.accuracy),
                        has_miou ? concat(", mIoU ", percent(result.miou)) : "", ", loss ", number(result.loss), ", ",
                        counted(result.images, "image"),
                        spectral.samples > 0 ? concat(", spectral radius ", number(spectral.mean)) : ""));
  if (!std::isfinite(result.loss) && result.images > 0)
    return progress_.note("the loss of this evaluation is not finite, so it is not saved as the best");
  if (score_of(result) <= best_score_) return;
  best_score_ = score_of(result);
  best_step_ = step_;
  save(options_.out / "checkpoints" / "best");
}

std::set<std::string> Trainer::bad_files() const {
  std::set<std::string> out;
  for (const Dataset* set : {train_set_.get(), test_set_.get()})
    for (std::string& message : set->bad_files()) out.insert(std::move(message));
  return out;
}

void Trainer::note_bad_files() {
  constexpr std::ptrdiff_t kShown = 10;
  if (train_set_->bad_file_count() == 0 && test_set_->bad_file_count() == 0) return;
  const std::set<std::string> messages = bad_files();
  if (messages.size() == noted_bad_files_) return;
  if (noted_bad_files_ == 0)
    for (auto it = messages.begin(); it != messages.end() && std::distance(messages.begin(), it) < kShown; ++it)
      progress_.note("skipped " + *it);
  progress_.note(concat(counted(messages.size(), "bad file"), " skipped so far (data.bad_files)"));
  noted_bad_files_ = messages.size();
}

Checkpoint Trainer::checkpoint() const {
  Checkpoint out{.config = config_,
                 .class_names = train_set_->info().class_names,
                 .training = {.step = step_,
                              .epoch = epoch_,
                              .phase = std::string(phase_name(step_ <= config_.train.pretrain_steps)),
                              .seconds = seconds(),
                              .train_loss = last_result_.loss},
                 .model = model_.tensors(),
                 .state = optimizer_.state(),
                 .counters = {}};
  if (best_score_ >= 0) {
    out.training.test_loss = last_evaluation_.loss;
    out.training.test_accuracy = last_evaluation_.accuracy;
  }
  out.counters = {{"step", std::to_string(step_)},
                  {"best_accuracy", exact(best_score_)},
                  {"best_step", std::to_string(best_step_)},
                  {"evaluated_step", std::to_string(evaluated_step_)},
                  {"jacobian_scale", exact(jacobian_.scale())},
                  {"spectral_radius", exact(last_radius_)}};
  if (!std::isnan(last_evaluation_.miou)) out.counters["test_miou"] = exact(last_evaluation_.miou);
  return out;
}

void Trainer::save(const std::filesystem::path& folder) {
  if (programs_) programs_->fetch_parameters();
  for (const auto& [name, tensor] : model_.tensors())
    check(is_finite(tensor), "train", "'", name, "' is not finite after step ", step_, "; ", way_back());
  save_checkpoint(folder, checkpoint());
}
void Trainer::save_last() {
  save(options_.out / "checkpoints" / "last");
  saved_step_ = step_;
}

RunSummary Trainer::summary() const {
  RunSummary out;
  out.config_name = config_.model.name;
  out.steps = step_;
  out.total_steps = total_;
  out.parameters = model_.store.trainable_elements();
  const bool has_trained = images_per_s_ > 0;  // a run that was at its end has no speed but that of before
  out.peak_bytes = has_trained ? static_cast<std::int64_t>(peak_bytes_) : earlier_speed_.peak_bytes;
  out.seconds = seconds();
  out.images_per_s = has_trained ? images_per_s_ : earlier_speed_.images_per_s;
  out.train_loss = last_result_.loss;
  out.test_loss = best_score_ >= 0 ? last_evaluation_.loss : kUnknown;
  out.test_accuracy = best_score_ >= 0 ? last_evaluation_.accuracy : kUnknown;
  const double best = best_score_ >= 0 ? best_score_ : kUnknown;
  (model_.is_segmentation() ? out.best_miou : out.best_accuracy) = best;
  out.test_miou = last_evaluation_.miou;
  out.bad_files = static_cast<std::int64_t>(bad_files().size());
  out.best_step = best_step_;
  out.is_interrupted = is_interrupted();
  out.device = name_of(backend_.device());
  out.threads = options_.threads > 0 ? options_.threads : pool_threads();
  return out;
}

}  // namespace deq
