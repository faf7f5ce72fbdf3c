// render.cpp -- `hone render`: conversations as the model's chat template writes them.
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/app/model_rows.h"
#include "core/app/verbs.h"
#include "core/base/failure.h"
#include "core/model/model_files.h"
#include "core/text/rows.h"

namespace hone {

int render_verb(const Arguments &a) {
  const auto rows = read_ordered_rows(a.input);
  const auto tokenizer = read_model_tokenizer(a.model);
  use_chat_options(*tokenizer, a);
  for (const auto &[line, row] : rows) {
    const std::string where = row_place(a.input, line);
    if (!row.contains("messages"))
      throw Failure(where + ": has no \"messages\", the list of {\"role\", \"content\"} to render");
    nlohmann::ordered_json out;
    out["text"] = rendered(*tokenizer, row, false, where);
    std::cout << out.dump() << "\n";
  }
  return 0;
}

}  // namespace hone
