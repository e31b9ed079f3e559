#pragma once

#include <algorithm>

#include "core/cuda/bf16.h"
#include "core/cuda/launch.h"
#include "core/cuda/state_layout.h"

namespace deq::cuda {

/// Threads that work on one sample of `elems` elements, about four elements each as far as a block goes: a function of
/// the sample's size alone, so that sums never depend on batch mates. Half of the largest block leaves every thread 128
/// registers.
inline int threads_for_sample(std::int64_t elems) {
  constexpr int kMost = kMostThreads / 2;
  return std::min(kMost, whole_warps((elems + 3) / 4));
}

/// kCount sums taken at once.
template <int kCount>
struct Sums {
  double at[kCount] = {};
  DEQ_HOST_DEVICE Sums& operator+=(const Sums& other) {
    for (int i = 0; i < kCount; ++i) at[i] += other.at[i];
    return *this;
  }
};

/// Vector operations on one sample's rows, by a block (core/cuda/host_launcher.h). An element belongs to the same
/// thread in every operation. Sums accumulate in double.
template <class T, class Block>
class SampleVectors {
 public:
  DEQ_HOST_DEVICE SampleVectors(const StateLayout& layout, int sample, const Block& block)
      : layout_(&layout), sample_(sample), block_(&block) {}

  template <class Stored>
  [[nodiscard]] DEQ_HOST_DEVICE double dot(const Stored* x, const T* y) const {
    return total<1>(
               [=](Index i) {
                 return Pair{widened(x[i]), y[i]};
               },
               [](Index, Pair at, Sums<1>& sums) { sums.at[0] += product(at.x, at.y); })
        .at[0];
  }
  /// y += a x. @returns x . (new y)
  template <class Stored>
  DEQ_HOST_DEVICE double add_scaled_dot(T a, const Stored* x, T* y) const {
    return total<1>(
               [=](Index i) {
                 return Pair{widened(x[i]), y[i]};
               },
               [=](Index i, Pair at, Sums<1>& sums) {
                 const T updated = at.y + a * at.x;
                 y[i] = updated;
                 sums.at[0] += product(at.x, updated);
               })
        .at[0];
  }
  /// y += a x
  template <class Stored>
  DEQ_HOST_DEVICE void add_scaled(T a, const Stored* x, T* y) const {
    each([=](Index i) { return Pair{widened(x[i]), y[i]}; }, [=](Index i, Pair at) { y[i] = at.y + a * at.x; });
  }
  /// y = a x
  DEQ_HOST_DEVICE void scale(T a, const T* x, T* y) const {
    each([=](Index i) { return x[i]; }, [=](Index i, T at) { y[i] = a * at; });
  }
  DEQ_HOST_DEVICE void copy(const T* from, T* to) const {
    if (from == to) return;
    each([=](Index i) { return from[i]; }, [=](Index i, T at) { to[i] = at; });
  }
  /// s = a p as stored, z += a p (z may be null). s may be p. @returns |s|^2
  template <class Stored>
  DEQ_HOST_DEVICE double scale_and_advance(T a, const T* p, Stored* s, T* z) const {
    return total<1>(
               [=](Index i) {
                 return Pair{p[i], z != nullptr ? z[i] : T(0)};
               },
               [=](Index i, Pair at, Sums<1>& sums) {
                 const T scaled = a * at.x;
                 Stored kept;
                 store(scaled, kept);
                 s[i] = kept;
                 if (z != nullptr) z[i] = at.y + scaled;
                 sums.at[0] += product(widened(kept), widened(kept));
               })
        .at[0];
  }
  /// r = f - z (r may be null). @returns |f - z|^2, |f|^2
  DEQ_HOST_DEVICE Sums<2> subtract(const T* f, const T* z, T* r) const {
    return total<2>(
        [=](Index i) {
          return Pair{f[i], z[i]};
        },
        [=](Index i, Pair at, Sums<2>& sums) {
          const T difference = at.x - at.y;
          if (r != nullptr) r[i] = difference;
          sums.at[0] += product(difference, difference);
          sums.at[1] += product(at.x, at.x);
        });
  }

 private:
  struct Pair {
    T x, y;
  };
  // Loads in flight of one thread: a thread's next load would otherwise wait for its last store, which may alias it.
  static constexpr int kInFlight = 8;

  [[nodiscard]] DEQ_HOST_DEVICE static double product(T a, T b) {
    return static_cast<double>(a) * static_cast<double>(b);
  }
  /// use(offset, load(offset)) for the thread's elements, loading several before using them.
  template <class Load, class Use>
  DEQ_HOST_DEVICE void walk(int thread, const Load& load, const Use& use) const {
    const Index threads = block_->threads();
    Index start = 0;
    for (int part = 0; part < layout_->blocks; ++part) {
      const Index elems = layout_->elems[part];
      const Index row = start + sample_ * elems;
      Index i = thread;
      for (; i < elems - (kInFlight - 1) * threads; i += kInFlight * threads) {
        decltype(load(row)) values[kInFlight];
        for (int k = 0; k < kInFlight; ++k) values[k] = load(row + i + k * threads);
        for (int k = 0; k < kInFlight; ++k) use(row + i + k * threads, values[k]);
      }
      for (; i < elems; i += threads) use(row + i, load(row + i));
      start += layout_->batch * elems;
    }
  }
  template <class Load, class Use>
  DEQ_HOST_DEVICE void each(const Load& load, const Use& use) const {
    block_->each_thread([&](int thread) { walk(thread, load, use); });
  }
  template <int kCount, class Load, class Use>
  [[nodiscard]] DEQ_HOST_DEVICE Sums<kCount> total(const Load& load, const Use& use) const {
    return block_->sum([&](int thread) {
      Sums<kCount> sums;
      walk(thread, load, [&](Index i, auto at) { use(i, at, sums); });
      return sums;
    });
  }

  const StateLayout* layout_;
  Index sample_;
  const Block* block_;
};

}  // namespace deq::cuda
