// safetensors.cpp -- reading trusts nothing that a file says about itself; writing goes beside and is renamed when
// whole.
#include "core/model/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"

namespace hone {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian, and read in place");

constexpr uint64_t kMostHeader = 100'000'000;  // as in the format's own library

uint64_t bits_of(const std::string &dtype) {
  static const std::map<std::string, uint64_t> bits = {
      {"BOOL", 8},  {"U8", 8},   {"I8", 8},   {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"U16", 16}, {"I16", 16}, {"F16", 16},
      {"BF16", 16}, {"U32", 32}, {"I32", 32}, {"F32", 32},    {"U64", 64},    {"I64", 64}, {"F64", 64}};
  const auto found = bits.find(dtype);
  return found == bits.end() ? 0 : found->second;
}

std::string shape_of(const std::vector<uint64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

float from_half(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16, exponent = half >> 10 & 31, fraction = half & 0x3FF;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13);
  if (exponent) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float small = static_cast<float>(fraction) * 0x1p-24f;
  return sign ? -small : small;
}

struct Map {
  void *data = nullptr;
  size_t size = 0;
};

Map map_file(const std::filesystem::path &path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw Failure("cannot open " + path.string() + ": " + std::strerror(errno));
  struct stat status {};
  Map map;
  std::string problem;
  if (fstat(file, &status) != 0)
    problem = std::strerror(errno);
  else if (!S_ISREG(status.st_mode))
    problem = "it is not a regular file";
  else if (status.st_size < 8)
    problem = "it has " + std::to_string(status.st_size) + " bytes, too few for a safetensors file; is it cut short?";
  if (problem.empty()) {
    map.size = static_cast<size_t>(status.st_size);
    map.data = mmap(nullptr, map.size, PROT_READ, MAP_PRIVATE, file, 0);
    if (map.data == MAP_FAILED) problem = std::strerror(errno);
  }
  close(file);
  if (!problem.empty()) throw Failure("cannot read " + path.string() + ": " + problem);
  return map;
}

struct Unmap {
  Map map;
  bool armed = true;
  ~Unmap() {
    if (armed) munmap(map.data, map.size);
  }
};

uint64_t whole_number(const nlohmann::json &value, const std::string &where) {
  if (!value.is_number_unsigned()) throw Failure(where + " must be a whole number, not " + value.dump().substr(0, 40));
  return value.get<uint64_t>();
}

void write_all(int file, const void *data, uint64_t bytes, const std::filesystem::path &path) {
  const char *at = static_cast<const char *>(data);
  while (bytes) {
    const ssize_t written = write(file, at, std::min<uint64_t>(bytes, 1u << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw Failure("cannot write " + path.string() + ": " + std::strerror(written ? errno : ENOSPC));
    at += written;
    bytes -= static_cast<uint64_t>(written);
  }
}

}  // namespace

Safetensors::Safetensors(const std::filesystem::path &path) : path_(path) {
  Unmap guard{map_file(path)};
  const auto *bytes = static_cast<const uint8_t *>(guard.map.data);
  const std::string name = path.string();
  uint64_t header_size;
  std::memcpy(&header_size, bytes, 8);
  const uint64_t after = guard.map.size - 8;
  if (header_size > after || header_size > kMostHeader)
    throw Failure(name + ": its header claims " + std::to_string(header_size) + " bytes, but the file has " +
                  std::to_string(after) + " after the first 8; is it cut short, or not a safetensors file?");
  const std::string_view text(reinterpret_cast<const char *>(bytes) + 8, header_size);
  if (const size_t bad = invalid_utf8(text); bad != std::string_view::npos)
    throw Failure(name + ": its header has invalid UTF-8 at byte " + std::to_string(bad));
  bool duplicate = false;
  std::vector<std::string> seen;
  const nlohmann::json header = nlohmann::json::parse(
      text,
      [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json &parsed) {
        if (event == nlohmann::json::parse_event_t::key && depth == 1) seen.push_back(parsed.get<std::string>());
        return depth < 8;  // deeper values are dropped, and missed below
      },
      false);
  std::sort(seen.begin(), seen.end());
  duplicate = std::adjacent_find(seen.begin(), seen.end()) != seen.end();
  if (!header.is_object()) throw Failure(name + ": its header is not a JSON object; is the file damaged?");
  if (duplicate)
    throw Failure(name + ": tensor \"" + *std::adjacent_find(seen.begin(), seen.end()) +
                  "\" appears twice in its header");

  const uint64_t data_size = after - header_size;
  const uint8_t *data = bytes + 8 + header_size;
  struct Extent {
    uint64_t begin, end;
    std::string tensor;
  };
  std::vector<Extent> extents;
  for (const auto &[tensor, entry] : header.items()) {
    if (tensor == "__metadata__") {
      if (!entry.is_object()) throw Failure(name + ": __metadata__ must be an object of texts");
      for (const auto &[key, value] : entry.items()) {
        if (!value.is_string()) throw Failure(name + ": __metadata__ \"" + key + "\" must be text");
        metadata_[key] = value.get<std::string>();
      }
      continue;
    }
    const std::string where = name + ": tensor \"" + tensor + "\"";
    if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() || !entry.contains("shape") ||
        !entry["shape"].is_array() || !entry.contains("data_offsets") || !entry["data_offsets"].is_array() ||
        entry["data_offsets"].size() != 2)
      throw Failure(where + " needs a dtype, a shape and two data_offsets");
    TensorView view;
    view.dtype = entry["dtype"].get<std::string>();
    const uint64_t bits = bits_of(view.dtype);
    if (!bits) throw Failure(where + " has the unknown dtype \"" + view.dtype + "\"");
    uint64_t elements = 1;
    for (const auto &dim : entry["shape"]) {
      view.shape.push_back(whole_number(dim, where + ": a dimension"));
      if (__builtin_mul_overflow(elements, view.shape.back(), &elements))
        throw Failure(where + " has an impossibly large shape " + shape_of(view.shape));
    }
    const uint64_t begin = whole_number(entry["data_offsets"][0], where + ": data_offsets"),
                   end = whole_number(entry["data_offsets"][1], where + ": data_offsets");
    if (begin > end || end > data_size)
      throw Failure(where + " claims bytes " + std::to_string(begin) + " .. " + std::to_string(end) + " of " +
                    std::to_string(data_size) + "; is the file cut short?");
    uint64_t wanted;
    if (__builtin_mul_overflow(elements, bits / 8, &wanted) || wanted != end - begin)
      throw Failure(where + " of shape " + shape_of(view.shape) + " and dtype " + view.dtype + " does not take the " +
                    std::to_string(end - begin) + " bytes that it claims");
    view.data = data + begin;
    view.bytes = end - begin;
    extents.push_back({begin, end, tensor});
    tensors_.emplace(tensor, std::move(view));
  }
  std::sort(extents.begin(), extents.end(),
            [](const Extent &a, const Extent &b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t at = 0;
  for (const Extent &extent : extents) {
    if (extent.begin != at)
      throw Failure(name + ": tensor \"" + extent.tensor + "\" begins at byte " + std::to_string(extent.begin) +
                    " where " + std::to_string(at) + " was due; tensors must not overlap or leave holes");
    at = extent.end;
  }
  if (at != data_size)
    throw Failure(name + ": its last " + std::to_string(data_size - at) + " bytes belong to no tensor");
  guard.armed = false;
  mapped_ = guard.map.data;
  size_ = guard.map.size;
}

Safetensors::~Safetensors() {
  if (mapped_) munmap(mapped_, size_);
}

const TensorView &Safetensors::require(const std::string &name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto &[other, view] : tensors_) names.push_back(other);
  const std::string near = nearest_name(name, names);
  throw Failure(path_.string() + ": has no tensor \"" + name + "\"" +
                (near.empty() ? "" : "; the nearest is \"" + near + "\""));
}

void Safetensors::read_floats(const std::string &name, float *to, uint64_t elements) const {
  const TensorView &view = require(name);
  const uint64_t size = view.dtype == "F32" ? 4 : view.dtype == "F16" || view.dtype == "BF16" ? 2 : 0;
  if (!size)
    throw Failure(path_.string() + ": tensor \"" + name + "\" has dtype " + view.dtype +
                  "; hone reads F32, BF16 and F16 weights");
  if (view.bytes != elements * size)
    throw Failure(path_.string() + ": tensor \"" + name + "\" has shape " + shape_of(view.shape) +
                  ", which is not the " + std::to_string(elements) + " numbers wanted");
  if (size == 4) {
    std::memcpy(to, view.data, view.bytes);
    return;
  }
  const bool half = view.dtype == "F16";
  for (uint64_t i = 0; i < elements; ++i) {
    uint16_t bits;
    std::memcpy(&bits, view.data + 2 * i, 2);
    to[i] = half ? from_half(bits) : std::bit_cast<float>(uint32_t{bits} << 16);
  }
}

void write_safetensors(const std::filesystem::path &path, const std::vector<TensorToWrite> &tensors,
                       const std::map<std::string, std::string> &metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t at = 0;
  for (const TensorToWrite &tensor : tensors) {
    if (tensor.name == "__metadata__" || header.contains(tensor.name))
      throw Failure(path.string() + ": tensor \"" + tensor.name + "\" would be written twice");
    header[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {at, at + tensor.bytes}}};
    at += tensor.bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t size = text.size();

  const std::filesystem::path beside = path.string() + ".partial";
  const int file = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) throw Failure("cannot write " + beside.string() + ": " + std::strerror(errno));
  try {
    write_all(file, &size, sizeof size, path);
    write_all(file, text.data(), text.size(), path);
    for (const TensorToWrite &tensor : tensors) write_all(file, tensor.data, tensor.bytes, path);
    if (fsync(file) != 0) throw Failure("cannot write " + path.string() + ": " + std::strerror(errno));
  } catch (...) {
    close(file);
    unlink(beside.c_str());
    throw;
  }
  if (close(file) != 0 || rename(beside.c_str(), path.c_str()) != 0) {
    const std::string reason = std::strerror(errno);
    unlink(beside.c_str());
    throw Failure("cannot write " + path.string() + ": " + reason);
  }
  sync_file(path.has_parent_path() ? path.parent_path() : std::filesystem::path("."));
}

}  // namespace hone
