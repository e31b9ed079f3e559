#include "layers/mdeq/config.h"

#include "core/error.h"

namespace deq {
namespace {

std::int64_t halved(std::int64_t extent) { return (extent + 1) / 2; }

void require_per_branch(const std::vector<int>& values, int branches, int least, const char* key) {
  require(static_cast<int>(values.size()) == branches, "mdeq", key, " has ", values.size(), " entries for ", branches,
          " branches");
  for (const int value : values) require(value >= least, "mdeq", key, " holds ", value, ", expected at least ", least);
}

MdeqConfig imagenet(std::vector<int> channels, std::vector<int> head_channels) {
  MdeqConfig config;
  config.classes = 1000;
  config.channels = std::move(channels);
  config.head_channels = std::move(head_channels);
  config.final_channels = 2048;
  config.downsample_times = 2;
  return config;
}

MdeqConfig cityscapes(std::vector<int> channels, double dropout) {
  MdeqConfig config;
  config.task = MdeqTask::segmentation;
  config.classes = 19;
  config.channels = std::move(channels);
  config.head_channels = {};
  config.downsample_times = 2;
  config.dropout = dropout;
  config.batch_momentum = 0.01;
  return config;
}

}  // namespace

int MdeqConfig::blocks_of(int branch) const { return blocks.empty() ? 1 : blocks[static_cast<std::size_t>(branch)]; }

int MdeqConfig::big_kernels_of(int branch) const {
  return big_kernels.empty() ? 0 : big_kernels[static_cast<std::size_t>(branch)];
}

void MdeqConfig::validate() const {
  require(!channels.empty(), "mdeq", "channels is empty, expected one entry per branch");
  require_per_branch(channels, branches(), 1, "channels");
  if (!blocks.empty()) require_per_branch(blocks, branches(), 1, "blocks");
  if (!big_kernels.empty()) require_per_branch(big_kernels, branches(), 0, "big_kernels");
  if (task == MdeqTask::classification) {
    require_per_branch(head_channels, branches(), 1, "head_channels");
    require(final_channels >= 1, "mdeq", "final_channels is ", final_channels, ", expected at least 1");
  }
  require(final_kernel >= 1 && final_kernel % 2 == 1, "mdeq", "final_kernel is ", final_kernel, ", expected odd");
  require(image_channels >= 1 && classes >= 1 && expansion >= 1, "mdeq", "image_channels, classes and expansion are ",
          image_channels, ", ", classes, ", ", expansion, ", expected at least 1");
  require(downsample_times >= 0, "mdeq", "downsample_times is ", downsample_times, ", expected at least 0");
  require(groups >= 1 && (branches() == 1 || groups % 2 == 0), "mdeq", "groups is ", groups,
          ", expected at least 1 and even with several branches");
  for (const int count : channels)
    require(count % groups == 0, "mdeq", count, " channels do not divide into ", groups, " groups");
  require(dropout >= 0.0 && dropout < 1.0, "mdeq", "dropout is ", dropout, ", expected in [0, 1)");
  require(batch_momentum >= 0.0 && batch_momentum <= 1.0, "mdeq", "batch_momentum is ", batch_momentum,
          ", expected in [0, 1]");
}

std::vector<Shape> MdeqConfig::state_shapes(const Shape& image) const {
  check(image.rank() == 4, "mdeq", "images are [B,H,W,C], found ", image);
  std::int64_t height = image[1];
  std::int64_t width = image[2];
  for (int i = 0; i < downsample_times; ++i) height = halved(height), width = halved(width);
  std::vector<Shape> shapes;
  for (const int count : channels) {
    shapes.push_back({image[0], height, width, count});
    height = halved(height);
    width = halved(width);
  }
  return shapes;
}

std::int64_t MdeqConfig::state_elements(std::int64_t height, std::int64_t width) const {
  std::int64_t elements = 0;
  for (const Shape& shape : state_shapes({1, height, width, image_channels})) elements += shape.elements();
  return elements;
}

MdeqConfig MdeqConfig::cifar10_tiny() {
  MdeqConfig config;
  config.post_norm_affine = false;
  config.dropout = 0.25;
  return config;
}

MdeqConfig MdeqConfig::cifar10_large() {
  MdeqConfig config;
  config.channels = {32, 64, 128, 256};
  config.head_channels = {14, 28, 56, 112};
  config.final_channels = 1680;
  config.post_norm_affine = false;
  config.dropout = 0.3;
  return config;
}

MdeqConfig MdeqConfig::cifar10_large_reg() {
  MdeqConfig config = cifar10_large();
  config.dropout = 0.22;
  return config;
}

MdeqConfig MdeqConfig::imagenet_small() { return imagenet({32, 64, 128, 256}, {24, 48, 96, 192}); }

MdeqConfig MdeqConfig::imagenet_small_reg() {
  MdeqConfig config = imagenet({32, 64, 128, 256}, {28, 56, 112, 224});
  config.post_norm_affine = false;
  config.dropout = 0.02;
  return config;
}

MdeqConfig MdeqConfig::imagenet_large() { return imagenet({80, 160, 320, 640}, {32, 64, 128, 256}); }

MdeqConfig MdeqConfig::imagenet_large_reg() {
  MdeqConfig config = imagenet_large();
  config.post_norm_affine = false;
  return config;
}

MdeqConfig MdeqConfig::imagenet_xl() {
  MdeqConfig config = imagenet({88, 176, 352, 704}, {32, 64, 128, 256});
  config.expansion = 6;
  return config;
}

MdeqConfig MdeqConfig::cityscapes_small() { return cityscapes({32, 64, 128, 256}, 0.05); }
MdeqConfig MdeqConfig::cityscapes_large() { return cityscapes({80, 160, 320, 640}, 0.03); }

MdeqConfig MdeqConfig::cityscapes_xl() {
  MdeqConfig config = cityscapes({88, 176, 352, 704}, 0.04);
  config.expansion = 6;
  return config;
}

}  // namespace deq
