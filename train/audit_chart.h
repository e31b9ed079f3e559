#pragma once

#include "layers/gradient_audit.h"
#include "train/chart.h"

namespace deq {

/// Gradient error against backward time, both logarithmic, one labelled point an estimator, coloured by family.
/// Estimators without an error (the exact one) are left out; the title gives their time.
/// Errors: no estimator that can be drawn.
Chart audit_chart(const AuditResult& result);

}  // namespace deq
