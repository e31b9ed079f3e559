#pragma once

#include <cstddef>
#include <type_traits>

#include "core/cuda/launch.h"

// The device's side of a block program; host_launcher.h says what a program may do. For .cu files only. Every member is
// marked for both sides because programs are, but only runs on a device.

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define DEQ_HAS_CLUSTERS  // blocks that see each other's shared memory
#endif

namespace deq::cuda {

/// Other lanes' values, of any trivially copyable type, word by word.
template <class T>
__device__ T shuffle_down(T value, int offset) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(int) == 0);
  int words[sizeof(T) / sizeof(int)];
  memcpy(words, &value, sizeof(T));
  for (int& word : words) word = __shfl_down_sync(0xffffffffU, word, offset);
  memcpy(&value, words, sizeof(T));
  return value;
}

struct AddTo {
  template <class T>
  __device__ void operator()(T& total, const T& value) const {
    total += value;
  }
};
struct RaiseTo {
  template <class T>
  __device__ void operator()(T& total, const T& value) const {
    total = value > total ? value : total;
  }
};

class DeviceBlock {
 public:
  /// A variable of every thread that outlives phases.
  template <class T>
  class Kept {
   public:
    __host__ __device__ explicit Kept(const DeviceBlock&) {}
    __host__ __device__ T& operator[](int) { return own_; }

   private:
    T own_{};
  };

  __host__ __device__ Index index() const {
#ifdef __CUDA_ARCH__
    return static_cast<Index>(blockIdx.x);
#else
    return 0;
#endif
  }
  __host__ __device__ int threads() const {
#ifdef __CUDA_ARCH__
    return static_cast<int>(blockDim.x);
#else
    return 0;
#endif
  }
  template <class T>
  __host__ __device__ T* shared(std::size_t offset = 0) const {
#ifdef __CUDA_ARCH__
    extern __shared__ __align__(16) unsigned char dynamic_shared[];
    return reinterpret_cast<T*>(dynamic_shared + offset);
#else
    (void)offset;
    return nullptr;
#endif
  }
  template <class Phase>
  __host__ __device__ void each_thread(const Phase& phase) const {
#ifdef __CUDA_ARCH__
    phase(static_cast<int>(threadIdx.x));
    __syncthreads();
#else
    (void)phase;
#endif
  }
  template <class Value>
  __host__ __device__ auto sum(const Value& value) const {
    using T = std::decay_t<decltype(value(0))>;
#ifdef __CUDA_ARCH__
    return join(value(static_cast<int>(threadIdx.x)), T{}, AddTo{});
#else
    (void)value;
    return T{};
#endif
  }
  template <class Value>
  __host__ __device__ auto max(const Value& value) const {
    using T = std::decay_t<decltype(value(0))>;
#ifdef __CUDA_ARCH__
    const T own = value(static_cast<int>(threadIdx.x));
    return join(own, own, RaiseTo{});
#else
    (void)value;
    return T{};
#endif
  }

 private:
#ifdef __CUDA_ARCH__
  /// All threads' values joined in a fixed order: by warps, then over warps. `idle` stands for warps that do not exist.
  template <class T, class Join>
  __device__ static T join(T value, T idle, Join join_to) {
    __shared__ __align__(16) unsigned char bytes[kWarp * sizeof(T)];
    T* of_warp = reinterpret_cast<T*>(bytes);
    for (int offset = kWarp / 2; offset > 0; offset /= 2) join_to(value, shuffle_down(value, offset));
    const int thread = static_cast<int>(threadIdx.x), warps = static_cast<int>(blockDim.x) / kWarp;
    if (thread % kWarp == 0) of_warp[thread / kWarp] = value;
    __syncthreads();
    if (thread < kWarp) {
      T total = thread < warps ? of_warp[thread] : idle;
      for (int offset = kWarp / 2; offset > 0; offset /= 2) join_to(total, shuffle_down(total, offset));
      if (thread == 0) of_warp[0] = total;
    }
    __syncthreads();
    const T result = of_warp[0];
    __syncthreads();
    return result;
  }
#endif
};

}  // namespace deq::cuda
