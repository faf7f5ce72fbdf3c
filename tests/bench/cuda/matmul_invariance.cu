// matmul_invariance.cu -- on a Hopper GPU: which bf16 matrix products keep a row's bits in any company, which kernels
// agree with each other bit for bit, and what each costs. The facts behind the CUDA kernel table: docs/cuda.md.
// Build (one line) and run; 30 seconds, 3 GB of GPU memory, no network; JSON lines to the file, the short ones to stdout:
/* clang-format off
   nvcc -std=c++20 -O2 -gencode=arch=compute_90a,code=sm_90a -Xcompiler -ffp-contract=off matmul_invariance.cu -lcublasLt -o matmul_invariance
   LD_LIBRARY_PATH=/usr/local/cuda/lib64 ./matmul_invariance 120 cuda.jsonl       (seconds it may start new work in; file)
   clang-format on */
//
// R rows (tokens), N outputs, K inputs. y[R,N] = x[R,K] W[N,K]^T, dx = dy W, dW = dy^T x; row-major, bf16 in, f32 inside.
// A *class* is one set of bits: products with the same class number in a table agree in every bit of every row seen.
#include <cublasLt.h>
#include <cuda.h>
#include <cuda_bf16.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

using bf16 = __nv_bfloat16;
using Hashes = std::vector<uint64_t>;
struct Algorithm : cublasLtMatmulAlgo_t {};  // named: nvcc 13.0 crashes on a vector of the nameless structs in C++20
struct Result : cublasLtMatmulHeuristicResult_t {};

#define CHECK(call)                                                                     \
  do {                                                                                  \
    auto status = (call);                                                               \
    if (int(status) != 0) {                                                             \
      fprintf(stderr, "%s:%d: %s: error %d\n", __FILE__, __LINE__, #call, int(status)); \
      exit(1);                                                                          \
    }                                                                                   \
  } while (0)

namespace {

FILE *file;
cudaStream_t stream;
cublasLtHandle_t handle;
bf16 *weights, *inputs, *packed;  // random, except packed
void *out, *workspace;
uint64_t *hashes_on_device;
constexpr size_t weights_size = size_t(151936) * 1536, inputs_size = size_t(1024) * 151936, out_bytes = size_t(1) << 30,
                 workspace_bytes = 32 << 20;
double deadline;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void emit(bool echo, const char *format, ...) {
  char line[4096];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (echo) puts(line), fflush(stdout);
  if (file) fprintf(file, "%s\n", line), fflush(file);
}

// ---- random numbers, hashes
// ------------------------------------------------------------------------------------------

__host__ __device__ inline uint4 philox(uint4 c, uint2 k) {
  for (int round = 0; round < 10; round++) {
    uint64_t a = uint64_t(0xD2511F53u) * c.x, b = uint64_t(0xCD9E8D57u) * c.z;
    c = {uint32_t(b >> 32) ^ c.y ^ k.x, uint32_t(b), uint32_t(a >> 32) ^ c.w ^ k.y, uint32_t(a)};
    k = {k.x + 0x9E3779B9u, k.y + 0xBB67AE85u};
  }
  return c;
}

__global__ void fill_normal(bf16 *x, size_t n, uint32_t key, float scale) {
  for (size_t i = blockIdx.x * size_t(blockDim.x) + threadIdx.x; i < n; i += size_t(gridDim.x) * blockDim.x) {
    uint4 r = philox({uint32_t(i), uint32_t(i >> 32), 0, 0}, {key, 0});
    x[i] = scale * sqrtf(-2 * logf((r.x + 1.0f) * 0x1p-32f)) * cospif(2 * (r.y * 0x1p-32f));
  }
}

template <class T>
__global__ void hash_rows(const T *y, int columns, uint64_t *hashes) {
  __shared__ unsigned long long sum;
  if (threadIdx.x == 0) sum = 0;
  __syncthreads();
  unsigned long long mine = 0;
  for (int j = threadIdx.x; j < columns; j += blockDim.x) {
    T value = y[size_t(blockIdx.x) * columns + j];
    uint64_t h = sizeof(T) == 4 ? __float_as_uint(float(value)) : __bfloat16_as_ushort(bf16(value));
    h = (h << 32 | unsigned(j)) * 0x9E3779B97F4A7C15ull;
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93ull;
    mine += h ^ h >> 29;
  }
  atomicAdd(&sum, mine);
  __syncthreads();
  if (threadIdx.x == 0) hashes[blockIdx.x] = sum;
}

Hashes hashes_of(cudaDataType type, int rows, int columns) {
  if (type == CUDA_R_32F)
    hash_rows<<<rows, 256, 0, stream>>>((const float *)out, columns, hashes_on_device);
  else
    hash_rows<<<rows, 256, 0, stream>>>((const bf16 *)out, columns, hashes_on_device);
  Hashes h(rows);
  CHECK(cudaMemcpyAsync(h.data(), hashes_on_device, rows * 8, cudaMemcpyDeviceToHost, stream));
  CHECK(cudaStreamSynchronize(stream));
  return h;
}

struct Classes {
  std::vector<Hashes> tables;

  bool agrees(int c, const Hashes &h, size_t first) const {
    const Hashes &t = tables[c];
    for (size_t i = 0; i < h.size() && first + i < t.size(); i++)
      if (t[first + i] != h[i]) return false;
    return true;
  }
  int of(const Hashes &h) {  // of rows 0, 1, ...
    for (size_t c = 0; c < tables.size(); c++)
      if (agrees(int(c), h, 0)) {
        if (tables[c].size() < h.size()) tables[c] = h;
        return int(c);
      }
    tables.push_back(h);
    return int(tables.size()) - 1;
  }
};

// ---- timing: a graph of launches that rotate over copies of the weights, so that these come from memory, not L2
// ------

std::string kernel_name;  // of the last timed graph's first launch, and how many nodes a launch has

template <class F>
F *driver(const char *name, unsigned version) {
  void *f = nullptr;
  cudaDriverEntryPointQueryResult result;
  CHECK(cudaGetDriverEntryPointByVersion(name, &f, version, cudaEnableDefault, &result));
  return (F *)f;
}

void note_kernels(cudaGraph_t graph, int launches) {
  static auto get = driver<decltype(cuGraphKernelNodeGetParams_v2)>("cuGraphKernelNodeGetParams", 12000);
  static auto function_name = driver<decltype(cuFuncGetName)>("cuFuncGetName", 12030);
  static auto kernel_name_of = driver<decltype(cuKernelGetName)>("cuKernelGetName", 12030);
  size_t count = 0;
  CHECK(cudaGraphGetNodes(graph, nullptr, &count));
  std::vector<cudaGraphNode_t> nodes(count);
  CHECK(cudaGraphGetNodes(graph, nodes.data(), &count));
  kernel_name = "?";
  for (auto node : nodes) {
    cudaGraphNodeType type;
    CHECK(cudaGraphNodeGetType(node, &type));
    CUDA_KERNEL_NODE_PARAMS p{};
    const char *name = nullptr;
    if (type != cudaGraphNodeTypeKernel || get(node, &p) != CUDA_SUCCESS) continue;
    if (p.func ? function_name(&name, p.func) : kernel_name_of(&name, p.kern)) continue;
    kernel_name = std::string(name).substr(0, 120) + " grid " + std::to_string(p.gridDimX) + "x" +
                  std::to_string(p.gridDimY) + "x" + std::to_string(p.gridDimZ);
    break;
  }
  if (count != size_t(launches)) kernel_name += " nodes " + std::to_string(double(count) / launches).substr(0, 4);
}

template <class F>
double microseconds(int launches, F launch) {  // of one launch; the best of three replays
  cudaGraph_t graph;
  cudaGraphExec_t ready;
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  for (int i = 0; i < launches; i++) launch(i);
  CHECK(cudaStreamEndCapture(stream, &graph));
  note_kernels(graph, launches);
  CHECK(cudaGraphInstantiate(&ready, graph, 0));
  static cudaEvent_t start, stop;
  if (!start) {
    CHECK(cudaEventCreate(&start));
    CHECK(cudaEventCreate(&stop));
  }
  float best = 1e9f;
  CHECK(cudaGraphLaunch(ready, stream));
  for (int i = 0; i < 3; i++) {
    CHECK(cudaEventRecord(start, stream));
    CHECK(cudaGraphLaunch(ready, stream));
    CHECK(cudaEventRecord(stop, stream));
    CHECK(cudaEventSynchronize(stop));
    float ms;
    CHECK(cudaEventElapsedTime(&ms, start, stop));
    best = std::min(best, ms);
  }
  CHECK(cudaGraphExecDestroy(ready));
  CHECK(cudaGraphDestroy(graph));
  return best * 1e3 / launches;
}

// ---- cuBLASLt
// --------------------------------------------------------------------------------------------------------

template <class T>
T attribute(const Algorithm &a, cublasLtMatmulAlgoConfigAttributes_t which) {
  T value{};
  size_t written;
  cublasLtMatmulAlgoConfigGetAttribute(&a, which, &value, sizeof value, &written);
  return value;
}

std::string describe(const Algorithm &a) {
  char s[200];
  snprintf(s, sizeof s, "id %d tile %u stages %u cluster %u inner %u swizzle %u custom %u splitk %d",
           attribute<int>(a, CUBLASLT_ALGO_CONFIG_ID), attribute<uint32_t>(a, CUBLASLT_ALGO_CONFIG_TILE_ID),
           attribute<uint32_t>(a, CUBLASLT_ALGO_CONFIG_STAGES_ID),
           attribute<uint16_t>(a, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID),
           attribute<uint16_t>(a, CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID),
           attribute<uint32_t>(a, CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING),
           attribute<uint32_t>(a, CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION),
           attribute<int>(a, CUBLASLT_ALGO_CONFIG_SPLITK_NUM));
  return s;
}

// D[m,n] = op(A)[m,k] op(B)[k,n] + beta D, column-major: the transpose of what hone writes row-major.
struct Product {
  cublasLtMatmulDesc_t operation;
  cublasLtMatrixLayout_t a, b, d;

  Product(bool transpose_a, bool transpose_b, int m, int n, int k, int lda, int ldb, int ldd, cudaDataType type) {
    cublasOperation_t ta = transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, tb = transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    CHECK(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    CHECK(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &ta, sizeof ta));
    CHECK(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSB, &tb, sizeof tb));
    CHECK(cublasLtMatrixLayoutCreate(&a, CUDA_R_16BF, transpose_a ? k : m, transpose_a ? m : k, lda));
    CHECK(cublasLtMatrixLayoutCreate(&b, CUDA_R_16BF, transpose_b ? n : k, transpose_b ? k : n, ldb));
    CHECK(cublasLtMatrixLayoutCreate(&d, type, m, n, ldd));
  }
  Product(const Product &) = delete;
  ~Product() {
    cublasLtMatmulDescDestroy(operation);
    for (auto layout : {a, b, d}) cublasLtMatrixLayoutDestroy(layout);
  }
  static std::unique_ptr<Product> y(int R, int N, int K, cudaDataType type, int ld = 0) {
    return std::make_unique<Product>(true, false, N, R, K, ld ? ld : K, ld ? ld : K, N, type);
  }
  static std::unique_ptr<Product> dx(int R, int N, int K, cudaDataType type) {
    return std::make_unique<Product>(false, false, K, R, N, K, N, K, type);
  }
  static std::unique_ptr<Product> dW(int R, int N, int K) {
    return std::make_unique<Product>(false, true, K, N, R, K, N, K, CUDA_R_32F);
  }

  std::vector<Algorithm> best(int count, bool split_k, int alignment = 256) const {
    cublasLtMatmulPreference_t wish;
    CHECK(cublasLtMatmulPreferenceCreate(&wish));
    size_t bytes = split_k ? workspace_bytes : 0;
    uint32_t schemes = split_k ? CUBLASLT_REDUCTION_SCHEME_MASK : CUBLASLT_REDUCTION_SCHEME_NONE, align = alignment;
    auto set = [&](auto which, auto value) {
      CHECK(cublasLtMatmulPreferenceSetAttribute(wish, which, &value, sizeof value));
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, bytes);
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, schemes);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, align);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, align);
    std::vector<Result> results(count);
    int found = 0;
    cublasLtMatmulAlgoGetHeuristic(handle, operation, a, b, d, d, wish, count, results.data(), &found);
    cublasLtMatmulPreferenceDestroy(wish);
    std::vector<Algorithm> algorithms;
    for (int i = 0; i < found; i++)
      if (results[i].state == CUBLAS_STATUS_SUCCESS &&
          (split_k || attribute<int>({results[i].algo}, CUBLASLT_ALGO_CONFIG_SPLITK_NUM) <= 1))
        algorithms.push_back({results[i].algo});
    return algorithms;
  }
  bool supports(const Algorithm &algorithm) const {
    cublasLtMatmulHeuristicResult_t r{};
    return cublasLtMatmulAlgoCheck(handle, operation, a, b, d, d, &algorithm, &r) == CUBLAS_STATUS_SUCCESS &&
           r.state == CUBLAS_STATUS_SUCCESS && r.workspaceSize <= workspace_bytes;
  }
  bool run(const Algorithm &algorithm, const bf16 *A, const bf16 *B, float beta = 0, void *D = out) const {
    float alpha = 1;
    return cublasLtMatmul(handle, operation, &alpha, A, a, B, b, &beta, D, d, D, d, &algorithm, workspace,
                          workspace_bytes, stream) == CUBLAS_STATUS_SUCCESS;
  }
};

// ---- our own kernels
// ------------------------------------------------------------------------------------------------- A warp owns 16
// outputs (the matrix unit's m16), up to 8*NT rows (n8), and one segment of K; the segments of a block meet in shared
// memory in order. Fragments of mma m16n8k16: lane = 4g + t; a = {W[g], W[g+8]} x k {2t, 2t+1}, then k + 8.

__device__ inline void mma16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ inline void mma8(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t b) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a0), "r"(a1), "r"(b));
}

template <int NT>
__device__ void add_segments(float (&acc)[NT][4], float *shared, float *y, int R, int N) {  // y[r, 16 blockIdx.x + i]
  int lane = threadIdx.x, g = lane >> 2, t = lane & 3, S = blockDim.y, rows = 8 * NT;
  float *mine = shared + threadIdx.y * rows * 16;  // [row][16]
  for (int j = 0; j < NT; j++)
    for (int i = 0; i < 4; i++) mine[(8 * j + 2 * t + (i & 1)) * 16 + g + 8 * (i >> 1)] = acc[j][i];
  __syncthreads();
  for (int e = threadIdx.y * 32 + lane; e < R * 16; e += S * 32) {
    float sum = shared[e];
    for (int s = 1; s < S; s++) sum += shared[s * rows * 16 + e];
    y[size_t(e / 16) * N + blockIdx.x * 16 + e % 16] = sum;
  }
}

enum Layout {
  strict,
  group,
  wide,
  fragments,
  strict8
};  // how a lane reads W: 4 bytes; 8; 16; 16 from packed tiles; mma k8
const char *const layout_names[] = {"strict4", "group8", "wide16", "packed16", "strict4_mma_k8"};

constexpr int most_threads(int NT) { return NT == 1 ? 768 : NT == 2 ? 512 : 256; }

template <int L, int NT>
__global__ void __launch_bounds__(most_threads(NT))
    direct(const bf16 *W, const bf16 *x, float *y, int R, int N, int K, int segment) {
  extern __shared__ __align__(128) float shared[];
  int lane = threadIdx.x, g = lane >> 2, t = lane & 3, n = blockIdx.x * 16;
  float acc[NT][4] = {};
  const bf16 *w[2] = {W + size_t(n + g) * K, W + size_t(n + g + 8) * K};
  const bf16 *xs[NT];
  for (int j = 0; j < NT; j++) xs[j] = x + size_t(min(8 * j + g, R - 1)) * K;
  auto load = [](auto &to, const bf16 *from) { to = __ldg((const std::remove_reference_t<decltype(to)> *)from); };
  auto four = [&](const bf16 *row, int k, uint32_t(&to)[4][2]) {  // 64 of K: the two registers of each of four steps
    if constexpr (L == group) {
      uint2 v[4];
      for (int s = 0; s < 4; s++) load(v[s], row + k + 16 * s + 4 * t);
      for (int s = 0; s < 4; s++) to[s][0] = v[s].x, to[s][1] = v[s].y;
    } else if constexpr (L == wide) {
      uint4 v[2];
      for (int s = 0; s < 2; s++) load(v[s], row + k + 32 * s + 8 * t);
      for (int s = 0; s < 2; s++)
        to[2 * s][0] = v[s].x, to[2 * s][1] = v[s].y, to[2 * s + 1][0] = v[s].z, to[2 * s + 1][1] = v[s].w;
    } else {
      for (int s = 0; s < 4; s++)
        load(to[s][0], row + k + 16 * s + 2 * t), load(to[s][1], row + k + 16 * s + 2 * t + 8);
    }
  };
  int first = threadIdx.y * segment, last = min(K, first + segment);
#pragma unroll(NT == 1 ? 2 : 1)
  for (int k = first; k < last; k += 64) {
    uint32_t a[4][4], b[NT][4][2];
    if constexpr (L == fragments) {
      const uint4 *tile = (const uint4 *)W + (size_t(blockIdx.x) * (K / 16) + k / 16) * 32 + lane;
      for (int s = 0; s < 4; s++) {
        uint4 v = __ldg(tile + 32 * s);
        a[s][0] = v.x, a[s][1] = v.y, a[s][2] = v.z, a[s][3] = v.w;
      }
    } else {
      uint32_t low[4][2], high[4][2];
      four(w[0], k, low), four(w[1], k, high);
      for (int s = 0; s < 4; s++) a[s][0] = low[s][0], a[s][1] = high[s][0], a[s][2] = low[s][1], a[s][3] = high[s][1];
    }
#pragma unroll
    for (int j = 0; j < NT; j++) four(xs[j], k, b[j]);
#pragma unroll
    for (int s = 0; s < 4; s++)
#pragma unroll
      for (int j = 0; j < NT; j++)
        if constexpr (L == strict8)
          mma8(acc[j], a[s][0], a[s][1], b[j][s][0]), mma8(acc[j], a[s][2], a[s][3], b[j][s][1]);
        else
          mma16(acc[j], a[s], b[j][s][0], b[j][s][1]);
  }
  add_segments<NT>(acc, shared, y, R, N);
}

__global__ void pack_fragments(const bf16 *W, uint4 *to, int K) {  // grid (K/16, N/16), one warp
  int g = threadIdx.x >> 2, t = threadIdx.x & 3;
  const bf16 *w = W + size_t(blockIdx.y * 16 + g) * K + blockIdx.x * 16 + 2 * t;
  auto word = [](const bf16 *p) { return *(const uint32_t *)p; };
  to[(size_t(blockIdx.y) * gridDim.x + blockIdx.x) * 32 + threadIdx.x] = {word(w), word(w + 8 * K), word(w + 8),
                                                                          word(w + 8 * K + 8)};
}

// The same sum in strict order of k, rows read whole: each warp streams its segment through its own ring of D stages of
// 64 k in shared memory (cp.async, 16 bytes, swizzled) and reads fragments with ldmatrix.
template <int NT, int D>
__global__ void __launch_bounds__(most_threads(NT))
    ring(const bf16 *W, const bf16 *x, float *y, int R, int N, int K, int segment) {
  extern __shared__ __align__(128) float shared[];
  constexpr int rows = 16 + 8 * NT;
  int lane = threadIdx.x, first = threadIdx.y * segment, steps = (min(K, first + segment) - first) / 64;
  uint32_t base = uint32_t(__cvta_generic_to_shared(shared)) + threadIdx.y * D * rows * 128;
  float acc[NT][4] = {};
  auto issue = [&](int step) {
    if (step < steps)
#pragma unroll
      for (int j = 0; j < rows / 4; j++) {
        int row = 4 * j + lane / 8, chunk = lane % 8;
        const bf16 *source = row < 16 ? W + size_t(blockIdx.x * 16 + row) * K : x + size_t(min(row - 16, R - 1)) * K;
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(base + (step % D) * rows * 128 + row * 128 +
                                                                       (chunk ^ (row & 7)) * 16),
                     "l"(source + first + step * 64 + chunk * 8));
      }
    asm volatile("cp.async.commit_group;" ::: "memory");
  };
  auto matrices = [&](uint32_t(&r)[4], uint32_t slot, int row, int chunk) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(slot + row * 128 + (chunk ^ (row & 7)) * 16)
                 : "memory");
  };
  for (int step = 0; step < D - 1; step++) issue(step);
  for (int step = 0; step < steps; step++) {
    asm volatile("cp.async.wait_group %0;" ::"n"(D - 2) : "memory");
    __syncwarp();
    issue(step + D - 1);
    uint32_t slot = base + (step % D) * rows * 128, a[4][4];
#pragma unroll
    for (int s = 0; s < 4; s++) matrices(a[s], slot, lane & 15, 2 * s + (lane >> 4));
#pragma unroll
    for (int half = 0; half < 2; half++)
#pragma unroll
      for (int j = 0; j < NT; j++) {
        uint32_t b[4];
        matrices(b, slot, 16 + 8 * j + (lane & 7), 4 * half + (lane >> 3));
        mma16(acc[j], a[2 * half], b[0], b[1]);
        mma16(acc[j], a[2 * half + 1], b[2], b[3]);
      }
  }
  asm volatile("cp.async.wait_group 0;" ::: "memory");
  __syncthreads();  // add_segments writes over the rings
  add_segments<NT>(acc, shared, y, R, N);
}

// All of K as ONE chain, at decode speed: four warps stream 16 rows of W (and x) through D stages of SK k; each of CW
// warps runs the chain of its 8*NT rows, fragments read one pair of steps ahead. With `early` a launch may begin before
// the one ahead of it ends (programmatic dependent launch): weights depend on nothing, x waits.
// (With cp.async.bulk, one copy per row and stage, each 256-byte copy took 43 ns on an H200: 51 us for 1536x8960.)
template <int SK>
constexpr int row_bytes = SK * 2 + 16;  // the padding keeps ldmatrix free of bank conflicts

template <int NT, int CW, int D, int SK>
__global__ void __launch_bounds__(32 * (CW + 4))
    chain(const bf16 *W, const bf16 *x, float *y, int R, int N, int K, bool early) {
  extern __shared__ __align__(128) char stages[];
  constexpr int stage_row = row_bytes<SK>, stage_bytes = (16 + 8 * NT * CW) * stage_row, lanes = SK / 8,
                rows = 128 / lanes, pairs = SK / 32;
  __shared__ alignas(8) uint64_t barriers[2][D];  // full, empty
  int lane = threadIdx.x, warp = threadIdx.y, n = blockIdx.x * 16, steps = K / SK;
  uint32_t base = uint32_t(__cvta_generic_to_shared(stages));
  auto barrier = [&](int which, int step) { return uint32_t(__cvta_generic_to_shared(&barriers[which][step % D])); };
  auto wait = [](uint32_t address, int parity) {
    asm volatile(
        "{\n.reg .pred p;\nagain: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n@!p bra again;\n}" ::"r"(
            address),
        "r"(parity)
        : "memory");
  };
  if (warp == 0 && lane < D) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 128;" ::"r"(barrier(0, lane)) : "memory");
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier(1, lane)), "n"(CW) : "memory");
  }
  __syncthreads();
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  if (warp >= CW) {  // `lanes` lanes copy a row, 16 bytes each
    int i = (warp - CW) * 32 + lane, row = i / lanes;
    const bf16 *w = W + size_t(n + row) * K + i % lanes * 8, *xs = x + size_t(row) * K + i % lanes * 8;
    uint32_t to = base + row * stage_row + i % lanes * 16;
    auto copy = [&](uint32_t address, const bf16 *from) {
      asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
    };
    auto copy_weights = [&](int step) {
#pragma unroll
      for (int j = 0; j < 16; j += rows)
        copy(to + step % D * stage_bytes + j * stage_row, w + size_t(j) * K + step * SK);
    };
    auto copy_x = [&](int step) {
#pragma unroll
      for (int j = 0; j < 8 * NT * CW;
           j += rows)  // rows past the last stay as shared memory had them: their columns are not written
        if (j + row < R) copy(to + step % D * stage_bytes + (16 + j) * stage_row, xs + size_t(j) * K + step * SK);
      asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier(0, step)) : "memory");
    };
    int ahead = early ? min(D, steps) : 0;
    for (int step = 0; step < ahead; step++) copy_weights(step);
    asm volatile("griddepcontrol.wait;" ::: "memory");
    for (int step = 0; step < steps; step++) {
      if (step >= D) wait(barrier(1, step), (step / D - 1) & 1);
      if (step >= ahead) copy_weights(step);
      copy_x(step);
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
    return;
  }
  float acc[NT][4] = {};
  uint32_t a[2][2][4], b[2][NT][4];  // [ahead][step of the pair], [ahead][tile]
  auto matrices = [](uint32_t(&to)[4], uint32_t address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
  };
  uint32_t a_offset = (lane & 15) * stage_row + (lane >> 4) * 16,
           b_offset = (16 + 8 * NT * warp + (lane & 7)) * stage_row + (lane >> 3) * 16;
  auto read = [&](int ahead, uint32_t slot, int pair) {
    matrices(a[ahead][0], slot + a_offset + pair * 64);
    matrices(a[ahead][1], slot + a_offset + pair * 64 + 32);
#pragma unroll
    for (int j = 0; j < NT; j++) matrices(b[ahead][j], slot + b_offset + j * 8 * stage_row + pair * 64);
  };
  wait(barrier(0, 0), 0);
  read(0, base, 0);
  for (int step = 0; step < steps; step++) {
    uint32_t slot = base + (step % D) * stage_bytes, ready = 0;
    bool more = step + 1 < steps;
    if (more)  // asked early, so that the answer is there when it is needed
      asm volatile("{\n.reg .pred p;\nmbarrier.test_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
                   : "=r"(ready)
                   : "r"(barrier(0, step + 1)), "r"(((step + 1) / D) & 1)
                   : "memory");
#pragma unroll
    for (int pair = 0; pair < pairs; pair++) {
      if (pair + 1 < pairs) {
        read((pair + 1) & 1, slot, pair + 1);
      } else {
        __syncwarp();
        if (lane == 0) asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier(1, step)) : "memory");
        if (more) {
          if (!ready) wait(barrier(0, step + 1), ((step + 1) / D) & 1);
          read(0, base + ((step + 1) % D) * stage_bytes, 0);
        }
      }
#pragma unroll
      for (int half = 0; half < 2; half++)
#pragma unroll
        for (int j = 0; j < NT; j++)
          mma16(acc[j], a[pair & 1][half], b[pair & 1][j][2 * half], b[pair & 1][j][2 * half + 1]);
    }
  }
  int g = lane >> 2, t = lane & 3;
  for (int j = 0; j < NT; j++)
    for (int i = 0; i < 4; i++)
      if (int row = 8 * (NT * warp + j) + 2 * t + (i & 1); row < R)
        y[size_t(row) * N + n + g + 8 * (i >> 1)] = acc[j][i];
}

// wgmma m64n8k16 over k = 0, 16, ...: for its bits, not its speed. Shared memory without swizzle: 8x8 matrices of 128
// bytes.
__global__ void __launch_bounds__(128) warpgroup(const bf16 *W, const bf16 *x, float *y, int R, int N, int K) {
  __shared__ alignas(128) uint4 a[8][64], b[8][8];  // [k / 8][row]
  float d[4] = {};
  int i = threadIdx.x;
  auto descriptor = [](const void *p, uint64_t next_k) {
    return uint64_t(__cvta_generic_to_shared(p)) >> 4 | next_k >> 4 << 16 | uint64_t(128 >> 4) << 32;
  };
  for (int k = 0; k < K; k += 64) {
    for (int e = i; e < 8 * 64; e += 128)
      a[e / 64][e % 64] = *(const uint4 *)(W + size_t(blockIdx.x * 64 + e % 64) * K + k + e / 64 * 8);
    if (i < 64) b[i / 8][i % 8] = *(const uint4 *)(x + size_t(min(i % 8, R - 1)) * K + k + i / 8 * 8);
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    for (int s = 0; s < 4; s++)
      asm volatile("wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0,%1,%2,%3}, %4, %5, 1, 1, 1, 0, 0;"
                   : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                   : "l"(descriptor(a[2 * s], 64 * 16)), "l"(descriptor(b[2 * s], 8 * 16))
                   : "memory");
    asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
    __syncthreads();
  }
  int g = i % 32 / 4, t = i % 4;
  for (int e = 0; e < 4; e++) {
    int row = 2 * t + (e & 1);
    if (row < R) y[size_t(row) * N + blockIdx.x * 64 + i / 32 * 16 + g + 8 * (e >> 1)] = d[e];
  }
}

using Own = void (*)(const bf16 *, const bf16 *, float *, int, int, int, int);

struct OwnKernel {
  std::string name;
  Own kernel[3];  // for 8, 16 and 64 rows
  int stages;     // 0: no ring
};

template <int L>
OwnKernel direct_kernel() {
  return {layout_names[L], {direct<L, 1>, direct<L, 2>, direct<L, 8>}, 0};
}
template <int D>
OwnKernel ring_kernel() {
  return {"ring" + std::to_string(D), {ring<1, D>, ring<2, D>, ring<8, D>}, D};
}

// False where a block does not hold it.
bool run_own(const OwnKernel &own, const bf16 *W, const bf16 *x, int R, int N, int K, int S) {
  int which = R <= 8 ? 0 : R <= 16 ? 1 : 2, tiles = which == 0 ? 1 : which == 1 ? 2 : 8;
  int bytes = S * std::max(own.stages * (16 + 8 * tiles) * 128, tiles * 8 * 16 * 4);
  if (bytes > 224 << 10 || 32 * S > most_threads(tiles)) return false;
  CHECK(cudaFuncSetAttribute(own.kernel[which], cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
  own.kernel[which]<<<N / 16, dim3(32, S), bytes, stream>>>(W, x, (float *)out, R, N, K, K / S);
  CHECK(cudaGetLastError());
  return true;
}

template <int D, int SK>
bool run_chain(bool early, const bf16 *W, const bf16 *x, int R, int N, int K) {
  auto launch = [&](auto kernel, int rows, int warps) {
    int bytes = D * (16 + rows) * row_bytes<SK>;
    if (bytes > 224 << 10 || K % SK != 0) return false;
    CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = early;
    cudaLaunchConfig_t config{};
    config.gridDim = N / 16, config.blockDim = dim3(32, warps + 4), config.dynamicSmemBytes = bytes,
    config.stream = stream;
    config.attrs = &attribute, config.numAttrs = 1;
    CHECK(cudaLaunchKernelEx(&config, kernel, W, x, (float *)out, R, N, K, early));
    return true;
  };
  return R <= 8    ? launch(chain<1, 1, D, SK>, 8, 1)
         : R <= 16 ? launch(chain<2, 1, D, SK>, 16, 1)
                   : launch(chain<2, 4, D, SK>, 64, 4);
}

// ---- small facts
// -----------------------------------------------------------------------------------------------------

__global__ void nothing() {}
__global__ void read_all(const uint4 *x, size_t n, uint32_t *sink) {
  uint32_t sum = 0;
  size_t stride = size_t(gridDim.x) * blockDim.x, i = blockIdx.x * size_t(blockDim.x) + threadIdx.x;
  for (; i + 3 * stride < n; i += 4 * stride) {
    uint4 v[4];
#pragma unroll
    for (int j = 0; j < 4; j++) v[j] = __ldcs(x + i + j * stride);
#pragma unroll
    for (int j = 0; j < 4; j++) sum ^= v[j].x ^ v[j].y ^ v[j].z ^ v[j].w;
  }
  if (sum == 0x12345678) *sink = sum;
}
__global__ void chain_cycles(float *y, long long *cycles) {
  float d[4] = {};
  uint32_t a[4] = {threadIdx.x, 1, 2, 3};
  for (int warm = 0; warm < 2; warm++) {
    long long start = clock64();
#pragma unroll 16
    for (int i = 0; i < 1024; i++) mma16(d, a, 5, 6);
    *cycles = clock64() - start;
  }
  y[threadIdx.x] = d[0] + d[1] + d[2] + d[3];
}

constexpr int function_count = 14;
const char *const function_names[] = {"fmaf chain of 64",
                                      "a*b+c as written",
                                      "division",
                                      "sqrtf",
                                      "1/sqrtf",
                                      "expf",
                                      "__expf (host expf)",
                                      "logf",
                                      "tanhf",
                                      "sinf",
                                      "powf",
                                      "expm1f",
                                      "bf16 rounding",
                                      "exp by fmaf only"};
// e^x for |x| < 80 from fmaf and exact steps alone: the same source gives the same bits on both sides.
__host__ __device__ inline float exp_by_fmaf(float x) {
  float n = rintf(x * 1.44269504f), r = fmaf(n, -0.693359375f, x), p = 1.9875691e-4f;
  r = fmaf(n, 2.12194440e-4f, r);
  const float rest[] = {1.3981999e-3f, 8.3334519e-3f, 4.1665796e-2f, 1.6666666e-1f, 0.5f, 1.0f, 1.0f};
  for (float c : rest) p = fmaf(p, r, c);
  union {
    uint32_t u;
    float f;
  } power = {uint32_t(int(n) + 127) << 23};
  return p * power.f;
}
__host__ __device__ inline float function(int which, float a, float b) {
  float positive = fabsf(a) + 1e-6f;
  switch (which) {
    case 0:
      for (int i = 0; i < 64; i++) a = fmaf(a, 0.9f, b);
      return a;
    case 1:
      return a * b + 0.1f;
    case 2:
      return a / b;
    case 3:
      return sqrtf(positive);
    case 4:
      return 1 / sqrtf(positive);
    case 5:
      return expf(a);
#ifdef __CUDA_ARCH__
    case 6:
      return __expf(a);
#else
    case 6:
      return expf(a);
#endif
    case 7:
      return logf(positive);
    case 8:
      return tanhf(a);
    case 9:
      return sinf(a);
    case 10:
      return powf(positive, b);
    case 11:
      return expm1f(a);
    case 12:
      return float(bf16(a));
    default:
      return exp_by_fmaf(a);
  }
}
__global__ void functions(const float *a, const float *b, float *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    for (int f = 0; f < function_count; f++) y[size_t(f) * n + i] = function(f, a[i], b[i]);
}
__global__ void philox_blocks(uint4 *y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = philox({uint32_t(i), 7, 11, 13}, {17, uint32_t(i) * 19});
}

double copy_rate, read_rate, matmul_rate;  // bytes/s, bytes/s, operations/s: the card's measured peaks

void small_facts() {
  for (int which = 0; which < 2; which++) {
    double us = microseconds(4, [&](int) {
      if (which == 0)
        CHECK(cudaMemcpyAsync(out, weights, weights_size * 2, cudaMemcpyDeviceToDevice, stream));
      else
        read_all<<<132 * 8, 512, 0, stream>>>((const uint4 *)weights, weights_size / 8, (uint32_t *)out);
    });
    (which == 0 ? copy_rate : read_rate) = weights_size * (which == 0 ? 4 : 2) / us * 1e6;
  }
  int n = 8192;
  for (int type : {CUDA_R_16BF, CUDA_R_32F}) {
    Product p(true, false, n, n, n, n, n, n, cudaDataType(type));
    for (auto &algorithm : p.best(4, true)) {
      if (!p.run(algorithm, weights, inputs)) continue;
      matmul_rate = std::max(matmul_rate,
                             2.0 * n * n * n / microseconds(4, [&](int) { p.run(algorithm, weights, inputs); }) * 1e6);
    }
  }
  emit(true, R"({"what":"peaks","copy_GBps":%.0f,"read_GBps":%.0f,"matmul_TFLOPs":%.0f})", copy_rate / 1e9,
       read_rate / 1e9, matmul_rate / 1e12);

  nothing<<<1, 32, 0, stream>>>();
  CHECK(cudaStreamSynchronize(stream));
  double start = now();
  for (int i = 0; i < 2000; i++) nothing<<<1, 32, 0, stream>>>();
  double queued = now();
  CHECK(cudaStreamSynchronize(stream));
  double ended = now();
  emit(
      true,
      R"({"what":"launch","us_to_queue":%.2f,"us_each":%.2f,"us_graph_node_1_block":%.2f,"us_graph_node_132x8_blocks":%.2f})",
      (queued - start) / 2000 * 1e6, (ended - start) / 2000 * 1e6,
      microseconds(1000, [](int) { nothing<<<1, 32, 0, stream>>>(); }),
      microseconds(1000, [](int) { nothing<<<132 * 8, 256, 0, stream>>>(); }));
  long long *cycles = (long long *)hashes_on_device, count;
  chain_cycles<<<1, 32, 0, stream>>>((float *)out, cycles);
  CHECK(cudaMemcpy(&count, cycles, 8, cudaMemcpyDeviceToHost));
  emit(true, R"({"what":"mma_chain","cycles_per_dependent_m16n8k16":%.1f})", count / 1024.0);

  n = 1 << 18;
  std::vector<float> a(n), b(n), y(size_t(n) * function_count);
  std::mt19937 bits(5);
  std::normal_distribution<float> normal;
  for (int i = 0; i < n; i++) a[i] = 8 * normal(bits), b[i] = normal(bits);
  float *on_device = (float *)out;
  CHECK(cudaMemcpy(on_device, a.data(), n * 4, cudaMemcpyHostToDevice));
  CHECK(cudaMemcpy(on_device + n, b.data(), n * 4, cudaMemcpyHostToDevice));
  functions<<<n / 256, 256, 0, stream>>>(on_device, on_device + n, on_device + 2 * n, n);
  CHECK(cudaStreamSynchronize(stream));
  CHECK(cudaMemcpy(y.data(), on_device + 2 * n, y.size() * 4, cudaMemcpyDeviceToHost));
  for (int f = 0; f < function_count; f++) {
    int different = 0;
    double worst = 0;
    for (int i = 0; i < n; i++) {
      float host = function(f, a[i], b[i]), device = y[size_t(f) * n + i];
      different += memcmp(&host, &device, 4) != 0;
      if (host != 0 && std::isfinite(host)) worst = std::max(worst, std::abs((double(device) - host) / host));
    }
    emit(true, R"({"what":"function","name":"%s","of":%d,"bits_differ":%d,"worst_relative":%.2g})", function_names[f],
         n, different, worst);
  }
  std::vector<uint4> blocks(n);
  philox_blocks<<<n / 256, 256, 0, stream>>>((uint4 *)out, n);
  CHECK(cudaStreamSynchronize(stream));
  CHECK(cudaMemcpy(blocks.data(), out, n * 16, cudaMemcpyDeviceToHost));
  int different = 0;
  for (int i = 0; i < n; i++) {
    uint4 host = philox({uint32_t(i), 7, 11, 13}, {17, uint32_t(i) * 19});
    different += memcmp(&host, &blocks[i], 16) != 0;
  }
  uint4 known = philox({0, 0, 0, 0}, {0, 0});
  emit(true, R"({"what":"philox","of":%d,"differ":%d,"known_answer":%s})", n, different,
       known.x == 0x6627e8d5 && known.y == 0xe169c58d && known.z == 0xbc57ac4c && known.w == 0x9b00dbd8 ? "true"
                                                                                                        : "false");
}

// ---- a model of the matrix unit: groups of k added at once, aligned to the largest term and cut below it
// --------------

double exponent_of(float v) { return v == 0 ? -1e9 : std::ilogb(v); }

float model_step(float acc, const float *w, const float *x, int L, int keep, bool cut_result) {
  double top = exponent_of(acc);
  for (int i = 0; i < L; i++)
    if (w[i] != 0 && x[i] != 0) top = std::max(top, exponent_of(w[i]) + exponent_of(x[i]));
  if (top < -1e8) return 0;
  double unit = std::ldexp(1.0, int(top) - keep), sum = std::trunc(acc / unit);
  for (int i = 0; i < L; i++) sum += std::trunc(double(w[i]) * x[i] / unit);
  double result = sum * unit;
  float y = float(result);
  if (cut_result && std::abs(double(y)) > std::abs(result)) y = std::nextafterf(y, 0);
  return y;
}

// `spread`: the exponents of the factors lie this far apart. Several models for the first, the one that fits for the
// rest.
void matrix_unit_model(int spread, int shift) {
  constexpr int N = 256, R = 8, K = 256;
  std::vector<bf16> w(N * K), x(R * K);
  std::mt19937 bits(9);
  std::normal_distribution<float> normal;
  for (auto *v : {&w, &x})
    for (auto &e : *v) e = std::ldexp(normal(bits), int(bits() % (2 * spread + 1)) - spread + shift);
  bf16 *wd = packed, *xd = packed + N * K;
  CHECK(cudaMemcpy(wd, w.data(), w.size() * 2, cudaMemcpyHostToDevice));
  CHECK(cudaMemcpy(xd, x.data(), x.size() * 2, cudaMemcpyHostToDevice));
  std::vector<float> y[3];
  for (int which = 0; which < 3; which++) {
    if (which == 0) run_own(direct_kernel<strict>(), wd, xd, R, N, K, 1);
    if (which == 1) warpgroup<<<N / 64, 128, 0, stream>>>(wd, xd, (float *)out, R, N, K);
    if (which == 2) run_own(direct_kernel<strict8>(), wd, xd, R, N, K, 1);
    y[which].resize(R * N);
    CHECK(cudaStreamSynchronize(stream));
    CHECK(cudaMemcpy(y[which].data(), out, R * N * 4, cudaMemcpyDeviceToHost));
  }
  for (int L : {4, 8, 16})
    for (int keep = 22; keep <= 27; keep++)
      for (bool cut : {false, true}) {
        if (spread != 4 && !(L >= 8 && keep == 25 && cut)) continue;
        int equal[3] = {};
        for (int r = 0; r < R; r++)
          for (int n = 0; n < N; n++) {
            float acc = 0;
            for (int k = 0; k < K; k += L) {
              float a[16], b[16];
              for (int i = 0; i < L; i++) a[i] = float(w[n * K + k + i]), b[i] = float(x[r * K + k + i]);
              acc = model_step(acc, a, b, L, keep, cut);
            }
            for (int which = 0; which < 3; which++) equal[which] += acc == y[which][r * N + n];
          }
        emit(
            L >= 8 && keep == 25 && cut,
            R"({"what":"model","spread":%d,"shift":%d,"group":%d,"bits_kept":%d,"cut":%s,"of":%d,"equal_mma_k16":%d,"equal_wgmma":%d,"equal_mma_k8":%d})",
            spread, shift, L, keep, cut ? "true" : "false", R * N, equal[0], equal[1], equal[2]);
      }
}

// ---- the forward and input-gradient products: company, classes, speed
// -------------------------------------------------

struct Shape {
  int N, K;
};
const Shape shapes[] = {{1536, 1536}, {2048, 1536}, {8960, 1536}, {17920, 1536}, {1536, 8960},
                        {896, 896},   {4864, 896},  {896, 4864},  {151936, 1536}};
int most_rows(Shape s) { return s.N > 100000 ? 1024 : 4096; }
std::vector<int> row_counts(Shape s) {
  std::vector<int> counts = {4096, 1024, 256, 128, 64, 16, 8, 7, 2, 1};
  if (most_rows(s) < 4096) counts.erase(counts.begin());
  return counts;
}
int copies(Shape s) { return int(std::clamp<size_t>(weights_size / (size_t(s.N) * s.K), 2, 64)); }
const bf16 *copy(Shape s, int i) {
  return weights + size_t(s.N) * s.K * (size_t(i) % std::max<size_t>(1, weights_size / (size_t(s.N) * s.K)));
}

struct Sweep {  // y or dx of one shape, for every number of rows
  Shape shape;
  bool gradient;
  cudaDataType type;
  std::map<int, std::unique_ptr<Product>> products;
  Classes classes;

  Sweep(Shape s, bool gradient, cudaDataType type) : shape(s), gradient(gradient), type(type) {
    for (int R : row_counts(s)) products[R] = gradient ? Product::dx(R, s.N, s.K, type) : Product::y(R, s.N, s.K, type);
  }
  int columns() const { return gradient ? shape.K : shape.N; }
  const bf16 *rows_from(int first) const { return inputs + size_t(first) * (gradient ? shape.N : shape.K); }
  void poison(int R) const {
    CHECK(cudaMemsetAsync(out, 0xFF, size_t(R) * columns() * (type == CUDA_R_32F ? 4 : 2), stream));
  }
  std::string label() const {
    return R"("op":")" + std::string(gradient ? "dx" : "y") + R"(","N":)" + std::to_string(shape.N) + R"(,"K":)" +
           std::to_string(shape.K) + R"(,"out":")" + (type == CUDA_R_32F ? "f32" : "bf16") + '"';
  }
  double time(const Algorithm &algorithm, int R) const {
    return microseconds(R > 256 ? 3 : copies(shape),
                        [&](int i) { products.at(R)->run(algorithm, copy(shape, i), inputs); });
  }

  void configuration(const Algorithm &algorithm, bool timed) {
    std::string by_rows, times, kernels;
    int common = -1;
    bool one = true, placed = true;
    for (int R : row_counts(shape)) {
      const Product &p = *products[R];
      if (!p.supports(algorithm)) continue;
      poison(R);
      if (!p.run(algorithm, weights, inputs)) continue;
      int c = classes.of(hashes_of(type, R, columns()));
      if (common < 0) common = c;
      one &= c == common;
      by_rows += (by_rows.empty() ? "\"" : ",\"") + std::to_string(R) + "\":" + std::to_string(c);
      for (int first : {(most_rows(shape) - R) / 3, most_rows(shape) - R}) {
        if (first == 0) continue;
        poison(R);
        p.run(algorithm, weights, rows_from(first));
        placed &= classes.agrees(c, hashes_of(type, R, columns()), first);
      }
      if (timed && (R == 1 || R == 8 || R == 64 || R == 256 || R == most_rows(shape))) {
        char s[40];
        snprintf(s, sizeof s, "%s\"%d\":%.2f", times.empty() ? "" : ",", R, time(algorithm, R));
        times += s;
      } else if (R == 64 && !timed) {
        microseconds(1, [&](int) { p.run(algorithm, weights, inputs); });
      }
      if (timed ? R == most_rows(shape) || R == 1 : R == 64) kernels += (kernels.empty() ? "" : " / ") + kernel_name;
    }
    if (by_rows.empty()) return;
    emit(
        false,
        R"({"what":"configuration",%s,"algorithm":"%s","kernel":"%s","classes":{%s},"one_class":%s,"any_position":%s,"us":{%s}})",
        label().c_str(), describe(algorithm).c_str(), kernels.c_str(), by_rows.c_str(), one ? "true" : "false",
        placed ? "true" : "false", times.c_str());
  }

  void run(int per_count) {
    std::map<std::string, Algorithm> pool;
    for (int R : row_counts(shape))
      if (R == 1 || R == 8 || R == 64 || R == 256 || R >= 1024)
        for (auto &a : products[R]->best(per_count, false)) pool.emplace(describe(a), a);
    for (auto &[name, algorithm] : pool)
      if (now() < deadline) configuration(algorithm, true);
    for (int R : row_counts(shape)) {  // what cuBLASLt takes when left alone
      auto choice = products[R]->best(1, true);
      if (choice.empty() || !products[R]->run(choice[0], weights, inputs)) continue;
      int c = classes.of(hashes_of(type, R, columns()));
      double us = time(choice[0], R);
      emit(
          false,
          R"({"what":"default",%s,"rows":%d,"algorithm":"%s","kernel":"%s","class":%d,"us":%.2f,"GBps":%.0f,"TFLOPs":%.1f})",
          label().c_str(), R, describe(choice[0]).c_str(), kernel_name.c_str(), c, us,
          2.0 * shape.N * shape.K / us / 1e3, 2.0 * R * shape.N * shape.K / us / 1e6);
    }
    emit(true, R"({"what":"sweep",%s,"configurations":%zu,"classes":%zu,"row_0":"%016llx"})", label().c_str(),
         pool.size(), classes.tables.size(), classes.tables.empty() ? 0ull : (unsigned long long)classes.tables[0][0]);
  }
};

// Every tile, stage count and cluster that a sample of all algorithms offers: bits only.
void enumerate(Sweep &sweep, int most) {
  int ids[64], found = 0;  // algorithms, by number
  CHECK(cublasLtMatmulAlgoGetIds(handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_16BF, sweep.type,
                                 sweep.type, 64, ids, &found));
  std::vector<Algorithm> all;
  for (int i = 0; i < found; i++) {
    Algorithm a;
    if (cublasLtMatmulAlgoInit(handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_16BF, sweep.type, sweep.type,
                               ids[i], &a))
      continue;
    uint32_t tiles[700] = {}, stages[64] = {}, custom = 0;
    size_t bytes = 0, tile_bytes = 0, stage_bytes = 0;
    cublasLtMatmulAlgoCapGetAttribute(&a, CUBLASLT_ALGO_CAP_TILE_IDS, tiles, sizeof tiles, &tile_bytes);
    cublasLtMatmulAlgoCapGetAttribute(&a, CUBLASLT_ALGO_CAP_STAGES_IDS, stages, sizeof stages, &stage_bytes);
    cublasLtMatmulAlgoCapGetAttribute(&a, CUBLASLT_ALGO_CAP_CUSTOM_OPTION_MAX, &custom, sizeof custom, &bytes);
    std::vector<Algorithm> supported;
    for (size_t t = 0; t < std::max<size_t>(1, tile_bytes / 4); t++)
      for (size_t s = 0; s < std::max<size_t>(1, stage_bytes / 4); s++)
        for (uint16_t cluster : {0, 2, 3, 5, 6})
          for (uint32_t option = 0; option <= std::min(custom, 3u); option++) {
            Algorithm b = a;
            int one = 1;
            auto set = [&](auto which, auto value) {
              cublasLtMatmulAlgoConfigSetAttribute(&b, which, &value, sizeof value);
            };
            set(CUBLASLT_ALGO_CONFIG_TILE_ID, tiles[t]);
            set(CUBLASLT_ALGO_CONFIG_STAGES_ID, stages[s]);
            set(CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, cluster);
            set(CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, option);
            set(CUBLASLT_ALGO_CONFIG_SPLITK_NUM, one);
            if (sweep.products[64]->supports(b)) supported.push_back(b);
          }
    emit(false, R"({"what":"algorithm",%s,"id":%d,"tiles":%zu,"stages":%zu,"supported":%zu})", sweep.label().c_str(),
         ids[i], tile_bytes / 4, stage_bytes / 4, supported.size());
    std::shuffle(supported.begin(), supported.end(), std::mt19937(1));
    if (int(supported.size()) > most) supported.resize(most);
    all.insert(all.end(), supported.begin(), supported.end());
  }
  std::shuffle(all.begin(), all.end(), std::mt19937(2));
  for (auto &a : all)
    if (now() < deadline) sweep.configuration(a, false);
  emit(true, R"({"what":"enumerated",%s,"configurations":%zu,"classes":%zu})", sweep.label().c_str(), all.size(),
       sweep.classes.tables.size());
}

// ---- K in segments, and our own kernels, against cuBLASLt's classes
// ---------------------------------------------------

void segments_and_own(Sweep &sweep) {
  int N = sweep.shape.N, K = sweep.shape.K;
  std::vector<OwnKernel> own = {
      direct_kernel<strict>(),  direct_kernel<group>(), direct_kernel<wide>(), direct_kernel<fragments>(),
      direct_kernel<strict8>(), ring_kernel<4>(),       ring_kernel<8>()};
  auto measure = [&](Classes &classes, const char *name, int S, auto run) {  // run(W, rows); false where it cannot
    std::string by_rows, times;
    for (int R : {64, 16, 8, 7, 2, 1}) {
      sweep.poison(R);
      if (!run(copy(sweep.shape, 0), R)) continue;
      int c = classes.of(hashes_of(CUDA_R_32F, R, N));
      by_rows += (by_rows.empty() ? "\"" : ",\"") + std::to_string(R) + "\":" + std::to_string(c);
      if (R == 7 || R == 2) continue;
      char s[40];
      snprintf(s, sizeof s, "%s\"%d\":%.2f", times.empty() ? "" : ",", R,
               microseconds(copies(sweep.shape), [&](int i) { run(copy(sweep.shape, i), R); }));
      times += s;
    }
    emit(false, R"({"what":"own","kernel":"%s","N":%d,"K":%d,"S":%d,"classes":{%s},"us":{%s}})", name, N, K, S,
         by_rows.c_str(), times.c_str());
  };
  for (bool early : {false, true}) {
    std::string end = early ? " early" : "";
    auto chains = [&]<int D, int SK>() {
      measure(sweep.classes, ("chain" + std::to_string(D) + "x" + std::to_string(SK) + end).c_str(), 1,
              [&](const bf16 *W, int R) { return run_chain<D, SK>(early, W, inputs, R, N, K); });
    };
    chains.template operator()<4, 128>();
    chains.template operator()<8, 128>();
    chains.template operator()<3, 256>();
    chains.template operator()<5, 256>();
  }
  for (int S : {1, 2, 4, 7, 8, 14, 16, 19, 24}) {
    if (K % (64 * S) != 0 || now() > deadline) continue;
    Classes apart, &classes = S == 1 ? sweep.classes : apart;
    if (S <= 4)
      for (int R : row_counts(sweep.shape)) {
        auto p = Product::y(R, N, K / S, CUDA_R_32F, K);
        auto algorithms = p->best(1, false, 16);
        if (algorithms.empty()) continue;
        auto launch = [&](int i) {
          for (int s = 0; s < S; s++)
            p->run(algorithms[0], copy(sweep.shape, i) + s * (K / S), inputs + s * (K / S), s > 0);
        };
        sweep.poison(R);
        launch(0);
        int c = classes.of(hashes_of(CUDA_R_32F, R, N));
        double us =
            R == 1 || R == 8 || R == 64 || R >= 1024 ? microseconds(R > 256 ? 3 : copies(sweep.shape), launch) : 0;
        emit(false, R"({"what":"segments","N":%d,"K":%d,"S":%d,"rows":%d,"class":%d,"us":%.2f,"kernel":"%s"})", N, K, S,
             R, c, us, us ? kernel_name.c_str() : "");
      }
    for (auto &k : own) {
      bool pack = k.name == "packed16";  // the class from packed weights; timed over others, which costs the same
      if (pack) pack_fragments<<<dim3(K / 16, N / 16), 32, 0, stream>>>(weights, (uint4 *)packed, K);
      measure(classes, k.name.c_str(), S,
              [&](const bf16 *W, int R) { return run_own(k, pack && W == weights ? packed : W, inputs, R, N, K, S); });
    }
    if (S == 1) {
      std::string by_rows;
      for (int R : {8, 1}) {
        sweep.poison(R);
        warpgroup<<<N / 64, 128, 0, stream>>>(weights, inputs, (float *)out, R, N, K);
        by_rows += (by_rows.empty() ? "\"" : ",\"") + std::to_string(R) +
                   "\":" + std::to_string(classes.of(hashes_of(CUDA_R_32F, R, N)));
      }
      emit(false, R"({"what":"own","kernel":"wgmma","N":%d,"K":%d,"S":1,"classes":{%s},"us":{}})", N, K,
           by_rows.c_str());
      std::vector<float> y(N);  // the last product's row against f64
      std::vector<bf16> w(size_t(64) * K), x(K);
      CHECK(cudaMemcpy(y.data(), out, N * 4, cudaMemcpyDeviceToHost));
      CHECK(cudaMemcpy(w.data(), weights, w.size() * 2, cudaMemcpyDeviceToHost));
      CHECK(cudaMemcpy(x.data(), inputs, K * 2, cudaMemcpyDeviceToHost));
      double error = 0, norm = 0;
      for (int n = 0; n < 64; n++) {
        double sum = 0;
        for (int i = 0; i < K; i++) sum += double(float(w[size_t(n) * K + i])) * float(x[i]);
        error += (y[n] - sum) * (y[n] - sum), norm += sum * sum;
      }
      emit(true, R"({"what":"against_f64","N":%d,"K":%d,"relative_error":%.2g})", N, K, std::sqrt(error / norm));
    }
  }
}

// ---- weight gradients: one sum over the rows, in units
// -----------------------------------------------------------------

void weight_gradient(Shape s) {
  int N = s.N, K = s.K;
  int rows = most_rows(s);
  const bf16 *x = inputs, *dy = weights;  // dy: rows x N, drawn from the other random numbers
  Classes classes;
  auto hash = [&] { return classes.of(hashes_of(CUDA_R_32F, N, K)); };
  for (int unit : {4096, 2048, 1024, 512, 256}) {
    if (unit > rows) continue;
    auto p = Product::dW(unit, N, K);
    auto choices = p->best(6, false);
    if (unit == rows)
      for (auto &a : p->best(2, true)) choices.push_back(a);
    for (auto &a : choices) {
      auto launch = [&](int) {
        for (int r = 0; r < rows; r += unit) p->run(a, x + size_t(r) * K, dy + size_t(r) * N, r > 0);
      };
      launch(0);
      int first = hash();
      bool again = true;
      for (int i = 0; i < 3; i++) launch(0), again &= hash() == first;
      double us = microseconds(2, launch);
      emit(
          false,
          R"({"what":"dW","N":%d,"K":%d,"rows":%d,"unit":%d,"class":%d,"reproducible":%s,"us":%.2f,"TFLOPs":%.1f,"algorithm":"%s","kernel":"%s"})",
          N, K, rows, unit, first, again ? "true" : "false", us, 2.0 * rows * N * K / us / 1e6, describe(a).c_str(),
          kernel_name.c_str());
    }
  }
  if (rows < 2048 || size_t(2048) * (N + K) > weights_size) return;
  // A unit of 2000 rows against the same padded with zero rows to 2048.
  auto p = Product::dW(2000, N, K), q = Product::dW(2048, N, K);
  auto a = p->best(1, false), b = q->best(1, false);
  p->run(a[0], x, dy);
  int plain = hash();
  bf16 *padded = packed;  // x and dy, padded
  size_t xs = size_t(2048) * K;
  CHECK(cudaMemsetAsync(padded, 0, (xs + size_t(2048) * N) * 2, stream));
  CHECK(cudaMemcpyAsync(padded, x, size_t(2000) * K * 2, cudaMemcpyDeviceToDevice, stream));
  CHECK(cudaMemcpyAsync(padded + xs, dy, size_t(2000) * N * 2, cudaMemcpyDeviceToDevice, stream));
  q->run(b[0], padded, padded + xs);
  emit(true, R"({"what":"dW_padding","N":%d,"K":%d,"rows":2000,"class":%d,"class_padded_to_2048":%d})", N, K, plain,
       hash());
}

}  // namespace

int main(int argc, char **argv) {
  double started = now();
  deadline = started + (argc > 1 ? atof(argv[1]) : 240);
  if (argc > 2) file = fopen(argv[2], "w");
  cudaDeviceProp device;
  CHECK(cudaGetDeviceProperties(&device, 0));
  CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  CHECK(cublasLtCreate(&handle));
  CHECK(cudaMalloc(&weights, weights_size * 2));
  CHECK(cudaMalloc(&packed, weights_size * 2));
  CHECK(cudaMalloc(&inputs, inputs_size * 2));
  CHECK(cudaMalloc(&out, out_bytes));
  CHECK(cudaMalloc(&workspace, workspace_bytes));
  CHECK(cudaMalloc(&hashes_on_device, 151936 * 8));
  fill_normal<<<132 * 8, 256, 0, stream>>>(weights, weights_size, 1, 0.02f);
  fill_normal<<<132 * 8, 256, 0, stream>>>(inputs, inputs_size, 2, 1);
  CHECK(cudaStreamSynchronize(stream));
  emit(true, R"({"what":"device","name":"%s","multiprocessors":%d,"l2_MB":%d,"cublasLt":%zu,"cudart":%zu})",
       device.name, device.multiProcessorCount, device.l2CacheSize >> 20, cublasLtGetVersion(),
       cublasLtGetCudartVersion());
  small_facts();
  matrix_unit_model(4, 0);
  matrix_unit_model(20, 0);
  matrix_unit_model(8, -62);  // products near and below the smallest normal f32
  for (Shape s : shapes) {
    Sweep f32(s, false, CUDA_R_32F);
    f32.run(12);
    segments_and_own(f32);
    if (s.N == 1536 && s.K == 1536) enumerate(f32, 60);
    if (s.N == 896 && s.K == 4864) enumerate(f32, 30);
  }
  for (Shape s : shapes)
    if (now() < deadline) weight_gradient(s);
  for (Shape s : shapes)
    if (now() < deadline) Sweep(s, true, CUDA_R_16BF).run(6);
  for (Shape s : shapes)
    if (now() < deadline) Sweep(s, false, CUDA_R_16BF).run(6);
  CHECK(cudaDeviceSynchronize());
  emit(true, R"({"what":"end","seconds":%.0f})", now() - started);
}
