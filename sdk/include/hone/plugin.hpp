// plugin.hpp -- C++ over abi.h: member variables become settings, exceptions become hone_error, host services become calls.
//
//   class Brevity final : public hone::Reward {
//    public:
//     double scale = 100;                                   // a default is written once, here
//     static auto params() { return hone::params(hone::param("scale", &Brevity::scale, "what it is for", {.min = 1})); }
//     void start(const hone::Services &);                   // optional: after the settings are set; may throw hone::Error
//     ...
//   };
//   HONE_PLUGIN("org.example.brevity", "1.0.0", hone::component<Brevity>("brevity", "prefers short responses"));
//
// Header-only, and depends on the standard library alone: g++ 12 or clang++ 14, libstdc++ or libc++.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "hone/abi.h"
#include "hone/ext/host.h"

// Two plugins built alike must not share inline functions and statics: the loader would merge them.
#define HONE_HIDDEN __attribute__((visibility("hidden")))

namespace hone HONE_HIDDEN {

// What a plugin throws when a setting or an input is wrong: one sentence that names the thing and the value found.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// --- settings --------------------------------------------------------------------------------------------------------------

// Member types of settings beside bool, integers, floating point and std::string. Lists and tables arrive as JSON text
// (hone/json.hpp reads it); handles are indices that host services take.
struct JsonList { std::string text = "[]"; };
struct JsonTable { std::string text = "{}"; };
template <int32_t Type>
struct Handle {
  int64_t index = -1;
  explicit operator bool() const { return index >= 0; }  // whether the script gave one
};
using ModelHandle = Handle<HONE_MODEL_HANDLE>;
using RewardHandle = Handle<HONE_REWARD_HANDLE>;
using DataHandle = Handle<HONE_DATA_HANDLE>;
using FunctionHandle = Handle<HONE_FUNCTION_HANDLE>;
using OptimizerHandle = Handle<HONE_OPTIMIZER_HANDLE>;

// What a setting may be. Numbers: min and max, both allowed. Strings: choices, up to 15. An integer's limits also keep
// within its member's type, so a value that passed the host's check always fits.
struct Limits {
  double min = -std::numeric_limits<double>::infinity(), max = std::numeric_limits<double>::infinity();
  const char *choices[16] = {};
  bool required = false;  // the script must give it
};

template <class T, class M>
struct Param {
  const char *name;
  M T::*member;
  const char *help;
  Limits limits;
};

template <class T, class M>
constexpr Param<T, M> param(const char *name, M T::*member, const char *help, Limits limits = {}) {
  return {name, member, help, limits};
}

template <class... P>
constexpr auto params(P... p) {
  return std::tuple<P...>{p...};
}

// --- host services -----------------------------------------------------------------------------------------------------------

namespace detail {

// The part of a struct that both sides know; the rest is zero. T begins with struct_size.
template <class T>
T known(const T &theirs) {
  T ours{};
  const size_t size = theirs.struct_size;
  std::memcpy(&ours, &theirs, size < sizeof ours ? size : sizeof ours);
  ours.struct_size = sizeof ours;
  return ours;
}

inline hone_str str(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view view(hone_str s) { return s.size ? std::string_view{s.data, s.size} : std::string_view{}; }

}  // namespace detail

// What the host offers to a component: small, copyable, valid until the component is destroyed.
class Services {
 public:
  explicit Services(const hone_host &host) : host_(&host) {}

  // The service's functions, or null when this host has none. T begins with struct_size; fields that an older host does
  // not know are null.
  template <class T>
  std::unique_ptr<const T> find(const char *id) const {
    const void *service = host_->get ? host_->get(host_, id) : nullptr;
    return service ? std::make_unique<const T>(detail::known(*static_cast<const T *>(service))) : nullptr;
  }
  template <class T>
  T require(const char *id) const {
    if (const auto service = find<T>(id)) return *service;
    throw Error(std::string("this host does not offer ") + id + ", which is needed here");
  }
  const hone_host &host() const { return *host_; }

 private:
  const hone_host *host_;
};

// One line each in the run's log; a host without a log drops them. [many]
class Log {
 public:
  Log() = default;
  explicit Log(const Services &services) {
    if (const auto log = services.find<hone_log>(HONE_HOST_LOG)) log_ = *log;
  }
  void debug(std::string_view text) const { write(HONE_DEBUG, text); }
  void info(std::string_view text) const { write(HONE_INFO, text); }
  void warning(std::string_view text) const { write(HONE_WARNING, text); }
  void problem(std::string_view text) const { write(HONE_PROBLEM, text); }

 private:
  void write(int32_t level, std::string_view text) const {
    if (log_.write) log_.write(log_.ctx, level, detail::str(text));
  }
  hone_log log_{};
};

// Numbers that join the current step's record in metrics.jsonl. [main]
class Metrics {
 public:
  Metrics() = default;
  explicit Metrics(const Services &services) {
    if (const auto metrics = services.find<hone_metrics>(HONE_HOST_METRICS)) metrics_ = *metrics;
  }
  void put(std::string_view name, double value) const {
    if (metrics_.put) metrics_.put(metrics_.ctx, detail::str(name), value);
  }

 private:
  hone_metrics metrics_{};
};

// Loops on the host's threads; plugins start none of their own. Without a host, or nested, it runs on the caller. [many]
class Parallel {
 public:
  Parallel() = default;
  explicit Parallel(const Services &services) {
    if (const auto parallel = services.find<hone_parallel>(HONE_HOST_PARALLEL)) parallel_ = *parallel;
  }
  uint32_t threads() const { return parallel_.threads ? parallel_.threads(parallel_.ctx) : 1; }

  // body(begin, end) over ranges that cover [0, n), multiples of `grain` long but for the last. An exception thrown by a
  // body is thrown again here; the other ranges may or may not have run.
  template <class Body>
  void loop(uint64_t n, uint64_t grain, Body &&body) const {
    if (!parallel_.loop) {
      if (n > 0) body(uint64_t{0}, n);
      return;
    }
    struct Call {
      std::remove_reference_t<Body> *body;
      std::mutex mutex;
      std::exception_ptr thrown;
    } call{&body, {}, {}};
    parallel_.loop(
        parallel_.ctx, n, grain,
        [](void *arg, uint64_t begin, uint64_t end) {
          Call &c = *static_cast<Call *>(arg);
          try {
            (*c.body)(begin, end);
          } catch (...) {
            std::lock_guard<std::mutex> lock(c.mutex);
            if (!c.thrown) c.thrown = std::current_exception();
          }
        },
        &call);
    if (call.thrown) std::rethrow_exception(call.thrown);
  }

 private:
  hone_parallel parallel_{};
};

// Random numbers without state: the same four numbers always give the same bits within a run. [many]
class Random {
 public:
  explicit Random(const Services &services) : random_(services.require<hone_random>(HONE_HOST_RANDOM)) {}
  std::array<uint32_t, 4> bits(uint32_t stage, uint32_t step, uint32_t row, uint32_t token) const {
    std::array<uint32_t, 4> out{};
    random_.bits(random_.ctx, stage, step, row, token, out.data());
    return out;
  }
  // In [0, 1), 24 bits.
  float uniform(uint32_t stage, uint32_t step, uint32_t row, uint32_t token) const {
    return static_cast<float>(bits(stage, step, row, token)[0] >> 8) * 0x1p-24f;
  }

 private:
  hone_random random_;
};

// --- from a class to a component ----------------------------------------------------------------------------------------------

namespace detail {

inline int32_t fail(hone_error *err, int32_t code, const char *text) noexcept {
  if (err) {
    err->code = code;
    std::snprintf(err->text, sizeof err->text, "%s", text);
  }
  return code;
}

// Runs fn and turns whatever it throws into an error code. Every entry from the host passes through here.
template <class Fn>
int32_t guard(hone_error *err, Fn &&fn) noexcept {
  try {
    fn();
    return HONE_OK;
  } catch (const Error &e) {
    return fail(err, HONE_INVALID, e.what());
  } catch (const std::bad_alloc &) {
    return fail(err, HONE_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception &e) {
    return fail(err, HONE_FAILED, e.what());
  } catch (...) {
    return fail(err, HONE_FAILED, "unknown exception");
  }
}

// A failed host call, as an exception.
inline void check(int32_t code, const hone_error &err) {
  if (code == HONE_OK) return;
  const std::string text(err.text, ::strnlen(err.text, sizeof err.text));
  throw Error(text.empty() ? "a host service failed with code " + std::to_string(code) : text);
}

template <class M> struct IsHandle : std::false_type {};
template <int32_t Type> struct IsHandle<Handle<Type>> : std::true_type {};
template <int32_t Type> constexpr int32_t handle_type(const Handle<Type> &) { return Type; }

template <class M>
hone_value to_value(const M &m) {
  hone_value v{};
  if constexpr (std::same_as<M, bool>) v.type = HONE_BOOL, v.as.i = m;
  else if constexpr (std::integral<M>) v.type = HONE_INT, v.as.i = static_cast<int64_t>(m);
  else if constexpr (std::floating_point<M>) v.type = HONE_FLOAT, v.as.f = static_cast<double>(m);
  else if constexpr (std::same_as<M, std::string>) v.type = HONE_STRING, v.as.s = str(m);
  else if constexpr (std::same_as<M, JsonList>) v.type = HONE_LIST, v.as.s = str(m.text);
  else if constexpr (std::same_as<M, JsonTable>) v.type = HONE_TABLE, v.as.s = str(m.text);
  else {
    static_assert(IsHandle<M>::value, "a setting is a bool, a number, std::string, JsonList, JsonTable or a handle");
    v.type = handle_type(m), v.as.i = m.index;
  }
  return v;
}

template <class M>
void from_value(const hone_value &v, M &m) {
  if constexpr (std::floating_point<M>) m = static_cast<M>(v.as.f);
  else if constexpr (std::same_as<M, bool>) m = v.as.i != 0;
  else if constexpr (std::integral<M>) m = static_cast<M>(v.as.i);
  else if constexpr (std::same_as<M, std::string>) m = view(v.as.s);
  else if constexpr (IsHandle<M>::value) m.index = v.as.i;
  else m.text = view(v.as.s);
}

// A float's default as the decimal that was written: 0.2f reads 0.2, not 0.20000000298.
inline double shortest(float f) {
  char text[32];
  for (int digits = 6; digits <= 9; ++digits) {
    std::snprintf(text, sizeof text, "%.*g", digits, static_cast<double>(f));
    if (std::strtof(text, nullptr) == f) break;
  }
  return std::strtod(text, nullptr);
}

template <class T>
auto settings_of() {
  if constexpr (requires { T::params(); }) return T::params();
  else return std::tuple<>{};
}

// The settings of T. Each fallback is the member's own initializer.
template <class T>
class ParamTable {
 public:
  ParamTable() {
    std::apply([this](const auto &...p) { (this->add(p), ...); }, settings_of<T>());
  }
  const hone_param *data() const { return table_.data(); }
  uint32_t size() const { return static_cast<uint32_t>(table_.size()); }

 private:
  template <class B, class M>
  void add(const Param<B, M> &p) {
    hone_param row{};
    row.name = p.name;
    row.help = p.help;
    row.min = p.limits.min;
    row.max = p.limits.max;
    if constexpr (std::integral<M> && !std::same_as<M, bool>) {
      const double least = static_cast<double>(std::numeric_limits<M>::min());
      const double most = static_cast<double>(std::numeric_limits<M>::max());
      if (row.min < least) row.min = least;
      if (row.max > most) row.max = most;
    }
    row.fallback = to_value(defaults_.*p.member);
    if constexpr (std::same_as<M, float>) row.fallback.as.f = shortest(defaults_.*p.member);
    row.flags = p.limits.required ? HONE_REQUIRED : 0;
    if (p.limits.choices[0]) {
      auto &choices = choices_.emplace_back();
      for (size_t i = 0; i + 1 < choices.size() && p.limits.choices[i]; ++i) choices[i] = p.limits.choices[i];
      row.choices = choices.data();
    }
    table_.push_back(row);
  }
  const T defaults_{};
  std::deque<std::array<const char *, 16>> choices_;
  std::vector<hone_param> table_;
};

template <class T>
int32_t create(const hone_host *host, const hone_value *values, void **self, hone_error *err) {
  return guard(err, [&] {
    auto made = std::make_unique<T>();
    std::apply(
        [&](const auto &...p) {
          [[maybe_unused]] size_t i = 0;
          (from_value(values[i++], (*made).*(p.member)), ...);
        },
        settings_of<T>());
    if constexpr (requires { made->attach(*host); }) made->attach(*host);
    if constexpr (requires { made->start(Services(*host)); }) made->start(Services(*host));
    else if constexpr (requires { made->start(); }) made->start();
    if constexpr (requires { static_cast<typename T::Interface &>(*made).created(); })
      static_cast<typename T::Interface &>(*made).created();
    *self = static_cast<typename T::Interface *>(made.release());
  });
}

template <class T>
void destroy(void *self) {
  delete static_cast<typename T::Interface *>(self);
}

template <class T>
const void *methods_of() {
  if constexpr (requires { T::Interface::template methods_for<T>(); }) return &T::Interface::template methods_for<T>();
  else return &T::Interface::methods();
}

}  // namespace detail

// T is default-constructible and derives from one of hone::Reward, Objective, Optimizer, Model or Stage.
template <class T>
const hone_component *component(const char *name, const char *help = "") {
  static const detail::ParamTable<T> table;
  hone_component c{};
  c.struct_size = sizeof c;
  c.kind = T::Interface::kind;
  c.name = name;
  c.help = help;
  c.params = table.size() ? table.data() : nullptr;
  c.n_params = table.size();
  c.param_size = sizeof(hone_param);
  c.methods = detail::methods_of<T>();
  c.create = detail::create<T>;
  c.destroy = detail::destroy<T>;
  return new const hone_component(c);  // a plugin is never unloaded
}

namespace detail {

// The least host ABI minor that knows all these components' settings.
inline uint32_t min_minor(std::span<const hone_component *const> components) {
  uint32_t minor = 0;
  for (const hone_component *c : components)
    for (uint32_t i = 0; i < c->n_params; ++i)
      if (c->params[i].fallback.type >= HONE_OPTIMIZER_HANDLE) minor = 1;
  return minor;
}

}  // namespace detail
}  // namespace hone

// Once in a library: its id, its version and its components. The least host that it needs follows from their settings.
#define HONE_PLUGIN(id, version, ...)                                                                              \
  namespace {                                                                                                      \
  const hone_component *const hone_components_[] = {__VA_ARGS__};                                                  \
  }                                                                                                                \
  extern "C" HONE_EXPORT const hone_plugin hone_plugin_abi1 = {                                                    \
      sizeof(hone_plugin), ::hone::detail::min_minor(hone_components_), id, version, hone_components_,             \
      static_cast<uint32_t>(std::size(hone_components_))}
