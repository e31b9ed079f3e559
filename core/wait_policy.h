#pragma once

namespace deq {

/// Makes threads that wait for others give up their core soon, unless the environment already says how they wait
/// (OMP_WAIT_POLICY or GOMP_SPINCOUNT). By its default libgomp spins for milliseconds, which gains nothing over
/// spinning for microseconds, and beside another busy process a thread then waits for one that has no core: some
/// commands took thirty times as long. The library reads its environment before main, so the program starts itself once
/// more: call this before anything else in main. Where that cannot be, it goes on as it is.
/// @param argv  of main
void limit_spinning(char** argv);

}  // namespace deq
