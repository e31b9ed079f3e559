#pragma once

#include <span>

namespace deq {

/// Eigenvalues and eigenvectors of a small symmetric matrix by Jacobi rotations in double, without allocating.
/// Not hessenberg_eigenvalues (solvers/eigenvalues.h), which allocates, is complex and gives no vectors.
/// @param a  [n, n] row-major, symmetric; its diagonal holds the eigenvalues on return, the rest is spoiled
/// @param v  [n, n] row-major; column j is the unit eigenvector of eigenvalue j on return
void symmetric_eigen(int n, std::span<double> a, std::span<double> v);

}  // namespace deq
