// check_optimizer.cpp -- an optimizer over pieces of any size: cut anywhere, the same bits.
#include <cmath>

#include "core/plugin/check_parts.h"
#include "hone/ext/optimizer.h"

namespace hone {
namespace {

struct Parameters {
  Parameters(size_t n, uint32_t n_states) : parameter(n), gradient(n), n(n) {
    for (uint32_t i = 0; i < n_states; ++i) state.emplace_back(n, 0.0f);
    for (size_t i = 0; i < n; ++i) parameter[i] = static_cast<float>(std::sin(static_cast<double>(i)));
  }
  Guarded<float> parameter, gradient;
  std::vector<Guarded<float>> state;
  size_t n;
};

}  // namespace

void check_optimizer(const Instance &instance, Findings &found) {
  const auto methods = known_methods<hone_optimizer>(instance.component());
  found.doing("asking for its number of states");
  const uint32_t n_states = methods.n_states(instance.self());
  if (n_states > 16) return found.problem("wants " + std::to_string(n_states) + " buffers of state for each parameter");
  const bool whole = methods.granularity && methods.granularity(instance.self()) == HONE_WHOLE_MATRIX;
  constexpr size_t kRows = 24, kColumns = 40, kSize = kRows * kColumns;

  // `cut`: elements in a piece.
  const auto train = [&](size_t cut, const std::string &how, std::vector<float> &result) {
    found.doing("updating parameters " + how);
    Parameters p(kSize, n_states);
    for (uint64_t step = 1; step <= 3; ++step) {
      for (size_t i = 0; i < kSize; ++i)
        p.gradient[i] = step == 2 ? 0 : static_cast<float>(std::cos(static_cast<double>(i * step)) * (i % 7 == 0 ? 0 : 1e-2));
      const std::vector<float> gradient(p.gradient.begin(), p.gradient.begin() + kSize);
      std::vector<std::vector<float *>> states;
      std::vector<hone_span> spans;
      for (size_t begin = 0; begin < kSize; begin += cut) {
        auto &pointers = states.emplace_back();
        for (auto &state : p.state) pointers.push_back(state.data() + begin);
      }
      for (size_t begin = 0, i = 0; begin < kSize; begin += cut, ++i)
        spans.push_back({sizeof(hone_span), HONE_SPAN_DECAY, {"a.weight", 8}, std::min(cut, kSize - begin), whole ? kRows : 0,
                         whole ? kColumns : 0, p.parameter.data() + begin, p.gradient.data() + begin, states[i].data()});
      const hone_update update{sizeof update, sizeof(hone_span), step, 0.5, 0.75};
      hone_error error{};
      const int32_t code = methods.update(instance.self(), &update, spans.data(), static_cast<uint32_t>(spans.size()), &error);
      if (code != HONE_OK) {
        const std::string wrong = wrong_with_error(code, error);
        return found.problem("update() fails " + how + (wrong.empty() ? ": " + std::string(error.text) : ", and " + wrong));
      }
      if (!std::equal(gradient.begin(), gradient.end(), p.gradient.begin())) found.problem("update() changes the gradient, which is only to be read");
    }
    bool intact = p.parameter.intact() && p.gradient.intact();
    for (auto &state : p.state) intact = intact && state.intact();
    if (!intact) found.problem("update() writes past the spans that it is given");
    result.assign(p.parameter.begin(), p.parameter.begin() + kSize);
    for (auto &state : p.state) result.insert(result.end(), state.begin(), state.begin() + kSize);
    for (const float x : result)
      if (!std::isfinite(x)) return found.problem("update() makes numbers that are not finite out of ordinary gradients");
  };
  std::vector<float> once, again, pieces;
  train(kSize, "in one piece", once);
  train(kSize, "in one piece again", again);
  const auto same = [](const std::vector<float> &a, const std::vector<float> &b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
  };
  if (!same(once, again)) found.problem("the same gradients give other bits the second time; all state belongs into span.state");
  if (!whole) {
    train(37, "in pieces of 37", pieces);
    if (!same(once, pieces)) found.problem("the result depends on how the host cuts the parameters; if whole matrices are needed, answer HONE_WHOLE_MATRIX");
  }
  found.doing("updating no parameters at all");
  const hone_update update{sizeof update, sizeof(hone_span), 1, 1, 1};
  hone_error error{};
  hone_span none{};
  if (methods.update(instance.self(), &update, &none, 0, &error) != HONE_OK) found.problem("update() fails when there is nothing to do");
}

}  // namespace hone
