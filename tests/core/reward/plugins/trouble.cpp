// trouble.cpp -- rewards that misbehave on responses that hold the text BAD, each in the way that its setting says.
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <hone/ext/reward.h>
#include <hone/plugin.hpp>
#include <limits>
#include <string_view>

namespace {

// Written against the C interface, because hone::Reward would not let it do most of this.
class Trouble {
 public:
  using Interface = Trouble;
  static constexpr const char *kind = HONE_REWARD;
  virtual ~Trouble() = default;

  std::string what = "none";
  std::string in_create = "none";
  static auto params() {
    return hone::params(hone::param("what", &Trouble::what, "what it does"), hone::param("in_create", &Trouble::in_create, "likewise"));
  }
  void start(const hone::Services &) {
    if (in_create == "throw") throw hone::Error("it will not start");
    if (in_create == "crash") raise(SIGSEGV);
    if (in_create == "hang")
      for (;;) pause();
  }

  // Otherwise a response's score is its length plus 1000 times the index of the worker's process-wide call, which is 0 when
  // each row is asked once: a score must not depend on company.
  static int32_t score(void *self, const hone_response *in, uint32_t n, hone_scores *out, hone_error *err) {
    const std::string &what = static_cast<const Trouble *>(self)->what;
    for (uint32_t i = 0; i < n; ++i) {
      const std::string_view text(in[i].text.data, in[i].text.size);
      out->score[i] = float(text.size());
      if (what.starts_with("steps") && out->step) score_steps(in[i], text, what == "steps_all", out->step[i]);
      if (text.find("BAD") == text.npos) continue;
      if (what == "segfault") *static_cast<volatile int *>(nullptr) = 1;
      if (what == "abort") abort();
      if (what == "exit") exit(0);
      if (what == "hang") for (;;) pause();
      if (what == "throw_out") throw 42;
      if (what == "nan") out->score[i] = std::numeric_limits<float>::quiet_NaN();
      if (what == "steps_overflow") out->step[i][in[i].n_steps] = 1;
      if (what == "steps_inf") out->step[i][0] = std::numeric_limits<float>::infinity();
      if (what == "inf") out->score[i] = std::numeric_limits<float>::infinity();
      if (what == "fail_call") {
        std::snprintf(err->text, sizeof err->text, "the whole call failed");
        return HONE_FAILED;
      }
      if (what == "fail_silently") return 77;
      if (what == "overflow") out->score[n + 1] = 1;
      if (what == "underflow") out->score[-1] = 1;
      if (what == "why_overflow") std::memset(&out->why[n], 0, 8);
      if (what == "why_unterminated") {
        out->score[i] = std::numeric_limits<float>::quiet_NaN();
        std::memset(out->why[i].text, 0xFF, sizeof out->why[i].text);
      }
      if (what == "print") {
        std::printf("printed on stdout\n");
        if (write(1, "written to 1\n", 13) != 13) abort();
      }
      if (what == "fork_return") fork();  // the child returns into the host's code
      if (what == "fork_stay") {          // the child keeps the socket open after the worker has crashed
        if (fork() == 0) for (;;) pause();
        raise(SIGKILL);
      }
      if (what == "close_all") for (int fd = 3; fd < 64; ++fd) close(fd);
      if (what == "garbage") for (int fd = 3; fd < 16; ++fd) send(fd, "not a message, whatever that was", 32, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (what == "stop_self") raise(SIGSTOP);
    }
    return HONE_OK;
  }
  // A step's score is the length of its text plus a thousandth of its first token's place; one that holds "none" has none.
  static void score_steps(const hone_response &in, std::string_view text, bool all, float *out) {
    for (uint32_t j = 0; j < in.n_steps; ++j) {
      const std::string_view step = text.substr(in.step_text[j], (j + 1 < in.n_steps ? in.step_text[j + 1] : text.size()) - in.step_text[j]);
      if (all || step.find("none") == step.npos) out[j] = float(step.size()) + 0.001f * float(in.step_start[j]);
    }
  }
  static const hone_reward &methods() {
    static const hone_reward m{sizeof(hone_reward), sizeof(hone_response), score};
    return m;
  }
};

// As compiled against another header, whose responses are longer or shorter than this host's.
template <uint32_t Size> class OtherTime {
 public:
  using Interface = OtherTime;
  static constexpr const char *kind = HONE_REWARD;
  virtual ~OtherTime() = default;
  static int32_t score(void *, const hone_response *in, uint32_t n, hone_scores *out, hone_error *) {
    for (uint32_t i = 0; i < n; ++i) {
      const char *bytes = reinterpret_cast<const char *>(in) + size_t(i) * Size;
      hone_response response{};
      std::memcpy(&response, bytes, Size < sizeof response ? Size : sizeof response);
      bool clean = response.struct_size == (Size < sizeof response ? Size : sizeof response);
      for (size_t at = sizeof response; at < Size; ++at) clean = clean && bytes[at] == 0;
      out->score[i] = clean ? float(response.text.size) : -1;
    }
    return HONE_OK;
  }
  static const hone_reward &methods() {
    static const hone_reward m{sizeof(hone_reward), Size, score};
    return m;
  }
};

}  // namespace

HONE_PLUGIN("org.hone.test.trouble", "1.0.0", hone::component<Trouble>("trouble", "misbehaves"),
            hone::component<OtherTime<sizeof(hone_response) + 24>>("newer", "of a newer header"),
            hone::component<OtherTime<offsetof(hone_response, step_text)>>("older", "of the header of ABI 1.0"));
