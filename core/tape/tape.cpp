// tape.cpp -- the three kinds of pass, and the way into the backward one.
#include "core/tape/tape.h"

#include "core/base/failure.h"
#include "core/tape/graph.h"

namespace hone {
namespace {

template <class T>
T *on_device(Tape::State &state, std::span<const T> values) {
  T *copy = static_cast<T *>(state.kept.take(values.size_bytes()));
  state.kernels.copy_in(&state.stream, copy, values.data(), values.size_bytes());
  return copy;
}

}  // namespace

Tape::Tape(const hone_kernels &kernels, const hone_stream &stream) : state_(std::make_unique<State>(kernels, stream)) {}
Tape::~Tape() = default;

// Checks the tokens, lays them and their positions down, and forgets the pass before.
void Tape::State::begin(const Weights &pass_weights, const PackedTokens &tokens,
                        std::span<const uint32_t> first_position) {
  const Architecture &architecture = pass_weights.architecture();
  const hone_model_info &info = architecture.info();
  const auto refuse = [&](const std::string &why) { throw Failure("model " + architecture.component() + ": " + why); };
  weights = nullptr;
  record = false;
  hidden = 0;
  if (!pass_weights.prepared()) refuse("its weights were changed after they were last prepared");
  if (tokens.row_start.size() < 2 || tokens.row_start.front() != 0 || tokens.row_start.back() != tokens.ids.size() ||
      tokens.ids.empty())
    refuse("a pass needs at least one row and one token, with row_start from 0 to the number of tokens");
  if (tokens.ids.size() > UINT32_MAX / 2)
    refuse("a pass of " + std::to_string(tokens.ids.size()) + " tokens is too large");

  kept.restart();
  scratch.restart();
  nodes.clear();
  custom_inputs.clear();
  free_gradients.clear();
  segment_start.assign(1, 0);
  attention_calls = route_calls = 0;
  attention_layers = info.attention_layers;
  routed_layers = info.routed_layers;
  ahead.clear();
  ids_of_ahead.clear();
  host_tokens = tokens;
  error.clear();
  auxiliary_loss = 0;
  T = static_cast<uint32_t>(tokens.ids.size());
  R = static_cast<uint32_t>(tokens.row_start.size() - 1);
  positions = 0;
  least_id = largest_id = tokens.ids[0];
  for (int32_t id : tokens.ids) {
    least_id = std::min(least_id, id);
    largest_id = std::max(largest_id, id);
  }
  if (!tokens.prefix.empty() && (tokens.prefix.size() != R || architecture.all_routed_layers() > 0))
    refuse(tokens.prefix.size() != R ? "prefix must have a number for each row"
                                     : "rows of a model that routes tokens to experts cannot share a prefix");
  host_positions.resize(T);
  for (uint32_t r = 0; r < R; ++r) {
    const uint32_t begin = tokens.row_start[r], end = tokens.row_start[r + 1];
    if (end < begin || end > T) refuse("row_start is not in order at row " + std::to_string(r));
    uint32_t first = first_position.empty() ? 0 : first_position[r];
    if (const uint32_t before = tokens.prefix.empty() ? r : tokens.prefix[r]; before != r) {
      if (before >= r || tokens.prefix[before] != before || (r > before + 1 && tokens.prefix[r - 1] != before))
        refuse("prefix is not in order at row " + std::to_string(r) + ": a row that is shared has no prefix, and those that share it follow at once");
      first = tokens.row_start[before + 1] - tokens.row_start[before];
    }
    const uint64_t last = uint64_t{first} + (end - begin);
    if (last > info.max_positions)
      refuse("row " + std::to_string(r) + " has " + std::to_string(last) +
             " tokens, but the model's last position is " + std::to_string(info.max_positions) +
             "; shorten it, or raise max_position_embeddings");
    for (uint32_t t = begin; t < end; ++t) host_positions[t] = first + (t - begin);
    positions = std::max(positions, static_cast<uint32_t>(last));
  }
  ids = on_device(*this, tokens.ids);
  row_start = on_device(*this, tokens.row_start);
  prefix = tokens.prefix.empty() ? nullptr : on_device(*this, tokens.prefix);
  position = on_device(*this, std::span<const uint32_t>(host_positions));

  const size_t n_counts = size_t{architecture.all_routed_layers()} * info.experts;
  if (counted != &architecture || counts.size() != n_counts) {
    counts.assign(n_counts, 0);
    host_offsets.resize(info.experts + 1);
    counted = &architecture;
  }
  weights = &pass_weights;
}

// The ids that stand `distance` tokens later in their rows.
const int32_t *Tape::State::ids_ahead(uint32_t distance) {
  if (distance == 0) return ids;
  if (ids_of_ahead.size() < distance) ids_of_ahead.resize(distance);
  const int32_t *&found = ids_of_ahead[distance - 1];
  if (!found) {
    std::vector<int32_t> moved(T);
    for (uint32_t r = 0; r < R; ++r) {
      const uint32_t end = host_tokens.row_start[r + 1];
      for (uint32_t t = host_tokens.row_start[r]; t < end; ++t)
        moved[t] = host_tokens.ids[std::min<uint64_t>(uint64_t{t} + distance, end - 1)];
    }
    found = on_device(*this, std::span<const int32_t>(moved));
  }
  return found;
}

const float *Tape::State::compose(const Weights &pass_weights, uint32_t depths) {
  const Architecture &architecture = pass_weights.architecture();
  const hone_model_info &info = architecture.info();
  const auto who = [&] { return "model " + architecture.component(); };  // built only when it is told
  hone_tape table = recorder();
  table.ctx = this;
  const auto refuse = [&](const std::string &why) {
    record = false;
    throw Failure(who() + ": " + why);
  };
  if (depths > 0 && !host_tokens.prefix.empty()) refuse("further tokens are predicted in rows that share no prefix");
  if (depths > info.depths)
    refuse("it predicts " + std::to_string(info.depths) + " further tokens, not " + std::to_string(depths));
  const auto run = [&](const char *call, const auto &compose_it) {
    hone_tensor result = 0;
    hone_error failure{};
    const int32_t code = compose_it(&result, &failure);
    if (!error.empty()) refuse(error);
    if (code != HONE_OK) record = false;
    if (code != HONE_OK) check_call(code, failure, who());
    if (result == 0 || is_parameter(result) || result > nodes.size() || node(result).columns != info.hidden_size)
      refuse(std::string(call) + " must end with hidden states of " + std::to_string(info.hidden_size) + " columns");
    if (node(result).segment + 1 != segment_start.size() && !node(result).kept)
      refuse(std::string(call) + " ends with a tensor from before the last boundary()");
    if (attention_calls != attention_layers || route_calls != routed_layers)
      refuse("info() tells of " + std::to_string(attention_layers) + " attention and " + std::to_string(routed_layers) +
             " routed layers, but " + call + " ran " + std::to_string(attention_calls) + " and " +
             std::to_string(route_calls));
    return result;
  };
  const hone_model &methods = architecture.methods();
  hidden = run("forward()", [&](hone_tensor *result, hone_error *failure) {
    return methods.forward(architecture.self(), &table, result, failure);
  });
  for (uint32_t depth = 1; depth <= depths; ++depth) {
    const hone_tensor before = table.boundary(this, depth == 1 ? hidden : ahead.back());
    attention_layers += info.depth_attention_layers;
    routed_layers += info.depth_routed_layers;
    ahead.push_back(run("forward_ahead()", [&](hone_tensor *result, hone_error *failure) {
      return methods.forward_ahead(architecture.self(), &table, before, depth, result, failure);
    }));
  }
  if (const int32_t problem = kernels.synchronize(&stream))
    refuse("the device failed with code " + std::to_string(problem));
  return node(hidden).data;
}

const float *Tape::forward(const Weights &weights, const PackedTokens &tokens, bool record, bool checkpointing,
                           uint32_t depths) {
  state_->begin(weights, tokens, {});
  if (record && weights.settled())
    throw Failure("model " + weights.architecture().component() + ": its weights were settled to be run only, and cannot be trained");
  state_->cache = nullptr;
  state_->record = record;
  state_->keep_boundaries_only = !record || checkpointing;
  return state_->compose(weights, depths);
}

const float *Tape::hidden_ahead(uint32_t depth) const {
  const State &state = *state_;
  if (!state.hidden || depth == 0 || depth > state.ahead.size())
    throw Failure("the last pass did not run depth " + std::to_string(depth) + " of multi-token prediction");
  return state.node(state.ahead[depth - 1]).data;
}

const float *Tape::forward_cached(const Weights &weights, const PackedTokens &tokens,
                                  std::span<const uint32_t> first_position, std::span<const uint32_t> page_table,
                                  uint32_t max_pages, KvCache &cache) {
  State &state = *state_;
  const hone_model_info &info = weights.architecture().info();
  const auto refuse = [&](const std::string &why) {
    throw Failure("model " + weights.architecture().component() + ": " + why);
  };
  const size_t rows = tokens.row_start.empty() ? 0 : tokens.row_start.size() - 1;
  if (first_position.size() != rows || page_table.size() != rows * max_pages)
    refuse("a cached pass of " + std::to_string(rows) + " rows needs a first position and " +
           std::to_string(max_pages) + " pages for each");
  const hone_kv_page_shape &shape = cache.shape();
  if (shape.kv_heads != info.kv_heads || shape.key_size != info.key_size || shape.value_size != info.value_size)
    refuse("the cache was made for another model");
  if (!tokens.prefix.empty()) refuse("rows of a cached pass share pages, and no prefix");
  state.begin(weights, tokens, first_position);
  for (size_t r = 0; r < rows; ++r) {
    const uint64_t end = uint64_t{first_position[r]} + (tokens.row_start[r + 1] - tokens.row_start[r]);
    const uint64_t pages = (end + shape.page_tokens - 1) / shape.page_tokens;
    if (pages > max_pages)
      refuse("row " + std::to_string(r) + " needs " + std::to_string(pages) + " cache pages, but has room for " +
             std::to_string(max_pages));
    for (uint64_t i = 0; i < pages; ++i)
      if (page_table[r * max_pages + i] >= cache.pages())
        refuse("row " + std::to_string(r) + " names cache page " + std::to_string(page_table[r * max_pages + i]) +
               " of " + std::to_string(cache.pages()));
  }
  state.cache = &cache;
  state.keep_boundaries_only = true;
  state.cached_rows = {state.R, max_pages, state.row_start, on_device(state, first_position),
                       on_device(state, page_table)};
  return state.compose(weights, 0);
}

void Tape::backward(const float *d_hidden, float *gradient, float auxiliary_scale,
                    std::span<const float *const> d_ahead) {
  State &state = *state_;
  if (!state.record || !state.hidden) throw Failure("backward() needs a recorded pass before it, and each serves once");
  state.record = false;
  state.gradient = gradient;
  state.auxiliary_scale = auxiliary_scale;
  if (d_ahead.size() > state.ahead.size())
    throw Failure("backward() has gradients of depths that the pass did not run");
  const auto begin_at = [&](hone_tensor end, const float *d) {
    state.kernels.copy(&state.stream, state.gradient_of(end), d, state.size_of(state.node(end)));
  };
  begin_at(state.hidden, d_hidden);
  for (size_t i = 0; i < d_ahead.size(); ++i)
    if (d_ahead[i]) begin_at(state.ahead[i], d_ahead[i]);
  state.backward();
  if (const int32_t problem = state.kernels.synchronize(&state.stream))
    throw Failure("the device failed with code " + std::to_string(problem));
}

double Tape::auxiliary_loss() const { return state_->auxiliary_loss; }
std::span<const uint64_t> Tape::expert_counts() const { return state_->counts; }
void Tape::reset_expert_counts() { std::fill(state_->counts.begin(), state_->counts.end(), 0); }
uint64_t Tape::most_used_bytes() const { return state_->kept.most_used() + state_->scratch.most_used(); }
void Tape::discard_values() {
  state_->record = false, state_->hidden = 0;
  state_->kept.discard(state_->stream);
  state_->scratch.discard(state_->stream);
}
size_t Tape::arena_bytes() const { return state_->kept.bytes() + state_->scratch.bytes(); }

}  // namespace hone
