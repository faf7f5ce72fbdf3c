// embedding: y[t] = table[ids[t]]. Backward, dtable[v, c]: from dtable over the tokens t with ids[t] = v, in order, of
// · + dy[t, c]. Ids are the caller's promise: 0 <= id < V.
#pragma once

#include "kernels/table.h"

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_embedding(hone_kernels &);
}
#endif
