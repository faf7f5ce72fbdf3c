// gguf_rope.h -- the position scalings of config.json's rope_scaling, as GGUF keeps them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/model/gguf.h"
#include "core/model/gguf_writer.h"

namespace hone {

// rope_scaling, null for none. Llama 3's is in a file only as the factors by which it divides each frequency, in the
// tensor rope_freqs.weight: its parameters are found from them, and checked.
nlohmann::json rope_scaling_from_gguf(const Gguf &, const std::string &architecture, double theta);

// `size`: of the rotated part of a head. Returns those factors, or none.
std::vector<float> rope_scaling_to_gguf(const nlohmann::json &scaling, const std::string &architecture, double theta,
                                        uint64_t size, GgufWriter &);

}  // namespace hone
