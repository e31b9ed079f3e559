#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/state_ops.h"

namespace deq::test {

/// An implementation of StateOps with memory that its kernels and, after `finish`, the host may touch.
struct OpsUnderTest {
  StateOps& ops;
  std::function<std::shared_ptr<void>(std::size_t bytes)> allocate;
  std::function<void()> finish;  ///< everything asked for has run
};

/// The contract of StateOps against HostStateOps: every operation over types, batches, blocks, masks and ranks.
/// States agree to rounding, scalars as well, rows of samples left out keep their bits.
void check_operations(const OpsUnderTest& tested);
/// A sample's results have the same bits whatever batch it is in.
void check_independence(const OpsUnderTest& tested);
/// Every method of the loop and every adjoint takes the same steps as on the host and ends at the same solution.
void check_solvers(const OpsUnderTest& tested);

}  // namespace deq::test
