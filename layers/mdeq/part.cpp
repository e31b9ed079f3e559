#include "layers/mdeq/part.h"

namespace deq {

MdeqPart mdeq_part(std::string_view name) {
  if (name.starts_with("downsample.") || name.starts_with("stage0.")) return MdeqPart::stem;
  if (name.starts_with("fullstage.")) return MdeqPart::transformation;
  const bool is_output = name.starts_with("classifier.") || name.starts_with("last_layer.3.");
  return is_output ? MdeqPart::output : MdeqPart::head;
}

}  // namespace deq
