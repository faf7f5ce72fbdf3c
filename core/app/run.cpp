// run.cpp -- `hone run`, `hone resume`, `hone plan`, `hone report`, `hone replay`: verbs about pipelines and their runs.
#include <iostream>

#include "core/app/verbs.h"
#include "core/base/log.h"
#include "core/run/report.h"
#include "core/stage/script_host.h"
#include "core/stage/plan.h"
#include "core/stage/replay.h"
#include "core/stage/runner.h"

namespace hone {

static ScriptArguments script_arguments(const Arguments &a) {
  ScriptArguments out;
  out.config = a.config;
  out.set = a.set;
  out.trust = a.trust;
  return out;
}

static int continue_and_show(const std::filesystem::path &run, const Arguments &a) {
  const int code = continue_run(run, a.plugins, a.threads, {.verify_all = a.verify == "all"});
  if (code == 0) std::cout << results_table(run) << std::flush;
  return code;
}

int run_pipeline_verb(const Arguments &a) {
  RunRequest request;
  request.script = a.script;
  request.arguments = script_arguments(a);
  request.out = a.out;
  request.plugins = a.plugins;
  request.threads = a.threads;
  request.dtype = dtype_of(a);
  request.command_line = a.command_line;
  const std::filesystem::path run = create_run(request);
  log_info("run directory: " + run.string());
  return continue_and_show(run, a);
}

int resume_verb(const Arguments &a) { return continue_and_show(a.run, a); }

int plan_verb(const Arguments &a) {
  const Registry registry = Registry::scan(plugin_folders(a.plugins));
  const std::unique_ptr<Script> script = Script::load(a.script, registry, script_host(), script_arguments(a));
  Pool pool(a.threads);
  Host host(pool, script->pipeline().seed);
  print_plan(script->pipeline(), check_plan(script->pipeline(), registry, host, *script, dtype_of(a), pool.threads()), std::cout);
  return 0;
}

int report_verb(const Arguments &a) {
  const std::filesystem::path page = write_report(a.run);
  std::cout << results_table(a.run) << page.string() << "\n";
  return 0;
}

int replay_verb(const Arguments &a) { return replay(a.run, a.stage, a.step, a.row, a.plugins, a.threads, std::cout); }

}  // namespace hone
