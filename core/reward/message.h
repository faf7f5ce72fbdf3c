// message.h -- what the scorer and its workers say to each other over a socket pair: framed binary messages.
// Both ends are the same program on the same machine, so numbers travel in the machine's own order; but a worker's memory
// may have been damaged by a plugin, so the host believes nothing of what it reads unchecked.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/failure.h"
#include "core/reward/scorer.h"

namespace hone {

enum class MessageType : uint32_t {
  setup = 1,   // host: JSON of the parts
  score = 2,   // host: ticket, part, rows
  ready = 3,   // worker: "" or why a part cannot be opened
  scores = 4,  // worker: ticket, PartScores
  poisoned = 5 // worker: ticket and why its memory can no longer be trusted; it ends after this
};

struct MessageHeader {
  static constexpr uint32_t kMagic = 0x484f4e45;
  static constexpr uint64_t kLongest = 1ull << 31;
  uint32_t magic = kMagic;
  MessageType type{};
  uint64_t length = 0;
  bool valid() const { return magic == kMagic && length <= kLongest; }
};

class MessageWriter {
 public:
  explicit MessageWriter(MessageType type) : bytes_(sizeof(MessageHeader), '\0') { header_.type = type; }
  template <class T> void number(T value) { bytes_.append(reinterpret_cast<const char *>(&value), sizeof value); }
  void text(std::string_view value) {
    number<uint64_t>(value.size());
    bytes_.append(value);
  }
  template <class T> void list(const std::vector<T> &values) {
    number<uint64_t>(values.size());
    if (!values.empty()) bytes_.append(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
  }
  std::string finish() {  // the whole message, header first
    header_.length = bytes_.size() - sizeof header_;
    std::memcpy(bytes_.data(), &header_, sizeof header_);
    return std::move(bytes_);
  }

 private:
  MessageHeader header_;
  std::string bytes_;
};

// Reads a message's payload; Failure where it ends too soon.
class MessageReader {
 public:
  explicit MessageReader(std::string_view payload) : rest_(payload) {}
  template <class T> T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string text() { return std::string(take(number<uint64_t>())); }
  template <class T> std::vector<T> list() {
    const uint64_t n = number<uint64_t>();
    if (n > rest_.size() / sizeof(T)) throw Failure("a message between scorer and worker ends too soon");
    std::vector<T> values(n);
    if (n) std::memcpy(values.data(), take(n * sizeof(T)).data(), n * sizeof(T));
    return values;
  }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view take(uint64_t n) {
    if (n > rest_.size()) throw Failure("a message between scorer and worker ends too soon");
    const std::string_view taken = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return taken;
  }
  std::string_view rest_;
};

struct SetupRequest {
  std::vector<RewardPart> parts;
  uint64_t seed = 0;
  std::vector<std::string> plugin_folders;
};
std::string setup_message(const SetupRequest &);
SetupRequest read_setup(std::string_view payload);

struct ScoreRequest {
  uint64_t ticket = 0;
  uint32_t part = 0;
  std::vector<ScoreRow> rows;
};
std::string score_message(uint64_t ticket, uint32_t part, const std::vector<ScoreRow> &all, const std::vector<uint32_t> &rows);
ScoreRequest read_score(std::string_view payload);

// Also what a row's checksum is taken of; its steps are only where it has some.
void write_row(MessageWriter &, const ScoreRow &);
void write_steps(MessageWriter &, const ScoreRow &);

// Also the form of a journal's record.
void write_scores(MessageWriter &, const PartScores &);
PartScores read_scores(MessageReader &);

}  // namespace hone
