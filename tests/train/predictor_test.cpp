#include "train/predictor.h"

#include <doctest/doctest.h>

#include <csignal>

#include "core/cpu/backend.h"
#include "tests/train/small_model.h"
#include "tests/train/temporary_folder.h"
#include "train/commands/predict.h"
#include "train/interrupt.h"

namespace deq {
namespace {

namespace fs = std::filesystem;

LoadedModel small_loaded() {
  LoadedModel out;
  out.checkpoint.config = test::tiny_config();
  out.model = std::make_unique<Model>(out.checkpoint.config);
  return out;
}

/// The same image 150 times: three batches.
std::vector<ImageSource> many_files(const fs::path& folder) {
  const fs::path file = folder / "black.png";
  write_png(file, Image(8, 8));
  return std::vector<ImageSource>(150, ImageSource(file));
}

}  // namespace

TEST_CASE("an image whose solve the time budget ended says so") {
  SolveReport report;
  report.resize(2);
  report.status = {SolveStatus::max_steps, SolveStatus::converged};
  report.is_out_of_time = true;
  CHECK(ImageSolve::of(&report, 0, 0).text() == "solver 0 steps, out of time");
  CHECK(ImageSolve::of(&report, 1, 0).text() == "solver 0 steps, converged");
  CHECK(ImageSolve::of(nullptr, 0, 2).text() == "solver 2 steps, unrolled");
}

TEST_CASE("what was answered before an interrupt is not lost") {
  const LoadedModel loaded = small_loaded();
  const test::TemporaryFolder folder;
  const std::vector<ImageSource> files = many_files(folder.path());
  CpuBackend backend;
  SolveMetrics solves;
  std::vector<std::int64_t> done;
  const InterruptGuard guard;
  const std::vector<Prediction> answers =
      predict_files(loaded, backend, files, 1, solves, [&](auto images, auto total) {
        CHECK(total == 150);
        done.push_back(images);
        if (images == 64) ::raise(SIGINT);
      });
  CHECK(done == std::vector<std::int64_t>{0, 64});
  REQUIRE(answers.size() == 64);  // the second batch was cut in its solve
  CHECK(answers.back().top[0].probability == answers.front().top[0].probability);
  CHECK_THROWS_AS(predict_tensor(loaded, backend, Tensor(DType::f32, {1, 3, 8, 8}), solves), Interrupted);
}

TEST_CASE("the exit status of predict tells what was answered") {
  CHECK(predict_status(3, 3, false) == 0);
  CHECK(predict_status(1, 1, true) == 2);
  CHECK(predict_status(3, 3, true) == 1);
  CHECK(predict_status(3, 2, true) == 130);
  CHECK(predict_status(1, 0, false) == 130);
}

}  // namespace deq
