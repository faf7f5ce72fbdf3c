// graph.h -- what one pass leaves behind: its operators in order, with all that is needed to run each again or
// backwards.
//
// A tensor handle is 1 + the index of the node that made it, or kParameter | a parameter's index.
// A segment is what lies between two boundaries. Where a pass keeps boundaries only (checkpointing, or nothing
// recorded), the memory of a segment is given back when the next begins; boundaries' values live in `kept` for the
// whole pass. Where all is recorded, a finished segment gives back the values that no gradient reads, and those that are
// cheaply computed again (norms and swiglu, for the products that read them; and what swiglu reads, where products are made of tiles); the segments after it use their memory.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/tape/arena.h"
#include "core/tape/rope_table.h"
#include "core/tape/tape.h"

namespace hone {

constexpr hone_tensor kParameter = 0x80000000u;
constexpr uint32_t kMostInputs = 16;  // of a custom operator

enum class Operator : uint8_t {
  embedding,
  linear,
  rms_norm,
  add,
  scale,
  swiglu,
  slice,
  join,
  rope,
  attention,
  route,
  experts,
  custom
};

struct Node {
  Operator op;
  bool kept = false;     // a boundary
  bool needed = false;   // a gradient reads the value
  bool again = false;    // its value was given back, and is computed once more for the gradient of a product or of swiglu
  uint32_t columns = 0;  // of the value, [T, columns]; 0 for a route
  uint32_t segment = 0;
  hone_tensor in[5] = {};
  float *data = nullptr, *gradient = nullptr;  // of a route: chosen weights [T, k] and their gradient. data null: given back
  union {
    struct {
      float *low;  // as add_low_rank gave
    } linear;
    struct {
      const int32_t *ids;
    } embedding;
    struct {
      uint32_t width;
      float epsilon;
      float *inverse;
    } norm;
    struct {
      float factor;
    } scale;
    struct {
      uint32_t heads, begin, size;
    } slice;
    struct {
      uint32_t a_heads, b_heads;
    } join;
    struct {
      uint32_t heads, begin, size, interleaved, table;
    } rope;
    struct {
      uint32_t heads, kv_heads, layer;
      float scale;
      float *lse;
    } attention;
    struct {
      hone_route_args args;
      float alpha;
      uint32_t layer;
      float *scores;
      int32_t *index;
      uint32_t *order, *place, *offsets;
    } route;
    struct {
      float *x, *gate, *up, *hidden, *down;
      float *low_gate, *low_up, *low_down;  // as add_low_rank gave
    } experts;  // all by expert, T * k rows
    struct {
      uint32_t first_input, n_inputs;
      hone_custom op;
    } custom;
  };
  explicit Node(Operator made_by) : op(made_by), custom{} {}
};

// The rows of a product: all with one matrix, or by expert: expert e has rows offsets[e] .. offsets[e + 1] (offsets not
// null).
struct ProductRows {
  uint32_t rows, experts;
  const uint32_t *offsets;
};

struct Tape::State {
  State(const hone_kernels &table, const hone_stream &work)
      : kernels(table), stream(work), kept(table), scratch(table), ropes(table) {
    free_gradients.reserve(64);
  }

  const hone_kernels &kernels;
  hone_stream stream;
  Arena kept, scratch;
  RopeTables ropes;

  // The pass.
  const Weights *weights = nullptr;
  uint32_t T = 0, R = 0, positions = 0;  // positions: the largest one, plus one
  int32_t least_id = 0, largest_id = 0;
  int32_t *ids = nullptr;
  uint32_t *position = nullptr, *row_start = nullptr;
  uint32_t *prefix = nullptr;  // null: no row shares anything
  hone_cached_rows cached_rows{};
  KvCache *cache = nullptr;  // null: packed
  bool record = false, keep_boundaries_only = false, replaying = false;
  std::vector<Node> nodes;
  std::vector<hone_tensor> custom_inputs;
  std::vector<uint32_t> segment_start;  // first node of each segment
  uint32_t attention_calls = 0, route_calls = 0;
  uint32_t attention_layers = 0, routed_layers = 0;  // calls that this pass may make
  hone_tensor hidden = 0;
  std::vector<hone_tensor> ahead;             // hidden states of the depths beyond the first prediction
  std::vector<const int32_t *> ids_of_ahead;  // [i]: the ids i + 1 tokens ahead, once asked for
  std::string error;                          // the first; empty: none
  double auxiliary_loss = 0;
  std::vector<uint64_t> counts;  // [routed_layers][experts]
  const Architecture *counted = nullptr;
  std::vector<uint32_t> host_offsets, host_positions;
  PackedTokens host_tokens;  // the caller's: valid while the pass is composed

  // Backward.
  float *gradient = nullptr;  // of all trained parameters
  float auxiliary_scale = 0;
  struct FreeGradient {
    uint64_t floats;
    float *data;
  };
  std::vector<FreeGradient> free_gradients;

  Node &node(hone_tensor tensor) { return nodes[tensor - 1]; }
  const Node &node(hone_tensor tensor) const { return nodes[tensor - 1]; }
  static bool is_parameter(hone_tensor tensor) { return tensor & kParameter; }
  static uint32_t index_of(hone_tensor parameter) { return parameter & ~kParameter; }
  const ParameterInfo &info_of(hone_tensor parameter) const { return weights->parameters()[index_of(parameter)]; }
  const float *parameter_data(hone_tensor parameter) const { return weights->parameter(index_of(parameter)); }
  uint64_t size_of(const Node &node) const { return uint64_t{T} * node.columns; }

  // run.cpp: computes a node's value into scratch.
  void run(Node &);
  void run_product(const Node &, const float *x, float *y);  // of a linear, without an adapter's part
  void run_norm(Node &, float *y);
  void run_swiglu(Node &, float *y);
  void run_route(Node &);
  void run_experts(Node &);
  void run_custom(Node &);
  // keep.cpp: which values stay until their gradient is computed.
  bool cheap_product(const Node &);
  void note_needs(const Node &);           // of a node just made, what its gradient will read
  void give_back_segment(uint32_t first);  // of the nodes from `first`, what no gradient reads
  float *value_of(hone_tensor);            // of an input, computed once more where it was given back
  // low_rank.cpp: LoRA, beside each product with a targeted matrix. add gives scaling x A^T, [rows, rank], or null.
  float *add_low_rank(hone_tensor weight, ProductRows, const float *x, float *y);
  void differentiate_low_rank(hone_tensor weight, ProductRows, const float *x, const float *low, const float *dy,
                              float *dx);
  // differentiate.cpp: from a node's gradient to those of its inputs.
  void differentiate(Node &);
  void differentiate_linear(Node &);
  void differentiate_join(Node &);
  void differentiate_route(Node &);
  void differentiate_experts(Node &);
  void differentiate_custom(Node &);
  float *parameter_gradient(hone_tensor parameter) const;  // null: not trained
  float *gradient_of(hone_tensor);                         // made of zeroes at its first use
  struct Sum {
    float *data;
    int begun;  // 0: not yet, what is there is to be overwritten
  };
  Sum begin_gradient_of(hone_tensor);                      // without the zeroes
  void add_to_gradient_of(hone_tensor, const float *more);
  void contribute(hone_tensor, Node &from);                // adds from's gradient, or hands it over
  float *borrow(uint64_t floats);
  float *borrow_zeroes(uint64_t floats);
  void give_back(float *data, uint64_t floats);
  void replay(uint32_t segment);
  void backward();

  // tape.cpp
  void begin(const Weights &, const PackedTokens &, std::span<const uint32_t> first_position);
  const float *compose(const Weights &, uint32_t depths);
  const int32_t *ids_ahead(uint32_t);
};

const hone_tape &recorder();  // the table of calls; its ctx is filled with the State (record.cpp)

}  // namespace hone
