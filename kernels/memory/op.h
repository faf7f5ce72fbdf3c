// memory: buffers, copies and fills. On a CPU every call is done when it returns.
#pragma once

#include "kernels/table.h"

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_memory(hone_kernels &);
}
#endif
