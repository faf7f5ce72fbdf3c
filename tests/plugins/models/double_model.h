// double_model.h -- the built-in models written a second time: plainly, in double, one sequence at a time, from the
// papers' equations. Judges the plugins, the tape and its gradients; shares no code with them.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

namespace hone::test {

using Vector = std::vector<double>;
using Matrix = std::vector<Vector>;  // one row per token

class DoubleModel {
 public:
  nlohmann::json config;
  std::map<std::string, Vector> parameters;

  Matrix hidden(const std::vector<int32_t> &ids, double *auxiliary) const {
    const size_t C = number("hidden_size");
    Matrix x;
    for (int32_t id : ids)
      x.emplace_back(at("model.embed_tokens.weight").begin() + id * C,
                     at("model.embed_tokens.weight").begin() + (id + 1) * C);
    for (size_t i = 0; i < number("num_hidden_layers"); ++i) {
      const std::string layer = "model.layers." + std::to_string(i) + ".";
      const double epsilon = config["rms_norm_eps"];
      const Matrix normed = rms_norm(x, layer + "input_layernorm.weight", C, epsilon);
      add(x, is_deepseek() ? latent_attention(normed, layer + "self_attn.")
                           : grouped_attention(normed, layer + "self_attn."));
      const Matrix post = rms_norm(x, layer + "post_attention_layernorm.weight", C, epsilon);
      if (parameters.contains(layer + "mlp.gate.weight") && !is_deepseek()) {
        add(x, softmax_experts(post, layer + "mlp."));
      } else if (parameters.contains(layer + "mlp.gate.weight")) {
        Matrix sum = experts(post, layer + "mlp.", auxiliary);
        if (number("n_shared_experts")) add(sum, network(post, layer + "mlp.shared_experts."));
        add(x, sum);
      } else {
        add(x, network(post, layer + "mlp."));
      }
    }
    return rms_norm(x, "model.norm.weight", C, config["rms_norm_eps"]);
  }

  Matrix logits(const Matrix &hidden) const {
    return linear(hidden, config["tie_word_embeddings"] ? "model.embed_tokens" : "lm_head");
  }
  double value(const Vector &hidden) const {
    return std::inner_product(hidden.begin(), hidden.end(), at("score.weight").begin(), 0.0);
  }

 private:
  bool is_deepseek() const { return config.contains("kv_lora_rank"); }
  size_t number(const char *key) const { return config[key].get<size_t>(); }
  const Vector &at(const std::string &name) const { return parameters.at(name); }

  static void add(Matrix &x, const Matrix &y) {
    for (size_t t = 0; t < x.size(); ++t)
      for (size_t c = 0; c < x[t].size(); ++c) x[t][c] += y[t][c];
  }
  static Vector product(const Vector &x, const double *w, size_t N) {
    Vector y(N);
    for (size_t n = 0; n < N; ++n)
      for (size_t k = 0; k < x.size(); ++k) y[n] += w[n * x.size() + k] * x[k];
    return y;
  }
  Matrix linear(const Matrix &x, const std::string &name) const {
    const Vector &w = at(name + ".weight");
    const auto bias = parameters.find(name + ".bias");
    Matrix y;
    for (const Vector &row : x) {
      y.push_back(product(row, w.data(), w.size() / row.size()));
      if (bias != parameters.end())
        for (size_t n = 0; n < y.back().size(); ++n) y.back()[n] += bias->second[n];
    }
    return y;
  }
  Matrix rms_norm(Matrix x, const std::string &name, size_t width, double epsilon) const {
    for (Vector &row : x)
      for (size_t begin = 0; begin < row.size(); begin += width) {
        double square = 0;
        for (size_t i = 0; i < width; ++i) square += row[begin + i] * row[begin + i];
        const double inverse = 1 / std::sqrt(square / width + epsilon);
        for (size_t i = 0; i < width; ++i) row[begin + i] *= inverse * at(name)[i];
      }
    return x;
  }
  static double silu(double x) { return x / (1 + std::exp(-x)); }
  Matrix network(const Matrix &x, const std::string &name) const {
    Matrix hidden = linear(x, name + "gate_proj");
    const Matrix up = linear(x, name + "up_proj");
    for (size_t t = 0; t < x.size(); ++t)
      for (size_t i = 0; i < hidden[t].size(); ++i) hidden[t][i] = silu(hidden[t][i]) * up[t][i];
    return linear(hidden, name + "down_proj");
  }

  double frequency(size_t i, size_t size) const {
    const double plain = std::pow(config["rope_theta"].get<double>(), -2.0 * i / size);
    const auto &scaling = config["rope_scaling"];
    if (!scaling.is_object() || scaling.empty()) return plain;
    const double factor = scaling["factor"];
    if (scaling["rope_type"] == "linear") return plain / factor;
    const double low = scaling["low_freq_factor"], high = scaling["high_freq_factor"],
                 turns = scaling["original_max_position_embeddings"].get<double>() * plain / 2 / M_PI;
    if (turns > high) return plain;
    if (turns < low) return plain / factor;
    const double mix = (turns - low) / (high - low);
    return plain / factor * (1 - mix) + plain * mix;
  }
  // Rotates x[first] and x[second] of each pair by position * frequency.
  void rotate(double *x, size_t size, size_t position, bool interleaved) const {
    for (size_t i = 0; i < size / 2; ++i) {
      double &a = x[interleaved ? 2 * i : i], &b = x[interleaved ? 2 * i + 1 : i + size / 2];
      // The plugin hands frequencies over as floats; a position times their rounding is part of the model.
      const double angle = position * static_cast<double>(static_cast<float>(frequency(i, size))), c = std::cos(angle),
                   s = std::sin(angle);
      const double turned = a * c - b * s;
      b = a * s + b * c;
      a = turned;
    }
  }
  static Vector softmax(Vector x) {
    const double most = *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (double &v : x) sum += v = std::exp(v - most);
    for (double &v : x) v /= sum;
    return x;
  }
  static Matrix attend(const Matrix &q, const Matrix &k, const Matrix &v, size_t heads, size_t kv_heads) {
    const size_t key = q[0].size() / heads, value = v[0].size() / kv_heads;
    Matrix y(q.size(), Vector(heads * value));
    for (size_t h = 0; h < heads; ++h) {
      const size_t g = h / (heads / kv_heads);
      for (size_t t = 0; t < q.size(); ++t) {
        Vector scores(t + 1);
        for (size_t s = 0; s <= t; ++s) {
          for (size_t d = 0; d < key; ++d) scores[s] += q[t][h * key + d] * k[s][g * key + d];
          scores[s] /= std::sqrt(static_cast<double>(key));
        }
        scores = softmax(scores);
        for (size_t s = 0; s <= t; ++s)
          for (size_t d = 0; d < value; ++d) y[t][h * value + d] += scores[s] * v[s][g * value + d];
      }
    }
    return y;
  }

  Matrix grouped_attention(const Matrix &x, const std::string &name) const {
    const size_t heads = number("num_attention_heads"),
                 kv_heads = number("num_key_value_heads") ? number("num_key_value_heads") : heads;
    Matrix q = linear(x, name + "q_proj"), k = linear(x, name + "k_proj");
    const size_t size = q[0].size() / heads;
    if (parameters.contains(name + "q_norm.weight")) {
      q = rms_norm(q, name + "q_norm.weight", size, config["rms_norm_eps"]);
      k = rms_norm(k, name + "k_norm.weight", size, config["rms_norm_eps"]);
    }
    for (size_t t = 0; t < x.size(); ++t) {
      for (size_t h = 0; h < heads; ++h) rotate(&q[t][h * size], size, t, false);
      for (size_t h = 0; h < kv_heads; ++h) rotate(&k[t][h * size], size, t, false);
    }
    return linear(attend(q, k, linear(x, name + "v_proj"), heads, kv_heads), name + "o_proj");
  }

  // DeepSeek-V2 eq. 9-19 and 37-47.
  Matrix latent_attention(const Matrix &x, const std::string &name) const {
    const size_t heads = number("num_attention_heads"), nope = number("qk_nope_head_dim"),
                 rope = number("qk_rope_head_dim"), value = number("v_head_dim");
    const size_t rank = number("kv_lora_rank"), key = nope + rope;
    Matrix q;
    if (const size_t q_rank = number("q_lora_rank"))
      q = linear(rms_norm(linear(x, name + "q_a_proj"), name + "q_a_layernorm.weight", q_rank, 1e-6),
                 name + "q_b_proj");
    else
      q = linear(x, name + "q_proj");
    Matrix latent = linear(x, name + "kv_a_proj_with_mqa"), shared;
    for (Vector &row : latent) {
      shared.emplace_back(row.begin() + rank, row.end());
      row.resize(rank);
    }
    const Matrix expanded = linear(rms_norm(latent, name + "kv_a_layernorm.weight", rank, 1e-6), name + "kv_b_proj");
    Matrix k(x.size(), Vector(heads * key)), v(x.size(), Vector(heads * value));
    for (size_t t = 0; t < x.size(); ++t) {
      rotate(shared[t].data(), rope, t, true);
      for (size_t h = 0; h < heads; ++h) {
        rotate(&q[t][h * key + nope], rope, t, true);
        const double *from = &expanded[t][h * (nope + value)];
        std::copy_n(from, nope, &k[t][h * key]);
        std::copy_n(shared[t].begin(), rope, &k[t][h * key + nope]);
        std::copy_n(from + nope, value, &v[t][h * value]);
      }
    }
    return linear(attend(q, k, v, heads, heads), name + "o_proj");
  }

  Vector expert(const Vector &x, const std::string &name, size_t e, size_t F) const {
    const size_t C = x.size();
    Vector gate = product(x, &at(name + "experts.{}.gate_proj.weight")[e * F * C], F);
    const Vector up = product(x, &at(name + "experts.{}.up_proj.weight")[e * F * C], F);
    for (size_t i = 0; i < F; ++i) gate[i] = silu(gate[i]) * up[i];
    return product(gate, &at(name + "experts.{}.down_proj.weight")[e * F * C], C);
  }
  // Qwen3-MoE: the K likeliest of a softmax over all, weighted by it, or by its shares among them.
  Matrix softmax_experts(const Matrix &x, const std::string &name) const {
    const Matrix logits = linear(x, name + "gate");
    Matrix y(x.size(), Vector(x[0].size()));
    for (size_t t = 0; t < x.size(); ++t) {
      const Vector score = softmax(logits[t]);
      Vector fallen = score;
      std::sort(fallen.rbegin(), fallen.rend());
      const double least = fallen[number("num_experts_per_tok") - 1];
      double chosen = 0;
      for (double s : score) chosen += s >= least ? s : 0;
      for (size_t e = 0; e < score.size(); ++e) {
        if (score[e] < least) continue;
        const Vector out = expert(x[t], name, e, number("moe_intermediate_size"));
        for (size_t c = 0; c < out.size(); ++c) y[t][c] += score[e] / (config["norm_topk_prob"] ? chosen : 1) * out[c];
      }
    }
    return y;
  }

  // DeepSeek-V3 eq. 12-20, V2's gate; adds this sequence's balance loss to *auxiliary.
  Matrix experts(const Matrix &x, const std::string &name, double *auxiliary) const {
    const size_t E = number("n_routed_experts"), K = number("num_experts_per_tok"), C = x[0].size(),
                 F = number("moe_intermediate_size");
    const bool biased = config["topk_method"] == "noaux_tc", limited = config["topk_method"] != "greedy";
    const size_t groups = limited ? number("n_group") : 1, kept = limited ? number("topk_group") : 1, size = E / groups;
    const Matrix logits = linear(x, name + "gate");
    Matrix y(x.size(), Vector(C));
    Vector f(E), P(E);
    for (size_t t = 0; t < x.size(); ++t) {
      Vector score = logits[t];
      if (config["scoring_func"] == "softmax")
        score = softmax(score);
      else
        for (double &s : score) s = 1 / (1 + std::exp(-s));
      Vector choice = score;
      if (biased)
        for (size_t e = 0; e < E; ++e) choice[e] += at(name + "gate.e_score_correction_bias")[e];
      if (groups > 1) {
        std::vector<std::pair<double, size_t>> best;
        for (size_t g = 0; g < groups; ++g) {
          Vector of(choice.begin() + g * size, choice.begin() + (g + 1) * size);
          std::sort(of.rbegin(), of.rend());
          best.emplace_back(-(of[0] + (biased && size > 1 ? of[1] : 0)), g);  // V2, section 2.1.3: its largest
        }
        std::sort(best.begin(), best.end());
        for (size_t i = kept; i < groups; ++i) std::fill_n(choice.begin() + best[i].second * size, size, -INFINITY);
      }
      std::vector<size_t> order(E);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return choice[a] > choice[b]; });
      double chosen = 0, all = 0;
      for (size_t j = 0; j < K; ++j) chosen += score[order[j]];
      for (double s : score) all += s;
      const bool normalise = config["norm_topk_prob"] && (K > 1 || config["model_type"] != "deepseek_v2");
      const double scaling =
          config["model_type"] == "deepseek_v2" && normalise ? 1.0 : config["routed_scaling_factor"].get<double>();
      for (size_t j = 0; j < K; ++j) {
        const size_t e = order[j];
        const double weight = score[e] / (normalise ? chosen : 1) * scaling;
        const Vector down = expert(x[t], name, e, F);
        for (size_t c = 0; c < C; ++c) y[t][c] += weight * down[c];
        f[e] += static_cast<double>(E) / (K * x.size());
      }
      for (size_t e = 0; e < E; ++e) P[e] += score[e] / all / x.size();
    }
    *auxiliary += config["aux_loss_alpha"].get<double>() * std::inner_product(f.begin(), f.end(), P.begin(), 0.0);
    return y;
  }
};

}  // namespace hone::test
