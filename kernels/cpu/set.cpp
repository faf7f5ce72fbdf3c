// set.cpp -- one instruction set's kernels in one table; compiled once per set.
#include "kernels/attention/op.h"
#include "kernels/cpu/sets.h"
#include "kernels/dispatch/op.h"
#include "kernels/elementwise/op.h"
#include "kernels/embedding/op.h"
#include "kernels/expert_matmul/op.h"
#include "kernels/heads/op.h"
#include "kernels/logprob/op.h"
#include "kernels/matmul/op.h"
#include "kernels/memory/op.h"
#include "kernels/reduce/op.h"
#include "kernels/rmsnorm/op.h"
#include "kernels/rope/op.h"
#include "kernels/route/op.h"
#include "kernels/sample/op.h"
#include "kernels/value_head/op.h"

#define HONE_TEXT_OF(x) #x
#define HONE_TEXT(x) HONE_TEXT_OF(x)

namespace hone::kernels::HONE_ISA {

const hone_kernels *set() {
  static const hone_kernels table = [] {
    hone_kernels t = {};
    t.struct_size = sizeof t;
    t.device = "cpu";
    t.isa = HONE_TEXT(HONE_ISA);
    t.bf16 = HONE_BF16;
    fill_memory(t);
    fill_matmul(t);
    fill_expert_matmul(t);
    fill_elementwise(t);
    fill_heads(t);
    fill_embedding(t);
    fill_rmsnorm(t);
    fill_rope(t);
    fill_attention(t);
    fill_route(t);
    fill_dispatch(t);
    fill_logprob(t);
    fill_value_head(t);
    fill_sample(t);
    fill_reduce(t);
    return t;
  }();
  return &table;
}

}  // namespace hone::kernels::HONE_ISA
