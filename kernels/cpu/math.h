// math.h -- exp and log of our own, so that they give the same bits on every machine and in every lane.
// exp: Cephes' expf (S. Moshier): x = n ln2 + r, |r| <= ln2/2, degree 6; within 2 units in the last place. log: Cephes' logf.
#pragma once

#include "kernels/cpu/simd.h"

namespace hone::kernels::HONE_ISA {

// Underflows to 0 below about -103.97 and overflows to infinity above about 88.72; NaN stays NaN; exp(0) is 1 exactly.
HONE_INLINE F16 exp(F16 x) {
  const F16 low = broadcast(-110.0f), high = broadcast(90.0f), magic = broadcast(12582912.0f);  // 1.5 * 2^23
  HONE_PARTS {
    x.part[i] = x.part[i] < low.part[i] ? low.part[i] : x.part[i];
    x.part[i] = x.part[i] > high.part[i] ? high.part[i] : x.part[i];
  }
  const F16 shifted = x * broadcast(1.44269504088896341f) + magic, n = shifted - magic;  // n: the nearest integer
  F16 r = fma(n, broadcast(-0.693359375f), x);
  r = fma(n, broadcast(2.12194440e-4f), r);
  F16 p = broadcast(1.9875691500e-4f);
  p = fma(p, r, broadcast(1.3981999507e-3f));
  p = fma(p, r, broadcast(8.3334519073e-3f));
  p = fma(p, r, broadcast(4.1665795894e-2f));
  p = fma(p, r, broadcast(1.6666665459e-1f));
  p = fma(p, r, broadcast(5.0000001201e-1f));
  p = fma(p, r * r, r) + broadcast(1.0f);
  // Times 2^n in two steps, since 2^n itself may be no normal number.
  F16 half, rest;
  HONE_PARTS {
    const Bits exponent = (Bits)shifted.part[i] - 0x4B400000u;  // n, modulo 2^32
    const Bits first = ((exponent + 512) >> 1) - 256;           // floor(n / 2)
    half.part[i] = (Register)((first + 127) << 23);
    rest.part[i] = (Register)((exponent - first + 127) << 23);
  }
  return p * half * rest;
}

// NaN below 0, -infinity at 0.
HONE_INLINE F16 log(F16 x) {
  typedef int32_t Integers __attribute__((vector_size(kRegisterBytes)));
  F16 e, m;
  HONE_PARTS {
    Register v = x.part[i], bias = Register{};
    bias = v < 1.17549435e-38f ? bias - 25.0f : bias;
    v = v < 1.17549435e-38f ? v * 33554432.0f : v;
    Register exponent = __builtin_convertvector((Integers)((Bits)v >> 23) - 126, Register) + bias;
    Register part = (Register)(((Bits)v & 0x007fffffu) | 0x3f000000u);  // in [0.5, 1)
    e.part[i] = part < 0.707106781186547524f ? exponent - 1.0f : exponent;
    m.part[i] = part < 0.707106781186547524f ? part + part - 1.0f : part - 1.0f;
  }
  const F16 square = m * m;
  F16 p = broadcast(7.0376836292e-2f);
  p = fma(p, m, broadcast(-1.1514610310e-1f));
  p = fma(p, m, broadcast(1.1676998740e-1f));
  p = fma(p, m, broadcast(-1.2420140846e-1f));
  p = fma(p, m, broadcast(1.4249322787e-1f));
  p = fma(p, m, broadcast(-1.6668057665e-1f));
  p = fma(p, m, broadcast(2.0000714765e-1f));
  p = fma(p, m, broadcast(-2.4999993993e-1f));
  p = fma(p, m, broadcast(3.3333331174e-1f));
  F16 y = m * square * p;
  y = fma(e, broadcast(-2.12194440e-4f), y);
  y = fma(broadcast(-0.5f), square, y);
  y = fma(e, broadcast(0.693359375f), m + y);
  const Register infinity = Register{} + __builtin_inff(), none = Register{} + __builtin_nanf("");
  HONE_PARTS {
    y.part[i] = x.part[i] == infinity ? infinity : y.part[i];
    y.part[i] = x.part[i] == Register{} ? -infinity : y.part[i];
    y.part[i] = x.part[i] >= Register{} ? y.part[i] : none;
  }
  return y;
}
HONE_INLINE float log(float x) {
  float lanes[16];
  store(lanes, log(broadcast(x)));
  return lanes[0];
}

HONE_INLINE F16 sigmoid(F16 x) { return broadcast(1.0f) / (broadcast(1.0f) + exp(zero() - x)); }

}  // namespace hone::kernels::HONE_ISA
