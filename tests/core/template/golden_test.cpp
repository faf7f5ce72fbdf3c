// golden_test.cpp -- what jinja2 3.1, set up as transformers sets it up, made of the same templates: goldens.json,
// which tests/parity/templates.py writes. null stands for an error.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/template/template.h"

namespace hone {
namespace {

using json = nlohmann::ordered_json;

const json &goldens() {
  static const json all = json::parse(read_file(std::string(HONE_SOURCE_DIR) + "/tests/core/template/goldens.json"));
  return all;
}

std::string error;  // of the last render()

std::optional<std::string> render(const std::string &text, const json &variables) {
  try {
    return Template(text, "golden").render(variables, day_of("2024-12-31"));
  } catch (const Failure &failure) {
    error = failure.what();
    return std::nullopt;
  }
}

TEST(TemplateGoldens, ExpressionsAndStatementsRenderAsJinja2RendersThem) {
  const json &cases = goldens().at("cases");
  ASSERT_GT(cases.size(), 700u);
  size_t texts = 0;
  for (const json &one : cases) {
    const auto text = one.at(0).get<std::string>();
    const auto made = render(text, goldens().at("variables"));
    if (one.at(1).is_null()) {
      EXPECT_FALSE(made.has_value()) << text << "\n" << made.value_or("");
      EXPECT_TRUE(error.starts_with("golden:")) << error;
      continue;
    }
    ++texts;
    ASSERT_TRUE(made.has_value()) << text << "\n" << error;
    EXPECT_EQ(*made, one.at(1).get<std::string>()) << text;
  }
  EXPECT_GT(texts, 500u);
}

TEST(TemplateGoldens, TemplatesInTheStylesOfModelFamiliesRenderAsJinja2RendersThem) {
  size_t texts = 0;
  for (const auto &[name, text] : goldens().at("models").items()) {
    const json &rendered = goldens().at("rendered").at(name), &conversations = goldens().at("conversations");
    for (size_t i = 0; i < conversations.size(); ++i) {
      json variables = {{"tools", nullptr}, {"documents", nullptr}};
      for (const json *more : {&goldens().at("tokens"), &conversations.at(i)})
        for (const auto &[key, value] : more->items()) variables[key] = value;
      const auto made = render(text.get<std::string>(), variables);
      if (rendered.at(i).is_null()) {
        EXPECT_FALSE(made.has_value()) << name << " " << i;
        continue;
      }
      ++texts;
      ASSERT_TRUE(made.has_value()) << name << " " << i << ": " << error;
      EXPECT_EQ(*made, rendered.at(i).get<std::string>()) << name << " " << i;
    }
  }
  EXPECT_GT(texts, 120u);
}

}  // namespace
}  // namespace hone
