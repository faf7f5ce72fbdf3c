// my_plugin_test.cpp -- the stage against a host that answers from a list.
#include <hone/stage.hpp>
#include <hone/testing.hpp>

namespace {

struct FakeHost {
  hone::Table prompts, responses;
  uint64_t emitted = 0;
};

hone_stage_host services_of(FakeHost &fake) {
  hone_stage_host host{};
  host.struct_size = sizeof host;
  host.ctx = &fake;
  host.data = [](void *ctx, int64_t, hone_table *out, hone_error *) {
    *out = static_cast<FakeHost *>(ctx)->prompts.view().raw();
    return int32_t{HONE_OK};
  };
  host.rollout = [](void *ctx, int64_t, const hone_table *prompts, const hone_sampling *sampling, hone_table *out, hone_error *) {
    const uint64_t n = prompts->n_rows * sampling->num_generations;
    std::vector<int64_t> truncated;
    for (uint64_t i = 0; i < n; ++i) truncated.push_back(i % 2);  // every second response is cut off
    auto &responses = static_cast<FakeHost *>(ctx)->responses;
    responses = hone::Table().ints("truncated", truncated).texts("response", std::vector<std::string>(n, "x"));
    *out = responses.view().raw();
    return int32_t{HONE_OK};
  };
  host.emit = [](void *ctx, const hone_table *rows, hone_error *) {
    static_cast<FakeHost *>(ctx)->emitted += rows->n_rows;
    return int32_t{HONE_OK};
  };
  host.progress = [](void *, uint64_t, uint64_t) {};
  return host;
}

}  // namespace

int main() {
  FakeHost fake;
  fake.prompts.texts("prompt", {"a", "b", "c", "d", "e"});
  const hone_stage_host host = services_of(fake);
  const hone::testing::Component stage("my_plugin", {{"batch_size", 2}, {"num_generations", 2}}, {{HONE_HOST_STAGE, &host}});
  const auto &methods = stage.methods<hone_stage>();
  hone_error err{};
  int32_t again = HONE_AGAIN;
  int steps = 0;
  for (; again == HONE_AGAIN && steps < 10; ++steps) HONE_EXPECT(methods.step(stage.self(), &again, &err) == HONE_OK);
  HONE_EXPECT(steps == 3);
  HONE_EXPECT(fake.emitted == 5);

  // A stage that goes on from what was saved is done at once.
  std::string saved;
  methods.save(stage.self(), [](void *to, hone_str text) { static_cast<std::string *>(to)->append(text.data, text.size); }, &saved, &err);
  const hone::testing::Component other("my_plugin", {{"batch_size", 2}}, {{HONE_HOST_STAGE, &host}});
  HONE_EXPECT(methods.load(other.self(), {saved.data(), saved.size()}, &err) == HONE_OK);
  HONE_EXPECT(methods.step(other.self(), &again, &err) == HONE_OK && again == HONE_DONE);
  return hone::testing::result();
}
