#include "core/elementwise.h"

#include <cstring>

#include "core/reference/kernel.h"
#include "core/reference/strided.h"

namespace deq::reference {
namespace {

template <class T>
void fill(void* into, std::int64_t elements, double value) {
  for (std::int64_t i = 0; i < elements; ++i) static_cast<T*>(into)[i] = static_cast<T>(value);
}

void check_floats(const KernelRequest& request) {
  for (const TensorType& type : request.inputs) {
    check(is_float(type.dtype), "reference", name_of(request.op), " has no kernel for ", type, " (layer '",
          request.label, "')");
  }
}

}  // namespace

Body lower(const Constant& op, const KernelRequest& request) {
  const std::int64_t n = request.outputs[0].shape.elements();
  const DType dtype = stored(request.outputs[0].dtype);
  return [n, dtype, value = op.value](const Operands& at) {
    switch (dtype) {
      case DType::f32:
      case DType::bf16:
      case DType::f64: return fill<double>(at.outputs[0], n, value);
      case DType::i32: return fill<std::int32_t>(at.outputs[0], n, value);
      case DType::i64: return fill<std::int64_t>(at.outputs[0], n, value);
      case DType::u8: return fill<std::uint8_t>(at.outputs[0], n, value);
    }
  };
}

Body lower(const Unary& op, const KernelRequest& request) {
  check_floats(request);
  const std::int64_t n = request.outputs[0].shape.elements();
  return with_functor(op.fn, [n](auto fn) -> Body {
    return [n, fn](const Operands& at) {
      for (std::int64_t i = 0; i < n; ++i) at.out()[i] = fn(at.in(0)[i]);
    };
  });
}

Body lower(const Binary& op, const KernelRequest& request) {
  check_floats(request);
  const Shape shape = request.outputs[0].shape;
  const Strides a = broadcast_strides(request.inputs[0].shape, shape);
  const Strides b = broadcast_strides(request.inputs[1].shape, shape);
  return with_functor(op.fn, [=](auto fn) -> Body {
    return [=](const Operands& at) {
      for (std::int64_t i = 0; i < shape.elements(); ++i) {
        at.out()[i] = fn(at.in(0)[strided_offset(i, shape, a)], at.in(1)[strided_offset(i, shape, b)]);
      }
    };
  });
}

Body lower(const Affine& op, const KernelRequest& request) {
  check_floats(request);
  const std::int64_t n = request.outputs[0].shape.elements();
  return [n, op](const Operands& at) {
    for (std::int64_t i = 0; i < n; ++i) at.out()[i] = op.scale * at.in(0)[i] + op.offset;
  };
}

Body lower(const Copy&, const KernelRequest& request) {
  const std::size_t bytes = TensorType{stored(request.inputs[0].dtype), request.inputs[0].shape}.bytes();
  return [bytes](const Operands& at) { std::memcpy(at.outputs[0], at.inputs[0], bytes); };
}

}  // namespace deq::reference
