#include "core/solve.h"

#include <algorithm>

namespace deq {
namespace {

/// Copies blocks that lie anywhere into one contiguous state.
void gather(Backend& backend, const StateSpec& spec, std::span<const void* const> blocks, void* state) {
  auto* to = static_cast<std::byte*>(state);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::size_t bytes = static_cast<std::size_t>(spec.block_elems[i] * spec.batch) * size_of(spec.dtype);
    backend.copy(to, blocks[i], bytes);
    to += bytes;
  }
}

/// Runs `solve`. What it throws (Stopped) passes once nothing that is queued can write into the solver any more.
template <class Solve>
void settled(Backend& backend, Solve solve) {
  try {
    solve();
  } catch (...) {
    backend.state_ops().settle();
    throw;
  }
}

}  // namespace

bool is_solve(const Kernel& kernel) {
  return dynamic_cast<const EquilibriumKernel*>(&kernel) != nullptr ||
         dynamic_cast<const LinearSolveKernel*>(&kernel) != nullptr;
}

std::vector<std::unique_ptr<Segment>> freeze_between_solves(Backend& backend, std::vector<BoundLaunch> launches) {
  std::vector<std::unique_ptr<Segment>> out;
  std::vector<BoundLaunch> open;
  const auto close = [&] {
    if (!open.empty()) out.push_back(backend.freeze(std::move(open)));
    open.clear();
  };
  for (BoundLaunch& launch : launches) {
    if (!is_solve(*launch.kernel)) {
      open.push_back(std::move(launch));
      continue;
    }
    close();
    out.push_back(std::make_unique<KernelList>(std::span(&launch, 1)));
  }
  close();
  return out;
}

void RegionMap::set(std::vector<BoundLaunch> launches, std::size_t count, DepthFirst* samples) {
  launch_count_ = count;
  samples_ = samples;
  segments_ = freeze_between_solves(*backend_, std::move(launches));
}

void RegionMap::begin() {
  ladder_.forget();
  for (RegionMap* beside : {pullback_.get(), pushforward_.get(), outer_gradient_.get()})
    if (beside != nullptr) beside->begin();
}

RegionMap& RegionMap::of(RegionRole role) {
  std::unique_ptr<RegionMap>* beside = nullptr;
  switch (role) {
    case RegionRole::map: return *this;
    case RegionRole::pullback: beside = &pullback_; break;
    case RegionRole::pushforward: beside = &pushforward_; break;
    case RegionRole::outer_gradient: beside = &outer_gradient_; break;
  }
  if (*beside == nullptr) *beside = std::make_unique<RegionMap>(spec_, *backend_);
  return **beside;
}

int RegionMap::replay_running(std::span<const std::uint8_t> running) {
  const bool are_all = std::find(running.begin(), running.end(), std::uint8_t{0}) == running.end();
  obey(stop_);
  if (!ladder_.is_empty() && !are_all) return ladder_.replay(input(), output(), running);
  replay();
  return spec_.batch;
}

void EquilibriumKernel::bind(std::span<const void* const> inputs, std::span<void* const> outputs, void*) {
  z0_.assign(inputs.begin(), inputs.end());
  z_ = outputs.front();
}

void EquilibriumKernel::run() {
  gather(*backend_, map_.spec(), z0_, z_);
  map_.begin();
  settled(*backend_, [this] { solver_->solve(map_, StateView{z_}, report_); });
}

void LinearSolveKernel::bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) {
  w_blocks_.assign(inputs.begin(), inputs.end() - 1);
  w_ = static_cast<std::byte*>(workspace);
  u_ = outputs.front();
}

void LinearSolveKernel::run() {
  gather(*backend_, map_.spec(), w_blocks_, w_);
  map_.begin();
  const InverseEstimate& estimate = forward_->solver().estimate();
  const TransposedEstimate transpose = transposed(estimate);
  const InverseEstimate& of_system = system_ == ImplicitSystem::adjoint ? estimate : transpose;
  settled(*backend_,
          [&] { solver_->solve(map_, of_system, forward_->report(), StateView{w_}, StateView{u_}, report_); });
}

}  // namespace deq
