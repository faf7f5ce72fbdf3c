// host.h -- the services a host offers to every plugin. Ask for one with host->get(host, id); null means "not offered".
// Each service is one struct, valid as long as the host; its first argument is always its own ctx.
#pragma once

#include "hone/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HONE_HOST_LOG "hone.host.log/1"
enum { HONE_DEBUG = 0, HONE_INFO = 1, HONE_WARNING = 2, HONE_PROBLEM = 3 };
typedef struct hone_log {
  uint32_t struct_size;
  void *ctx;
  void (*write)(void *ctx, int32_t level, hone_str text);  // one line, no newline at its end. [many]
} hone_log;

#define HONE_HOST_METRICS "hone.host.metrics/1"
typedef struct hone_metrics {
  uint32_t struct_size;
  void *ctx;
  // Joins the current step's record in metrics.jsonl; the last value of a name counts. Outside a step: ignored. [main]
  void (*put)(void *ctx, hone_str name, double value);
} hone_metrics;

#define HONE_HOST_PARALLEL "hone.host.parallel/1"
typedef struct hone_parallel {
  uint32_t struct_size;
  void *ctx;
  uint32_t (*threads)(void *ctx);  // how many threads may run body at once. [many]
  // Calls body(arg, begin, end) over disjoint ranges that cover [0, n), and returns when all have returned. Ranges are
  // multiples of `grain` long but for the last. A call from inside a body runs on the calling thread. [many]
  void (*loop)(void *ctx, uint64_t n, uint64_t grain, void (*body)(void *arg, uint64_t begin, uint64_t end), void *arg);
} hone_parallel;

#define HONE_HOST_RANDOM "hone.host.random/1"
// Philox4x32-10 (Salmon et al., SC 2011) keyed by the run's seed: the same arguments always give the same bits, on any
// thread and after any resume. There is no generator state.
typedef struct hone_random {
  uint32_t struct_size;
  void *ctx;
  void (*bits)(void *ctx, uint32_t stage, uint32_t step, uint32_t row, uint32_t token, uint32_t out[4]);  // [many]
} hone_random;

#ifdef __cplusplus
}
#endif
