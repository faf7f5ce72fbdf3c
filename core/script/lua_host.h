// lua_host.h -- one Lua 5.4 state under limits on instructions and memory, whose every error names file and line.
#pragma once

#include <cstdint>
#include <functional>
#include <lua.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/script/pipeline.h"

namespace hone {

// Lua is built as C++ here: its errors are exceptions and unwind destructors. One thread at a time.
class LuaHost {
 public:
  explicit LuaHost(uint64_t memory_limit);
  ~LuaHost();
  LuaHost(const LuaHost &) = delete;
  static LuaHost &of(lua_State *);

  // Runs body(L) with a fresh budget of instructions; whatever goes wrong comes out as Failure, one sentence with its place.
  // key and a count of draws make the random numbers of math.random.
  void run(const std::function<void(lua_State *)> &body, uint64_t instruction_limit, std::pair<uint64_t, uint64_t> key);

  // Reads Lua source text (never bytecode) and leaves the compiled function on the stack. name: "tiny/corpus.lua".
  void load_text(lua_State *, const std::string &text, const std::string &name);

  // Counts work that the instruction counter cannot see (long loops inside library functions) before it is done. May raise.
  void spend(lua_State *L, uint64_t instructions) {
    charge(instructions);
    if (remaining_ == 0) raise_limit(L);
  }
  // A buffer outside of Lua's memory has grown by `more` to `size` bytes: counts it as if it lay within. May raise.
  void spend_memory(lua_State *L, uint64_t size, uint64_t more) {
    if (size > memory_limit_ - memory_used_) {
      refused_memory_ = true;
      refused_at_ = place(L);
      luaL_error(L, "not enough memory");
    }
    spend(L, more / 16);
  }
  // After a protected call failed: a limit once hit cannot be caught by the script, so it is raised again. May raise.
  void raise_again_if_limit(lua_State *, int status);
  bool limit_hit() const { return !limit_sentence_.empty(); }
  void set_running(lua_State *L) { running_ = L; }

  // Where the innermost Lua function of this stack is now; line 0 when there is none.
  Place place(lua_State *) const;
  Place function_place(lua_State *, int index) const;  // where the function at that index of the stack is written
  std::string with_place(lua_State *, const std::string &message) const;

  // Sentences that begin with this name have a place already.
  void add_source(const std::string &name) { chunk_names_.push_back(name); }

  uint64_t random_bits();  // the next 64 bits of this run's Philox stream

  void *owner = nullptr;  // of whoever built this host
  static constexpr int kHookEvery = 1000;

 private:
  static void *allocate(void *self, void *block, size_t old_size, size_t size);
  static void on_count(lua_State *, lua_Debug *);
  static int on_error(lua_State *);
  static int trampoline(lua_State *);
  void charge(uint64_t instructions);
  [[noreturn]] void raise_limit(lua_State *);
  bool names_a_place(const std::string &message) const;

  lua_State *state_ = nullptr, *running_ = nullptr;
  uint64_t memory_limit_, memory_used_ = 0;
  uint64_t instruction_limit_ = 0, remaining_ = 0;
  bool refused_memory_ = false;
  Place refused_at_;
  std::string limit_sentence_;  // not empty once a limit was hit in this run
  std::pair<uint64_t, uint64_t> key_{0, 0};
  uint64_t draws_ = 0;
  std::vector<std::string> chunk_names_;
};

// Raises a Lua error with what a C++ function threw, at the line of the Lua code that called it.
void push_problem(lua_State *, const std::exception &);
template <int (*Function)(lua_State *)>
int guarded(lua_State *L) {
  try {
    return Function(L);
  } catch (const std::exception &problem) {
    push_problem(L, problem);
  }
  return lua_error(L);
}

}  // namespace hone
