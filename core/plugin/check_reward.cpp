// check_reward.cpp -- a reward under awkward responses, alone and in company, once and from four threads.
#include <cmath>
#include <thread>

#include "core/base/failure.h"
#include "core/plugin/check_parts.h"
#include "hone/ext/reward.h"

namespace hone {
namespace {

struct Row {
  std::string prompt, text, answer, columns;
  std::vector<int32_t> ids;
  bool truncated;
};

std::vector<Row> awkward_rows() {
  std::vector<Row> rows;
  const std::string texts[] = {"",
                               "42",
                               "<think>6 * 7 is 42</think> <answer>42</answer>",
                               "<think>never closed",
                               "\\boxed{\\frac{84}{2}} and \\boxed{",
                               "#### 42",
                               "{\"value\": [1, 2, {\"deep\": null}]}",
                               std::string("zero\0inside", 11),
                               "\xff\xfe not UTF-8 \xc3",
                               "\xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x98\x80",
                               std::string(20000, '('),
                               std::string(1 << 20, 'a')};
  for (const std::string &text : texts)
    for (const char *answer : {"42", ""}) {
      std::vector<int32_t> ids;
      for (size_t i = 0; i < std::min<size_t>(text.size(), 50); ++i) ids.push_back(static_cast<int32_t>(i));
      rows.push_back({"What is 6 * 7?", text, answer, *answer ? "{\"prompt\":\"What is 6 * 7?\",\"answer\":\"42\"}" : "{}", ids, *answer == 0});
    }
  return rows;
}

struct Scored {
  int32_t code = 0;
  std::vector<float> score;
};

Scored score(const hone_reward &methods, void *self, const std::vector<const Row *> &rows, Findings *found) {
  // Rows lie apart as the plugin knew hone_response.
  std::vector<uint64_t> storage((rows.size() * methods.response_size + sizeof(hone_response)) / 8 + 1);
  auto *bytes = reinterpret_cast<char *>(storage.data());
  const auto view = [](const std::string &s) { return hone_str{s.data(), s.size()}; };
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row &row = *rows[i];
    hone_response r{};
    r.struct_size = std::min<uint32_t>(sizeof r, methods.response_size);
    r.finish = row.truncated ? HONE_TRUNCATED : HONE_FINISHED;
    r.prompt = view(row.prompt), r.text = view(row.text), r.answer = view(row.answer), r.columns = view(row.columns);
    r.ids = row.ids.empty() ? nullptr : row.ids.data();
    r.n_ids = static_cast<uint32_t>(row.ids.size());
    std::memcpy(bytes + i * methods.response_size, &r, r.struct_size);
  }
  Guarded<float> scores(rows.size(), std::nanf(""));
  Guarded<hone_error> why(rows.size(), hone_error{}), error(1, hone_error{});
  hone_scores out{sizeof out, scores.data(), nullptr, why.data()};
  Scored result;
  result.code = methods.score(self, reinterpret_cast<const hone_response *>(bytes), static_cast<uint32_t>(rows.size()), &out, error.data());
  result.score.assign(scores.begin(), scores.begin() + rows.size());
  if (!found) return result;
  if (!scores.intact()) found->problem("score() writes past its scores");
  if (!why.intact() || !error.intact()) found->problem("score() writes past the errors that it is given");
  if (result.code != HONE_OK) {
    const std::string wrong = wrong_with_error(result.code, error[0]);
    found->problem("score() fails as a whole for awkward responses; leave NaN for a response that has no score" +
                   (wrong.empty() ? ": " + std::string(error[0].text) : ", and " + wrong));
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (std::isinf(scores[i])) found->problem("score() gives an infinite score; NaN means \"no score\"");
    if (why[i].code != 0)
      if (const std::string wrong = wrong_with_error(why[i].code, why[i]); !wrong.empty()) found->problem("a response has no score, and " + wrong);
  }
  return result;
}

bool same(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0 || (std::isnan(a) && std::isnan(b)); }
bool same(const std::vector<float> &a, const std::vector<float> &b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](float x, float y) { return same(x, y); });
}

}  // namespace

void check_reward(const Instance &instance, Findings &found) {
  const auto methods = known_methods<hone_reward>(instance.component());
  const std::vector<Row> rows = awkward_rows();
  std::vector<const Row *> all;
  for (const Row &row : rows) all.push_back(&row);

  found.doing("scoring no responses at all");
  score(methods, instance.self(), {}, &found);
  found.doing("scoring awkward responses (empty, cut off, not UTF-8, a megabyte)");
  const Scored first = score(methods, instance.self(), all, &found);
  if (first.code != HONE_OK) return;
  if (std::all_of(first.score.begin(), first.score.end(), [](float score) { return std::isnan(score); }))
    found.note("gives no score (NaN) to any of the responses that it was tried on; a run stops when more rows than max_unscored have none");
  found.doing("scoring the same responses again");
  if (!same(first.score, score(methods, instance.self(), all, &found).score)) {
    found.note("is not deterministic: scores are journalled, so a resume is exact, but a replay has to use the journal");
    return;
  }
  found.doing("scoring each response alone");
  for (size_t i = 0; i < all.size(); ++i)
    if (!same(score(methods, instance.self(), {all[i]}, &found).score[0], first.score[i])) {
      found.problem("the score of a response depends on which others are scored with it");
      break;
    }
  found.doing("scoring from four threads at once");
  std::vector<int> differs(4);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int repeat = 0; repeat < 5; ++repeat)
        if (!same(first.score, score(methods, instance.self(), all, nullptr).score)) differs[static_cast<size_t>(t)] = 1;
    });
  for (std::thread &thread : threads) thread.join();
  if (std::count(differs.begin(), differs.end(), 1)) found.problem("scores differ when calls overlap on one instance; score() is [many]");
}

}  // namespace hone
