#include "train/build_info.h"

#include <omp.h>
#include <unistd.h>

#include <fstream>

namespace deq {

namespace {

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

std::vector<std::string> cpu_features() {
  std::vector<std::string> features;
#if defined(__x86_64__)
  // __builtin_cpu_supports takes literals only.
  if (__builtin_cpu_supports("sse4.2")) features.emplace_back("sse4.2");
  if (__builtin_cpu_supports("avx")) features.emplace_back("avx");
  if (__builtin_cpu_supports("avx2")) features.emplace_back("avx2");
  if (__builtin_cpu_supports("fma")) features.emplace_back("fma");
  if (__builtin_cpu_supports("avx512f")) features.emplace_back("avx512f");
  if (__builtin_cpu_supports("avx512bw")) features.emplace_back("avx512bw");
  if (__builtin_cpu_supports("avx512vl")) features.emplace_back("avx512vl");
  if (__builtin_cpu_supports("avx512vnni")) features.emplace_back("avx512vnni");
  if (__builtin_cpu_supports("avx512bf16")) features.emplace_back("avx512bf16");
#endif
  return features;
}

}  // namespace

BuildInfo build_info() {
  BuildInfo info{
      .version = DEQ_VERSION, .build_type = DEQ_BUILD_TYPE, .compiler = __VERSION__, .sanitizer = DEQ_SANITIZER};
#ifdef DEQ_CPU_ONEDNN
  info.has_onednn = true;
#endif
#ifdef DEQ_CUDA
  info.has_cuda = true;
#endif
  return info;
}

MachineInfo machine_info() {
  return {.cpu = cpu_model(),
          .threads = omp_get_max_threads(),
          .memory_bytes = static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE),
          .features = cpu_features()};
}

}  // namespace deq
