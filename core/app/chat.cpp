// chat.cpp -- `hone chat`: a conversation with a model, line by line. Answers come token by token on stdout; all else
// is on stderr.
#include <signal.h>

#include <atomic>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/app/line_reader.h"
#include "core/app/model_rows.h"
#include "core/app/verbs.h"
#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/rollout/sampler.h"
#include "core/text/decode_stream.h"

namespace hone {
namespace {

using nlohmann::ordered_json;

std::atomic<bool> stop_asked{false};

// ctrl-C stops the answer under way and nothing else. Without SA_RESTART, so that it also ends the wait for a line.
void listen_to_ctrl_c() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_asked = true; };
  sigaction(SIGINT, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);  // a closed stdout is an error of writing, told at the end
}

constexpr const char *help =
    "Write a line and the model answers it; the up key recalls earlier ones. ctrl-C stops an answer.\n"
    "/reset  forget the conversation    /help  this    /exit  end (also ctrl-D)\n";

class Chat {
 public:
  explicit Chat(const Arguments &a) : a_(a), open_(a), sampler_(kernels(), open_.pool), lines_(stop_asked) {
    const Tokenizer &tokenizer = *open_.model.tokenizer;
    if (!tokenizer.chat().exists())
      throw Failure(
          a.model.string() +
          ": the model has no chat template; give one with --template FILE, put a chat_template.jinja beside its "
          "tokenizer.json, or use `hone generate` with a \"prompt\"");
    reset();
  }

  int run() {
    if (lines_.is_terminal()) std::cerr << help;
    std::string line;
    for (;;) {
      switch (lines_.next(line)) {
        case LineReader::Next::end:
          if (lines_.is_terminal()) std::cerr << "\n";
          return failed_ ? 1 : 0;
        case LineReader::Next::interrupted:
          std::cerr << "\n(/exit or ctrl-D ends)\n";
          continue;
        case LineReader::Next::line:
          break;
      }
      if (line.find_first_not_of(" \t") == std::string::npos) continue;
      if (line == "/exit" || line == "/quit") return failed_ ? 1 : 0;
      if (line[0] == '/' && command(line)) continue;
      try {
        answer(line);
      } catch (const Failure &failure) {  // of this line only
        std::cerr << "hone: " << failure.what() << "\n";
        failed_ = !lines_.is_terminal();
      }
      if (!std::cout) return 1;  // run_verb() says why
    }
  }

 private:
  void reset() {
    messages_ = ordered_json::array();
    if (!a_.system.empty()) messages_.push_back({{"role", "system"}, {"content", a_.system}});
  }

  bool command(const std::string &line) {
    if (line == "/reset") {
      reset();
      std::cerr << "(a new conversation)\n";
    } else if (line == "/help") {
      std::cerr << help;
    } else if (line.find_first_of(" /", 1) != std::string::npos) {
      return false;  // a path or a sentence
    } else {
      std::cerr << "there is no command " << line << "; /help tells which there are\n";
    }
    return true;
  }

  void answer(const std::string &line) {
    if (const size_t bad = invalid_utf8(line); bad != std::string::npos)
      throw Failure("the line has invalid UTF-8 at byte " + std::to_string(bad));
    const Tokenizer &tokenizer = *open_.model.tokenizer;
    ordered_json asked = messages_;
    asked.push_back({{"role", "user"}, {"content", line}});
    const std::vector<int32_t> ids = tokenizer.encode(tokenizer.chat().render(asked, true, nullptr, nullptr, "chat"));
    if (const uint32_t positions = open_.model.architecture->info().max_positions; ids.size() >= positions)
      throw Failure("the conversation has " + std::to_string(ids.size()) + " tokens, and the model's " +
                    std::to_string(positions) + " positions leave none for an answer; /reset begins a new one");
    SampleSettings settings = sample_settings(a_, tokenizer);
    settings.step = ++turn_;  // so that the same question twice is not the same dice
    DecodeStream stream(tokenizer, true);
    std::string text;
    const auto show = [&](const std::string &part) {
      text += part;
      std::cout << part << std::flush;
    };
    settings.on_token = [&](size_t, int32_t token) {
      show(stream.push(token));
      return !stop_asked.load() && static_cast<bool>(std::cout);
    };
    stop_asked = false;
    sampler_.generate(*open_.model.weights, &tokenizer, {{ids, 1, 0}}, settings, {}, [] { return stop_asked.load(); });
    show(stream.finish());
    std::cout << "\n" << std::flush;
    if (stop_asked.exchange(false)) std::cerr << "(stopped)\n";
    asked.push_back({{"role", "assistant"}, {"content", text}});
    messages_ = std::move(asked);
  }

  const Arguments &a_;
  OpenModel open_;
  Sampler sampler_;
  LineReader lines_;
  bool failed_ = false;
  uint32_t turn_ = 0;
  ordered_json messages_;
};

}  // namespace

int chat_verb(const Arguments &a) {
  Chat chat(a);
  listen_to_ctrl_c();
  return chat.run();
}

}  // namespace hone
