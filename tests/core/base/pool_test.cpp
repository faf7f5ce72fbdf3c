// pool_test.cpp -- every index once, whoever calls, however often.
#include "core/base/pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace hone {
namespace {

TEST(Pool, CoversEveryIndexOnceInRangesOfWholeGrains) {
  for (uint32_t threads : {1u, 2u, 3u, 8u}) {
    Pool pool(threads);
    for (uint64_t n : {0, 1, 7, 64, 1000, 4097})
      for (uint64_t grain : {0, 1, 3, 64, 5000}) {
        std::vector<std::atomic<int>> seen(n);
        pool.loop(n, grain, [&](uint64_t begin, uint64_t end) {
          EXPECT_LT(begin, end);
          const uint64_t whole = std::max<uint64_t>(grain, 1);
          EXPECT_EQ(begin % whole, 0u);
          EXPECT_TRUE(end == n || end % whole == 0);
          for (uint64_t i = begin; i < end; ++i) ++seen[i];
        });
        for (auto &count : seen) EXPECT_EQ(count, 1);
      }
  }
}

TEST(Pool, HandsOutTheSameRangesEveryTime) {
  Pool pool(4);
  std::set<std::set<std::pair<uint64_t, uint64_t>>> cuts;
  for (int repeat = 0; repeat < 200; ++repeat) {
    std::mutex mutex;
    std::set<std::pair<uint64_t, uint64_t>> cut;
    pool.loop(1003, 10, [&](uint64_t begin, uint64_t end) {
      std::lock_guard lock(mutex);
      cut.insert({begin, end});
    });
    cuts.insert(cut);
  }
  EXPECT_EQ(cuts.size(), 1u);
}

TEST(Pool, RunsACallFromInsideABodyWholeOnItsThread) {
  Pool pool(4);
  std::atomic<int> whole{0};
  pool.loop(64, 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      const auto thread = std::this_thread::get_id();
      pool.loop(100, 1, [&](uint64_t b, uint64_t e) {
        EXPECT_EQ(std::this_thread::get_id(), thread);
        if (b == 0 && e == 100) ++whole;
      });
    }
  });
  EXPECT_EQ(whole, 64);
}

TEST(Pool, ServesSeveralCallersAtOnce) {
  Pool pool(3);
  std::vector<std::thread> callers;
  std::atomic<uint64_t> sum{0};
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 300; ++repeat)
        pool.loop(50, 1, [&](uint64_t begin, uint64_t end) { sum += end - begin; });
    });
  for (auto &caller : callers) caller.join();
  EXPECT_EQ(sum, 4u * 300 * 50);
}

TEST(Pool, WakesAfterSleep) {
  Pool pool(2);
  for (int repeat = 0; repeat < 20; ++repeat) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::atomic<uint64_t> sum{0};
    pool.loop(10, 1, [&](uint64_t begin, uint64_t end) { sum += end - begin; });
    ASSERT_EQ(sum, 10u);
  }
}

TEST(Pool, RethrowsWhatABodyThrewAndGoesOnWorking) {
  Pool pool(3);
  for (int repeat = 0; repeat < 50; ++repeat) {
    EXPECT_THROW(pool.loop(100, 1,
                           [](uint64_t begin, uint64_t) {
                             if (begin >= 40) throw std::runtime_error("body");
                           }),
                 std::runtime_error);
    std::atomic<uint64_t> sum{0};
    pool.loop(100, 1, [&](uint64_t begin, uint64_t end) { sum += end - begin; });
    EXPECT_EQ(sum, 100u);
  }
}

TEST(Pool, StreamsRunOnThePoolOrSerially) {
  Pool pool(2);
  hone_stream stream = pool.stream();
  EXPECT_EQ(stream.threads, 2u);
  std::atomic<uint64_t> sum{0};
  stream.loop(stream.pool, 99, 1,
              [](void *arg, uint64_t begin, uint64_t end) { *static_cast<std::atomic<uint64_t> *>(arg) += end - begin; }, &sum);
  EXPECT_EQ(sum, 99u);
  EXPECT_EQ(Pool::serial_stream().threads, 1u);
  EXPECT_EQ(Pool::serial_stream().loop, nullptr);
}

}  // namespace
}  // namespace hone
