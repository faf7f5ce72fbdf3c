// merge_lora.h -- from base and adapter to a model without one: W + scaling B A for each targeted matrix.
#pragma once

#include "core/model/model.h"

namespace hone {

// Computed in double and rounded once to float; what is no target, and the value head, as they are. Weights without an
// adapter: Failure.
std::unique_ptr<Weights> merge_lora(const Weights &adapted);

// For export as `dtype`. Failure that begins with `what` when no number of the file would differ from base's: whoever
// exports that believes to have trained.
std::unique_ptr<Weights> merge_lora_for_export(const Weights &adapted, const std::string &what,
                                               const std::string &dtype = "F32");

}  // namespace hone
