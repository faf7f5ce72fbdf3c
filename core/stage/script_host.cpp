// script_host.cpp -- see script_host.h.
#include "core/stage/script_host.h"

#include "core/model/model_files.h"
#include "core/stage/host_settings.h"

namespace hone {

static ModelFacts model_facts(const std::filesystem::path &path) {
  const std::unique_ptr<Tokenizer> tokenizer = read_model_tokenizer(path);
  return {tokenizer->type(), tokenizer->chat().exists()};
}

const ScriptHost &script_host() {
  static const ScriptHost host{host_settings(), model_facts};
  return host;
}

}  // namespace hone
