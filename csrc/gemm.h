// Packed weights, and the one product that everything here is made of.
//
// A panel is `vectors` vector registers wide and runs over all of K: for every k the panel's columns lie side by side,
// so that the inner loop reads it as a stream. A block of rows keeps rows x vectors sums in registers and adds
// k = 0, 1, 2 ... in that order, whatever the number of rows: a row's bits depend on that row alone.
#pragma once

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

// Aligned memory of this call. `data` is null when there is none left; the caller checks.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t count) {
    void* memory = nullptr;
    const unsigned long bytes = static_cast<unsigned long>(count > 0 ? count : 1) * sizeof(T);
    if (posix_memalign(&memory, 64, bytes) == 0) data = static_cast<T*>(memory);
  }
  ~Buffer() { free(data); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* data = nullptr;
};

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

// acc[m][v] += sum over k of a[m][k] * panel[k][v], for the first `vectors` of the panel's `stride` vectors
template <class T, int rows, int vectors, int stride = vectors>
static ELMAN_INLINE void product(const T* const (&a)[rows], int64_t count, const T* panel,
                                 typename Vec<T>::Reg (&acc)[rows][vectors]) {
  using V = Vec<T>;
  constexpr int64_t ahead =
      8 * stride * V::width;  // a panel is larger than the nearest cache; past its end lies the next
  for (int64_t k = 0; k < count; ++k, panel += stride * V::width) {
    typename V::Reg b[vectors];
    for (int v = 0; v < vectors; ++v) b[v] = V::load(panel + v * V::width);
    for (int v = 0; v < vectors; ++v) __builtin_prefetch(panel + ahead + v * V::width);
    for (int m = 0; m < rows; ++m) {
      const typename V::Reg x = V::all(a[m][k]);
      for (int v = 0; v < vectors; ++v) acc[m][v] = V::fma(x, b[v], acc[m][v]);
    }
  }
}

// Where the columns of a panel come from: `group` neighbours in the output for each of `groups` blocks that lie
// `group_stride` apart (gates side by side), or plain neighbours when groups == 1.
struct Columns {
  int64_t count;         // columns of a group that exist
  int64_t groups;        // 1, or gates
  int64_t group_stride;  // distance from a gate to the next
};

template <class T>
struct Packed {
  // `source(k, column)` is source[k * k_stride + column * column_stride].
  Packed(const T* source, int64_t k_stride, int64_t column_stride, int64_t count, Columns columns, int vectors,
         int threads)
      : depth(count),
        blocks(vectors / columns.groups),
        panel_size(count * vectors * Vec<T>::width),
        panels(pieces(columns.count, blocks * Vec<T>::width)),
        memory(panels * panel_size) {
    if (memory.data == nullptr) return;
    constexpr int width = Vec<T>::width;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t p = 0; p < panels; ++p)
      for (int64_t k0 = 0; k0 < depth; k0 += 16)  // a tile at a time, so that writes stay in the nearest cache
        for (int v = 0; v < vectors; ++v)
          for (int lane = 0; lane < width; ++lane) {
            const int64_t unit = (p * blocks + v / columns.groups) * width + lane;
            const bool exists = unit < columns.count;
            const int64_t column = (v % columns.groups) * columns.group_stride + unit;
            T* out = memory.data + p * panel_size + v * width + lane;
            for (int64_t k = k0; k < at_most(k0 + 16, depth); ++k)
              out[k * vectors * width] = exists ? source[k * k_stride + column * column_stride] : T(0);
          }
  }
  const T* panel(int64_t p) const { return memory.data + p * panel_size; }

  int64_t depth, blocks, panel_size, panels;  // blocks: vectors of neighbouring columns in a panel
  Buffer<T> memory;
};

template <class T, int rows, int vectors>
static void linear_block(const T* x, int64_t x_stride, int64_t depth, const T* panel, const T* bias, T* out,
                         int64_t out_stride, int64_t columns) {
  using V = Vec<T>;
  const T* a[rows];
  typename V::Reg acc[rows][vectors];
  for (int m = 0; m < rows; ++m) {
    a[m] = x + m * x_stride;
    for (int v = 0; v < vectors; ++v) acc[m][v] = V::load(bias + v * V::width);
  }
  product<T, rows, vectors, plain>(a, depth, panel, acc);
  for (int m = 0; m < rows; ++m)
    for (int v = 0; v < vectors; ++v) {
      const int64_t left = columns - v * V::width;
      if (left >= V::width)
        V::store(out + m * out_stride + v * V::width, acc[m][v]);
      else if (left > 0)
        V::store(out + m * out_stride + v * V::width, acc[m][v], static_cast<int>(left));
    }
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

// out = x B + bias for the rows [first, last); `bias` is padded to whole panels.
template <class T>
static void linear_rows(const T* x, int64_t x_stride, const Packed<T>& packed, const T* bias, T* out,
                        int64_t out_stride, int64_t columns, int64_t first, int64_t last) {
  constexpr int64_t width = plain * Vec<T>::width;
  for (int64_t p = 0; p < packed.panels; ++p) {
    const int64_t left = columns - p * width;
    with_vectors(pieces(left, Vec<T>::width), [&](auto vectors) {
      in_blocks<block_rows<plain>>(static_cast<int>(last - first), [&](int m, auto rows) {
        linear_block<T, decltype(rows)::value, decltype(vectors)::value>(
            x + (first + m) * x_stride, x_stride, packed.depth, packed.panel(p), bias + p * width,
            out + (first + m) * out_stride + p * width, out_stride, left);
      });
    });
  }
}

// out[m][v] += sum over steps of a[step][m] * panel[step][v]: `product` with its operand lying the other way.
template <class T, int rows, int vectors>
static void outer_block(const T* a, int64_t a_stride, int64_t steps, const T* panel, T* out, int64_t out_stride,
                        int64_t columns) {
  using V = Vec<T>;
  typename V::Reg acc[rows][vectors];
  for (int m = 0; m < rows; ++m)
    for (int v = 0; v < vectors; ++v) acc[m][v] = V::all(0);
  for (int64_t k = 0; k < steps; ++k, a += a_stride, panel += plain * V::width) {
    typename V::Reg b[vectors];
    for (int v = 0; v < vectors; ++v) b[v] = V::load(panel + v * V::width);
    for (int m = 0; m < rows; ++m) {
      const typename V::Reg x = V::all(a[m]);
      for (int v = 0; v < vectors; ++v) acc[m][v] = V::fma(x, b[v], acc[m][v]);
    }
  }
  for (int m = 0; m < rows; ++m)
    for (int v = 0; v < vectors; ++v) {
      T* to = out + m * out_stride + v * V::width;
      const int n = static_cast<int>(at_most(V::width, columns - v * V::width));
      if (n == V::width)
        V::store(to, V::load(to) + acc[m][v]);
      else
        V::store(to, V::load(to, n) + acc[m][v], n);
    }
}

// The rows [first, last) and the columns of one panel of a^T b. `panel` is work space for `chunk` steps of the panel:
// packed once, it serves every block of rows from the nearest caches.
template <class T>
static void outer_tile(const T* a, int64_t a_stride, const T* b, int64_t b_stride, int64_t steps, T* out,
                       int64_t out_stride, int64_t first, int64_t last, int64_t columns, T* panel, int64_t chunk) {
  using V = Vec<T>;
  constexpr int64_t width = plain * V::width;
  const int64_t kept = at_most(columns, width);
  for (int64_t m = first; m < last; ++m)
    for (int64_t u = 0; u < kept; ++u) out[m * out_stride + u] = T(0);
  for (int64_t k0 = 0; k0 < steps; k0 += chunk) {
    const int64_t count = at_most(chunk, steps - k0);
    for (int64_t k = 0; k < count; ++k)
      for (int64_t u = 0; u < width; ++u) panel[k * width + u] = u < kept ? b[(k0 + k) * b_stride + u] : T(0);
    with_vectors(pieces(kept, V::width), [&](auto vectors) {
      in_blocks<block_rows<plain>>(static_cast<int>(last - first), [&](int m, auto rows) {
        outer_block<T, decltype(rows)::value, decltype(vectors)::value>(
            a + k0 * a_stride + first + m, a_stride, count, panel, out + (first + m) * out_stride, out_stride, kept);
      });
    });
  }
}

}  // namespace ELMAN_SET
}  // namespace elman
