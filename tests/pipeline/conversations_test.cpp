// conversations_test.cpp -- rows with "messages", written by the template of the model's directory: the verbs and the
// stages do with them exactly what they do with the same text as "prompt" and "response".
#include <pty.h>
#include <sys/ioctl.h>

#include "tests/pipeline/program.h"

namespace hone_pipeline {
namespace {

std::vector<json> lines(const std::string &text) {
  std::vector<json> out;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) out.push_back(json::parse(line));
  return out;
}

const char *const kTemplate =
    "{{ bos_token }}\n{%- for message in messages %}\n{%- if message.role == 'user' %} {{ message.content }} ?\n"
    "{%- elif message.role == 'assistant' %} <answer> {{ message.content }} </answer> {{ eos_token }}\n{%- else %}{{ "
    "raise_exception('no role ' ~ message.role) }}\n"
    "{%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %} <answer>{% endif %}\n";

class Conversations : public Program {
 protected:
  // A tiny model of words, with a chat template in its directory unless it is to have none.
  fs::path model(bool with_template = true, const std::string &words = "\"<eos>\", ", int positions = 64) {
    const std::string text =
        "local hone = require \"hone\"\nlocal rows = hone.rows { count = 8, seed = 1, make = function(i) return { "
        "prompt = \"ADD 1 ?\", response = \"2\" } end }\n"
        "local base = hone.model \"llama\" { name = \"tiny\", words = { \"<pad>\", \"<bos>\", " +
        words +
        "\"<answer>\", \"</answer>\", \"ADD\", \"?\", \"0\", \"1\", \"2\", \"3\", \"4\" },"
        " vocab_size = 14, hidden_size = 32, intermediate_size = 32, num_hidden_layers = 1, num_attention_heads = 2, "
        "num_key_value_heads = 1, max_position_embeddings = " +
        std::to_string(positions) +
        " }\n"
        "return hone.pipeline { hone.stage \"sft\" { model = base, data = rows, batch_size = 8, steps = 2, optimizer = "
        "hone.optimizer \"adamw\" { learning_rate = 1e-3 } }, seed = 3 }\n";
    const Ended ended = hone({"run", script(text, "base.lua"), "--out", (folder / "base").string()});
    EXPECT_EQ(ended.code, 0) << ended.err;
    const fs::path made = folder / "base/01-sft/checkpoints/step-2";
    EXPECT_FALSE(fs::exists(made / "chat_template.jinja"));
    const fs::path copy = folder / "model";
    fs::copy(made, copy, fs::copy_options::recursive);
    if (with_template) spit(copy / "chat_template.jinja", kTemplate);
    return copy;
  }
  json run(const std::string &text, const std::string &name) {
    const Ended ended = hone({"run", script(text, name + ".lua"), "--out", (folder / name).string()});
    EXPECT_EQ(ended.code, 0) << ended.err;
    return lasting_results(folder / name);
  }
  std::string stage(const std::string &stages, const fs::path &model) const {
    return "local hone = require \"hone\"\nlocal base = hone.model(\"" + model.string() +
           "\")\nlocal adamw = hone.optimizer \"adamw\" { learning_rate = 1e-3 }\n" + stages;
  }
};

TEST_F(Conversations, RenderWritesWhatTheTemplateSays) {
  const fs::path path = model();
  How how;
  how.input = R"({"messages": [{"role": "user", "content": "ADD 1 2"}, {"role": "assistant", "content": "3"}]})"
              "\n"
              R"({"messages": [{"role": "user", "content": "ADD 1 2"}], "add_generation_prompt": true})"
              "\n";
  const Ended ended = hone({"render", "--model", path.string(), "--input", "-"}, how);
  ASSERT_EQ(ended.code, 0) << ended.err;
  const auto rows = lines(ended.out);
  EXPECT_EQ(rows.at(0).at("text"), "<bos> ADD 1 2 ? <answer> 3 </answer> <eos>");
  EXPECT_EQ(rows.at(1).at("text"), "<bos> ADD 1 2 ? <answer>");

  how.input = "\n" R"({"messages": [{"role": "judge", "content": "x"}]})"
              "\n";
  const Ended refused = hone({"render", "--model", path.string(), "--input", "-"}, how);
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("stdin:2: "), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("chat_template.jinja:5: the template refuses: no role judge"), std::string::npos)
      << refused.err;

  spit(folder / "other.jinja",
       "{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}{{ strftime_now('%Y') }}");
  how.input = R"({"messages": [{"role": "judge", "content": "x"}]})"
              "\n";
  const Ended other = hone({"render", "--model", path.string(), "--input", "-", "--template",
                            (folder / "other.jinja").string(), "--date", "1999-01-01"},
                           how);
  ASSERT_EQ(other.code, 0) << other.err;
  EXPECT_EQ(lines(other.out).at(0).at("text"), "x<eos>1999");
  EXPECT_EQ(hone({"render", "--model", path.string(), "--input", "-", "--date", "1999-02-30"}, how).code, 2);
}

TEST_F(Conversations, GenerateAnswersMessagesAsItAnswersTheirText) {
  const fs::path path = model();
  How messages, text;
  messages.input = R"({"messages": [{"role": "user", "content": "ADD 1 2"}]})"
                   "\n";
  text.input = R"({"prompt": "<bos> ADD 1 2 ? <answer>"})"
               "\n";
  const std::vector<std::string> arguments = {"generate", "--model", path.string(),  "--input", "-",
                                              "--seed",   "4",       "--max-tokens", "16"};
  const Ended of_messages = hone(arguments, messages), of_text = hone(arguments, text);
  ASSERT_EQ(of_messages.code, 0) << of_messages.err;
  EXPECT_EQ(of_messages.out, of_text.out);
  text.input = R"({"prompt": "ADD 1 2 ? <answer>"})"
               "\n";  // <bos> is put before a text that does not begin with it
  EXPECT_EQ(hone(arguments, text).out, of_messages.out);

  fs::remove(path / "chat_template.jinja");
  const Ended refused = hone(arguments, messages);
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("stdin:1: the model has no chat template; put a chat_template.jinja beside its tokenizer.json"), std::string::npos)
      << refused.err;
}

TEST_F(Conversations, StagesLearnFromMessagesAsFromTheirText) {
  const fs::path path = model();
  const std::string sft =
      "return hone.pipeline { hone.stage \"sft\" { model = base, data = rows, batch_size = 4, steps = 3, optimizer = "
      "adamw }, seed = 5 }\n";
  const json of_messages = run(stage("local rows = hone.rows { count = 6, make = function(i) return { messages = { { "
                                     "role = \"user\", content = \"ADD \" .. i % 5 .. \" 1\" }, "
                                     "{ role = \"assistant\", content = tostring(i % 4) } } } end }\n" +
                                         sft,
                                     path),
                               "messages");
  const json of_text = run(stage("local rows = hone.rows { count = 6, make = function(i) return { prompt = \"ADD \" .. "
                                 "i % 5 .. \" 1 ? <answer>\", "
                                 "response = i % 4 .. \" </answer>\" } end }\n" +
                                     sft,
                                 path),
                           "text");
  EXPECT_EQ(of_messages, of_text);
  const json other = run(stage("local rows = hone.rows { count = 6, make = function(i) return { prompt = \"ADD \" .. i "
                               "% 5 .. \" 1 ? <answer>\", "
                               "response = i % 4 .. \" </answer> </answer>\" } end }\n" +
                                   sft,
                               path),
                         "other");
  EXPECT_NE(of_messages, other) << "the results do not tell what was learnt";
  EXPECT_EQ(slurp(folder / "messages/01-sft/checkpoints/step-3/chat_template.jinja"), kTemplate);
}

TEST_F(Conversations, RolloutsAnswerTheLastMessageThatIsNotTheAssistants) {
  const fs::path path = model();
  const std::string rl =
      "local one = hone.reward { label = \"one\", score = function(row) return row.response:find(\"1\", 1, true) and "
      "row.prompt:find(\"<answer>\", 1, true) and 1 or 0 end }\n"
      "local rl = hone.stage \"grpo\" { model = base, prompts = rows, rewards = { one }, optimizer = adamw, steps = 2, "
      "batch_size = 4, num_generations = 4, max_completion_length = 8 }\n"
      "local kept = hone.stage \"sample\" { model = rl.model, prompts = rows, rewards = { one }, num_generations = 2, "
      "max_completion_length = 8, mode = \"all\", batch_size = 4 }\n"
      "local again = hone.stage \"sft\" { model = rl.model, data = kept.data, batch_size = 4, steps = 1, optimizer = "
      "adamw }\n"
      "return hone.pipeline { rl, kept, again, seed = 6 }\n";
  const json of_messages = run(stage("local rows = hone.rows { count = 6, make = function(i) return { messages = { { "
                                     "role = \"user\", content = \"ADD \" .. i % 5 .. \" 1\" }, "
                                     "{ role = \"assistant\", content = \"4\" } } } end }\n" +
                                         rl,
                                     path),
                               "messages");
  const json of_text = run(stage("local rows = hone.rows { count = 6, make = function(i) return { prompt = \"<bos> ADD "
                                 "\" .. i % 5 .. \" 1 ? <answer>\" } end }\n" +
                                     rl,
                                 path),
                           "text");
  ASSERT_EQ(of_messages.size(), 3u);
  // What is emitted keeps the row's own columns, so the files differ where these do; the weights do not.
  for (const char *name : {"01-grpo", "03-sft"}) EXPECT_EQ(of_messages.at(name), of_text.at(name)) << name;
  EXPECT_EQ(lasting_metrics(folder / "messages"), lasting_metrics(folder / "text"));
}

// A template may ask for the day: what a run wrote on one day, a replay or resume on another writes too.
TEST_F(Conversations, ARunKeepsTheDayOnWhichItWasMade) {
  const fs::path path = model();
  spit(path / "chat_template.jinja",
       "{{ bos_token }} ADD {% if strftime_now('%Y') == '2001' %}1{% else %}2{% endif %} ?{% if add_generation_prompt %} <answer>{% endif %}");
  run(stage("local rows = hone.rows { count = 4, make = function(i) return { messages = { { role = \"user\", content = \"1\" } } } end }\n"
            "local rl = hone.stage \"grpo\" { model = base, prompts = rows, rewards = { function(row) return #row.response end }, optimizer = adamw, steps = 1,\n"
            "  batch_size = 2, num_generations = 2, max_completion_length = 8 }\nreturn hone.pipeline { rl, seed = 6 }\n",
            path),
      "run");
  const auto replayed = [&] {
    const Ended ended = hone({"replay", (folder / "run").string(), "--stage", "grpo", "--step", "1", "--row", "1"});
    EXPECT_LT(ended.code, 2) << ended.err;
    return json::parse(ended.out).at("identical").get<bool>();
  };
  EXPECT_TRUE(replayed());
  json arguments = json::parse(slurp(folder / "run/arguments.json"));
  arguments.at("day") = "2001-02-03";
  spit(folder / "run/arguments.json", arguments.dump());
  EXPECT_FALSE(replayed()) << "the day is not the one of arguments.json";
}

TEST_F(Conversations, EvalAsksConversations) {
  const fs::path path = model();
  spit(folder / "task.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"ADD 1 1\"}], \"answer\": \"2\"}\n");
  const Ended ended = hone({"eval", "--model", path.string(), "--task", (folder / "task.jsonl").string(), "--max-tokens", "4"});
  EXPECT_EQ(ended.code, 0) << ended.err;
  spit(folder / "task.jsonl", "{\"question\": \"ADD 1 1\", \"answer\": \"2\"}\n");
  const std::string task = (folder / "task.jsonl").string();
  const Ended wrong = hone({"eval", "--model", path.string(), "--task", task});
  EXPECT_EQ(wrong.code, 1);
  EXPECT_NE(wrong.err.find(task + ":1: row has no column"), std::string::npos) << wrong.err;
  // Also what is found later than that, in the script that eval makes of the task: among the rows that plan looks at, and not.
  for (int before : {0, 30}) {
    std::string rows = "\n";
    for (int i = 0; i < 2 * before; ++i)
      rows += i == before ? "{\"messages\": [{\"role\": \"judge\", \"content\": \"1\"}], \"answer\": \"2\"}\n" : "{\"prompt\": \"ADD 1 1\", \"answer\": \"2\"}\n";
    if (before == 0) rows += "{\"messages\": [{\"role\": \"judge\", \"content\": \"1\"}], \"answer\": \"2\"}\n";
    spit(task, rows);
    const Ended refused = hone({"eval", "--model", path.string(), "--task", task, "--max-tokens", "1"});
    EXPECT_NE(refused.code, 0);
    EXPECT_NE(refused.err.find(task + ":" + std::to_string(before + 2) + ": "), std::string::npos) << refused.err;
    EXPECT_NE(refused.err.find("no role judge"), std::string::npos) << refused.err;
    EXPECT_EQ(refused.err.find("eval.lua"), std::string::npos) << refused.err;
  }
}

TEST_F(Conversations, PlanFindsMessagesThatCannotBeUsed) {
  const fs::path path = model();
  const auto plan = [&](const std::string &row, const char *kind = "sft") {
    const std::string data = "local rows = hone.rows { count = 2, make = function(i) return " + row + " end }\n";
    const std::string stages =
        std::string(kind) == "sft"
            ? "return hone.pipeline { hone.stage \"sft\" { model = base, data = rows, batch_size = 2, steps = 1, "
              "optimizer = adamw } }\n"
            : "return hone.pipeline { hone.stage \"grpo\" { model = base, prompts = rows, rewards = { function(row) "
              "return 1 end }, optimizer = adamw, steps = 1, batch_size = 2, num_generations = 2 } }\n";
    const Ended ended = hone({"plan", script(stage(data + stages, path))});
    return ended.code == 0 ? std::string() : std::to_string(ended.code) + " " + ended.err;
  };
  const std::string user = "{ role = \"user\", content = \"ADD 1 1\" }",
                    assistant = "{ role = \"assistant\", content = \"2\" }";
  EXPECT_EQ(plan("{ messages = { " + user + ", " + assistant + " } }"), "");
  EXPECT_EQ(plan("{ messages = { " + user + " } }", "grpo"), "");
  const auto refuses = [&](const std::string &said, const std::string &why) {
    EXPECT_TRUE(said.starts_with("2 ") && said.find(why) != std::string::npos) << said;
  };
  refuses(plan("{ messages = { " + user + " } }"), "row 1: messages: the last one is of role \"user\"");
  refuses(plan("{ messages = { " + assistant + " } }", "grpo"), "nothing to answer");
  refuses(plan("{ messages = { { role = \"judge\", content = \"2\" } } }", "grpo"),
          "the template refuses: no role judge");
  refuses(plan("{ messages = { { content = \"2\" } } }", "grpo"), "messages[0]: has no \"role\"");
  refuses(plan("{ messages = \"hi\" }", "grpo"), "must be a list");
  refuses(plan("{ messages = { { role = \"user\", content = \"what\" } } }", "grpo"),
          "the word \"what\" is not in the tokenizer's vocabulary");
  fs::remove(path / "chat_template.jinja");
  refuses(plan("{ messages = { " + user + " } }", "grpo"), "the model has no chat template; put a chat_template.jinja beside its tokenizer.json");
}

// ---- hone chat ----

// The running program with pipes to and from it; its stdin and stderr may be a terminal in place of them.
class Talk {
 public:
  explicit Talk(const std::vector<std::string> &arguments, bool terminal = false) : terminal_(terminal) {
    signal(SIGPIPE, SIG_IGN);  // a program that has ended is a failed write
    int in[2], out[2];
    if (terminal ? openpty(&in[1], &in[0], nullptr, nullptr, nullptr) != 0 : pipe(in) != 0) throw std::runtime_error("stdin");
    if (pipe(out) != 0) throw std::runtime_error("pipe");
    child_ = fork();
    if (child_ == 0) {
      if (terminal) {
        setsid();
        ioctl(in[0], TIOCSCTTY, 0);
        setenv("TERM", "xterm", 1);
        dup2(in[0], 2);
      }
      dup2(in[0], 0);
      dup2(out[1], 1);
      for (const int fd : {in[0], in[1], out[0], out[1]}) close(fd);
      const std::string program = (fs::path(HONE_BUILD_DIR) / "bin" / "hone").string();
      std::vector<char *> argv{const_cast<char *>(program.c_str())};
      for (const std::string &argument : arguments) argv.push_back(const_cast<char *>(argument.c_str()));
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    in_ = in[1];
    out_ = out[0];
  }
  ~Talk() {
    if (in_ >= 0) close(in_);
    close(out_);
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
  }
  void say(const std::string &text) const {
    ASSERT_EQ(write(in_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::string hear(size_t least, bool to_the_line_end) const {  // "" after a minute of silence
    std::string text;
    while (to_the_line_end ? text.find('\n') == std::string::npos : text.size() < least) {
      pollfd waiting{out_, POLLIN, 0};
      char bytes[4096];
      if (poll(&waiting, 1, 60'000) <= 0) return "";
      const ssize_t got = read(out_, bytes, sizeof bytes);
      if (got <= 0) return "";
      text.append(bytes, static_cast<size_t>(got));
    }
    return text;
  }
  void interrupt() const { kill(child_, SIGINT); }
  int end() {
    int status = 0;
    if (terminal_) {
      // ctrl-D, which counts only while a line is waited for; closing a terminal would kill the program.
      for (int tries = 0; tries < 600 && waitpid(child_, &status, WNOHANG) == 0; ++tries) {
        [[maybe_unused]] const ssize_t wrote = write(in_, "\x04", 1);
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    } else {
      close(std::exchange(in_, -1));
      waitpid(child_, &status, 0);
    }
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  bool terminal_;
  pid_t child_ = -1;
  int in_ = -1, out_ = -1;
};

TEST_F(Conversations, ChatAnswersEachLineWithTheHistoryBeforeIt) {
  const fs::path path = model();
  How how;
  how.input = "ADD 1 1\nADD 2 2\n/reset\nADD 1 1\n\n/help\n/nosuch\n/exit\nADD 3 3\n";
  const std::vector<std::string> arguments = {"chat",         "--model", path.string(), "--temperature", "0",
                                              "--max-tokens", "6"};
  const Ended ended = hone(arguments, how);
  ASSERT_EQ(ended.code, 0) << ended.err;
  std::vector<std::string> answers;
  std::istringstream text(ended.out);
  for (std::string line; std::getline(text, line);) answers.push_back(line);
  ASSERT_EQ(answers.size(), 3u) << ended.out;
  EXPECT_EQ(answers[0], answers[2]) << "after /reset the same question has the same answer";
  EXPECT_NE(ended.err.find("there is no command /nosuch"), std::string::npos) << ended.err;

  // The second answer is what generate gives for the whole conversation.
  How rows;
  rows.input = json{{"messages",
                     {{{"role", "user"}, {"content", "ADD 1 1"}},
                      {{"role", "assistant"}, {"content", answers[0]}},
                      {{"role", "user"}, {"content", "ADD 2 2"}}}}}
                   .dump() +
               "\n";
  const Ended generated =
      hone({"generate", "--model", path.string(), "--input", "-", "--temperature", "0", "--max-tokens", "6"}, rows);
  ASSERT_EQ(generated.code, 0) << generated.err;
  EXPECT_EQ(lines(generated.out).at(0).at("text"), answers[1]);

  how.input = "what\nADD 1 1\n";  // a word that the vocabulary lacks
  const Ended wrong = hone(arguments, how);
  EXPECT_EQ(wrong.code, 1);
  EXPECT_NE(wrong.err.find("the word \"what\""), std::string::npos) << wrong.err;
  EXPECT_EQ(wrong.out, answers[0] + "\n") << "the next line is answered as if the wrong one had not been";

  fs::remove(path / "chat_template.jinja");
  const Ended none = hone(arguments, how);
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.err.find("the model has no chat template; give one with --template FILE"), std::string::npos)
      << none.err;
}

TEST_F(Conversations, OnATerminalALineIsEditedAndAnEarlierOneRecalled) {
  const fs::path path = model();
  Talk talk({"chat", "--model", path.string(), "--temperature", "0", "--max-tokens", "6", "--quiet"}, true);
  talk.say("ADD 1 1\n");
  const std::string first = talk.hear(0, true);
  EXPECT_NE(first, "");
  talk.say("/reset\n");
  talk.say("\x1b[A\x1b[A\n");  // up, twice: the line before /reset
  EXPECT_EQ(talk.hear(0, true), first) << "the line was not recalled";
  talk.say("/reset\nADD 1 2\x7f" "1\n");  // the last letter taken back
  EXPECT_EQ(talk.hear(0, true), first) << "the line was not edited";
  talk.say("/reset\nADD 1\x01\x0b" "ADD 1 1\n");  // to the line's beginning, and all after it taken away
  EXPECT_EQ(talk.hear(0, true), first) << "the line was not edited";
  talk.say("ADD 3");
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  talk.say("\x03");  // ctrl-C forgets what was typed
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  talk.say("/reset\nADD 1 1\n");
  EXPECT_EQ(talk.hear(0, true), first) << "ctrl-C did not forget what was typed";
  EXPECT_EQ(talk.end(), 0);
}

TEST_F(Conversations, CtrlCStopsTheAnswerAndNotTheProgram) {
  // Without <eos> an answer goes on until it is stopped.
  const fs::path path = model(true, "", 60'000);
  Talk talk({"chat", "--model", path.string(), "--max-tokens", "50000", "--quiet"});
  talk.say("ADD 1 1\n");
  std::string answer = talk.hear(20, false);
  EXPECT_NE(answer, "");
  talk.interrupt();
  const std::string rest = talk.hear(0, true);
  EXPECT_NE(rest, "") << "the stopped answer does not end its line";
  answer += rest;
  EXPECT_LT(std::count(answer.begin(), answer.end(), ' '), 25'000) << "the answer was not stopped";
  talk.interrupt();  // while it waits for a line
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  talk.say("/reset\nADD 2 2\n");
  EXPECT_NE(talk.hear(20, false), "") << "the program does not answer after ctrl-C";
  talk.interrupt();
  EXPECT_NE(talk.hear(0, true), "");
  EXPECT_EQ(talk.end(), 0);
}

}  // namespace
}  // namespace hone_pipeline
