#include <doctest/doctest.h>

#include "core/cpu/backend.h"
#include "data/shapes.h"
#include "tests/train/small_model.h"
#include "train/step.h"

namespace deq::test {
namespace {

/// Keeps a copy of the pixels, as a device would.
class CopyingFeed final : public PixelFeed {
 public:
  void stage(const PixelBatch& batch) override {
    pixels_.assign(batch.pixels.begin(), batch.pixels.end());
    moves_.assign(batch.moves.begin(), batch.moves.end());
    step_ = batch.step;
  }
  void deliver(const PixelBatch& batch, void* to) override {
    if (step_ == batch.step)
      ++staged_before;
    else
      stage(batch);
    const NormalisePixel kernel = normalise_pixel(batch, pixels_.data(), moves_.data(), static_cast<float*>(to));
    for (std::int64_t i = 0; i < batch.shape.elements(); ++i) kernel(static_cast<std::int32_t>(i));
    step_ = -1;
  }
  int staged_before = 0;  ///< batches that were there before they were asked for

 private:
  std::vector<std::uint8_t> pixels_;
  std::vector<PixelMove> moves_;
  std::int64_t step_ = -1;
};

/// The CPU, taking images as a device does.
class FedBackend final : public Backend {
 public:
  [[nodiscard]] Device device() const override { return cpu_.device(); }
  [[nodiscard]] std::unique_ptr<Kernel> lower(const KernelRequest& request) override { return cpu_.lower(request); }
  [[nodiscard]] bool may_overwrite(const Op& op, std::size_t input) const override {
    return cpu_.may_overwrite(op, input);
  }
  [[nodiscard]] std::int64_t packed_weight_bytes(const PackWeights& pack, const TensorType& weight) const override {
    return cpu_.packed_weight_bytes(pack, weight);
  }
  [[nodiscard]] bool packs_alike(const PackWeights& a, const PackWeights& b, const TensorType& weight) const override {
    return cpu_.packs_alike(a, b, weight);
  }
  [[nodiscard]] StateOps& state_ops() override { return cpu_.state_ops(); }
  [[nodiscard]] PixelFeed* pixel_feed() override { return &feed; }
  CopyingFeed feed;

 private:
  CpuBackend cpu_;
};

Config config_of_shapes() {
  Config config = tiny_config();
  config.model.classes = 10;
  config.data.image = {kShapesSide, kShapesSide};
  config.solver.max_steps = 2;
  return config;
}

/// Losses of a few steps, with the next batch named beforehand on every second one.
std::vector<double> losses(Backend& backend, bool keeps_pixels) {
  const Config config = config_of_shapes();
  const Model model(config);
  const Optimizer optimizer(config.optimizer, model.store);
  TrainingStep step(model, optimizer, backend, {.batch = 4});
  Loader loader(draw_shapes(Split::train, {.train_images = 40, .test_images = 10}),
                {.batch_size = 4, .augments = true, .seed = 5, .keeps_pixels = keeps_pixels});
  std::vector<double> out;
  for (int i = 0; i < 4; ++i) {
    const Batch& batch = loader.next();
    const Batch* next = nullptr;
    while (i % 2 == 0 && next == nullptr) next = loader.peek();
    out.push_back(step.run(batch, 1e-3, i, next).loss);
  }
  return out;
}

}  // namespace

TEST_CASE("training on images that the backend normalises has the same losses, bit for bit") {
  CpuBackend cpu;
  FedBackend fed;
  CHECK(losses(fed, true) == losses(cpu, false));
  CHECK(fed.feed.staged_before == 2);
}

TEST_CASE("a backend that takes no 8-bit images says so") {
  CpuBackend cpu;
  Graph graph(Mode::inference);
  const Value image = graph.input("image", {DType::f32, {1, 2, 2, 3}}, Rate::batch);
  Program program = Program::compile(graph, std::vector<Value>{image}, cpu);
  const PixelBatch batch{.shape = {1, 2, 2, 3}};
  CHECK_THROWS_WITH_AS(program.bind(image, batch), "program: cpu takes no 8-bit images", Error);
}

}  // namespace deq::test
