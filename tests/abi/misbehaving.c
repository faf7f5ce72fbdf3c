/* misbehaving.c -- one reward plugin, right but for what the macro CASE_... says. */
#include <hone/ext/reward.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int32_t score(void *self, const hone_response *in, uint32_t n, hone_scores *out, hone_error *err) {
  (void)self, (void)err;
  for (uint32_t i = 0; i < n; ++i) out->score[i] = (float)in[i].text.size;
#ifdef CASE_score_past_the_end
  out->score[n] = 1;
#endif
#ifdef CASE_score_crashes
  abort();
#endif
#ifdef CASE_score_infinite
  if (n) out->score[0] = 1e39f;
#endif
#ifdef CASE_score_by_company
  for (uint32_t i = 0; i < n; ++i) out->score[i] = (float)(in[i].text.size + n);
#endif
  return HONE_OK;
}

static int32_t create(const hone_host *host, const hone_value *values, void **self, hone_error *err) {
  (void)host, (void)values, (void)err;
  *self = NULL;
#ifdef CASE_create_crashes
  *(volatile int *)8 = 1;
#endif
#ifdef CASE_create_exits
  exit(0);
#endif
#ifdef CASE_create_hangs
  for (;;) pause();
#endif
#ifdef CASE_create_silent
  return HONE_FAILED;
#endif
#ifdef CASE_create_refuses
  err->code = HONE_INVALID;
  strcpy(err->text, "the moon is not full");
  return HONE_INVALID;
#endif
  return HONE_OK;
}
static void destroy(void *self) { (void)self; }

static const hone_reward methods = {
#ifdef CASE_huge_methods
    .struct_size = 0x7fffffff,
#else
    .struct_size = sizeof methods,
#endif
#ifdef CASE_response_size
    .response_size = 3,
#else
    .response_size = sizeof(hone_response),
#endif
#ifndef CASE_null_score
    .score = score,
#endif
};

#ifdef CASE_unknown_type
#define TYPE 77
#elif defined(CASE_list_default)
#define TYPE HONE_LIST
#else
#define TYPE HONE_FLOAT
#endif
static const char *const choices[] = {"a", "b", NULL};
static const hone_param params[] = {
    {.name = "scale", .help = "h", .min = 0, .max = 1, .fallback = {.type = TYPE, .as = {.f =
#ifdef CASE_default_out_of_range
                                                                                             7
#else
                                                                                             0.5
#endif
                                                                    }}},
#ifdef CASE_setting_twice
    {.name = "scale", .help = "h", .fallback = {.type = HONE_INT}},
#endif
#ifdef CASE_null_setting_name
    {.name = NULL, .help = "h", .fallback = {.type = HONE_INT}},
#endif
#ifdef CASE_limits_crossed
    {.name = "n", .help = "h", .min = 2, .max = 1, .fallback = {.type = HONE_INT, .as = {.i = 1}}},
#endif
    {.name = "mode", .help = "h", .choices = choices, .fallback = {.type = HONE_STRING, .as = {.s = {"a", 1}}}},
    {.name = "count", .help = "no limits", .fallback = {.type = HONE_INT, .as = {.i = 41}}},
};

#define COMPONENT(n)                                                                                       \
  {                                                                                                        \
    .struct_size = STRUCT_SIZE, .kind = KIND, .name = n, .help = HELP, .params = params,                   \
    .n_params = sizeof params / sizeof params[0], .param_size = sizeof(hone_param), .methods = METHODS,    \
    .create = CREATE, .destroy = destroy                                                                   \
  }
#ifdef CASE_huge_component
#define STRUCT_SIZE 0x7fffffff
#elif defined(CASE_tiny_component)
#define STRUCT_SIZE 8
#else
#define STRUCT_SIZE sizeof(hone_component)
#endif
#ifdef CASE_unknown_kind
#define KIND "hone.reward/2"
#else
#define KIND HONE_REWARD
#endif
#ifdef CASE_null_help
#define HELP NULL
#else
#define HELP "scores by length"
#endif
#ifdef CASE_null_methods
#define METHODS NULL
#else
#define METHODS &methods
#endif
#ifdef CASE_null_create
#define CREATE NULL
#else
#define CREATE create
#endif
#ifndef NAME
#define NAME "misbehaving"
#endif

static const hone_component first = COMPONENT(NAME), second = COMPONENT(NAME);
static const hone_component odd_name = COMPONENT("../evil");
static const hone_component wild = COMPONENT((const char *)8);
static const hone_component *const components[] = {
    &first,
#ifdef CASE_same_name
    &second,
#endif
#ifdef CASE_null_component
    NULL,
#endif
#ifdef CASE_odd_name
    &odd_name,
#endif
#ifdef CASE_wild_pointer
    &wild,
#endif
};
const void *const keep_all[] = {&second, &odd_name, &wild};

#ifdef CASE_wrong_major
#define SYMBOL hone_plugin_abi2
extern HONE_EXPORT const hone_plugin hone_plugin_abi2;
#elif defined(CASE_no_symbol)
#define SYMBOL some_other_table
#else
#define SYMBOL hone_plugin_abi1
#endif

HONE_EXPORT const hone_plugin SYMBOL = {
#ifdef CASE_huge_plugin
    .struct_size = 0xfffffff0u,
#else
    .struct_size = sizeof(hone_plugin),
#endif
#ifdef CASE_newer_minor
    .min_minor = 99,
#endif
#ifndef CASE_null_id
    .id = "org.example.misbehaving",
#endif
    .version = "1.0.0",
#ifndef CASE_null_components
    .components = components,
#endif
#ifdef CASE_many_components
    .n_components = 0xffffffffu
#else
    .n_components = sizeof components / sizeof components[0]
#endif
};

__attribute__((constructor)) static void on_opening(void) {
#ifdef CASE_constructor_exits
  exit(0);
#endif
#ifdef CASE_constructor_aborts
  abort();
#endif
#ifdef CASE_constructor_hangs
  for (;;) pause();
#endif
#ifdef CASE_constructor_prints
  (void)!write(1, "{\"components\":[]}\n", 18);
#endif
#ifdef CASE_constructor_kills
  *(volatile int *)8 = 1;
#endif
}
