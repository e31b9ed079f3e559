#include "train/chart_page.h"

#include <cairo-svg.h>

#include <memory>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace deq {

namespace {

using Surface = std::unique_ptr<cairo_surface_t, decltype(&cairo_surface_destroy)>;
using Context = std::unique_ptr<cairo_t, decltype(&cairo_destroy)>;

constexpr int kPixelsPerUnit = 2;

cairo_status_t append(void* text, const unsigned char* bytes, unsigned int count) {
  static_cast<std::string*>(text)->append(reinterpret_cast<const char*>(bytes), count);
  return CAIRO_STATUS_SUCCESS;
}

void check_status(cairo_status_t status) {
  check(status == CAIRO_STATUS_SUCCESS, "chart", "cannot be drawn: ", cairo_status_to_string(status));
}

/// Text measured without hinting is the same at every scale.
void set_metrics(cairo_t* context) {
  cairo_font_options_t* options = cairo_font_options_create();
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  cairo_set_font_options(context, options);
  cairo_font_options_destroy(options);
}

/// cairo numbers its surfaces over the life of the process; the name is of no use in a file of one surface.
std::string without_surface_number(std::string svg) {
  constexpr std::string_view kStart = "<g id=\"surface";
  const std::size_t start = svg.find(kStart);
  if (start == std::string::npos) return svg;
  const std::size_t digits = start + kStart.size();
  return svg.erase(digits, svg.find('"', digits) - digits);
}

}  // namespace

std::string png_of(const ChartPage& page) {
  const Surface surface(
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, kPixelsPerUnit * page.width, kPixelsPerUnit * page.height),
      &cairo_surface_destroy);
  const Context context(cairo_create(surface.get()), &cairo_destroy);
  cairo_scale(context.get(), kPixelsPerUnit, kPixelsPerUnit);
  set_metrics(context.get());
  page.draw(context.get());
  check_status(cairo_status(context.get()));
  std::string out;
  check_status(cairo_surface_write_to_png_stream(surface.get(), append, &out));
  return out;
}

std::string svg_of(const ChartPage& page) {
  std::string out;
  const Surface surface(cairo_svg_surface_create_for_stream(append, &out, page.width, page.height),
                        &cairo_surface_destroy);
  {
    const Context context(cairo_create(surface.get()), &cairo_destroy);
    set_metrics(context.get());
    page.draw(context.get());
    check_status(cairo_status(context.get()));
  }
  cairo_surface_finish(surface.get());
  check_status(cairo_surface_status(surface.get()));
  return without_surface_number(std::move(out));
}

void check_chart_path(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  check(extension == ".svg" || extension == ".png", path.string(), "has the extension '", extension,
        "', expected .svg or .png");
}

}  // namespace deq
