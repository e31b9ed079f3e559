#pragma once

#include "core/cuda/state_elements.h"
#include "core/cuda/state_programs.h"
#include "core/cuda/state_queue.h"

namespace deq::cuda {

/// StateOps on a queue of kernels that runs behind the host. What the operations mean is written here once, for the
/// device and for the queues on the host that tests use.
///
/// `residual` and `dots` wait, for their results are read at once; `product_step` does not (StateOps::settle).
template <class Runner>
class StateOpsOn : public StateOps {
 public:
  template <class... Arguments>
  explicit StateOpsOn(Arguments&&... arguments) : queue_(std::forward<Arguments>(arguments)...) {}

  [[nodiscard]] bool stores_steps_as(DType stored, DType state) const override {
    return stored == state || (stored == DType::bf16 && state == DType::f32);
  }
  [[nodiscard]] AlignedBytes allocate(std::size_t bytes) override { return runner().allocate(bytes); }
  void copy(const StateSpec& spec, StateView from, StateView to, SampleMask samples) override {
    if (from.data == to.data) return;
    queue_.begin({room_of<std::uint8_t>(samples)});
    with_type(spec.dtype, [&]<class T>(T) {
      queue_.for_each(spec.elements(), CopyElement<T>{masked(spec, samples), typed<T>(from), typed<T>(to)});
    });
  }
  void fill(const StateSpec& spec, StateView out, double value, SampleMask samples) override {
    queue_.begin({room_of<std::uint8_t>(samples)});
    with_type(spec.dtype, [&]<class T>(T) {
      queue_.for_each(spec.elements(), FillElement<T>{masked(spec, samples), typed<T>(out), static_cast<T>(value)});
    });
  }
  void combine(const StateSpec& spec, double scale, std::span<const double> coefficient, StateStack x, int count,
               StateView out, SampleMask samples) override {
    coefficient = coefficient.first(static_cast<std::size_t>(count) * static_cast<std::size_t>(spec.batch));
    queue_.begin({room_of<std::uint8_t>(samples), room_of<double>(coefficient)});
    with_type(spec.dtype, [&]<class T>(T) {
      queue_.for_each(spec.elements(),
                      CombineElement<T>{masked(spec, samples), static_cast<T>(scale), queue_.put(coefficient),
                                        TypedStack<T>(x), count, typed<T>(out)});
    });
  }
  void recombine(const StateSpec& spec, StateStack x, int count, int kept, std::span<const double> coefficient,
                 SampleMask samples) override {
    queue_.begin({room_of<std::uint8_t>(samples), room_of<double>(coefficient)});
    with_type(spec.dtype, [&]<class T>(T) {
      queue_.for_each(spec.elements(), RecombineElement<T>{masked(spec, samples), TypedStack<T>(x), count, kept,
                                                           queue_.put(coefficient)});
    });
  }
  void dots(const StateSpec& spec, StateStack x, int count, StateView y, std::span<double> dots,
            SampleMask samples) override {
    const int blocks = count * spec.batch;
    dots = dots.first(static_cast<std::size_t>(blocks));
    queue_.begin({2 * room_of<std::uint8_t>(samples), room_of<double>(dots)});
    with_type(spec.dtype, [&]<class T>(T) {
      queue_.for_each_block(spec, blocks,
                            DotsProgram<T>{StateLayout::of(spec), queue_.put(samples), TypedStack<T>(x), typed<T>(y),
                                           queue_.expect(dots, samples)});
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

  void settle() override { queue_.settle(); }
  [[nodiscard]] std::int64_t host_waits() const override { return queue_.waits(); }
  [[nodiscard]] Runner& runner() { return queue_.runner(); }

 private:
  MaskedLayout masked(const StateSpec& spec, SampleMask samples) {
    return {StateLayout::of(spec), queue_.put(samples)};
  }

  StateQueue<Runner> queue_;
};

template <class Runner>
void StateOpsOn<Runner>::copy_rows(const void* from, std::span<const int> from_rows, void* to,
                                   std::span<const int> to_rows, std::size_t row_bytes) {
  if (from_rows.empty() || row_bytes == 0) return;
  queue_.begin({room_of<int>(from_rows), room_of<int>(to_rows)});
  const int* const sources = queue_.put(from_rows);
  const int* const targets = queue_.put(to_rows);
  const auto run = [&]<class Word>(Word) {
    const auto words = static_cast<Index>(row_bytes / sizeof(Word));
    queue_.for_each(static_cast<std::int64_t>(from_rows.size()) * words,
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
  const std::size_t scalars = room_of<double>(request.best_objective);
  queue_.begin({6 * room_of<std::uint8_t>(request.improved), 4 * scalars});
  with_type(spec.dtype, [&]<class T>(T) {
    ResidualProgram<T> body;
    body.layout = StateLayout::of(spec);
    body.mask = queue_.put(samples);
    body.z = typed<T>(request.z);
    body.f = typed<T>(request.f);
    body.r = typed<T>(request.r);
    body.best = typed<T>(request.best);
    body.is_relative = request.is_relative;
    body.best_before = queue_.put(std::span<const double>(request.best_objective));
    body.residual_norm = queue_.expect(request.residual_norm, samples);
    body.objective = queue_.expect(request.objective, samples);
    body.best_objective = queue_.expect(request.best_objective, samples);
    body.improved = queue_.expect(request.improved, samples);
    queue_.for_each_block(spec, spec.batch, body);
  });
  settle();
}

template <class Runner>
void StateOpsOn<Runner>::product_step(const StateSpec& spec, const ProductStep& step, SampleMask samples) {
  settle();  // the coefficients of the step before
  const auto batch = static_cast<std::size_t>(spec.batch);
  const auto index = static_cast<std::size_t>(step.index);
  const std::span<const double> known = std::span<const double>(step.coefficient).first(index * batch);
  queue_.begin(
      {6 * room_of<std::uint8_t>(step.broke), room_of<double>(known), 2 * ScalarStage::room_for<double>(batch)});
  with_types(spec.dtype, step.stored, [&]<class T, class Stored>(T, Stored) {
    ProductStepProgram<T, Stored> body;
    body.layout = StateLayout::of(spec);
    body.mask = queue_.put(samples);
    body.steps = TypedStack<Stored>(step.steps);
    body.p = typed<T>(step.stored == spec.dtype ? step.steps.at(step.index) : step.residual);
    body.index = step.index;
    body.coefficient = queue_.put(known);
    body.z = typed<T>(step.z);
    body.advance = queue_.put(step.advance);
    body.breakdown = step.breakdown;
    if (index > 0) body.last_coefficient = queue_.expect(step.coefficient.subspan((index - 1) * batch, batch), samples);
    body.new_coefficient = queue_.expect(step.coefficient.subspan(index * batch, batch), samples);
    body.broke = queue_.expect(step.broke, samples);
    queue_.for_each_block(spec, spec.batch, body);
  });
}

template <class Runner>
void StateOpsOn<Runner>::apply_product(const StateSpec& spec, const ProductFactors& factors,
                                       Transposition transposition, StateView x, StateView out, SampleMask samples) {
  settle();
  queue_.begin({room_of<std::uint8_t>(samples), room_of<double>(factors.coefficient), room_of<int>(factors.rank)});
  with_types(spec.dtype, factors.stored, [&]<class T, class Stored>(T, Stored) {
    ApplyProductProgram<T, Stored> body;
    body.layout = StateLayout::of(spec);
    body.mask = queue_.put(samples);
    body.steps = TypedStack<Stored>(factors.steps);
    body.coefficient = queue_.put(factors.coefficient);
    body.rank = queue_.put(factors.rank);
    body.is_transposed = transposition == Transposition::transposed;
    body.x = typed<T>(x);
    body.out = typed<T>(out);
    queue_.for_each_block(spec, spec.batch, body);
  });
}

template <class Runner>
void StateOpsOn<Runner>::apply_low_rank(const StateSpec& spec, const LowRankFactors& factors,
                                        Transposition transposition, StateView x, StateView out, SampleMask samples) {
  const bool is_transposed = transposition == Transposition::transposed;
  queue_.begin({room_of<std::uint8_t>(samples), room_of<int>(factors.rank)});
  with_type(spec.dtype, [&]<class T>(T) {
    ApplyLowRankProgram<T> body;
    body.layout = StateLayout::of(spec);
    body.mask = queue_.put(samples);
    body.alpha = static_cast<T>(factors.alpha);
    body.left = TypedStack<T>(is_transposed ? factors.v : factors.u);
    body.right = TypedStack<T>(is_transposed ? factors.u : factors.v);
    body.rank = queue_.put(factors.rank);
    body.x = typed<T>(x);
    body.out = typed<T>(out);
    queue_.for_each_block(spec, spec.batch, body);
  });
}

}  // namespace deq::cuda
