#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace deq {

/// How this library was built.
struct BuildInfo {
  std::string_view version;
  std::string_view build_type;
  std::string_view compiler;
  std::string_view sanitizer;  ///< empty: none
  bool has_onednn = false;
  bool has_cuda = false;
};
BuildInfo build_info();

/// What it runs on.
struct MachineInfo {
  std::string cpu;  ///< model name; empty when the system does not tell
  int threads = 1;  ///< of OpenMP
  std::int64_t memory_bytes = 0;
  std::vector<std::string> features;  ///< instruction sets that matter here: avx2, fma, avx512f, ...
};
MachineInfo machine_info();

}  // namespace deq
