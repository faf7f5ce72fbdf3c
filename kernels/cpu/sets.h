// sets.h -- the kernels of one CPU, once per instruction set. Ask set_named(), which knows what this CPU can run.
#pragma once

#include "kernels/table.h"

namespace hone::kernels {

namespace amx {
const hone_kernels *set();
bool tiles_keep_the_blocks();
}  // namespace amx
namespace avx512bf16 {
const hone_kernels *set();
bool dot_keeps_the_chain();
bool dot_is_faster();
}  // namespace avx512bf16
namespace avx512 {
const hone_kernels *set();
}
namespace avx2 {
const hone_kernels *set();
}
namespace plain {
const hone_kernels *set();
}

// The set of this name, or null when there is none or this CPU cannot run it.
const hone_kernels *set_named(const char *isa);

}  // namespace hone::kernels
