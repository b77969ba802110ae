// The matrix product that all kernels use.
//
// A block of rows keeps rows x vectors sums in registers, streams through a panel (pack.h) and adds k = 0, 1, 2 ... in
// that order, whatever the number of rows: the bits of a row depend on that row only. In bfloat16 the processor
// multiplies pairs, k = 0 and 1, then 2 and 3 ..., and adds them to float32 sums.
#pragma once

#include "pack.h"

namespace elman {
namespace ELMAN_SET {

template <class P>
using Sums = typename Vec<typename Operand<P>::Sum>::Reg;

#if defined(__AVX2__) && !defined(__AVX512F__)
constexpr int registers = 16;
#elif defined(__AVX512F__) || defined(__aarch64__)
constexpr int registers = 32;
#else
constexpr int registers = 16;
#endif

// Rows in a register block: as many sums as fit beside one broadcast and one row of the panel.
template <int vectors>
constexpr int block_rows = registers == 32 ? (vectors == 4 ? 6 : 8) : (vectors == 4 ? 3 : 4);

constexpr int plain = 4;  // vectors in a panel of neighbouring columns

// sum[m][v] += a[m][k] * panel[v], for one k or one pair of them.
template <class P, int rows, int vectors, class Broadcast>
static ELMAN_INLINE void multiply_add(const P* const (&a)[rows], int64_t k, const P* panel, int64_t ahead,
                                      const Broadcast& broadcast, Sums<P> (&sum)[rows][vectors]) {
  using O = Operand<P>;
  constexpr int width = Vec<typename O::Sum>::width * O::pair;
  decltype(O::load(panel)) b[vectors];
  for (int v = 0; v < vectors; ++v) b[v] = O::load(panel + v * width);
  for (int v = 0; v < vectors; ++v) __builtin_prefetch(panel + ahead + v * width);
  for (int m = 0; m < rows; ++m) {
    const auto x = broadcast(a[m] + k);
    for (int v = 0; v < vectors; ++v) sum[m][v] = O::fma(x, b[v], sum[m][v]);
  }
}

// acc[m][v] += sum over k of a[m][k] * panel[k][v], for the first `vectors` of the panel's `stride` vectors. The last
// of them is added to acc[m][last]. The sums are copied: what a pointer refers to does not stay in registers.
template <class P, int rows, int vectors, int stride = vectors, int last = vectors - 1, int sums>
static ELMAN_INLINE void product(const P* const (&a)[rows], int64_t count, const P* panel, Sums<P> (&acc)[rows][sums]) {
  using O = Operand<P>;
  constexpr int64_t width = stride * Vec<typename O::Sum>::width * O::pair;
  constexpr int64_t ahead = 8 * width;  // a panel is larger than the L1 cache; the next one follows it
  Sums<P> sum[rows][vectors];
  for (int m = 0; m < rows; ++m)
    for (int v = 0; v < vectors; ++v) sum[m][v] = acc[m][v == vectors - 1 ? last : v];
  int64_t k = 0;
  for (; k + O::pair <= count; k += O::pair, panel += width)
    multiply_add<P, rows, vectors>(a, k, panel, ahead, [](const P* p) ELMAN_LAMBDA { return O::broadcast(p); }, sum);
  if constexpr (O::pair > 1) {
    if (k < count)
      multiply_add<P, rows, vectors>(
          a, k, panel, ahead, [](const P* p) ELMAN_LAMBDA { return O::broadcast_last(p); }, sum);
  }
  for (int m = 0; m < rows; ++m)
    for (int v = 0; v < vectors; ++v) acc[m][v == vectors - 1 ? last : v] = sum[m][v];
}

template <int value_>
struct Size {
  static constexpr int value = value_;
};

// Calls body(first row, Size<rows>) over `count` rows in blocks of at most `most`, as even as can be: seven rows go as
// four and three, not as six and one.
template <int most, class Body>
static ELMAN_INLINE void in_blocks(int count, const Body& body) {
  static_assert(most <= 8, "add a case");
  for (int m = 0; m < count;) {
    const int left = count - m, size = static_cast<int>(pieces(left, pieces(left, most)));
    switch (size) {
      case 1: body(m, Size<1>()); break;
      case 2: body(m, Size<smaller(2, most)>()); break;
      case 3: body(m, Size<smaller(3, most)>()); break;
      case 4: body(m, Size<smaller(4, most)>()); break;
      case 5: body(m, Size<smaller(5, most)>()); break;
      case 6: body(m, Size<smaller(6, most)>()); break;
      case 7: body(m, Size<smaller(7, most)>()); break;
      default: body(m, Size<smaller(8, most)>());
    }
    m += size;
  }
}

// Calls body(Size<vectors>) for the vectors of a panel that hold a column: the last panel is seldom full.
template <class Body>
static ELMAN_INLINE void with_vectors(int64_t count, const Body& body) {
  switch (count) {
    case 1: body(Size<1>()); break;
    case 2: body(Size<2>()); break;
    case 3: body(Size<3>()); break;
    default: body(Size<plain>());
  }
}

template <class P, class O, int rows, int vectors>
static void linear_block(const P* x, int64_t x_stride, int64_t depth, const P* panel,
                         const typename Operand<P>::Sum* bias, O* out, int64_t out_stride, int64_t columns) {
  using V = Vec<typename Operand<P>::Sum>;
  const P* a[rows];
  typename V::Reg acc[rows][vectors];
  for (int m = 0; m < rows; ++m) {
    a[m] = x + m * x_stride;
    for (int v = 0; v < vectors; ++v) acc[m][v] = V::load(bias + v * V::width);
  }
  product<P, rows, vectors, plain>(a, depth, panel, acc);
  for (int m = 0; m < rows; ++m)
    for (int v = 0; v < vectors; ++v) {
      const int64_t left = columns - v * V::width;
      if (left >= V::width)
        V::store(out + m * out_stride + v * V::width, acc[m][v]);
      else if (left > 0)
        V::store(out + m * out_stride + v * V::width, acc[m][v], static_cast<int>(left));
    }
}

// out = x B + bias for the rows [first, last); `bias` is padded to whole panels.
template <class P, class T, class O>
static void linear_rows(const P* x, int64_t x_stride, int64_t depth, const Packed<T, P>& packed, const T* bias, O* out,
                        int64_t out_stride, int64_t columns, int64_t first, int64_t last) {
  constexpr int64_t width = plain * Vec<T>::width;
  for (int64_t p = 0; p < packed.panels; ++p) {
    const int64_t left = columns - p * width;
    with_vectors(pieces(left, Vec<T>::width), [&](auto vectors) {
      in_blocks<block_rows<plain>>(static_cast<int>(last - first), [&](int m, auto rows) {
        linear_block<P, O, decltype(rows)::value, decltype(vectors)::value>(
            x + (first + m) * x_stride, x_stride, depth, packed.panel(p), bias + p * width,
            out + (first + m) * out_stride + p * width, out_stride, left);
      });
    });
  }
}

// out = x weight^T + bias, rows distributed to the threads. False when memory cannot be allocated.
template <class T, class P, class O>
static bool multiply(const Linear<T, P, O>& l) {
  const Packed<T, P> packed({l.weight, l.weight_strides[1], l.weight_strides[0], l.inputs}, {l.outputs, 1, 0}, plain,
                            l.threads);
  const int64_t padded = packed.panels * plain * Vec<T>::width;
  const Buffer<T> bias(padded);
  if (packed.memory.data == nullptr || bias.data == nullptr) return false;
  fill(bias.data, T(0), padded);
  if (l.bias != nullptr) copy(bias.data, l.bias, l.outputs);
  constexpr int64_t chunk = 16 * block_rows<plain>;
  parallel_for(l.threads, pieces(l.rows, chunk), [&](int64_t c, int) {
    linear_rows(l.x, l.x_stride, l.inputs, packed, bias.data, l.out, l.out_stride, l.outputs, c * chunk,
                at_most((c + 1) * chunk, l.rows));
  });
  return true;
}

}  // namespace ELMAN_SET
}  // namespace elman
