#include <doctest/doctest.h>

#include <functional>
#include <optional>

#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "tests/op_cases/plain_solvers.h"

// What programs and graphs must not be asked: an error each, and no crash.

using namespace deq;

namespace {

const TensorType kPair{DType::f32, {2}}, kState{DType::f32, {1, 2}};

Tensor pair_of(float value) { return Tensor::of<float>({2}, std::vector<float>{value, value}); }

/// Does something in the middle of a run.
class BusyPolicy final : public EquilibriumPolicy {
 public:
  explicit BusyPolicy(std::function<void()> work) : work_(std::move(work)) {}
  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_solver(const StateSpec& spec, StateOps&) const override {
    return std::make_unique<Solver>(spec, work_);
  }
  [[nodiscard]] std::unique_ptr<AdjointSolver> make_adjoint(const StateSpec&, StateOps&) const override {
    return nullptr;
  }
  [[nodiscard]] bool needs_vjp() const override { return false; }
  [[nodiscard]] std::string describe() const override { return "busy"; }

 private:
  class Solver final : public FixedPointSolver {
   public:
    Solver(const StateSpec& spec, std::function<void()> work) : plain_(spec, 1), work_(std::move(work)) {}
    [[nodiscard]] std::size_t workspace_bytes() const override { return 0; }
    [[nodiscard]] std::size_t estimate_bytes() const override { return 0; }
    void bind(void*, void*) override {}
    void solve(FixedPointMap& map, StateView z, SolveReport& report) override {
      work_();
      plain_.solve(map, z, report);
    }
    [[nodiscard]] const InverseEstimate& estimate() const override { return plain_.estimate(); }

   private:
    tests::PlainSolver plain_;
    std::function<void()> work_;
  };

  std::function<void()> work_;
};

/// z = 0.5 z + x; `f` keeps the value that f makes in the loop.
struct Loop {
  explicit Loop(std::shared_ptr<const EquilibriumPolicy> policy = std::make_shared<tests::PlainPolicy>(40)) {
    x = graph.input("x", kState, Rate::batch);
    state = graph.input("state", kState, Rate::iterate);
    inner = state * 0.5;
    const RegionId region = graph.add_region({state}, {inner + x});
    const Value z0 = constant(graph, 0.0, kState.shape);
    z = graph.add(Equilibrium{.region = region, .policy = std::move(policy)}, std::vector{z0})[0];
  }
  [[nodiscard]] Program compile(const std::vector<Value>& outputs) { return Program::compile(graph, outputs, cpu); }
  CpuBackend cpu;
  Graph graph{Mode::training};
  Value x, state, inner, z;
};

}  // namespace

TEST_CASE("values of a graph that is gone are not those of the next one at its address") {
  CpuBackend cpu;
  std::vector<Program> programs;
  std::optional<Graph> graph;
  Value x, y;
  const auto compile = [&](double factor) {
    graph.emplace();
    x = graph->input("x", kPair, Rate::batch);
    y = x * factor;
    programs.push_back(Program::compile(*graph, std::vector{y}, cpu));
  };
  compile(3);
  const Value old_x = x, old_y = y;
  compile(2);
  REQUIRE(old_x.graph == x.graph);
  CHECK_THROWS_WITH_AS(programs[0].bind(x, pair_of(1)), doctest::Contains("another graph"), Error);
  CHECK_THROWS_WITH_AS(old_x * 2.0, doctest::Contains("a graph that is gone"), Error);
  programs[0].bind(old_x, pair_of(1));
  programs[0].run();
  CHECK(programs[0].read(old_y).data<float>()[0] == 3);
}

TEST_CASE("a program that was moved from says so") {
  Loop loop;
  Program program = loop.compile({loop.z});
  const Program moved = std::move(program);
  // NOLINTBEGIN(bugprone-use-after-move): what is tested
  CHECK_THROWS_WITH_AS(program.run(), "program: was moved from and is empty", Error);
  CHECK_THROWS_WITH_AS(program.bind("x", Tensor(kState)), "program: was moved from and is empty", Error);
  CHECK_THROWS_WITH_AS(std::ignore = program.peak_bytes(), "program: was moved from and is empty", Error);
  // NOLINTEND(bugprone-use-after-move)
  CHECK(moved.peak_bytes() > 0);
}

TEST_CASE("a program takes no second run while it runs, and goes on after the refusal") {
  Program* running = nullptr;
  std::string refusal;
  Loop loop(std::make_shared<BusyPolicy>([&] {
    try {
      running->run();
    } catch (const Error& error) {
      refusal = error.what();
    }
  }));
  Program program = loop.compile({loop.z});
  running = &program;
  program.bind(loop.x, Tensor(kState));
  for (int run = 0; run < 2; ++run) {
    refusal.clear();
    program.run();
    CHECK(refusal == "program: is running in another thread: give each thread a program of its own");
  }
}

TEST_CASE("what a solver iterates is no input") {
  Loop loop;
  Program program = loop.compile({loop.z});
  CHECK_FALSE(program.has_input("state"));
  CHECK_THROWS_WITH_AS(program.bind("state", Tensor(kState)),
                       doctest::Contains("program: has no input called 'state'; its inputs are '"), Error);
  CHECK_THROWS_WITH_AS(program.bind(loop.state, Tensor(kState)), doctest::Contains("what a solver iterates"), Error);
}

TEST_CASE("values of the loop have no meaning outside") {
  const auto refused = doctest::Contains("has no value outside its loop");
  {
    Loop loop;
    CHECK_THROWS_WITH_AS(std::ignore = loop.compile({loop.z, loop.inner}), refused, Error);
    CHECK_THROWS_WITH_AS(std::ignore = loop.compile({loop.state}), refused, Error);
    CHECK_THROWS_WITH_AS(std::ignore = loop.compile({loop.z + tanh(loop.inner)}), refused, Error);
  }
  Loop loop;
  const auto storage = std::make_shared<Tensor>(kState);
  loop.graph.assign(loop.graph.parameter("kept", storage), loop.inner * 2.0);
  CHECK_THROWS_WITH_AS(std::ignore = loop.compile({loop.z}), refused, Error);
  Graph graph;
  const Value lonely = graph.input("lonely", kPair, Rate::iterate);
  CHECK_THROWS_WITH_AS(std::ignore = Program::compile(graph, std::vector{exp(lonely)}, loop.cpu), refused, Error);
}
