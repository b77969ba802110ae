// Packed weights: stored in the order in which a product reads them.
//
// A panel is `vectors` vector registers wide and runs over all of K: for every k the panel's columns lie side by side,
// so that the inner loop reads it as a stream. In bfloat16 the processor multiplies pairs, so two k lie side by side.
#pragma once

#include <utility>

#include "parallel.h"
#include "vec.h"

extern "C" {
int posix_memalign(void**, unsigned long, unsigned long) noexcept;
void free(void*) noexcept;
}

namespace elman {
namespace ELMAN_SET {

static ELMAN_INLINE int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
static constexpr int smaller(int a, int b) { return a < b ? a : b; }
static ELMAN_INLINE int64_t pieces(int64_t whole, int64_t piece) { return (whole + piece - 1) / piece; }

template <class T>
static inline void copy(T* to, const T* from, int64_t count) {
  __builtin_memcpy(to, from, static_cast<unsigned long>(count) * sizeof(T));
}

template <class T>
static inline void fill(T* to, T value, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = value;
}

// Aligned memory. `data` is null when the allocation failed; the caller checks.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t count) {
    void* memory = nullptr;
    unsigned long bytes;
    if (__builtin_mul_overflow(count > 0 ? count : 1, sizeof(T), &bytes)) return;
    if (posix_memalign(&memory, 64, bytes) == 0) data = static_cast<T*>(memory);
  }
  ~Buffer() { free(data); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* data = nullptr;
};

// Sums over many steps are sums of partial sums over so many: a single float32 sum loses the last of a million steps.
constexpr int64_t summed_steps = 128;

// to += from, which is set to zero.
template <class T>
static inline void carry_over(T* to, T* from, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] += from[i];
    from[i] = T(0);
  }
}

// to = the sum of `rows` [count, width] in their order, in float64. False when memory cannot be allocated.
template <class T>
static bool sum_rows(T* to, const T* rows, int64_t count, int64_t width) {
  const Buffer<double> sum(width);
  if (sum.data == nullptr) return false;
  fill(sum.data, 0.0, width);
  for (int64_t r = 0; r < count; ++r)
    for (int64_t i = 0; i < width; ++i) sum.data[i] += static_cast<double>(rows[r * width + i]);
  for (int64_t i = 0; i < width; ++i) to[i] = static_cast<T>(sum.data[i]);
  return true;
}

// Operands of a product: numbers of P, multiplied `pair` at a time and added to sums of type Sum.
template <class P>
struct Operand {
  using Sum = P;
  using V = Vec<P>;
  static constexpr int pair = 1;
  static ELMAN_INLINE P from(P a) { return a; }
  static ELMAN_INLINE typename V::Reg load(const P* p) { return V::load(p); }
  static ELMAN_INLINE typename V::Reg broadcast(const P* p) { return V::all(*p); }
  static ELMAN_INLINE typename V::Reg broadcast_last(const P* p) { return V::all(*p); }
  static ELMAN_INLINE typename V::Reg fma(typename V::Reg a, typename V::Reg b, typename V::Reg c) {
    return V::fma(a, b, c);
  }
};

#if defined(__AVX512BF16__)
template <>
struct Operand<Bf16> {
  using Sum = float;
  static constexpr int pair = 2;
  static ELMAN_INLINE Bf16 from(float a) {
    uint32_t bits;
    __builtin_memcpy(&bits, &a, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>(bits >> 16 | 64u)};  // NaN stays NaN
    return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
  }
  static ELMAN_INLINE __m512i load(const Bf16* p) { return _mm512_loadu_si512(p); }
  static ELMAN_INLINE __m512i broadcast(const Bf16* p) {
    int both;
    __builtin_memcpy(&both, p, sizeof both);
    return _mm512_set1_epi32(both);
  }
  static ELMAN_INLINE __m512i broadcast_last(const Bf16* p) { return _mm512_set1_epi32(p->bits); }  // its pair is 0
  static ELMAN_INLINE __m512 fma(__m512i a, __m512i b, __m512 c) {
    return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
  }
};
#endif

// Where the columns of a panel come from: `group` neighbours in the output for each of `groups` blocks that lie
// `group_stride` apart (gates side by side), or plain neighbours when groups == 1.
struct Columns {
  int64_t count;         // columns of a group that exist
  int64_t groups;        // 1, or gates
  int64_t group_stride;  // distance from a gate to the next
};

// A matrix to be packed: element (k, column) is source[k * k_stride + column * column_stride], k < count.
template <class T>
struct Source {
  const T* source;
  int64_t k_stride, column_stride, count;
};

// Square tiles are transposed in registers where the compiler has __builtin_shufflevector.
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define ELMAN_SHUFFLES
#endif
#endif

#if defined(ELMAN_SHUFFLES)
constexpr bool can_transpose = true;

// Of every block of 2 * apart by 2 * apart, the part above the diagonal changes places with the part below.
template <int apart, class Reg, int... lane>
static ELMAN_INLINE void change_places(Reg& a, Reg& b, std::integer_sequence<int, lane...>) {
  constexpr int width = sizeof...(lane);
  const Reg low = __builtin_shufflevector(a, b, ((lane & apart) == 0 ? lane : lane - apart + width)...);
  b = __builtin_shufflevector(a, b, ((lane & apart) == 0 ? lane + apart : lane + width)...);
  a = low;
}

template <int apart, class Reg, int width>
static ELMAN_INLINE void transpose(Reg (&rows)[width]) {
  for (int i = 0; i < width; ++i)
    if ((i & apart) == 0) change_places<apart>(rows[i], rows[i + apart], std::make_integer_sequence<int, width>());
  if constexpr (apart > 1) transpose<apart / 2>(rows);
}
#else
constexpr bool can_transpose = false;
template <int apart, class Reg, int width>
static void transpose(Reg (&)[width]) {}
#endif

// One or two matrices of as many columns, below each other, as panels of P.
template <class T, class P = T>
struct Packed {
  using O = Operand<P>;
  Packed(Source<T> upper, Columns columns, int vectors, int threads, Source<T> lower = {nullptr, 0, 0, 0})
      : step(vectors * Vec<T>::width * O::pair),
        blocks(vectors / columns.groups),
        lower_at(pieces(upper.count, O::pair) * step),
        panel_size(lower_at + pieces(lower.count, O::pair) * step),
        panels(pieces(columns.count, blocks * Vec<T>::width)),
        memory(panels * panel_size) {
    if (memory.data == nullptr) return;
    parallel_for(threads, panels, [&](int64_t p, int) {
      P* panel = memory.data + p * panel_size;
      pack(upper, columns, vectors, p, panel);
      pack(lower, columns, vectors, p, panel + lower_at);
    });
  }
  const P* panel(int64_t p) const { return memory.data + p * panel_size; }
  const P* lower(int64_t p) const { return panel(p) + lower_at; }

  int64_t step, blocks, lower_at, panel_size, panels;  // blocks: vectors of neighbouring columns in a panel
  Buffer<P> memory;

 private:
  static constexpr int width = Vec<T>::width, pair = O::pair;

  void pack(const Source<T>& from, const Columns& columns, int vectors, int64_t p, P* panel) const {
    const int64_t depth = pieces(from.count, pair) * pair;
    for (int64_t k = 0; k < depth; k += width)  // a tile at a time, so that writes stay in the L1 cache
      for (int v = 0; v < vectors; ++v) {
        const int64_t unit = (p * blocks + v / columns.groups) * width;
        const int64_t column = v % columns.groups * columns.group_stride + unit;
        const T* source = from.source + k * from.k_stride + column * from.column_stride;
        const auto exist = static_cast<int>(at_most(width, columns.count - unit));
        const auto count = static_cast<int>(at_most(width, from.count - k));
        pack_tile(source, from, static_cast<int>(at_most(width, depth - k)), count, exist,
                  panel + k / pair * step + v * width * pair);
      }
  }

  // `depth` values of k, of which `count` exist, for one vector of columns, of which `exist` exist.
  void pack_tile(const T* source, const Source<T>& from, int depth, int count, int exist, P* out) const {
    using V = Vec<T>;
    if constexpr (pair == 1) {
      const auto get = [](const T* p, int n) ELMAN_LAMBDA {
        return n == width ? V::load(p) : n > 0 ? V::load(p, n) : V::all(0);
      };
      if (from.column_stride == 1) {
        for (int k = 0; k < count; ++k) V::store(out + k * step, get(source + k * from.k_stride, exist));
        return;
      }
      if (from.k_stride == 1 && can_transpose) {
        typename V::Reg rows[width];
        for (int lane = 0; lane < width; ++lane)
          rows[lane] = get(source + lane * from.column_stride, lane < exist ? count : 0);
        transpose<width / 2>(rows);
        for (int k = 0; k < count; ++k) V::store(out + k * step, rows[k]);
        return;
      }
    }
    for (int lane = 0; lane < width; ++lane, source += from.column_stride)
      for (int k = 0; k < depth; ++k)
        out[k / pair * step + lane * pair + k % pair] =
            lane < exist && k < count ? O::from(source[k * from.k_stride]) : P{};
  }
};

}  // namespace ELMAN_SET
}  // namespace elman
