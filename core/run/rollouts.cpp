// rollouts.cpp -- what a step sampled: Zstandard JSON lines, one file per step, numbers written so that they read back exactly.
#include <zstd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/run/folder.h"
#include "core/run/run_directory.h"

namespace hone {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr int kLevel = 3;

std::string file_name(uint32_t step) {
  const std::string digits = std::to_string(step);
  return "step-" + std::string(digits.size() < 6 ? 6 - digits.size() : 0, '0') + digits + ".jsonl.zst";
}

// The shortest text of a float, unless reading it as a double and rounding would give other bits; then the double's.
void append_float(std::string &out, float value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char text[64];
  auto written = std::to_chars(text, text + sizeof text, value);
  double back = 0;
  std::from_chars(text, written.ptr, back);
  if (float(back) != value || std::signbit(float(back)) != std::signbit(value)) written = std::to_chars(text, text + sizeof text, double(value));
  out.append(text, written.ptr);
  if (value == 0 && std::signbit(value)) out += ".0";  // "-0" would be read as an integer, which has no such zero
}

json number_or_null(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }
double number_of(const json &value) { return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>(); }

std::string line_of(const RolloutRecord &record) {
  json out = {{"step", record.step},
              {"row", record.row},
              {"group", record.group},
              {"prompt", record.prompt},
              {"response", record.response},
              {"prompt_ids", record.prompt_ids},
              {"ids", record.ids},
              {"reward", number_or_null(record.reward)},
              {"advantage", number_or_null(record.advantage)},
              {"rewards", json::object()},
              {"truncated", record.truncated},
              {"columns", record.columns}};
  for (const auto &[label, value] : record.rewards) out["rewards"][label] = number_or_null(value);
  if (!record.step_start.empty()) {
    out["step_start"] = record.step_start;
    for (const double reward : record.step_rewards) out["step_rewards"].push_back(number_or_null(reward));
  }
  // Ids are exact; text that is no UTF-8 is shown with U+FFFD.
  std::string line = out.dump(-1, ' ', false, json::error_handler_t::replace);
  line.pop_back();
  line += ",\"logprobs\":[";
  for (size_t i = 0; i < record.logprobs.size(); ++i) {
    if (i) line += ',';
    append_float(line, record.logprobs[i]);
  }
  line += "]}\n";
  return line;
}

RolloutRecord record_of(const json &in) {
  RolloutRecord record;
  record.step = in.at("step");
  record.row = in.at("row");
  record.group = in.at("group");
  record.prompt = in.at("prompt");
  record.response = in.at("response");
  record.prompt_ids = in.at("prompt_ids").get<std::vector<int32_t>>();
  record.ids = in.at("ids").get<std::vector<int32_t>>();
  for (const json &value : in.at("logprobs")) record.logprobs.push_back(float(number_of(value)));
  record.reward = number_of(in.at("reward"));
  record.advantage = number_of(in.at("advantage"));
  for (const auto &[label, value] : in.at("rewards").items()) record.rewards[label] = number_of(value);
  record.truncated = in.at("truncated");
  record.columns = in.at("columns");
  if (in.contains("step_start")) {
    record.step_start = in["step_start"].get<std::vector<uint32_t>>();
    for (const json &value : in.at("step_rewards")) record.step_rewards.push_back(number_of(value));
  }
  return record;
}

std::string decompressed(const std::string &bytes, const fs::path &path) {
  const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx *)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  if (!context) throw std::bad_alloc();
  std::string out;
  std::vector<char> buffer(ZSTD_DStreamOutSize());
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  size_t left = 1;  // 0 at the end of a frame
  while (in.pos < in.size) {
    ZSTD_outBuffer piece{buffer.data(), buffer.size(), 0};
    left = ZSTD_decompressStream(context.get(), &piece, &in);
    if (ZSTD_isError(left)) throw Failure(path.string() + " is damaged: " + ZSTD_getErrorName(left));
    out.append(buffer.data(), piece.pos);
  }
  while (left != 0 && !bytes.empty()) {  // what the decoder still holds
    ZSTD_outBuffer piece{buffer.data(), buffer.size(), 0};
    left = ZSTD_decompressStream(context.get(), &piece, &in);
    if (ZSTD_isError(left)) throw Failure(path.string() + " is damaged: " + ZSTD_getErrorName(left));
    if (piece.pos == 0) break;
    out.append(buffer.data(), piece.pos);
  }
  if (left != 0) throw Failure(path.string() + " is damaged: it ends too soon");
  return out;
}

}  // namespace

void StageDirectory::write_rollouts(uint32_t step, const std::vector<RolloutRecord> &records) {
  std::string lines;
  for (const RolloutRecord &record : records) lines += line_of(record);
  const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx *)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  if (!context) throw std::bad_alloc();
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  std::string packed(ZSTD_compressBound(lines.size()), '\0');
  const size_t size = ZSTD_compress2(context.get(), packed.data(), packed.size(), lines.data(), lines.size());
  if (ZSTD_isError(size)) throw Failure(std::string("cannot compress rollouts: ") + ZSTD_getErrorName(size));
  packed.resize(size);
  make_folder(path_ / "rollouts");
  write_file_atomically(path_ / "rollouts" / file_name(step), packed);
}

std::vector<RolloutRecord> StageDirectory::read_rollouts(uint32_t step) const {
  const fs::path path = path_ / "rollouts" / file_name(step);
  const std::string lines = decompressed(read_file(path), path);
  std::vector<RolloutRecord> out;
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = std::min(lines.find('\n', begin), lines.size());
    try {
      out.push_back(record_of(json::parse(lines.begin() + long(begin), lines.begin() + long(end))));
    } catch (const json::exception &error) {
      throw Failure(path.string() + " is damaged: line " + std::to_string(out.size() + 1) + ": " + error.what());
    }
    begin = end + 1;
  }
  return out;
}

std::vector<uint32_t> StageDirectory::rollout_steps() const {
  std::vector<uint32_t> steps;
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(path_ / "rollouts", error)) {
    const std::string name = entry.path().filename().string();
    uint32_t step = 0;
    if (name.starts_with("step-") && std::from_chars(name.data() + 5, name.data() + name.size(), step).ec == std::errc() &&
        name == file_name(step))
      steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

}  // namespace hone
