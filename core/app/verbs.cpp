// verbs.cpp -- from a verb's name to its function.
#include "core/app/verbs.h"

#include <cerrno>
#include <cstring>
#include <iostream>
#include <map>

#include "core/base/failure.h"

namespace hone {

uint32_t dtype_of(const Arguments &a) {
  if (a.dtype == "bf16") return kernels().bf16;
  return a.dtype == "bf16-pairs" ? HONE_BF16 : a.dtype == "bf16-blocks" ? HONE_BF16_BLOCKS : HONE_F32;
}

int run_verb(const Arguments &arguments) {
  static const std::map<std::string, int (*)(const Arguments &)> verbs = {
      {"run", run_pipeline_verb},      {"resume", resume_verb},       {"plan", plan_verb},
      {"report", report_verb},         {"replay", replay_verb},       {"eval", eval_verb},
      {"generate", generate_verb},     {"logprobs", logprobs_verb},   {"tokenize", tokenize_verb},
      {"chat", chat_verb},             {"render", render_verb},        {"export", export_verb},
      {"score", score_rows_verb},      {"objective", objective_columns_verb},
      {"plugins", list_plugins_verb},  {"describe", describe_component_verb},
      {"check", check_plugin_verb},    {"new-plugin", new_plugin_verb}, {"doctor", doctor_verb},
  };
  const int code = verbs.at(arguments.verb)(arguments);
  std::cout.flush();
  if (!std::cout) throw Failure("cannot write the results to stdout (" + std::string(std::strerror(errno)) + "); they are not complete");
  return code;
}

}  // namespace hone
