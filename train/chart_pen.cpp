#include "train/chart_pen.h"

#include <array>
#include <cmath>
#include <numbers>

namespace deq {

namespace {

constexpr Colour of_bytes(int red, int green, int blue) { return {red / 255.0, green / 255.0, blue / 255.0}; }

/// Okabe and Ito, Color Universal Design, 2008; yellow is left out because it is hard to see on white.
constexpr std::array<Colour, 8> kPalette = {of_bytes(0, 114, 178),   of_bytes(213, 94, 0),   of_bytes(0, 158, 115),
                                            of_bytes(204, 121, 167), of_bytes(230, 159, 0),  of_bytes(86, 180, 233),
                                            of_bytes(0, 0, 0),       of_bytes(140, 140, 140)};
constexpr int kMarkers = 6;
constexpr double kExponentSize = 0.72;   // of the font
constexpr double kExponentRaise = 0.42;  // of the font
constexpr double kCapHeight = 0.73;      // of the font: what centring a line of text has to know

/// Corners of the regular markers, on the unit circle; empty for the disc.
std::vector<Point> marker_corners(int marker) {
  switch (marker % kMarkers) {
    case 1: return {{-0.85, -0.85}, {0.85, -0.85}, {0.85, 0.85}, {-0.85, 0.85}};
    case 2: return {{0, -1.1}, {1, 0.75}, {-1, 0.75}};
    case 3: return {{0, -1.2}, {1.2, 0}, {0, 1.2}, {-1.2, 0}};
    case 4: return {{0, 1.1}, {1, -0.75}, {-1, -0.75}};
    case 5:
      return {{-0.35, -1.1}, {0.35, -1.1}, {0.35, -0.35}, {1.1, -0.35}, {1.1, 0.35},   {0.35, 0.35},
              {0.35, 1.1},   {-0.35, 1.1}, {-0.35, 0.35}, {-1.1, 0.35}, {-1.1, -0.35}, {-0.35, -0.35}};
    case 0: break;
  }
  return {};
}

}  // namespace

SeriesLook series_look(std::size_t index) {
  SeriesLook out{
      .colour = kPalette[index % kPalette.size()], .marker = static_cast<int>(index % kMarkers), .dashes = {}};
  const std::size_t round = index / kPalette.size();
  if (round % 3 == 1) out.dashes = {7, 3};
  if (round % 3 == 2) out.dashes = {2, 3};
  return out;
}

void Pen::line(Point from, Point to, Colour colour, double width) {
  set(colour);
  cairo_set_dash(context_, nullptr, 0, 0);
  cairo_set_line_width(context_, width);
  cairo_move_to(context_, from.x, from.y);
  cairo_line_to(context_, to.x, to.y);
  cairo_stroke(context_);
}

void Pen::path(const std::vector<Point>& points, const SeriesLook& look, double width) {
  if (points.size() < 2) return;
  set(look.colour);
  cairo_set_dash(context_, look.dashes.data(), static_cast<int>(look.dashes.size()), 0);
  cairo_set_line_width(context_, width);
  cairo_set_line_join(context_, CAIRO_LINE_JOIN_ROUND);
  cairo_move_to(context_, points.front().x, points.front().y);
  for (const Point& point : points) cairo_line_to(context_, point.x, point.y);
  cairo_stroke(context_);
}

void Pen::area(const std::vector<Point>& outline, Colour colour) {
  if (outline.size() < 3) return;
  set(colour);
  cairo_move_to(context_, outline.front().x, outline.front().y);
  for (const Point& point : outline) cairo_line_to(context_, point.x, point.y);
  cairo_close_path(context_);
  cairo_fill(context_);
}

void Pen::rectangle(const Rectangle& box, Colour colour) {
  set(colour);
  cairo_rectangle(context_, box.left, box.top, box.width, box.height);
  cairo_fill(context_);
}

void Pen::marker(Point centre, const SeriesLook& look, double radius) {
  const std::vector<Point> corners = marker_corners(look.marker);
  if (corners.empty()) {
    set(look.colour);
    cairo_arc(context_, centre.x, centre.y, radius, 0, 2 * std::numbers::pi);
    cairo_fill(context_);
    return;
  }
  std::vector<Point> outline;
  for (const Point& corner : corners) outline.push_back({centre.x + radius * corner.x, centre.y + radius * corner.y});
  area(outline, look.colour);
}

void Pen::font(double size, bool is_bold) {
  size_ = size;
  cairo_select_font_face(context_, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                         is_bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(context_, size);
}

double Pen::text_width(const std::string& text, const std::string& exponent) {
  cairo_text_extents_t extents;
  cairo_text_extents(context_, text.c_str(), &extents);
  double width = extents.x_advance;
  if (!exponent.empty()) {
    cairo_set_font_size(context_, kExponentSize * size_);
    cairo_text_extents(context_, exponent.c_str(), &extents);
    width += extents.x_advance;
    cairo_set_font_size(context_, size_);
  }
  return width;
}

void Pen::text(Point at, Anchor anchor, const std::string& text, const std::string& exponent) {
  set(kInk);
  const double left = at.x - anchor.x * text_width(text, exponent);
  const double base = at.y + (1 - anchor.y) * kCapHeight * size_;
  cairo_move_to(context_, left, base);
  cairo_show_text(context_, text.c_str());
  if (exponent.empty()) return;
  cairo_move_to(context_, left + text_width(text), base - kExponentRaise * size_);
  cairo_set_font_size(context_, kExponentSize * size_);
  cairo_show_text(context_, exponent.c_str());
  cairo_set_font_size(context_, size_);
}

void Pen::turned_text(Point at, Anchor anchor, double degrees, const std::string& words) {
  cairo_save(context_);
  cairo_translate(context_, at.x, at.y);
  cairo_rotate(context_, -degrees * std::numbers::pi / 180);
  text({0, 0}, anchor, words);
  cairo_restore(context_);
}

void Pen::clip(const Rectangle& box) {
  cairo_save(context_);
  cairo_rectangle(context_, box.left, box.top, box.width, box.height);
  cairo_clip(context_);
}

void Pen::end_clip() { cairo_restore(context_); }

}  // namespace deq
