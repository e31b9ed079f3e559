#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace deq {

/// Where a program runs. `reference` is the double-precision oracle on the host.
enum class DeviceKind : std::uint8_t { cpu, reference, cuda };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};

inline std::string name_of(Device device) {
  switch (device.kind) {
    case DeviceKind::cpu: return "cpu";
    case DeviceKind::reference: return "reference";
    case DeviceKind::cuda: return "cuda:" + std::to_string(device.index);
  }
  return "?";
}

}  // namespace deq
