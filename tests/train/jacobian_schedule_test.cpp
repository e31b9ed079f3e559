#include "train/jacobian_schedule.h"

#include <doctest/doctest.h>

#include <limits>
#include <set>

namespace deq {
namespace {

TrainConfig scheduled() {
  TrainConfig train;
  train.pretrain_steps = 100;
  train.jacobian_pretrain_weight = 0.03;
  train.jacobian_weight = 2.5;
  train.jacobian_frequency = 0.08;
  train.jacobian_increment_every = 50;
  train.jacobian_stop_epoch = 9;
  return train;
}

}  // namespace

TEST_CASE("the penalty's weight has its own value in pre-training, grows by 0.1 an increment and ends with an epoch") {
  const JacobianSchedule schedule(scheduled(), 14);
  CHECK(schedule.weight(0, 0) == 0.03);
  CHECK(schedule.weight(99, 0) == 0.03);
  CHECK(schedule.weight(100, 1) == 2.5);
  CHECK(schedule.weight(149, 1) == 2.5);
  CHECK(schedule.weight(150, 1) == doctest::Approx(2.6));
  CHECK(schedule.weight(100 + 7 * 50, 8) == doctest::Approx(3.2));
  CHECK(schedule.weight(100 + 7 * 50, 9) == 0.0);
  CHECK(schedule.weight(99, 9) == 0.03);  // the stop is one of the equilibrium phase
}

TEST_CASE("steps are penalised at their frequency, with limits drawn from the whole range and no other") {
  const JacobianSchedule schedule(scheduled(), 14);
  int penalised = 0;
  std::set<int> limits;
  constexpr int kSteps = 20000;
  for (int step = 100; step < 100 + kSteps; ++step) {
    const JacobianDraw draw = schedule.draw(step, 0);
    if (draw.weight > 0) {
      ++penalised;
      limits.insert(draw.max_steps);
    } else {
      CHECK(draw.max_steps == 14);
    }
  }
  CHECK(limits == std::set<int>{12, 13, 14, 15});
  CHECK(schedule.largest_max_steps() == 15);
  // 1600 expected, standard deviation 38.
  CHECK(penalised > 1600 - 4 * 38);
  CHECK(penalised < 1600 + 4 * 38);
}

TEST_CASE("a draw is a function of seed and step") {
  TrainConfig train = scheduled();
  train.jacobian_frequency = 0.5;
  const JacobianSchedule first(train, 14), second(train, 14);
  train.seed += 1;
  const JacobianSchedule other(train, 14);
  int differing = 0;
  for (int step = 0; step < 200; ++step) {
    CHECK(first.draw(step, 0).weight == second.draw(step, 0).weight);
    CHECK(first.draw(step, 0).max_steps == second.draw(step, 0).max_steps);
    if (first.draw(step, 0).weight != other.draw(step, 0).weight) ++differing;
  }
  CHECK(differing > 50);
}

TEST_CASE("no step is penalised at weight zero or frequency zero, and a limit is never below one") {
  TrainConfig train = scheduled();
  train.jacobian_frequency = 0;
  CHECK_FALSE(has_jacobian_penalty(train));
  for (int step = 0; step < 300; ++step) CHECK(JacobianSchedule(train, 14).draw(step, 0).weight == 0);
  train = {};
  train.jacobian_frequency = 1;
  CHECK_FALSE(has_jacobian_penalty(train));
  for (int step = 0; step < 300; ++step) CHECK(JacobianSchedule(train, 14).draw(step, 0).weight == 0);
  train.jacobian_weight = 1;
  train.pretrain_steps = 0;
  train.random_max_steps_delta = 10;
  CHECK(has_jacobian_penalty(train));
  for (int step = 0; step < 300; ++step) CHECK(JacobianSchedule(train, 3).draw(step, 0).max_steps >= 1);
}

TEST_CASE("a target radius moves the weight towards it, boundedly, and only when it is set") {
  TrainConfig train = scheduled();
  JacobianSchedule fixed(train, 14);
  fixed.observe(3.0);
  CHECK(fixed.scale() == 1.0);
  train.jacobian_target_radius = 0.8;
  JacobianSchedule steered(train, 14);
  steered.observe(0.8);
  CHECK(steered.scale() == 1.0);
  steered.observe(std::numeric_limits<double>::quiet_NaN());
  CHECK(steered.scale() == 1.0);
  steered.observe(0.88);
  CHECK(steered.scale() == doctest::Approx(1.21));
  CHECK(steered.weight(100, 0) == doctest::Approx(2.5 * 1.21));
  CHECK(steered.weight(0, 0) == 0.03);
  for (int i = 0; i < 20; ++i) steered.observe(5.0);
  CHECK(steered.scale() == 64.0);
  for (int i = 0; i < 40; ++i) steered.observe(0.1);
  CHECK(steered.scale() == 1.0 / 64);
  JacobianSchedule resumed(train, 14);
  resumed.restore_scale(steered.scale());
  CHECK(resumed.weight(120, 0) == steered.weight(120, 0));
}

}  // namespace deq
