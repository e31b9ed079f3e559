// Reads a configuration through the installed library that the program is made of.
#include <cstdio>

#include "train/config.h"

int main() {
  const deq::Config config = deq::parse_config("[model]\nchannels = [16, 32]\nhead_channels = [4, 4]\n", "text");
  std::printf("%zu branches\n", config.model.channels.size());
  return config.model.channels.size() == 2 ? 0 : 1;
}
