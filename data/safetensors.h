#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace deq {

/// Contents of a safetensors file: named tensors (f32, f64, i64, i32, u8) and free-form metadata.
/// Both are ordered by name, so equal contents always give equal bytes.
struct SafetensorsFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads `path`. Errors: RequestError naming the file and the byte where it stops making sense: truncation, a bad
/// header length, malformed or repeated entries, unknown types, offsets that overlap, leave holes or leave the file.
/// Source: the format description of github.com/huggingface/safetensors.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

/// Writes `path` in place (not atomic). Errors: Error when the file cannot be written or a name is not UTF-8.
void write_safetensors(const std::filesystem::path& path, const SafetensorsFile& file);

/// The bytes of a file, in order: its header, then tensors where they lie.
struct SafetensorsPieces {
  std::vector<std::byte> header;
  std::vector<Tensor> tensors;  ///< share their bytes with those of the file's contents

  /// All of them; valid as long as this lives.
  [[nodiscard]] std::vector<std::span<const std::byte>> all() const;
};

/// As `encode_safetensors` without a copy of the tensors.
SafetensorsPieces lay_out_safetensors(const SafetensorsFile& file);

/// The bytes of a file with these contents: wider elements first, then by name, so that every tensor is aligned.
std::vector<std::byte> encode_safetensors(const SafetensorsFile& file);

/// As `read_safetensors` on bytes in memory; `name` stands for the file in error messages.
SafetensorsFile decode_safetensors(std::span<const std::byte> bytes, const std::string& name);

}  // namespace deq
