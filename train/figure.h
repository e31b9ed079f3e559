#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/chart.h"

namespace deq {

/// Charts on one page, in rows from left to right. Every panel takes the width and height of the first.
struct Figure {
  std::string title;
  std::vector<Chart> panels;
  int columns = 2;
};

/// The figure as the text of an SVG, whose <title> and <desc> name the panels and their series for readers and
/// searches, because drawn text is outlines. Errors: Error for no panel, and as write_chart.
std::string figure_svg(const Figure& figure);

/// Writes the figure as .svg or .png by the extension of `path`. Errors: as figure_svg and write_chart.
void write_figure(const Figure& figure, const std::filesystem::path& path);

}  // namespace deq
