#include "train/checkpoint.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "tests/train/temporary_folder.h"

namespace deq {

using test::contains;
using test::message_of;
using test::read_text;
using test::TemporaryFolder;
using test::write_text;
namespace fs = std::filesystem;

namespace {

Tensor filled(Shape shape, float start) {
  Tensor tensor(DType::f32, shape);
  float value = start;
  for (float& element : tensor.data<float>()) element = value += 0.25F;
  return tensor;
}

/// A small checkpoint whose contents all depend on `step`.
Checkpoint checkpoint_of(std::int64_t step) {
  const auto start = static_cast<float>(step);
  Checkpoint out;
  out.config.train.seed = step;
  out.class_names = {"square", "disc"};
  out.training = {.step = step, .epoch = 2, .phase = "equilibrium", .seconds = 1.5, .test_accuracy = 0.75};
  out.model = {{"stem.conv.weight", filled({3, 2, 3, 3}, start)}, {"stem.norm.running_mean", filled({3}, start)}};
  out.state = {{"adam.m.stem.conv.weight", filled({3, 2, 3, 3}, -start)}};
  out.counters = {{"step", std::to_string(step)}};
  return out;
}

bool is_equal(const NamedTensors& a, const NamedTensors& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, tensor] : a) {
    const auto other = b.find(name);
    if (other == b.end() || other->second.type() != tensor.type()) return false;
    if (std::memcmp(tensor.raw(), other->second.raw(), tensor.bytes()) != 0) return false;
  }
  return true;
}

bool is_equal(const Checkpoint& a, const Checkpoint& b) {
  return a.config == b.config && a.class_names == b.class_names && a.training.step == b.training.step &&
         is_equal(a.model, b.model) && is_equal(a.state, b.state) && a.counters == b.counters;
}

/// Runs `action` in a process of its own. @returns the status of waitpid
template <class Action>
int in_child(Action&& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      action();
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

/// Saves `checkpoint` in a child that is killed at the `point`-th point of saving. @returns whether it was killed
bool save_killed_at(int point, const fs::path& folder, const Checkpoint& checkpoint, bool uses_exchange) {
  const int status = in_child([&] {
    int count = 0;
    const auto reached = [&](std::string_view) {
      if (count++ == point) ::raise(SIGKILL);
    };
    save_checkpoint(folder, checkpoint, {.reached = reached, .uses_exchange = uses_exchange});
  });
  return WIFSIGNALED(status);
}

std::string refusal(const fs::path& path, CheckpointParts parts = CheckpointParts::all) {
  return message_of<RequestError>([&] { static_cast<void>(load_checkpoint(path, parts)); });
}

}  // namespace

TEST_CASE("a checkpoint is read back bit for bit, from its folder and from its model file") {
  const TemporaryFolder folder;
  const Checkpoint saved = checkpoint_of(7);
  save_checkpoint(folder.path() / "checkpoints" / "last", saved);
  const fs::path last = folder.path() / "checkpoints" / "last";
  CHECK(is_equal(load_checkpoint(last, CheckpointParts::all), saved));
  CHECK(is_equal(load_checkpoint(last / "model.safetensors", CheckpointParts::all), saved));
  CHECK(is_equal(load_checkpoint(last.string() + "/", CheckpointParts::all), saved));
  CHECK(load_checkpoint(last).state.empty());
  CHECK(std::isnan(load_checkpoint(last).training.test_loss));
  CHECK(load_checkpoint(last).training.test_accuracy == 0.75);
}

TEST_CASE("names of classes that are not UTF-8 come back byte for byte") {
  const TemporaryFolder folder;
  Checkpoint saved = checkpoint_of(7);
  saved.class_names = {"caf\xc3\xa9", "caf\xe9", "", "\xff\xfe \" \\ ["};
  save_checkpoint(folder.path() / "last", saved);
  CHECK(is_equal(load_checkpoint(folder.path() / "last", CheckpointParts::all), saved));
}

TEST_CASE("the model file alone suffices for inference but not for training on") {
  const TemporaryFolder folder;
  save_checkpoint(folder.path() / "last", checkpoint_of(7));
  const fs::path alone = folder.path() / "exported.safetensors";
  fs::copy_file(folder.path() / "last" / "model.safetensors", alone);
  CHECK(is_equal(load_checkpoint(alone).model, checkpoint_of(7).model));
  CHECK_FALSE(has_manifest(alone));
  CHECK(contains(refusal(alone), "state.safetensors"));
}

TEST_CASE("inference needs neither the state nor the manifest that lie beside a model file, nor theirs to be whole") {
  const TemporaryFolder folder;
  const fs::path last = folder.path() / "last", model = last / "model.safetensors", state = last / "state.safetensors";
  const auto is_read = [](const fs::path& path) {
    return is_equal(load_checkpoint(path).model, checkpoint_of(7).model);
  };
  save_checkpoint(last, checkpoint_of(7));
  write_text(state, "damaged");
  CHECK(is_read(model));
  CHECK(contains(refusal(last, CheckpointParts::model), "state.safetensors"));
  fs::remove(state);
  CHECK(is_read(model));
  CHECK(is_read(last));
  CHECK(contains(refusal(last), "state.safetensors"));
  CHECK(has_manifest(last));
  std::string bytes = read_text(model);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);  // the last byte of a tensor
  write_text(model, bytes);
  CHECK(contains(refusal(model, CheckpointParts::model), "CRC-32"));
  save_checkpoint(last, checkpoint_of(7));
  fs::remove(last / "manifest.json");
  fs::remove(state);
  CHECK(is_read(last));
  CHECK_FALSE(has_manifest(last));
}

TEST_CASE("a kill at any point of saving leaves the old or the new checkpoint") {
  for (const bool uses_exchange : {true, false}) {
    int killed = 0;
    for (int point = 0; point < 20; ++point) {
      const TemporaryFolder folder;
      const fs::path last = folder.path() / "last";
      save_checkpoint(last, checkpoint_of(1));
      killed += save_killed_at(point, last, checkpoint_of(2), uses_exchange) ? 1 : 0;
      INFO("point " << point << ", exchange " << uses_exchange);
      REQUIRE(has_checkpoint(last));
      const Checkpoint found = load_checkpoint(last, CheckpointParts::all);
      CHECK((is_equal(found, checkpoint_of(1)) || is_equal(found, checkpoint_of(2))));
      save_checkpoint(last, checkpoint_of(3));
      CHECK(is_equal(load_checkpoint(last, CheckpointParts::all), checkpoint_of(3)));
      CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 1);
    }
    // Each way of replacing passes at least: started, folder made, three files, written, swapped, synced.
    CHECK(killed >= 8);
  }
}

TEST_CASE("a kill while the first checkpoint is saved leaves none or the new one, and saving works again") {
  for (int point = 0; point < 10; ++point) {
    const TemporaryFolder folder;
    const fs::path last = folder.path() / "last";
    save_killed_at(point, last, checkpoint_of(1), true);
    if (has_checkpoint(last)) CHECK(is_equal(load_checkpoint(last, CheckpointParts::all), checkpoint_of(1)));
    save_checkpoint(last, checkpoint_of(2));
    CHECK(is_equal(load_checkpoint(last, CheckpointParts::all), checkpoint_of(2)));
  }
}

TEST_CASE("a full disk is an error that names the file and keeps the old checkpoint") {
  const TemporaryFolder folder;
  const fs::path last = folder.path() / "last";
  save_checkpoint(last, checkpoint_of(1));
  const int status = in_child([&] {
    // A limit on the size of files stands for the full disk: writing fails with an error in the same place.
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{.rlim_cur = 300, .rlim_max = 300};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string message = message_of<Error>([&] { save_checkpoint(last, checkpoint_of(2)); });
    const bool is_clear =
        contains(message, "was not saved") && contains(message, "model.safetensors") && contains(message, "byte 300");
    ::_exit(is_clear ? 7 : 8);
  });
  CHECK(WEXITSTATUS(status) == 7);
  CHECK(is_equal(load_checkpoint(last, CheckpointParts::all), checkpoint_of(1)));
  CHECK_FALSE(fs::exists(folder.path() / "last.new"));
}

TEST_CASE("a flipped bit anywhere in any file of a checkpoint is refused") {
  const TemporaryFolder folder;
  const fs::path last = folder.path() / "last";
  save_checkpoint(last, checkpoint_of(1));
  for (const char* name : {"model.safetensors", "state.safetensors", "manifest.json"}) {
    const std::string good = read_text(last / name);
    for (std::size_t at = 0; at < good.size(); at += 7) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
      write_text(last / name, bad);
      const std::string message = refusal(last, CheckpointParts::model);
      CHECK_MESSAGE(contains(message, last.string()), name << " byte " << at << ": " << message);
    }
    write_text(last / name, good);
  }
  CHECK(refusal(last).empty());
}

TEST_CASE("a flipped bit in a model file that has lost its manifest is refused") {
  const TemporaryFolder folder;
  save_checkpoint(folder.path() / "last", checkpoint_of(1));
  const std::string good = read_text(folder.path() / "last" / "model.safetensors");
  const fs::path alone = folder.path() / "alone.safetensors";
  for (std::size_t at = 0; at < good.size(); at += 3) {
    // Spaces that pad the header carry nothing: a flip there can give other white space.
    if (good[at] == ' ') continue;
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    write_text(alone, bad);
    CHECK_MESSAGE(!refusal(alone, CheckpointParts::model).empty(), "byte " << at);
  }
}

TEST_CASE("truncated and missing files are refused by name") {
  const TemporaryFolder folder;
  const fs::path last = folder.path() / "last";
  for (const char* name : {"model.safetensors", "state.safetensors", "manifest.json"}) {
    save_checkpoint(last, checkpoint_of(1));
    const std::string good = read_text(last / name);
    for (const std::size_t size : {std::size_t{0}, std::size_t{5}, good.size() / 2, good.size() - 1}) {
      write_text(last / name, good.substr(0, size));
      CHECK_MESSAGE(contains(refusal(last), name), name << " of " << size << " bytes");
    }
    fs::remove(last / name);
    CHECK_MESSAGE(contains(refusal(last), name), name);
    fs::remove_all(last);
  }
  CHECK(contains(refusal(last), "no such checkpoint"));
}

TEST_CASE("a folder of a run points to its best checkpoint") {
  const TemporaryFolder folder;
  save_checkpoint(folder.path() / "checkpoints" / "best", checkpoint_of(1));
  CHECK(contains(refusal(folder.path()), (folder.path() / "checkpoints" / "best").string()));
}

TEST_CASE("tensors of another model are listed and nothing is copied") {
  Tensor weight = filled({2, 2}, 0);
  const NamedTensors into = {{"a.weight", weight}, {"a.bias", filled({2}, 0)}, {"b.weight", filled({4}, 0)}};
  const NamedTensors from = {{"a.weight", filled({2, 2}, 9)}, {"a.bias", filled({3}, 9)}, {"c.weight", filled({4}, 9)}};
  const std::string message = message_of<RequestError>([&] { copy_tensors(from, into, "model.safetensors"); });
  CHECK(message ==
        "model.safetensors: the tensors are not those of the configured model: 1 missing: b.weight; "
        "1 surplus: c.weight; 1 misshapen: a.bias (f32[3], the model has f32[2])");
  CHECK(weight.data<float>()[0] == 0.25F);
}

TEST_CASE("tensors are copied into the memory the model uses") {
  Tensor weight(DType::f32, {2, 2});
  const NamedTensors into = {{"weight", weight}};
  copy_tensors({{"weight", filled({2, 2}, 9)}}, into, "test");
  CHECK(weight.data<float>()[3] == 10.0F);
}

}  // namespace deq
