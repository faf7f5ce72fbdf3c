// embedding, one number at a time.
#include "kernels/embedding/op.h"

namespace hone::reference {

template <class Number>
void embedding(uint32_t T, uint32_t C, const int32_t *ids, const Number *table, Number *y) {
  for (size_t t = 0; t < T; ++t)
    for (size_t c = 0; c < C; ++c) y[t * C + c] = table[size_t(ids[t]) * C + c];
}

void embedding_backward(uint32_t T, uint32_t C, const int32_t *ids, const float *dy, float *dtable) {
  for (size_t t = 0; t < T; ++t)
    for (size_t c = 0; c < C; ++c) dtable[size_t(ids[t]) * C + c] += dy[t * C + c];
}

template decltype(embedding<float>) embedding<float>;
template decltype(embedding<double>) embedding<double>;

}  // namespace hone::reference
