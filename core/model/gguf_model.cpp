// gguf_model.cpp -- see gguf_model.h.
#include "core/model/gguf_model.h"

#include <functional>

#include "core/base/failure.h"
#include "core/base/log.h"
#include "core/model/gguf_config.h"
#include "core/model/gguf_names.h"
#include "core/model/gguf_source.h"
#include "core/model/gguf_tokenizer.h"
#include "core/model/weight_pieces.h"

namespace hone {
namespace {

// One tensor of the file, and what writes its numbers.
struct Planned {
  std::string name, dtype;
  std::vector<uint64_t> shape;
  std::function<void()> write;
};

class GgufExport {
 public:
  GgufExport(const std::filesystem::path &path, const Weights &weights, const std::string &dtype)
      : path_(path), weights_(weights), dtype_(dtype), config_(weights.architecture().config()) {}

  void run(const GgufVocabulary &vocabulary, const EachTensor &each) {
    std::vector<float> factors;
    try {
      architecture_ = config_to_gguf(config_, writer_, factors);
    } catch (const Failure &failure) {
      throw Failure("cannot write " + path_.string() + ": " + failure.what() + "; export the model with --to hf, which keeps everything");
    }
    writer_.set_text("general.type", "model");
    writer_.set_text("general.name", path_.stem().string());
    writer_.set_integer("general.file_type", dtype_ == "F32"   ? 0
                                             : dtype_ == "F16" ? 1
                                                               : 32);  // llama.cpp's LLAMA_FTYPE
    writer_.set_integer("general.quantization_version", 2);
    vocabulary_to_gguf(vocabulary, weights_.architecture().info().vocab_size, writer_);
    if (!factors.empty())
      plan_.push_back({"rope_freqs.weight", "F32", {factors.size()}, [this, factors] {
                         writer_.write(factors.data(), factors.size() * sizeof(float));
                       }});
    for (const ParameterInfo &parameter : weights_.parameters()) plan(parameter);
    if (!left_out_.empty()) log_warning("left out, since a GGUF file has no place for it: " + left_out_);
    for (const Planned &tensor : plan_) writer_.add_tensor(tensor.name, tensor.shape, tensor.dtype);
    writer_.begin(path_);
    for (const Planned &tensor : plan_) {
      if (each) each(&tensor - plan_.data(), plan_.size());
      tensor.write();
    }
    if (each) each(plan_.size(), plan_.size());
    writer_.finish();
  }

 private:
  void plan(const ParameterInfo &parameter) {
    const std::string layers = "model.layers.";
    if (parameter.name == "score.weight") return leave_out("the value head (score.weight)");
    if (parameter.name.starts_with(layers) &&
        std::stoul(parameter.name.substr(layers.size())) >= config_.at("num_hidden_layers"))
      return leave_out("the layers of multi-token prediction");
    const std::string name = gguf_tensor_name(parameter.name);
    if (name.empty())
      throw Failure("the parameter \"" + parameter.name + "\" has no name in GGUF; export with --to hf");
    if (name.ends_with(".attn_kv_b.weight")) return plan_latent(parameter, name);
    const std::vector<uint64_t> shape(parameter.dims.begin(), parameter.dims.end());
    const bool small = shape.size() == 1 || keeps_f32(parameter);
    const std::string dtype = small ? "F32" : dtype_;
    const bool q = parameter.name.find(".q_proj.") != std::string::npos,
               k = parameter.name.find(".k_proj.") != std::string::npos;
    if (architecture_ == "llama" && (q || k)) {
      uint64_t heads = config_.at("num_attention_heads");
      if (k && config_.value("num_key_value_heads", 0)) heads = config_.at("num_key_value_heads");
      plan_.push_back({name, dtype, shape, [this, &parameter, dtype, shape, heads] {
                         write_permuted(parameter, dtype, shape, shape[0] / heads);
                       }});
      return;
    }
    plan_.push_back({name, dtype, shape, [this, &parameter, dtype, shape] {
                       encode_weights(weights_, parameter.offset, parameter.size, dtype, parameter.name, shape,
                                      [this](const void *data, uint64_t bytes) { writer_.write(data, bytes); });
                     }});
  }

  // kv_b_proj [heads * (keys + values), latent] as attn_k_b [heads, latent, keys] and attn_v_b [heads, values, latent].
  void plan_latent(const ParameterInfo &parameter, const std::string &name) {
    const std::string layer = name.substr(0, name.size() - std::string("attn_kv_b.weight").size());
    const uint64_t heads = config_.at("num_attention_heads"), keys = config_.at("qk_nope_head_dim"),
                   values = config_.at("v_head_dim"), latent = parameter.dims[1];
    plan_.push_back({layer + "attn_k_b.weight", dtype_, {heads, latent, keys}, [=, this, &parameter] {
                       for_each_head(parameter, heads, [&](const float *head) {
                         std::vector<float> turned(latent * keys);
                         for (uint64_t c = 0; c < latent; ++c)
                           for (uint64_t x = 0; x < keys; ++x) turned[c * keys + x] = head[x * latent + c];
                         put(turned.data(), turned.size(), parameter);
                       });
                     }});
    plan_.push_back({layer + "attn_v_b.weight", dtype_, {heads, values, latent}, [=, this, &parameter] {
                       for_each_head(parameter, heads,
                                     [&](const float *head) { put(head + keys * latent, values * latent, parameter); });
                     }});
  }

  void write_permuted(const ParameterInfo &parameter, const std::string &dtype, const std::vector<uint64_t> &shape,
                      uint64_t head_size) {
    const uint64_t columns = parameter.size / shape[0];
    for_each_head(parameter, shape[0] / head_size, [&](const float *head) {
      std::vector<float> turned(head_size * columns);
      for (uint64_t row = 0; row < head_size; ++row)
        std::copy_n(head + hugging_face_row(row, head_size) * columns, columns, turned.data() + row * columns);
      encode_numbers(turned.data(), 0, turned.size(), dtype, parameter.name, {turned.size()},
                     [this](const void *data, uint64_t bytes) { writer_.write(data, bytes); });
    });
  }

  void put(const float *numbers, uint64_t count, const ParameterInfo &parameter) {
    encode_numbers(numbers, 0, count, dtype_, parameter.name, {count},
                   [this](const void *data, uint64_t bytes) { writer_.write(data, bytes); });
  }

  // Equal parts of a parameter, one at a time.
  template <class Take>
  void for_each_head(const ParameterInfo &parameter, uint64_t heads, Take &&take) {
    const uint64_t each = parameter.size / heads;
    std::vector<float> head(each);
    for (uint64_t h = 0; h < heads; ++h) {
      copy_weights(weights_, parameter.offset + h * each, each,
                   [&](const float *numbers, uint64_t begin, uint64_t count) {
                     std::copy_n(numbers, count, head.data() + begin);
                   });
      take(head.data());
    }
  }

  void leave_out(const std::string &what) {
    if (left_out_.find(what) == std::string::npos) left_out_ += (left_out_.empty() ? "" : ", ") + what;
  }

  std::filesystem::path path_;
  const Weights &weights_;
  std::string dtype_, architecture_, left_out_;
  const nlohmann::json &config_;
  GgufWriter writer_;
  std::vector<Planned> plan_;
};

}  // namespace

std::unique_ptr<Tokenizer> tokenizer_from_gguf(const Gguf &file) {
  return Tokenizer::from_gguf(vocabulary_from_gguf(file), file.path().string());
}

void save_gguf(const std::filesystem::path &path, const Weights &weights, const GgufVocabulary &vocabulary,
               const std::string &dtype, const EachTensor &each) {
  GgufExport(path, weights, dtype).run(vocabulary, each);
}

}  // namespace hone
