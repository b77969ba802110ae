// One step of one layer for a few sequences, from packed weights. Compiled once for each instruction set.
//
// One sequence uses every weight for a single multiply-add, so a step takes as long as reading the weights. A panel
// holds, one after the other, everything its units need: biases, scales, and for every k the weights of all gates,
// those of x before those of h. Sums and gates are those of forward.h in the same order: the bias, then x, then h.
#include "kernels.h"

namespace elman {
namespace ELMAN_SET {
namespace {

using V = Vec<float>;
using Reg = V::Reg;
constexpr int width = V::width;

// Vectors of words, and of halves of them. Shifts move bits within each element.
typedef uint32_t Words __attribute__((vector_size(4 * width)));
typedef int32_t Wholes __attribute__((vector_size(4 * width)));
typedef uint16_t Halves __attribute__((vector_size(4 * width)));
typedef float Floats __attribute__((vector_size(4 * width)));

template <class To>
ELMAN_INLINE To load_as(const void* p) {
  To a;
  __builtin_memcpy(&a, p, sizeof a);
  return a;
}

enum Side : int { of_x = 0, of_h = 1 };

template <Side side>
ELMAN_INLINE const float* operand(const StepRow& row) {
  return side == of_x ? row.x : row.h_before;
}

// ---------------------------------------------------------------------------------------------------------- weights

// A format packs `deep` values of k into each lane of a vector of words. `pack` writes every `stride`-th word of
// `out` from one column of weights [count], null where there is no such unit, and returns the column's scale. `add`
// adds the products to sums, the last vector of a panel to acc[m][last], as `product` does: acc[m][v] += sum over k of
// a_m[k] * weights[k][v], where a_m is x or h of row m.

// Floating-point weights, `S::widen(words, j)` being the j-th of `deep` in a word.
template <class S>
struct Widened {
  using Word = uint32_t;
  static constexpr bool scaled = false;

  static float pack(const float* column, int64_t count, int64_t stride, Word* out) {
    for (int64_t k = 0; k < count; ++k) {
      Word& word = out[k / S::deep * stride];
      const Word bits = column == nullptr ? 0 : S::narrow(column[k]);
      word = k % S::deep == 0 ? bits : word | bits << 16;
    }
    return 1;
  }

  template <Side side, int rows, int vectors, int last, int sums>
  static ELMAN_INLINE void add(const StepRow* row, int64_t count, const Word* panel, const float*,
                               Reg (&acc)[rows][sums]) {
    const float* a[rows];
    for (int m = 0; m < rows; ++m) a[m] = operand<side>(row[m]);
    // Without the prefetch of `product`: on one long stream the processor's own does better.
    for (int64_t k = 0; k < count; k += S::deep, panel += vectors * width) {
      Words w[vectors];
      for (int v = 0; v < vectors; ++v) w[v] = load_as<Words>(panel + v * width);
      for (int j = 0; j < S::deep; ++j) {
        if (j > 0 && k + j == count) break;
        for (int m = 0; m < rows; ++m) {
          const Reg x = V::all(a[m][k + j]);
          for (int v = 0; v < vectors; ++v) {
            Reg& sum = acc[m][v == vectors - 1 ? last : v];
            sum = V::fma(x, S::widen(w[v], j), sum);
          }
        }
      }
    }
  }
};

struct Float32 : Widened<Float32> {
  static constexpr int deep = 1;
  static Word narrow(float weight) { return load_as<Word>(&weight); }
  static ELMAN_INLINE Reg widen(Words w, int) { return (Reg)w; }
};

// The upper half of a float32, rounded to nearest even: eight bits of precision. The lower half of a word is the first.
struct Bfloat16 : Widened<Bfloat16> {
  static constexpr int deep = 2;
  static Word narrow(float weight) {
    const Word bits = load_as<Word>(&weight);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return bits >> 16 | 0x40u;  // NaN stays NaN
    return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  }
  static ELMAN_INLINE Reg widen(Words w, int j) { return j == 0 ? (Reg)(w << 16) : (Reg)(w & 0xffff0000u); }
};

// Whole numbers from -127 to 127 times a scale for each row of W and for each row of U, four in a word, multiplied with
// x and h as whole numbers of 16 bits: exact sums, with far less lost of x and h than of the weights. Weights are kept
// with 128 added, so that no byte is negative; 128 times the sum of x, taken off again, makes up for it.
struct Int8 {
  using Word = uint32_t;
  static constexpr int deep = 4;
  static constexpr bool scaled = true;
  static constexpr float most = 127, most_of_operand = 127 * 256 + 127;  // in bytes: both at most 127, with sign
  static constexpr int64_t chunk = 512;  // so many products of the greatest numbers fit into 32 bits

  // Words that a row of `count` numbers takes: for every chunk what makes up for the 128, then two for every four.
  static int64_t whole_words(int64_t count) { return pieces(count, chunk) + pieces(count, width) * (width / 2); }

  static float pack(const float* column, int64_t count, int64_t stride, Word* out) {
    float greatest = 0, nothing = 0;  // nothing: 0, or NaN where a weight is no finite number
    for (int64_t k = 0; k < count && column != nullptr; ++k) {
      greatest = __builtin_fmaxf(greatest, __builtin_fabsf(column[k]));
      nothing += column[k] * 0.0f;
    }
    const bool usable = greatest > 1e-30f && nothing == 0;  // not too small for its inverse
    const float back = usable ? most / greatest : 0;
    for (int64_t k = 0; k < count; k += deep) {
      Word word = 0;
      for (int64_t j = 0; j < deep; ++j) {
        const bool exists = usable && k + j < count;
        const int whole = exists ? static_cast<int>(__builtin_rintf(column[k + j] * back)) : 0;
        word |= static_cast<Word>(whole + 128) << 8 * j;
      }
      out[k / deep * stride] = word;
    }
    return usable ? greatest / most : nothing;
  }

  // For every four of `width` whole numbers the two words that `Sum::add` takes.
  static ELMAN_INLINE void split(Wholes x, int32_t* to) {
#if defined(__AVX512VNNI__)
    const Wholes low = ((x + 128) & 0xff) - 128, high = (x - low) >> 8;  // both from -128 to 127
    const __m128i lows = _mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)low),
                  highs = _mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)high);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_unpacklo_epi32(lows, highs));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 4), _mm_unpackhi_epi32(lows, highs));
#else
    for (int i = 0; i < width; i += 2) {
      const int first = i / 4 * 4 + i % 4 / 2;  // 0 and 2, 1 and 3
      to[i / 2] =
          static_cast<int32_t>((static_cast<uint32_t>(x[first]) & 0xffffu) | static_cast<uint32_t>(x[first + 2]) << 16);
    }
#endif
  }

  // Writes a / scale, rounded. Returns the scale; NaN and infinity pass through it.
  static float prepare(const float* a, int64_t count, int32_t* to) {
    Words bits = {};
    for (int64_t k = 0; k < count; k += width) {
      const Words here = (Words)Units<float>::get(a + k, static_cast<int>(at_most(width, count - k))) & 0x7fffffffu;
      bits = here > bits ? here : bits;  // as whole numbers: NaN is the greatest
    }
    uint32_t top = 0;
    for (int i = 0; i < width; ++i) top = bits[i] > top ? bits[i] : top;
    const float greatest = load_as<float>(&top), back = greatest > 0 ? most_of_operand / greatest : 0;
    for (int64_t first = 0; first < count; first += chunk) {
      int32_t* sum = to++;
      Words total = {};
      for (int64_t k = first; k < at_most(first + chunk, count); k += width) {
        const int n = static_cast<int>(at_most(width, count - k));
        // Adding 1.5 * 2^23 leaves the rounded number in the lowest bits.
        const Wholes x =
            (Wholes)((Words)(Units<float>::get(a + k, n) * V::all(back) + V::all(12582912.0f)) << 10) >> 10;
        total += (Words)x;
        split(x, to);
        to += width / 2;
      }
      uint32_t all = 0;
      for (int i = 0; i < width; ++i) all += total[i];
      *sum = static_cast<int32_t>(0u - 128u * all);
    }
    return greatest / most_of_operand;
  }

#if defined(__AVX512VNNI__)
  // The bytes of w times the low and the high bytes of x.
  struct Sum {
    __m512i low, high;
    ELMAN_INLINE void begin(int32_t from) {
      low = _mm512_set1_epi32(from);
      high = _mm512_setzero_si512();
    }
    ELMAN_INLINE void add(const int32_t* x, Words w) {
      low = _mm512_dpbusd_epi32(low, (__m512i)w, _mm512_set1_epi32(x[0]));
      high = _mm512_dpbusd_epi32(high, (__m512i)w, _mm512_set1_epi32(x[1]));
    }
    ELMAN_INLINE Wholes whole() const { return (Wholes)((Words)low + ((Words)high << 8)); }
  };
#else
  // a[0] b[0] + a[1] b[1] for each pair of halves.
  static ELMAN_INLINE Words dot(Words a, Words b) {
#if defined(__AVX512BW__)
    return (Words)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (Words)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return (Words)((Wholes)(a << 16) >> 16) * (b & 0xffffu) + (Words)((Wholes)a >> 16) * (b >> 16);
#endif
  }
  // Bytes 0 and 2 of w times one word of x, bytes 1 and 3 times the other.
  struct Sum {
    Words sum;
    ELMAN_INLINE void begin(int32_t from) { sum = Words{} + static_cast<uint32_t>(from); }
    ELMAN_INLINE void add(const int32_t* x, Words w) {
      sum += dot(Words{} + static_cast<uint32_t>(x[0]), w & 0x00ff00ffu);
      sum += dot(Words{} + static_cast<uint32_t>(x[1]), (Words)((Halves)w >> 8));
    }
    ELMAN_INLINE Wholes whole() const { return (Wholes)sum; }
  };
#endif

  template <Side side, int rows, int vectors, int last, int sums>
  static ELMAN_INLINE void add(const StepRow* row, int64_t count, const Word* panel, const float* scale,
                               Reg (&acc)[rows][sums]) {
    Reg total[rows][vectors];
    for (int m = 0; m < rows; ++m)
      for (int v = 0; v < vectors; ++v) total[m][v] = V::all(0);
    const int32_t* x[rows];
    for (int m = 0; m < rows; ++m) x[m] = row[m].whole[side];
    for (int64_t left = count; left > 0; left -= chunk) {
      Sum sum[rows][vectors];
      for (int m = 0; m < rows; ++m, ++x[m - 1])
        for (int v = 0; v < vectors; ++v) sum[m][v].begin(*x[m]);
      for (int64_t k = 0; k < at_most(chunk, left); k += deep, panel += vectors * width) {
        Words w[vectors];
        for (int v = 0; v < vectors; ++v) w[v] = load_as<Words>(panel + v * width);
        for (int m = 0; m < rows; ++m, x[m - 1] += 2)
          for (int v = 0; v < vectors; ++v) sum[m][v].add(x[m], w[v]);
      }
      for (int m = 0; m < rows; ++m)
        for (int v = 0; v < vectors; ++v)
          total[m][v] = total[m][v] + (Reg) __builtin_convertvector(sum[m][v].whole(), Floats);
    }
    for (int m = 0; m < rows; ++m)
      for (int v = 0; v < vectors; ++v) {
        const Reg both = V::load(scale + v * width) * V::all(row[m].scale[side]);
        Reg& sum = acc[m][v == vectors - 1 ? last : v];
        sum = V::fma(total[m][v], both, sum);
      }
  }
};

// ------------------------------------------------------------------------------------------------------------ panels

// The layout of a panel. A GRU's n has two sums, as in forward.h: of h with the panel's others, of x after them.
template <class Cell, class S>
struct Panel {
  using Word = typename S::Word;
  static constexpr int vectors = Cell::gates * Cell::blocks;
  static constexpr int sums = vectors + (Cell::apart ? 1 : 0);
  static constexpr int64_t columns = vectors * width;
  static constexpr int64_t units = Cell::blocks * width;
  static constexpr int64_t header = sums * width + (S::scaled ? 2 * columns : 0);  // floats

  static int64_t words(int64_t depth) { return pieces(depth, S::deep) * columns; }
  static int64_t bytes(const StepLayer& l) {
    const int64_t size = header + words(l.inputs) + words(l.hidden);
    return pieces(size * int64_t(sizeof(float)), 64) * 64;
  }

  Panel(const StepLayer& l, int64_t index)
      : first(index * units),
        bias(reinterpret_cast<float*>(l.packed + index * l.panel_bytes)),
        x(reinterpret_cast<Word*>(bias + header)),
        h(x + words(l.inputs)) {}

  float* scale(Side side) const { return bias + sums * width + side * columns; }  // [columns], where weights have one

  int64_t first;  // unit
  float* bias;    // [sums * width]
  Word* x;        // [words(inputs)]
  Word* h;        // [words(hidden)]
};

template <class Cell, class S>
void shape(StepLayer& l) {
  l.panels = pieces(l.hidden, Panel<Cell, S>::units);
  l.panel_bytes = Panel<Cell, S>::bytes(l);
  l.whole_words[of_x] = S::scaled ? Int8::whole_words(l.inputs) : 0;
  l.whole_words[of_h] = S::scaled ? Int8::whole_words(l.hidden) : 0;
}

// One column of a panel, that of `unit` in gate `g`, at `place`.
template <class Cell, class S>
void pack_column(const StepLayer& l, const StepWeights& w, const Panel<Cell, S>& panel, int64_t unit, int g,
                 int64_t place) {
  using P = Panel<Cell, S>;
  const int64_t column = g * l.hidden + unit;
  const bool exists = unit < l.hidden, parted = Cell::apart && g == Cell::gates - 1;
  const float from_x = exists && w.bias_ih != nullptr ? w.bias_ih[column] : 0;
  const float from_h = exists && w.bias_hh != nullptr ? w.bias_hh[column] : 0;
  panel.bias[place] = parted ? from_h : from_x + from_h;
  if (parted) panel.bias[P::columns + place % width] = from_x;
  const float scale_x =
      S::pack(exists ? w.weight_ih + column * l.inputs : nullptr, l.inputs, P::columns, panel.x + place);
  const float scale_h =
      S::pack(exists ? w.weight_hh + column * l.hidden : nullptr, l.hidden, P::columns, panel.h + place);
  if constexpr (S::scaled) {
    panel.scale(of_x)[place] = scale_x;
    panel.scale(of_h)[place] = scale_h;
  }
}

template <class Cell, class S>
void pack(const StepLayer& l, const StepWeights& w) {
  for (int64_t p = 0; p < l.panels; ++p) {
    const Panel<Cell, S> panel(l, p);
    for (int v = 0; v < Panel<Cell, S>::vectors; ++v)
      for (int lane = 0; lane < width; ++lane)
        pack_column(l, w, panel, panel.first + v / Cell::gates * width + lane, v % Cell::gates, v * width + lane);
  }
}

// ------------------------------------------------------------------------------------------------------------- steps

template <class Cell, class S, int rows>
ELMAN_INLINE void step_rows(const StepLayer& l, const Panel<Cell, S>& panel, const StepRow* row) {
  using P = Panel<Cell, S>;
  constexpr int vectors = P::vectors, last = vectors - 1;
  Reg acc[rows][P::sums];
  for (int m = 0; m < rows; ++m)
    for (int v = 0; v < P::sums; ++v) acc[m][v] = V::load(panel.bias + v * width);
  S::template add<of_x, rows, vectors, P::sums - 1>(row, l.inputs, panel.x, panel.scale(of_x), acc);
  S::template add<of_h, rows, vectors, last>(row, l.hidden, panel.h, panel.scale(of_h), acc);
  for (int m = 0; m < rows; ++m) {
    const StepRow& r = row[m];
    const float* state = Cell::has_cell_state ? r.c_before : r.h_before;
    const Row<float, float> now{r.x, nullptr, r.h_before, state, r.h, r.c, nullptr};  // gates are not saved
    for (int b = 0; b < Cell::blocks; ++b) {
      const int64_t u = panel.first + b * width;
      const int n = static_cast<int>(at_most(width, l.hidden - u));
      if (n > 0) Cell::template step<false>(now, l.hidden, u, n, &acc[m][b * Cell::gates], acc[m][P::sums - 1]);
    }
  }
}

template <class Cell, class S>
void run_panel(const StepLayer& l, const StepRow* row, int64_t count, int64_t p) {
  using P = Panel<Cell, S>;
  const P panel(l, p);
  // Half of it was just written by another thread.
  if constexpr (S::scaled)
    for (int side = 0; side < 2; ++side)
      for (int64_t i = 0; i < l.whole_words[side]; i += 16) __builtin_prefetch(row->whole[side] + i);
  else
    for (int64_t i = 0; i < l.hidden; i += 16) __builtin_prefetch(row->h_before + i);
  in_blocks<block_rows<P::sums>>(
      static_cast<int>(count), [&](int m, auto rows) { step_rows<Cell, S, decltype(rows)::value>(l, panel, row + m); });
}

// ------------------------------------------------------------------------------------------------------------- table

template <class Body>
void by_format(WeightFormat format, const Body& body) {
  switch (format) {
    case WeightFormat::float32: return body(Type<Float32>());
    case WeightFormat::bfloat16: return body(Type<Bfloat16>());
    case WeightFormat::int8: return body(Type<Int8>());
  }
}

// body(Type<the cell>, Type<the format>)
template <class Body>
void by_layer(const StepLayer& l, const Body& body) {
  with_cell<float, float>(l.kind, [&](auto cell) {
    by_format(l.format, [&](auto format) { body(cell, format); });
    return true;
  });
}

#define ELMAN_TYPES typename decltype(cell)::type, typename decltype(format)::type

void shape_layer(StepLayer& l) {
  by_layer(l, [&](auto cell, auto format) { shape<ELMAN_TYPES>(l); });
}

void pack_layer(const StepLayer& l, const StepWeights& w) {
  by_layer(l, [&](auto cell, auto format) { pack<ELMAN_TYPES>(l, w); });
}

// Prepares a row for all panels, once per step.
void prepare_rows(const StepLayer& l, const StepRow* row, int64_t count) {
  if (l.format != WeightFormat::int8) return;
  for (int64_t m = 0; m < count; ++m) {
    row[m].scale[of_x] = Int8::prepare(row[m].x, l.inputs, row[m].whole[of_x]);
    row[m].scale[of_h] = Int8::prepare(row[m].h_before, l.hidden, row[m].whole[of_h]);
  }
}

void step_panel(const StepLayer& l, const StepRow* row, int64_t count, int64_t p) {
  by_layer(l, [&](auto cell, auto format) { run_panel<ELMAN_TYPES>(l, row, count, p); });
}

}  // namespace

const Stepping& stepping();
const Stepping& stepping() {
  static constexpr Stepping table{shape_layer, pack_layer, prepare_rows, step_panel};
  return table;
}

}  // namespace ELMAN_SET
}  // namespace elman
