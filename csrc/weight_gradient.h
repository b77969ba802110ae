// Gradients of weights: sums over all steps of outer products.
//
// Steps are processed in chunks. The rows of a chunk (for example x_t, 1 and h_{t-1} side by side) are copied once per
// thread, the columns one panel at a time, and a tile of the result accumulates the chunk in registers. In bfloat16 two
// steps are interleaved, since the processor multiplies pairs.
#pragma once

#include "cells.h"
#include "gemm.h"

namespace elman {
namespace ELMAN_SET {

constexpr int64_t chunk_steps = summed_steps;  // even; fits the L2 cache together with its part of the sums

// Copies `count` numbers of two steps into a chunk: `a` of an even step and `b` of the next.
template <class S>
static ELMAN_INLINE void lay(S* to, int64_t width, const S* a, const S* b, int64_t count) {
  if constexpr (Operand<S>::pair == 1) {
    copy(to, a, count);
    copy(to + width, b, count);
  } else {
    using V = Vec<typename Operand<S>::Sum>;
    for (int64_t i = 0; i < count; i += V::width)
      V::interleave(to + 2 * i, a + i, b + i, static_cast<int>(at_most(V::width, count - i)));
  }
}

// Copies rows of one matrix, or of several side by side, into a chunk. `Rows` has `width` and lay(step, step or -1,
// to), which writes two steps; without a second one it writes zeros.
template <class S, class Rows>
static void lay_chunk(const Rows& rows, int64_t first, int64_t count, S* to) {
  for (int64_t k = 0; k < count; k += 2, to += 2 * rows.width)
    rows.lay(first + k, k + 1 < count ? first + k + 1 : -1, to);
}

// The rows of a plain matrix.
template <class S>
struct PlainRows {
  const S* a;
  int64_t stride, width;
  const S* zeros;  // [width]
  void lay(int64_t one, int64_t two, S* to) const {
    ELMAN_SET::lay(to, width, a + one * stride, two < 0 ? zeros : a + two * stride, width);
  }
};

// out[m][v] += sum over the chunk of a[step][m] * panel[step][v]
template <class S, int rows, int vectors>
static void outer_block(const S* a, int64_t a_width, int64_t steps, const S* panel, typename Operand<S>::Sum* out) {
  using O = Operand<S>;
  using V = Vec<typename O::Sum>;
  constexpr int width = V::width * O::pair;
  typename V::Reg acc[rows][vectors];
  for (int m = 0; m < rows; ++m)
    for (int v = 0; v < vectors; ++v) acc[m][v] = V::all(0);
  for (int64_t k = 0; k < steps; k += O::pair, a += a_width * O::pair, panel += plain * width) {
    decltype(O::load(panel)) b[vectors];
    for (int v = 0; v < vectors; ++v) b[v] = O::load(panel + v * width);
    for (int m = 0; m < rows; ++m) {
      const auto x = O::broadcast(a + m * O::pair);
      for (int v = 0; v < vectors; ++v) acc[m][v] = O::fma(x, b[v], acc[m][v]);
    }
  }
  for (int m = 0; m < rows; ++m)
    for (int v = 0; v < vectors; ++v) {
      auto* to = out + (m * plain + v) * V::width;
      V::store(to, V::load(to) + acc[m][v]);
    }
}

// A part of the result: rows [first, last) by the columns of one panel, `columns` of which exist.
template <class S>
struct Tile {
  int64_t first, last;
  const S* b;  // [steps, columns]
  int64_t b_stride, columns;
  int64_t column;  // of the result
};

// Computes the tiles and calls finish(tile, sums), with sums [last - first, panel width], once for each. `tiles` makes
// the i-th of `count` tiles. False when there is no memory.
template <class S, class Rows, class Tiles, class Finish>
static bool outer_tiles(int threads, int64_t steps, const Rows& rows, int64_t count, int64_t height, const Tiles& tiles,
                        const Finish& finish) {
  using T = typename Operand<S>::Sum;
  constexpr int64_t width = plain * Vec<T>::width, pair = Operand<S>::pair;
  const Buffer<T> sums(count * height * width);
  const Buffer<S> chunks(threads * chunk_steps * rows.width), panels(threads * chunk_steps * width), zeros(width);
  if (!sums.data || !chunks.data || !panels.data || !zeros.data) return false;
  fill(zeros.data, S{}, width);
  parallel(count < threads ? static_cast<int>(count) : threads, [&](int index, int size) {
    S *chunk = chunks.data + index * chunk_steps * rows.width, *panel = panels.data + index * chunk_steps * width;
    for (int64_t i = index; i < count; i += size) fill(sums.data + i * height * width, T(0), height * width);
    for (int64_t k0 = 0; k0 < steps; k0 += chunk_steps) {
      const int64_t here = at_most(chunk_steps, steps - k0);
      lay_chunk(rows, k0, here, chunk);
      for (int64_t i = index; i < count; i += size) {
        const Tile<S> tile = tiles(i);
        lay_panel(tile, k0, here, panel, zeros.data);
        with_vectors(pieces(tile.columns, Vec<T>::width), [&](auto vectors) {
          in_blocks<block_rows<plain>>(static_cast<int>(tile.last - tile.first), [&](int m, auto block) {
            outer_block<S, decltype(block)::value, decltype(vectors)::value>(
                chunk + (tile.first + m) * pair, rows.width, here, panel, sums.data + (i * height + m) * width);
          });
        });
      }
    }
    for (int64_t i = index; i < count; i += size) finish(tiles(i), sums.data + i * height * width);
  });
  return true;
}

template <class S>
static void lay_panel(const Tile<S>& tile, int64_t first, int64_t count, S* panel, const S* zeros) {
  constexpr int64_t width = plain * Vec<typename Operand<S>::Sum>::width;
  const int64_t pair = Operand<S>::pair;
  for (int64_t k = 0; k < count; k += 2, panel += 2 * width) {
    const S* a = tile.b + (first + k) * tile.b_stride;
    const S* b = k + 1 < count ? a + tile.b_stride : zeros;
    lay(panel, width, a, b, tile.columns);
    for (int64_t u = tile.columns * pair; u < width * pair; ++u) {
      panel[u] = S{};
      if (pair == 1) panel[width + u] = S{};
    }
  }
}

// How many rows a tile has, so that there are at least two tiles a thread.
static inline int64_t tile_height(int64_t rows, int64_t panels, int threads) {
  const int64_t parts = pieces(2 * threads, panels < 1 ? 1 : panels);
  return pieces(pieces(rows, parts), block_rows<plain>) * block_rows<plain>;
}

template <class T, class S>
static bool outer_product(const Outer<T, S>& o) {
  constexpr int64_t width = plain * Vec<T>::width;
  const int64_t panels = pieces(o.columns, width), height = tile_height(o.rows, panels, o.threads);
  const Buffer<S> zeros(o.rows);
  if (zeros.data == nullptr) return false;
  fill(zeros.data, S{}, o.rows);
  const auto tile = [&](int64_t i) {
    const int64_t column = i % panels * width, first = i / panels * height;
    return Tile<S>{first,      at_most(first + height, o.rows),    o.b + column,
                   o.b_stride, at_most(width, o.columns - column), column};
  };
  const auto finish = [&](const Tile<S>& t, const T* sums) {
    for (int64_t m = t.first; m < t.last; ++m, sums += width) copy(o.out + m * o.columns + t.column, sums, t.columns);
  };
  const int64_t count = height > 0 ? panels * pieces(o.rows, height) : 0;
  return outer_tiles<S>(o.threads, o.steps, PlainRows<S>{o.a, o.a_stride, o.rows, zeros.data}, count, height, tile,
                        finish);
}

// x_t, 1 and h_{t-1} side by side, as W and U were multiplied by them.
template <class T, class S>
struct LayerRows {
  const RecurrentWeightGradient<T, S>& g;
  int64_t width;
  const S *zeros, *one;     // [width], and a 1
  S* start;                 // [B, P] h0 in the type of rows, or null
  const int32_t* sequence;  // [N] of each step

  void lay(int64_t first, int64_t second, S* to) const {
    const int64_t inputs = g.inputs, pair = Operand<S>::pair;
    const bool both = second >= 0;
    if (inputs > 0)
      ELMAN_SET::lay(to, width, g.x + first * g.x_stride, both ? g.x + second * g.x_stride : zeros, inputs);
    ELMAN_SET::lay(to + inputs * pair, width, one, both ? one : zeros, 1);
    S* h = to + (inputs + 1) * pair;
    if constexpr (pair == 1) {
      if (g.modifiers.decay != nullptr || g.modifiers.drop != nullptr) {
        scaled(first, h);
        if (both)
          scaled(second, h + width);
        else
          fill(h + width, S(0), g.outputs);
        return;
      }
    }
    ELMAN_SET::lay(h, width, before(first), both ? before(second) : zeros, g.outputs);
  }

  const S* before(int64_t step) const {
    const int64_t s = sequence[step];
    if (step == (g.reverse ? g.ragged.offsets[s + 1] - 1 : g.ragged.offsets[s]))
      return start == nullptr ? zeros : start + s * g.outputs;
    return g.y + (step + (g.reverse ? 1 : -1)) * g.outputs;
  }

  void scaled(int64_t step, S* to) const {
    const S* h = before(step);
    const T* decay = g.modifiers.decay == nullptr ? nullptr : g.modifiers.decay + step * g.outputs;
    const T* drop = g.modifiers.drop == nullptr ? nullptr : g.modifiers.drop + sequence[step] * g.outputs;
    for (int64_t u = 0; u < g.outputs; ++u) {
      const T decayed = decay == nullptr ? h[u] : decay[u] * h[u];
      to[u] = drop == nullptr ? decayed : drop[u] * decayed;
    }
  }
};

// Writes a tile's sums to the gradients; columns of the tile are rows of the weights.
template <class T, class S>
static void finish_gradient(const RecurrentWeightGradient<T, S>& g, const Tile<S>& tile, bool of_x, bool of_h,
                            const T* sums) {
  constexpr int64_t width = plain * Vec<T>::width;
  const int64_t inputs = g.inputs;
  for (int64_t u = 0; u < tile.columns; ++u) {
    const int64_t row = tile.column + u;
    for (int64_t m = tile.first; m < tile.last; ++m) {
      const T value = sums[(m - tile.first) * width + u];
      if (m < inputs) {
        if (of_x) g.d_weight_ih[row * inputs + m] = value;
      } else if (m > inputs) {
        if (of_h) g.d_weight_hh[row * g.outputs + m - inputs - 1] = value;
      } else {
        if (of_x) g.d_bias_ih[row] = value;
        if (of_h) g.d_bias_hh[row] = value;
      }
    }
  }
}

template <class Cell, class T, class S>
static bool gradient_cell(const RecurrentWeightGradient<T, S>& g) {
  constexpr int64_t width = plain * Vec<T>::width;
  const int64_t inputs = g.inputs, all = inputs + 1 + g.outputs, hidden = g.hidden;
  // Columns of d_gates: those that belong to W and U; and of a GRU n, which belongs to W, and q, which belongs to U.
  const int64_t straight = Cell::straight * hidden, shared = pieces(straight, width);
  const int64_t single = Cell::apart ? pieces(hidden, width) : 0, panels = shared + 2 * single;
  const int64_t height = tile_height(all, panels, g.threads), parts = height > 0 ? pieces(all, height) : 0;
  const Buffer<S> zeros(all), start(g.h0 == nullptr ? 0 : g.ragged.sequences * g.outputs);
  const Buffer<int32_t> sequence(g.ragged.steps);
  if (!zeros.data || !start.data || !sequence.data) return false;
  fill(zeros.data, S{}, all);
  if (g.h0 != nullptr)
    for (int64_t i = 0; i < g.ragged.sequences * g.outputs; ++i) start.data[i] = Operand<S>::from(g.h0[i]);
  for (int64_t s = 0; s < g.ragged.sequences; ++s)
    for (int64_t t = g.ragged.offsets[s]; t < g.ragged.offsets[s + 1]; ++t) sequence.data[t] = static_cast<int32_t>(s);
  const S one = Operand<S>::from(T(1));
  const LayerRows<T, S> rows{g, all, zeros.data, &one, g.h0 == nullptr ? nullptr : start.data, sequence.data};
  const auto kind = [&](int64_t panel) { return panel < shared ? 0 : panel < shared + single ? 1 : 2; };
  const auto tile = [&](int64_t i) {
    const int64_t panel = i % panels, first = i / panels * height;
    Tile<S> t{first, at_most(first + height, all), g.d_gates, Cell::saved_gates * hidden, 0, 0};
    const int64_t begin = kind(panel) == 0 ? 0 : straight, end = kind(panel) == 0 ? straight : straight + hidden;
    t.column = begin + (kind(panel) == 0 ? panel : kind(panel) == 1 ? panel - shared : panel - shared - single) * width;
    t.columns = at_most(width, end - t.column);
    t.b += t.column + (kind(panel) == 2 ? hidden : 0);
    if (kind(panel) == 1) t.last = at_most(t.last, inputs + 1);
    if (kind(panel) == 2 && t.first < inputs) t.first = at_most(inputs, t.last);
    if (t.last < t.first) t.last = t.first;
    return t;
  };
  const auto finish = [&](const Tile<S>& t, const T* sums) {
    const bool apart = t.column >= straight, of_q = t.b - g.d_gates >= straight + hidden;
    finish_gradient(g, t, !apart || !of_q, !apart || of_q, sums);
  };
  return outer_tiles<S>(g.threads, g.ragged.steps, rows, panels * parts, height, tile, finish);
}

// A free thread takes the next columns and adds up all steps for them, in float64, since thousands of steps may share a
// row. False when memory cannot be allocated.
template <class T, class S>
static bool collect_rows(const Collect<T, S>& c) {
  constexpr int64_t width = plain * Vec<T>::width;
  const Buffer<double> sums(c.threads * c.rows * width);
  if (sums.data == nullptr) return false;
  parallel_for(c.threads, pieces(c.width, width), [&](int64_t piece, int thread) {
    const int64_t first = piece * width, here = at_most(width, c.width - first);
    double* sum = sums.data + thread * c.rows * width;
    fill(sum, 0.0, c.rows * width);
    for (int64_t n = 0; n < c.steps; ++n) {
      T row[width];
      for (int64_t u = 0; u < here; u += Vec<T>::width) {
        const int exist = static_cast<int>(at_most(Vec<T>::width, here - u));
        Vec<T>::store(row + u, Units<T>::get(c.a + n * c.a_stride + first + u, exist));
      }
      double* to = sum + c.index[n] * width;
      for (int64_t u = 0; u < here; ++u) to[u] += static_cast<double>(row[u]);
    }
    for (int64_t r = 0; r < c.rows; ++r)
      for (int64_t u = 0; u < here; ++u) c.out[r * c.width + first + u] = static_cast<T>(sum[r * width + u]);
  });
  return true;
}

}  // namespace ELMAN_SET
}  // namespace elman
