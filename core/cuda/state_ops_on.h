#pragma once

#include <bit>
#include <initializer_list>

#include "core/cuda/scalar_stage.h"
#include "core/cuda/state_elements.h"
#include "core/cuda/state_programs.h"

namespace deq::cuda {

/// StateOps on a queue of kernels that runs behind the host. What the operations mean is written here once, for the
/// device (CudaStateOps) and for a queue on the host that tests use. Runner has
///   ScalarStage::Memory reserve(std::size_t bytes)  memory for scalars; nothing is in flight when it is called
///   void upload(const ScalarStage::Memory&, ScalarStage::Upload)  enqueues host -> copy
///   for_each, for_each_block                        a launcher's (core/cuda/host_launcher.h), enqueueing
///   void wait()  everything enqueued has run
///
/// `residual` and `dots` wait, for their results are read at once; `product_step` does not (StateOps::settle).
template <class Runner>
class StateOpsOn : public StateOps {
 public:
  template <class... Arguments>
  explicit StateOpsOn(Arguments&&... arguments) : runner_(std::forward<Arguments>(arguments)...) {
    make_room(kFirstBytes);
  }

  [[nodiscard]] AlignedBytes allocate(std::size_t bytes) override { return runner_.allocate(bytes); }
  void copy(const StateSpec& spec, StateView from, StateView to, SampleMask samples) override {
    if (from.data == to.data) return;
    begin({room<std::uint8_t>(samples)});
    with_type(spec, [&]<class T>(T) {
      enqueue_elements(spec, CopyElement<T>{masked(spec, samples), typed<T>(from), typed<T>(to)});
    });
  }
  void fill(const StateSpec& spec, StateView out, double value, SampleMask samples) override {
    begin({room<std::uint8_t>(samples)});
    with_type(spec, [&]<class T>(T) {
      enqueue_elements(spec, FillElement<T>{masked(spec, samples), typed<T>(out), static_cast<T>(value)});
    });
  }
  void combine(const StateSpec& spec, double scale, std::span<const double> coefficient, StateStack x, int count,
               StateView out, SampleMask samples) override {
    coefficient = coefficient.first(static_cast<std::size_t>(count) * static_cast<std::size_t>(spec.batch));
    begin({room<std::uint8_t>(samples), room<double>(coefficient)});
    with_type(spec, [&]<class T>(T) {
      enqueue_elements(spec, CombineElement<T>{masked(spec, samples), static_cast<T>(scale), stage_.put(coefficient),
                                               TypedStack<T>(x), count, typed<T>(out)});
    });
  }
  void recombine(const StateSpec& spec, StateStack x, int count, int kept, std::span<const double> coefficient,
                 SampleMask samples) override {
    begin({room<std::uint8_t>(samples), room<double>(coefficient)});
    with_type(spec, [&]<class T>(T) {
      enqueue_elements(
          spec, RecombineElement<T>{masked(spec, samples), TypedStack<T>(x), count, kept, stage_.put(coefficient)});
    });
  }
  void dots(const StateSpec& spec, StateStack x, int count, StateView y, std::span<double> dots,
            SampleMask samples) override {
    const int blocks = count * spec.batch;
    dots = dots.first(static_cast<std::size_t>(blocks));
    begin({2 * room<std::uint8_t>(samples), room<double>(dots)});
    with_type(spec, [&]<class T>(T) {
      enqueue_blocks(spec, blocks,
                     DotsProgram<T>{StateLayout::of(spec), stage_.put(samples), TypedStack<T>(x), typed<T>(y),
                                    stage_.expect(dots, samples)});
    });
    settle();
  }
  void copy_rows(const void* from, std::span<const int> from_rows, void* to, std::span<const int> to_rows,
                 std::size_t row_bytes) override;
  void residual(const StateSpec& spec, const ResidualRequest& request, SampleMask samples) override;
  void product_step(const StateSpec& spec, const ProductStep& step, SampleMask samples) override;
  void apply_product(const StateSpec& spec, const ProductFactors& factors, Transposition transposition, StateView x,
                     StateView out, SampleMask samples) override;
  void apply_low_rank(const StateSpec& spec, const LowRankFactors& factors, Transposition transposition, StateView x,
                      StateView out, SampleMask samples) override;

  void settle() override {
    if (stage_.has_results()) wait();
  }
  [[nodiscard]] std::int64_t host_waits() const override { return waits_; }
  [[nodiscard]] Runner& runner() { return runner_; }

 private:
  static constexpr std::size_t kFirstBytes = std::size_t{1} << 20;
  static constexpr std::size_t kMostResultsOfOne = 4;

  template <class X, class Span>
  [[nodiscard]] static std::size_t room(const Span& values) {
    return ScalarStage::room_for<X>(values.size());
  }
  template <class Body>
  static void with_type(const StateSpec& spec, const Body& body) {
    if (spec.dtype == DType::f64)
      body(double{});
    else
      body(float{});
  }
  void make_room(std::size_t bytes) {
    memory_ = runner_.reserve(bytes);
    stage_.use(memory_);
  }
  /// Room for an operation's scalars: waits when the memory is full, and grows when it is smaller than one operation.
  void begin(std::initializer_list<std::size_t> rooms) {
    std::size_t bytes = 0;
    for (const std::size_t part : rooms) bytes += part;
    if (stage_.has_room(bytes, kMostResultsOfOne)) return;
    wait();
    if (bytes > stage_.capacity()) make_room(std::bit_ceil(bytes));
  }
  void wait() {
    runner_.wait();
    stage_.deliver();
    ++waits_;
  }
  MaskedLayout masked(const StateSpec& spec, SampleMask samples) {
    return {StateLayout::of(spec), stage_.put(samples)};
  }
  template <class Body>
  void enqueue_elements(const StateSpec& spec, const Body& body) {
    runner_.upload(memory_, stage_.upload());
    runner_.for_each(spec.elements(), body);
  }
  template <class Body>
  void enqueue_blocks(const StateSpec& spec, int count, const Body& body) {
    runner_.upload(memory_, stage_.upload());
    runner_.for_each_block(count, threads_for_sample(spec.sample_elems()), 0, body);
  }

  Runner runner_;
  ScalarStage stage_;
  ScalarStage::Memory memory_;
  std::int64_t waits_ = 0;
};

template <class Runner>
void StateOpsOn<Runner>::copy_rows(const void* from, std::span<const int> from_rows, void* to,
                                   std::span<const int> to_rows, std::size_t row_bytes) {
  if (from_rows.empty() || row_bytes == 0) return;
  begin({room<int>(from_rows), room<int>(to_rows)});
  const int* const sources = stage_.put(from_rows);
  const int* const targets = stage_.put(to_rows);
  runner_.upload(memory_, stage_.upload());
  const auto run = [&]<class Word>(Word) {
    const auto words = static_cast<Index>(row_bytes / sizeof(Word));
    runner_.for_each(
        static_cast<std::int64_t>(from_rows.size()) * words,
        CopyRowWord<Word>{static_cast<const Word*>(from), sources, static_cast<Word*>(to), targets, words});
  };
  const std::size_t shared = reinterpret_cast<std::size_t>(from) | reinterpret_cast<std::size_t>(to) | row_bytes;
  if (shared % sizeof(RowWord) == 0)
    run(RowWord{});
  else if (shared % sizeof(std::uint32_t) == 0)
    run(std::uint32_t{});
  else
    run(std::uint8_t{});
}

template <class Runner>
void StateOpsOn<Runner>::residual(const StateSpec& spec, const ResidualRequest& request, SampleMask samples) {
  const std::size_t scalars = room<double>(request.best_objective);
  begin({6 * room<std::uint8_t>(request.improved), 4 * scalars});
  with_type(spec, [&]<class T>(T) {
    ResidualProgram<T> body;
    body.layout = StateLayout::of(spec);
    body.mask = stage_.put(samples);
    body.z = typed<T>(request.z);
    body.f = typed<T>(request.f);
    body.r = typed<T>(request.r);
    body.best = typed<T>(request.best);
    body.is_relative = request.is_relative;
    body.best_before = stage_.put(std::span<const double>(request.best_objective));
    body.residual_norm = stage_.expect(request.residual_norm, samples);
    body.objective = stage_.expect(request.objective, samples);
    body.best_objective = stage_.expect(request.best_objective, samples);
    body.improved = stage_.expect(request.improved, samples);
    enqueue_blocks(spec, spec.batch, body);
  });
  settle();
}

template <class Runner>
void StateOpsOn<Runner>::product_step(const StateSpec& spec, const ProductStep& step, SampleMask samples) {
  settle();  // the coefficients of the step before
  const auto batch = static_cast<std::size_t>(spec.batch);
  const auto index = static_cast<std::size_t>(step.index);
  const std::span<const double> known = std::span<const double>(step.coefficient).first(index * batch);
  begin({6 * room<std::uint8_t>(step.broke), room<double>(known), 2 * ScalarStage::room_for<double>(batch)});
  with_type(spec, [&]<class T>(T) {
    ProductStepProgram<T> body;
    body.layout = StateLayout::of(spec);
    body.mask = stage_.put(samples);
    body.steps = TypedStack<T>(step.steps);
    body.index = step.index;
    body.coefficient = stage_.put(known);
    body.z = typed<T>(step.z);
    body.advance = stage_.put(step.advance);
    body.breakdown = step.breakdown;
    if (index > 0) body.last_coefficient = stage_.expect(step.coefficient.subspan((index - 1) * batch, batch), samples);
    body.new_coefficient = stage_.expect(step.coefficient.subspan(index * batch, batch), samples);
    body.broke = stage_.expect(step.broke, samples);
    enqueue_blocks(spec, spec.batch, body);
  });
}

template <class Runner>
void StateOpsOn<Runner>::apply_product(const StateSpec& spec, const ProductFactors& factors,
                                       Transposition transposition, StateView x, StateView out, SampleMask samples) {
  settle();
  begin({room<std::uint8_t>(samples), room<double>(factors.coefficient), room<int>(factors.rank)});
  with_type(spec, [&]<class T>(T) {
    ApplyProductProgram<T> body;
    body.layout = StateLayout::of(spec);
    body.mask = stage_.put(samples);
    body.steps = TypedStack<T>(factors.steps);
    body.coefficient = stage_.put(factors.coefficient);
    body.rank = stage_.put(factors.rank);
    body.is_transposed = transposition == Transposition::transposed;
    body.x = typed<T>(x);
    body.out = typed<T>(out);
    enqueue_blocks(spec, spec.batch, body);
  });
}

template <class Runner>
void StateOpsOn<Runner>::apply_low_rank(const StateSpec& spec, const LowRankFactors& factors,
                                        Transposition transposition, StateView x, StateView out, SampleMask samples) {
  const bool is_transposed = transposition == Transposition::transposed;
  begin({room<std::uint8_t>(samples), room<int>(factors.rank)});
  with_type(spec, [&]<class T>(T) {
    ApplyLowRankProgram<T> body;
    body.layout = StateLayout::of(spec);
    body.mask = stage_.put(samples);
    body.alpha = static_cast<T>(factors.alpha);
    body.left = TypedStack<T>(is_transposed ? factors.v : factors.u);
    body.right = TypedStack<T>(is_transposed ? factors.u : factors.v);
    body.rank = stage_.put(factors.rank);
    body.x = typed<T>(x);
    body.out = typed<T>(out);
    enqueue_blocks(spec, spec.batch, body);
  });
}

}  // namespace deq::cuda
