// journal.cpp -- scores.journal: what rewards answered, kept before it is used, so that a resume never asks again.
//
// One record: magic (4 bytes), zero (4), payload length (8), xxh3 of magic..length and of the payload (8, 8), payload: key,
// checksum of the rows that were scored (8), number of parts, scores as their exact bits, reasons and
// scores of steps. Written in one piece and fsynced; reading stops at the first record that does not hold.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/reward/message.h"
#include "core/reward/scorer.h"

namespace hone {

namespace {

constexpr uint32_t kMagic = 0x334a5348;  // "HSJ3"

struct RecordHeader {
  uint32_t magic = kMagic, zero = 0;
  uint64_t length = 0, header_sum = 0, payload_sum = 0;
  uint64_t own_sum() const { return checksum({reinterpret_cast<const char *>(this), 16}); }
};
static_assert(sizeof(RecordHeader) == 32);

struct File {
  int descriptor;
  ~File() { if (descriptor >= 0) close(descriptor); }
};

Failure trouble(const char *what, const std::filesystem::path &path) {
  const int error = errno;
  return Failure(std::string("cannot ") + what + " " + path.string() + ": " + std::strerror(error));
}

}  // namespace

uint64_t checksum_of(const std::vector<ScoreRow> &rows) {
  MessageWriter writer(MessageType::score);
  writer.number<uint64_t>(rows.size());
  for (const ScoreRow &row : rows) {
    write_row(writer, row);
    if (!row.step_start.empty()) write_steps(writer, row);
  }
  return checksum(writer.finish());
}

ScoreJournal::ScoreJournal(const std::filesystem::path &path, bool read_only) : path_(path), read_only_(read_only) {
  File file{open(path.c_str(), read_only ? O_RDONLY | O_CLOEXEC : O_RDWR | O_CREAT | O_CLOEXEC, 0666)};
  if (file.descriptor < 0 && read_only && errno == ENOENT) return;
  if (file.descriptor < 0) throw trouble("open", path);
  const std::string bytes = read_file(path);
  if (bytes.empty()) {
    if (read_only) return;
    const std::filesystem::path folder = path.parent_path();
    sync_file(folder.empty() ? "." : folder);
    return;
  }
  std::string_view rest = bytes;
  while (rest.size() >= sizeof(RecordHeader)) {
    RecordHeader header;
    std::memcpy(&header, rest.data(), sizeof header);
    if (header.magic != kMagic || header.zero != 0 || header.header_sum != header.own_sum()) break;
    if (header.length > rest.size() - sizeof header) break;
    const std::string_view payload = rest.substr(sizeof header, header.length);
    if (checksum(payload) != header.payload_sum) break;
    try {
      MessageReader in(payload);
      const std::string key = in.text();
      Record record;
      record.content = in.number<uint64_t>();
      record.parts.resize(in.number<uint32_t>());
      for (PartScores &part : record.parts) part = read_scores(in);
      records_[key] = std::move(record);
    } catch (const Failure &) {
      break;
    }
    rest.remove_prefix(sizeof header + header.length);
  }
  length_ = bytes.size() - rest.size();
  if (rest.empty() || read_only) return;
  log_warning(path.string() + ": dropped " + std::to_string(rest.size()) + " bytes after byte " + std::to_string(length_) +
              " that hold no whole record; those responses are scored again");
  if (ftruncate(file.descriptor, off_t(length_)) != 0 || fsync(file.descriptor) != 0) throw trouble("truncate", path);
}

bool ScoreJournal::find(const std::string &key, uint64_t content, std::vector<PartScores> &out) const {
  const auto found = records_.find(key);
  if (found == records_.end()) return false;
  if (found->second.content != content)
    throw Failure(path_.string() + " has scores of " + key + " for other responses; the script, data, plugins or program changed " +
                  "since; go on with what the run was started with, or start a new run");
  out = found->second.parts;
  return true;
}

void ScoreJournal::append(const std::string &key, uint64_t content, const std::vector<PartScores> &parts) {
  if (read_only_) throw Failure(path_.string() + " was opened only to be read, so scores of " + key + " cannot be added to it");
  MessageWriter writer(MessageType::scores);
  writer.text(key);
  writer.number(content);
  writer.number<uint32_t>(uint32_t(parts.size()));
  for (const PartScores &part : parts) {
    if (part.why.size() != part.score.size()) throw Failure("scores without their reasons cannot be journalled");
    if (!part.steps.empty() && part.steps.size() != part.score.size()) throw Failure("scores of steps of other rows cannot be journalled");
    write_scores(writer, part);
  }
  const std::string message = writer.finish();
  const std::string_view payload = std::string_view(message).substr(sizeof(MessageHeader));
  RecordHeader header;
  header.length = payload.size();
  header.header_sum = header.own_sum();
  header.payload_sum = checksum(payload);
  std::string record(reinterpret_cast<const char *>(&header), sizeof header);
  record += payload;

  File file{open(path_.c_str(), O_WRONLY | O_CLOEXEC)};
  if (file.descriptor < 0) throw trouble("open", path_);
  for (size_t done = 0; done < record.size();) {
    const ssize_t n = pwrite(file.descriptor, record.data() + done, record.size() - done, off_t(length_ + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const Failure failure = trouble("write", path_);
      if (ftruncate(file.descriptor, off_t(length_)) != 0) log_warning("cannot truncate " + path_.string() + " either");
      throw failure;
    }
    done += size_t(n);
  }
  if (fsync(file.descriptor) != 0) throw trouble("fsync", path_);
  length_ += record.size();
  records_[key] = {content, parts};
}

uint64_t ScoreJournal::length() const { return length_; }

void ScoreJournal::truncate(uint64_t length) {
  if (read_only_) throw Failure(path_.string() + " was opened only to be read and cannot be cut");
  if (length > length_)
    throw Failure(path_.string() + " has " + std::to_string(length_) + " bytes, but the checkpoint was made when it had " +
                  std::to_string(length) + "; the file was damaged or replaced since");
  {
    File file{open(path_.c_str(), O_WRONLY | O_CLOEXEC)};
    if (file.descriptor < 0) throw trouble("open", path_);
    if (ftruncate(file.descriptor, off_t(length)) != 0 || fsync(file.descriptor) != 0) throw trouble("truncate", path_);
  }
  *this = ScoreJournal(path_);
}

}  // namespace hone
