// A trained model in a program of yours: frames of a stream are classified one by one, each within a budget of time and
// each solve beginning at the solution of the frame before. Beside it the same frames are solved from zero.
//
//   deq train train/configs/shapes-mdeq.toml --out runs/shapes
//   example_classify_frames runs/shapes/checkpoints/best
#include <algorithm>
#include <cstdio>
#include <exception>

#include "core/cpu/backend.h"
#include "core/wait_policy.h"
#include "data/shapes.h"
#include "data/transform.h"
#include "train/datasets.h"
#include "train/model.h"
#include "train/step.h"

namespace {

using namespace deq;

constexpr int kFrames = 24;

/// Frame `index` of a drawn shape that moves to the right, a pixel every third frame; ready for the model.
void next_frame(int index, const DataConfig& data, Tensor& out) {
  std::vector<std::uint8_t> pixels(kShapesSide * kShapesSide * 3);
  draw_shape(/*seed=*/7, Split::test, /*index=*/4, pixels);
  normalise_image(pixels, {kShapesSide, kShapesSide, 3}, normalisation_of(data), {.shift_x = -(index / 3)},
                  out.data<float>());
}

int best_class(const Tensor& logits) {
  const auto scores = logits.data<float>();
  return static_cast<int>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

void run(const char* checkpoint) {
  const LoadedModel loaded = load_model(checkpoint);
  const Model& model = *loaded.model;
  CpuBackend cpu;
  SolverConfig solver = model.config.solver;  // the checkpoint's, with limits of our own
  solver.tolerance = 1e-2;
  solver.max_steps = 40;
  solver.time_budget_ms = 500;  // of a frame: the best iterate by then is the answer
  const Shape one = model.image_shape(1);
  InferenceStep cold(model, cpu, one, solver);  // compiled once; a run allocates nothing
  solver.warm_start = true;
  InferenceStep warm(model, cpu, one, solver);

  Tensor frame(DType::f32, one);
  double steps_cold = 0, steps_warm = 0;
  for (int i = 0; i < kFrames; ++i) {
    next_frame(i, model.config.data, frame);
    cold.run(frame);
    const int answer = best_class(warm.run(frame));
    const SolveReport &from_zero = *cold.program().forward_report(), &from_last = *warm.program().forward_report();
    std::printf(
        "frame %2d  %-10s  from zero %2d steps, residual %.4f; from the last frame %2d steps, residual %.4f, %s\n", i,
        loaded.checkpoint.class_names[static_cast<std::size_t>(answer)].c_str(), from_zero.steps[0],
        from_zero.residual[0], from_last.steps[0], from_last.residual[0],
        from_last.is_out_of_time ? "out of time" : name_of(from_last.status[0]).data());
    steps_cold += from_zero.steps[0];
    steps_warm += from_last.steps[0];
  }
  std::printf("steps a frame: %.1f from zero, %.1f from the last frame\n", steps_cold / kFrames, steps_warm / kFrames);
}

}  // namespace

int main(int argc, char** argv) {
  limit_spinning(argv);  // other work on the machine would otherwise stall the threads
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CHECKPOINT, of a model for `shapes`\n", argv[0]);
    return 2;
  }
  try {
    run(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
