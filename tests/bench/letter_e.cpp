// letter_e.cpp -- the share of "e" among a response's bytes: a reward that any text differs in, for timing whole GRPO steps.
#include <algorithm>
#include <hone/reward.hpp>

namespace {

class LetterE final : public hone::Reward {
 public:
  float score(const hone::Response &response) const override {
    const std::string_view text = response.text;
    return static_cast<float>(std::count(text.begin(), text.end(), 'e')) / static_cast<float>(std::max<size_t>(1, text.size()));
  }
};

}  // namespace

HONE_PLUGIN("org.example.letter_e", "1.0.0", hone::component<LetterE>("letter_e", "the share of the letter e"));
