// abi.h -- the whole contract between a plugin and its host, in C.
//
// Rules that hold everywhere:
//   - Strings are UTF-8. Pointers are never null unless the comment says "may be null".
//   - The caller owns every buffer, in and out; it stays valid until the call returns.
//   - A struct grows only at its end, and struct_size says how much of it the writer knew.
//     The reader copies the part both sides know over zeroes, so a missing field reads as null.
//   - No exception, longjmp or C++ object crosses this line.
//   - [main]  one fixed thread     [worker] any thread, one call at a time per instance
//     [many]  any thread, calls may overlap on one instance
//   - Plugins start no threads; the host service "hone.host.parallel/1" runs loops on the host's pool.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HONE_ABI_MAJOR 1
#define HONE_ABI_MINOR 1  // grows when a field or an interface is added; the major is in hone_plugin_abi1

// Not zero-terminated; data may be null only when size is 0.
typedef struct hone_str { const char *data; size_t size; } hone_str;

enum { HONE_OK = 0, HONE_INVALID = 1, HONE_UNSUPPORTED = 2, HONE_OUT_OF_MEMORY = 3, HONE_DEVICE = 4, HONE_FAILED = 5 };

// Owned by the caller, written only when a call fails. Nothing to free. text is zero-terminated UTF-8, one sentence.
typedef struct hone_error { int32_t code; char text[508]; } hone_error;

// A setting's value. Lists and tables cross as JSON text in `s`; handles as an index in `i` that host services take.
typedef struct hone_value {
  int32_t type;  // HONE_BOOL, ...
  union { int64_t i; double f; hone_str s; } as;
} hone_value;
enum {
  HONE_BOOL = 1, HONE_INT = 2, HONE_FLOAT = 3, HONE_STRING = 4,
  HONE_LIST = 5, HONE_TABLE = 6,                                         // as.s: JSON text
  HONE_MODEL_HANDLE = 7, HONE_REWARD_HANDLE = 8, HONE_DATA_HANDLE = 9,   // as.i: -1 when the script gave none
  HONE_FUNCTION_HANDLE = 10,
  HONE_OPTIMIZER_HANDLE = 11                                             // since minor 1
};

enum { HONE_REQUIRED = 1 };  // hone_param::flags: the script must give it; fallback tells only the type

// One setting of a component. The host checks a script's table against these before create().
typedef struct hone_param {
  const char *name, *help;
  double      min, max;          // of a number, both ends allowed, both 0: no limits; ignored for other types
  hone_value  fallback;          // its type is the param's type
  const char *const *choices;    // of a string: the allowed values, null at the end; may be null: any
  uint32_t    flags, reserved;
} hone_param;

typedef struct hone_host {
  uint32_t struct_size, minor;
  void    *ctx;
  // Returns the host service with this id ("hone.host.log/1", see ext/host.h), or null if it has none. [many]
  const void *(*get)(const struct hone_host *host, const char *id);
} hone_host;

typedef struct hone_component {
  uint32_t    struct_size;
  const char *kind;  // "hone.reward/1": what `methods` points to
  const char *name;  // "math_exact": what a script calls it
  const char *help;  // one sentence
  const hone_param *params;  // may be null when n_params is 0
  uint32_t        n_params, param_size;
  const void     *methods;
  // values[i] belongs to params[i], already checked and defaulted. host stays valid until destroy(). [main]
  int32_t (*create)(const hone_host *host, const hone_value *values, void **self, hone_error *err);
  void (*destroy)(void *self);  // [main]
  // Returns an optional interface of this instance, or null. May be null. [many]
  const void *(*get)(void *self, const char *id);
} hone_component;

typedef struct hone_plugin {
  uint32_t    struct_size;
  uint32_t    min_minor;  // the least host ABI minor that the interfaces it uses need
  const char *id, *version;
  const hone_component *const *components;
  uint32_t                   n_components;
} hone_plugin;

#define HONE_EXPORT __attribute__((visibility("default")))

// The only symbol a plugin exports. ABI 2 will be another name, so a plugin that is too old is simply not found.
extern HONE_EXPORT const hone_plugin hone_plugin_abi1;

#ifdef __cplusplus
}
#endif
