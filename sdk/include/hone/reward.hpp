// reward.hpp -- write a reward as one const function.
#pragma once

#include "hone/ext/reward.h"
#include "hone/plugin.hpp"

namespace hone HONE_HIDDEN {

struct Response {
  std::string_view prompt, text, answer, columns;  // columns: the data row, a JSON object (hone/json.hpp reads it)
  std::span<const int32_t> ids;
  bool truncated = false;
  std::span<const uint32_t> step_start = {};  // where the reasoning steps begin, in ids; none unless asked for
  std::span<const uint32_t> step_text = {};   // and in bytes of text; none of a host that does not know

  // The text of step j. Together they are the whole response.
  std::string_view step(size_t j) const {
    return text.substr(step_text[j], j + 1 < step_text.size() ? step_text[j + 1] - step_text[j] : text.npos);
  }
};

// Where scores go. What is never set stays "no score".
class Scores {
 public:
  Scores(hone_scores &raw, std::span<const Response> responses) : raw_(raw), responses_(responses) {}
  void set(size_t i, float score) { raw_.score[i] = score; }
  void fail(size_t i, const char *why) { detail::fail(&raw_.why[i], HONE_FAILED, why); }
  void fail(size_t i, const std::string &why) { fail(i, why.c_str()); }
  // One number for each step of response i; empty unless steps were asked for.
  std::span<float> steps(size_t i) {
    return raw_.step ? std::span<float>(raw_.step[i], responses_[i].step_start.size()) : std::span<float>{};
  }

 private:
  friend class Reward;
  hone_scores &raw_;
  std::span<const Response> responses_;
};

class Reward {
 public:
  using Interface = Reward;
  static constexpr const char *kind = HONE_REWARD;

  virtual ~Reward() = default;
  // const, because calls overlap: [many]. Throwing, or NaN, leaves this response without a score; what was thrown says why.
  virtual float score(const Response &response) const = 0;

  // All responses of a call at once, for rewards that gain by it (see BatchReward). Throwing fails the whole call.
  virtual void score_all(std::span<const Response> responses, Scores &out) const {
    for (size_t i = 0; i < responses.size(); ++i)
      detail::guard(&out.raw_.why[i], [&] { out.raw_.score[i] = score(responses[i]); });
  }

  static const hone_reward &methods() {
    static const hone_reward m{
        sizeof(hone_reward), sizeof(hone_response),
        [](void *self, const hone_response *in, uint32_t n, hone_scores *out, hone_error *err) {
          return detail::guard(err, [&] {
            std::vector<Response> responses;
            responses.reserve(n);
            for (uint32_t i = 0; i < n; ++i)
              responses.push_back({detail::view(in[i].prompt), detail::view(in[i].text), detail::view(in[i].answer),
                                   detail::view(in[i].columns), {in[i].ids, in[i].n_ids}, in[i].finish == HONE_TRUNCATED,
                                   {in[i].step_start, in[i].n_steps}, {in[i].step_text, in[i].step_text ? in[i].n_steps : 0}});
            hone_scores known = detail::known(*out);
            Scores scores(known, responses);
            static_cast<const Reward *>(self)->score_all(responses, scores);
          });
        }};
    return m;
  }
};

// A reward that scores many responses better than one by one, such as a reward model.
class BatchReward : public Reward {
 public:
  float score(const Response &response) const final {
    float score = std::numeric_limits<float>::quiet_NaN();
    hone_error why{};
    hone_scores raw{sizeof raw, &score, nullptr, &why};
    Scores scores(raw, {&response, 1});
    score_all({&response, 1}, scores);
    detail::check(why.code, why);
    return score;
  }
  void score_all(std::span<const Response> responses, Scores &out) const override = 0;
};

}  // namespace hone
