// journal_test.cpp -- scores come back to the bit, and a torn end costs only the torn record.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <set>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/reward/scorer.h"
#include "tests/support/scratch_folder.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

class Journal : public testing::Test {
 protected:
  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path, path_ = folder_ / "scores.journal";
};

std::vector<PartScores> scores_of(uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<PartScores> parts(1 + seed % 3);
  for (PartScores &part : parts)
    for (int i = 0; i < 20; ++i) {
      const float value = std::bit_cast<float>(uint32_t(random()));
      part.score.push_back(i == 3 ? std::numeric_limits<float>::quiet_NaN() : i == 4 ? -0.0f : value);
      part.why.push_back(i == 3 ? "it crashed\n\"so\"" : "");
      if (seed % 2) part.steps.emplace_back(i % 4, value);
    }
  return parts;
}
bool same_steps(const std::vector<std::vector<float>> &a, const std::vector<std::vector<float>> &b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const std::vector<float> &x, const std::vector<float> &y) {
    return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
  });
}
bool equal(const std::vector<PartScores> &a, const std::vector<PartScores> &b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i].why != b[i].why || !same_steps(a[i].steps, b[i].steps) || a[i].score.size() != b[i].score.size() ||
        std::memcmp(a[i].score.data(), b[i].score.data(), a[i].score.size() * sizeof(float)) != 0)
      return false;
  return true;
}
void put(const fs::path &path, const std::string &bytes) { std::ofstream(path, std::ios::binary) << bytes; }

TEST_F(Journal, RemembersScoresToTheBit) {
  {
    ScoreJournal journal(path_);
    for (uint32_t step = 0; step < 10; ++step) journal.append("step " + std::to_string(step), step, scores_of(step));
  }
  ScoreJournal journal(path_);
  EXPECT_EQ(journal.length(), fs::file_size(path_));
  std::vector<PartScores> out;
  for (uint32_t step = 0; step < 10; ++step) {
    ASSERT_TRUE(journal.find("step " + std::to_string(step), step, out));
    EXPECT_TRUE(equal(out, scores_of(step)));
  }
  EXPECT_FALSE(journal.find("step 10", 10, out));
}

TEST_F(Journal, ForgetsWhatFollowsALengthAndGrowsOnFromThere) {
  ScoreJournal journal(path_);
  journal.append("step 1", 1, scores_of(1));
  const uint64_t length = journal.length();
  journal.append("step 2", 2, scores_of(2));
  journal.truncate(length);
  std::vector<PartScores> out;
  EXPECT_FALSE(journal.find("step 2", 2, out));
  EXPECT_TRUE(journal.find("step 1", 1, out));
  journal.append("step 2", 2, scores_of(5));
  ScoreJournal again(path_);
  ASSERT_TRUE(again.find("step 2", 2, out));
  EXPECT_TRUE(equal(out, scores_of(5)));
  EXPECT_THROW(again.truncate(again.length() + 1), Failure);
}

TEST_F(Journal, ATornEndCostsOnlyTheTornRecord) {
  uint64_t first;
  {
    ScoreJournal journal(path_);
    journal.append("step 1", 1, scores_of(1));
    first = journal.length();
    journal.append("step 2", 2, scores_of(2));
  }
  const std::string whole = read_file(path_);
  for (size_t size = 0; size < whole.size(); size += 1 + size % 13) {
    put(path_, whole.substr(0, size));
    ScoreJournal journal(path_);
    std::vector<PartScores> out;
    EXPECT_EQ(journal.find("step 1", 1, out), size >= first) << size;
    EXPECT_FALSE(journal.find("step 2", 2, out)) << size;
    EXPECT_EQ(journal.length(), size >= first ? first : 0);
    journal.append("step 2", 2, scores_of(7));
    ScoreJournal again(path_);
    ASSERT_TRUE(again.find("step 2", 2, out)) << size;
    EXPECT_TRUE(equal(out, scores_of(7)));
  }
}

TEST_F(Journal, AnyFlippedBitIsNoticed) {
  {
    ScoreJournal journal(path_);
    journal.append("step 1", 1, scores_of(0));
  }
  const std::string whole = read_file(path_);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string bad = whole;
    bad[i] = char(bad[i] ^ (1 << (i % 8)));
    put(path_, bad);
    std::vector<PartScores> out;
    EXPECT_FALSE(ScoreJournal(path_).find("step 1", 1, out)) << "byte " << i;
  }
}

TEST_F(Journal, AFullDiskIsASentenceAndEarlierRecordsStay) {
  ScoreJournal journal(path_);
  journal.append("step 1", 1, scores_of(1));
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{journal.length() + 50, journal.length() + 50};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      journal.append("step 2", 2, scores_of(2));
    } catch (const Failure &failure) {
      _exit(std::string(failure.what()).find("scores.journal") != std::string::npos ? 0 : 2);
    }
    _exit(1);
  }
  int status;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(fs::file_size(path_), journal.length());
  std::vector<PartScores> out;
  EXPECT_TRUE(ScoreJournal(path_).find("step 1", 1, out));
}

std::vector<ScoreRow> some_rows() {
  std::vector<ScoreRow> rows(2);
  rows[0] = {"p", "text", "answer", "{\"level\":1}", {1, 2}, false, {}, {}};
  rows[1] = {"p", "other", "", "{}", {}, true, {}, {}};
  return rows;
}

TEST(ChecksumOfRows, ChangesWithAnythingThatARewardMaySee) {
  const std::vector<ScoreRow> rows = some_rows();
  std::set<uint64_t> seen = {checksum_of(rows), checksum_of({})};
  EXPECT_EQ(checksum_of(some_rows()), checksum_of(rows));
  size_t changes = 2;
  const auto changed = [&](const auto &change) {
    std::vector<ScoreRow> other = rows;
    change(other);
    EXPECT_TRUE(seen.insert(checksum_of(other)).second) << "change " << changes;
    ++changes;
  };
  changed([](auto &r) { r[0].prompt = "q"; });
  changed([](auto &r) { r[0].text = "texT"; });
  changed([](auto &r) { r[0].answer = "answe"; r[0].columns = "r{\"level\":1}"; });  // the same bytes, cut elsewhere
  changed([](auto &r) { r[0].columns = "{\"level\":2}"; });
  changed([](auto &r) { r[0].ids = {1, 3}; });
  changed([](auto &r) { r[0].ids = {1}; });
  changed([](auto &r) { r[1].truncated = false; });
  changed([](auto &r) { std::swap(r[0], r[1]); });
  changed([](auto &r) { r.pop_back(); });
  changed([](auto &r) { r[0].step_start = {0}, r[0].step_text = {0}; });
  changed([](auto &r) { r[0].step_start = {0, 1}, r[0].step_text = {0, 2}; });
  changed([](auto &r) { r[0].step_start = {0, 1}, r[0].step_text = {0, 3}; });
}

TEST_F(Journal, GivesNoScoresToOtherResponses) {
  const uint64_t content = checksum_of(some_rows());
  {
    ScoreJournal journal(path_);
    journal.append("step 4", content, scores_of(1));
  }
  ScoreJournal journal(path_);
  std::vector<PartScores> out;
  ASSERT_TRUE(journal.find("step 4", content, out));
  std::vector<ScoreRow> other = some_rows();
  other[1].text = "not what was scored";
  try {
    journal.find("step 4", checksum_of(other), out);
    ADD_FAILURE() << "old scores were given to other responses";
  } catch (const Failure &failure) {
    EXPECT_NE(std::string(failure.what()).find("scores.journal has scores of step 4 for other responses; the script, data, plugins or program changed since"),
              std::string::npos)
        << failure.what();
  }
  EXPECT_FALSE(journal.find("step 5", content, out));
}

TEST_F(Journal, ReadOnlyLeavesTheDiskAsItIs) {
  std::vector<PartScores> out;
  {
    ScoreJournal none(path_, true);
    EXPECT_FALSE(none.find("step 1", 1, out));
    EXPECT_FALSE(fs::exists(path_));
    EXPECT_THROW(none.append("step 1", 1, scores_of(1)), Failure);
    EXPECT_FALSE(fs::exists(path_));
  }
  {
    ScoreJournal journal(path_);
    journal.append("step 1", 1, scores_of(1));
    journal.append("step 2", 2, scores_of(2));
  }
  const std::string torn = read_file(path_).substr(0, fs::file_size(path_) - 5);
  put(path_, torn);
  ScoreJournal journal(path_, true);
  EXPECT_TRUE(journal.find("step 1", 1, out));
  EXPECT_TRUE(equal(out, scores_of(1)));
  EXPECT_FALSE(journal.find("step 2", 2, out));
  EXPECT_THROW(journal.append("step 2", 2, scores_of(2)), Failure);
  EXPECT_THROW(journal.truncate(0), Failure);
  EXPECT_EQ(read_file(path_), torn);
}

}  // namespace
}  // namespace hone
