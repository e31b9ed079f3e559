#pragma once

namespace deq {

/// Gives closed standard streams (`deq ... 2>&-`) to /dev/null, so that no file that is opened takes their number and
/// with it what is printed. Opened the wrong way round: what reads or writes them still fails.
void hold_standard_streams();

}  // namespace deq
