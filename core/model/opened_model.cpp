// opened_model.cpp -- see opened_model.h.
#include "core/model/opened_model.h"

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/model/adapter_files.h"
#include "core/model/depths.h"
#include "core/model/gguf_source.h"
#include "core/model/model_files.h"
#include "core/model/weight_pieces.h"

namespace hone {

OpenedModel open_model(const std::filesystem::path &path, const Registry &registry, const Host &host, bool tell) {
  OpenedModel opened;
  opened.description = describe_model(path, registry, tell);
  const ModelDescription &description = opened.description;
  if (is_model_file(path)) {
    opened.file = std::make_unique<Gguf>(path);
    opened.tensors = open_gguf_tensors(*opened.file, description.config);
  } else {
    opened.tensors = open_safetensors(path, description.config);
  }
  opened.shapes_from = opened.file ? "its metadata" : "config.json";
  const auto is_there = [&](const std::string &name) { return opened.tensors->shape(name) != nullptr; };
  try {
    opened.architecture =
        architecture_of_tensors(*description.component, host, description.settings, path.string(), tell, is_there);
  } catch (const Failure &failure) {  // what the plugin says of the settings, with the file that has them
    throw Failure(after_place(model_config_path(path).string(), failure.what()));
  }
  return opened;
}

void check_token_count(const std::filesystem::path &path, const Tokenizer &tokenizer, const Architecture &architecture) {
  const uint32_t size = architecture.info().vocab_size;
  if (tokenizer.size() <= size) return;
  const std::string of = is_model_file(path)          ? "its metadata's vocab_size"
                         : is_adapter_directory(path) ? "the vocab_size of its base model, " + adapter_base_path(path).string() + ","
                                                      : "config.json's vocab_size";
  throw Failure(path.string() + ": its tokenizer has " + std::to_string(tokenizer.size()) + " tokens, but " + of + " is " +
                std::to_string(size));
}

static std::shared_ptr<const Architecture> architecture_of_whole(const std::filesystem::path &path, const Registry &registry,
                                                                 const Host &host) {
  const OpenedModel opened = open_model(path, registry, host, false);
  check_tensors(*opened.architecture, has_value_head(*opened.tensors), *opened.tensors, path.string(), opened.shapes_from);
  return opened.architecture;
}

std::shared_ptr<const Architecture> architecture_of(const std::filesystem::path &path, const Registry &registry,
                                                    const Host &host) {
  if (!is_adapter_directory(path)) return architecture_of_whole(path, registry, host);
  const auto base = architecture_of_whole(adapter_base_path(path), registry, host);
  refuse_another_base(path, registry, *base);
  check_adapter(path, *base);
  return base;
}

}  // namespace hone
