// replay.cpp -- see replay.h.
#include "core/stage/replay.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <ostream>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/stage/interrupt.h"
#include "core/stage/objective_stage.h"

namespace hone {
using nlohmann::json;

static int find_stage(const Pipeline &pipeline, const std::string &wanted) {
  std::vector<std::string> names;
  for (int index : pipeline.order) {
    const std::string folder = stage_folder_name(pipeline, index), label = stage_label(pipeline, index);
    if (wanted == folder || wanted == label || wanted == std::to_string(names.size() + 1)) return index;
    names.push_back(folder);
  }
  const std::string near = nearest_name(wanted, names);
  throw UsageError("the run has no stage \"" + wanted + "\"" + (near.empty() ? "" : "; did you mean \"" + near + "\"?") + " (it has " + join(names, ", ") + ")");
}

int replay(const std::filesystem::path &run, const std::string &wanted, uint32_t step, uint32_t row,
           const std::vector<std::filesystem::path> &plugins, uint32_t threads, std::ostream &out) {
  OpenRun open(run, plugins, threads, &interrupt_flag(), false);
  RunContext &context = open.context();
  const int index = find_stage(context.pipeline, wanted);
  const ComponentInfo &component = context.registry.require("stage", context.pipeline.stages[index].component);
  const StageDirectory directory = context.directory_of(index);
  const std::string name = stage_folder_name(context.pipeline, index);
  if (component.kind != HONE_OBJECTIVE) throw UsageError("stage " + name + " (" + component.name + ") records no rollouts");
  const std::vector<uint32_t> steps = directory.rollout_steps();
  if (steps.empty()) throw UsageError("stage " + name + " recorded no rollouts; only stages that sample from the model they train do (and rollouts_every must not be 0)");
  if (std::find(steps.begin(), steps.end(), step) == steps.end())
    throw UsageError("stage " + name + " recorded no rollouts of step " + std::to_string(step) + "; it has steps " + std::to_string(steps.front()) + " to " + std::to_string(steps.back()));
  const std::vector<RolloutRecord> records = directory.read_rollouts(step);
  if (row >= records.size())
    throw UsageError("step " + std::to_string(step) + " of stage " + name + " has rows 0 to " + std::to_string(records.size() - 1) + ", not " + std::to_string(row));
  const RolloutRecord &recorded = records[row];

  ObjectiveStage stage(context, index, true);
  stage.restore_before(step);
  const uint32_t slot = row / stage.num_generations();
  const std::vector<StepPrompt> prompts = stage.step_prompts(step, slot, slot + 1);
  SampleRequest request{prompts.at(0).ids, 1, row};  // alone: a row does not depend on its company
  stage.weights().prepare(context.pool);
  const std::vector<SampledRow> again = stage.sampler().generate(stage.weights(), &stage.tokenizer(), {request}, stage.sampling(step));
  const SampledRow &sampled = again.at(0);
  const bool same_ids = sampled.ids == recorded.ids && request.prompt == recorded.prompt_ids;
  const bool same_logp = sampled.logp.size() == recorded.logprobs.size() &&
                         std::memcmp(sampled.logp.data(), recorded.logprobs.data(), sampled.logp.size() * sizeof(float)) == 0;
  nlohmann::ordered_json answer;
  answer["stage"] = name;
  answer["step"] = step;
  answer["row"] = row;
  answer["prompt"] = recorded.prompt;
  answer["response"] = response_text(stage.tokenizer(), sampled.ids);
  answer["tokens"] = sampled.ids;
  answer["logprobs"] = sampled.logp;
  answer["reward"] = std::isnan(recorded.reward) ? json() : json(recorded.reward);
  answer["identical"] = same_ids && same_logp;
  if (!same_ids) answer["recorded_response"] = recorded.response;
  if (!same_logp) answer["recorded_logprobs"] = recorded.logprobs;
  out << answer.dump() << "\n";
  return same_ids && same_logp ? 0 : 1;
}

}  // namespace hone
