#pragma once

#include <cairo.h>

#include <filesystem>
#include <functional>
#include <string>

namespace deq {

/// A page to draw on. Units: SVG user units; a PNG has two pixels for each.
struct ChartPage {
  int width = 0;
  int height = 0;
  std::function<void(cairo_t*)> draw;
};

/// The page as the text of an SVG. The same page gives the same bytes. Errors: Error when cairo fails.
std::string svg_of(const ChartPage& page);

/// The page as the bytes of a PNG. Errors: as svg_of.
std::string png_of(const ChartPage& page);

/// Errors: Error unless `path` ends in .svg or .png.
void check_chart_path(const std::filesystem::path& path);

}  // namespace deq
