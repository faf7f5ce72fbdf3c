// instance.cpp -- components that live: created from settings, asked, destroyed.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/plugin/library.h"
#include "core/plugin/settings.h"

namespace hone {

static const OpenedComponent &opened_component(const ComponentInfo &info) {
  for (const OpenedComponent &component : open_library(info.library).components)
    if (component.info.kind == info.kind && component.info.name == info.name) return component;
  throw Failure(info.library.string() + ": no longer has " + info.kind + " " + info.name + "; it changed since it was looked at");
}

const hone_component &load_component(const ComponentInfo &info) { return opened_component(info).abi; }

void check_call(int32_t code, const hone_error &error, const std::string &component) {
  if (code == HONE_OK) return;
  const std::string text = with_replaced_invalid_utf8({error.text, strnlen(error.text, sizeof error.text)});
  throw Failure(component + ": " + (text.empty() ? "failed with code " + std::to_string(code) + " and said no more" : text));
}

Instance::Instance(const ComponentInfo &info, const hone_host &host, const nlohmann::json &checked_settings) {
  const OpenedComponent &opened = opened_component(info);
  component_ = &opened.abi;
  const std::string who = info.room + " " + info.name;
  try {
    const auto values = [&] {
      try {
        return std::make_unique<const Values>(opened.info.settings, checked_settings);
      } catch (const Failure &wrong) {
        throw Failure(who + ": " + wrong.what());
      }
    }();
    hone_error error{};
    check_call(component_->create(&host, values->data(), &self_, &error), error, who);
  } catch (const Failure &) {
    throw;
  } catch (const nlohmann::json::exception &wrong) {
    throw Failure(who + ": its settings do not fit its table (" + wrong.what() + ")");
  } catch (const std::exception &thrown) {  // its author's mistake: nothing may be thrown across the ABI
    throw Failure(who + ": create() threw an exception instead of returning an error: " + thrown.what());
  }
}

Instance::~Instance() { component_->destroy(self_); }

}  // namespace hone
