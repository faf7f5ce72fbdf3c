// record.cpp -- the calls a model composes its pass with: each checks its shapes, notes the operator and runs it at
// once.
#include <algorithm>
#include <cstring>
#include <initializer_list>

#include "core/base/failure.h"
#include "core/model/layout.h"
#include "core/tape/graph.h"

namespace hone {
namespace {

using State = Tape::State;

std::string number(uint64_t n) { return std::to_string(n); }

class Recorder {
 public:
  Recorder(State &state, const char *call) : state_(state), call_(call) {}

  [[noreturn]] void refuse(const std::string &why) const { throw Failure(std::string(call_) + ": " + why); }
  void require(bool holds, const char *why) const {  // longer sentences are built only where they are needed
    if (!holds) refuse(why);
  }

  const Node &value(hone_tensor tensor, const char *name) const {
    if (State::is_parameter(tensor) && tensor)
      refuse(std::string(name) + " is a parameter, but must be a value of this pass");
    const Node &node = any(tensor, name);
    if (node.op == Operator::route) refuse(std::string(name) + " is a route, which only experts() takes");
    return node;
  }
  const Node &any(hone_tensor tensor, const char *name) const {
    if (tensor == 0 || tensor > state_.nodes.size()) refuse(std::string(name) + " is no tensor of this pass");
    const Node &node = state_.node(tensor);
    if (node.segment != state_.segment_start.size() - 1 && !node.kept)
      refuse(std::string(name) +
             " was made before the last boundary(), beyond which only the boundary's own tensor may be used");
    return node;
  }
  const ParameterInfo &parameter(hone_tensor tensor, const char *name) const {
    if (!State::is_parameter(tensor)) refuse(std::string(name) + " must be a parameter");
    return state_.info_of(tensor);
  }
  void equal(uint64_t found, uint64_t wanted, const char *what) const {
    if (found != wanted) refuse(std::string(what) + " must be " + number(wanted) + ", but it is " + number(found));
  }
  void shape(const ParameterInfo &parameter, std::initializer_list<uint32_t> wanted) const {
    if (!std::equal(wanted.begin(), wanted.end(), parameter.dims.begin(), parameter.dims.end()))
      refuse("\"" + parameter.name + "\" must have the shape " + shape_text(wanted) + " here, but it is declared as " +
             shape_text(parameter.dims));
  }

  // Where an operator reads a matrix itself, no adapter could be added to the product.
  void unadapted(hone_tensor tensor) const {
    if (State::is_parameter(tensor) && state_.weights->low_rank(State::index_of(tensor)))
      refuse("\"" + state_.info_of(tensor).name +
             "\" is a target of lora, but this model uses it other than in linear() and experts(); leave it out of "
             "target_modules");
  }

  hone_tensor finish(Node &&node) {
    node.segment = static_cast<uint32_t>(state_.segment_start.size() - 1);
    state_.nodes.push_back(node);
    state_.run(state_.nodes.back());
    if (state_.record) state_.note_needs(state_.nodes.back());
    return static_cast<hone_tensor>(state_.nodes.size());
  }

 private:
  State &state_;
  const char *call_;
};

// The part of a shape that both sides know, over zeroes. first: what the first plugins that told its size knew of it; one built
// before that begins with another number, which would be misread.
template <class Shape>
Shape known(const Shape &theirs, size_t first, const Recorder &check) {
  if (theirs.struct_size < first)
    check.refuse("the shape's struct_size is " + number(theirs.struct_size) + ", but it has " + number(first) +
                 " bytes at least; set it to sizeof, or build the plugin again with the SDK of this hone");
  Shape ours{};
  std::memcpy(&ours, &theirs, std::min<size_t>(theirs.struct_size, sizeof ours));
  return ours;
}
constexpr size_t kFirstAttentionShape = 16, kFirstRopeShape = 32, kFirstRouteShape = 36;

// Runs one call; whatever it throws becomes the pass's error, and 0.
template <class Call>
hone_tensor guarded(void *ctx, const char *name, Call &&call) noexcept {
  State &state = *static_cast<State *>(ctx);
  if (!state.error.empty()) return 0;
  try {
    Recorder recorder(state, name);
    return call(state, recorder);
  } catch (const std::exception &e) {
    try {
      state.error = e.what();
    } catch (...) {
      state.error = "?";  // short enough to need no memory
    }
    return 0;
  }
}

uint32_t tokens(void *ctx) { return static_cast<State *>(ctx)->T; }

hone_tensor parameter(void *ctx, uint32_t index) {
  return guarded(ctx, "parameter", [&](State &state, Recorder &check) -> hone_tensor {
    const size_t declared = state.weights->architecture().parameters().size();
    if (index >= declared)
      check.refuse("index " + number(index) + " is not among the " + number(declared) + " declared parameters");
    return kParameter | index;
  });
}

hone_tensor look_up(void *ctx, const char *name, hone_tensor table, uint32_t ahead) {
  return guarded(ctx, name, [&](State &state, Recorder &check) {
    check.require(ahead == 0 || !state.cache, "tokens ahead are not known while decoding");
    const ParameterInfo &parameter = check.parameter(table, "table");
    check.equal(parameter.dims.size(), 2, "the table's number of dimensions");
    check.unadapted(table);
    if (state.least_id < 0 || static_cast<uint32_t>(state.largest_id) >= parameter.dims[0])
      check.refuse("token id " + std::to_string(state.least_id < 0 ? state.least_id : state.largest_id) +
                   " is outside the table \"" + parameter.name + "\" of " + number(parameter.dims[0]) +
                   " rows; does the tokenizer belong to this model?");
    Node node(Operator::embedding);
    node.columns = parameter.dims[1];
    node.in[0] = table;
    node.embedding.ids = state.ids_ahead(ahead);
    return check.finish(std::move(node));
  });
}
hone_tensor embedding(void *ctx, hone_tensor table) { return look_up(ctx, "embedding", table, 0); }
hone_tensor embedding_ahead(void *ctx, hone_tensor table, uint32_t ahead) {
  return look_up(ctx, "embedding_ahead", table, ahead);
}

hone_tensor linear(void *ctx, hone_tensor x, hone_tensor weight, hone_tensor bias) {
  return guarded(ctx, "linear", [&](State &state, Recorder &check) {
    const Node &input = check.value(x, "x");
    const ParameterInfo &matrix = check.parameter(weight, "weight");
    if (matrix.dims.size() != 2 || matrix.dims[1] != input.columns)
      check.refuse("x has " + number(input.columns) + " columns, but \"" + matrix.name + "\" is " +
                   shape_text(matrix.dims));
    if (!state.weights->weight(State::index_of(weight)).N)
      check.refuse("\"" + matrix.name +
                   "\" was declared as a table to look up (HONE_PARAMETER_LOOKUP) and is not the head: it cannot be multiplied with");
    if (bias) check.shape(check.parameter(bias, "bias"), {matrix.dims[0]});
    Node node(Operator::linear);
    node.linear = {};
    node.columns = matrix.dims[0];
    node.in[0] = x, node.in[1] = weight, node.in[2] = bias;
    return check.finish(std::move(node));
  });
}

hone_tensor rms_norm(void *ctx, hone_tensor x, hone_tensor weight, uint32_t width, float epsilon) {
  return guarded(ctx, "rms_norm", [&](State &, Recorder &check) {
    const Node &input = check.value(x, "x");
    if (!(width > 0 && input.columns % width == 0))
      check.refuse("a width of " + number(width) + " does not divide x's " + number(input.columns) + " columns");
    check.require(epsilon >= 0, "epsilon must not be negative");
    if (weight) check.shape(check.parameter(weight, "weight"), {width});
    Node node(Operator::rms_norm);
    node.columns = input.columns;
    node.in[0] = x, node.in[1] = weight;
    node.norm = {width, epsilon, nullptr};
    return check.finish(std::move(node));
  });
}

hone_tensor elementwise(void *ctx, const char *name, Operator op, hone_tensor a, hone_tensor b) {
  return guarded(ctx, name, [&](State &, Recorder &check) {
    const uint32_t columns = check.value(a, "the first tensor").columns;
    check.equal(check.value(b, "the second tensor").columns, columns, "the second tensor's columns");
    Node node(op);
    node.columns = columns;
    node.in[0] = a, node.in[1] = b;
    return check.finish(std::move(node));
  });
}
hone_tensor add(void *ctx, hone_tensor a, hone_tensor b) { return elementwise(ctx, "add", Operator::add, a, b); }
hone_tensor swiglu(void *ctx, hone_tensor gate, hone_tensor up) {
  return elementwise(ctx, "swiglu", Operator::swiglu, gate, up);
}

hone_tensor scale(void *ctx, hone_tensor a, float factor) {
  return guarded(ctx, "scale", [&](State &, Recorder &check) {
    Node node(Operator::scale);
    node.columns = check.value(a, "x").columns;
    node.in[0] = a;
    node.scale = {factor};
    return check.finish(std::move(node));
  });
}

hone_tensor slice(void *ctx, hone_tensor x, uint32_t heads, uint32_t begin, uint32_t size) {
  return guarded(ctx, "slice", [&](State &, Recorder &check) {
    const Node &input = check.value(x, "x");
    if (!(heads > 0 && input.columns % heads == 0))
      check.refuse(number(heads) + " heads do not divide x's " + number(input.columns) + " columns");
    const uint32_t width = input.columns / heads;
    if (!(size > 0 && begin <= width && size <= width - begin))
      check.refuse("columns " + number(begin) + " .. " + number(uint64_t{begin} + size) + " are not within a head of " +
                   number(width));
    Node node(Operator::slice);
    node.columns = heads * size;
    node.in[0] = x;
    node.slice = {heads, begin, size};
    return check.finish(std::move(node));
  });
}

hone_tensor join(void *ctx, hone_tensor a, uint32_t a_heads, hone_tensor b, uint32_t b_heads) {
  return guarded(ctx, "join", [&](State &, Recorder &check) {
    const Node &first = check.value(a, "a"), &second = check.value(b, "b");
    if (!(a_heads > 0 && first.columns % a_heads == 0))
      check.refuse(number(a_heads) + " heads do not divide a's " + number(first.columns) + " columns");
    if (!(b_heads == a_heads || b_heads == 1))
      check.refuse("b's heads must be as many as a's, " + number(a_heads) + ", or 1, but are " + number(b_heads));
    if (!(second.columns % b_heads == 0))
      check.refuse(number(b_heads) + " heads do not divide b's " + number(second.columns) + " columns");
    Node node(Operator::join);
    node.columns = first.columns + second.columns / b_heads * a_heads;
    node.in[0] = a, node.in[1] = b;
    node.join = {a_heads, b_heads};
    return check.finish(std::move(node));
  });
}

hone_tensor rope(void *ctx, hone_tensor x, const hone_rope_shape *theirs) {
  return guarded(ctx, "rope", [&](State &state, Recorder &check) {
    const hone_rope_shape shape = known(*theirs, kFirstRopeShape, check);
    const Node &input = check.value(x, "x");
    if (!(shape.heads > 0 && input.columns % shape.heads == 0))
      check.refuse(number(shape.heads) + " heads do not divide x's " + number(input.columns) + " columns");
    const uint32_t width = input.columns / shape.heads;
    if (!(shape.size > 0 && shape.size % 2 == 0 && shape.begin <= width && shape.size <= width - shape.begin))
      check.refuse("the rotated columns " + number(shape.begin) + " .. " +
                   number(uint64_t{shape.begin} + shape.size) + " must be an even number within a head of " +
                   number(width));
    check.require(shape.inverse_frequency != nullptr, "inverse_frequency is missing");
    Node node(Operator::rope);
    node.columns = input.columns;
    node.in[0] = x;
    node.rope = {shape.heads, shape.begin, shape.size, shape.interleaved, state.ropes.find(shape)};
    return check.finish(std::move(node));
  });
}

hone_tensor attention(void *ctx, hone_tensor q, hone_tensor k, hone_tensor v, const hone_attention_shape *theirs) {
  return guarded(ctx, "attention", [&](State &state, Recorder &check) {
    const hone_attention_shape shape = known(*theirs, kFirstAttentionShape, check);
    const hone_model_info &info = state.weights->architecture().info();
    if (!(shape.heads > 0 && shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0))
      check.refuse(number(shape.kv_heads) + " kv heads do not divide " + number(shape.heads) + " heads");
    check.equal(shape.kv_heads, info.kv_heads, "kv_heads, as info() says,");
    check.equal(check.value(q, "q").columns, uint64_t{shape.heads} * info.key_size, "q's columns, heads * key_size,");
    check.equal(check.value(k, "k").columns, uint64_t{shape.kv_heads} * info.key_size,
                "k's columns, kv_heads * key_size,");
    check.equal(check.value(v, "v").columns, uint64_t{shape.kv_heads} * info.value_size,
                "v's columns, kv_heads * value_size,");
    if (!(state.attention_calls < state.attention_layers))
      check.refuse("info() tells of " + number(state.attention_layers) + " attention layers; this is one more");
    Node node(Operator::attention);
    node.columns = shape.heads * info.value_size;
    node.in[0] = q, node.in[1] = k, node.in[2] = v;
    node.attention = {shape.heads, shape.kv_heads, state.attention_calls++, shape.scale, nullptr};
    return check.finish(std::move(node));
  });
}

hone_tensor route(void *ctx, hone_tensor logits, hone_tensor bias, const hone_route_shape *theirs) {
  return guarded(ctx, "route", [&](State &state, Recorder &check) {
    const hone_route_shape shape = known(*theirs, kFirstRouteShape, check);
    const hone_model_info &info = state.weights->architecture().info();
    const uint32_t experts = check.value(logits, "logits").columns;
    check.equal(experts, info.experts, "the logits' columns, info()'s experts,");
    check.equal(shape.experts_per_token, info.experts_per_token, "experts_per_token, as info() says,");
    if (!(shape.groups > 0 && experts % shape.groups == 0))
      check.refuse(number(shape.groups) + " groups do not divide " + number(experts) + " experts");
    if (!(shape.groups_kept > 0 && shape.groups_kept <= shape.groups))
      check.refuse("groups_kept must be 1 .. " + number(shape.groups) + ", but it is " + number(shape.groups_kept));
    if (!(shape.experts_per_token > 0 && shape.experts_per_token <= experts / shape.groups * shape.groups_kept))
      check.refuse(number(shape.experts_per_token) + " experts cannot be chosen from " +
                   number(experts / shape.groups * shape.groups_kept));
    if (!(shape.gate == HONE_GATE_SIGMOID || shape.gate == HONE_GATE_SOFTMAX))
      check.refuse("gate " + number(shape.gate) + " is unknown");
    if (!(shape.group_score == HONE_GROUP_TWO_LARGEST || shape.group_score == HONE_GROUP_LARGEST))
      check.refuse("group_score " + number(shape.group_score) + " is unknown");
    if (!(state.route_calls < state.routed_layers))
      check.refuse("info() tells of " + number(state.routed_layers) + " routed layers; this is one more");
    if (bias) check.shape(check.parameter(bias, "bias"), {experts});
    Node node(Operator::route);
    node.in[0] = logits, node.in[1] = bias;
    node.route = {};
    node.route.args = {
        state.T,          experts,       shape.experts_per_token, shape.groups, shape.groups_kept, shape.gate,
        shape.normalise, shape.scaling, shape.group_score};
    node.route.alpha = shape.sequence_loss;
    node.route.layer = state.route_calls++;
    return check.finish(std::move(node));
  });
}

hone_tensor experts(void *ctx, hone_tensor x, hone_tensor route, hone_tensor gate, hone_tensor up, hone_tensor down) {
  return guarded(ctx, "experts", [&](State &, Recorder &check) {
    const Node &input = check.value(x, "x"), &chosen = check.any(State::is_parameter(route) ? 0 : route, "route");
    check.require(chosen.op == Operator::route, "route must be what route() gave");
    const uint32_t E = chosen.route.args.E, C = input.columns;
    const ParameterInfo &gates = check.parameter(gate, "gate");
    if (gates.dims.size() != 3) check.refuse("\"" + gates.name + "\" must have 3 dimensions");
    const uint32_t F = gates.dims[1];
    check.shape(gates, {E, F, C});
    check.shape(check.parameter(up, "up"), {E, F, C});
    check.shape(check.parameter(down, "down"), {E, C, F});
    for (hone_tensor matrix : {gate, up, down})
      if (!(check.parameter(matrix, "weight").flags & HONE_PARAMETER_EXPERTS))
        check.refuse("\"" + check.parameter(matrix, "weight").name + "\" must be declared with HONE_PARAMETER_EXPERTS");
    Node node(Operator::experts);
    node.columns = C;
    node.in[0] = x, node.in[1] = route, node.in[2] = gate, node.in[3] = up, node.in[4] = down;
    node.experts = {};
    return check.finish(std::move(node));
  });
}

hone_tensor custom(void *ctx, const hone_tensor *inputs, uint32_t n_inputs, const hone_custom *op) {
  return guarded(ctx, "custom", [&](State &state, Recorder &check) {
    if (!(n_inputs <= kMostInputs))
      check.refuse(number(n_inputs) + " inputs are more than the " + number(kMostInputs) + " allowed");
    Node node(Operator::custom);
    node.custom.op = {};
    std::memcpy(&node.custom.op, op, std::min<size_t>(op->struct_size, sizeof(hone_custom)));
    check.require(node.custom.op.forward && node.custom.op.backward && node.custom.op.columns > 0,
                  "it needs forward, backward and columns");
    for (uint32_t i = 0; i < n_inputs; ++i) {
      if (!State::is_parameter(inputs[i])) check.value(inputs[i], "an input");
      check.unadapted(inputs[i]);
    }
    node.columns = node.custom.op.columns;
    node.custom.first_input = static_cast<uint32_t>(state.custom_inputs.size());
    node.custom.n_inputs = n_inputs;
    state.custom_inputs.insert(state.custom_inputs.end(), inputs, inputs + n_inputs);
    return check.finish(std::move(node));
  });
}

hone_tensor boundary(void *ctx, hone_tensor x) {
  return guarded(ctx, "boundary", [&](State &state, Recorder &check) {
    check.value(x, "x");
    Node &node = state.node(x);
    if (state.keep_boundaries_only) {
      if (!node.kept) {
        float *copy = state.kept.floats(state.size_of(node));
        state.kernels.copy(&state.stream, copy, node.data, state.size_of(node));
        node.data = copy;
      }
      state.scratch.rewind();
    }
    node.kept = true;
    if (state.record && !state.keep_boundaries_only) state.give_back_segment(state.segment_start.back());
    state.segment_start.push_back(static_cast<uint32_t>(state.nodes.size()));
    return x;
  });
}

}  // namespace

const hone_tape &recorder() {
  static const hone_tape table = {sizeof(hone_tape),
                                  nullptr,
                                  tokens,
                                  parameter,
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
                                  custom,
                                  boundary,
                                  embedding_ahead};
  return table;
}

}  // namespace hone
