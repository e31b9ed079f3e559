#include "data/libsvm.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/error.h"
#include "data/compressed_file.h"

namespace deq {
namespace {

// Twice that of the largest set of the LIBSVM collection (kdd2012).
constexpr std::int64_t kLargestIndex = 100'000'000;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/// One pass over the text with a place in it for messages.
class LineReader {
 public:
  LineReader(std::string_view text, const std::string& name)
      : at_(text.data()), end_(text.data() + text.size()), line_start_(at_), name_(name) {}

  Samples read() {
    while (at_ < end_) {
      skip_blanks();
      if (!is_line_end()) read_sample();
      while (at_ < end_ && *at_ != '\n') ++at_;
      if (at_ < end_) ++at_;
      line_start_ = at_;
      ++line_;
    }
    require(!labels_.empty(), name_, "holds no samples (lines `label index:value ...`)");
    return {SparseMatrix(columns_, std::move(start_), std::move(column_), std::move(value_)), std::move(labels_)};
  }

 private:
  [[nodiscard]] bool is_line_end() const { return at_ == end_ || *at_ == '\n' || *at_ == '#'; }
  void skip_blanks() {
    while (at_ < end_ && is_blank(*at_)) ++at_;
  }

  /// The word around `from`, for messages.
  [[nodiscard]] std::string word_at(const char* from) const {
    const char* to = from;
    constexpr int kMostShown = 40;
    while (to < end_ && !is_blank(*to) && *to != '\n' && to - from < kMostShown) ++to;
    return {from, to};
  }
  template <class... Parts>
  [[noreturn]] void fail(const char* where, const Parts&... parts) const {
    throw RequestError(concat(name_, ":", line_, ":", where - line_start_ + 1, ": ", parts...));
  }

  double read_number(const char* what) {
    const char* const start = at_;
    const bool has_plus = end_ - start > 1 && *start == '+' && start[1] != '-';
    const char* const digits = has_plus ? start + 1 : start;
    double number = 0;
    const auto [next, error] = std::from_chars(digits, end_, number);
    const bool ends_word = next == end_ || is_blank(*next) || *next == '\n' || *next == '#';
    if (error == std::errc::result_out_of_range)
      fail(start, what, " '", word_at(start), "' is beyond double precision");
    if (error != std::errc{} || !ends_word) fail(start, what, " '", word_at(start), "' is not a number");
    if (!std::isfinite(number)) fail(start, what, " '", word_at(start), "' is not finite");
    at_ = next;
    return number;
  }

  std::int64_t read_index(std::int64_t last) {
    const char* const start = at_;
    std::int64_t index = 0;
    const auto [next, error] = std::from_chars(start, end_, index);
    if (error != std::errc{}) fail(start, "expected index:value, found '", word_at(start), "'");
    if (next == end_ || *next != ':') fail(next, "expected ':' after index ", index, " in '", word_at(start), "'");
    if (index < 1) fail(start, "index ", index, "; indices start at 1");
    if (index > kLargestIndex)
      fail(start, "index ", index, " is too large; expected at most ", kLargestIndex, ", each has a weight in memory");
    if (index <= last) fail(start, "index ", index, " after ", last, "; indices must ascend within a line");
    at_ = next + 1;
    return index;
  }

  void read_sample() {
    const std::string_view word(at_, static_cast<std::size_t>(end_ - at_));
    const auto stop = word.find_first_of(" \t\r\n:");
    if (stop != std::string_view::npos && word[stop] == ':')
      fail(at_, "the label is missing: the line starts with '", word_at(at_), "'");
    labels_.push_back(read_number("label"));
    std::int64_t index = 0;
    for (skip_blanks(); !is_line_end(); skip_blanks()) {
      index = read_index(index);
      column_.push_back(static_cast<std::int32_t>(index - 1));
      value_.push_back(read_number("value"));
    }
    columns_ = std::max(columns_, index);
    start_.push_back(static_cast<std::int64_t>(value_.size()));
  }

  const char* at_;
  const char* end_;
  const char* line_start_;
  const std::string& name_;
  std::int64_t line_ = 1;

  std::int64_t columns_ = 0;
  std::vector<std::int64_t> start_ = {0};
  std::vector<std::int32_t> column_;
  std::vector<double> value_;
  std::vector<double> labels_;
};

}  // namespace

Samples parse_libsvm(std::string_view text, const std::string& name) { return LineReader(text, name).read(); }

Samples read_libsvm(const std::filesystem::path& path) { return parse_libsvm(read_text(path), path.string()); }

}  // namespace deq
