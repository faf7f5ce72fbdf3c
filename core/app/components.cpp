// components.cpp -- `hone score` and `hone objective`: one component tried on rows, without a script.
#include <iostream>

#include "core/app/verbs.h"
#include "core/reward/score_verb.h"
#include "core/text/rows.h"
#include "core/train/objective_columns.h"

namespace hone {

int score_rows_verb(const Arguments &a) {
  const Registry registry = Registry::scan(plugin_folders(a.plugins));
  ScoreVerb verb;
  verb.reward = a.component;
  for (auto &[line, row] : read_numbered_rows(a.input)) verb.rows.emplace_back(row_place(a.input, line), std::move(row));
  verb.set = a.set;
  verb.scorer.workers = a.threads;
  verb.scorer.plugin_folders = registry.folders_;
  return score_verb(registry, verb, std::cout);
}

int objective_columns_verb(const Arguments &a) {
  const Registry registry = Registry::scan(plugin_folders(a.plugins));
  Pool pool(a.threads);
  const Host host(pool, a.seed);
  std::vector<std::string> set;
  for (const auto &[name, value] : a.set) set.push_back(name + "=" + value);
  return objective_verb(registry, host, a.component, a.input, set, std::cout);
}

}  // namespace hone
