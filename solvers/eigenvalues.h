#pragma once

#include <complex>
#include <span>
#include <vector>

namespace deq {

/// Eigenvalues of a small upper Hessenberg matrix, in no order, by the shifted QR algorithm in complex arithmetic.
///
/// Entries below the first subdiagonal are not read. Cost O(n^3); meant for n up to a few hundred.
/// Not for symmetric matrices whose vectors are wanted: solvers/symmetric_eigen.h gives both, and neither does the
/// other. Source: G. H. Golub, C. F. Van Loan, Matrix Computations, 4th ed., section 7.5 (Wilkinson's shift,
/// deflation).
/// @param h  [n, n] row-major
/// @returns n values; none when an entry is not finite or the iteration does not settle
/// @throws Error  h does not hold n * n entries
[[nodiscard]] std::vector<std::complex<double>> hessenberg_eigenvalues(std::span<const double> h, int n);

}  // namespace deq
