#include "core/cuda/graph_segment.h"

#include "core/cuda/check.h"
#include "core/cuda/update_kernels.h"
#include "core/dependencies.h"

namespace deq::cuda {

namespace {

/// The nodes that whatever is captured next waits for.
std::vector<cudaGraphNode_t> captured_ends(cudaStream_t stream) {
  cudaStreamCaptureStatus status{};
  const cudaGraphNode_t* nodes = nullptr;
  const cudaGraphEdgeData* edges = nullptr;
  std::size_t count = 0;
  check_cuda(cudaStreamGetCaptureInfo(stream, &status, nullptr, nullptr, &nodes, &edges, &count),
             "cudaStreamGetCaptureInfo");
  return {nodes, nodes + count};
}

/// Makes whatever is captured next wait for `nodes` alone.
void capture_after(cudaStream_t stream, std::vector<cudaGraphNode_t> nodes) {
  check_cuda(cudaStreamUpdateCaptureDependencies(stream, nodes.data(), nullptr, nodes.size(),
                                                 cudaStreamSetCaptureDependencies),
             "cudaStreamUpdateCaptureDependencies");
}

}  // namespace

GraphSegment::GraphSegment(const Stream& stream, std::span<const BoundLaunch> launches, SegmentCounts& counts)
    : stream_(stream), launches_(join_updates(launches, joined_)), counts_(counts) {}

GraphSegment::~GraphSegment() {
  if (executable_ != nullptr) (void)cudaGraphExecDestroy(executable_);
}

void GraphSegment::launch_all() {
  for (const BoundLaunch& launch : launches_) launch.kernel->run();
}

void GraphSegment::capture_all() {
  const std::vector<std::vector<std::size_t>> dependencies = dependencies_of(launches_);
  std::vector<std::vector<cudaGraphNode_t>> ends(launches_.size());
  for (std::size_t i = 0; i < launches_.size(); ++i) {
    std::vector<cudaGraphNode_t> after;
    for (const std::size_t first : dependencies[i]) after.insert(after.end(), ends[first].begin(), ends[first].end());
    capture_after(stream_.handle(), after);
    launches_[i].kernel->run();
    ends[i] = captured_ends(stream_.handle());
  }
}

void GraphSegment::capture() {
  cudaGraph_t graph = nullptr;
  bool is_whole = cudaStreamBeginCapture(stream_.handle(), cudaStreamCaptureModeThreadLocal) == cudaSuccess;
  if (is_whole) {
    try {
      capture_all();
    } catch (const Error&) {  // a call that cannot be captured; the kernels themselves have run before
      is_whole = false;
    }
    is_whole = cudaStreamEndCapture(stream_.handle(), &graph) == cudaSuccess && is_whole;
  }
  if (is_whole) is_whole = cudaGraphInstantiate(&executable_, graph, 0) == cudaSuccess;
  if (graph != nullptr) (void)cudaGraphDestroy(graph);
  (void)cudaGetLastError();  // what the refusal left behind
  state_ = is_whole ? State::captured : State::refused;
  ++(is_whole ? counts_.captured : counts_.uncaptured);
}

void GraphSegment::run() {
  if (launches_.empty()) return;
  if (state_ == State::warm) capture();
  switch (state_) {
    case State::fresh: state_ = State::warm; return launch_all();
    case State::warm:
    case State::refused: return launch_all();
    case State::captured: return check_cuda(cudaGraphLaunch(executable_, stream_.handle()), "cudaGraphLaunch");
  }
}

}  // namespace deq::cuda
