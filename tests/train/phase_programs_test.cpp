#include "train/phase_programs.h"

#include <doctest/doctest.h>

#include "tests/op_cases/counting_backend.h"
#include "tests/train/small_model.h"
#include "tests/train/threads.h"

namespace deq {
namespace {

/// Five training steps, each followed by what an evaluation runs if `is_evaluated`; all tensors of the model then.
std::vector<float> trained(const Config& config, bool is_pretraining, bool is_evaluated) {
  const Model model(config);
  const Optimizer optimizer(config.optimizer, model.store);
  CpuBackend backend;
  PhasePrograms programs(model, optimizer, backend, is_pretraining, 4);
  programs.allocate();
  const Batch batch = test::random_batch(config, config.train.batch_size, 1);
  for (int step = 0; step < 5; ++step) {
    (void)programs.training(false).run(batch, 1e-2, step);
    if (!is_evaluated) continue;
    programs.inference().program().parameters_changed();
    (void)programs.inference().run(batch.images);
    (void)programs.inference().run(batch.images);
    (void)programs.monitor()->measure(batch.images, batch.valid, step);
  }
  std::vector<float> out;
  for (const auto& [name, tensor] : model.tensors())
    out.insert(out.end(), tensor.data<float>().begin(), tensor.data<float>().end());
  return out;
}

Config small_config() {
  Config config = test::tiny_config();
  config.train.batch_size = 4;
  config.train.spectral_radius_steps = 3;
  return config;
}

}  // namespace

TEST_CASE("the programs of a phase share one arena, as large as the largest needs") {
  Config config = small_config();
  config.train.jacobian_frequency = 0.5;
  config.train.jacobian_weight = 0.1;
  const Model model(config);
  const Optimizer optimizer(config.optimizer, model.store);
  tests::CountingBackend backend;
  PhasePrograms programs(model, optimizer, backend, false, 4);
  CHECK(backend.asked == 0);
  programs.allocate();
  CHECK(backend.asked == programs.arena_bytes());
  CHECK(programs.arena_bytes() == programs.training(true).program().peak_bytes());
  CHECK(programs.training(false).program().peak_bytes() <= programs.arena_bytes());
}

TEST_CASE("evaluations between training steps change no bit of what is trained") {
  const test::Threads one(1);
  for (const bool is_pretraining : {false, true})
    CHECK(trained(small_config(), is_pretraining, true) == trained(small_config(), is_pretraining, false));
}

}  // namespace deq
