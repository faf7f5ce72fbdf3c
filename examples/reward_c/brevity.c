// brevity.c -- a reward in plain C, without the C++ layer: a shorter response scores higher.
#include <hone/ext/reward.h>

static int32_t score(void *self, const hone_response *in, uint32_t n, hone_scores *out, hone_error *err) {
  (void)self, (void)err;
  for (uint32_t i = 0; i < n; ++i) out->score[i] = 1.0f / (1.0f + (float)in[i].text.size);
  return HONE_OK;
}

static int32_t create(const hone_host *host, const hone_value *values, void **self, hone_error *err) {
  (void)host, (void)values, (void)err;
  *self = NULL;  // no state
  return HONE_OK;
}

static void destroy(void *self) { (void)self; }

static const hone_reward methods = {.struct_size = sizeof methods, .response_size = sizeof(hone_response), .score = score};
static const hone_component brevity = {
    .struct_size = sizeof brevity, .kind = HONE_REWARD, .name = "brevity", .help = "prefers short responses",
    .param_size = sizeof(hone_param), .methods = &methods, .create = create, .destroy = destroy};
static const hone_component *const components[] = {&brevity};

const hone_plugin hone_plugin_abi1 = {.struct_size = sizeof hone_plugin_abi1, .id = "org.example.brevity",
                                  .version = "1.0.0", .components = components, .n_components = 1};
