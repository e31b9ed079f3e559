#include "train/figure.h"

#include <algorithm>

#include "core/error.h"
#include "train/chart_draw.h"
#include "train/chart_page.h"
#include "train/chart_pen.h"
#include "train/durable_file.h"
#include "train/markup.h"

namespace deq {

namespace {

constexpr double kTitleSize = 19;
constexpr int kTitleHeight = 46;
constexpr double kTitleLeft = 14;

void draw(const Figure& figure, const ChartPage& page, cairo_t* context) {
  Pen pen(context);
  pen.rectangle({0, 0, static_cast<double>(page.width), static_cast<double>(page.height)}, {1, 1, 1});
  pen.font(kTitleSize, true);
  pen.text({kTitleLeft, kTitleHeight / 2.0}, {0, 0.5}, figure.title);
  const Chart& first = figure.panels.front();
  for (std::size_t i = 0; i < figure.panels.size(); ++i) {
    const int place = static_cast<int>(i);
    cairo_save(context);
    cairo_translate(context, place % figure.columns * first.width,
                    kTitleHeight + place / figure.columns * first.height);
    draw_chart(figure.panels[i], context);
    cairo_restore(context);
  }
}

ChartPage page_of(const Figure& figure) {
  check(!figure.panels.empty() && figure.columns > 0, "figure", "'", figure.title, "' has ", figure.panels.size(),
        " panels in ", figure.columns, " columns, expected at least one of each");
  const Chart& first = figure.panels.front();
  for (const Chart& panel : figure.panels) {
    check_chart(panel);
    check(panel.width == first.width && panel.height == first.height, "figure", "panel '", panel.title, "' is ",
          panel.width, " x ", panel.height, ", expected ", first.width, " x ", first.height, " as the first");
  }
  const int panels = static_cast<int>(figure.panels.size());
  const int columns = std::min(panels, figure.columns);
  const int rows = (panels + figure.columns - 1) / figure.columns;
  ChartPage page{columns * first.width, kTitleHeight + rows * first.height, {}};
  page.draw = [&figure, page](cairo_t* context) { draw(figure, page, context); };
  return page;
}

/// What the figure shows, in words.
std::string description(const Figure& figure) {
  std::string out;
  for (const Chart& panel : figure.panels) {
    out += (out.empty() ? "" : "; ") + panel.title;
    std::string names;
    for (const ChartSeries& series : panel.series)
      if (!series.name.empty()) names += (names.empty() ? ": " : ", ") + series.name;
    out += names;
  }
  return out;
}

}  // namespace

std::string figure_svg(const Figure& figure) {
  std::string svg = svg_of(page_of(figure));
  const std::size_t root = svg.find('>', svg.find("<svg"));
  check(root != std::string::npos, "figure", "'", figure.title, "': cairo wrote no <svg> element");
  svg.insert(root + 1, concat("\n<title>", escaped_markup(figure.title), "</title>\n<desc>",
                              escaped_markup(description(figure)), "</desc>"));
  return svg;
}

void write_figure(const Figure& figure, const std::filesystem::path& path) {
  check_chart_path(path);
  write_durably(path, path.extension() == ".svg" ? figure_svg(figure) : png_of(page_of(figure)));
}

}  // namespace deq
