// objective_teacher.cpp -- the responses that a distillation's teacher gives, sampled once and kept.
#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/run/progress.h"
#include "core/stage/conversations.h"
#include "core/stage/objective_stage.h"
#include "core/text/rows.h"

namespace hone {
using nlohmann::json;

// R1 section 2.4: the student learns responses that the teacher gave, those with a good enough reward when rewards are set.
void ObjectiveStage::sample_teacher() {
  const std::filesystem::path kept = directory_.path() / "data.jsonl";
  std::vector<const DataRow *> prompts;
  for (const Domain &domain : domains_)
    for (const DataRow &row : domain.rows) prompts.push_back(&row);
  std::vector<DataRow> rows;
  if (std::filesystem::exists(kept)) {  // written whole: a resume uses what the first session sampled
    for (json &row : read_rows(kept.string())) rows.push_back({std::move(row), "", kept.string() + ": row " + std::to_string(rows.size() + 1)});
  } else {
    Progress progress(folder_name_ + " (teacher's responses)", prompts.size());
    const uint32_t chunk = std::max(1u, 1024 / num_generations_);
    std::string lines;
    for (uint32_t at = 0; at < prompts.size(); at += chunk) {
      const uint32_t n = std::min<uint32_t>(chunk, static_cast<uint32_t>(prompts.size()) - at);
      std::vector<SampleRequest> wanted;
      for (uint32_t i = 0; i < n; ++i)
        wanted.push_back({prompt_ids(*teacher_tokenizer_, *prompts[at + i], teacher_->architecture().info().max_positions), num_generations_, (at + i) * num_generations_});
      SampleSettings settings = sampling(0);
      settings.stop_ids.clear();
      settings.stop_ids = teacher_tokenizer_->stop_ids();
      const auto sampled = sampler_->generate(*teacher_, teacher_tokenizer_.get(), wanted, settings, {}, [this] { return context_.interrupted(); });
      context_.stop_if_interrupted();
      std::vector<RowToScore> to_score;
      for (size_t i = 0; i < sampled.size(); ++i)
        to_score.push_back(row_to_score(*teacher_tokenizer_, *prompts[at + i / num_generations_], sampled[i]));
      ScoredRows scored;
      if (rewards_) scored = rewards_->score(*journal_, "teacher " + std::to_string(at), to_score);
      for (size_t i = 0; i < sampled.size(); ++i) {
        if (sampled[i].truncated || (rewards_ && !(scored.reward[i] >= setting<float>("keep_reward")))) continue;
        json row = prompts[at + i / num_generations_]->columns;
        row["response"] = to_score[i].row.text;
        if (rewards_) row["reward"] = scored.reward[i];
        lines += row.dump() + "\n";
        rows.push_back({std::move(row), "", kept.string() + ": row " + std::to_string(rows.size() + 1)});
      }
      progress.update(at + n, std::to_string(rows.size()) + " kept");
    }
    if (!replaying_) write_file_atomically(kept, lines);
  }
  if (rows.empty()) throw Failure(where_ + ": none of the teacher's responses was kept; lower keep_reward or give more prompts");
  const uint32_t positions = training_->max_positions();
  for (const DataRow &row : rows) rows_.push_back(row_to_train(tokenizer(), row, 0, positions));
}

}  // namespace hone
