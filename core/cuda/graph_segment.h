#pragma once

#include <memory>
#include <vector>

#include "core/backend.h"
#include "core/cuda/stream.h"

namespace deq::cuda {

/// How segments of a backend have run, for tests and reports.
struct SegmentCounts {
  std::size_t captured = 0;    ///< segments that became a graph
  std::size_t uncaptured = 0;  ///< segments whose capture the driver refused; they launch kernel by kernel
};

/// Launches as one CUDA graph, in which each waits for those it depends on and for no others. The first run launches
/// them one by one, which loads what they need; the second captures them; from then on a run is one launch.
class GraphSegment final : public Segment {
 public:
  GraphSegment(const Stream& stream, std::span<const BoundLaunch> launches, SegmentCounts& counts);
  ~GraphSegment() override;
  GraphSegment(const GraphSegment&) = delete;
  GraphSegment& operator=(const GraphSegment&) = delete;
  void run() override;

 private:
  enum class State : std::uint8_t { fresh, warm, captured, refused };
  void capture();
  void launch_all();
  void capture_all();

  const Stream& stream_;
  std::vector<std::unique_ptr<Kernel>> joined_;  ///< optimiser updates that run together
  std::vector<BoundLaunch> launches_;
  SegmentCounts& counts_;
  State state_ = State::fresh;
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace deq::cuda
