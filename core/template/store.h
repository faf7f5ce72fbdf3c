// store.h -- makes the values of one rendering and counts what they cost.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/template/limits.h"
#include "core/template/value.h"

namespace hone::jinja {

// Must outlive the values that it made. One thread.
class Store {
 public:
  explicit Store(const Limits &limits) : limits_(limits) {}
  Store(const Store &) = delete;

  void step(uint64_t n = 1) {
    steps_ += n;
    if (steps_ > limits_.steps) refuse_steps();
  }
  // For work over texts: each byte at once (memcpy, memcmp), or character by character (properties, cases).
  void read(size_t bytes) { step(1 + bytes / 16); }
  void read_slowly(size_t bytes) { step(1 + bytes / 4); }
  void walk(size_t slots) { step(slots / 8); }  // over names, one after the other
  void charge(uint64_t bytes) {                 // before memory is taken
    memory_ += bytes;
    if (memory_ > limits_.memory) refuse_memory(bytes);
  }
  void release(uint64_t bytes) { memory_ -= bytes; }
  void foresee(uint64_t bytes) { charge(bytes), release(bytes); }  // Refusal when so much could not be taken
  void check_text(uint64_t bytes) const;  // Refusal when a text of so many bytes would be too long
  const Limits &limits() const { return limits_; }

  Value text(std::string);
  Value undefined(
      const std::string &reason);  // reason: a sentence such as "'x' is undefined", with its names shortened
  Value sequence(std::vector<Value>, Sequence::Flavour = Sequence::Flavour::list);
  Value list(std::vector<Value> items) { return sequence(std::move(items)); }
  Value tuple(std::vector<Value> items) { return sequence(std::move(items), Sequence::Flavour::tuple); }
  Value generator(std::vector<Value> items) { return sequence(std::move(items), Sequence::Flavour::generator); }
  Value range(int64_t from, int64_t to, int64_t by);  // Refusal when longer than longest_range
  Value mapping(const std::vector<std::pair<Value, Value>> &);
  Value of_json(const nlohmann::ordered_json &);
  // Counts an object that is about to become a value; `parts` are the values that it owns.
  template <class T>
  Value object(std::shared_ptr<T> made, const std::vector<Value> &parts = {}) {
    count(*made, sizeof(T) + 32 + parts.size() * sizeof(Value), depth_with(parts));
    return Value::of(Value::Kind::object, std::move(made));
  }

 private:
  static uint32_t depth_with(const std::vector<Value> &parts);
  void count(Object &, uint64_t bytes, uint32_t depth);
  [[noreturn]] void refuse_steps() const;
  [[noreturn]] void refuse_memory(uint64_t bytes);

  Limits limits_;
  uint64_t steps_ = 0, memory_ = 0;
};

// Memory that a block of code takes.
class Held {
 public:
  Held(Store &store, uint64_t bytes) : store_(store), bytes_(bytes) { store_.charge(bytes); }
  ~Held() { store_.release(bytes_); }
  Held(const Held &) = delete;

 private:
  Store &store_;
  uint64_t bytes_;
};

// Text that grows piece by piece, counted as it does.
class Output {
 public:
  explicit Output(Store &store) : store_(store) {}
  ~Output() { store_.release(text_.size()); }
  Output(const Output &) = delete;
  void append(std::string_view piece) {
    store_.step(1 + piece.size() / 16);
    store_.check_text(text_.size() + piece.size());
    store_.charge(piece.size());
    text_ += piece;
  }
  const std::string &text() const { return text_; }

 private:
  Store &store_;
  std::string text_;
};

}  // namespace hone::jinja
