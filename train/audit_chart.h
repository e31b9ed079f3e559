#pragma once

#include "layers/gradient_audit.h"
#include "train/chart.h"

namespace deq {

/// Gradient error against cost, both logarithmic, one labelled point an estimator, coloured by family. Cost is counted
/// in backward passes through f, so the picture is the same on every machine; milliseconds are in the table. Estimators
/// without an error (the exact one) are left out; the title gives their cost.
/// Errors: no estimator that can be drawn.
Chart audit_chart(const AuditResult& result);

}  // namespace deq
