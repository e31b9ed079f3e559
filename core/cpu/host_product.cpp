#include <cmath>

#include "core/cpu/host_rows.h"
#include "core/cpu/host_state_ops.h"

namespace deq {
namespace {

using host::as;
using host::each_sample;
using host::largest_rank;
using host::Rows;
using host::with_type;

/// Runs body(state element, stored element) with the types of the states and of the steps kept.
template <class Body>
void with_types(const StateSpec& spec, DType stored, const Body& body) {
  with_type(spec, [&]<class T>(T element) {
    if (stored == DType::bf16)
      body(element, Bfloat16{});
    else
      body(element, T{});
  });
}

/// p = (M without its last link) r in place. @returns s_last . p; every stored step is read once, with the sum for the
/// next link.
template <class T, class S>
double through_links(const StateSpec& spec, const ProductStep& step, int b, const Rows<T>& rows, T* p) {
  const auto slot = [&](int k) { return static_cast<const S*>(step.steps.at(k).data); };
  double along = rows.dot(slot(0), p);
  for (int k = 1; k < step.index; ++k)
    along = rows.add_scaled_dot(step.coefficient[(k - 1) * spec.batch + b] * along, slot(k), p);
  return along;
}

template <class T, class S>
void product_step_of_sample(const StateSpec& spec, const ProductStep& step, int b, const Rows<T>& rows) {
  constexpr bool kIsRounded = !std::is_same_v<T, S>;
  const auto coefficient = [&](int k) -> double& { return step.coefficient[k * spec.batch + b]; };
  S* const newest = static_cast<S*>(step.steps.at(step.index).data);
  T* const p = as<T>(kIsRounded ? step.residual : step.steps.at(step.index));
  double scale = 1.0;
  step.broke[b] = 0;
  if (step.index > 0) {
    const double along = through_links<T, S>(spec, step, b, rows, p);
    const double denominator = 1.0 - coefficient(step.index - 1) * along;
    if (std::abs(denominator) >= step.breakdown) {
      scale = 1.0 / denominator;
    } else {
      coefficient(step.index - 1) = 0.0;
      step.broke[b] = 1;
    }
  }
  T* const z = step.advance.empty() || step.advance[b] != 0 ? as<T>(step.z) : nullptr;
  double norm2 = 0.0;
  rows.each([&](std::int64_t at, std::int64_t n) {
    T* const moved = z == nullptr ? nullptr : z + at;
    if constexpr (kIsRounded)
      norm2 += scale_round_advance(scale, p + at, newest + at, moved, n);
    else
      norm2 += scale_and_advance(scale, p + at, moved, n);
  });
  coefficient(step.index) = norm2 > 0.0 && std::isfinite(norm2) ? 1.0 / norm2 : 0.0;
}

/// x runs through the links in order; every stored step is read once, with the sum for the next link.
template <class T, class S>
void apply_chain(const StateSpec& spec, const ProductFactors& factors, Transposition transposition, int b,
                 const Rows<T>& rows, T* x) {
  const int rank = factors.rank[b];
  if (rank == 0) return;
  const auto slot = [&](int k) { return static_cast<const S*>(factors.steps.at(k).data); };
  const auto coefficient = [&](int k) { return factors.coefficient[k * spec.batch + b]; };
  switch (transposition) {
    case Transposition::none: {
      double along = rows.dot(slot(0), x);
      for (int k = 1; k < rank; ++k) along = rows.add_scaled_dot(coefficient(k - 1) * along, slot(k), x);
      rows.scale_add(1.0, x, coefficient(rank - 1) * along, slot(rank));
      return;
    }
    case Transposition::transposed: {
      double along = rows.dot(slot(rank), x);
      for (int k = rank - 1; k > 0; --k) along = rows.add_scaled_dot(coefficient(k) * along, slot(k), x);
      rows.scale_add(1.0, x, coefficient(0) * along, slot(0));
      return;
    }
  }
}

}  // namespace

bool HostStateOps::stores_steps_as(DType stored, DType state) const { return stored == state || stored == DType::bf16; }

void HostStateOps::product_step(const StateSpec& spec, const ProductStep& step, SampleMask samples) {
  with_types(spec, step.stored, [&]<class T, class S>(T, S) {
    each_sample<T>(spec, samples, step.index + 3,
                   [&](int b, const Rows<T>& rows) { product_step_of_sample<T, S>(spec, step, b, rows); });
  });
}

void HostStateOps::apply_product(const StateSpec& spec, const ProductFactors& factors, Transposition transposition,
                                 StateView x, StateView out, SampleMask samples) {
  with_types(spec, factors.stored, [&]<class T, class S>(T, S) {
    each_sample<T>(spec, samples, largest_rank(factors.rank) + 2, [&](int b, const Rows<T>& rows) {
      rows.copy(as<T>(x), as<T>(out));
      apply_chain<T, S>(spec, factors, transposition, b, rows, as<T>(out));
    });
  });
}

}  // namespace deq
