// limits_test.cpp -- templates that are wrong, that refuse, or that would never end: each is one sentence with the
// line, soon.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/template/template.h"

namespace hone {
namespace {

using namespace std::string_literals;

std::string refusal(const std::string &text, const nlohmann::ordered_json &variables = nlohmann::ordered_json::object(),
                    const jinja::Limits &limits = {}) {
  const auto began = std::chrono::steady_clock::now();
  std::string said;
  try {
    Template(text, "chat_template.jinja").render(variables, day_of("2024-12-31"), limits);
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

std::string rendered(const std::string &text,
                     const nlohmann::ordered_json &variables = nlohmann::ordered_json::object()) {
  return Template(text, "t").render(variables, day_of("2024-12-31"));
}

// Each reads a text of megabytes a thousand times: steps must end it long before it is done.
TEST(TemplateLimits, WorkOverWholeTextsCostsSteps) {
  const std::string begin =
                        "{% set x = 'a' * 9000000 %}{% set y = x ~ '' %}{% set d = {x: 1} %}{% set w = ' ' * 9000000 %}"
                        "{% set b = 'a' * 4500000 ~ 'b' %}{% for i in range(1000) %}{% if ",
                    end = " %}{% endif %}{% endfor %}";
  jinja::Limits limits;
  limits.steps = 10'000'000;
  for (const char *condition : {"x|length",
                                "x < y",
                                "x == y",
                                "x is sameas y",
                                "x in [y]",
                                "[y].index(x) + 1",
                                "x in d",
                                "d[x]",
                                "d.get(x)",
                                "w.strip()",
                                "w|trim",
                                "'a'.strip(x)",
                                "x.count('b')",
                                "x.split('b', 0)",
                                "x.partition('b')[1]",
                                "x.isalpha()",
                                "x.istitle()",
                                "x is lower",
                                "x.startswith(y)",
                                "x.removeprefix(b)[1:2]",
                                "'b' in x",
                                "b in x",
                                "x.find(b)",
                                "x.rfind(b)",
                                "x.replace(b, '')|length",
                                "x|wordcount",
                                "x|int",
                                "x|float",
                                "x[5]",
                                "x[5:6]",
                                "x is filter",
                                "x.find('', 5)",
                                "x|truncate(9)",
                                "[]|tojson(separators=(x, x))",
                                "'%(x)s' % {'x': 1, x: 2}",
                                "x.title()",
                                "[x, y]|min",
                                "'%s' % x",
                                "'{}'.format(x)",

                                "x ~ y",
                                "'a'.center(3, x[:1])",
                                "x.swapcase()"}) {
    const auto began = std::chrono::steady_clock::now();
    EXPECT_NE(refusal(begin + condition + end, nlohmann::ordered_json::object(), limits).find("steps"),
              std::string::npos)
        << condition;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    EXPECT_LT(seconds, 10) << condition;
  }
}

TEST(TemplateLimits, NamesThatALookupWalksOverCostSteps) {
  std::string many;
  for (int i = 0; i < 20000; ++i) many += "{% set v" + std::to_string(i) + " = 1 %}";
  const std::string loop = "{% for i in range(100000) %}", ends = "{% endfor %}";
  EXPECT_NE(refusal(many + loop + "{% if nothing %}{% endif %}" + ends).find("steps"), std::string::npos);
  EXPECT_NE(refusal("{% set ns = namespace(**dict(range(100000)|map('string')|batch(2))) %}").find("steps"),
            std::string::npos);
  EXPECT_EQ(rendered(many + "{{ v19999 }}"), "1");
}

TEST(TemplateLimits, UndefinedValuesAndTheirNamesCostMemory) {
  const std::string name = times(300000, "n");
  const std::string loop = "{% set ns = namespace(l=[]) %}{% for i in range(3000) %}{% set ns.l = ns.l + [";
  // A name is cut in what an undefined value tells, so these fit...
  EXPECT_EQ(refusal(loop + name + "] %}{% endfor %}"), "");
  EXPECT_EQ(refusal("{{ " + name + ".x }}"), "chat_template.jinja:1: '" + name.substr(0, 100) + "' is undefined");
  // ...and a rendering with less memory refuses them.
  jinja::Limits little;
  little.memory = 300 << 10;
  try {
    Template(loop + name + "] %}{% endfor %}", "t")
        .render(nlohmann::ordered_json::object(), day_of("2024-12-31"), little);
    ADD_FAILURE() << "3000 undefined values took less than 100 bytes each";
  } catch (const Failure &failure) {
    EXPECT_NE(std::string(failure.what()).find("memory"), std::string::npos) << failure.what();
  }
}

// Exits with 0 when nothing that `work` did made this process more than `most` bytes larger.
[[noreturn]] void exit_by_growth(uint64_t most, void (*work)()) {
  const auto peak = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<uint64_t>(usage.ru_maxrss) << 10;
  };
  const uint64_t before = peak();
  work();
  const uint64_t grown = peak() - before;
  if (grown > most) std::fprintf(stderr, "grown by %s\n", human_bytes(grown).c_str());
  std::_Exit(grown <= most ? 0 : 1);
}

#if defined(__SANITIZE_ADDRESS__)
#define HONE_KEEPS_FREED_MEMORY
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HONE_KEEPS_FREED_MEMORY
#endif
#endif

TEST(TemplateLimits, TextsTakeNoUncountedMemoryForEachCharacter) {
#ifdef HONE_KEEPS_FREED_MEMORY
  GTEST_SKIP() << "AddressSanitizer keeps what is freed";
#else
  // Texts of 30 million characters: 16 bytes for each would be 457 MiB. What is rendered is a few such texts.
  const auto whole_texts = [] {
    const std::string begin = "{% set x = 'a' * 30000000 %}{{ ";
    for (const char *expression :
         {"x|wordcount", "x.isalpha()", "x is lower", "x[3:5]", "x[::-9000000]", "x.find('', 3)", "x|truncate(9)",
          "x.strip('a')", "x.splitlines()|length", "x|indent|length"})
      if (rendered(begin + expression + " }}").size() > 20) std::_Exit(2);
  };
  EXPECT_EXIT(exit_by_growth(300ull << 20, whole_texts), ::testing::ExitedWithCode(0), "");
  // Refused once the 256 MiB of values are full, or 64 MiB of a text.
  const auto too_many_parts = [] {
    for (const char *expression :
         {"('a' * 30000000)|list", "(' a' * 15000000).split()", "('\n' * 30000000).splitlines()",
          "('\x01' * 30000000)|tojson", "('<' * 30000000)|escape", "('<' * 30000000)|urlencode"})
      if (refusal("{{ "s + expression + " }}").empty()) std::_Exit(2);
  };
  EXPECT_EXIT(exit_by_growth(512ull << 20, too_many_parts), ::testing::ExitedWithCode(0), "");
#endif
}

TEST(TemplateLimits, KeysOfDictsCostWhatTheyTake) {
  EXPECT_NE(refusal("{% set x = 'a' * 900000 %}{% set ns = namespace(l=[]) %}{% for i in range(700) %}{% set ns.l = "
                    "ns.l + [{(x, i): 1}] %}{% "
                    "endfor %}")
                .find("memory"),
            std::string::npos);
}

TEST(TemplateNumbers, TheLeastAndLargestWholeNumbersAreWidthsBoundsAndSteps) {
  const std::string least = "(-9223372036854775807 - 1)";
  EXPECT_EQ(
      rendered("{{ 'a'.center(" + least + ") }}|{{ 'a' | center(" + least + ") }}|{{ 'a'.ljust(" + least + ") }}"),
      "a|a|a");
  EXPECT_EQ(rendered("{{ '-1'.zfill(" + least + ") }}|{{ '-1'.zfill(5) }}|{{ '-1'.zfill(0) }}|{{ ''.zfill(-1) }}"),
            "-1|-0001|-1|");
  EXPECT_EQ(rendered("{{ range(-9223372036854775807, 9223372036854775807, 9223372036854775806) | list }}"),
            "[-9223372036854775807, -1, 9223372036854775805]");
  EXPECT_EQ(rendered("{{ -9223372036854775807 | round(-18) }}|{{ 15 | round(-1) }}|{{ -25 | round(-1) }}"),
            "-9000000000000000000|20|-20");
  EXPECT_EQ(rendered("{{ " + least + " % 3 }}|{{ -7 % 3 }}|{{ 7 % -3 }}"), "1|2|-2");
}

TEST(TemplateNumbers, ZerosBeforeGroupedDigitsAreGroupedToo) {
  EXPECT_EQ(
      rendered("{{ '{:010,}|{:08,}|{:09,}|{:0=12,}|{:012,.2f}|{:<07}|{:_x}'.format(1234, 123, -1234, 1234, 1234.5, "
               "1, 65536) }}"),
      "00,001,234|0,000,123|-0,001,234|0,000,001,234|0,001,234.50|1000000|1_0000");
}

TEST(TemplateRefusals, KeysOfFormatsAreNumbersOnlyWhenTheyAreDigits) {
  EXPECT_EQ(rendered("{{ '{0[1]}|{0[-1]}|{0[+1]}|{0[ 1]}'.format([1, 2]) }}"), "2|||");
  EXPECT_NE(refusal("{{ '{0[]}'.format([1]) }}").find("empty key"), std::string::npos);
}

TEST(TemplateRefusals, NeverCutACharacter) {
  const std::string letters = "a" + times(5000, "é");
  for (const std::string &text :
       {"{{ '%é' % 1 }}"s, "{{ '{:é}'.format(1) }}"s, "{{ 1 | " + letters + " }}", "{{ 1 is " + letters + " }}",
        "{{ {}." + letters + ".x }}", "{{ {}['" + letters + "'].x }}", "{{ raise_exception('" + letters + "') }}",
        "{% " + letters + " %}", "{{ 1 '" + letters + "' }}", "{{ 1 " + letters + " }}",
        "{{ '{" + letters + "}'.format(1) }}", "{{ '%(" + letters + ")s' % {} }}",
        "{{ dict(1, 2, " + letters + "=1) }}", "{{ 'a'.split(" + letters + "=1) }}",
        "{{ 1 | round(0, '" + letters + "') }}", "{% macro m() %}{% endmacro %}{{ m(" + letters + "=1) }}",
        "{{ {} | dictsort(by='" + letters + "') }}", "{{ " + letters + ".x }}"}) {
    const std::string said = refusal(text);
    EXPECT_NE(said, "") << text.substr(0, 60);
    EXPECT_EQ(invalid_utf8(said), std::string::npos) << text.substr(0, 60) << "\n" << said;
    EXPECT_LT(said.size(), 5000u) << text.substr(0, 60);
  }
}

TEST(TemplateDates, FormatsThatAreTooWideAreRefused) {
  EXPECT_NE(refusal("{{ strftime_now('%100000d') }}").find("strftime_now()"), std::string::npos);
  EXPECT_EQ(rendered("{{ strftime_now('%z') }}|{{ strftime_now('') }}|{{ strftime_now('%03d') }}"), "||031");
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
