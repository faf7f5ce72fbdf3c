// models.cpp -- see models.h.
#include "core/stage/models.h"

#include <algorithm>

#include "core/base/failure.h"
#include "core/model/model_files.h"

namespace hone {
namespace fs = std::filesystem;

int handle_index(const nlohmann::json &value, const char *key) {
  if (!value.is_object()) return -1;
  const auto at = value.find(key);
  return at == value.end() ? -1 : at->get<int>();
}

std::string model_name(const Pipeline &pipeline, int index) {
  const ModelNode &node = pipeline.models.at(index);
  if (node.source == ModelNode::stage_output) return stage_label(pipeline, node.stage);
  if (!node.name.empty()) return node.name;
  return node.source == ModelNode::directory ? fs::path(node.path).filename().string() : node.component;
}

// Words in angle brackets that stand for no text of their own; <think> and its like are ordinary words.
static std::vector<std::string> special_words(const std::vector<std::string> &words) {
  std::vector<std::string> special;
  for (const std::string &word : words)
    if (word == "<pad>" || word == "<bos>" || word == "<eos>" || word == "<unk>") special.push_back(word);
  return special;
}

std::shared_ptr<const Tokenizer> tokenizer_of(const Pipeline &pipeline, int model) {
  const ModelNode &node = pipeline.models.at(model);
  switch (node.source) {
    case ModelNode::directory: return read_model_tokenizer(node.path);
    case ModelNode::stage_output: return tokenizer_of(pipeline, handle_index(pipeline.stages.at(node.stage).settings.value("model", nlohmann::json()), "$model"));
    case ModelNode::fresh: break;
  }
  if (!node.tokenizer.empty()) return Tokenizer::from_file(node.tokenizer);
  if (node.words.empty())
    throw UsageError(node.place.text() + ": model \"" + model_name(pipeline, model) +
                     "\" is new and has no vocabulary; give it words = {...} or tokenizer = \"tokenizer.json\"");
  const auto special = special_words(node.words);
  const bool has_unknown = std::find(special.begin(), special.end(), "<unk>") != special.end();
  return Tokenizer::from_words(node.words, special, has_unknown ? "<unk>" : "");
}

fs::path model_directory(const RunContext &context, int index) {
  const ModelNode &node = context.pipeline.models.at(index);
  if (node.source == ModelNode::directory) return node.path;
  if (node.source == ModelNode::fresh)
    throw Failure(node.place.text() + ": model \"" + model_name(context.pipeline, index) + "\" was not trained by any stage");
  const StageDirectory directory = context.directory_of(node.stage);
  uint32_t step;
  fs::path folder;
  if (directory.done()) {
    const uint32_t last = directory.summary().at("steps");
    if (directory.newest_checkpoint(step, folder) && step == last) return folder;
    throw Failure(directory.path().string() + ": the last checkpoint, step-" + std::to_string(last) +
                  ", is missing or damaged; remove the file `done` there and resume the run to train its last steps again");
  }
  throw Failure(node.place.text() + ": the model of stage \"" + stage_label(context.pipeline, node.stage) +
                  "\" is wanted before that stage has finished; put it earlier in hone.pipeline");
}

StageModel load_stage_model(const RunContext &context, int index) {
  const ModelNode &node = context.pipeline.models.at(index);
  StageModel model;
  if (node.source == ModelNode::fresh) {
    const ComponentInfo &component = context.registry.require("model", node.component);
    auto architecture = std::make_shared<const Architecture>(component, context.host, node.config);
    model.tokenizer = tokenizer_of(context.pipeline, index);
    if (model.tokenizer->size() > architecture->info().vocab_size)
      throw UsageError(node.place.text() + ": the vocabulary has " + std::to_string(model.tokenizer->size()) +
                       " words but vocab_size is " + std::to_string(architecture->info().vocab_size));
    model.weights = Weights::initialised(architecture, context.pipeline.seed * 1000003 + node.seed, false, context.dtype);
    return model;
  }
  LoadedModel loaded = load_model(model_directory(context, index), context.registry, context.host, context.dtype);
  model.weights = std::move(loaded.weights);
  model.tokenizer = std::move(loaded.tokenizer);
  return model;
}

}  // namespace hone
