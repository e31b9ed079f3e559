#include "tests/solvers/state_ops_cases.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "core/cpu/host_state_ops.h"
#include "core/tensor.h"

namespace deq::test {
namespace {

using Scalars = std::vector<double>;
using Mask = std::vector<std::uint8_t>;

const std::vector<StateSpec> kSpecs{
    {.batch = 1, .block_elems = {5}, .dtype = DType::f32},
    {.batch = 3, .block_elems = {40, 10}, .dtype = DType::f64},
    {.batch = 4, .block_elems = {1000, 257, 64, 3}, .dtype = DType::f32},
    {.batch = 2, .block_elems = {20480, 5120}, .dtype = DType::f32},
};
constexpr int kSlots = 6;

/// The same numbers twice: `host` for HostStateOps, `tested` in the memory of the implementation under test.
class Twins {
 public:
  Twins(const OpsUnderTest& under_test, const StateSpec& spec, int slots, unsigned seed)
      : spec_(spec), stride_((spec.bytes() + 63) / 64 * 64), bytes_(stride_ * static_cast<std::size_t>(slots)) {
    host_ = allocate_aligned(bytes_);
    tested_ = under_test.allocate(bytes_);
    std::mt19937_64 rng(seed);
    std::normal_distribution<double> normal;
    for (int slot = 0; slot < slots; ++slot)
      for (std::int64_t i = 0; i < spec.elements(); ++i) set(slot, i, normal(rng) / std::sqrt(spec.sample_elems()));
    std::memcpy(tested_.get(), host_.get(), bytes_);
  }
  [[nodiscard]] StateStack host() const { return {host_.get(), stride_}; }
  [[nodiscard]] StateStack tested() const { return {tested_.get(), stride_}; }
  [[nodiscard]] StateView host(int slot) const { return host().at(slot); }
  [[nodiscard]] StateView tested(int slot) const { return tested().at(slot); }
  void scale(int slot, double by) {
    for (std::int64_t i = 0; i < spec_.elements(); ++i) set(slot, i, by * get(host(slot), i));
    std::memcpy(tested(slot).data, host(slot).data, spec_.bytes());
  }
  /// Largest difference of a slot, relative to its largest element.
  [[nodiscard]] double difference(int slot) const {
    double most = 0.0, scale = 1e-30;
    for (std::int64_t i = 0; i < spec_.elements(); ++i) {
      const double a = get(host(slot), i), b = get(tested(slot), i);
      const bool is_equal = a == b || (std::isnan(a) && std::isnan(b));
      most = std::max(most, is_equal ? 0.0 : std::isfinite(a - b) ? std::abs(a - b) : 1e30);
      scale = std::max(scale, std::abs(a));
    }
    return most / scale;
  }
  [[nodiscard]] double get(StateView state, std::int64_t i) const {
    return spec_.dtype == DType::f64 ? static_cast<double*>(state.data)[i] : static_cast<float*>(state.data)[i];
  }
  void set(int slot, std::int64_t i, double value) {
    if (spec_.dtype == DType::f64)
      static_cast<double*>(host(slot).data)[i] = value;
    else
      static_cast<float*>(host(slot).data)[i] = static_cast<float>(value);
  }

 private:
  StateSpec spec_;
  std::size_t stride_, bytes_;
  AlignedBytes host_;
  std::shared_ptr<void> tested_;
};

/// 20 roundings of the type: chains of links and sums in another order.
double rounding(const StateSpec& spec) { return spec.dtype == DType::f64 ? 1e-14 : 3e-6; }

Scalars random_scalars(std::size_t count, unsigned seed) {
  std::mt19937_64 rng(seed);
  std::normal_distribution<double> normal;
  Scalars out(count);
  for (double& x : out) x = normal(rng);
  return out;
}

std::vector<Mask> masks_of(int batch) {
  Mask some(static_cast<std::size_t>(batch), 0), none(static_cast<std::size_t>(batch), 0);
  for (std::size_t b = 0; b < some.size(); b += 2) some[b] = 1;
  return {{}, some, none};
}

void check_scalars(const Scalars& host, const Scalars& tested) {
  for (std::size_t i = 0; i < host.size(); ++i)
    CHECK((host[i] == tested[i] || std::abs(host[i] - tested[i]) <= 1e-6 * std::abs(host[i]) + 1e-9));
}

/// Runs `act(ops, states)` on both sides and compares the states.
template <class Act>
void check_states(const OpsUnderTest& tested, const StateSpec& spec, const char* name, const Act& act) {
  for (const Mask& mask : masks_of(spec.batch)) {
    CAPTURE(name);
    CAPTURE(spec.batch);
    CAPTURE(mask.size());
    Twins twins(tested, spec, kSlots, 7);
    HostStateOps host;
    act(host, twins.host(), mask);
    act(tested.ops, twins.tested(), mask);
    tested.finish();
    for (int slot = 0; slot < kSlots; ++slot) CHECK(twins.difference(slot) <= rounding(spec));
  }
}

void check_moves(const OpsUnderTest& tested, const StateSpec& spec) {
  const auto batch = static_cast<std::size_t>(spec.batch);
  check_states(tested, spec, "copy", [&](StateOps& ops, StateStack x, const Mask& mask) {
    ops.copy(spec, x.at(0), x.at(3), mask);
    ops.copy(spec, x.at(1), x.at(1), mask);
  });
  check_states(tested, spec, "fill",
               [&](StateOps& ops, StateStack x, const Mask& mask) { ops.fill(spec, x.at(2), 0.75, mask); });
  Scalars weights = random_scalars(3 * batch, 5);
  weights[0] = 0.0;
  for (const double scale : {0.0, 1.0, -0.5})
    check_states(tested, spec, "combine", [&](StateOps& ops, StateStack x, const Mask& mask) {
      ops.combine(spec, scale, weights, x, 3, x.at(4), mask);
      ops.combine(spec, scale, weights, x, 3, x.at(1), mask);  // over one of its inputs
    });
  const Scalars mix = random_scalars(2 * 4 * batch, 6);
  check_states(tested, spec, "recombine",
               [&](StateOps& ops, StateStack x, const Mask& mask) { ops.recombine(spec, x, 4, 2, mix, mask); });
}

void check_dots(const OpsUnderTest& tested, const StateSpec& spec) {
  for (const Mask& mask : masks_of(spec.batch)) {
    const Twins twins(tested, spec, kSlots, 8);
    Scalars host(4 * static_cast<std::size_t>(spec.batch), -3.0), other = host;
    HostStateOps().dots(spec, twins.host(), 4, twins.host(5), host, mask);
    tested.ops.dots(spec, twins.tested(), 4, twins.tested(5), other, mask);
    check_scalars(host, other);
  }
}

struct ResidualResult {
  explicit ResidualResult(std::size_t batch)
      : norm(batch, -1.0), objective(batch, -1.0), best(batch, HUGE_VAL), improved(batch, 9) {
    best.front() = 1e-3;  // better than this iterate
  }
  [[nodiscard]] ResidualRequest request(StateStack x, bool is_relative, bool has_places) {
    const StateView none{};
    return {.z = x.at(0),
            .f = x.at(1),
            .r = has_places ? x.at(2) : none,
            .best = has_places ? x.at(3) : none,
            .is_relative = is_relative,
            .residual_norm = norm,
            .objective = objective,
            .best_objective = best,
            .improved = improved};
  }
  Scalars norm, objective, best;
  Mask improved;
};

void check_residual(const OpsUnderTest& tested, const StateSpec& spec) {
  for (const Mask& mask : masks_of(spec.batch))
    for (const bool is_relative : {true, false})
      for (const double bad : {0.0, static_cast<double>(INFINITY), static_cast<double>(NAN)}) {
        Twins twins(tested, spec, kSlots, 9);
        if (bad != 0.0) {
          twins.set(1, spec.elements() - 1, bad);  // the last sample
          std::memcpy(twins.tested(1).data, twins.host(1).data, spec.bytes());
        }
        const auto batch = static_cast<std::size_t>(spec.batch);
        ResidualResult host(batch), other(batch);
        HostStateOps().residual(spec, host.request(twins.host(), is_relative, bad == 0.0), mask);
        tested.ops.residual(spec, other.request(twins.tested(), is_relative, bad == 0.0), mask);
        tested.finish();
        for (int slot = 0; slot < 4; ++slot) CHECK(twins.difference(slot) <= rounding(spec));
        if (bad == 0.0) check_scalars(host.norm, other.norm);
        check_scalars(host.objective, other.objective);
        check_scalars(host.best, other.best);
        CHECK(host.improved == other.improved);
      }
}

/// Steps 0 .. 4 of the product form, with one link that breaks down, then M x and M^T x for different ranks.
void check_product(const OpsUnderTest& tested, const StateSpec& spec, double breakdown) {
  const auto batch = static_cast<std::size_t>(spec.batch);
  for (const Mask& mask : masks_of(spec.batch)) {
    Twins twins(tested, spec, 9, 10);
    for (int slot = 1; slot < 5; ++slot) twins.scale(slot, std::pow(0.5, slot));  // a solve that converges
    Scalars host(5 * batch, 0.25), other = host;
    Mask host_broke(batch, 0), other_broke(batch, 0), advance(batch, 1);
    advance.front() = 0;
    for (int index = 0; index < 5; ++index) {
      HostStateOps().product_step(spec, {twins.host(), index, host, twins.host(6), advance, breakdown, host_broke},
                                  mask);
      tested.ops.product_step(spec, {twins.tested(), index, other, twins.tested(6), advance, breakdown, other_broke},
                              mask);
      tested.ops.settle();
      check_scalars(host, other);
      CHECK(host_broke == other_broke);
    }
    std::vector<int> rank(batch);
    for (std::size_t b = 0; b < batch; ++b) rank[b] = static_cast<int>((b * 3 + 4) % 5);
    for (const Transposition side : {Transposition::none, Transposition::transposed}) {
      HostStateOps().apply_product(spec, {twins.host(), host, rank}, side, twins.host(7), twins.host(8), mask);
      tested.ops.apply_product(spec, {twins.tested(), other, rank}, side, twins.tested(7), twins.tested(8), mask);
      HostStateOps().apply_product(spec, {twins.host(), host, rank}, side, twins.host(7), twins.host(7), mask);
      tested.ops.apply_product(spec, {twins.tested(), other, rank}, side, twins.tested(7), twins.tested(7), mask);
    }
    tested.finish();
    for (int slot = 0; slot < 9; ++slot) CHECK(twins.difference(slot) <= 20 * rounding(spec));
  }
}

/// The same with steps that are stored in bf16 beside f32 states.
void check_rounded_product(const OpsUnderTest& tested, const StateSpec& spec) {
  CHECK(tested.ops.stores_steps_as(DType::bf16, DType::f32));
  const auto batch = static_cast<std::size_t>(spec.batch);
  for (const Mask& mask : masks_of(spec.batch)) {
    Twins twins(tested, spec, 12, 13);  // 0 .. 4 steps, 5 z, 6 x, 7 .. 11 residuals
    Scalars host(5 * batch, 0.25), other = host;
    Mask host_broke(batch, 0), other_broke(batch, 0);
    for (int index = 0; index < 5; ++index) {
      twins.scale(7 + index, std::pow(0.5, index));
      HostStateOps().product_step(
          spec, {twins.host(), index, host, twins.host(5), {}, 1e-6, host_broke, DType::bf16, twins.host(7 + index)},
          mask);
      tested.ops.product_step(
          spec,
          {twins.tested(), index, other, twins.tested(5), {}, 1e-6, other_broke, DType::bf16, twins.tested(7 + index)},
          mask);
      tested.ops.settle();
    }
    const std::vector<int> rank(batch, 4);
    for (const Transposition side : {Transposition::none, Transposition::transposed}) {
      HostStateOps().apply_product(spec, {twins.host(), host, rank, DType::bf16}, side, twins.host(6), twins.host(6),
                                   mask);
      tested.ops.apply_product(spec, {twins.tested(), other, rank, DType::bf16}, side, twins.tested(6), twins.tested(6),
                               mask);
    }
    tested.finish();
    // A sum in another order may round a stored element the other way, which is 2^-8 of that element.
    for (std::size_t i = 0; i < host.size(); ++i) CHECK(other[i] == doctest::Approx(host[i]).epsilon(1e-3));
    for (const int slot : {5, 6}) CHECK(twins.difference(slot) <= 1e-3);
  }
}

void check_low_rank(const OpsUnderTest& tested, const StateSpec& spec) {
  std::vector<int> rank(static_cast<std::size_t>(spec.batch));
  for (std::size_t b = 0; b < rank.size(); ++b) rank[b] = static_cast<int>((b + 2) % 3);
  for (const Transposition side : {Transposition::none, Transposition::transposed})
    check_states(tested, spec, "apply_low_rank", [&](StateOps& ops, StateStack x, const Mask& mask) {
      const LowRankFactors factors{0.5, {x.at(0).data, x.stride_bytes}, {x.at(2).data, x.stride_bytes}, rank};
      ops.apply_low_rank(spec, factors, side, x.at(4), x.at(5), mask);
    });
}

void check_rows(const OpsUnderTest& tested, const StateSpec& spec) {
  const std::vector<int> from{2, 0, 3}, to{0, 3, 1};
  for (const std::size_t row_bytes : {std::size_t{16}, std::size_t{12}, std::size_t{7}})
    check_states(tested, spec, "copy_rows", [&](StateOps& ops, StateStack x, const Mask&) {
      ops.copy_rows(x.at(0).data, from, x.at(1).data, to, row_bytes);
    });
}

void check_independence_of(const OpsUnderTest& tested, std::int64_t length) {
  const StateSpec all{.batch = 3, .block_elems = {length, 33}}, one{.batch = 1, .block_elems = {length, 33}};
  const Twins batch(tested, all, 2, 11), alone(tested, one, 2, 12);
  const std::size_t row = static_cast<std::size_t>(length) * sizeof(float), tail = 33 * sizeof(float);
  for (int slot = 0; slot < 2; ++slot) {  // sample 2 by itself
    auto* to = static_cast<std::byte*>(alone.tested(slot).data);
    const auto* from = static_cast<const std::byte*>(batch.tested(slot).data);
    std::memcpy(to, from + 2 * row, row);
    std::memcpy(to + row, from + 3 * row + 2 * tail, tail);
  }
  Scalars in_batch(3), by_itself(1);
  tested.ops.dots(all, single(batch.tested(0)), 1, batch.tested(1), in_batch, Mask{0, 0, 1});
  tested.ops.dots(one, single(alone.tested(0)), 1, alone.tested(1), by_itself, {});
  CHECK(in_batch[2] == by_itself[0]);
  tested.ops.dots(all, single(batch.tested(0)), 1, batch.tested(1), in_batch, {});
  CHECK(in_batch[2] == by_itself[0]);
}

}  // namespace

void check_operations(const OpsUnderTest& tested) {
  for (const StateSpec& spec : kSpecs) {
    check_moves(tested, spec);
    check_dots(tested, spec);
    check_residual(tested, spec);
    check_product(tested, spec, 1e-6);
    check_product(tested, spec, 1e3);  // every link breaks
    if (spec.dtype == DType::f32) check_rounded_product(tested, spec);
    check_low_rank(tested, spec);
    if (spec.elements() >= 64) check_rows(tested, spec);
  }
}

void check_independence(const OpsUnderTest& tested) {
  // By one thread, and by one a sample.
  for (const std::int64_t length : {700, 7000}) check_independence_of(tested, length);
}

}  // namespace deq::test
