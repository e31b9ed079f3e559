#pragma once

#include <cstddef>
#include <cstdint>

namespace deq {

enum class ResizeMode : std::uint8_t { nearest, bilinear };
/// [B,H,W,C] -> [B,height,width,C]. nearest: source index floor(i * H / height). bilinear: half-pixel centres, or
/// corners aligned when `align_corners`.
struct Resize {
  ResizeMode mode = ResizeMode::nearest;
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool align_corners = false;
  bool operator==(const Resize&) const = default;
};
/// Transpose of Resize: [B,h,w,C] -> [B,height,width,C] (the size before resizing).
struct ResizeGrad {
  ResizeMode mode = ResizeMode::nearest;
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool align_corners = false;
  bool operator==(const ResizeGrad&) const = default;
};
/// y [B,height,width,C] = sum of images x_i [B,h_i,w_i,C], each enlarged a whole number of times by repeating pixels;
/// relu(y) when `post_relu`. x_0 may lie where y does if it is as large. Inserted by rewrites; has no derivative.
struct UpsampleSum {
  static constexpr std::size_t kMostInputs = 8;
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool post_relu = false;
  bool operator==(const UpsampleSum&) const = default;
};
/// Mean over kernel x kernel windows; padding counts as zeros in the mean.
struct AvgPool {
  int kernel = 2;
  int stride = 2;
  int pad = 0;
  bool operator==(const AvgPool&) const = default;
};
/// Transpose of AvgPool: g -> [B,height,width,C].
struct AvgPoolGrad {
  AvgPool pool;
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool operator==(const AvgPoolGrad&) const = default;
};
/// Outputs y and winner i32 like y (flat h * W + w of the maximum; the first on ties). Padding never wins.
struct MaxPool {
  int kernel = 2;
  int stride = 2;
  int pad = 0;
  bool operator==(const MaxPool&) const = default;
};
/// y[b,i,j,c] = x[b, winner[b,i,j,c], c]; inputs x, winner.
struct WinnerGather {
  bool operator==(const WinnerGather&) const = default;
};
/// Transpose of WinnerGather in x: inputs g, winner -> [B,height,width,C], adding where windows overlap.
struct WinnerScatter {
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool operator==(const WinnerScatter&) const = default;
};

}  // namespace deq
