#include "tests/train/small_model.h"

#include <map>
#include <random>

namespace deq::test {

Config tiny_config() {
  Config config;
  config.model.channels = {8, 8};
  config.model.head_channels = {2, 4};
  config.model.final_channels = 16;
  config.model.expansion = 2;
  config.model.num_groups = 4;
  config.model.classes = 4;
  config.data.image = {8, 8};
  config.solver.max_steps = 8;
  config.solver.backward_max_steps = 8;
  config.train.unroll_steps = 4;
  config.optimizer.lr = 5e-3;
  return config;
}

Batch random_batch(const Config& config, int size, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  Batch out{.images = Tensor(DType::f32, {size, config.data.image[0], config.data.image[1], 3}),
            .labels = Tensor(DType::i32, {size}),
            .valid = size};
  for (float& x : out.images.data<float>()) x = normal(generator);
  std::int32_t next = 0;
  for (std::int32_t& label : out.labels.data<std::int32_t>()) label = next++ % config.model.classes;
  return out;
}

void make_contractive(Model& model) {
  const std::map<std::string, float> factors{{"downsample.0.weight", 20.0F},  // as batch statistics would scale it
                                             {"downsample.3.weight", 12.0F},
                                             {"downsample.4.weight", 10.0F},
                                             {"fullstage.branches.1.blocks.0.gn3.weight", 0.1F},
                                             {"fullstage.fuse_layers.0.1.net.gnorm.weight", 0.1F},
                                             {"fullstage.post_fuse_layers.0.gnorm.weight", 0.2F},
                                             {"fullstage.post_fuse_layers.1.gnorm.weight", 0.2F}};
  for (const auto& [name, factor] : factors)
    for (float& value : model.store.find(name).value->data<float>()) value *= factor;
}

}  // namespace deq::test
