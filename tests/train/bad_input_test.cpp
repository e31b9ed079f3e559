#include <doctest/doctest.h>

#include <limits>
#include <random>

#include "core/error.h"
#include "data/npy.h"
#include "tests/train/program.h"
#include "tests/train/temporary_folder.h"
#include "tests/train/tiny_run.h"
#include "train/checkpoint.h"

// Bad input through the program itself: the right exit status and one clear message, each.

namespace deq {

using test::check_refused;
using test::config_file;
using test::contains;
using test::joined;
using test::Outcome;
using test::read_text;
using test::run_program;
using test::small_run;
using test::TemporaryFolder;
using test::tiny_run;
using test::TinyRun;
using test::write_text;

namespace {

using Folder = std::filesystem::path;

void flip_byte(const Folder& file, std::size_t at) {
  std::string bytes = read_text(file);
  REQUIRE(at < bytes.size());
  bytes[at] = static_cast<char>(bytes[at] ^ 16);
  write_text(file, bytes);
}

/// A CIFAR-10 archive cut off in its middle. The contents do not compress, so the cut falls into a member.
void write_cut_archive(const Folder& folder) {
  const Folder batches = folder / "cifar-10-batches-bin";
  std::filesystem::create_directories(batches);
  std::mt19937 rng(1);
  std::string noise(300'000, ' ');
  for (char& c : noise) c = static_cast<char>(rng());
  for (const char* name :
       {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"})
    write_text(batches / (std::string(name) + ".bin"), noise);
  const Folder archive = folder / "cifar-10-binary.tar.gz";
  REQUIRE(std::system(("tar -czf " + archive.string() + " -C " + folder.string() + " cifar-10-batches-bin").c_str()) ==
          0);  // NOLINT: a fixed program on a path of this test
  std::filesystem::resize_file(archive, std::filesystem::file_size(archive) / 2);
  std::filesystem::remove_all(batches);
}

}  // namespace

TEST_CASE("a wrong key or type in the configuration is refused by file and line") {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "c.toml").string();
  write_text(file, "[model]\nchanels = [8, 8]\n");
  check_refused("train " + file, file + ":2: unknown key 'model.chanels'; did you mean 'model.channels'?");
  write_text(file, "[train]\n\nbatch_size = \"many\"\n");
  check_refused("train " + file, file + ":3: ");
  write_text(file, "[train]\nbatch_size = \n");
  check_refused("train " + file, file + ":2");
  write_text(file, "[solver]\nname = \"newton\"\n");
  check_refused("train " + file, "broyden");
  // What cannot be trained is refused before anything is written.
  const std::string out = " --out " + (folder.path() / "run").string();
  check_refused("train " + config_file("shapes-mdeq") + out + " --set train.estimator=neumann", "neumann-K");
  check_refused("train " + config_file("shapes-mdeq") + out + " --set model.task=segmentation", "model.task");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "run"));
}

TEST_CASE("every solver, optimiser and schedule that a configuration may name trains") {
  for (const char* setting :
       {"solver.name=broyden-lowrank", "solver.name=anderson", "solver.name=picard", "optimizer.name=adamw",
        "optimizer.name=sgd", "schedule.name=constant", "solver.mode=abs", "train.clip_norm=1.0",
        "train.estimator=exact", "train.estimator=jfb-refine-2", "model.weight_norm=false"}) {
    const TemporaryFolder folder;
    const Outcome outcome = run_program(joined(small_run(folder.path() / "run", 4)) + " --set " + setting);
    INFO(setting << ": " << outcome.err);
    CHECK(outcome.status == 0);
  }
}

TEST_CASE("a missing file or data set is named, with the way to get it") {
  const TemporaryFolder folder;
  const std::string nowhere = (folder.path() / "nowhere").string();
  check_refused("train " + nowhere + ".toml", nowhere + ".toml");
  check_refused("train " + config_file("cifar10-mdeq-tiny") + " --data " + folder.path().string() + " --out " + nowhere,
                "cifar-10-binary.tar.gz");
  CHECK_FALSE(std::filesystem::exists(nowhere));
  check_refused("eval " + nowhere, nowhere);
  check_refused("predict " + tiny_run().checkpoint + " " + nowhere + ".png", nowhere + ".png");
  check_refused("predict " + tiny_run().checkpoint + " --tensor " + nowhere + ".npy --save-logits y.npy",
                nowhere + ".npy");
}

TEST_CASE("a truncated archive is refused by name") {
  const TemporaryFolder folder;
  write_cut_archive(folder.path());
  check_refused("train " + config_file("cifar10-mdeq-tiny") + " --data " + folder.path().string() + " --out " +
                    (folder.path() / "run").string(),
                "cifar-10-binary.tar.gz");
}

TEST_CASE("a corrupt image alone is refused; among others it is reported and they are answered") {
  const TinyRun& run = tiny_run();
  const TemporaryFolder folder;
  const std::string broken = (folder.path() / "broken.png").string();
  std::filesystem::copy_file(run.images[0], broken);
  flip_byte(broken, std::filesystem::file_size(broken) / 2);
  check_refused("predict " + run.checkpoint + " " + broken, broken);
  check_refused("predict " + run.checkpoint + " " + run.images[0] + " " + broken + " " + run.images[1], broken, 1);
  const Outcome outcome = run_program("predict " + run.checkpoint + " " + broken + " " + run.images[0] + " --quiet" +
                                      " --sheet " + (folder.path() / "sheet.png").string());
  CHECK(outcome.status == 1);
  CHECK(contains(outcome.out, run.images[0]));
  CHECK(std::filesystem::exists(folder.path() / "sheet.png"));
  write_text(broken, "");
  check_refused("predict " + run.checkpoint + " " + broken, broken);
}

TEST_CASE("a checkpoint of another model is refused") {
  const TinyRun& run = tiny_run();
  const TemporaryFolder folder;
  check_refused(joined(small_run(run.path, 3)) + " --set model.expansion=2", "is not the one of the configuration");
  // Tensors that are not the ones its own configuration asks for.
  Checkpoint checkpoint = load_checkpoint(run.checkpoint, CheckpointParts::all);
  checkpoint.config.model.final_channels += 8;
  save_checkpoint(folder.path() / "other", checkpoint);
  check_refused("predict " + (folder.path() / "other").string() + " " + run.images[0], "classifier.weight");
  // A safetensors file that is no checkpoint of this program at all.
  const std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  write_text(folder.path() / "foreign.safetensors", bytes + header + std::string(4, '\0'));
  check_refused("eval " + (folder.path() / "foreign.safetensors").string(), "foreign.safetensors");
}

TEST_CASE("a folder that holds checkpoints is refused with their paths") {
  const TinyRun& run = tiny_run();
  const Folder checkpoints = run.path / "checkpoints";
  const std::string both =
      "; did you mean " + (checkpoints / "best").string() + " or " + (checkpoints / "last").string();
  check_refused("eval " + run.path.string(), both);
  check_refused("eval " + checkpoints.string(), both);
  check_refused("eval " + run.folder.path().string() + "/images", "the folder has no model.safetensors\n");
}

TEST_CASE("a training leaves a checkpoint alone that is no run") {
  const TemporaryFolder folder;
  const Folder alone = folder.path() / "alone";
  std::filesystem::copy(tiny_run().checkpoint, alone);
  check_refused(joined(small_run(alone, 3)), "is a checkpoint, not the folder of a run");
  CHECK(test::files_in(alone) == test::files_in(tiny_run().checkpoint));
}

TEST_CASE("a run that is resumed with what it must keep changed names key, values and way out") {
  const std::string resume = joined(small_run(tiny_run().path, 3));
  check_refused(
      resume + " --set train.batch_size=8",
      "'train.batch_size' is 4 there and 8 here; go on with --set 'train.batch_size=4' or choose another --out");
  check_refused(resume + " --set data.train_size=50", "'data.train_size' is 40 there and 50 here");
  check_refused(resume + " --seed 5", "'train.seed' is 42 there and 5 here");
}

TEST_CASE("a flipped byte in any file of a checkpoint stops what would use it") {
  const TinyRun& run = tiny_run();
  const TemporaryFolder folder;
  for (const char* name : {"model.safetensors", "state.safetensors", "manifest.json"}) {
    const Folder copy = folder.path() / name;
    std::filesystem::copy(run.path, copy, std::filesystem::copy_options::recursive);
    const Folder last = copy / "checkpoints" / "last";
    flip_byte(last / name, std::filesystem::file_size(last / name) - 9);
    check_refused(joined(small_run(copy, 3)), name);
  }
  const std::string damaged = (folder.path() / "model.safetensors" / "checkpoints" / "last").string();
  check_refused("eval " + damaged, "damaged");
  check_refused("predict " + damaged + " " + run.images[0], "damaged");
}

TEST_CASE("a value that is not finite, or no image at all, is refused") {
  const TinyRun& run = tiny_run();
  const TemporaryFolder folder;
  const std::string x = (folder.path() / "x.npy").string(), y = (folder.path() / "y.npy").string();
  const std::string predict = "predict " + run.checkpoint + " --tensor " + x + " --save-logits " + y;
  Tensor images(DType::f32, {2, 3, 32, 32});
  images.data<float>()[3 * 32 * 32 + 5] = std::numeric_limits<float>::quiet_NaN();
  write_npy(x, images);
  check_refused(predict, "image 1");
  CHECK_FALSE(std::filesystem::exists(y));
  write_npy(x, Tensor(DType::f32, {0, 3, 32, 32}));
  check_refused(predict, "holds no image");
  write_npy(x, Tensor(DType::f32, {2, 1, 32, 32}));
  check_refused(predict, "channels");
  check_refused("predict " + run.checkpoint, "nothing to classify");
  check_refused("eval " + run.checkpoint + " --limit 0", "--limit");
  std::filesystem::create_directories(folder.path() / "train" / "cat");
  check_refused("data export folder --data " + folder.path().string() + " --out " + (folder.path() / "o").string(),
                folder.path().string());
}

TEST_CASE("a loss that is not finite ends the run with status 1 and leaves it resumable") {
  const TemporaryFolder folder;
  check_refused(joined(small_run(folder.path() / "run", 9)) + " --set optimizer.lr=1e30 --set optimizer.name=sgd",
                "not finite", 1);
}

}  // namespace deq
