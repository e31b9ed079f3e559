#pragma once

#include "core/builder.h"

// Activations as layers, for Sequential. In a call operator the functions of core/builder.h read better.

namespace deq::layers {

struct Relu {
  Value operator()(Value x) const { return relu(x); }
};
/// The exact form x * Phi(x).
struct Gelu {
  Value operator()(Value x) const { return gelu(x); }
};
struct Tanh {
  Value operator()(Value x) const { return deq::tanh(x); }
};
struct Sigmoid {
  Value operator()(Value x) const { return sigmoid(x); }
};

}  // namespace deq::layers
