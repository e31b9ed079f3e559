#pragma once

#include <cairo.h>

#include <cstddef>
#include <string>
#include <vector>

namespace deq {

struct Rectangle {
  double left = 0;
  double top = 0;
  double width = 0;
  double height = 0;

  [[nodiscard]] double right() const { return left + width; }
  [[nodiscard]] double bottom() const { return top + height; }
  [[nodiscard]] bool overlaps(const Rectangle& other) const {
    return left < other.right() && other.left < right() && top < other.bottom() && other.top < bottom();
  }
};

struct Colour {
  double red = 0;
  double green = 0;
  double blue = 0;
  double alpha = 1;

  [[nodiscard]] Colour faded(double share) const { return {red, green, blue, alpha * share}; }
};

struct Point {
  double x = 0;
  double y = 0;
};

inline constexpr Colour kInk{0.13, 0.13, 0.13};
inline constexpr Colour kGrid{0.88, 0.88, 0.88};

/// What one series is drawn with: colour, marker and dashes differ, so that no two look alike even without colour.
struct SeriesLook {
  Colour colour;
  int marker = 0;
  std::vector<double> dashes;
};
SeriesLook series_look(std::size_t index);

/// Where a text lies relative to its point: 0 starts there, 0.5 is centred, 1 ends there.
struct Anchor {
  double x = 0;
  double y = 0.5;
};

/// The few strokes a chart is made of, on a cairo context that it does not own. Units: those of the chart.
class Pen {
 public:
  explicit Pen(cairo_t* context) : context_(context) {}

  void line(Point from, Point to, Colour colour, double width);
  void path(const std::vector<Point>& points, const SeriesLook& look, double width);
  void area(const std::vector<Point>& outline, Colour colour);
  void rectangle(const Rectangle& box, Colour colour);
  void marker(Point centre, const SeriesLook& look, double radius);

  void font(double size, bool is_bold = false);
  /// Width of `text` in the present font, with `exponent` raised behind it.
  [[nodiscard]] double text_width(const std::string& text, const std::string& exponent = "");
  void text(Point at, Anchor anchor, const std::string& text, const std::string& exponent = "");
  /// As `text`, turned counter-clockwise by `degrees` around `at`.
  void turned_text(Point at, Anchor anchor, double degrees, const std::string& text);

  void clip(const Rectangle& box);
  void end_clip();

 private:
  void set(Colour colour) { cairo_set_source_rgba(context_, colour.red, colour.green, colour.blue, colour.alpha); }

  cairo_t* context_;
  double size_ = 12;
};

}  // namespace deq
