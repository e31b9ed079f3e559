#include "tests/solvers/golden.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace deq::test {

std::optional<Golden> fixed_point_golden() {
  const char* const folder = std::getenv("DEQ_REFERENCE_DIR");
  if (folder == nullptr) {
    std::cout << "SKIPPED: DEQ_REFERENCE_DIR is not set\n";
    return std::nullopt;
  }
  const std::string path = std::string(folder) + "/fixed-point/contract.safetensors";
  std::ifstream file(path, std::ios::binary);
  check(file.good(), "golden", "cannot read ", path);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  const auto header = nlohmann::json::parse(bytes.substr(sizeof header_bytes, header_bytes));
  const char* const data = bytes.data() + sizeof header_bytes + header_bytes;
  Golden out;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const auto begin = entry.at("data_offsets").at(0).get<std::size_t>();
    const auto end = entry.at("data_offsets").at(1).get<std::size_t>();
    std::vector<double>& values = out.arrays[name];
    if (entry.at("dtype") == "F64") {
      values.resize((end - begin) / sizeof(double));
      std::memcpy(values.data(), data + begin, end - begin);
    } else {
      std::vector<float> narrow((end - begin) / sizeof(float));
      std::memcpy(narrow.data(), data + begin, end - begin);
      values.assign(narrow.begin(), narrow.end());
    }
    out.shapes[name] = entry.at("shape").get<std::vector<int>>();
  }
  return out;
}

}  // namespace deq::test
