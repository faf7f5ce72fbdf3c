// context.cpp -- names and numbers of stages within a run.
#include "core/stage/context.h"

#include <algorithm>
#include <cstdio>

namespace hone {

std::string stage_label(const Pipeline &pipeline, int index) {
  const StageNode &stage = pipeline.stages[index];
  return stage.label.empty() ? stage.component : stage.label;
}

static uint32_t number_in(const Pipeline &pipeline, int index) {
  const auto at = std::find(pipeline.order.begin(), pipeline.order.end(), index);
  return static_cast<uint32_t>(at - pipeline.order.begin()) + 1;
}

std::string stage_folder_name(const Pipeline &pipeline, int index) {
  char number[16];
  std::snprintf(number, sizeof number, "%02u-", number_in(pipeline, index));
  return number + stage_label(pipeline, index);
}

uint32_t RunContext::number_of(int index) const { return number_in(pipeline, index); }

StageDirectory RunContext::directory_of(int index) const {
  return run.stage(static_cast<int>(number_of(index)), stage_label(pipeline, index));
}

}  // namespace hone
