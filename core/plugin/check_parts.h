// check_parts.h -- what the parts of `hone check` share: findings, guarded buffers, components made for trying.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "core/plugin/registry.h"

namespace hone {

// What a part found. Problems fail the check; notes are worth knowing.
class Findings {
 public:
  explicit Findings(int descriptor) : descriptor_(descriptor) {}
  void doing(const std::string &what);  // told before it is tried, so that a crash has a name
  void problem(const std::string &sentence);
  void note(const std::string &sentence);
  void with(const std::string &settings) { with_ = settings; }  // joins the sentences that follow: "with beta = 0.1"

 private:
  void say(const char *kind, const std::string &sentence);
  int descriptor_;
  std::string with_;
  std::vector<std::string> said_;
};

// [n] T between two zones that must stay as they were.
template <class T>
class Guarded {
 public:
  explicit Guarded(size_t n, T fill = {}) : n_(n), all_(n + 2 * kZone) {
    std::memset(static_cast<void *>(all_.data()), 0xA5, all_.size() * sizeof(T));
    std::fill(begin(), begin() + n, fill);
  }
  T *begin() { return all_.data() + kZone; }
  T *data() { return begin(); }
  T &operator[](size_t i) { return begin()[i]; }
  size_t size() const { return n_; }
  bool intact() const {
    const auto untouched = [&](size_t first) {
      const auto *bytes = reinterpret_cast<const unsigned char *>(all_.data() + first);
      for (size_t i = 0; i < kZone * sizeof(T); ++i)
        if (bytes[i] != 0xA5) return false;
      return true;
    };
    return untouched(0) && untouched(kZone + n_);
  }

 private:
  static constexpr size_t kZone = 64;
  size_t n_;
  std::vector<T> all_;
};

// An error that a failed call left: "" when it is as the ABI asks, else what is wrong with it.
std::string wrong_with_error(int32_t code, const hone_error &);

void check_reward(const Instance &, Findings &);
void check_objective(const Instance &, Findings &);
void check_optimizer(const Instance &, Findings &);
void check_model(const Instance &, Findings &);

}  // namespace hone
