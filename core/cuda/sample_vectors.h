#pragma once

#include <algorithm>

#include "core/cuda/bf16.h"
#include "core/cuda/launch.h"
#include "core/cuda/state_layout.h"
#include "core/cuda/sums.h"

namespace deq::cuda {

/// Most threads of one block: half of what it may have leaves every thread 128 registers.
inline constexpr int kMostSampleThreads = kMostThreads / 2;
/// Threads of a large sample: more than a block has, so a cluster of blocks where the device has clusters.
inline constexpr int kClusterThreads = 2 * kMostSampleThreads;

/// Threads that work on one sample of `elems` elements, about four elements each as far as a block goes: a function of
/// the sample's size alone, so that sums never depend on batch mates.
inline int threads_for_sample(std::int64_t elems) {
  if (elems >= 16 * kClusterThreads) return kClusterThreads;
  return std::min(kMostSampleThreads, whole_warps((elems + 3) / 4));
}

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
    Index start = 0;
    for (int part = 0; part < layout_->blocks; ++part) {
      const Index elems = layout_->elems[part], row = start + sample_ * elems;
      Index i = thread;
      walk_by<kInFlight>(row, elems, i, load, use);
      walk_by<kInFlight / 2>(row, elems, i, load, use);
      walk_by<kInFlight / 4>(row, elems, i, load, use);
      walk_by<1>(row, elems, i, load, use);
      start += layout_->batch * elems;
    }
  }
  /// From `i` on, kCount elements at a time for as long as there are as many.
  template <int kCount, class Load, class Use>
  DEQ_HOST_DEVICE void walk_by(Index row, Index elems, Index& i, const Load& load, const Use& use) const {
    const Index threads = block_->threads();
    for (; i < elems - (kCount - 1) * threads; i += kCount * threads) {
      decltype(load(row)) values[kCount];
      for (int k = 0; k < kCount; ++k) values[k] = load(row + i + k * threads);
      for (int k = 0; k < kCount; ++k) use(row + i + k * threads, values[k]);
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
