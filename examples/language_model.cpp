// A language model whose depth is an equilibrium: one block of a transformer with causal attention, solved to its fixed
// point, gives the probabilities of a text's next byte (the DEQ-Transformer of Bai, Kolter, Koltun, NeurIPS 2019).
//
//   example_language_model [--text FILE] [--solver anderson] [--gradient shine-refine-5] [--steps 1000] [--save FILE]
//
// Without a text it learns a language of its own, drawn from a grammar whose entropy is known: no model can do better.
// What counting bytes reaches on the same text stands beside the result.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/safetensors.h"
#include "examples/text_corpus.h"
#include "layers/dsl.h"
#include "solvers/names.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace {

using namespace deq;
using namespace deq::examples;

constexpr int kWidth = 64, kHeads = 4, kHidden = 4 * kWidth;
constexpr int kLength = 64, kBatch = 16;  // bytes a window, windows a step

struct Settings {
  std::string text, solver = "anderson", gradient = "shine-refine-5", steps = "1000",
                    save = "language_model.safetensors";
  [[nodiscard]] int step_count() const { return std::atoi(steps.c_str()); }
};

Settings settings_of(int count, char** arguments) {
  Settings out;
  const std::map<std::string, std::string*> known{{"--text", &out.text},
                                                  {"--solver", &out.solver},
                                                  {"--gradient", &out.gradient},
                                                  {"--steps", &out.steps},
                                                  {"--save", &out.save}};
  for (int i = 1; i < count; i += 2) {
    const auto found = known.find(arguments[i]);
    require(found != known.end() && i + 1 < count, "language_model", "'", arguments[i],
            "' is none of --text, --solver, --gradient, --steps, --save, or has no value after it");
    *found->second = arguments[i + 1];
  }
  require(out.step_count() >= 10, "language_model", "'", out.steps, "' steps: take a whole number from 10 on");
  return out;
}

/// f(z, x): a block of a transformer. The text's embedding x enters at every application; z brings what was heard.
struct Block {
  explicit Block(const ParamScope& scope)
      : attend(scope / "attend", kWidth, kHeads, {.is_causal = true}),
        widen(scope / "widen", kWidth, kHidden),
        narrow(scope / "narrow", kHidden, kWidth),
        first(scope / "first_norm", kWidth),
        second(scope / "second_norm", kWidth),
        distance(scope, "distance", distance_start(), /*is_trainable=*/true) {}

  Value operator()(Value z, Value x) const {
    const Value heard = first(x + attend(z, distance_bias(*x.graph)));
    return second(heard + narrow(gelu(widen(heard))));
  }

  /// [heads,kLength,kLength], added to scores: what each head learns about how far back to listen.
  Value distance_bias(Graph& graph) const {
    Tensor back(DType::i32, {kLength, kLength});
    for (int query = 0; query < kLength; ++query)
      for (int key = 0; key < kLength; ++key)
        back.data<std::int32_t>()[static_cast<std::size_t>(query * kLength + key)] = std::max(0, query - key);
    return transpose(gather(distance(graph), constant(graph, back)), {2, 0, 1});
  }
  /// Nearer is louder at the start, differently for each head (Press et al., ALiBi, ICLR 2022).
  static Tensor distance_start() {
    Tensor out(DType::f32, {kLength, kHeads});
    for (int back = 0; back < kLength; ++back)
      for (int head = 0; head < kHeads; ++head)
        out.data<float>()[static_cast<std::size_t>(back * kHeads + head)] =
            -static_cast<float>(back) / static_cast<float>(1 << (2 * head));
    return out;
  }

  layers::SelfAttention attend;
  layers::Linear widen, narrow;
  layers::LayerNorm first, second;
  Parameter distance;
};

struct Model {
  explicit Model(const ParamScope& scope)
      : bytes(scope / "bytes", kBytes, kWidth, 1 / std::sqrt(kWidth)), block(scope / "block") {}
  /// Bytes [B,kLength] -> scores of the one that follows each, [B,kLength,256], by the embedding again.
  Value operator()(Value text, std::shared_ptr<const EquilibriumPolicy> policy) const {
    const Value x = bytes(text) * std::sqrt(kWidth);
    return matmul(equilibrium(block, x, {.policy = std::move(policy)}), bytes.weight(text), false, true);
  }
  layers::Embedding bytes;
  Block block;
};

SolverOptions solver_options(const Settings& settings, int max_steps, double tolerance) {
  return {.method = method_from_name(settings.solver), .max_steps = max_steps, .tolerance = {.value = tolerance}};
}

/// Mean negative logarithm of the probability of `next` [B,kLength], from position `begin` of each window on.
Value loss_of(Value scores, Value next, int begin) {
  return mean(slice(softmax_cross_entropy(scores, next).loss, 1, begin, kLength));
}

/// Windows of a text as a graph's inputs: what the model reads, and the byte after each of its bytes.
class Windows {
 public:
  explicit Windows(Graph& graph)
      : read(graph.input("read", {DType::i32, {kBatch, kLength}}, Rate::batch)),
        next(graph.input("next", {DType::i32, {kBatch, kLength}}, Rate::batch)) {}
  void fill(const std::string& text, std::size_t row, std::size_t begin) {
    for (std::size_t t = 0; t < kLength; ++t) {
      now_.data<std::int32_t>()[row * kLength + t] = static_cast<unsigned char>(text[begin + t]);
      then_.data<std::int32_t>()[row * kLength + t] = static_cast<unsigned char>(text[begin + t + 1]);
    }
  }
  void bind_to(Program& program) const {
    program.bind(read, now_);
    program.bind(next, then_);
  }
  Value read, next;

 private:
  Tensor now_{DType::i32, {kBatch, kLength}}, then_{DType::i32, {kBatch, kLength}};
};

/// Means over solves.
struct SolveStatistics {
  double steps = 0, residual = 0, unsolved = 0;
  int solves = 0;

  void add(const SolveReport& report) {
    const auto samples = static_cast<int>(report.steps.size());
    steps += report.mean_steps() * samples, residual += report.mean_residual() * samples;
    unsolved += samples - report.count(SolveStatus::converged), solves += samples;
  }
  /// Ends the line.
  void print() const {
    std::printf("; a solve: %4.1f steps, residual %.1e", steps / solves, residual / solves);
    if (unsolved > 0) std::printf(", %.0f %% of them NOT converged", 100 * unsolved / solves);
    std::printf("\n");
    std::fflush(stdout);
  }
};

/// Bits a byte of the held-out text. Windows overlap by half; each counts where the model has read half of one.
double held_out_bits(const Model& model, const std::string& text, const Settings& settings, CpuBackend& cpu) {
  Graph graph;
  Windows windows(graph);
  const auto policy = std::make_shared<ImplicitPolicy>(solver_options(settings, 40, 1e-3));
  const Value loss = loss_of(model(windows.read, policy), windows.next, kLength / 2);
  Program program = Program::compile(graph, {loss}, cpu);
  SolveStatistics solves;
  double total = 0;
  int runs = 0;
  for (std::size_t begin = 0; runs < 20 && begin + (kBatch + 1) * kLength / 2 + 1 < text.size(); ++runs) {
    for (std::size_t row = 0; row < kBatch; ++row, begin += kLength / 2) windows.fill(text, row, begin);
    windows.bind_to(program);
    program.run();
    total += static_cast<double>(program.read(loss).data<float>()[0]);
    solves.add(*program.forward_report());
  }
  std::printf("held-out text read");
  solves.print();
  return total / runs / std::log(2.0);
}

/// Trains on windows drawn at random and prints a line after each tenth of the steps.
void train(const Model& model, const ParameterStore& store, const std::string& text, const Settings& settings,
           CpuBackend& cpu) {
  Graph graph(Mode::training);
  Windows windows(graph);
  const Value rate = graph.input("rate", {DType::f32, {}}, Rate::batch);
  const Value step = graph.input("step", {DType::f32, {}}, Rate::batch);
  const auto policy = policy_from_name(settings.gradient, solver_options(settings, 16, 3e-2));
  const Value loss = loss_of(model(windows.read, policy), windows.next, 0);
  const Optimizer optimizer({.name = "adamw", .weight_decay = 0.1}, store);
  optimizer.update(graph, gradients(loss, optimizer.parameters(graph)), rate, step, /*clip_norm=*/1.0);
  Program program = Program::compile(graph, {loss}, cpu);

  const int steps = settings.step_count(), epoch = steps / 10;
  const Schedule schedule({.name = "cosine", .warmup_steps = steps / 20, .min_lr = 1e-3}, /*lr=*/1.6e-2, steps);
  const auto scalar = [](double value) { return Tensor::of<float>({}, std::vector{static_cast<float>(value)}); };
  std::mt19937 rng(7);
  SolveStatistics solves;
  double total = 0;
  for (int i = 1; i <= steps; ++i) {
    for (std::size_t row = 0; row < kBatch; ++row) windows.fill(text, row, rng() % (text.size() - kLength - 1));
    windows.bind_to(program);
    program.bind(rate, scalar(schedule.lr(i - 1)));
    program.bind(step, scalar(i));
    program.run();
    total += static_cast<double>(program.read(loss).data<float>()[0]);
    solves.add(*program.forward_report());
    if (i % epoch != 0) continue;
    std::printf("step %4d: %.3f bits a byte", i, total / epoch / std::log(2.0));
    solves.print();
    total = 0, solves = {};
  }
}

/// Writes on after `text`, each byte drawn from its probability. Every solve begins at the solution of the last one,
/// which by causality differs from it in the new byte alone.
std::string continued(const Model& model, std::string text, std::size_t length, const Settings& settings,
                      CpuBackend& cpu) {
  Graph graph;
  const Value read = graph.input("read", {DType::i32, {1, kLength}}, Rate::batch);
  auto policy = std::make_shared<ImplicitPolicy>(solver_options(settings, 40, 1e-3));
  policy->start_warm();
  const Value probability = softmax(model(read, policy));
  Program program = Program::compile(graph, {probability}, cpu);
  std::mt19937 rng(3);
  SolveStatistics solves;
  Tensor window(DType::i32, {1, kLength});
  for (std::size_t begin = 0; text.size() < length;) {
    if (text.size() - begin > kLength) begin += kLength / 2;  // a full window goes on with its second half
    const std::size_t known = text.size() - begin;
    for (std::size_t t = 0; t < known; ++t)
      window.data<std::int32_t>()[t] = static_cast<unsigned char>(text[begin + t]);
    program.bind(read, window);
    program.run();
    solves.add(*program.forward_report());
    const Tensor all = program.read(probability);
    const auto row = all.data<float>().subspan((known - 1) * kBytes, kBytes);
    text.push_back(static_cast<char>(std::discrete_distribution<int>(row.begin(), row.end())(rng)));
  }
  std::printf("%zu bytes written", length - kLength / 2);
  solves.print();
  return text;
}

void save(const ParameterStore& store, const std::string& path) {
  SafetensorsFile file;
  for (const ParameterEntry& entry : store.entries()) file.tensors[entry.name] = *entry.value;
  write_safetensors(path, file);
}

/// Prints what the model and what counting reaches. True when the model beats counts of pairs of bytes.
bool compare(double bits, const Corpus& corpus) {
  const Counts counts(corpus.train);
  const double pairs = counts.bits(corpus.held_out, 1);
  std::printf("held-out bits a byte: %.3f (perplexity %.3f)\n", bits, std::exp2(bits));
  std::printf("  by counts after 1, 2, .. bytes: %.3f", pairs);
  for (std::size_t n = 2; n <= Counts::kLongest; ++n) std::printf(" %.3f", counts.bits(corpus.held_out, n));
  if (corpus.entropy > 0) std::printf("\n  by the grammar itself, which nothing can beat: %.3f", corpus.entropy);
  std::printf("\n");
  return bits < pairs;
}

int run(const Settings& settings) {
  const Corpus corpus = corpus_of(settings.text, 10 * kBatch * kLength);
  CpuBackend cpu;
  ParameterStore store(/*seed=*/1);
  const Model model{ParamScope(store)};
  std::printf("%zu bytes to learn from, %zu held out, %lld parameters; solver %s, gradient %s\n", corpus.train.size(),
              corpus.held_out.size(), static_cast<long long>(store.trainable_elements()), settings.solver.c_str(),
              settings.gradient.c_str());
  train(model, store, corpus.train, settings, cpu);
  save(store, settings.save);

  // What follows knows the file alone.
  ParameterStore loaded(/*seed=*/0, ParameterStart::zeros);
  const Model again{ParamScope(loaded)};
  for (const auto& [name, value] : read_safetensors(settings.save).tensors) loaded.set(name, value);
  const bool is_better = compare(held_out_bits(again, corpus.held_out, settings, cpu), corpus);
  const std::string start = corpus.held_out.substr(0, kLength / 2);
  std::printf("%s\n", continued(again, start, 400, settings, cpu).c_str());
  return is_better ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  limit_spinning(arguments);
  try {
    return run(settings_of(count, arguments));
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
