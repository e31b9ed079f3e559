#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace deq {

/// Reads a NumPy .npy file: format 1 to 3, little-endian, C order, elements f4, f8, i4, i8 or u1.
/// Errors: RequestError naming the file and what is wrong. Source: numpy.lib.format, NEP 1.
Tensor read_npy(const std::filesystem::path& path);

/// Writes `tensor` in format 1.0. Errors: Error when the file cannot be written or the type has no NumPy name.
void write_npy(const std::filesystem::path& path, const Tensor& tensor);

/// The same on bytes in memory; `name` stands for the file in error messages.
Tensor decode_npy(std::span<const std::byte> bytes, const std::string& name);
std::vector<std::byte> encode_npy(const Tensor& tensor);

}  // namespace deq
