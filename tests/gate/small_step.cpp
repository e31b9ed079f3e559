// The step whose counters are kept: a small MDEQ, batch 2, forward by Broyden, backward by SHINE with two refining
// steps, SGD. Prints its counters as JSON.
//
//   small_step            counters of one replayed step
//   small_step bf16       the same with the solver's history in bf16
//
// `measured_step` is what callgrind is told to collect.

#include <omp.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "layers/mdeq/mdeq.h"
#include "solvers/policy.h"
#include "tests/op_cases/allocation_counter.h"

using namespace deq;

extern "C" [[gnu::noinline]] void measured_step(Program& program) { program.run(); }

namespace {

constexpr int kBatch = 2;
constexpr int kForwardSteps = 6;
constexpr int kRefineSteps = 2;
constexpr double kLearningRate = 1e-3;

MdeqConfig small_network() {
  MdeqConfig out;
  out.channels = {8, 8};
  out.head_channels = {4, 4};
  out.final_channels = 16;
  out.expansion = 2;
  out.groups = 4;
  return out;
}

void bind_inputs(Program& program, Value image, Value label) {
  Tensor pixels(image.type()), classes(label.type());
  float value = 0.0F;
  for (float& pixel : pixels.data<float>()) {
    pixel = value;
    value = value > 1.0F ? -1.0F : value + 0.013F;
  }
  classes.data<std::int32_t>()[1] = 3;
  program.bind(image, pixels);
  program.bind(label, classes);
}

}  // namespace

int main(int argc, char** argv) {
  omp_set_num_threads(1);
  const bool is_rounded = argc > 1 && std::string_view(argv[1]) == "bf16";
  ParameterStore store(/*seed=*/7);
  const Mdeq network(ParamScope(store), small_network());
  MdeqForward forward;
  const Broyden method{.history = is_rounded ? StepHistory::bf16 : StepHistory::full};
  forward.equilibrium.policy = std::make_shared<ImplicitPolicy>(
      SolverOptions{.method = method, .max_steps = kForwardSteps, .tolerance = {.value = 0.0}, .patience = 0},
      Refined{.steps = kRefineSteps});
  Graph graph(Mode::training);
  const Value image = graph.input("image", {DType::f32, {kBatch, 16, 16, 3}}, Rate::batch);
  const Value label = graph.input("label", {DType::i32, {kBatch}}, Rate::batch);
  const Value loss = mean(softmax_cross_entropy(network(image, forward).logits, label).loss);
  const std::vector<Value> weights = store.trainable(graph), gradient = gradients_or_zeros(loss, weights);
  for (std::size_t i = 0; i < weights.size(); ++i) graph.assign(weights[i], weights[i] - gradient[i] * kLearningRate);
  CpuBackend backend;
  Program program = Program::compile(graph, std::vector{loss}, backend);
  bind_inputs(program, image, label);
  for (int i = 0; i < 2; ++i) program.run();  // first uses: constants, JIT code, recycled blocks

  const std::size_t own = tests::allocations(), vendor = tests::vendor_allocations();
  std::fputs("replay begins\n", stdout);  // what oneDNN reports after this line belongs to the replay
  std::fflush(stdout);
  measured_step(program);
  std::fputs("replay ends\n", stdout);
  const std::size_t own_after = tests::allocations(), vendor_after = tests::vendor_allocations();
  std::printf(
      "{\"allocations\": %zu, \"vendor_allocations\": %zu, \"peak_bytes\": %zu, \"map_calls\": %d, "
      "\"vjp_calls\": %d, \"launches\": %zu, \"map_launches\": %zu}\n",
      own_after - own, vendor_after - vendor, program.peak_bytes(), program.forward_report()->map_calls,
      program.backward_report()->map_calls, program.launches(), program.map_launches());
  return 0;
}
