// scorer.cpp -- deals batches to workers, watches their deadlines, and finds the guilty row when one fails.
#include "core/reward/scorer.h"

#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <deque>
#include <limits>
#include <numeric>
#include <span>

#include "core/base/failure.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/reward/bench.h"
#include "core/reward/message.h"
#include "core/reward/worker_process.h"

namespace hone {

namespace {

using Clock = std::chrono::steady_clock;
constexpr uint32_t kLargestBatch = 64;
constexpr int kStartsTried = 3;

uint32_t usable_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return uint32_t(std::max(1, CPU_COUNT(&set)));
}

struct Batch {
  uint32_t part = 0;
  std::vector<uint32_t> rows;
};

struct Worker {
  enum State { stopped, opening, idle, scoring } state = stopped;
  WorkerProcess process;
  Batch batch;
  uint64_t ticket = 0;
  Clock::time_point deadline;
};

// Those that came for the rows which stand at `at` in all.
void take_steps(PartScores &all, std::vector<std::vector<float>> some, const std::vector<uint32_t> &at) {
  if (some.empty()) return;
  all.steps.resize(all.score.size());
  for (size_t i = 0; i < at.size(); ++i) all.steps[at[i]] = std::move(some[i]);
}

}  // namespace

struct Scorer::State {
  std::vector<RewardPart> parts;
  ScorerSettings settings;
  std::string setup;                       // the message that opens the parts in a new worker
  std::unique_ptr<RewardBench> bench;      // in_process
  std::deque<Worker> workers;              // deque: a Worker cannot move
  std::vector<uint32_t> batch_limit;       // per part; falls when a batch is too slow for the deadline, then grows again
  uint64_t next_ticket = 1, restarts = 0;

  // Of the score() under way.
  const std::vector<ScoreRow> *rows = nullptr;
  std::deque<Batch> queue;
  std::vector<PartScores> results;
  std::vector<uint32_t> crashed, too_slow; // per part: rows that, alone, took their worker along; batches that came too late
  std::vector<char> slow, given_up;        // per part
  int failed_starts = 0;

  Clock::time_point after(double seconds) const {
    return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::min(seconds, 1e8)));
  }
  std::string deadline_text() const { return number_text(settings.deadline) + " s"; }

  void open_worker(Worker &);
  void wait_until_all_open();
  void give(Worker &, Batch);
  void unscored(const Batch &, const std::string &why);
  void give_up(uint32_t part, const std::string &why);
  void lose(Worker &, const std::string &how, bool late);
  void hear(Worker &);                     // every whole message that it has sent
  void poll_once();
  void stop_if_interrupted();
  std::string opening_failure;             // why the last worker could not open
};

void Scorer::State::open_worker(Worker &worker) {
  worker.process.start();
  worker.process.send(setup);
  worker.state = Worker::opening;
  worker.deadline = after(settings.setup_deadline);
}

void Scorer::State::wait_until_all_open() {
  for (;;) {
    bool opening = false;
    for (Worker &worker : workers) {
      opening |= worker.state == Worker::opening;
      if (worker.state == Worker::stopped) throw Failure(opening_failure);
    }
    if (!opening) return;
    poll_once();
  }
}

void Scorer::State::give(Worker &worker, Batch batch) {
  worker.ticket = next_ticket++;
  worker.process.send(score_message(worker.ticket, batch.part, *rows, batch.rows));
  worker.batch = std::move(batch);
  worker.state = Worker::scoring;
  worker.deadline = after(settings.deadline);
  // Sent by the poll that follows, which also hears: an answer read here would wait unheard until the next byte, or the deadline.
}

void Scorer::State::unscored(const Batch &batch, const std::string &why) {
  for (const uint32_t row : batch.rows) {
    results[batch.part].score[row] = std::numeric_limits<float>::quiet_NaN();
    results[batch.part].why[row] = why;
    results[batch.part].refused[row] = 1;
    if (!results[batch.part].steps.empty()) results[batch.part].steps[row].clear();
  }
}

// Every row of the part is without a score, those that had one too: which of them came first is chance, and the rewards of a
// step must not depend on it.
void Scorer::State::give_up(uint32_t part, const std::string &why) {
  given_up[part] = 1;
  log_warning("reward " + parts[part].label + " " + why);
  std::erase_if(queue, [&](const Batch &batch) { return batch.part == part; });
  Batch all{part, std::vector<uint32_t>(rows->size())};
  std::iota(all.rows.begin(), all.rows.end(), 0u);
  unscored(all, why);
}

// The worker is gone, or must go. What it was scoring is tried again in smaller pieces, or, alone already, has no score.
void Scorer::State::lose(Worker &worker, const std::string &how, bool late) {
  const Worker::State was = worker.state;
  const std::string end = worker.process.kill_now();
  worker.state = Worker::stopped;
  ++restarts;
  const std::string reason = how.empty() ? end : how;
  if (was == Worker::opening) {
    opening_failure = late ? "a reward worker could not open its rewards within " + number_text(settings.setup_deadline) + " s"
                           : "a reward worker " + reason + " while it opened its rewards";
    ++failed_starts;
    return;
  }
  if (was != Worker::scoring) return;
  Batch batch = std::move(worker.batch);
  worker.batch = {};
  const uint32_t part = batch.part;
  if (given_up[part]) return;  // its rows have been told why
  if (late) slow[part] = 1, ++too_slow[part];
  else if (batch.rows.size() == 1) ++crashed[part];
  if (batch.rows.size() == 1) {
    unscored(batch, "it " + reason);
    log_warning("reward " + parts[part].label + " " + reason + "; that response has no score");
  } else {
    // A crash names its row at once when each row is alone. A late batch may only have been too long: halve faster than by two.
    const size_t piece = late ? std::max<size_t>(1, batch.rows.size() / 8) : 1;
    if (late) batch_limit[part] = uint32_t(std::min<size_t>(batch_limit[part], piece));
    for (size_t begin = batch.rows.size(); begin > 0;) {  // to the front, keeping the order
      const size_t end_of_piece = begin;
      begin = (begin - 1) / piece * piece;
      queue.push_front({part, {batch.rows.begin() + long(begin), batch.rows.begin() + long(end_of_piece)}});
    }
  }
  // Rows that crash are counted alone, however they were batched: for a deterministic reward the outcome is always the same.
  const auto n = uint32_t(rows->size());
  if (crashed[part] > 8 + n / 2)
    give_up(part, "was given up for these responses: more than half of them ended their worker, the last because it " + reason);
  else if (too_slow[part] > 8 + n / 16)
    give_up(part, "was given up for these responses: it was too slow " + std::to_string(too_slow[part]) + " times; it " + reason);
}

void Scorer::State::hear(Worker &worker) {
  MessageType type{};
  std::string payload;
  while (worker.state != Worker::stopped && worker.process.take_message(type, payload)) {
    try {
      MessageReader in(payload);
      if (type == MessageType::ready && worker.state == Worker::opening) {
        const std::string why = in.text();
        if (why.empty()) {
          worker.state = Worker::idle;
          failed_starts = 0;
        } else {
          worker.process.kill_now();
          worker.state = Worker::stopped;
          opening_failure = why;
          ++failed_starts;
        }
      } else if (type == MessageType::scores && worker.state == Worker::scoring) {
        const uint64_t ticket = in.number<uint64_t>();
        if (ticket != worker.ticket) throw Failure("answered another question");
        PartScores scores = read_scores(in);
        scores.refused = in.list<uint8_t>();
        const Batch &batch = worker.batch;
        if (scores.score.size() != batch.rows.size() || scores.refused.size() != batch.rows.size())
          throw Failure("gave " + std::to_string(scores.score.size()) + " scores for " + std::to_string(batch.rows.size()) +
                        " responses");
        for (size_t i = 0; i < scores.steps.size(); ++i)
          if (!scores.steps[i].empty() && scores.steps[i].size() != (*rows)[batch.rows[i]].step_start.size())
            throw Failure("gave " + std::to_string(scores.steps[i].size()) + " scores for the steps of a response that has " +
                          std::to_string((*rows)[batch.rows[i]].step_start.size()));
        if (!given_up[batch.part]) take_steps(results[batch.part], std::move(scores.steps), batch.rows);
        for (size_t i = 0; i < batch.rows.size() && !given_up[batch.part]; ++i) {
          results[batch.part].score[batch.rows[i]] = scores.score[i];
          results[batch.part].why[batch.rows[i]] = with_replaced_invalid_utf8(scores.why[i]);
          results[batch.part].refused[batch.rows[i]] = scores.refused[i] != 0;
        }
        worker.state = Worker::idle;
      } else if (type == MessageType::poisoned && worker.state == Worker::scoring) {
        in.number<uint64_t>();
        std::string how = in.text();
        if (how.starts_with("it ")) how.erase(0, 3);
        lose(worker, how, false);
      } else {
        throw Failure("spoke out of turn");
      }
    } catch (const Failure &failure) {
      lose(worker, std::string("corrupted its worker, which ") + failure.what(), false);
    }
  }
  if (worker.process.unreadable() && worker.state != Worker::stopped) lose(worker, "corrupted its worker, whose answer cannot be read", false);
}

void Scorer::State::stop_if_interrupted() {
  if (!settings.interrupted || !settings.interrupted()) return;
  for (Worker &worker : workers) {
    if (worker.state != Worker::opening && worker.state != Worker::scoring) continue;
    worker.process.kill_now();
    worker.state = Worker::stopped;
    worker.batch = {};
  }
  queue.clear();
  rows = nullptr;
  throw ScoringInterrupted();
}

void Scorer::State::poll_once() {
  stop_if_interrupted();
  std::vector<pollfd> files;
  std::vector<Worker *> watched;
  Clock::time_point next = Clock::now() + std::chrono::milliseconds(20);  // a dead worker's child may keep its socket open
  for (Worker &worker : workers) {
    if (worker.state != Worker::opening && worker.state != Worker::scoring) continue;
    files.push_back({worker.process.descriptor(), short(POLLIN | (worker.process.wants_to_send() ? POLLOUT : 0)), 0});
    watched.push_back(&worker);
    next = std::min(next, worker.deadline);
  }
  const double wait = std::chrono::duration<double, std::milli>(next - Clock::now()).count();
  const int ready = poll(files.data(), files.size(), std::max(0, int(std::ceil(wait))));
  if (ready < 0 && errno != EINTR) throw Failure(std::string("cannot wait for reward workers: ") + std::strerror(errno));
  for (size_t i = 0; i < watched.size(); ++i) {
    Worker &worker = *watched[i];
    const bool silent = ready <= 0 || files[i].revents == 0;
    const bool ended = silent && worker.process.ended();  // asked before the last read, so that no answer is missed
    bool open = true;
    if (!silent || ended) {
      open = worker.process.pump();
      hear(worker);
    }
    if (worker.state != Worker::opening && worker.state != Worker::scoring) continue;
    if (!open || ended) {
      // The socket closes a moment before the process can be waited for: its status says how it ended.
      for (int tries = 0; tries < 2000 && !worker.process.ended(); ++tries) poll(nullptr, 0, 1);
      lose(worker, worker.process.ended() ? "" : "closed its worker's socket", false);
    } else if (Clock::now() >= worker.deadline) {
      lose(worker, "gave no score within " + deadline_text() + " and was killed", true);
    }
  }
}

Scorer::Scorer(std::vector<RewardPart> parts, ScorerSettings settings) : state_(std::make_unique<State>()) {
  State &s = *state_;
  for (size_t i = 0; i < parts.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (parts[i].label == parts[j].label)
        throw UsageError("two rewards are called \"" + parts[i].label + "\"; give one of them another label");
  if (!(settings.deadline > 0)) throw UsageError("the rewards' deadline is " + number_text(settings.deadline) + " s; give one above 0");
  s.parts = std::move(parts);
  s.settings = std::move(settings);
  if (s.settings.in_process) {
    s.bench = std::make_unique<RewardBench>(s.parts, s.settings.seed, s.settings.services);
    return;
  }
  SetupRequest request{s.parts, s.settings.seed, {}};
  for (const std::filesystem::path &folder : s.settings.plugin_folders) request.plugin_folders.push_back(folder.string());
  s.setup = setup_message(request);
  s.batch_limit.assign(s.parts.size(), kLargestBatch);
  s.workers.resize(s.settings.workers ? s.settings.workers : usable_processors());
  for (Worker &worker : s.workers) s.open_worker(worker);
  s.wait_until_all_open();
}

Scorer::~Scorer() = default;

const std::vector<RewardPart> &Scorer::parts() const { return state_->parts; }
uint64_t Scorer::restarts() const { return state_->restarts; }

std::vector<PartScores> Scorer::score(const std::vector<ScoreRow> &rows, std::optional<uint32_t> only) {
  State &s = *state_;
  s.results.assign(s.parts.size(), {});
  for (PartScores &result : s.results) {
    result.score.assign(rows.size(), std::numeric_limits<float>::quiet_NaN());
    result.why.assign(rows.size(), "");
    result.refused.assign(rows.size(), 0);
  }
  if (rows.empty() || s.parts.empty()) return std::move(s.results);
  if (s.bench) {
    try {
      for (uint32_t part = 0; part < s.parts.size(); ++part)
        for (size_t begin = 0; begin < rows.size() && part == only.value_or(part); begin += kLargestBatch) {
          s.stop_if_interrupted();
          const size_t n = std::min<size_t>(kLargestBatch, rows.size() - begin);
          PartScores some = s.bench->score(part, std::span(rows).subspan(begin, n));
          std::copy(some.score.begin(), some.score.end(), s.results[part].score.begin() + long(begin));
          std::move(some.why.begin(), some.why.end(), s.results[part].why.begin() + long(begin));
          std::copy(some.refused.begin(), some.refused.end(), s.results[part].refused.begin() + long(begin));
          std::vector<uint32_t> at(n);
          std::iota(at.begin(), at.end(), uint32_t(begin));
          take_steps(s.results[part], std::move(some.steps), at);
        }
    } catch (const Poisoned &error) {
      throw Failure(std::string("a reward damaged this process: ") + error.what() + "; score with worker processes to contain it");
    }
    return std::move(s.results);
  }

  s.rows = &rows;
  s.queue.clear();
  s.crashed.assign(s.parts.size(), 0);
  s.too_slow.assign(s.parts.size(), 0);
  s.slow.assign(s.parts.size(), 0);
  s.given_up.assign(s.parts.size(), 0);
  s.failed_starts = 0;
  for (uint32_t part = 0; part < s.parts.size(); ++part) {
    if (part != only.value_or(part)) continue;
    // Two batches per worker and part, so that a slow row does not leave the other workers idle.
    const size_t share = (rows.size() + 2 * s.workers.size() - 1) / (2 * s.workers.size());
    const size_t size = std::clamp<size_t>(share, 1, s.batch_limit[part]);
    for (size_t begin = 0; begin < rows.size(); begin += size) {
      Batch batch{part, {}};
      for (size_t row = begin; row < std::min(begin + size, rows.size()); ++row) batch.rows.push_back(uint32_t(row));
      s.queue.push_back(std::move(batch));
    }
  }
  for (;;) {
    bool busy = false;
    for (Worker &worker : s.workers) {
      if (worker.state == Worker::idle && worker.process.ended()) s.lose(worker, "", false);  // between two calls
      if (worker.state == Worker::stopped && !s.queue.empty() && s.failed_starts < kStartsTried) s.open_worker(worker);
      if (worker.state == Worker::idle && !s.queue.empty()) {
        Batch batch = std::move(s.queue.front());
        s.queue.pop_front();
        s.give(worker, std::move(batch));
      }
      busy |= worker.state == Worker::scoring || (worker.state == Worker::opening && !s.queue.empty());
    }
    if (!busy) {
      if (s.queue.empty()) break;
      for (const Batch &batch : s.queue) s.unscored(batch, "no worker could be started again: " + s.opening_failure);
      log_warning("rewards: no worker could be started again: " + s.opening_failure);
      break;
    }
    s.poll_once();
  }
  s.queue.clear();
  for (uint32_t part = 0; part < s.parts.size(); ++part)
    if (!s.slow[part]) s.batch_limit[part] = std::min(kLargestBatch, s.batch_limit[part] * 2);
  s.rows = nullptr;
  return std::move(s.results);
}

}  // namespace hone
