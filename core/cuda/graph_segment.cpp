#include "core/cuda/graph_segment.h"

#include "core/cuda/check.h"
#include "core/cuda/update_kernels.h"

namespace deq::cuda {

GraphSegment::GraphSegment(const Stream& stream, std::vector<Kernel*> kernels, SegmentCounts& counts)
    : stream_(stream), kernels_(join_updates(kernels, joined_)), counts_(counts) {}

GraphSegment::~GraphSegment() {
  if (executable_ != nullptr) (void)cudaGraphExecDestroy(executable_);
}

void GraphSegment::launch_all() {
  for (Kernel* kernel : kernels_) kernel->run();
}

void GraphSegment::capture() {
  cudaGraph_t graph = nullptr;
  bool is_whole = cudaStreamBeginCapture(stream_.handle(), cudaStreamCaptureModeThreadLocal) == cudaSuccess;
  if (is_whole) {
    try {
      launch_all();
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
  if (kernels_.empty()) return;
  if (state_ == State::warm) capture();
  switch (state_) {
    case State::fresh: state_ = State::warm; return launch_all();
    case State::warm:
    case State::refused: return launch_all();
    case State::captured: return check_cuda(cudaGraphLaunch(executable_, stream_.handle()), "cudaGraphLaunch");
  }
}

}  // namespace deq::cuda
