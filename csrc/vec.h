// Vec<T>: one vector register of T for the instruction set this file is compiled for.
//
// Everything lives in a namespace named after the set (ELMAN_SET), so that the linker never merges code compiled with
// different flags. For the same reason nothing under here uses inline functions of the standard library.
#pragma once

#include <cstdint>

#if defined(__AVX2__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC's own _mm512_undefined_ps (bug 105593)
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif
#if defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "api.h"

extern "C" {
double tanh(double) noexcept;
double exp(double) noexcept;
}

namespace elman {
namespace ELMAN_SET {

#define ELMAN_INLINE inline __attribute__((always_inline))
#define ELMAN_LAMBDA __attribute__((always_inline))

template <class T>
struct Vec;

// Operators + - * / on Reg come from the compiler (GCC and Clang vector types). fma(a, b, c) = a * b + c.
// clamp keeps NaN; where_nonzero(a, b) is b where a is not zero, and zero elsewhere. The forms with n touch the first n
// numbers of memory only; the rest of a loaded register is zero.

#if defined(__AVX512F__)

template <>
struct Vec<float> {
  using Reg = __m512;
  static constexpr int width = 16;
  static ELMAN_INLINE __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static ELMAN_INLINE Reg load(const float* p) { return _mm512_loadu_ps(p); }
  static ELMAN_INLINE Reg load(const float* p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
  static ELMAN_INLINE void store(float* p, Reg a) { _mm512_storeu_ps(p, a); }
  static ELMAN_INLINE void store(float* p, Reg a, int n) { _mm512_mask_storeu_ps(p, first(n), a); }
  static ELMAN_INLINE Reg all(float a) { return _mm512_set1_ps(a); }
  static ELMAN_INLINE Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
  static ELMAN_INLINE Reg clamp(Reg a, float low, float high) {
    return _mm512_min_ps(all(high), _mm512_max_ps(all(low), a));  // x86 returns the second operand when one is NaN
  }
  static ELMAN_INLINE Reg where_nonzero(Reg a, Reg b) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, all(0), _CMP_NEQ_UQ), b);
  }
#if defined(__AVX512BF16__)
  // bfloat16 is the upper half of a float32: widening is a shift, narrowing rounds to the nearest even. (The masked
  // form and the compiler's own shift keep clear of GCC's bug 105593.)
  typedef uint32_t Words __attribute__((vector_size(64)));
  static ELMAN_INLINE Words words(__m256i a) { return (Words)_mm512_maskz_cvtepu16_epi32(0xffff, a); }
  static ELMAN_INLINE Reg wide(__m256i a) { return (Reg)(words(a) << 16); }
  static ELMAN_INLINE __m256i narrow(Reg a) { return (__m256i)_mm512_cvtneps_pbh(a); }
  static ELMAN_INLINE Reg load(const Bf16* p) { return wide(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  static ELMAN_INLINE Reg load(const Bf16* p, int n) { return wide(_mm256_maskz_loadu_epi16(first(n), p)); }
  static ELMAN_INLINE void store(Bf16* p, Reg a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(a)); }
  static ELMAN_INLINE void store(Bf16* p, Reg a, int n) { _mm256_mask_storeu_epi16(p, first(n), narrow(a)); }
  // to[2 i] = a[i], to[2 i + 1] = b[i] for i < n: two rows side by side, as a product of pairs reads them.
  static ELMAN_INLINE void interleave(Bf16* to, const Bf16* a, const Bf16* b, int n) {
    const Words low = words(_mm256_maskz_loadu_epi16(first(n), a)), high = words(_mm256_maskz_loadu_epi16(first(n), b));
    _mm512_mask_storeu_epi32(to, first(n), (__m512i)(low | high << 16));
  }
#endif
};

template <>
struct Vec<double> {
  using Reg = __m512d;
  static constexpr int width = 8;
  static ELMAN_INLINE __mmask8 first(int n) { return static_cast<__mmask8>((1u << n) - 1u); }
  static ELMAN_INLINE Reg load(const double* p) { return _mm512_loadu_pd(p); }
  static ELMAN_INLINE Reg load(const double* p, int n) { return _mm512_maskz_loadu_pd(first(n), p); }
  static ELMAN_INLINE void store(double* p, Reg a) { _mm512_storeu_pd(p, a); }
  static ELMAN_INLINE void store(double* p, Reg a, int n) { _mm512_mask_storeu_pd(p, first(n), a); }
  static ELMAN_INLINE Reg all(double a) { return _mm512_set1_pd(a); }
  static ELMAN_INLINE Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_pd(a, b, c); }
  static ELMAN_INLINE Reg clamp(Reg a, double low, double high) {
    return _mm512_min_pd(all(high), _mm512_max_pd(all(low), a));
  }
  static ELMAN_INLINE Reg where_nonzero(Reg a, Reg b) {
    return _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(a, all(0), _CMP_NEQ_UQ), b);
  }
};

#elif defined(__AVX2__)

template <>
struct Vec<float> {
  using Reg = __m256;
  static constexpr int width = 8;
  static ELMAN_INLINE __m256i first(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static ELMAN_INLINE Reg load(const float* p) { return _mm256_loadu_ps(p); }
  static ELMAN_INLINE Reg load(const float* p, int n) { return _mm256_maskload_ps(p, first(n)); }
  static ELMAN_INLINE void store(float* p, Reg a) { _mm256_storeu_ps(p, a); }
  static ELMAN_INLINE void store(float* p, Reg a, int n) { _mm256_maskstore_ps(p, first(n), a); }
  static ELMAN_INLINE Reg all(float a) { return _mm256_set1_ps(a); }
  static ELMAN_INLINE Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
  static ELMAN_INLINE Reg clamp(Reg a, float low, float high) {
    return _mm256_min_ps(all(high), _mm256_max_ps(all(low), a));
  }
  static ELMAN_INLINE Reg where_nonzero(Reg a, Reg b) {
    return _mm256_and_ps(_mm256_cmp_ps(a, all(0), _CMP_NEQ_UQ), b);
  }
};

template <>
struct Vec<double> {
  using Reg = __m256d;
  static constexpr int width = 4;
  static ELMAN_INLINE __m256i first(int n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
  }
  static ELMAN_INLINE Reg load(const double* p) { return _mm256_loadu_pd(p); }
  static ELMAN_INLINE Reg load(const double* p, int n) { return _mm256_maskload_pd(p, first(n)); }
  static ELMAN_INLINE void store(double* p, Reg a) { _mm256_storeu_pd(p, a); }
  static ELMAN_INLINE void store(double* p, Reg a, int n) { _mm256_maskstore_pd(p, first(n), a); }
  static ELMAN_INLINE Reg all(double a) { return _mm256_set1_pd(a); }
  static ELMAN_INLINE Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_pd(a, b, c); }
  static ELMAN_INLINE Reg clamp(Reg a, double low, double high) {
    return _mm256_min_pd(all(high), _mm256_max_pd(all(low), a));
  }
  static ELMAN_INLINE Reg where_nonzero(Reg a, Reg b) {
    return _mm256_and_pd(_mm256_cmp_pd(a, all(0), _CMP_NEQ_UQ), b);
  }
};

#else

// Sixteen bytes: SSE2 on any x86-64, NEON on any aarch64, plain code elsewhere.
template <class T>
struct Sixteen;
template <>
struct Sixteen<float> {
  typedef float Reg __attribute__((vector_size(16)));
};
template <>
struct Sixteen<double> {
  typedef double Reg __attribute__((vector_size(16)));
};

template <class T>
struct Vec {
  using Reg = typename Sixteen<T>::Reg;
  static constexpr int width = 16 / static_cast<int>(sizeof(T));
  static ELMAN_INLINE Reg load(const T* p) {
    Reg a;
    __builtin_memcpy(&a, p, sizeof a);
    return a;
  }
  static ELMAN_INLINE Reg load(const T* p, int n) {
    Reg a = all(T(0));
    for (int i = 0; i < n; ++i) a[i] = p[i];
    return a;
  }
  static ELMAN_INLINE void store(T* p, Reg a) { __builtin_memcpy(p, &a, sizeof a); }
  static ELMAN_INLINE void store(T* p, Reg a, int n) {
    for (int i = 0; i < n; ++i) p[i] = a[i];
  }
  static ELMAN_INLINE Reg all(T a) {
    Reg r;
    for (int i = 0; i < width; ++i) r[i] = a;
    return r;
  }
  static ELMAN_INLINE Reg fma(Reg a, Reg b, Reg c) {
#if defined(__aarch64__)
    if constexpr (sizeof(T) == 4)
      return (Reg)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
    else
      return (Reg)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return a * b + c;
#endif
  }
  static ELMAN_INLINE Reg clamp(Reg a, T low, T high) {
    for (int i = 0; i < width; ++i) a[i] = a[i] < low ? low : (a[i] > high ? high : a[i]);
    return a;
  }
  static ELMAN_INLINE Reg where_nonzero(Reg a, Reg b) {
    for (int i = 0; i < width; ++i) b[i] = a[i] == T(0) ? T(0) : b[i];
    return b;
  }
};

#endif

// tanh(x) = x P(x^2) / Q(x^2), fitted to least relative error (2e-8) on [0, 9], past which float32 tanh is 1. Rounding
// on the way costs up to 5 units in the last place; the second clamp keeps the result within [-1, 1].
static ELMAN_INLINE Vec<float>::Reg tanh(Vec<float>::Reg x) {
  using V = Vec<float>;
  x = V::clamp(x, -9.0f, 9.0f);
  const V::Reg u = x * x;
  V::Reg p = V::fma(V::all(1.33544086348e-8f), u, V::all(2.06088948807e-5f));
  p = V::fma(p, u, V::all(3.49557668735e-3f));
  p = V::fma(p, u, V::all(1.33810160980e-1f));
  p = V::fma(p, u, V::all(9.99999979580e-1f));
  V::Reg q = V::fma(V::all(7.77645313972e-7f), u, V::all(3.28561609939e-4f));
  q = V::fma(q, u, V::all(2.58769388601e-2f));
  q = V::fma(q, u, V::all(4.67143317290e-1f));
  q = V::fma(q, u, V::all(1.0f));
  return V::clamp(x * p / q, -1.0f, 1.0f);
}

// float64 is for gradient checks and reference results: the C library's tanh, number by number.
static ELMAN_INLINE Vec<double>::Reg tanh(Vec<double>::Reg x) {
  for (int i = 0; i < Vec<double>::width; ++i) x[i] = ::tanh(x[i]);
  return x;
}

// exp(x) = 2^n exp(r) with |r| <= ln(2) / 2, good to 2 units in the last place; x is held within [-87, 87]. The
// polynomial is that of Cephes (S. Moshier), the large number rounds to the nearest n and leaves it in the low bits.
static ELMAN_INLINE Vec<float>::Reg exp(Vec<float>::Reg x) {
  using V = Vec<float>;
  typedef uint32_t Bits __attribute__((vector_size(sizeof(V::Reg))));
  x = V::clamp(x, -87.0f, 87.0f);
  const V::Reg shifted = V::fma(x, V::all(1.44269504f), V::all(12582912.0f));
  const V::Reg n = shifted - V::all(12582912.0f);
  V::Reg r = V::fma(n, V::all(-0.693359375f), x);
  r = V::fma(n, V::all(2.12194440e-4f), r);
  V::Reg p = V::fma(V::all(1.9875691500e-4f), r, V::all(1.3981999507e-3f));
  p = V::fma(p, r, V::all(8.3334519073e-3f));
  p = V::fma(p, r, V::all(4.1665795894e-2f));
  p = V::fma(p, r, V::all(1.6666665459e-1f));
  p = V::fma(p, r, V::all(5.0000001201e-1f));
  p = V::fma(p, r * r, r) + V::all(1.0f);
  return p * (V::Reg)(((Bits)shifted << 23) + 0x3f800000u);
}

static ELMAN_INLINE Vec<double>::Reg exp(Vec<double>::Reg x) {
  for (int i = 0; i < Vec<double>::width; ++i) x[i] = ::exp(x[i]);
  return x;
}

template <class T>
static ELMAN_INLINE typename Vec<T>::Reg sigmoid(typename Vec<T>::Reg x) {
  const auto half = Vec<T>::all(T(0.5));
  return Vec<T>::fma(half, tanh(half * x), half);
}

}  // namespace ELMAN_SET
}  // namespace elman
