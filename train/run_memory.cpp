#include "train/run_memory.h"

#include <algorithm>

#include "train/correction.h"
#include "train/phase_programs.h"

namespace deq {
namespace {

std::size_t bytes_of(const NamedTensors& tensors) {
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += tensor.bytes();
  return bytes;
}

std::size_t solver_bytes(const Model& model, Backend& backend) {
  const auto& data = model.config.data;
  const StateSpec spec{.batch = model.config.train.batch_size,
                       .block_elems = {model.network.config.state_elements(data.image[0], data.image[1])},
                       .dtype = backend.storage(DType::f32)};
  const TrainConfig& train = model.config.train;
  SolverConfig slice = model.config.solver;
  slice.max_steps = steps_of_slice(train, slice.max_steps);
  const auto solver = make_policy(slice, train.estimator)->make_solver(spec, backend.state_ops());
  return solver->workspace_bytes() + static_cast<std::size_t>(train.correction_states) * solver->estimate_bytes();
}

}  // namespace

std::size_t run_bytes(const Model& model, const Optimizer& optimizer, std::size_t arena_bytes) {
  return bytes_of(model.tensors()) + bytes_of(optimizer.state()) + arena_bytes;
}

RunMemory plan_memory(const Model& model, const Optimizer& optimizer, Backend& backend, std::int64_t pretrain_steps,
                      std::int64_t total_steps, std::int64_t test_images) {
  RunMemory out;
  for (const bool is_pretraining : {true, false}) {
    if ((is_pretraining ? pretrain_steps : total_steps - pretrain_steps) <= 0) continue;
    const PhasePrograms programs(model, optimizer, backend, is_pretraining, test_images);
    out.peak_bytes = std::max(out.peak_bytes, run_bytes(model, optimizer, programs.arena_bytes()));
    if (!is_pretraining) out.history_bytes = solver_bytes(model, backend);
  }
  return out;
}

}  // namespace deq
