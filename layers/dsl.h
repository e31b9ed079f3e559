#pragma once

// Everything a model file needs: values and their operators, layers, equilibria, gradients, programs and the CPU.

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/composed.h"
#include "core/cpu/backend.h"
#include "core/einsum.h"
#include "core/program.h"
#include "core/wait_policy.h"
#include "layers/activation.h"
#include "layers/batch_norm.h"
#include "layers/conv.h"
#include "layers/dropout.h"
#include "layers/embedding.h"
#include "layers/equilibrium.h"
#include "layers/group_norm.h"
#include "layers/layer_norm.h"
#include "layers/linear.h"
#include "layers/parameter.h"
#include "layers/pooling.h"
#include "layers/sequential.h"
#include "solvers/policy.h"
