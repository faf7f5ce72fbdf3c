// gguf_source.cpp -- see gguf_source.h. Four kinds of tensors: as they are; one expert of a stack; rows of q and k put
// back into Hugging Face's order; and kv_b_proj of latent attention, which GGUF keeps as keys (transposed) and values
// of each head.
#include "core/model/gguf_source.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/model/gguf_names.h"
#include "core/model/layout.h"
#include "core/model/weight_pieces.h"

namespace hone {
namespace {

struct Entry {
  const GgufTensor *tensor = nullptr;
  uint64_t first = 0;                  // element of the tensor that the entry begins with (an expert's)
  uint64_t head_size = 0;              // > 0: rows are to be put in order
  const GgufTensor *values = nullptr;  // of latent attention; tensor has the keys
  std::vector<uint64_t> shape;
};

class GgufSource final : public TensorSource {
 public:
  GgufSource(const Gguf &file, const nlohmann::json &config) : file_(file) {
    const bool permuted = config.at("model_type") == "llama";
    for (const auto &[name, tensor] : file.tensors()) {
      if (name == "rope_freqs.weight" || name.ends_with(".attn_rot_embd.weight")) continue;  // told in config
      if (name.ends_with(".attn_v_b.weight")) continue;                                      // with attn_k_b
      if (name.ends_with(".attn_k_b.weight")) {
        add_latent(name, tensor);
        continue;
      }
      const std::string whole = hugging_face_tensor_name(name);
      if (whole.empty()) {
        entries_[name] = {&tensor, 0, 0, nullptr,
                          tensor.shape};  // known by its own name, for the message that it is one too many
      } else if (whole.find("{}") != std::string::npos) {
        add_experts(whole, tensor);
      } else if (permuted &&
                 (whole.find(".q_proj.") != std::string::npos || whole.find(".k_proj.") != std::string::npos)) {
        const uint64_t heads =
            config.at(whole.find(".q_proj.") != std::string::npos ? "num_attention_heads" : "num_key_value_heads");
        if (heads == 0 || tensor.shape[0] % heads || tensor.shape[0] / heads % 2)
          throw Failure(where_of(tensor) + " of shape " + shape_text(tensor.shape) + " does not hold " +
                        std::to_string(heads) + " heads of an even size");
        entries_[whole] = {&tensor, 0, tensor.shape[0] / heads, nullptr, tensor.shape};
      } else {
        entries_[whole] = {&tensor, 0, 0, nullptr, tensor.shape};
      }
    }
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto &[name, entry] : entries_) names.push_back(name);
    return names;
  }
  const std::vector<uint64_t> *shape(const std::string &name) const override {
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second.shape;
  }
  std::string where(const std::string &name) const override {
    const auto found = entries_.find(name);
    return file_.path().string() + (found == entries_.end() ? "" : " (" + found->second.tensor->name + ")");
  }

  void read_floats(const std::string &name, uint64_t begin, uint64_t count, float *to) const override {
    const Entry &entry = entries_.at(name);
    if (count == 0) {  // the types alone
      file_.read_floats(*entry.tensor, 0, 0, to);
      if (entry.values) file_.read_floats(*entry.values, 0, 0, to);
    } else if (entry.values)
      read_latent(entry, begin, count, to);
    else if (entry.head_size)
      read_rows(entry, begin, count, to);
    else
      file_.read_floats(*entry.tensor, entry.first + begin, count, to);
  }

 private:
  std::string where_of(const GgufTensor &tensor) const {
    return file_.path().string() + ": tensor \"" + tensor.name + "\"";
  }

  void add_experts(const std::string &whole, const GgufTensor &tensor) {
    if (tensor.shape.size() != 3)
      throw Failure(where_of(tensor) + " must have three dimensions, not the shape " + shape_text(tensor.shape));
    const uint64_t each = tensor.shape[1] * tensor.shape[2];
    if (tensor.shape[0] > 1 << 16)
      throw Failure(where_of(tensor) + " has " + std::to_string(tensor.shape[0]) + " experts; 65536 are allowed");
    for (uint32_t e = 0; e < tensor.shape[0]; ++e)
      entries_[expert_name(whole, e)] = {&tensor, e * each, 0, nullptr, {tensor.shape[1], tensor.shape[2]}};
  }

  void add_latent(const std::string &name, const GgufTensor &keys) {
    const std::string layer = name.substr(0, name.size() - std::string("attn_k_b.weight").size());
    const std::string whole = hugging_face_tensor_name(layer + "attn_kv_b.weight");
    const GgufTensor *values = file_.find(layer + "attn_v_b.weight");
    if (file_.find(layer + "attn_kv_b.weight")) return;  // some files have both forms
    if (whole.empty() || !values) throw Failure(where_of(keys) + " stands without " + layer + "attn_v_b.weight");
    if (keys.shape.size() != 3 || values->shape.size() != 3 || keys.shape[0] != values->shape[0] ||
        keys.shape[1] != values->shape[2])
      throw Failure(where_of(keys) + " of shape " + shape_text(keys.shape) + " does not fit " + values->name +
                    " of shape " + shape_text(values->shape));
    entries_[whole] = {&keys, 0, 0, values, {keys.shape[0] * (keys.shape[2] + values->shape[1]), keys.shape[1]}};
  }

  // Calls row(r, from, to) for each row or part of one.
  template <class Row>
  static void each_row(uint64_t columns, uint64_t begin, uint64_t count, float *to, Row &&row) {
    while (count) {
      const uint64_t column = begin % columns, part = std::min(count, columns - column);
      row(begin / columns, column, part, to);
      begin += part;
      to += part;
      count -= part;
    }
  }
  static uint64_t columns_of(const Entry &entry) { return entry.shape.size() == 1 ? 1 : entry.shape.back(); }

  void read_rows(const Entry &entry, uint64_t begin, uint64_t count, float *to) const {
    const uint64_t columns = columns_of(entry);
    each_row(columns, begin, count, to, [&](uint64_t row, uint64_t column, uint64_t part, float *at) {
      file_.read_floats(*entry.tensor, gguf_row(row, entry.head_size) * columns + column, part, at);
    });
  }

  // Row (h, x) is column x of head h's keys [latent][keys] for x < keys, then row x - keys of its values
  // [values][latent].
  void read_latent(const Entry &entry, uint64_t begin, uint64_t count, float *to) const {
    const uint64_t latent = entry.shape[1], keys = entry.tensor->shape[2], each = keys + entry.values->shape[1];
    std::vector<float> head;
    uint64_t head_read = UINT64_MAX;
    each_row(latent, begin, count, to, [&](uint64_t row, uint64_t column, uint64_t part, float *at) {
      const uint64_t h = row / each, x = row % each;
      if (x >= keys)
        return file_.read_floats(*entry.values, (h * (each - keys) + x - keys) * latent + column, part, at);
      if (head_read != h) {
        head.resize(latent * keys);
        file_.read_floats(*entry.tensor, h * latent * keys, latent * keys, head.data());
        head_read = h;
      }
      for (uint64_t i = 0; i < part; ++i) at[i] = head[(column + i) * keys + x];
    });
  }

  const Gguf &file_;
  std::map<std::string, Entry> entries_;
};

}  // namespace

uint64_t hugging_face_row(uint64_t row, uint64_t head_size) {
  const uint64_t within = row % head_size;
  return row - within + within % 2 * (head_size / 2) + within / 2;
}
uint64_t gguf_row(uint64_t row, uint64_t head_size) {
  const uint64_t within = row % head_size, half = head_size / 2;
  return row - within + within % half * 2 + within / half;
}

std::unique_ptr<TensorSource> open_gguf_tensors(const Gguf &file, const nlohmann::json &config) {
  return std::make_unique<GgufSource>(file, config);
}

}  // namespace hone
