// matmul_against_onednn.cpp -- our matmul beside oneDNN's, one thread each: GFLOP/s, and whether oneDNN's rows keep
// their bits in any company. x and y are f32 and weights are packed beforehand on both sides, as the kernel table has
// it; "bf16" includes rounding x. The contenders take turns and the best of the rounds is printed. Not a test: nothing
// here can fail.
//   matmul_against_onednn [--amx] [--rows]    --amx lets oneDNN use AMX, --rows checks row invariance instead of speed
#include <omp.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <dnnl.hpp>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/table.h"

extern "C" const hone_kernels *hone_kernels_v1(void);

namespace {

using Floats = std::vector<float>;
using Memory = dnnl::memory;
using Type = Memory::data_type;
using Layout = Memory::format_tag;

struct Shape {
  uint32_t N, K;
};
constexpr Shape kShapes[] = {{64, 64}, {256, 64}, {576, 576}, {1536, 576}, {2048, 2048}, {49152, 576}};
constexpr uint32_t kRows[] = {1, 64, 512};
constexpr double kSecondsPerTurn = 2e-3, kSecondsPerCell = 3;
constexpr int kFewestRounds = 5, kMostRounds = 200;

Floats random_floats(size_t n, uint32_t seed) {
  std::minstd_rand bits(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Floats x(n);
  for (float &v : x) v = uniform(bits);
  return x;
}

dnnl::engine &engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}
dnnl::stream &stream() {
  static dnnl::stream in_order(engine());
  return in_order;
}

class Hone {
 public:
  Hone(uint32_t dtype, Shape s, const Floats &W) : packed_(hone_kernels_v1()->packed_bytes(dtype, s.N, s.K)) {
    weight_ = {dtype, 0, s.N, s.K, W.data(), packed_.data()};
    hone_kernels_v1()->pack_weight(nullptr, dtype, s.N, s.K, W.data(), packed_.data());
  }
  void run(uint32_t M, const Floats &x, Floats &y) const {
    hone_kernels_v1()->matmul(nullptr, M, x.data(), weight_.K, &weight_, y.data(), weight_.N, 0);
  }

 private:
  std::vector<char> packed_;
  hone_weight weight_;
};

// A weight in the layout oneDNN likes for 512 rows, and a matmul by it for one number of rows at a time.
class OneDnn {
 public:
  OneDnn(Type type, Shape s, Floats &W) : type_(type), shape_(s) {
    const auto liked = description(512, Memory::desc({s.K, s.N}, type, Layout::any)).weights_desc();
    weight_ = Memory(liked, engine());
    Memory plain({{s.K, s.N}, Type::f32, Layout::ba}, engine(), W.data());
    dnnl::reorder(plain, weight_).execute(stream(), plain, weight_);
  }
  void prepare(uint32_t M, Floats &x, Floats &y) {
    const auto chosen = description(M, weight_.get_desc());
    name_ = chosen.impl_info_str();
    matmul_ = dnnl::matmul(chosen);
    x_ = Memory({{M, shape_.K}, Type::f32, Layout::ab}, engine(), x.data());
    rounded_ = type_ == Type::f32 ? x_ : Memory(chosen.src_desc(), engine());
    y_ = Memory(chosen.dst_desc(), engine(), y.data());
    round_ = dnnl::reorder(x_, rounded_);
  }
  void run() {
    if (type_ != Type::f32) round_.execute(stream(), x_, rounded_);
    matmul_.execute(stream(), {{DNNL_ARG_SRC, rounded_}, {DNNL_ARG_WEIGHTS, weight_}, {DNNL_ARG_DST, y_}});
    stream().wait();
  }
  const std::string &name() const { return name_; }

 private:
  dnnl::matmul::primitive_desc description(uint32_t M, const Memory::desc &weight) const {
    const Memory::desc x({M, shape_.K}, type_, Layout::ab), y({M, shape_.N}, Type::f32, Layout::ab);
    return {dnnl::matmul::desc(x, weight, y), engine()};
  }
  Type type_;
  Shape shape_;
  Memory weight_, x_, rounded_, y_;
  dnnl::matmul matmul_;
  dnnl::reorder round_;
  std::string name_;
};

// This thread's own time on a core, so that other programs' turns are not counted.
double thread_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

double seconds_of(const std::function<void()> &work, int times) {
  const double begin = thread_seconds();
  for (int i = 0; i < times; ++i) work();
  return (thread_seconds() - begin) / times;
}

// The best time of each contender; they take turns, so that a busy moment of the machine strikes all alike.
std::vector<double> best_of_turns(const std::vector<std::function<void()>> &contenders) {
  std::vector<int> times;
  std::vector<double> best;
  for (const auto &work : contenders) {
    work();
    best.push_back(seconds_of(work, 1));
    times.push_back(1 + int(kSecondsPerTurn / best.back()));
  }
  const double begin = thread_seconds();
  for (int round = 0; round < kMostRounds; ++round) {
    if (round >= kFewestRounds && thread_seconds() - begin > kSecondsPerCell) break;
    for (size_t i = 0; i < contenders.size(); ++i) best[i] = std::min(best[i], seconds_of(contenders[i], times[i]));
  }
  return best;
}

void compare_speed() {
  std::printf("|     N |    K |   M | ours f32 | ours bf16 | oneDNN f32 | oneDNN bf16 |\n");
  std::printf("|------:|-----:|----:|---------:|----------:|-----------:|------------:|\n");
  for (const Shape s : kShapes) {
    Floats W = random_floats(size_t(s.N) * s.K, 1), x = random_floats(size_t(512) * s.K, 2), y(size_t(512) * s.N);
    const Hone f32(HONE_F32, s, W), bf16(HONE_BF16, s, W);
    OneDnn one_f32(Type::f32, s, W), one_bf16(Type::bf16, s, W);
    for (const uint32_t M : kRows) {
      one_f32.prepare(M, x, y);
      one_bf16.prepare(M, x, y);
      const auto best = best_of_turns(
          {[&] { f32.run(M, x, y); }, [&] { bf16.run(M, x, y); }, [&] { one_f32.run(); }, [&] { one_bf16.run(); }});
      const double work = 2e-9 * M * s.N * s.K;
      std::printf("| %5u | %4u | %3u | %8.1f | %9.1f | %10.1f | %11.1f |\n", s.N, s.K, M, work / best[0],
                  work / best[1], work / best[2], work / best[3]);
      std::fflush(stdout);
    }
  }
}

// Prints the numbers of rows for which oneDNN's rows are not, bit for bit, the first of the product of 3,000.
void compare_rows() {
  std::vector<uint32_t> counts;
  for (uint32_t M = 1; M <= 64; ++M) counts.push_back(M);
  counts.insert(counts.end(), {65, 96, 100, 127, 128, 200, 256, 333, 512, 777, 1000, 2048, 3000});
  for (const Shape s : kShapes) {
    if (size_t(s.N) * s.K > 2048 * 2048) continue;
    Floats W = random_floats(size_t(s.N) * s.K, 1), x = random_floats(size_t(3000) * s.K, 2);
    Floats y(size_t(3000) * s.N), expected(y.size());
    for (const Type type : {Type::f32, Type::bf16}) {
      OneDnn one(type, s, W);
      std::string differing, names;
      omp_set_num_threads(1);
      one.prepare(3000, x, expected);
      one.run();
      for (const int threads : {1, 2}) {
        omp_set_num_threads(threads);
        for (const uint32_t M : counts) {
          one.prepare(M, x, y);
          one.run();
          if (names.find(one.name()) == std::string::npos) names += (names.empty() ? "" : ", ") + one.name();
          if (std::memcmp(y.data(), expected.data(), size_t(M) * s.N * 4) != 0)
            differing += " " + std::to_string(M) + "x" + std::to_string(threads);
        }
      }
      std::printf("N %u K %u %s (%s): %s%s\n", s.N, s.K, type == Type::f32 ? "f32" : "bf16", names.c_str(),
                  differing.empty() ? "the same bits at every M, 1 and 2 threads" : "other bits at M x threads",
                  differing.c_str());
      std::fflush(stdout);
    }
  }
}

}  // namespace

int main(int argc, char **argv) {
  bool amx = false, rows = false;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--amx")) {
      amx = true;
    } else if (!std::strcmp(argv[i], "--rows")) {
      rows = true;
    } else {
      std::fprintf(stderr, "usage: matmul_against_onednn [--amx] [--rows]\n");
      return 2;
    }
  }
  if (!amx) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core_bf16);
  omp_set_num_threads(1);
  std::printf("our set: %s; oneDNN %d.%d.%d, %s\n\n", hone_kernels_v1()->isa, dnnl::version()->major,
              dnnl::version()->minor, dnnl::version()->patch,
              amx ? "every instruction set it knows" : "at most avx512_core_bf16");
  rows ? compare_rows() : compare_speed();
}
