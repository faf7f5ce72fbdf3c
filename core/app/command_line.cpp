// command_line.cpp -- every verb with its options, through CLI11.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>

#include "core/app/arguments.h"
#include "core/base/text.h"

namespace hone {
namespace {

// Checks that say what is wanted and what was given.
CLI::Validator within(double least, double most) {
  return CLI::Validator(
      [least, most](std::string &text) -> std::string {
        double value = 0;
        if (CLI::detail::lexical_cast(text, value) && value >= least && value <= most) return {};
        return "must be a number from " + number_text(least) + " to " + number_text(most) + ", got \"" + text + "\"";
      },
      "FROM " + number_text(least) + " TO " + number_text(most));
}
CLI::Validator whole(uint64_t least, uint64_t most) {
  return CLI::Validator(
      [least, most](std::string &text) -> std::string {
        uint64_t value = 0;
        const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
        if (digits && CLI::detail::lexical_cast(text, value) && value >= least && value <= most) return {};
        return "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most) + ", got \"" + text + "\"";
      },
      "FROM " + std::to_string(least) + " TO " + std::to_string(most));
}
CLI::Validator one_of(const std::vector<std::string> &names) {
  return CLI::Validator(
      [names](std::string &text) -> std::string {
        if (std::find(names.begin(), names.end(), text) != names.end()) return {};
        std::string all = join({names.begin(), names.end() - 1}, ", ") + " or " + names.back();
        return "must be " + all + ", got \"" + text + "\"";
      },
      join(names, "|"));
}

CLI::Validator something() {
  return CLI::Validator([](std::string &text) { return text.empty() ? std::string("is empty") : std::string(); }, "");
}

// What is wrong with the line, in one sentence; CLI11's own where it is one.
std::string sentence(const CLI::App &app, const CLI::ParseError &error, const std::vector<std::string> &words) {
  const std::vector<CLI::App *> verbs = app.get_subcommands();
  const std::vector<std::string> rest = app.remaining(true);  // what no option and no argument took
  if (verbs.empty()) {
    std::vector<std::string> names;
    for (const CLI::App *one : app.get_subcommands({})) names.push_back(one->get_name());
    for (size_t i = 1; i < words.size(); ++i) {
      const std::string &word = words[i];
      if (word == "--plugins" || word == "--threads") ++i;
      if (word.empty() || word[0] == '-') continue;
      const std::string near = nearest_name(word, names);
      return "there is no verb \"" + word + "\"" + (near.empty() ? "; there are " + join(names, ", ") : "; did you mean \"" + near + "\"?");
    }
    if (rest.empty() && dynamic_cast<const CLI::RequiredError *>(&error)) return "give a verb: " + join(names, ", ");
  }
  const std::string verb = verbs.empty() ? "hone" : "hone " + verbs.front()->get_name();
  if (!rest.empty() && (verbs.empty() || dynamic_cast<const CLI::ExtrasError *>(&error))) {
    const auto option = std::find_if(rest.begin(), rest.end(), [](const std::string &word) { return word.starts_with("-"); });
    if (option == rest.end()) return verb + ": \"" + rest.front() + "\" is one argument too many";
    std::vector<std::string> names;
    for (const CLI::App *one : {&app, verbs.empty() ? &app : static_cast<const CLI::App *>(verbs.front())})
      for (const CLI::Option *known : one->get_options())
        for (const std::string &name : known->get_lnames()) names.push_back("--" + name);
    const std::string given = option->substr(0, option->find('='));
    const std::string near = nearest_name(given, names);
    return verb + " has no option " + given + (near.empty() ? "" : "; did you mean " + near + "?");
  }
  if (dynamic_cast<const CLI::RequiredError *>(&error)) return verb + ": " + error.what();
  if (dynamic_cast<const CLI::ArgumentMismatch *>(&error)) {
    const std::string text = error.what();
    const bool again = text.find("received") != std::string::npos;  // "--model: At most 1 required but received 2"
    return verb + ": " + text.substr(0, text.find(':')) + (again ? " is given more than once" : " needs a value");
  }
  return error.what();
}

struct Line {
  CLI::App app{"hone: reinforcement learning for reasoning language models", "hone"};
  Arguments &a;
  std::vector<std::string> sets;

  explicit Line(Arguments &arguments) : a(arguments) {
    app.set_version_flag("--version", std::string("hone ") + HONE_VERSION);
    app.require_subcommand(1);
    app.fallthrough();
    app.add_option("--plugins", a.plugins, "folders of plugins, searched first")->allow_extra_args(false);
    app.add_option("--threads", a.threads, "threads to compute with; 0: as many as the machine lets us use. Never changes a result")->check(whole(0, 1024));
    app.add_flag("-q,--quiet", a.quiet, "only warnings on stderr");
    app.add_flag("-v,--verbose", a.verbose, "more on stderr");

    CLI::App *run = scripts(verb("run", "run a pipeline: hone run SCRIPT.lua [--config F.toml] [--set key=value] [--out RUN]"));
    run->add_option("--out", a.out, "run directory to make (default: runs/<script>-<n>)");
    verification(run);
    scripts(verb("plan", "check a pipeline and show its stages, settings, memory and cost; nothing trains"));
    verification(run_directory(verb("resume", "go on with a run that was interrupted or killed")));
    run_directory(verb("report", "write RUN/report.html and print the table of results"));
    CLI::App *replay = run_directory(verb("replay", "regenerate a past rollout bit for bit"));
    replay->add_option("--stage", a.stage, "stage: its number, label or folder")->required();
    replay->add_option("--step", a.step, "step, from 1")->required()->check(whole(1, UINT32_MAX));
    replay->add_option("--row", a.row, "row within the step, from 0")->required()->check(whole(0, UINT32_MAX));

    CLI::App *eval = sampling(model(verb("eval", "score a model on a task: questions with answers")));
    eval->add_option("--task", a.task, "JSON lines with a prompt and an answer in each row")->required()->check(something());
    eval->add_option("--reward", a.reward, "the reward that judges a response")->capture_default_str();
    eval->add_option("--samples", a.samples, "responses to a question")->check(whole(1, 65536))->capture_default_str();
    eval->add_option("--batch-size", a.batch_size, "questions at a time")->check(whole(1, 1u << 20))->capture_default_str();
    eval->add_option("--prompt-column", a.prompt_column, "column of the question")->capture_default_str();
    eval->add_option("--answer-column", a.answer_column, "column of the answer")->capture_default_str();
    setting(eval, "a setting of the reward: key=value");
    eval->add_option("--out", a.out, "keep the run directory there");

    chat_template(input(sampling(model(verb("generate", "rows {\"prompt\"} or {\"messages\"} in, {\"text\",\"tokens\",\"logprobs\"} out")))));
    CLI::App *chat = chat_template(sampling(model(verb("chat", "talk with a model: a line in, its answer out; /help there tells more"))));
    chat->add_option("--system", a.system, "a message that every conversation begins with");
    chat_template(input(model(verb("render", "rows {\"messages\",\"add_generation_prompt\",\"tools\"} in, {\"text\"} out"))));
    input(model(verb("logprobs", "rows {\"text\"} or {\"tokens\"} in, {\"tokens\",\"logprobs\"} out")))
        ->add_flag("--add-special-tokens", a.add_special_tokens, "add the tokens that the tokenizer puts around a text");
    input(model(verb("tokenize", "rows {\"text\"} in, {\"ids\",\"text\"} out")))
        ->add_flag("--add-special-tokens", a.add_special_tokens, "add the tokens that the tokenizer puts around a text");

    CLI::App *out = verb("export", "write a model for other programs: hone export --model M --to hf|gguf OUT");
    out->add_option("--model", a.model, "model directory, or GGUF file")->required()->check(something());
    out->add_option("--to", a.to, "hf: a directory for transformers; gguf: a file for llama.cpp")->required()->check(one_of({"hf", "gguf"}));
    out->add_option("--dtype", a.dtype, "of the numbers in the file")->check(one_of({"f32", "bf16", "f16"}))->capture_default_str();
    out->add_option("OUT", a.out, "what to write; must not be there yet")->required();

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
    sub->add_option("--dtype", a.dtype, "of the numbers in matrix products; bf16 is bf16-pairs or bf16-blocks, whichever is faster here (hone doctor)")
        ->check(one_of({"f32", "bf16", "bf16-pairs", "bf16-blocks"}))->capture_default_str();
    return sub;
  }
  CLI::App *scripts(CLI::App *sub) {
    sub->add_option("SCRIPT", a.script, "the pipeline, in Lua")->required()->check(something());
    sub->add_option("--config", a.config, "TOML of option values (default: SCRIPT.toml beside the script, if there is one)");
    sub->add_flag("--trust", a.trust, "let the script use io, os and load");
    setting(sub, "an option of the script: key=value");
    return dtype(sub);
  }
  void verification(CLI::App *sub) {
    sub->add_option("--verify", a.verify, "all: hold every row's recorded log-probs to the trainer's, bit for bit, also in stages with verify = false")
        ->check(one_of({"all"}));
  }
  CLI::App *run_directory(CLI::App *sub) {
    sub->add_option("RUN", a.run, "the run directory")->required()->check(something());
    return sub;
  }
  CLI::App *model(CLI::App *sub) {
    sub->add_option("--model", a.model, "model directory (config.json, model.safetensors, tokenizer.json), or GGUF file")->required()->check(something());
    return dtype(sub);
  }
  CLI::App *chat_template(CLI::App *sub) {
    sub->add_option("--template", a.chat_template, "a chat template in Jinja, in place of the model's own");
    sub->add_option("--date", a.date, "the day that a template is told, such as 2024-12-31 (default: today)");
    return sub;
  }
  CLI::App *input(CLI::App *sub) {
    sub->add_option("--input", a.input, "the rows; - is stdin")->required()->check(something());
    return sub;
  }
  CLI::App *sampling(CLI::App *sub) {
    sub->add_option("--temperature", a.temperature, "0: greedy")->check(within(0, 100))->capture_default_str();
    sub->add_option("--top-p", a.top_p, "sample from the likeliest tokens that together have this probability")->check(within(1e-6, 1));
    sub->add_option("--min-p", a.min_p, "sample only tokens with this share of the likeliest one's probability")->check(within(0, 1));
    sub->add_option("--top-k", a.top_k, "sample from this many likeliest tokens; 0: all")->check(whole(0, UINT32_MAX));
    sub->add_option("--max-tokens", a.max_tokens, "of a response at most")->check(whole(1, 1u << 24))->capture_default_str();
    sub->add_option("--stop", a.stop, "a text: a response ends with the token that completes it; may be given several times")
        ->allow_extra_args(false)
        ->check([](const std::string &text) { return text.empty() ? std::string("is empty; a stop is a text of one character or more") : std::string(); });
    sub->add_option("--seed", a.seed, "of the random numbers")->check(whole(0, INT64_MAX))->capture_default_str();
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
    std::cerr << "hone: " << sentence(line.app, error, arguments.command_line) << "\nRun `hone --help` for the verbs, or `hone VERB --help` for a verb's options.\n";
    code = 2;
    return false;
  }
  return true;
}

}  // namespace hone
