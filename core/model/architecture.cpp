// architecture.cpp -- a model plugin's instance and the layout of what it declares.
#include <exception>
#include <set>

#include "core/base/failure.h"
#include "core/model/layout.h"
#include "core/model/model.h"

namespace hone {
namespace {

constexpr uint64_t kMostExperts = uint64_t{1} << 22;   // tensors: some 70 times as many as DeepSeek-V3 has
constexpr uint64_t kMostElements = uint64_t{1} << 42;  // 16 TiB of floats: beyond it a product of sizes is a mistake

struct Visit {
  std::vector<ParameterInfo> parameters;
  std::vector<TensorCopy> copies;
  std::exception_ptr failure;
  std::string component;
};

ParameterInfo read_parameter(const hone_parameter &raw, const std::string &component) {
  ParameterInfo out;
  out.name.assign(raw.name.data, raw.name.size);
  const std::string what = component + ": parameter \"" + out.name + "\"";
  if (out.name.empty()) throw Failure(component + " declares a parameter without a name");
  if (raw.n_dims < 1 || raw.n_dims > 3)
    throw Failure(what + " has " + std::to_string(raw.n_dims) + " dimensions; 1 to 3 are allowed");
  out.size = 1;
  for (uint32_t i = 0; i < raw.n_dims; ++i) {
    if (raw.dims[i] == 0) throw Failure(what + " has a dimension of 0");
    out.dims.push_back(raw.dims[i]);
    out.size *= raw.dims[i];
    if (out.size > kMostElements) throw Failure(what + " is impossibly large: " + shape_text(out.dims));
  }
  const bool experts = raw.flags & HONE_PARAMETER_EXPERTS;
  if (experts != (out.name.find("{}") != std::string::npos) || (experts && raw.n_dims != 3))
    throw Failure(what + " must have three dimensions and \"{}\" in its name exactly when it holds experts");
  if (raw.init > HONE_INIT_NORMAL) throw Failure(what + " has the unknown initialiser " + std::to_string(raw.init));
  out.flags = raw.flags;
  out.trained = !(raw.flags & HONE_PARAMETER_BUFFER);
  out.init = raw.init;
  out.init_scale = raw.init_scale;
  return out;
}

}  // namespace

std::string shape_text(const std::vector<uint64_t> &dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + "]";
}
std::string shape_text(const std::vector<uint32_t> &dims) {
  return shape_text(std::vector<uint64_t>(dims.begin(), dims.end()));
}

uint64_t align_floats(uint64_t n) { return (n + 15) / 16 * 16; }

bool is_matrix(const ParameterInfo &parameter, const hone_model_info &info, uint32_t index) {
  if (parameter.dims.size() == 1) return false;
  if (parameter.flags & HONE_PARAMETER_EXPERTS) return true;
  if (parameter.dims.size() == 3) return false;
  return index == info.head || !(parameter.flags & HONE_PARAMETER_LOOKUP);
}

Architecture::Architecture(const ComponentInfo &component, const Host &host, const nlohmann::json &config)
    : config_(config), component_(component.name) {
  instance_ = std::make_unique<Instance>(component, host.abi(), config);
  const std::string who = "model " + component_;
  methods_ = known_methods<hone_model>(instance_->component());
  if (!methods_.info || !methods_.parameters || !methods_.forward)
    throw Failure(who + " lacks info, parameters or forward; " + component.library.string() + " is incomplete");
  hone_error error{};
  info_.struct_size = sizeof info_;
  check_call(methods_.info(instance_->self(), &info_, &error), error, who);

  Visit visit;
  visit.component = who;
  error = {};
  const auto collect = [](void *arg, const hone_parameter *raw) {
    auto &visit = *static_cast<Visit *>(arg);
    if (visit.failure) return;
    try {
      visit.parameters.push_back(read_parameter(*raw, visit.component));
    } catch (...) {
      visit.failure = std::current_exception();
    }
  };
  check_call(methods_.parameters(instance_->self(), collect, &visit, &error), error, who);
  if (visit.failure) std::rethrow_exception(visit.failure);
  parameters_ = std::move(visit.parameters);

  if (methods_.copies) {
    const auto collect_copy = [](void *arg, hone_str name, uint32_t parameter) {
      auto &visit = *static_cast<Visit *>(arg);
      if (visit.failure) return;
      try {
        visit.copies.push_back({std::string(name.data, name.size), parameter});
      } catch (...) {
        visit.failure = std::current_exception();
      }
    };
    check_call(methods_.copies(instance_->self(), collect_copy, &visit, &error), error, who);
    if (visit.failure) std::rethrow_exception(visit.failure);
    copies_ = std::move(visit.copies);
  }

  uint64_t experts = 0;
  for (const ParameterInfo &parameter : parameters_)
    if ((parameter.flags & HONE_PARAMETER_EXPERTS) && (experts += parameter.dims[0]) > kMostExperts)
      throw Failure(who + ": parameter \"" + parameter.name + "\", of " + std::to_string(parameter.dims[0]) +
                    " experts, brings the model to more than " + std::to_string(kMostExperts) +
                    " tensors of experts; check the numbers of layers and experts");

  std::set<std::string> names;
  for (const ParameterInfo &parameter : parameters_)
    if (!names.insert(parameter.name).second)
      throw Failure(who + " declares the parameter \"" + parameter.name + "\" twice");
  for (const TensorCopy &copy : copies_) {
    if (copy.parameter >= parameters_.size() || (parameters_[copy.parameter].flags & HONE_PARAMETER_EXPERTS))
      throw Failure(who + ": \"" + copy.name + "\" must be a copy of one of its parameters that holds no experts");
    if (!names.insert(copy.name).second) throw Failure(who + " declares the tensor \"" + copy.name + "\" twice");
  }
  for (const bool buffer : {false, true}) {
    for (ParameterInfo &parameter : parameters_) {
      if (bool(parameter.flags & HONE_PARAMETER_BUFFER) != buffer) continue;
      parameter.offset = total_size_;
      total_size_ += align_floats(parameter.size);
      if (total_size_ > kMostElements) throw Failure(who + " is impossibly large: more than 2^42 numbers");
    }
    if (!buffer) trained_size_ = total_size_;
  }
  if (info_.head >= parameters_.size() ||
      parameters_[info_.head].dims != std::vector<uint32_t>{info_.vocab_size, info_.hidden_size})
    throw Failure(who + ": its head, parameter " + std::to_string(info_.head) +
                  ", must have the shape [vocab_size, hidden_size] " +
                  shape_text(std::vector<uint32_t>{info_.vocab_size, info_.hidden_size}));
  // Some programs write a tied head a second time, by the name that it has where it is not tied.
  if ((parameters_[info_.head].flags & HONE_PARAMETER_LOOKUP) && names.insert("lm_head.weight").second)
    copies_.push_back({"lm_head.weight", info_.head, false});
  if (info_.depths && !methods_.forward_ahead)
    throw Failure(who + " tells of " + std::to_string(info_.depths) +
                  " depths of multi-token prediction, but lacks forward_ahead");
  if (info_.depths > 64 || info_.depth_attention_layers > 4096 || info_.depth_routed_layers > 4096)
    throw Failure(who + ": " + std::to_string(info_.depths) +
                  " depths of multi-token prediction are more than the 64 that are run");
  if (info_.max_positions == 0) throw Failure(who + ": max_positions must be at least 1");
}

nlohmann::json Architecture::config_json() const {
  nlohmann::json out = config_;
  size_t type = 0;
  if (methods_.model_types) {
    const auto chosen = out.find("model_type");
    for (size_t i = 0; methods_.model_types[i]; ++i)
      if (chosen != out.end() && *chosen == methods_.model_types[i]) type = i;
    if (methods_.model_types[0]) out["model_type"] = methods_.model_types[type];
    if (methods_.architectures && methods_.architectures[0]) out["architectures"] = {methods_.architectures[type]};
  }
  // "None" is null where leaving the key out means something else to readers, and left out where it does not: some read
  // a null as a value.
  nlohmann::json defaults = nlohmann::json::object();
  if (methods_.type_defaults && methods_.type_defaults[type])
    defaults = nlohmann::json::parse(methods_.type_defaults[type]);
  for (auto names = methods_.null_settings; names && *names; ++names) {
    const auto setting = out.find(*names);
    if (setting == out.end()) continue;
    if (*setting != 0 && *setting != "" && (!setting->is_structured() || !setting->empty())) continue;
    if (defaults.contains(*names))
      *setting = nullptr;
    else
      out.erase(setting);
  }
  return out;
}

}  // namespace hone
