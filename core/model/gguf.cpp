// gguf.cpp -- reading trusts nothing that a file says about itself.
#include "core/model/gguf.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/model/gguf_blocks.h"
#include "core/model/layout.h"

namespace hone {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF files are little-endian, and read in place");

std::string in_quotes(std::string_view text) {
  const bool cut = text.size() > 100;
  return "\"" + with_replaced_invalid_utf8(text.substr(0, 100)) + (cut ? "...\"" : "\"");
}

// Bytes of a scalar in the file; a string's is its length's.
uint64_t size_of(GgufKind kind) {
  switch (kind) {
    case GgufKind::u8:
    case GgufKind::i8:
    case GgufKind::boolean:
      return 1;
    case GgufKind::u16:
    case GgufKind::i16:
      return 2;
    case GgufKind::u32:
    case GgufKind::i32:
    case GgufKind::f32:
      return 4;
    default:
      return 8;
  }
}

double shortest(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double out = value;
  std::from_chars(text, end, out);
  return out;
}

// Reads on from the file's beginning, never past its end.
class Reader {
 public:
  Reader(const MappedFile &file)
      : begin_(file.data()), at_(begin_), end_(begin_ + file.size()), name_(file.path().string()) {}

  uint64_t left() const { return static_cast<uint64_t>(end_ - at_); }
  uint64_t position() const { return static_cast<uint64_t>(at_ - begin_); }

  template <class T>
  T take(const std::string &what) {
    if (left() < sizeof(T)) cut(what);
    T value;
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

  std::string_view text(const std::string &what) {
    const uint64_t size = take<uint64_t>(what);
    if (size > left())
      throw Failure(name_ + ": " + what + " claims to be a text of " + std::to_string(size) +
                    " bytes, but the file has " + std::to_string(left()) + " more; is it cut short?");
    const std::string_view out(reinterpret_cast<const char *>(at_), size);
    at_ += size;
    return out;
  }

  // A count of things that take at least `least` bytes each.
  uint64_t count(const std::string &what, uint64_t least) {
    const uint64_t n = take<uint64_t>(what);
    if (n > left() / least)
      throw Failure(name_ + ": " + what + " is " + std::to_string(n) + ", but the file has only " +
                    std::to_string(left()) + " more bytes; is it cut short?");
    return n;
  }

  GgufValue value(const std::string &what) {
    GgufValue out;
    out.kind = kind(what);
    out.is_array = out.kind == GgufKind::array;
    if (!out.is_array) {
      scalar(out, what);
      return out;
    }
    out.kind = kind(what);
    if (out.kind == GgufKind::array)
      throw Failure(name_ + ": " + what + " is an array of arrays, which no GGUF model needs");
    const uint64_t n = count("the length of " + what, size_of(out.kind));
    if (out.kind == GgufKind::string) {
      std::vector<std::string_view> texts;
      for (uint64_t i = 0; i < n; ++i) texts.push_back(text("element " + std::to_string(i) + " of " + what));
      out.value = std::move(texts);
    } else if (out.kind == GgufKind::f32 || out.kind == GgufKind::f64) {
      std::vector<double> numbers(n);
      for (double &number : numbers) number = out.kind == GgufKind::f32 ? take<float>(what) : take<double>(what);
      out.value = std::move(numbers);
    } else {
      std::vector<int64_t> integers(n);
      for (int64_t &integer : integers) integer = whole(out.kind, what);
      out.value = std::move(integers);
    }
    return out;
  }

 private:
  [[noreturn]] void cut(const std::string &what) const {
    throw Failure(name_ + ": it ends within " + what + ", at byte " + std::to_string(position()) +
                  "; is it cut short?");
  }

  GgufKind kind(const std::string &what) {
    const uint32_t id = take<uint32_t>("the type of " + what);
    if (id > static_cast<uint32_t>(GgufKind::f64))
      throw Failure(name_ + ": " + what + " has the unknown value type " + std::to_string(id));
    return static_cast<GgufKind>(id);
  }

  int64_t whole(GgufKind kind, const std::string &what) {
    switch (kind) {
      case GgufKind::u8:
        return take<uint8_t>(what);
      case GgufKind::i8:
        return take<int8_t>(what);
      case GgufKind::u16:
        return take<uint16_t>(what);
      case GgufKind::i16:
        return take<int16_t>(what);
      case GgufKind::u32:
        return take<uint32_t>(what);
      case GgufKind::i32:
        return take<int32_t>(what);
      case GgufKind::boolean:
        return take<uint8_t>(what) != 0;
      case GgufKind::i64:
        return take<int64_t>(what);
      default:
        break;
    }
    const uint64_t value = take<uint64_t>(what);
    if (value > INT64_MAX)
      throw Failure(name_ + ": " + what + " holds " + std::to_string(value) + ", too large a number");
    return static_cast<int64_t>(value);
  }

  void scalar(GgufValue &out, const std::string &what) {
    switch (out.kind) {
      case GgufKind::f32:
        out.value = shortest(take<float>(what));
        break;
      case GgufKind::f64:
        out.value = take<double>(what);
        break;
      case GgufKind::string:
        out.value = text(what);
        break;
      case GgufKind::boolean:
        out.value = take<uint8_t>(what) != 0;
        break;
      default:
        out.value = whole(out.kind, what);
        break;
    }
  }

  const uint8_t *begin_, *at_, *end_;
  std::string name_;
};

void check_magic(const MappedFile &file) {
  const uint8_t *bytes = file.data();
  const std::string name = file.path().string();
  if (std::memcmp(bytes, "GGUF", 4) != 0) {
    std::string hex;
    for (int i = 0; i < 4; ++i) {
      static constexpr char digits[] = "0123456789abcdef";
      hex += {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
    }
    const std::string kind = file.path().extension();
    const bool of_directory = kind == ".safetensors" || kind == ".json" || kind == ".jinja" || kind == ".bin";
    const std::string remedy = of_directory ? "; a model that is a directory is named by its folder" : "";
    throw Failure(name + ": is no GGUF file: it begins with the bytes " + hex + ", not with \"GGUF\"" + remedy);
  }
  uint32_t version;
  std::memcpy(&version, bytes + 4, 4);
  if (version != 0 && (version & 0xFFFF) == 0)
    throw Failure(name + ": is a big-endian GGUF file; hone reads little-endian ones: convert the model again");
  if (version != 2 && version != 3)
    throw Failure(name + ": is GGUF version " + std::to_string(version) + "; hone reads versions 2 and 3");
}

}  // namespace

Gguf::Gguf(const std::filesystem::path &path) : file_(path, 24, "GGUF") {
  check_magic(file_);
  const std::string name = path.string();
  Reader reader(file_);
  reader.take<uint64_t>("magic and version");
  const uint64_t tensor_count =
                     reader.count("the number of tensors", 32),  // of a name's length, 1 size, type and offset
      value_count = reader.count("the number of metadata values", 13);
  for (uint64_t i = 0; i < value_count; ++i) {
    const std::string_view key = reader.text("the key of metadata value " + std::to_string(i));
    if (const size_t bad = invalid_utf8(key); bad != std::string_view::npos)
      throw Failure(name + ": the metadata key " + in_quotes(key) + " has invalid UTF-8 at byte " +
                    std::to_string(bad));
    GgufValue value = reader.value("metadata " + in_quotes(key));
    if (!metadata_.emplace(key, std::move(value)).second)
      throw Failure(name + ": the metadata key " + in_quotes(key) + " is there twice");
  }
  const int64_t alignment = integer("general.alignment", 32);
  if (alignment < 1 || alignment > 1 << 20 || !std::has_single_bit(static_cast<uint64_t>(alignment)))
    throw Failure(name + ": general.alignment is " + std::to_string(alignment) +
                  "; it must be a power of two up to 2^20");

  struct Extent {
    uint64_t begin, end;
    const std::string *tensor;
  };
  std::vector<Extent> extents;
  for (uint64_t i = 0; i < tensor_count; ++i) {
    const std::string_view raw = reader.text("the name of tensor " + std::to_string(i));
    const std::string where = name + ": tensor " + in_quotes(raw);
    if (invalid_utf8(raw) != std::string_view::npos) throw Failure(where + " has invalid UTF-8 in its name");
    const std::string what = "the description of tensor " + in_quotes(raw);
    GgufTensor tensor;
    tensor.name = raw;
    const uint32_t dimensions = reader.take<uint32_t>(what);
    if (dimensions < 1 || dimensions > 4)
      throw Failure(where + " has " + std::to_string(dimensions) + " dimensions; 1 to 4 are allowed");
    tensor.elements = 1;
    for (uint32_t d = 0; d < dimensions; ++d) {
      tensor.shape.insert(tensor.shape.begin(), reader.take<uint64_t>(what));
      if (tensor.shape.front() == 0) throw Failure(where + " has a dimension of 0");
      if (__builtin_mul_overflow(tensor.elements, tensor.shape.front(), &tensor.elements))
        throw Failure(where + " has an impossibly large shape " + shape_text(tensor.shape));
    }
    tensor.type = reader.take<uint32_t>(what);
    const uint64_t offset = reader.take<uint64_t>(what);
    const GgufType *type = gguf_type(tensor.type);
    if (!type)
      throw Failure(where + " has the unknown type " + std::to_string(tensor.type) + "; hone reads " +
                    gguf_readable_types());
    if (tensor.shape.back() % type->numbers)
      throw Failure(where + " of type " + type->name + " has rows of " + std::to_string(tensor.shape.back()) +
                    " numbers, which blocks of " + std::to_string(type->numbers) + " do not fill");
    if (__builtin_mul_overflow(tensor.elements / type->numbers, uint64_t{type->bytes}, &tensor.bytes))
      throw Failure(where + " has an impossibly large shape " + shape_text(tensor.shape));
    if (offset % static_cast<uint64_t>(alignment))
      throw Failure(where + " begins at byte " + std::to_string(offset) +
                    " of the data, which is not a multiple of general.alignment, " + std::to_string(alignment));
    uint64_t end;
    if (__builtin_add_overflow(offset, tensor.bytes, &end)) end = UINT64_MAX;
    const auto [place, fresh] = tensors_.emplace(tensor.name, tensor);
    if (!fresh) throw Failure(where + " is there twice");
    extents.push_back({offset, end, &place->first});
  }

  const uint64_t mask = static_cast<uint64_t>(alignment) - 1;
  const uint64_t data_begin = std::min((reader.position() + mask) & ~mask, file_.size());
  const uint64_t data_size = file_.size() - data_begin;
  for (const Extent &extent : extents) {
    if (extent.end > data_size)
      throw Failure(name + ": tensor " + in_quotes(*extent.tensor) + " claims bytes " + std::to_string(extent.begin) +
                    " .. " + std::to_string(extent.end) + " of the data, but the file has " +
                    std::to_string(data_size) + " of it; is it cut short?");
    tensors_.at(*extent.tensor).data = file_.data() + data_begin + extent.begin;
  }
  std::sort(extents.begin(), extents.end(),
            [](const Extent &a, const Extent &b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  for (size_t i = 1; i < extents.size(); ++i)
    if (extents[i].begin < extents[i - 1].end)
      throw Failure(name + ": tensors " + in_quotes(*extents[i - 1].tensor) + " and " + in_quotes(*extents[i].tensor) +
                    " overlap");
}

const GgufTensor *Gguf::find(const std::string &tensor) const {
  const auto found = tensors_.find(tensor);
  return found == tensors_.end() ? nullptr : &found->second;
}

const GgufValue &Gguf::require(const std::string &key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end())
    throw Failure(path().string() + ": its metadata lacks \"" + key +
                  "\"; convert the model again with a current converter");
  return found->second;
}
void Gguf::wrong_type(const std::string &key, const char *wanted) const {
  throw Failure(path().string() + ": metadata \"" + key + "\" must be " + wanted);
}

int64_t Gguf::integer(const std::string &key) const {
  const GgufValue &value = require(key);
  if (const auto *whole = std::get_if<int64_t>(&value.value)) return *whole;
  wrong_type(key, "a whole number");
}
double Gguf::number(const std::string &key) const {
  const GgufValue &value = require(key);
  if (const auto *real = std::get_if<double>(&value.value)) {
    if (!std::isfinite(*real)) wrong_type(key, "a finite number");
    return *real;
  }
  if (const auto *whole = std::get_if<int64_t>(&value.value)) return static_cast<double>(*whole);
  wrong_type(key, "a number");
}
std::string Gguf::text(const std::string &key) const {
  const auto *text = std::get_if<std::string_view>(&require(key).value);
  if (!text) wrong_type(key, "a text");
  if (invalid_utf8(*text) != std::string_view::npos) wrong_type(key, "valid UTF-8");
  return std::string(*text);
}
int64_t Gguf::integer(const std::string &key, int64_t fallback) const { return has(key) ? integer(key) : fallback; }
double Gguf::number(const std::string &key, double fallback) const { return has(key) ? number(key) : fallback; }
std::string Gguf::text(const std::string &key, const std::string &fallback) const {
  return has(key) ? text(key) : fallback;
}
bool Gguf::boolean(const std::string &key, bool fallback) const {
  if (!has(key)) return fallback;
  const auto *truth = std::get_if<bool>(&require(key).value);
  if (!truth) wrong_type(key, "true or false");
  return *truth;
}
std::vector<std::string> Gguf::texts(const std::string &key) const {
  const auto *texts = std::get_if<std::vector<std::string_view>>(&require(key).value);
  if (!texts) wrong_type(key, "an array of texts");
  return {texts->begin(), texts->end()};
}
std::vector<int64_t> Gguf::integers(const std::string &key) const {
  const auto *integers = std::get_if<std::vector<int64_t>>(&require(key).value);
  if (!integers) wrong_type(key, "an array of whole numbers");
  return *integers;
}
std::vector<double> Gguf::numbers(const std::string &key) const {
  const auto *numbers = std::get_if<std::vector<double>>(&require(key).value);
  if (!numbers) wrong_type(key, "an array of numbers");
  return *numbers;
}

void Gguf::read_floats(const GgufTensor &tensor, uint64_t begin, uint64_t count, float *to) const {
  const GgufType &type = *gguf_type(tensor.type);
  if (!type.read)
    throw Failure(path().string() + ": tensor " + in_quotes(tensor.name) + " has type " + type.name + "; hone reads " +
                  gguf_readable_types());
  const uint64_t first = begin / type.numbers * type.bytes;
  const uint8_t *at = tensor.data + first;
  float block[256];
  while (count) {
    const uint64_t skip = begin % type.numbers;
    if (skip == 0 && count >= type.numbers) {
      const uint64_t whole = count / type.numbers;
      type.read(at, whole, to);
      at += whole * type.bytes;
      to += whole * type.numbers;
      begin += whole * type.numbers;
      count -= whole * type.numbers;
      continue;
    }
    const uint64_t part = std::min(count, type.numbers - skip);  // of one block
    type.read(at, 1, block);
    std::copy_n(block + skip, part, to);
    to += part;
    begin += part;
    count -= part;
    if (begin % type.numbers == 0) at += type.bytes;
  }
  file_.release(tensor.data + first, static_cast<uint64_t>(at - tensor.data) - first);
}

}  // namespace hone
