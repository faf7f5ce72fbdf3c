// limits_test.cpp -- templates that are wrong, that refuse, or that would never end: each is one sentence with the
// line, soon.
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/template/template.h"

namespace hone {
namespace {

std::string refusal(const std::string &text,
                    const nlohmann::ordered_json &variables = nlohmann::ordered_json::object()) {
  const auto began = std::chrono::steady_clock::now();
  std::string said;
  try {
    Template(text, "chat_template.jinja").render(variables, day_of("2024-12-31"));
  } catch (const Failure &failure) {
    said = failure.what();
  }
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(), 60) << text.substr(0, 200);
  return said;
}

std::string times(size_t n, const std::string &text) {
  std::string all;
  for (size_t i = 0; i < n; ++i) all += text;
  return all;
}

TEST(TemplateRefusals, NameTheTemplateAndTheLine) {
  EXPECT_EQ(refusal("a\n{% if x %}\n{{ y.z }}\n{% endif %}", {{"x", 1}}), "chat_template.jinja:3: 'y' is undefined");
  EXPECT_EQ(refusal("{{ messages[0].nothing.more }}", {{"messages", {{{"role", "user"}}}}}),
            "chat_template.jinja:1: 'dict object' has no attribute 'nothing'");
  EXPECT_EQ(refusal("\n\n{{ raise_exception('only ' ~ 2 ~ ' roles') }}"),
            "chat_template.jinja:3: the template refuses: only 2 roles");
  EXPECT_EQ(refusal("{{ 1 }}\n{{ 'a' + 1 }}"), "chat_template.jinja:2: \"+\" does not work for a str and a int");
  EXPECT_EQ(refusal("{{ x | nosuch }}"), "chat_template.jinja:1: there is no filter \"nosuch\"");
  EXPECT_EQ(refusal("{% for x in y %}\n\n{% endif %}"),
            "chat_template.jinja:3: there is a {% endif %} where no block awaits it");
  EXPECT_EQ(refusal("\n{% for x in y %}\n"),
            "chat_template.jinja:2: the template ends where {% else %} or {% endfor %} is expected");
  EXPECT_EQ(refusal("{{ 1 +\n }}"), "chat_template.jinja:2: a value is expected, but there is \"}}\"");
  EXPECT_EQ(refusal("{% include 'x' %}"),
            "chat_template.jinja:1: the tag {% include %} is not supported in a chat template");
  EXPECT_EQ(refusal("a\xFF"), "chat_template.jinja: invalid UTF-8 at byte 1; save the template as UTF-8");
  EXPECT_EQ(refusal("{% macro m(a) %}\n{{ a.b.c }}\n{% endmacro %}\n\n{{ m({}) }}"),
            "chat_template.jinja:2: 'dict object' has no attribute 'b'");
}

TEST(TemplateRefusals, WholeNumbersBeyond64BitsAreRefusedAndNeverRounded) {
  for (const char *text :
       {"{{ 9223372036854775807 + 1 }}", "{{ 2 ** 64 }}", "{{ 10 ** 10 ** 3 }}", "{{ 99999999999999999999 }}",
        "{{ 4000000000 * 4000000000 }}", "{{ '99999999999999999999' | int }}", "{{ (-9223372036854775807 - 1) // -1 }}",
        "{{ -(-9223372036854775807 - 1) }}"})
    EXPECT_NE(refusal(text).find("64 bits"), std::string::npos) << text;
  EXPECT_NE(refusal("{{ x }}", {{"x", UINT64_MAX}}).find("64 bits"), std::string::npos);
}

TEST(TemplateLimits, WhatWouldNeverEndIsRefused) {
  const std::string loop = "{% for i in range(100000) %}";
  EXPECT_NE(refusal("{% for i in range(10 ** 9) %}x{% endfor %}").find("more than 100000 numbers"), std::string::npos);
  EXPECT_NE(refusal(loop + loop + "x{% endfor %}{% endfor %}").find("steps"), std::string::npos);
  EXPECT_NE(refusal("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").find("levels deep"), std::string::npos);
  EXPECT_NE(refusal("{% macro m(n) %}{% if n > 0 %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}")
                .find("steps"),
            std::string::npos);
  EXPECT_NE(refusal("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}")
                .find("levels deep"),
            std::string::npos);
}

TEST(TemplateLimits, WhatWouldFillTheMachineIsRefused) {
  EXPECT_NE(refusal("{{ 'a' * 10 ** 9 }}").find("text of more than"), std::string::npos);
  EXPECT_NE(refusal("{{ [1] * 10 ** 9 }}").find("memory"), std::string::npos);
  EXPECT_NE(refusal("{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}")
                .find("text of more than"),
            std::string::npos);
  EXPECT_NE(refusal("{% set ns = namespace(l=[0]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}")
                .find("memory"),
            std::string::npos);
  EXPECT_NE(
      refusal(
          "{% set ns = namespace(l=[0]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}"),
      "");
  EXPECT_NE(refusal("{% set ns = namespace(l=[0]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor "
                    "%}{{ ns.l | tojson }}"),
            "");
  EXPECT_NE(refusal("{% set a = namespace(l=[0]) %}{% set b = namespace(l=[0]) %}{% for i in range(60) %}{% set a.l = "
                    "[a.l, a.l] %}{% set b.l = [b.l, b.l] %}{% endfor %}{{ a.l == b.l }}")
                .find("steps"),
            std::string::npos);
  EXPECT_NE(refusal("{% for i in range(100000) %}{{ 'abcdefghij' * 100000 }}{% endfor %}"), "");
  EXPECT_NE(refusal("{{ '%1000000000d' % 1 }}").find("width"), std::string::npos);
  EXPECT_NE(refusal("{{ '{:>1000000000}'.format(1) }}").find("width"), std::string::npos);
  EXPECT_NE(refusal("{{ 'a'.center(10 ** 12) }}").find("text of more than"), std::string::npos);
  EXPECT_NE(refusal("{{ 'a' | indent(10 ** 12) }}").find("too wide"), std::string::npos);
  EXPECT_NE(refusal("{{ [1] | tojson(indent=10 ** 12) }}").find("too wide"), std::string::npos);
  EXPECT_NE(refusal("{{ ('a' * 100000) | replace('', 'b' * 100000) }}").find("text of more than"), std::string::npos);
  EXPECT_NE(refusal("{{ range(100000) | map('string') | map('replace', '', 'abcdefgh' * 1000) | list }}"), "");
}

TEST(TemplateLimits, DeepNestingIsRefusedInTextAndInValues) {
  const size_t n = 100000;
  EXPECT_NE(refusal("{{ " + times(n, "[") + times(n, "]") + " }}").find("levels deep"), std::string::npos);
  EXPECT_NE(refusal("{{ " + times(n, "(") + "1" + times(n, ")") + " }}").find("levels deep"), std::string::npos);
  EXPECT_NE(refusal("{{ " + times(n, "{1:") + "1" + times(n, "}") + " }}").find("levels deep"), std::string::npos);
  EXPECT_NE(refusal("{{ " + times(n, "not ") + "1 }}").find("levels deep"), std::string::npos);
  EXPECT_NE(refusal("{{ " + times(n, "- ") + "1 }}").find("levels deep"), std::string::npos);
  EXPECT_NE(refusal("{{ " + times(n, "a if b else ") + "1 }}").find("levels deep"), std::string::npos);
  EXPECT_NE(refusal("{{ 1" + times(n, " + 1") + " }}").find("depend on one another"), std::string::npos);
  EXPECT_NE(refusal("{{ x" + times(n, ".a") + " }}").find("depend on one another"), std::string::npos);
  EXPECT_NE(refusal("{{ x" + times(n, "|upper") + " }}").find("depend on one another"), std::string::npos);
  EXPECT_NE(refusal("{{ x" + times(n, "()") + " }}").find("depend on one another"), std::string::npos);
  EXPECT_NE(refusal("{{ x" + times(n, "[x") + times(n, "]") + " }}").find("levels deep"), std::string::npos);
  EXPECT_NE(refusal(times(n, "{% if 1 %}") + times(n, "{% endif %}")).find("levels deep"), std::string::npos);
  EXPECT_NE(refusal("{% if 1 %}" + times(n, "{% elif 1 %}") + "{% endif %}").find("elif"), std::string::npos);
  EXPECT_NE(refusal("{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}{% endfor %}")
                .find("levels deep"),
            std::string::npos);
  EXPECT_NE(refusal("{% set ns = namespace(l=[]) %}{% for i in range(1000) %}{% set ns.l = [ns.l].index %}{% endfor %}")
                .find("levels deep"),
            std::string::npos);
  EXPECT_NE(refusal("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}").find("contains itself"),
            std::string::npos);
}

TEST(TemplateLimits, LongConversationsAreWithinThem) {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  for (int i = 0; i < 5000; ++i)
    messages.push_back({{"role", i % 2 ? "assistant" : "user"}, {"content", std::string(500, 'x')}});
  const std::string text = Template(
                               "{% for m in messages %}<|{{ m.role }}|>{{ m['content'] | trim }}{% if loop.last "
                               "%}end{% endif %}{% endfor %}",
                               "t")
                               .render({{"messages", messages}}, day_of(""));
  EXPECT_GT(text.size(), 2'500'000u);
  EXPECT_TRUE(text.ends_with("end"));
}

TEST(TemplateDates, AreTakenAsGivenAndRefusedWhenTheyAreNone) {
  const auto day = [](const std::string &date) {
    return Template("{{ strftime_now('%A %d %B %Y, day %j') }}", "t")
        .render(nlohmann::ordered_json::object(), day_of(date));
  };
  EXPECT_EQ(day("2024-02-29"), "Thursday 29 February 2024, day 060");
  for (const char *date : {"2023-02-29", "2024-13-01", "yesterday", "2024-1", "2024-01-01 "})
    EXPECT_THROW(day_of(date), Failure) << date;
}

// What a template keeps of a loop, a macro or itself must not outlive it.
TEST(TemplateLifetimes, EndedLoopsAndBlocksAreRefusedNotRead) {
  EXPECT_NE(refusal("{% set ns = namespace() %}{% for i in [1, 2] %}{% set ns.l = loop %}{% endfor %}{{ ns.l.index }}")
                .find("after it has ended"),
            std::string::npos);
  EXPECT_NE(
      refusal("{% set ns = namespace() %}{% for i in [1, 2] %}{% set ns.c = loop.cycle %}{% endfor %}{{ ns.c(1) }}")
          .find("after it has ended"),
      std::string::npos);
  EXPECT_NE(refusal("{% set ns = namespace() %}{% for i in [1] %}{% macro m() %}{{ i }}{% endmacro %}{% set ns.m = m "
                    "%}{% endfor %}{{ ns.m() }}")
                .find("has ended"),
            std::string::npos);
  EXPECT_EQ(refusal("{% set ns = namespace() %}{% for i in [1, 2] %}{% set ns.l = loop %}{% endfor %}{{ ns.l }}"), "");
  EXPECT_EQ(refusal("{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = b %}{% set a.l = [a, b] %}ok"),
            "");
}

}  // namespace
}  // namespace hone
