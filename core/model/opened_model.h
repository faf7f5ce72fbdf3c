// opened_model.h -- a model on disk whose files are open and whose numbers are not read: what loading and planning know
// of it alike.
#pragma once

#include <memory>
#include <string>

#include "core/model/gguf.h"
#include "core/model/model.h"
#include "core/model/model_description.h"
#include "core/model/tensor_source.h"

namespace hone {

struct OpenedModel {
  ModelDescription description;
  std::unique_ptr<Gguf> file;  // null: a directory
  std::unique_ptr<TensorSource> tensors;
  std::shared_ptr<const Architecture> architecture;  // of the layers that the tensors have (depths.h)
  std::string shapes_from;                           // what told the shapes, for messages: "config.json"
};

// Of a Hugging Face directory or a GGUF file, not of an adapter. tell: whether warnings say what is not used and what
// is left out.
OpenedModel open_model(const std::filesystem::path &, const Registry &, const Host &, bool tell);

// Failure when the tokenizer of the model at this path has more tokens than the model, or its base, has in vocab_size.
void check_token_count(const std::filesystem::path &, const Tokenizer &, const Architecture &);

// Of all that load_model takes, its tensors checked as there and no number read; an adapter has its base's.
std::shared_ptr<const Architecture> architecture_of(const std::filesystem::path &, const Registry &, const Host &);

}  // namespace hone
