// render_lines.cpp -- JSON lines {"template", "variables"} in, {"text"} or {"error"} out: for
// tests/parity/templates.py.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "core/base/failure.h"
#include "core/template/template.h"

int main() {
  const std::tm day = hone::day_of("2024-12-31");
  for (std::string line; std::getline(std::cin, line);) {
    const auto row = nlohmann::ordered_json::parse(line);
    nlohmann::ordered_json out;
    try {
      out["text"] = hone::Template(row.at("template").get<std::string>(), "t").render(row.at("variables"), day);
    } catch (const hone::Failure &failure) {
      out["error"] = failure.what();
    }
    std::cout << out.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) << "\n";
  }
}
