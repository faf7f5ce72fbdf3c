// embedding: y[t] = table[ids[t]]. Backward, dtable[v, c]: from dtable over the tokens t with ids[t] = v, in order, of
// · + dy[t, c]. Ids are the caller's promise: 0 <= id < V.
#pragma once

#include "kernels/table.h"

namespace hone::reference {

// float: in the very order above; double: for finite differences
template <class Number>
void embedding(uint32_t T, uint32_t C, const int32_t *ids, const Number *table, Number *y);
void embedding_backward(uint32_t T, uint32_t C, const int32_t *ids, const float *dy, float *dtable);

}  // namespace hone::reference

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_embedding(hone_kernels &);
}
#endif
