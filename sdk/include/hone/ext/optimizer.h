// optimizer.h -- "hone.optimizer/1": turns gradients into new parameters, over flat spans the host owns.
//
// The host owns parameters, gradients and state (so that sharding, checkpoints and resume are its matter), clips by the
// global norm and runs the learning-rate schedule. An optimizer keeps no state of its own: what must survive a step is in
// `state`. That makes update() [many]: the host cuts elementwise work as it likes and calls from all threads.
#pragma once

#include "hone/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HONE_OPTIMIZER "hone.optimizer/1"

enum {  // hone_span::flags
  HONE_SPAN_DECAY = 1,      // weight decay applies (matrices; not norms or biases)
  HONE_SPAN_EMBEDDING = 2,  // of a table whose rows are looked up, a head that is tied to it included. since minor 1
  HONE_SPAN_HEAD = 4        // of what gives logits, or values. since minor 1
};
enum { HONE_ELEMENTWISE = 0, HONE_WHOLE_MATRIX = 1 }; // how small the pieces given to update() may be

typedef struct hone_span {
  uint32_t struct_size, flags;
  hone_str name;               // of the parameter it is part of
  uint64_t size;               // elements in this piece
  uint64_t rows, columns;      // of the matrix, when pieces are whole matrices (each expert's is one); 0 for what is not a matrix
  float *parameter;            // [size] in and out
  const float *gradient;       // [size] already averaged; multiply by gradient_scale
  float *const *state;         // [n_states][size] in and out; all zero before the first step
} hone_span;

typedef struct hone_update {
  uint32_t struct_size, span_size;  // span_size: sizeof(hone_span) as the host knows it; step through the array by it
  uint64_t step;                    // 1 in the first update
  double learning_rate_factor;      // the schedule's, in [0, 1]; multiply the optimizer's own learning rate by it
  double gradient_scale;            // what clipping by the global norm leaves, in (0, 1]
} hone_update;

typedef struct hone_optimizer {
  uint32_t struct_size;
  uint32_t (*n_states)(void *self);     // buffers of state per parameter: 2 for adamw. [many]
  uint32_t (*granularity)(void *self);  // HONE_ELEMENTWISE or HONE_WHOLE_MATRIX; may be null: elementwise. [many]
  int32_t (*update)(void *self, const hone_update *step, const hone_span *spans, uint32_t n_spans, hone_error *err);  // [many]
} hone_optimizer;

#ifdef __cplusplus
}
#endif
