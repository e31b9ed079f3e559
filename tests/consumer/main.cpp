// Solves a small equilibrium and differentiates through it, on the installed headers and libraries.
#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

#include "autodiff/vjp.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "core/wait_policy.h"
#include "data/shapes.h"
#include "layers/conv.h"
#include "layers/equilibrium.h"
#include "solvers/policy.h"

int main(int, char** argv) {
  using namespace deq;
  limit_spinning(argv);
  const auto images = draw_shapes(Split::test, {.train_images = 4, .test_images = 4});
  ParameterStore store(/*seed=*/1);
  const ParamScope scope(store);
  const layers::Conv2d stem(scope / "stem", 3, 4, 3, {.pad = 1}), inner(scope / "inner", 4, 4, 3, {.pad = 1});
  const auto policy = std::make_shared<ImplicitPolicy>(SolverOptions{.tolerance = {.value = 1e-3}}, SharedInverse{});
  const auto f = [&](Value z, Value x) { return deq::tanh(inner(z) * 0.5 + x); };

  Graph graph(Mode::training);
  const Value image = graph.input("image", {DType::f32, {4, kShapesSide, kShapesSide, 3}}, Rate::batch);
  const Value loss = mean(square(equilibrium(f, stem(image), {.policy = policy})));
  const Value weight = graph.parameter(store.entries()[0].name, store.entries()[0].value);
  const Value norm = sum(square(gradients(loss, std::vector{weight})[0]));
  CpuBackend backend;
  Program program = Program::compile(graph, std::vector{loss, norm}, backend);

  Tensor pixels(image.type());
  const std::size_t count = pixels.data<float>().size() / 4;
  for (std::size_t i = 0; i < 4 * count; ++i)
    pixels.data<float>()[i] = images->sample(static_cast<std::int64_t>(i / count)).pixels[i % count] / 255.0F;
  program.bind(image, pixels);
  program.run();
  const float value = program.read(loss).data<float>()[0], squared = program.read(norm).data<float>()[0];
  const SolveReport& report = *program.forward_report();
  std::printf("loss %g, squared gradient norm %g, %d of 4 converged\n", value, squared,
              report.count(SolveStatus::converged));
  const bool is_right =
      std::isfinite(value) && std::isfinite(squared) && squared > 0 && report.count(SolveStatus::converged) == 4;
  return is_right ? 0 : 1;
}
