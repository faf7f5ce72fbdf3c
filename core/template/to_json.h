// to_json.h -- a value as JSON text, as transformers writes it for tojson.
#pragma once

#include <string>

#include "core/template/store.h"
#include "core/template/value.h"

namespace hone::jinja {

// json.dumps as transformers calls it.
std::string to_json(Store &, const Value &, bool ascii, const Value &indent, const std::string &between_items,
                    const std::string &after_key, bool sorted);

}  // namespace hone::jinja
