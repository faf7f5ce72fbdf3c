// value.h -- what a template computes with: Python's None, bool, int (64 bits), float, str, list, tuple and dict,
// jinja2's Undefined, and objects such as macros.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace hone::jinja {

class Store;

// Immutable parts of values, counted by the Store that made them until they are gone.
struct Object {
  Object() = default;
  Object(const Object &) = delete;
  virtual ~Object();
  virtual const char *type_name() const = 0;  // Python's, for messages
  Store *owner = nullptr;                     // null: part of the template, not of a rendering
  uint64_t bytes = 0;                         // charged to the owner
  uint32_t depth = 0;                         // values within values that it owns
};

class Value {
 public:
  enum class Kind : uint8_t { undefined, none, boolean, integer, real, text, sequence, mapping, object };

  Value() : kind_(Kind::none), integer_(0) {}
  static Value boolean(bool b) {
    Value v;
    v.kind_ = Kind::boolean;
    v.integer_ = b;
    return v;
  }
  static Value integer(int64_t i) {
    Value v;
    v.kind_ = Kind::integer;
    v.integer_ = i;
    return v;
  }
  static Value real(double d) {
    Value v;
    v.kind_ = Kind::real;
    v.real_ = d;
    return v;
  }
  static Value constant(std::string text);  // a text that no Store counts
  static Value of(Kind kind, std::shared_ptr<const Object> object) {
    Value v;
    v.kind_ = kind;
    v.object_ = std::move(object);
    return v;
  }

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_undefined() const { return kind_ == Kind::undefined; }
  bool is_none() const { return kind_ == Kind::none; }
  bool is_text() const { return kind_ == Kind::text; }
  bool is_whole() const { return kind_ == Kind::integer || kind_ == Kind::boolean; }  // Python's bool is an int
  bool is_number() const { return is_whole() || kind_ == Kind::real; }
  int64_t whole() const { return integer_; }
  double number() const { return kind_ == Kind::real ? real_ : static_cast<double>(integer_); }
  const std::string &text() const;  // of a text; of an undefined value its reason
  const struct Sequence &sequence() const;
  const struct Mapping &mapping() const;
  const std::shared_ptr<const Object> &object() const { return object_; }
  template <class T>
  const T *as() const {  // the object when it is a T, else null
    return kind_ == Kind::object ? dynamic_cast<const T *>(object_.get()) : nullptr;
  }
  const char *type_name() const;  // "str", "NoneType"...

 private:
  Kind kind_;
  union {
    int64_t integer_;
    double real_;
  };
  std::shared_ptr<const Object> object_;
};

struct Text final : Object {
  const char *type_name() const override { return "str"; }
  std::string bytes_of_text;
};

struct Sequence final : Object {
  enum class Flavour : uint8_t { list, tuple, range, keys, values, items, generator };
  const char *type_name() const override;
  bool can_be_indexed() const {
    return flavour == Flavour::list || flavour == Flavour::tuple || flavour == Flavour::range;
  }
  Flavour flavour = Flavour::list;
  std::vector<Value> items;
  int64_t range_start = 0, range_stop = 0, range_step = 1;  // of a range
  mutable bool consumed = false;                            // a generator gives its items once
};

// Keys in the order in which they came.
struct Mapping final : Object {
  const char *type_name() const override { return "dict"; }
  const Value *find(Store &, const Value &key) const;  // null when it has none, or when such a key cannot be
  const Value *find(Store &, std::string_view key) const;
  // Refusal when the key cannot be hashed; for those who build it only. The bytes that the key takes.
  size_t set(Store &, const Value &key, Value value);
  std::vector<std::pair<Value, Value>> items;
  std::unordered_map<std::string, size_t> place;
};

bool truth(const Value &);
// Python's == and <; Refusal when the two cannot be ordered.
bool equal(Store &, const Value &, const Value &);
bool less(Store &, const Value &, const Value &);
bool identical(Store &, const Value &, const Value &);  // Python's `is`, where equal texts count as the same

std::string text_of(Store &, const Value &);  // Python's str(); an undefined value is ""
std::string repr_of(Store &, const Value &);
std::string hash_key(Store &, const Value &);  // equal for equal values; Refusal for lists and dicts

}  // namespace hone::jinja
