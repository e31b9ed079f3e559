#include "core/cpu/sliced_lines.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

namespace deq::cpu {
namespace {

constexpr std::int64_t kLanes = Slices<double, std::int32_t>::kLanes;
constexpr std::int64_t kMostSegments = 4;   // each has slices of its own
constexpr std::int64_t kWideLine = 2048;    // long enough alone, also to share such lines among threads
constexpr std::int64_t kLargestCode = 255;  // of one byte

struct Entry {
  std::int32_t index = 0;
  double value = 0.0;
};

/// The entries of the lines whose index lies in one segment, by number of the line.
class Segment {
 public:
  Segment(const CompressedLines& lines, std::int64_t number, bool has_codes)
      : lines_(lines),
        first_(number * kSegment),
        last_(has_codes ? first_ + kSegment : std::numeric_limits<std::int32_t>::max()),
        has_codes_(has_codes),
        length_(lines.count) {
#pragma omp parallel for schedule(static)
    for (std::int64_t line = 0; line < lines.count; ++line) for_entries(line, [&](const Entry&) { ++length_[line]; });
  }

  [[nodiscard]] std::int64_t length(std::int64_t line) const { return length_[line]; }
  [[nodiscard]] std::int64_t lines() const { return lines_.count; }

  /// Entries with their index from the start of the segment.
  void entries(std::int64_t line, std::vector<Entry>& out) const {
    out.clear();
    for_entries(line, [&](const Entry& entry) { out.push_back(entry); });
  }

 private:
  template <class Body>
  void for_entries(std::int64_t line, const Body& body) const {
    for (std::int64_t k = lines_.start[line]; k < lines_.start[line + 1]; ++k) {
      const std::int32_t index = lines_.index[k];
      if (index < first_ || index >= last_) continue;
      const auto at = static_cast<std::int32_t>(index - first_);
      if (!has_codes_) {
        body(Entry{at, lines_.value[k]});
        continue;
      }
      std::int64_t code = lines_.code[k];
      for (; code > kLargestCode; code -= kLargestCode) body(Entry{at, static_cast<double>(kLargestCode)});
      body(Entry{at, static_cast<double>(code)});
    }
  }

  const CompressedLines& lines_;
  std::int64_t first_, last_;
  bool has_codes_;
  std::vector<std::int64_t> length_;
};

/// Lines that have entries, longest first.
std::vector<std::int32_t> lines_by_length(const Segment& segment) {
  std::vector<std::int32_t> order;
  for (std::int64_t line = 0; line < segment.lines(); ++line)
    if (segment.length(line) > 0) order.push_back(static_cast<std::int32_t>(line));
  std::ranges::stable_sort(order, std::greater<>{}, [&](std::int32_t line) { return segment.length(line); });
  return order;
}

/// Cuts the lines into slices and leaves room for their entries. A line is alone in its slice where the lines beside
/// it would be padding for more than an eighth.
template <class Value, class Index>
void cut_slices(const Segment& segment, const std::vector<std::int32_t>& order, Slices<Value, Index>& out) {
  for (std::size_t first = 0; first < order.size();) {
    const std::size_t last = std::min(order.size(), first + kLanes);
    const std::int64_t longest = segment.length(order[first]);
    std::int64_t entries = 0;
    for (std::size_t k = first; k < last; ++k) entries += segment.length(order[k]);
    const bool is_wide = longest >= kWideLine || (longest > kLanes && 8 * entries < 7 * kLanes * longest);
    for (std::size_t k = first; k < first + kLanes; ++k)
      out.line.push_back(k < (is_wide ? first + 1 : last) ? order[k] : -1);
    out.is_wide.push_back(is_wide ? 1 : 0);
    out.start.push_back(out.start.back() + (is_wide ? (longest + kLanes - 1) / kLanes : longest));
    first = is_wide ? first + 1 : last;
  }
}

template <class Value, class Index>
void fill_slices(const Segment& segment, Slices<Value, Index>& out) {
  const auto slices = static_cast<std::int64_t>(out.is_wide.size());
  out.value.assign(out.start.back() * kLanes, Value{0});
  out.index.resize(out.start.back() * kLanes);
#pragma omp parallel
  {
    std::vector<Entry> entries;
#pragma omp for schedule(dynamic, 64)
    for (std::int64_t slice = 0; slice < slices; ++slice) {
      const bool is_wide = out.is_wide[slice] != 0;
      const std::int64_t begin = out.start[slice] * kLanes, end = out.start[slice + 1] * kLanes;
      for (std::int64_t lane = 0; lane < (is_wide ? 1 : kLanes); ++lane) {
        std::int32_t& line = out.line[slice * kLanes + lane];
        segment.entries(line < 0 ? out.line[slice * kLanes] : line, entries);
        const std::int64_t step = is_wide ? 1 : kLanes;
        std::size_t k = 0;
        for (std::int64_t at = begin + lane; at < end; at += step, ++k) {
          const Entry& entry = entries[std::min(k, entries.size() - 1)];
          out.index[at] = static_cast<Index>(entry.index);
          if (line >= 0 && k < entries.size()) out.value[at] = static_cast<Value>(entry.value);
        }
      }
    }
  }
}

template <class Value, class Index>
Slices<Value, Index> sliced(const Segment& segment) {
  Slices<Value, Index> out;
  cut_slices(segment, lines_by_length(segment), out);
  fill_slices(segment, out);
  return out;
}

}  // namespace

bool SlicedLines::can_pack(const CompressedLines& lines, std::int64_t width) {
  if (lines.code == nullptr || width > kMostSegments * kSegment) return false;
  std::int64_t pieces = 0;
  const std::int64_t entries = lines.start[lines.count];
  for (std::int64_t k = 0; k < entries; ++k) pieces += std::max(0, lines.code[k] - 1) / kLargestCode;
  return 16 * pieces <= entries;
}

SlicedLines::SlicedLines(const CompressedLines& lines, std::int64_t width) : entries_(lines.start[lines.count]) {
  const bool has_codes = can_pack(lines, width);
  for (std::int64_t number = 0; number == 0 || (has_codes && number * kSegment < width); ++number) {
    const Segment segment(lines, number, has_codes);
    if (has_codes)
      packed_.push_back(sliced<std::uint8_t, std::uint16_t>(segment));
    else
      plain_ = sliced<double, std::int32_t>(segment);
    for (std::int64_t line = 0; number == 0 && line < lines.count; ++line)
      if (segment.length(line) == 0) empty_.push_back(static_cast<std::int32_t>(line));
  }
}

}  // namespace deq::cpu
