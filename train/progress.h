#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace deq {

/// What the progress line shows. Negative: not known, left out.
struct ProgressState {
  std::int64_t step = 0;
  std::int64_t total = 0;
  std::string_view phase;
  double loss = -1;
  double accuracy = -1;      ///< in [0, 1]
  double solver_steps = -1;  ///< mean over samples
  double residual = -1;
  double images_per_s = -1;
  double spectral_radius = -1;  ///< mean of the last evaluation
};

enum class ProgressStyle : std::uint8_t {
  none,   ///< --quiet
  lines,  ///< one line every few seconds
  bar,    ///< a line that is drawn again and again
};

/// `none` when quiet, `bar` when stderr is a terminal, else `lines`.
ProgressStyle progress_style(bool is_quiet);

/// Live progress on stderr.
class Progress {
 public:
  explicit Progress(ProgressStyle style);
  /// Ends an unfinished bar with a newline.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Shows `state` if enough time has passed since the last time, and always for the last step. Cheap otherwise.
  void update(const ProgressState& state);
  /// Prints a line of its own (an evaluation, a saved checkpoint), above the bar.
  void note(std::string_view line);
  /// Ends the bar.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  void draw(const ProgressState& state, double eta_s);
  [[nodiscard]] double remaining_seconds(const ProgressState& state, Clock::time_point now);

  ProgressStyle style_;
  bool has_open_line_ = false;
  std::int64_t last_shown_step_ = -1;
  Clock::time_point last_shown_;
  Clock::time_point last_update_;
  std::int64_t last_step_ = -1;
  double seconds_per_step_ = 0;  ///< exponential average
};

/// The text of a progress line without the bar, e.g. "loss 1.234 acc 56.2% solver 17.9 steps 3.1e-03 ...".
std::string progress_text(const ProgressState& state, double eta_s);

/// "1:02:03", "2:03" or "0:03".
std::string duration_text(double seconds);

}  // namespace deq
