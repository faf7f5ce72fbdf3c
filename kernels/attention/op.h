// attention: causal, grouped queries: head h reads kv head h / (H / G). For query t of a row, over keys j = 0 .. t:
//   s[j] = scale (q . k[j]),  p[j] = exp(s[j] - max s),  y = (sum_j p[j] v[j]) / (sum_j p[j]),  lse = max s + log(sum_j p[j])
//
// Order of accumulation; positions count from the start of the row, whatever page, chunk or company:
//   q . k[j]   one chain of fma over d = 0 .. Dk-1 from 0; then one multiplication by scale
//   sum p      16 lanes (lane j % 16) over blocks of 16 keys in order, absent keys 0, then the tree of cpu/simd.h
//   sum p v    one chain of fma over j = 0 .. t from 0; then one multiplication by 1 / sum p
// Rows may share what comes before them: prefix[r] != r names the row whose keys and values stand before row r's own, and
// t counts on from its length. A row that is such a prefix has none itself, and those that share it follow it at once;
// prefix null: no row has one. What is shared is computed once, and gives the bits that a copy in each row would.
// Keys beyond t are never read into a sum: what they hold (even NaN) cannot show. attention_cached gives the same bits.
//   backward   p[j] = exp(s[j] - lse); delta = sum over Dv of dy y (16 lanes, tree); dp[j] = dy . v[j] (chain over Dv);
//              ds[j] = p[j] (dp[j] - delta) scale; dq: from dq over j in order of fma(ds[j], k[j], ·);
//              dk[j], dv[j]: from dk, dv over the heads of the group in order, and within one over t in order, of
//              fma(ds[t,j], q[t], ·) and fma(p[t,j], dy[t], ·); in tiles of kQueryTile queries, zeroes for t < j within a tile;
//              those of a prefix from its own row first, then from the rows that share it, in order
// A page holds, per kv head: keys [page_tokens / 16][Dk][16], then for all heads values [page_tokens][Dv].
// page_tokens is a multiple of 16.
#pragma once

#include "kernels/table.h"

namespace hone::reference {

void attention(uint32_t R, const uint32_t *row_start, const uint32_t *prefix, uint32_t H, uint32_t G, uint32_t Dk,
               uint32_t Dv, double scale, const double *q, const double *k, const double *v, double *y, double *lse);

}  // namespace hone::reference

#ifdef HONE_ISA
namespace hone::kernels::HONE_ISA {
void fill_attention(hone_kernels &);
}
#endif
