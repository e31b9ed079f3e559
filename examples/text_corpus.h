#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <unordered_map>

#include "core/error.h"

// Texts for examples/language_model.cpp, and what counting makes of them.

namespace deq::examples {

inline constexpr int kBytes = 256;

struct Corpus {
  std::string train, held_out;
  double entropy = 0;  ///< bits a byte that no model can go below; 0: not known
};

inline constexpr std::array<const char*, 8> kNames{"ann", "bob", "carla", "dan", "eve", "frank", "gina", "hal"};
inline constexpr std::array<const char*, 8> kThings{"cup", "book", "key", "lamp", "ring", "map", "apple", "violin"};

/// Sentences that say twice who gives and who gets: the second time it can be known, but only from far away.
inline Corpus grammar_corpus(int sentences) {
  std::mt19937 rng(5);
  std::string text;
  for (int i = 0; i < sentences; ++i) {
    const std::size_t giver = rng() % 8, getter = (giver + 1 + rng() % 7) % 8;
    const std::string a = kNames[giver], b = kNames[getter];
    text += a + " gave " + b + " a " + kThings[rng() % 8] + ". " + b + " thanked " + a + ".\n";
  }
  // A sentence is three choices, of 8, 7 and 8, and this long on average.
  std::size_t letters = 0;
  for (std::size_t i = 0; i < 8; ++i) letters += 4 * std::string(kNames[i]).size() + std::string(kThings[i]).size();
  const double length = static_cast<double>(letters) / 8 + 22;
  const std::size_t cut = text.size() * 9 / 10;
  return {text.substr(0, cut), text.substr(cut), (3 + std::log2(7.0) + 3) / length};
}

/// The first nine tenths of a file are learnt from; the grammar's text for no path. Errors (RequestError): no such
/// file, or less than `smallest` bytes.
inline Corpus corpus_of(const std::string& path, std::size_t smallest) {
  if (path.empty()) return grammar_corpus(5000);
  std::ifstream file(path, std::ios::binary);
  require(file.good(), "text", "cannot read '", path, "'");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  require(text.size() >= smallest, "text", "'", path, "' has ", text.size(), " bytes, give one of at least ", smallest);
  const std::size_t cut = text.size() * 9 / 10;
  return {text.substr(0, cut), text.substr(cut)};
}

/// What counting reaches: the probability of a byte after its last n bytes is (count + p) / (all of them + 1), p being
/// that after n - 1, and 1 / 256 at the start.
class Counts {
 public:
  explicit Counts(const std::string& text) {
    for (std::size_t i = 0; i < text.size(); ++i)
      for (std::size_t n = 0; n <= std::min(i, kLongest); ++n)
        ++seen_[text.substr(i - n, n + 1)], ++all_[text.substr(i - n, n)];
  }
  /// Bits a byte of `text` after n bytes each.
  [[nodiscard]] double bits(const std::string& text, std::size_t longest) const {
    double out = 0;
    for (std::size_t i = kLongest; i < text.size(); ++i) {
      double p = 1.0 / kBytes;
      for (std::size_t n = 0; n <= longest; ++n)
        p = (of(seen_, text.substr(i - n, n + 1)) + p) / (of(all_, text.substr(i - n, n)) + 1);
      out -= std::log2(p);
    }
    return out / static_cast<double>(text.size() - kLongest);
  }
  static constexpr std::size_t kLongest = 8;

 private:
  using Table = std::unordered_map<std::string, int>;
  static int of(const Table& table, const std::string& key) {
    const auto found = table.find(key);
    return found == table.end() ? 0 : found->second;
  }
  Table seen_, all_;
};

}  // namespace deq::examples
