// lua_host.cpp -- see lua_host.h.
#include "core/script/lua_host.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "core/base/failure.h"
#include "core/base/philox.h"
#include "core/base/text.h"

namespace hone {

// A new thread's extra space is a copy of the main thread's, so every coroutine finds its host.
LuaHost &LuaHost::of(lua_State *L) { return **static_cast<LuaHost **>(lua_getextraspace(L)); }

LuaHost::LuaHost(uint64_t memory_limit) : memory_limit_(memory_limit) {
  state_ = lua_newstate(allocate, this);
  if (!state_) throw Failure("cannot start Lua within " + human_bytes(memory_limit) + " of memory; raise the limit");
  *static_cast<LuaHost **>(lua_getextraspace(state_)) = this;
  running_ = state_;
}

LuaHost::~LuaHost() {
  running_ = nullptr;
  lua_close(state_);
}

void *LuaHost::allocate(void *self, void *block, size_t old_size, size_t size) {
  LuaHost &host = *static_cast<LuaHost *>(self);
  if (!block) old_size = 0;  // then it tells the kind of object
  if (size == 0) {
    std::free(block);
    host.memory_used_ -= old_size;
    return nullptr;
  }
  if (size > old_size && host.memory_used_ - old_size + size > host.memory_limit_) {
    // Not while Lua moves its own stack (at most 16 MB): it must not be looked at then.
    const bool stack_is_sound = host.running_ && (!block || size > (32u << 20));
    host.refused_memory_ = true;
    host.refused_at_ = stack_is_sound ? host.place(host.running_) : Place();
    return nullptr;
  }
  void *moved = std::realloc(block, size);
  if (!moved) return size <= old_size ? block : nullptr;
  host.memory_used_ += size - old_size;
  host.charge(size >> 4);
  return moved;
}

// Once nothing remains, the hook runs at the very next instruction; lua_sethook may be called from anywhere.
void LuaHost::charge(uint64_t instructions) {
  if (instructions < remaining_) {
    remaining_ -= instructions;
  } else if (remaining_ > 0) {
    remaining_ = 0;
    if (running_) lua_sethook(running_, on_count, LUA_MASKCOUNT, 1);
  }
}

void LuaHost::on_count(lua_State *L, lua_Debug *) {
  LuaHost &host = of(L);
  host.charge(kHookEvery);
  if (host.remaining_ == 0 || !host.limit_sentence_.empty()) host.raise_limit(L);
}

void LuaHost::raise_limit(lua_State *L) {
  if (limit_sentence_.empty())
    limit_sentence_ = with_place(L, "the limit of " + std::to_string(instruction_limit_) +
                                        " instructions was reached; is there a loop that does not end?");
  lua_pushlstring(L, limit_sentence_.data(), limit_sentence_.size());
  lua_error(L);
  std::abort();  // lua_error does not return
}

void LuaHost::raise_again_if_limit(lua_State *L, int status) {
  if (limit_sentence_.empty()) {
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    if (status != LUA_ERRMEM && !(refused_memory_ && std::strstr(text, "not enough memory"))) return;
    const Place at = refused_at_.line ? refused_at_ : place(L);
    limit_sentence_ = (at.line ? at.text() + ": " : std::string()) + "the limit of " + human_bytes(memory_limit_) +
                      " of memory was reached; make less at once";
  }
  raise_limit(L);
}

Place LuaHost::place(lua_State *L) const {
  lua_Debug frame;
  for (int level = 0; lua_getstack(L, level, &frame); ++level) {
    lua_getinfo(L, "Sl", &frame);
    if (frame.currentline > 0) return {frame.source[0] == '@' ? frame.source + 1 : frame.short_src, frame.currentline};
  }
  return {};
}

Place LuaHost::function_place(lua_State *L, int index) const {
  lua_Debug facts;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">S", &facts);
  if (facts.linedefined <= 0) return place(L);
  return {facts.source[0] == '@' ? facts.source + 1 : facts.short_src, facts.linedefined};
}

bool LuaHost::names_a_place(const std::string &message) const {
  if (message.compare(0, 6, "--set ") == 0) return true;
  for (const std::string &name : chunk_names_)
    if (message.compare(0, name.size(), name) == 0 && message[name.size()] == ':') return true;
  return false;
}

std::string LuaHost::with_place(lua_State *L, const std::string &message) const {
  if (names_a_place(message)) return message;
  const Place at = place(L);
  return at.line ? at.text() + ": " + message : message;
}

void push_problem(lua_State *L, const std::exception &problem) {
  const std::string text = LuaHost::of(L).with_place(L, problem.what());
  lua_pushlstring(L, text.data(), text.size());
}

int LuaHost::on_error(lua_State *L) {
  if (lua_type(L, 1) != LUA_TSTRING) {
    if (!luaL_callmeta(L, 1, "__tostring") || lua_type(L, -1) != LUA_TSTRING)
      lua_pushfstring(L, "the script raised an error that is a %s, not a text", luaL_typename(L, 1));
  }
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  const std::string placed = of(L).with_place(L, std::string(text, size));
  lua_pushlstring(L, placed.data(), placed.size());
  return 1;
}

int LuaHost::trampoline(lua_State *L) {
  const auto *body = static_cast<const std::function<void(lua_State *)> *>(lua_touserdata(L, 1));
  lua_settop(L, 0);
  (*body)(L);
  return 0;
}

void LuaHost::run(const std::function<void(lua_State *)> &body, uint64_t instruction_limit, std::pair<uint64_t, uint64_t> key) {
  instruction_limit_ = remaining_ = instruction_limit;
  limit_sentence_.clear();
  refused_memory_ = false;
  refused_at_ = {};
  key_ = key;
  draws_ = 0;
  running_ = state_;
  lua_sethook(state_, on_count, LUA_MASKCOUNT, kHookEvery);
  lua_settop(state_, 0);
  lua_pushcfunction(state_, on_error);  // light C functions: nothing here allocates outside of the protected call
  lua_pushcfunction(state_, guarded<trampoline>);
  lua_pushlightuserdata(state_, const_cast<std::function<void(lua_State *)> *>(&body));
  const int status = lua_pcall(state_, 1, 0, 1);
  if (status == LUA_OK) return;
  std::string sentence = limit_sentence_;
  if (sentence.empty()) {
    size_t size = 0;
    const char *text = lua_type(state_, -1) == LUA_TSTRING ? lua_tolstring(state_, -1, &size) : nullptr;
    sentence = text ? std::string(text, size) : "an error that is not a text was raised";
    if (status == LUA_ERRMEM || (refused_memory_ && sentence.find("not enough memory") != std::string::npos))
      sentence = (refused_at_.line ? refused_at_.text() + ": " : std::string()) + "the limit of " + human_bytes(memory_limit_) +
                 " of memory was reached; make less at once";
  }
  lua_settop(state_, 0);
  throw Failure(with_replaced_invalid_utf8(sentence));
}

void LuaHost::load_text(lua_State *L, const std::string &text, const std::string &name) {
  if (text.compare(0, 1, LUA_SIGNATURE, 1) == 0) throw UsageError(name + ": is compiled Lua; only source text is read");
  chunk_names_.push_back(name);
  if (name.size() + 1 > LUA_IDSIZE)  // Lua shortens long names in its messages
    chunk_names_.push_back("..." + name.substr(name.size() - (LUA_IDSIZE - 4)));
  std::string source = text;
  if (source.compare(0, 3, "\xEF\xBB\xBF") == 0) source.erase(0, 3);
  if (source.compare(0, 1, "#") == 0) source.insert(0, "--");
  if (luaL_loadbufferx(L, source.data(), source.size(), ("@" + name).c_str(), "t") == LUA_OK) return;
  if (lua_type(L, -1) == LUA_TSTRING && !names_a_place(lua_tostring(L, -1))) {  // "C stack overflow" of too deep nesting
    lua_pushfstring(L, "%s: %s", name.c_str(), lua_tostring(L, -1));
  }
  lua_error(L);
}

uint64_t LuaHost::random_bits() {
  const auto bits = hone::random_bits({.seed = key_.first,
                                       .purpose = Purpose::script,
                                       .stage = static_cast<uint32_t>(key_.second >> 32),
                                       .step = static_cast<uint32_t>(key_.second),
                                       .row = static_cast<uint32_t>(draws_ >> 32),
                                       .token = static_cast<uint32_t>(draws_)});
  ++draws_;
  return (uint64_t{bits[0]} << 32) | bits[1];
}

}  // namespace hone
