// template.h -- a chat template in Jinja2, rendered as Hugging Face transformers renders it: jinja2's immutable sandbox
// with trim_blocks, lstrip_blocks, loop controls, `generation` blocks, raise_exception, strftime_now and its own
// tojson. What is left out, and why, is listed in docs/templates.md.
#pragma once

#include <ctime>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/template/limits.h"

namespace hone {

namespace jinja {
struct Syntax;
}

// Immutable and thread-safe after construction.
class Template {
 public:
  // name begins every message: "NAME:12: what is wrong". Failure when the text is not valid UTF-8 or not a template.
  Template(const std::string &text, std::string name);

  // variables: an object; the order of keys is kept by loops and by tojson. now: what strftime_now tells. Failure
  // "NAME:LINE: sentence" when the template refuses (raise_exception), goes wrong, or passes a limit.
  std::string render(const nlohmann::ordered_json &variables, const std::tm &now, const jinja::Limits & = {}) const;

  const std::string &text() const { return text_; }
  const std::string &name() const { return name_; }

 private:
  std::string text_, name_;
  std::shared_ptr<const jinja::Syntax> syntax_;
};

// The day of "2024-12-31" (at midnight), or today's in local time when the text is empty. Failure names the text.
std::tm day_of(const std::string &date);

}  // namespace hone
