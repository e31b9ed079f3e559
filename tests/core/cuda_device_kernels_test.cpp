#include <doctest/doctest.h>

#include <algorithm>
#include <iostream>
#include <map>

#include "core/cpu/conv_shape.h"
#include "tests/core/kernel_laws.h"
#include "tests/core/norm_pairs.h"
#include "tests/core/wide_kernel_cases.h"
#ifdef DEQ_CUDA
#include "core/cuda/backend.h"
#include "core/cuda/device.h"
#endif

// What cuda_kernels_test.cpp proves of our kernels on the host, on a device: launches, clusters, and the vendor's
// libraries at the extents of real models, of which the op grid has none.

using namespace deq;
using namespace deq::tests;

#ifdef DEQ_CUDA
namespace {

CudaBackend* device_in_use = nullptr;

/// A kernel of the device for operands in host memory, which it fetches and sends in every run. Operands in one place
/// are in one place there too.
class FetchingKernel final : public Kernel {
 public:
  explicit FetchingKernel(const KernelRequest& request) : kernel_(device_in_use->lower(request)) {
    for (const TensorType& type : request.inputs) input_bytes_.push_back(type.bytes());
    for (const TensorType& type : request.outputs) output_bytes_.push_back(type.bytes());
  }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void*) override {
    std::vector<const void*> in;
    std::vector<void*> out;
    for (std::size_t i = 0; i < inputs.size(); ++i) in.push_back(copy_of(inputs[i], input_bytes_[i]));
    for (std::size_t i = 0; i < outputs.size(); ++i)
      out.push_back(outputs[i] == nullptr ? nullptr : copy_of(outputs[i], output_bytes_[i]));
    outputs_.assign(outputs.begin(), outputs.end());
    // As full of numbers that must not matter as the outputs are.
    const std::vector<std::byte> noise(kernel_->workspace_bytes(), std::byte{0x7f});
    workspace_ = device_in_use->allocate(noise.size());
    device_in_use->upload(workspace_.get(), noise.data(), noise.size());
    kernel_->bind(in, out, workspace_.get());
  }
  void run() override {
    for (const auto& [host, copy] : copies_) device_in_use->upload(copy.memory.get(), host, copy.bytes);
    kernel_->run();
    for (std::size_t i = 0; i < outputs_.size(); ++i)
      if (outputs_[i] != nullptr)
        device_in_use->download(outputs_[i], copies_.at(outputs_[i]).memory.get(), output_bytes_[i]);
  }

 private:
  struct Copy {
    AlignedBytes memory;
    std::size_t bytes = 0;
  };
  void* copy_of(const void* host, std::size_t bytes) {
    Copy& copy = copies_[host];
    if (copy.memory == nullptr) copy = {device_in_use->allocate(std::max<std::size_t>(bytes, 1)), bytes};
    return copy.memory.get();
  }

  std::unique_ptr<Kernel> kernel_;
  std::vector<std::size_t> input_bytes_, output_bytes_;
  std::map<const void*, Copy> copies_;
  std::vector<void*> outputs_;
  AlignedBytes workspace_;
};

std::unique_ptr<Kernel> lower_on_device(const KernelRequest& request) {
  return std::make_unique<FetchingKernel>(request);
}

/// Runs `check` with a backend of these options, or says that the test is skipped.
template <class Check>
void on_device(CudaOptions options, const Check& check) {
  if (const std::string reason = no_cuda_reason(); !reason.empty()) {
    std::cout << "SKIPPED: no CUDA device: " << reason << '\n';
    return;
  }
  CudaBackend backend(0, options);
  device_in_use = &backend;
  check(backend);
  device_in_use = nullptr;
}

constexpr CudaOptions kExact{.precision = CudaPrecision::f32, .is_deterministic = true};

/// Convolutions of MDEQ in all directions, and products.
std::vector<KernelCase> library_cases() {
  std::vector<KernelCase> cases;
  const auto add = [&](Op op, const Shape& a, const Shape& b) {
    const Tensor x = draw(a, -1, 1), y = draw(b, -1, 1);
    cases.push_back({concat(name_of(op), " of ", a, " and ", b), std::move(op), {x.type(), y.type()}, {x, y}});
  };
  for (const ConvShape& shape : {ConvShape{4, 32, 32, 24, 120, 3, 3, {1, 1, 1}},
                                 {4, 32, 32, 120, 24, 3, 3, {1, 1, 1}},
                                 {4, 16, 16, 48, 24, 1, 1, {1, 0, 1}},
                                 {3, 15, 15, 24, 48, 3, 3, {2, 1, 1}},
                                 {2, 9, 7, 3, 5, 3, 3, {1, 1, 1}}}) {
    add(shape.conv, shape.image(), shape.weight());
    add(Conv2dInputGrad{shape.conv, shape.height, shape.width}, shape.result(), shape.weight());
    add(Conv2dWeightGrad{shape.conv, shape.kernel_h, shape.kernel_w}, shape.image(), shape.result());
  }
  add(MatMul{}, {33, 70}, {70, 45});
  add(MatMul{.transpose_a = true}, {70, 33}, {70, 45});
  add(MatMul{.transpose_b = true}, {5, 33, 7}, {5, 45, 7});
  add(MatMul{}, {128, 1280}, {1280, 10});
  return cases;
}

}  // namespace

// Functions of a device differ from the host's by a bit or two, and its compiler joins products and sums.
TEST_CASE("every kernel agrees with the reference on a CUDA device") {
  on_device(kExact, [](CudaBackend&) { check_values(all_kernel_cases(), 1e-5, &lower_on_device); });
}

TEST_CASE("a kernel on a CUDA device gives the same bits over an input, and without outputs that nobody reads") {
  on_device(kExact, [](CudaBackend&) {
    check_overwriting(all_kernel_cases(), &lower_on_device);
    check_unread_outputs(all_kernel_cases(), &lower_on_device);
  });
}

TEST_CASE("two norms in a row are one launch on a CUDA device, with the values of both") {
  on_device(kExact, [](CudaBackend& backend) {
    const bool has_clusters = std::stod(cuda_devices()[0].compute_capability) >= 9;
    check_norm_pairs(backend, has_clusters, 1e-5);
  });
}

TEST_CASE("convolutions and products of models agree with the reference on a CUDA device") {
  // Algorithms that are chosen by time may round more; operands are rounded to 10 and 7 bits.
  on_device(kExact, [](CudaBackend&) { check_values(library_cases(), 2e-5, &lower_on_device); });
  for (const auto& [precision, bound] :
       {std::pair{CudaPrecision::f32, 1e-3}, {CudaPrecision::tf32, 3e-3}, {CudaPrecision::bf16, 3e-2}})
    on_device({.precision = precision},
              [bound](CudaBackend&) { check_values(library_cases(), bound, &lower_on_device); });
}
#else
TEST_CASE("kernels of models on a CUDA device") { std::cout << "SKIPPED: built without CUDA\n"; }
#endif
