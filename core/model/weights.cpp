// weights.cpp -- one flat, aligned buffer of numbers, its first values, and its matrices packed for matmul.
#include <xxhash.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <numbers>
#include <utility>

#include "core/base/failure.h"
#include "core/base/philox.h"
#include "core/base/text.h"
#include "core/model/layout.h"
#include "core/model/model.h"
#include "core/model/weight_pieces.h"

namespace hone {
namespace {

struct DeviceMemory {
  const hone_kernels *table = nullptr;
  void *data = nullptr;
  DeviceMemory() = default;
  DeviceMemory(const hone_kernels &kernels, size_t bytes, const std::string &what) : table(&kernels) {
    data = kernels.allocate(std::max<size_t>(bytes, 64));
    if (!data) throw Failure("out of memory: " + what + " needs " + human_bytes(bytes));
  }
  DeviceMemory(DeviceMemory &&other) noexcept : table(other.table), data(std::exchange(other.data, nullptr)) {}
  DeviceMemory &operator=(DeviceMemory &&other) noexcept {
    std::swap(table, other.table);
    std::swap(data, other.data);
    return *this;
  }
  ~DeviceMemory() {
    if (data) table->release(data);
  }
};

// Standard normal numbers 2i and 2i + 1 of parameter `index`: Box and Muller's transform of Philox bits, in double.
void normal_pair(uint64_t seed, uint32_t index, uint64_t i, double out[2]) {
  const auto bits = random_bits({.seed = seed,
                                 .purpose = Purpose::initialise,
                                 .stage = index,
                                 .step = 0,
                                 .row = static_cast<uint32_t>(i >> 32),
                                 .token = static_cast<uint32_t>(i)});
  const auto unit = [](uint32_t high, uint32_t low) {
    return static_cast<double>((uint64_t{high} << 32 | low) >> 11) * 0x1p-53;
  };
  const double radius = std::sqrt(-2 * std::log(1 - unit(bits[0], bits[1])));
  const double angle = 2 * std::numbers::pi * unit(bits[2], bits[3]);
  out[0] = radius * std::cos(angle);
  out[1] = radius * std::sin(angle);
}

}  // namespace

static uint64_t next_version() {
  static std::atomic<uint64_t> given{0};
  return ++given;
}

struct Weights::State {
  const hone_kernels *table = &kernels();
  uint32_t dtype = HONE_F32;
  bool value_head = false, stale = true, settled = false;
  uint64_t trained = 0, total = 0, version = next_version();
  std::vector<ParameterInfo> parameters;
  DeviceMemory data, packed;
  std::vector<hone_weight> weights;    // one for each matrix; an entry with N 0 for other parameters
  std::vector<uint32_t> first_weight;  // of each parameter
  std::vector<size_t> packed_at;       // byte offset of each weight's packing

  // Of adapted weights.
  std::shared_ptr<const Weights> base;
  LoraSettings lora;
  std::vector<uint32_t> targets;
  std::vector<LowRank> low_rank;
  std::vector<int32_t> low_rank_of;  // of each of the architecture's parameters: its place in low_rank, or -1

  float *numbers() { return static_cast<float *>(data.data); }
  // A matrix that nothing but products reads.
  bool is_given_back(uint32_t index) const {
    return settled && weights[first_weight[index]].N && !(parameters[index].flags & HONE_PARAMETER_LOOKUP);
  }
  void pack(hone_stream &stream, const hone_weight &weight) {
    table->pack_weight(&stream, weight.dtype, weight.N, weight.K, weight.data, const_cast<void *>(weight.packed));
  }
  float *all_numbers() {
    if (settled) throw Failure("these weights were settled to be run only; their numbers are not kept");
    return numbers();
  }
  float *numbers_of(uint32_t index) {
    if (is_given_back(index))
      throw Failure("\"" + parameters[index].name + "\" was packed to be multiplied with only; its numbers are not kept");
    return numbers() + parameters[index].offset;
  }

  // After the architecture's own, all trained.
  void append(ParameterInfo parameter) {
    parameter.offset = trained;
    trained += align_floats(parameter.size);
    total = trained;
    parameters.push_back(std::move(parameter));
  }

  void lay_out_adapted(const Architecture &architecture) {
    parameters = architecture.parameters();
    for (ParameterInfo &parameter : parameters) parameter.trained = false;
    for (uint32_t i = 0; i < parameters.size(); ++i) parameters[i].offset = base->parameters()[i].offset;
    trained = total = 0;
    low_rank.clear();
    low_rank_of.assign(parameters.size(), -1);
    for (const uint32_t target : targets) {
      low_rank_of[target] = static_cast<int32_t>(low_rank.size());
      const uint32_t a = static_cast<uint32_t>(parameters.size());
      low_rank.push_back({a, a + 1, lora.scaling()});
      append(lora_a(architecture.parameters()[target], lora.rank));
      append(lora_b(architecture.parameters()[target], lora.rank));
    }
    if (value_head) append(value_head_parameter(architecture));
  }

  static ParameterInfo value_head_parameter(const Architecture &architecture) {
    ParameterInfo head;
    head.name = "score.weight";
    head.dims = {1, architecture.info().hidden_size};
    head.size = architecture.info().hidden_size;
    head.init = HONE_INIT_ZERO;
    return head;
  }

  void lay_out(const Architecture &architecture) {
    if (base) return lay_out_adapted(architecture);
    parameters = architecture.parameters();
    trained = architecture.trained_size();
    total = architecture.total_size();
    if (value_head) {
      ParameterInfo head = value_head_parameter(architecture);
      const uint64_t size = align_floats(head.size);
      for (ParameterInfo &parameter : parameters)
        if (parameter.flags & HONE_PARAMETER_BUFFER) parameter.offset += size;
      head.offset = trained;
      parameters.push_back(head);
      trained += size;
      total += size;
    }
  }

  void lay_out_packed(const Architecture &architecture) {
    weights.clear();
    first_weight.clear();
    packed_at.clear();
    size_t bytes = 0;
    for (uint32_t i = 0; i < parameters.size(); ++i) {
      const ParameterInfo &parameter = parameters[i];
      first_weight.push_back(static_cast<uint32_t>(weights.size()));
      const bool is_value_head = value_head && i + 1 == parameters.size(), of_base = base && !parameter.trained;
      if (is_value_head || of_base || !is_matrix(parameter, architecture.info(), i)) {
        weights.push_back({});
        packed_at.push_back(0);
        continue;
      }
      const bool experts = parameter.dims.size() == 3;
      const uint32_t count = experts ? parameter.dims[0] : 1, N = parameter.dims[experts],
                     K = parameter.dims[experts + 1];
      for (uint32_t e = 0; e < count; ++e) {
        hone_weight weight{};
        weight.dtype = dtype;
        weight.N = N;
        weight.K = K;
        weight.data = numbers() + parameter.offset + uint64_t{e} * N * K;
        weights.push_back(weight);
        packed_at.push_back(bytes);
        bytes += (table->packed_bytes(dtype, N, K) + 63) / 64 * 64;
      }
    }
    packed = DeviceMemory(*table, bytes, "the packed weights");
    for (size_t i = 0; i < weights.size(); ++i)
      if (weights[i].N) weights[i].packed = static_cast<const char *>(packed.data) + packed_at[i];
    stale = true;
  }
};

Weights::Weights(std::shared_ptr<const Architecture> architecture, bool value_head, uint32_t dtype, const hone_kernels *on)
    : architecture_(std::move(architecture)), state_(std::make_unique<State>()) {
  if (on) state_->table = on;
  if (dtype > HONE_BF16_BLOCKS) throw Failure("unknown weight type " + std::to_string(dtype) + "; it is 0 (f32), 1 (bf16 in pairs) or 2 (bf16 in blocks)");
  state_->dtype = dtype;
  state_->value_head = value_head;
  state_->lay_out(*architecture_);
  state_->data =
      DeviceMemory(*state_->table, state_->total * sizeof(float), "the weights of model " + architecture_->component());
  state_->lay_out_packed(*architecture_);
}

Weights::Weights(std::shared_ptr<const Architecture> architecture, std::unique_ptr<State> state)
    : architecture_(std::move(architecture)), state_(std::move(state)) {
  state_->lay_out(*architecture_);
  state_->data =
      DeviceMemory(*state_->table, state_->total * sizeof(float), "the adapter of model " + architecture_->component());
  state_->lay_out_packed(*architecture_);
}

std::unique_ptr<Weights> Weights::adapted(std::shared_ptr<const Weights> base, const LoraSettings &lora,
                                          const std::vector<uint32_t> &targets, uint64_t seed, bool value_head) {
  if (base->settled())
    throw Failure("model " + base->architecture().component() + " was settled to be run only; no adapter can be trained over it");
  if (base->base())
    throw Failure("model " + base->architecture().component() +
                  " has an adapter already; merge it before another is laid over it");
  auto state = std::make_unique<State>();
  state->value_head =
      value_head;  // A and B are f32 whatever base's type: they are small, and small changes must not be lost
  state->lora = lora;
  state->targets = targets;
  state->base = std::move(base);
  auto architecture = state->base->shared_architecture();
  std::unique_ptr<Weights> weights(new Weights(std::move(architecture), std::move(state)));
  initialise_lora(*weights, seed);
  return weights;
}

std::unique_ptr<Weights> Weights::another(bool value_head) const {
  if (!state_->base) return std::make_unique<Weights>(architecture_, value_head, state_->dtype);
  auto state = std::make_unique<State>();
  state->value_head = value_head;
  state->lora = state_->lora;
  state->targets = state_->targets;
  state->base = state_->base;
  return std::unique_ptr<Weights>(new Weights(architecture_, std::move(state)));
}

Weights::~Weights() = default;

std::unique_ptr<Weights> Weights::initialised(std::shared_ptr<const Architecture> architecture, uint64_t seed,
                                              bool value_head, uint32_t dtype) {
  auto weights = std::make_unique<Weights>(std::move(architecture), value_head, dtype);
  State &state = *weights->state_;
  hone_stream stream = Pool::serial_stream();
  std::vector<float> values;
  for (uint32_t index = 0; index < state.parameters.size(); ++index) {
    const ParameterInfo &parameter = state.parameters[index];
    values.assign(parameter.size, parameter.init == HONE_INIT_ONE ? 1.0f : 0.0f);
    if (parameter.init == HONE_INIT_NORMAL)
      for (uint64_t i = 0; i < parameter.size; i += 2) {
        double pair[2];
        normal_pair(seed, index, i / 2, pair);
        values[i] = static_cast<float>(parameter.init_scale * pair[0]);
        if (i + 1 < parameter.size) values[i + 1] = static_cast<float>(parameter.init_scale * pair[1]);
      }
    state.table->copy_in(&stream, state.numbers() + parameter.offset, values.data(), parameter.size * sizeof(float));
  }
  state.table->synchronize(&stream);
  return weights;
}

std::unique_ptr<Weights> Weights::clone() const {
  auto copy = another(state_->value_head);
  hone_stream stream = Pool::serial_stream();
  state_->table->copy(&stream, copy->data(), data(), state_->total);
  state_->table->synchronize(&stream);
  return copy;
}

bool Weights::has_value_head() const { return state_->value_head; }
float *Weights::data() { return state_->all_numbers(); }
const float *Weights::data() const { return state_->all_numbers(); }
uint64_t Weights::trained_size() const { return state_->trained; }
uint64_t Weights::total_size() const { return state_->total; }
const std::vector<ParameterInfo> &Weights::parameters() const { return state_->parameters; }
uint64_t Weights::model_size() const { return state_->total + (state_->base ? state_->base->model_size() : 0); }
float *Weights::parameter(uint32_t index) {
  if (state_->base && index < architecture_->parameters().size())
    throw Failure("\"" + state_->parameters[index].name +
                  "\" is of the base that an adapter lies over, which is not changed");
  return state_->numbers_of(index);
}
const float *Weights::parameter(uint32_t index) const {
  if (state_->base && index < architecture_->parameters().size()) return std::as_const(*state_->base).parameter(index);
  return state_->numbers_of(index);
}
const float *Weights::value_head() const {
  return state_->value_head ? state_->numbers() + state_->parameters.back().offset : nullptr;
}

void Weights::add_value_head() {
  if (state_->value_head) return;
  const std::unique_ptr<Weights> with_head = another(true);
  hone_stream stream = Pool::serial_stream();
  for (uint32_t i = state_->base ? static_cast<uint32_t>(architecture_->parameters().size()) : 0;
       i < state_->parameters.size(); ++i)
    state_->table->copy(&stream, with_head->parameter(i), parameter(i), state_->parameters[i].size);
  state_->table->synchronize(&stream);
  std::swap(state_, with_head->state_);
}

const std::shared_ptr<const Weights> &Weights::base() const { return state_->base; }
const LoraSettings &Weights::lora() const { return state_->lora; }
const std::vector<uint32_t> &Weights::lora_targets() const { return state_->targets; }

const Weights::LowRank *Weights::low_rank(uint32_t index) const {
  if (index >= state_->low_rank_of.size() || state_->low_rank_of[index] < 0) return nullptr;
  return &state_->low_rank[static_cast<size_t>(state_->low_rank_of[index])];
}

const hone_weight &Weights::weight(uint32_t index, uint32_t expert) const {
  if (state_->base && index < architecture_->parameters().size()) return state_->base->weight(index, expert);
  return state_->weights[state_->first_weight[index] + expert];
}

void Weights::prepare(Pool &pool) const {
  if (state_->base) state_->base->prepare(pool);
  if (!state_->stale) return;
  hone_stream stream = pool.stream();
  for (const hone_weight &weight : state_->weights)
    if (weight.N) state_->pack(stream, weight);
  state_->table->synchronize(&stream);
  state_->stale = false;
}

void Weights::settle(Pool &pool) {
  State &state = *state_;
  if (state.settled) return;
  if (state.base) {
    if (state.base.use_count() > 1) return prepare(pool);
    const_cast<Weights &>(*state.base).settle(pool);
  }
  hone_stream stream = pool.stream();
  state.settled = true;
  for (uint32_t i = 0; i < state.parameters.size(); ++i) {
    const uint32_t end = i + 1 < state.parameters.size() ? state.first_weight[i + 1] : static_cast<uint32_t>(state.weights.size());
    for (uint32_t w = state.first_weight[i]; w < end; ++w)
      if (state.stale && state.weights[w].N) state.pack(stream, state.weights[w]);
    if (!state.is_given_back(i)) continue;
    state.table->synchronize(&stream);
    state.table->discard(&stream, state.numbers() + state.parameters[i].offset, state.parameters[i].size * sizeof(float));
    for (uint32_t w = state.first_weight[i]; w < end; ++w) state.weights[w].data = nullptr;
  }
  state.table->synchronize(&stream);
  state.stale = false;
}

bool Weights::settled() const { return state_->settled || (state_->base && state_->base->settled()); }

void Weights::changed() {
  state_->stale = true;
  state_->version = next_version();
}
uint64_t Weights::version() const { return state_->version; }
bool Weights::prepared() const { return !state_->stale && (!state_->base || state_->base->prepared()); }
uint32_t Weights::dtype() const { return state_->base ? state_->base->dtype() : state_->dtype; }

uint64_t Weights::checksum() const {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> hash(XXH3_createState(), &XXH3_freeState);
  if (!hash || XXH3_64bits_reset(hash.get()) != XXH_OK) throw Failure("out of memory: no room for a checksum");
  copy_weights(*this, 0, state_->total, [&](const float *numbers, uint64_t, uint64_t count) {
    XXH3_64bits_update(hash.get(), numbers, count * sizeof(float));
  });
  const uint64_t own = XXH3_64bits_digest(hash.get());
  if (!state_->base) return own;
  const uint64_t both[2] = {state_->base->checksum(), own};
  return XXH3_64bits(both, sizeof both);
}

}  // namespace hone
