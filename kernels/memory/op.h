// memory: buffers, copies and fills. On a CPU every call is done when it returns.
#pragma once

#include "kernels/table.h"

namespace hone::reference {

void fill(float *x, uint64_t n, float value);
void copy(float *to, const float *from, uint64_t n);

}  // namespace hone::reference

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_memory(hone_kernels &);
}
#endif
