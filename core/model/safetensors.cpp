// safetensors.cpp -- reading trusts nothing that a file says about itself; writing goes beside and is renamed when
// whole.
#include "core/model/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/model/number_formats.h"
#include "core/text/json_member.h"

namespace hone {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian, and read in place");

constexpr uint64_t kMostHeader = 100'000'000;  // as in the format's own library

uint64_t whole_number(const nlohmann::json &value, const std::string &where) {
  if (!value.is_number_unsigned()) throw Failure(where + " must be a whole number, not " + json_shown(value));
  return value.get<uint64_t>();
}

}  // namespace

uint64_t safetensors_bits(const std::string &dtype) {
  static const std::map<std::string, uint64_t> bits = {
      {"BOOL", 8},  {"U8", 8},   {"I8", 8},   {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"U16", 16}, {"I16", 16}, {"F16", 16},
      {"BF16", 16}, {"U32", 32}, {"I32", 32}, {"F32", 32},    {"U64", 64},    {"I64", 64}, {"F64", 64}};
  const auto found = bits.find(dtype);
  return found == bits.end() ? 0 : found->second;
}

Safetensors::Safetensors(const std::filesystem::path &path) : file_(path, 8, "safetensors") {
  const uint8_t *bytes = file_.data();
  const std::string name = path.string();
  uint64_t header_size;
  std::memcpy(&header_size, bytes, 8);
  const uint64_t after = file_.size() - 8;
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
    const uint64_t bits = safetensors_bits(view.dtype);
    if (!bits) throw Failure(where + " has the unknown dtype \"" + view.dtype + "\"");
    uint64_t elements = 1;
    for (const auto &dim : entry["shape"]) {
      view.shape.push_back(whole_number(dim, where + ": a dimension"));
      if (__builtin_mul_overflow(elements, view.shape.back(), &elements))
        throw Failure(where + " has an impossibly large shape " + shape_text(view.shape));
    }
    const uint64_t begin = whole_number(entry["data_offsets"][0], where + ": data_offsets"),
                   end = whole_number(entry["data_offsets"][1], where + ": data_offsets");
    if (begin > end || end > data_size)
      throw Failure(where + " claims bytes " + std::to_string(begin) + " .. " + std::to_string(end) + " of " +
                    std::to_string(data_size) + "; is the file cut short?");
    uint64_t wanted;
    if (__builtin_mul_overflow(elements, bits / 8, &wanted) || wanted != end - begin)
      throw Failure(where + " of shape " + shape_text(view.shape) + " and dtype " + view.dtype + " does not take the " +
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
}

const TensorView &Safetensors::require(const std::string &name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto &[other, view] : tensors_) names.push_back(other);
  const std::string near = nearest_name(name, names);
  throw Failure(path().string() + ": has no tensor \"" + name + "\"" +
                (near.empty() ? "" : "; the nearest is \"" + near + "\""));
}

void Safetensors::read_floats(const std::string &name, float *to, uint64_t elements) const {
  const TensorView &view = require(name);
  uint64_t held = 1;
  for (uint64_t dim : view.shape) held *= dim;
  if (held != elements)
    throw Failure(path().string() + ": tensor \"" + name + "\" has shape " + shape_text(view.shape) +
                  ", which is not the " + std::to_string(elements) + " numbers wanted");
  read_floats(name, 0, elements, to);
}

void Safetensors::read_floats(const std::string &name, uint64_t begin, uint64_t count, float *to) const {
  const TensorView &view = require(name);
  const bool f64 = view.dtype == "F64", f32 = view.dtype == "F32", f16 = view.dtype == "F16", bf16 = view.dtype == "BF16",
             f8 = view.dtype == "F8_E4M3";
  if (!f64 && !f32 && !f16 && !bf16 && !f8)
    throw Failure(path().string() + ": tensor \"" + name + "\" has dtype " + view.dtype +
                  "; hone reads F64, F32, BF16, F16 and block-scaled F8_E4M3 weights");
  const uint64_t size = f64 ? 8 : f32 ? 4 : f8 ? 1 : 2;
  const uint8_t *from = view.data + begin * size;
  if (f32) {
    if (count) std::memcpy(to, from, count * size);
  } else if (f64) {
    for (uint64_t i = 0; i < count; ++i) {
      double number;
      std::memcpy(&number, from + 8 * i, 8);
      to[i] = static_cast<float>(number);
    }
  } else if (f8) {
    for (uint64_t i = 0; i < count; ++i) to[i] = from_f8_e4m3(from[i]);
  } else {
    for (uint64_t i = 0; i < count; ++i) {
      uint16_t bits;
      std::memcpy(&bits, from + 2 * i, 2);
      to[i] = f16 ? from_f16(bits) : from_bf16(bits);
    }
  }
  file_.release(from, count * size);
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path &path, const std::vector<TensorPlan> &tensors,
                                     const std::map<std::string, std::string> &metadata)
    : path_(path), file_(path) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t at = 0;
  for (const TensorPlan &tensor : tensors) {
    if (tensor.name == "__metadata__" || header.contains(tensor.name))
      throw Failure(path.string() + ": tensor \"" + tensor.name + "\" would be written twice");
    uint64_t bytes = safetensors_bits(tensor.dtype) / 8;
    for (uint64_t dim : tensor.shape) bytes *= dim;
    header[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t size = text.size();
  file_.write(&size, sizeof size);
  file_.write(text.data(), text.size());
  total_ = file_.written() + at;
}

void SafetensorsWriter::write(const void *data, uint64_t bytes) { file_.write(data, bytes); }

void SafetensorsWriter::finish() {
  if (file_.written() != total_)
    throw Failure("cannot write " + path_.string() + ": its tensors take " + std::to_string(total_) + " bytes, but " +
                  std::to_string(file_.written()) + " were written");
  file_.finish();
}

void write_safetensors(const std::filesystem::path &path, const std::vector<TensorToWrite> &tensors,
                       const std::map<std::string, std::string> &metadata) {
  std::vector<TensorPlan> plans;
  for (const TensorToWrite &tensor : tensors) plans.push_back({tensor.name, tensor.dtype, tensor.shape});
  SafetensorsWriter writer(path, plans, metadata);
  for (const TensorToWrite &tensor : tensors) writer.write(tensor.data, tensor.bytes);
  writer.finish();
}

}  // namespace hone
