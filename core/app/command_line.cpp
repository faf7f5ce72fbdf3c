// command_line.cpp -- every verb with its options, through CLI11.
#include <CLI/CLI.hpp>

#include <iostream>

#include "core/app/arguments.h"

namespace hone {
namespace {

struct Line {
  CLI::App app{"hone: reinforcement learning for reasoning language models"};
  Arguments &a;
  std::vector<std::string> sets;

  explicit Line(Arguments &arguments) : a(arguments) {
    app.set_version_flag("--version", std::string("hone ") + HONE_VERSION);
    app.require_subcommand(1);
    app.fallthrough();
    app.add_option("--plugins", a.plugins, "folders of plugins, searched first")->allow_extra_args(false);
    app.add_option("--threads", a.threads, "threads to compute with; 0: as many as the machine lets us use. Never changes a result")->check(CLI::Range(0u, 1024u));
    app.add_flag("-q,--quiet", a.quiet, "only warnings on stderr");
    app.add_flag("-v,--verbose", a.verbose, "more on stderr");

    scripts(verb("run", "run a pipeline: hone run SCRIPT.lua [--config F.toml] [--set key=value] [--out RUN]"))
        ->add_option("--out", a.out, "run directory to make (default: runs/<script>-<n>)");
    scripts(verb("plan", "check a pipeline and show its stages, settings, memory and cost; nothing trains"));
    run_directory(verb("resume", "go on with a run that was interrupted or killed"));
    run_directory(verb("report", "write RUN/report.html and print the table of results"));
    CLI::App *replay = run_directory(verb("replay", "regenerate a past rollout bit for bit"));
    replay->add_option("--stage", a.stage, "stage: its number, label or folder")->required();
    replay->add_option("--step", a.step, "step, from 1")->required();
    replay->add_option("--row", a.row, "row within the step, from 0")->required();

    CLI::App *eval = sampling(model(verb("eval", "score a model on a task: questions with answers")));
    eval->add_option("--task", a.task, "JSON lines with a prompt and an answer in each row")->required();
    eval->add_option("--reward", a.reward, "the reward that judges a response")->capture_default_str();
    eval->add_option("--samples", a.samples, "responses to a question")->check(CLI::Range(1u, 65536u))->capture_default_str();
    eval->add_option("--batch-size", a.batch_size, "questions at a time")->check(CLI::Range(1u, 1u << 20))->capture_default_str();
    eval->add_option("--prompt-column", a.prompt_column, "column of the question")->capture_default_str();
    eval->add_option("--answer-column", a.answer_column, "column of the answer")->capture_default_str();
    setting(eval, "a setting of the reward: key=value");
    eval->add_option("--out", a.out, "keep the run directory there");

    input(sampling(model(verb("generate", "rows {\"prompt\"} in, {\"text\",\"tokens\",\"logprobs\"} out"))));
    input(model(verb("logprobs", "rows {\"text\"} or {\"tokens\"} in, {\"tokens\",\"logprobs\"} out")))
        ->add_flag("--add-special-tokens", a.add_special_tokens, "add the tokens that the tokenizer puts around a text");
    input(model(verb("tokenize", "rows {\"text\"} in, {\"ids\",\"text\"} out")))
        ->add_flag("--add-special-tokens", a.add_special_tokens, "add the tokens that the tokenizer puts around a text");

    CLI::App *score = input(verb("score", "score rows with a reward: hone score REWARD --input rows.jsonl"));
    score->add_option("REWARD", a.component, "name of the reward")->required();
    setting(score, "a setting of the reward: key=value");
    CLI::App *objective = input(verb("objective", "run an objective on a batch: hone objective NAME --input batch.json"));
    objective->add_option("NAME", a.component, "name of the objective")->required();
    setting(objective, "a setting of the objective: key=value");

    verb("plugins", "list the components that were found, and the libraries that were refused")->add_flag("--json", a.json, "as JSON");
    CLI::App *describe = verb("describe", "show a component's settings: hone describe KIND/NAME");
    describe->add_option("KIND/NAME", a.component, "e.g. stage/sft, reward/math")->required();
    describe->add_flag("--json", a.json, "as JSON");
    verb("check", "try to break a plugin and say what is wrong with it")->add_option("PLUGIN.so", a.file, "the library")->required();
    CLI::App *make = verb("new-plugin", "make a folder with a plugin that builds and tests: hone new-plugin KIND NAME");
    make->add_option("KIND", a.kind, "reward, objective, optimizer, stage or model")->required();
    make->add_option("NAME", a.name, "what scripts will call it")->required();
    make->add_option("--out", a.out, "where to make it (default: ./NAME)");
    verb("doctor", "what this machine has and which kernels are used");
  }

  CLI::App *verb(const char *name, const char *help) {
    CLI::App *sub = app.add_subcommand(name, help);
    sub->callback([this, name] { a.verb = name; });
    return sub;
  }
  CLI::App *setting(CLI::App *sub, const char *help) {
    sub->add_option("--set", sets, help)->allow_extra_args(false);
    return sub;
  }
  CLI::App *dtype(CLI::App *sub) {
    sub->add_option("--dtype", a.dtype, "of the weights in matrix products")->check(CLI::IsMember({"f32", "bf16"}))->capture_default_str();
    return sub;
  }
  CLI::App *scripts(CLI::App *sub) {
    sub->add_option("SCRIPT", a.script, "the pipeline, in Lua")->required();
    sub->add_option("--config", a.config, "TOML of option values (default: SCRIPT.toml beside the script, if there is one)");
    sub->add_flag("--trust", a.trust, "let the script use io, os and load");
    setting(sub, "an option of the script: key=value");
    return dtype(sub);
  }
  CLI::App *run_directory(CLI::App *sub) {
    sub->add_option("RUN", a.run, "the run directory")->required();
    return sub;
  }
  CLI::App *model(CLI::App *sub) {
    sub->add_option("--model", a.model, "model directory: config.json, model.safetensors, tokenizer.json")->required();
    return dtype(sub);
  }
  CLI::App *input(CLI::App *sub) {
    sub->add_option("--input", a.input, "the rows; - is stdin")->required();
    return sub;
  }
  CLI::App *sampling(CLI::App *sub) {
    sub->add_option("--temperature", a.temperature, "0: greedy")->check(CLI::Range(0.0, 100.0))->capture_default_str();
    sub->add_option("--top-p", a.top_p, "sample from the likeliest tokens that together have this probability")->check(CLI::Range(1e-6, 1.0));
    sub->add_option("--min-p", a.min_p, "sample only tokens with this share of the likeliest one's probability")->check(CLI::Range(0.0, 1.0));
    sub->add_option("--top-k", a.top_k, "sample from this many likeliest tokens; 0: all");
    sub->add_option("--max-tokens", a.max_tokens, "of a response at most")->check(CLI::Range(1u, 1u << 24))->capture_default_str();
    sub->add_option("--seed", a.seed, "of the random numbers")->capture_default_str();
    return sub;
  }
};

}  // namespace

bool parse_command_line(int argc, char **argv, Arguments &arguments, int &code) {
  arguments.command_line.assign(argv, argv + argc);
  Line line(arguments);
  try {
    line.app.parse(argc, argv);
    for (const std::string &pair : line.sets) {
      const size_t equals = pair.find('=');
      if (equals == 0 || equals == std::string::npos) throw CLI::ValidationError("--set", "\"" + pair + "\" is not of the form key=value");
      arguments.set.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
    }
  } catch (const CLI::Success &asked) {  // --help, --version
    line.app.exit(asked);
    code = 0;
    return false;
  } catch (const CLI::ParseError &error) {
    std::cerr << "hone: " << error.what() << "\nRun `hone --help` for the verbs, or `hone VERB --help` for a verb's options.\n";
    code = 2;
    return false;
  }
  return true;
}

}  // namespace hone
