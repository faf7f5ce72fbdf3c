// model.h -- a model plugin's instance with the layout of its parameters, and the weights themselves.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/pool.h"
#include "core/model/lora.h"
#include "core/plugin/host.h"
#include "core/plugin/registry.h"
#include "core/text/tokenizer.h"
#include "hone/draft/model.h"
#include "kernels/table.h"

namespace hone {

// Opens libhone_kernels_<device>.so beside the program's libraries ($HONE_KERNELS names another folder). Failure if
// absent.
const hone_kernels &kernels(const std::string &device = "cpu");
std::filesystem::path kernel_library(const std::string &device = "cpu");  // the file it is opened from

struct ParameterInfo {
  std::string name;
  std::vector<uint32_t> dims;
  uint64_t offset = 0, size = 0;  // in floats, within Weights::data; trained ones first, buffers after
  bool trained = true;            // by gradients: no buffer, and in adapted weights none of base's
  uint32_t flags = 0, init = 0;
  float init_scale = 0;
};

// A tensor that checkpoints hold beside the parameter that it equals.
struct TensorCopy {
  std::string name;
  uint32_t parameter;
  bool written = true;  // by hone as well; false: only accepted where it is
};

// Immutable after construction; shared by all weights of this shape.
class Architecture {
 public:
  // config: the component's checked settings. Failure if the plugin refuses it.
  Architecture(const ComponentInfo &, const Host &, const nlohmann::json &config);
  const hone_model_info &info() const { return info_; }
  const std::vector<ParameterInfo> &parameters() const { return parameters_; }
  const std::vector<TensorCopy> &copies() const { return copies_; }
  uint32_t all_routed_layers() const { return info_.routed_layers + info_.depths * info_.depth_routed_layers; }
  uint64_t trained_size() const { return trained_size_; }  // floats; a multiple of 16
  uint64_t total_size() const { return total_size_; }
  const hone_model &methods() const { return methods_; }
  void *self() const { return instance_->self(); }
  const nlohmann::json &config() const { return config_; }
  const std::string &component() const { return component_; }
  nlohmann::json config_json() const;  // as written to config.json: config + "model_type", "architectures"

 private:
  std::unique_ptr<Instance> instance_;
  hone_model methods_{};
  hone_model_info info_{};
  std::vector<ParameterInfo> parameters_;
  std::vector<TensorCopy> copies_;
  uint64_t trained_size_ = 0, total_size_ = 0;
  nlohmann::json config_;
  std::string component_;
};

// One copy of the numbers. The value head (hidden_size weights and no bias; "score.weight" in files), when present, is
// the last trained parameter.
//
// Adapted weights (LoRA, lora.h) have a base, shared and never changed, and hold only what trains beside it: A and B of
// each target, and the value head. Their parameters() are the architecture's (base's numbers, not trained; parameter(i)
// and weight(i) give them), then A and B of each target, then the value head. data() and the two sizes are of their own
// numbers.
class Weights {
 public:
  // on: whose memory the numbers are in; null: that of kernels().
  Weights(std::shared_ptr<const Architecture>, bool value_head, uint32_t dtype = HONE_F32, const hone_kernels *on = nullptr);
  // targets: as lora_targets gave. The numbers are as initialise_lora makes them of the seed.
  static std::unique_ptr<Weights> adapted(std::shared_ptr<const Weights> base, const LoraSettings &,
                                          const std::vector<uint32_t> &targets, uint64_t seed, bool value_head = false);
  static std::unique_ptr<Weights> initialised(std::shared_ptr<const Architecture>, uint64_t seed,
                                              bool value_head = false, uint32_t dtype = HONE_F32);
  std::unique_ptr<Weights> clone() const;
  ~Weights();

  const Architecture &architecture() const { return *architecture_; }
  std::shared_ptr<const Architecture> shared_architecture() const { return architecture_; }
  bool has_value_head() const;
  float *data();  // [total] on the device; call changed() after writing
  const float *data() const;
  uint64_t trained_size() const;  // with the value head
  uint64_t total_size() const;
  uint64_t model_size() const;                           // of all numbers, with base's
  const std::vector<ParameterInfo> &parameters() const;  // the architecture's, and the value head's
  float *parameter(uint32_t index);                      // Failure for a parameter of base
  const float *parameter(uint32_t index) const;
  const float *value_head() const;  // null without
  void add_value_head();            // zero-initialised

  const std::shared_ptr<const Weights> &base() const;  // null: these are no adapted weights
  struct LowRank {
    uint32_t a, b;  // parameters, scaled by `scaling` when multiplied
    float scaling;
  };
  const LowRank *low_rank(uint32_t index) const;  // of the architecture's parameter `index`; null: it is not a target
  const LoraSettings &lora() const;               // of adapted weights
  const std::vector<uint32_t> &lora_targets() const;

  // The prepared weight of matrix parameter `index` (expert: of expert e; those of one parameter stand one after
  // another), packed again after changed(). Its N is 0 when the parameter is no matrix. [many] after prepare().
  const hone_weight &weight(uint32_t index, uint32_t expert = 0) const;
  void prepare(Pool &) const;  // packs what changed() made stale; cheap when nothing did
  void changed();
  uint64_t version() const;  // of the numbers: no weights of this process, before or after a changed(), have the same
  bool prepared() const;  // nothing changed since prepare()
  // For weights that are only run from here on, and prepared by this: gives back the memory of the numbers that have been
  // packed, a matrix at a time. From then on whatever would read or change them is a Failure: parameter() of a matrix that
  // is no looked-up table, data(), and so copying, saving, adapting and differentiating. Of adapted weights their base
  // too, where nobody else has it.
  void settle(Pool &);
  bool settled() const;  // these, or their base
  uint32_t dtype() const;
  uint64_t checksum() const;  // XXH3 of all numbers, in order

 private:
  struct State;
  Weights(std::shared_ptr<const Architecture>, std::unique_ptr<State>);
  std::unique_ptr<Weights> another(bool value_head) const;  // of the same kind; its numbers are not set
  std::shared_ptr<const Architecture> architecture_;
  std::unique_ptr<State> state_;
};

// A model directory in Hugging Face's layout (config.json, model.safetensors or its shards, tokenizer.json,
// tokenizer_config.json), or a single GGUF file. A directory with an adapter (adapter_files.h) gives adapted weights over
// the base that it names.
struct LoadedModel {
  std::shared_ptr<const Architecture> architecture;
  std::unique_ptr<Weights> weights;
  std::shared_ptr<const Tokenizer> tokenizer;
};
// Told before each tensor, and at the end, how many of all are done. What it throws ends the work; a file half-written is
// taken away.
using EachTensor = std::function<void(uint64_t done, uint64_t all)>;
// Files are mapped and read a piece at a time: the weights are in memory once.
LoadedModel load_model(const std::filesystem::path &directory_or_gguf, const Registry &, const Host &,
                       uint32_t dtype = HONE_F32, const EachTensor & = {});
// Writes into an existing folder; files are fsynced. Expert parameters become one tensor per expert. file_dtype: "F32",
// "BF16" or "F16", rounded to nearest; routers and buffers stay F32.
void save_model(const std::filesystem::path &directory, const Weights &, const Tokenizer &,
                const std::string &file_dtype = "F32", const EachTensor & = {});
// config.json and the tokenizer's files alone.
void save_description(const std::filesystem::path &directory, const Architecture &, const Tokenizer &);

}  // namespace hone
