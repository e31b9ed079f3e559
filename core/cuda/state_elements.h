#pragma once

#include "core/cuda/state_layout.h"

// Solver operations without sums, as functions of one element of a state. A null mask means all samples.

namespace deq::cuda {

struct MaskedLayout {
  StateLayout layout;
  const std::uint8_t* mask = nullptr;

  /// Calls act(sample) unless the element's sample is left out.
  template <class Act>
  DEQ_HOST_DEVICE void with_sample(Index offset, const Act& act) const {
    const int sample = layout.sample_of(offset);
    if (mask == nullptr || mask[sample] != 0) act(sample);
  }
};

template <class T>
struct CopyElement {
  MaskedLayout samples;
  const T* from = nullptr;
  T* to = nullptr;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    samples.with_sample(i, [&](int) { to[i] = from[i]; });
  }
};

template <class T>
struct FillElement {
  MaskedLayout samples;
  T* out = nullptr;
  T value = T(0);
  DEQ_HOST_DEVICE void operator()(Index i) const {
    samples.with_sample(i, [&](int) { out[i] = value; });
  }
};

/// out = scale out + sum_k coefficient[k, b] x_k
template <class T>
struct CombineElement {
  MaskedLayout samples;
  T scale = T(0);
  const double* coefficient = nullptr;
  TypedStack<T> x;
  int count = 0;
  T* out = nullptr;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    samples.with_sample(i, [&](int sample) {
      T sum = scale == T(0) ? T(0) : scale * out[i];
      for (int k = 0; k < count; ++k) {
        const double factor = coefficient[k * samples.layout.batch + sample];
        if (factor != 0.0) sum += static_cast<T>(factor) * x.at(k)[i];
      }
      out[i] = sum;
    });
  }
};

/// x_j = sum_k coefficient[j, k, b] x_k for j < kept
template <class T>
struct RecombineElement {
  MaskedLayout samples;
  TypedStack<T> x;
  int count = 0;
  int kept = 0;
  const double* coefficient = nullptr;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    samples.with_sample(i, [&](int sample) {
      T before[kMostRecombined];
      for (int k = 0; k < count; ++k) before[k] = x.at(k)[i];
      for (int j = 0; j < kept; ++j) {
        T sum = T(0);
        for (int k = 0; k < count; ++k)
          sum += static_cast<T>(coefficient[(j * count + k) * samples.layout.batch + sample]) * before[k];
        x.at(j)[i] = sum;
      }
    });
  }
};

/// The widest word rows are copied in.
struct alignas(16) RowWord {
  std::uint64_t half[2] = {};
};

/// Word `i % words` of row i / words. Word is the widest type that divides rows and addresses.
template <class Word>
struct CopyRowWord {
  const Word* from = nullptr;
  const int* from_rows = nullptr;
  Word* to = nullptr;
  const int* to_rows = nullptr;
  Index words = 0;  ///< of one row
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index row = i / words, word = i % words;
    to[std::int64_t{to_rows[row]} * words + word] = from[std::int64_t{from_rows[row]} * words + word];
  }
};

}  // namespace deq::cuda
