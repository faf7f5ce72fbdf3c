// my_dr_grpo_test.cpp -- the example of examples/objective_cpp, written from nothing but hone/objective.hpp, gives the bits of the
// built-in dr_grpo.
#include "tests/plugins/stages/objectives.h"

namespace hone::judge {
namespace {

TEST_F(Objectives, TheExampleGivesTheBitsOfTheBuiltInDrGrpo) {
  const OpenedLibrary &library = open_library(std::filesystem::path(HONE_BUILD_DIR) / "examples/my_dr_grpo.so");
  for (int i = 0; i < 60; ++i) {
    const json set = i % 3 == 0 ? json::object() : json{{"epsilon", uniform(0.05, 0.4)}, {"max_completion_length", whole(1, 300)}};
    const Asked built_in(host, "dr_grpo", set), example(host, library.components.at(0).info, set);
    Rows rows = trained(ragged(whole(1, 12)));
    for (Response &row : rows) {
      if (i % 2 && row.reward > 0) row.reward = one_in(2) ? row.reward : std::nextafter(float(row.reward), 2.0f);  // no other reward
      for (Token &t : row.tokens) t.weight = 1;  // the example leaves weights out
    }
    Rows same = rows;
    ASSERT_EQ(example.advantages(same).advantage, built_in.advantages(rows).advantage);
    const Answer is = example.loss(rows), expected = built_in.loss(rows);
    ASSERT_EQ(is.loss, expected.loss);
    ASSERT_EQ(is.dlogp, expected.dlogp);
  }
}

}  // namespace
}  // namespace hone::judge
