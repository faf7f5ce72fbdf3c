// verbs.h -- what each verb does; all return the exit code and write data to stdout only.
#pragma once

#include "core/app/arguments.h"
#include "core/model/model.h"

namespace hone {

// What --dtype says of the models that run: HONE_F32 ... of kernels/table.h.
uint32_t dtype_of(const Arguments &);

int run_verb(const Arguments &);  // calls the one that arguments.verb names

int run_pipeline_verb(const Arguments &);
int resume_verb(const Arguments &);
int plan_verb(const Arguments &);
int report_verb(const Arguments &);
int replay_verb(const Arguments &);
int eval_verb(const Arguments &);
int generate_verb(const Arguments &);
int chat_verb(const Arguments &);
int render_verb(const Arguments &);
int logprobs_verb(const Arguments &);
int tokenize_verb(const Arguments &);
int export_verb(const Arguments &);
int score_rows_verb(const Arguments &);
int objective_columns_verb(const Arguments &);
int list_plugins_verb(const Arguments &);
int describe_component_verb(const Arguments &);
int check_plugin_verb(const Arguments &);
int new_plugin_verb(const Arguments &);
int doctor_verb(const Arguments &);

}  // namespace hone
