// dapo.cpp -- Decoupled Clip and Dynamic sAmpling Policy Optimization, arXiv 2503.14476.
//
//   r_i  = reward_i + clip((L_max - L_cache - |y_i|) / L_cache, -1, 0)      soft overlong punishment, eq. 13
//   A_i  = (r_i - mean r) / deviation r                                     eq. 9
//   loss = - mean over all tokens of min(ratio A, clip(ratio, 1 - 0.2, 1 + 0.28) A)      eq. 8: clip-higher, token-level
//
// Dynamic sampling (eq. 11), which leaves out prompts whose responses are all as good and draws others, is the host's; here it is
// on unless a script says otherwise. L_max is max_completion_length; |y| counts the tokens that train. The paper's cache is a fifth
// of L_max. The deviation is the population's, nothing added.
#include <hone/policy_gradient.hpp>

namespace {

class Dapo final : public hone::PolicyGradient {
 public:
  int64_t overlong_cache = 0;
  bool dynamic_sampling = true;

  Dapo() { epsilon_high = 0.28f; }

  static auto params() {
    return std::tuple_cat(
        hone::params(hone::param("overlong_cache", &Dapo::overlong_cache,
                                 "the last tokens before max_completion_length, over which a punishment grows to -1; 0: none", {.min = 0, .max = 1e6}),
                     hone::param("dynamic_sampling", &Dapo::dynamic_sampling,
                                 "leave out prompts whose responses all have the same reward, and sample for others in their place")),
        scale_params(), clip_params(), kl_params(), loss_params());
  }

  void start(const hone::Services &services) {
    PolicyGradient::start(services);
    if (overlong_cache > max_completion_length)
      throw hone::Error("overlong_cache is " + std::to_string(overlong_cache) + " and must not exceed max_completion_length, " +
                        std::to_string(max_completion_length));
  }

  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    std::vector<double> rewards = hone::rewards_of(batch.rows());
    for (size_t i = 0; i < rewards.size() && overlong_cache > 0; ++i) {
      const double over = double(max_completion_length - overlong_cache) - double(batch.rows()[i].size());
      rewards[i] += std::clamp(over / double(overlong_cache), -1.0, 0.0);
    }
    hone::group_relative(batch, rewards, scale_rewards, out);
  }
};

}  // namespace

HONE_PLUGIN("hone.dapo", "1.0.0", hone::component<Dapo>("dapo", "GRPO with clip-higher, dynamic sampling, a token-level loss and a soft limit of length."));
