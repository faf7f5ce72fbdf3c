// llama_goldens_test.cpp -- log-probs and gradients of tiny models of every family, against those of transformers,
// which tests/parity/families.py wrote: goldens/NAME/{config.json, model.safetensors, tokenizer.json,
// expected.safetensors}.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "core/model/config_json.h"
#include "core/model/safetensors.h"
#include "tests/support/small_models.h"

namespace hone::test {
namespace {
namespace fs = std::filesystem;

const ComponentInfo &llama() {
  static const ComponentInfo info = component("llama");
  return info;
}

bool is_llamas(const std::string &model_type) {
  return std::count(llama().model_types.begin(), llama().model_types.end(), model_type) > 0;
}

// The folders of this plugin's families, or the one that $HONE_LLAMA_GOLDEN names.
std::vector<fs::path> goldens() {
  if (const char *one = std::getenv("HONE_LLAMA_GOLDEN")) return {one};
  std::vector<fs::path> folders;
  for (const auto &entry : fs::directory_iterator(std::string(HONE_SOURCE_DIR) + "/tests/plugins/models/goldens"))
    if (fs::exists(entry.path() / "config.json") && is_llamas(read_config(entry.path() / "config.json")["model_type"]))
      folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::vector<float> floats(const Safetensors &file, const std::string &name) {
  std::vector<float> values(file.require(name).bytes / sizeof(float));
  file.read_floats(name, values.data(), values.size());
  return values;
}
std::vector<int32_t> ids(const Safetensors &file) {
  const TensorView &view = file.require("tokens");
  std::vector<int64_t> values(view.bytes / sizeof(int64_t));
  std::memcpy(values.data(), view.data, view.bytes);
  return {values.begin(), values.end()};
}

// How far two gradients of one tensor are apart, as a share of the expected one's length. What rounding alone gives a
// gradient that is zero in exact numbers (a bias that softmax cancels) counts as nothing.
double apart(const float *found, const std::vector<float> &expected, double all) {
  double difference = 0, length = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(static_cast<double>(found[i]) - expected[i], 2);
    length += std::pow(static_cast<double>(expected[i]), 2);
  }
  return std::sqrt(difference) / std::max(std::sqrt(length), 1e-4 * all);
}

struct Worst {
  double logprob = 0, gradient = 0;
  std::string parameter;
};

Worst compare(const fs::path &folder) {
  Registry registry;
  registry.components_ = {llama()};
  const LoadedModel model = load_model(folder, registry, host());
  model.weights->prepare(pool());
  const Safetensors expected(folder / "expected.safetensors");
  Rows rows;
  rows.add(ids(expected));
  const std::vector<float> logprobs = floats(expected, "logprobs");
  const uint32_t T = rows.tokens(), C = model.architecture->info().hidden_size;
  EXPECT_EQ(logprobs.size(), T - 1);

  std::vector<int32_t> target(rows.ids.begin() + 1, rows.ids.end());
  target.push_back(0);  // nothing is predicted after the last token: its derivative is zero
  std::vector<float> d_logp(T, -1.0f / static_cast<float>(T - 1)), none(T), logp(T), d_hidden(T * C),
      gradient(model.weights->trained_size());
  d_logp.back() = 0;
  Tape tape(kernels(), Pool::serial_stream());
  Head head(kernels(), Pool::serial_stream());
  HeadRecord record(kernels());
  const float *hidden = tape.forward(*model.weights, rows.packed(), true);
  head.forward(*model.weights, T, hidden, target.data(), 1.0f, {logp.data(), nullptr, nullptr, nullptr}, &record);
  head.backward(*model.weights, T, hidden, target.data(), 1.0f, record, d_logp.data(), nullptr, nullptr, nullptr,
                d_hidden.data(), gradient.data());
  tape.backward(d_hidden.data(), gradient.data(), 0);

  Worst worst;
  for (uint32_t t = 0; t + 1 < T; ++t)
    worst.logprob = std::max(worst.logprob, std::abs(static_cast<double>(logp[t]) - logprobs[t]));
  double all = 0;
  for (const float g : gradient) all += static_cast<double>(g) * g;
  size_t tensors = 0;
  for (const ParameterInfo &parameter : model.weights->parameters()) {
    const uint64_t pieces = parameter.flags & HONE_PARAMETER_EXPERTS ? parameter.dims[0] : 1;
    for (uint64_t e = 0; e < pieces; ++e, ++tensors) {
      std::string name = parameter.name;
      if (const size_t at = name.find("{}"); at != name.npos) name.replace(at, 2, std::to_string(e));
      const std::vector<float> values = floats(expected, "gradient." + name);
      EXPECT_EQ(values.size(), parameter.size / pieces) << name;
      const double far = apart(gradient.data() + parameter.offset + e * values.size(), values, std::sqrt(all));
      if (far > worst.gradient) worst.gradient = far, worst.parameter = name;
    }
  }
  EXPECT_EQ(expected.tensors().size(), tensors + 2) << "a parameter of transformers has no counterpart";
  return worst;
}

TEST(LlamaGoldens, MatchInLogProbsAndGradients) {
  for (const fs::path &folder : goldens()) {
    SCOPED_TRACE(folder.string());
    const Worst worst = compare(folder);
    std::cout << folder.filename().string() << ": log-probs within " << worst.logprob << ", gradients within "
              << worst.gradient << " (" << worst.parameter << ")\n";
    EXPECT_LT(worst.logprob, 2e-4);
    EXPECT_LT(worst.gradient, 1e-3) << worst.parameter;
  }
}

// Into $HONE_LLAMA_SAVED where it is given, for transformers to read.
TEST(LlamaGoldens, AreWrittenAsTheyWereRead) {
  const char *given = std::getenv("HONE_LLAMA_SAVED");
  const fs::path saved = given ? given : fs::temp_directory_path() / ("hone-llama-" + std::to_string(getpid()));
  Registry registry;
  registry.components_ = {llama()};
  for (const fs::path &folder : goldens()) {
    SCOPED_TRACE(folder.string());
    fs::create_directories(saved);
    const LoadedModel model = load_model(folder, registry, host());
    save_model(saved, *model.weights, *model.tokenizer);
    const LoadedModel again = load_model(saved, registry, host());
    EXPECT_EQ(again.weights->checksum(), model.weights->checksum());
    EXPECT_EQ(again.architecture->config(), model.architecture->config());
    if (!given) fs::remove_all(saved);
  }
}

TEST(LlamaGoldens, AreThereForEveryFamily) {
  std::vector<std::string> types;
  for (const fs::path &folder : goldens()) types.push_back(read_config(folder / "config.json")["model_type"]);
  for (const std::string &type : llama().model_types)
    EXPECT_TRUE(std::count(types.begin(), types.end(), type)) << type << " has no golden";
}

}  // namespace
}  // namespace hone::test
