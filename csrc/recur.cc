// The loop over steps, for any struct in cells.h. Compiled once for each instruction set.
//
// Every thread runs a few lanes. A lane walks one sequence; when it ends, the lane takes the next one from the common
// queue, so that the product of a step stays full, nothing is padded and no thread waits for another.
#include "cells.h"
#include "gemm.h"

// After the headers above, so that no inline function of theirs is compiled with this file's flags under a shared name.
#include "api.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace elman {
namespace ELMAN_SET {
namespace {

// Vanishing gradients make denormal numbers, which many processors handle a hundred times slower. They are flushed to
// zero inside our threads and the caller's setting is put back.
class FlushDenormals {
 public:
#if defined(__SSE2__)
  FlushDenormals() : before_(__builtin_ia32_stmxcsr()) { __builtin_ia32_ldmxcsr(before_ | 0x8040u); }
  ~FlushDenormals() { __builtin_ia32_ldmxcsr(before_); }

 private:
  unsigned before_;
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" ::"r"(before_ | (1ull << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(before_)); }

 private:
  unsigned long long before_;
#else
  FlushDenormals() {}
  ~FlushDenormals() {}
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
};

constexpr int most_lanes = 24;

// No more threads than sequences, and one where there are none.
int crew_for(const RaggedView& ragged, int threads) {
  return ragged.sequences > 0 ? static_cast<int>(at_most(threads, ragged.sequences)) : 1;
}

// As many lanes as keep busy until the longest sequence ends, in whole blocks of rows: a block reads the weights once.
int lanes_for(const RaggedView& ragged, int threads) {
  constexpr int64_t block = 6;
  const int64_t balanced = ragged.longest > 0 ? ragged.steps / (threads * ragged.longest) : 1;
  const int64_t wanted = balanced < block ? block : (balanced + block / 2) / block * block;
  return static_cast<int>(at_most(at_most(wanted, most_lanes), pieces(ragged.sequences, threads)));
}

int64_t take(int64_t* next) {
  int64_t mine;
#pragma omp atomic capture
  mine = (*next)++;
  return mine;
}

template <class T>
void copy(T* to, const T* from, int64_t count) {
  __builtin_memcpy(to, from, static_cast<unsigned long>(count) * sizeof(T));
}

template <class T>
void fill(T* to, T value, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = value;
}

template <class T>
void copy_or_zero(T* to, const T* from, int64_t row, int64_t count) {
  if (from == nullptr)
    fill(to, T(0), count);
  else
    copy(to, from + row * count, count);
}

int thread_index() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

// ---------------------------------------------------------------------------------------------------------- forward

template <class Cell, class T, int rows, bool save>
void step_block(const Row<T>* row, int64_t hidden, const T* panel, const T* bias_q, int64_t u0) {
  using V = Vec<T>;
  constexpr int vectors = Cell::gates * Cell::blocks;
  const T* a[rows];
  typename V::Reg acc[rows][vectors];
  for (int m = 0; m < rows; ++m) {
    a[m] = row[m].h_before;
    for (int b = 0; b < Cell::blocks; ++b) {
      const int64_t u = u0 + b * V::width;
      const int n = static_cast<int>(at_most(V::width, hidden - u));
      if (n > 0)
        Cell::start(row[m], hidden, bias_q, u, n, &acc[m][b * Cell::gates]);
      else
        for (int g = 0; g < Cell::gates; ++g) acc[m][b * Cell::gates + g] = V::all(0);
    }
  }
  product<T, rows, vectors>(a, hidden, panel, acc);
  for (int m = 0; m < rows; ++m)
    for (int b = 0; b < Cell::blocks; ++b) {
      const int64_t u = u0 + b * V::width;
      const int n = static_cast<int>(at_most(V::width, hidden - u));
      if (n > 0) Cell::template step<save>(row[m], hidden, u, n, &acc[m][b * Cell::gates]);
    }
}

// One step of `count` lanes. The panel is the outer loop: it is read from far once and used by every lane.
template <class Cell, class T, bool save>
void step_lanes(const Row<T>* row, int count, int64_t hidden, const Packed<T>& packed, const T* bias_q) {
  constexpr int most = block_rows<Cell::gates * Cell::blocks>;
  for (int64_t p = 0; p < packed.panels; ++p)
    in_blocks<most>(count, [&](int m, auto rows) {
      step_block<Cell, T, decltype(rows)::value, save>(row + m, hidden, packed.panel(p), bias_q,
                                                       p * Cell::blocks * Vec<T>::width);
    });
}

struct Lane {
  int64_t sequence;
  int64_t step;  // the step at hand
  int64_t left;  // steps to go, this one included
};

template <class Cell, class T, bool save>
void forward_lanes(const Forward<T>& f, const Packed<T>& packed, const T* bias_q, const T* zeros, T* cells, int lanes,
                   int64_t* next) {
  const int64_t hidden = f.hidden, way = f.reverse ? -1 : 1;
  Lane lane[most_lanes];
  Row<T> row[most_lanes];
  int active = 0;
  // Lane `slot` begins the next sequence that has steps; false when the queue is empty.
  const auto begin = [&](int slot) {
    for (;;) {
      const int64_t turn = take(next);
      if (turn >= f.ragged.sequences) return false;
      const int64_t s = f.ragged.order[turn], first = f.ragged.offsets[s], end = f.ragged.offsets[s + 1];
      if (first == end) {
        copy_or_zero(f.h_last + s * hidden, f.h0, s, hidden);
        if constexpr (Cell::has_cell) copy_or_zero(f.c_last + s * hidden, f.c0, s, hidden);
        continue;
      }
      lane[slot] = {s, f.reverse ? end - 1 : first, end - first};
      row[slot].h_before = f.h0 == nullptr ? zeros : f.h0 + s * hidden;
      row[slot].c_before = f.c0 == nullptr ? zeros : f.c0 + s * hidden;
      return true;
    }
  };
  while (active < lanes && begin(active)) ++active;
  while (active > 0) {
    for (int m = 0; m < active; ++m) {
      const int64_t t = lane[m].step;
      row[m].h = f.y + t * hidden;
      row[m].saved = f.saved + t * Cell::saved_width * hidden;
      if constexpr (Cell::has_cell) row[m].c = save ? f.cells + t * hidden : cells + m * hidden;
    }
    step_lanes<Cell, T, save>(row, active, hidden, packed, bias_q);
    for (int m = 0; m < active;) {
      row[m].h_before = row[m].h;
      row[m].c_before = row[m].c;
      lane[m].step += way;
      if (--lane[m].left > 0) {
        ++m;
        continue;
      }
      copy(f.h_last + lane[m].sequence * hidden, row[m].h, hidden);
      if constexpr (Cell::has_cell) copy(f.c_last + lane[m].sequence * hidden, row[m].c, hidden);
      if (begin(m)) {
        ++m;
        continue;
      }
      --active;  // the last lane moves here, with its cell state
      lane[m] = lane[active];
      row[m] = row[active];
      if constexpr (Cell::has_cell && !save) {
        if (m != active && row[m].c_before == cells + active * hidden) {
          copy(cells + m * hidden, cells + active * hidden, hidden);
          row[m].c_before = cells + m * hidden;
        }
      }
    }
  }
}

// The sums of both biases that can be added before the product: all but GRU's c_n, which r multiplies (cells.h).
template <class Cell, class T>
void sum_biases(const Forward<T>& f, T* sums, T* bias_q) {
  const int64_t hidden = f.hidden, straight = Cell::straight * hidden, count = Cell::gates * hidden;
  for (int64_t i = 0; i < count; ++i) sums[i] = f.bias_ih == nullptr ? T(0) : f.bias_ih[i];
  if (f.bias_hh != nullptr)
    for (int64_t i = 0; i < straight; ++i) sums[i] += f.bias_hh[i];
  for (int64_t i = 0; i < hidden; ++i)
    bias_q[i] = f.bias_hh == nullptr || straight == count ? T(0) : f.bias_hh[straight + i];
}

// out = x weight^T + bias, rows shared out to the threads.
template <class T>
bool multiply(const Linear<T>& l) {
  const Packed<T> packed(l.weight, 1, l.inputs, l.inputs, {l.outputs, 1, 0}, plain, l.threads);
  const int64_t padded = packed.panels * plain * Vec<T>::width;
  const Buffer<T> bias(padded);
  if (packed.memory.data == nullptr || bias.data == nullptr) return false;
  fill(bias.data, T(0), padded);
  if (l.bias != nullptr) copy(bias.data, l.bias, l.outputs);
  constexpr int64_t chunk = 16 * block_rows<plain>;
  const int64_t chunks = pieces(l.rows, chunk);
#pragma omp parallel for schedule(dynamic) num_threads(l.threads) if (l.threads > 1 && chunks > 1)
  for (int64_t c = 0; c < chunks; ++c) {
    const FlushDenormals flush;
    linear_rows(l.x, l.x_stride, packed, bias.data, l.out, l.out_stride, l.outputs, c * chunk,
                at_most((c + 1) * chunk, l.rows));
  }
  return true;
}

// out = a^T b, in tiles that no two threads share.
template <class T>
bool add_outer(const Outer<T>& o) {
  constexpr int64_t width = plain * Vec<T>::width, chunk = 256, block = block_rows<plain>;
  const int64_t panels = pieces(o.columns, width);
  const int64_t parts = pieces(2 * o.threads, panels < 1 ? 1 : panels);  // two tiles a thread, or more
  const int64_t height = pieces(pieces(o.rows, parts), block) * block;
  const int64_t tiles = height > 0 ? panels * pieces(o.rows, height) : 0;
  const Buffer<T> work(o.threads * chunk * width);
  if (work.data == nullptr) return false;
#pragma omp parallel for schedule(dynamic) num_threads(o.threads) if (o.threads > 1 && tiles > 1)
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const FlushDenormals flush;
    const int64_t column = tile % panels * width, first = tile / panels * height;
    outer_tile(o.a, o.a_stride, o.b + column, o.b_stride, o.steps, o.out + column, o.columns, first,
               at_most(first + height, o.rows), o.columns - column, work.data + thread_index() * chunk * width, chunk);
  }
  return true;
}

template <class Cell, class T>
bool forward_cell(const Forward<T>& f) {
  const int64_t hidden = f.hidden, columns = Cell::gates * hidden;
  const Packed<T> packed(f.weight_hh, 1, hidden, hidden, {hidden, Cell::gates, hidden}, Cell::gates * Cell::blocks,
                         f.threads);
  const int crew = crew_for(f.ragged, f.threads), lanes = lanes_for(f.ragged, crew);
  const Buffer<T> sums(columns), bias_q(hidden), zeros(hidden), cells(crew * lanes * hidden);
  if (!packed.memory.data || !sums.data || !bias_q.data || !zeros.data || !cells.data) return false;
  fill(zeros.data, T(0), hidden);
  sum_biases<Cell>(f, sums.data, bias_q.data);
  if (!multiply<T>({f.threads, f.ragged.steps, f.inputs, columns, f.x, f.x_stride, f.weight_ih, sums.data, f.saved,
                    Cell::saved_width * hidden, nullptr}))
    return false;
  int64_t next = 0;
#pragma omp parallel num_threads(crew) if (crew > 1)
  {
    const FlushDenormals flush;
    T* own = cells.data + thread_index() * lanes * hidden;
    if (f.save)
      forward_lanes<Cell, T, true>(f, packed, bias_q.data, zeros.data, own, lanes, &next);
    else
      forward_lanes<Cell, T, false>(f, packed, bias_q.data, zeros.data, own, lanes, &next);
  }
  return true;
}

// --------------------------------------------------------------------------------------------------------- backward

// dh += (gradients of the pre-activations) U
template <class Cell, class T, int rows, int vectors>
void back_block(const RowBack<T>* row, int64_t hidden, const T* panel, int64_t u0) {
  using V = Vec<T>;
  const T* a[rows];
  typename V::Reg acc[rows][vectors];
  for (int m = 0; m < rows; ++m)
    for (int v = 0; v < vectors; ++v) {
      const int64_t u = u0 + v * V::width;
      const int n = static_cast<int>(at_most(V::width, hidden - u));
      acc[m][v] = n > 0 ? Units<T>::get(row[m].dh + u, n) : V::all(0);
    }
  const int64_t straight = Cell::straight * hidden;
  for (int m = 0; m < rows; ++m) a[m] = row[m].saved;
  product<T, rows, vectors, plain>(a, straight, panel, acc);
  if constexpr (Cell::straight < Cell::gates) {
    for (int m = 0; m < rows; ++m) a[m] = row[m].saved + straight + hidden;
    product<T, rows, vectors, plain>(a, hidden, panel + straight * plain * V::width, acc);
  }
  for (int m = 0; m < rows; ++m)
    for (int v = 0; v < vectors; ++v) {
      const int64_t u = u0 + v * V::width;
      const int n = static_cast<int>(at_most(V::width, hidden - u));
      if (n > 0) Units<T>::put(row[m].dh + u, acc[m][v], n);
    }
}

template <class Cell, class T>
void back_lanes(const RowBack<T>* row, int count, int64_t hidden, const Packed<T>& packed) {
  constexpr int64_t width = plain * Vec<T>::width;
  for (int m = 0; m < count; ++m)
    for (int64_t u = 0; u < hidden; u += Vec<T>::width)
      Cell::step_back(row[m], hidden, u, static_cast<int>(at_most(Vec<T>::width, hidden - u)));
  for (int64_t p = 0; p < packed.panels; ++p)
    with_vectors(pieces(hidden - p * width, Vec<T>::width), [&](auto vectors) {
      in_blocks<block_rows<plain>>(count, [&](int m, auto rows) {
        back_block<Cell, T, decltype(rows)::value, decltype(vectors)::value>(row + m, hidden, packed.panel(p),
                                                                             p * width);
      });
    });
}

template <class Cell, class T>
void backward_lanes(const Backward<T>& b, const Packed<T>& packed, const T* zeros, T* work, int lanes, int64_t* next) {
  const int64_t hidden = b.hidden, way = b.reverse ? 1 : -1;
  Lane lane[most_lanes];
  RowBack<T> row[most_lanes];
  int active = 0;
  for (int m = 0; m < lanes; ++m) {
    row[m].dh = work + 2 * m * hidden;
    row[m].dc = work + (2 * m + 1) * hidden;
  }
  const auto begin = [&](int slot) {
    for (;;) {
      const int64_t turn = take(next);
      if (turn >= b.ragged.sequences) return false;
      const int64_t s = b.ragged.order[turn], first = b.ragged.offsets[s], end = b.ragged.offsets[s + 1];
      T* dh = first == end ? b.dh0 + s * hidden : row[slot].dh;
      copy_or_zero(dh, b.dh_last, s, hidden);
      if constexpr (Cell::has_cell) {
        T* dc = first == end ? b.dc0 + s * hidden : row[slot].dc;
        copy_or_zero(dc, b.dc_last, s, hidden);
      }
      if (first == end) continue;
      lane[slot] = {s, b.reverse ? first : end - 1, end - first};
      return true;
    }
  };
  while (active < lanes && begin(active)) ++active;
  while (active > 0) {
    for (int m = 0; m < active; ++m) {
      const int64_t t = lane[m].step, s = lane[m].sequence;
      const bool at_start = lane[m].left == 1;
      row[m].h_before = at_start ? (b.h0 == nullptr ? zeros : b.h0 + s * hidden) : b.y + (t + way) * hidden;
      row[m].dy = b.dy == nullptr ? nullptr : b.dy + t * b.dy_stride;
      row[m].saved = b.saved + t * Cell::saved_width * hidden;
      row[m].h = b.y + t * hidden;
      if constexpr (Cell::has_cell) {
        row[m].c_before = at_start ? (b.c0 == nullptr ? zeros : b.c0 + s * hidden) : b.cells + (t + way) * hidden;
        row[m].c = b.cells + t * hidden;
      }
      T* operands = b.operands + t * (b.inputs + 1 + hidden);
      copy(operands, b.x + t * b.x_stride, b.inputs);
      operands[b.inputs] = T(1);
      copy(operands + b.inputs + 1, row[m].h_before, hidden);
    }
    back_lanes<Cell, T>(row, active, hidden, packed);
    for (int m = 0; m < active;) {
      lane[m].step += way;
      if (--lane[m].left > 0) {
        ++m;
        continue;
      }
      copy(b.dh0 + lane[m].sequence * hidden, row[m].dh, hidden);
      if constexpr (Cell::has_cell) copy(b.dc0 + lane[m].sequence * hidden, row[m].dc, hidden);
      if (begin(m)) {
        ++m;
        continue;
      }
      --active;  // the last lane moves here; the two exchange their work space
      const RowBack<T> ended = row[m];
      lane[m] = lane[active];
      row[m] = row[active];
      row[active] = ended;
    }
  }
}

template <class Cell, class T>
bool backward_cell(const Backward<T>& b) {
  const int64_t hidden = b.hidden;
  const Packed<T> packed(b.weight_hh, hidden, 1, Cell::gates * hidden, {hidden, 1, 0}, plain, b.threads);
  const int crew = crew_for(b.ragged, b.threads), lanes = lanes_for(b.ragged, crew);
  const Buffer<T> zeros(hidden), work(crew * lanes * 2 * hidden);
  if (!packed.memory.data || !zeros.data || !work.data) return false;
  fill(zeros.data, T(0), hidden);
  int64_t next = 0;
#pragma omp parallel num_threads(crew) if (crew > 1)
  {
    const FlushDenormals flush;
    backward_lanes<Cell, T>(b, packed, zeros.data, work.data + thread_index() * lanes * 2 * hidden, lanes, &next);
  }
  return true;
}

// ------------------------------------------------------------------------------------------------------------ table

template <class T>
void forward(const Forward<T>& f) {
  bool done = false;
  switch (f.kind) {
    case Kind::rnn_tanh: done = forward_cell<Rnn<T, false>>(f); break;
    case Kind::rnn_relu: done = forward_cell<Rnn<T, true>>(f); break;
    case Kind::lstm: done = forward_cell<Lstm<T>>(f); break;
    case Kind::gru: done = forward_cell<Gru<T>>(f); break;
  }
  *f.failed = !done;
}

template <class T>
void backward(const Backward<T>& b) {
  bool done = false;
  switch (b.kind) {
    case Kind::rnn_tanh: done = backward_cell<Rnn<T, false>>(b); break;
    case Kind::rnn_relu: done = backward_cell<Rnn<T, true>>(b); break;
    case Kind::lstm: done = backward_cell<Lstm<T>>(b); break;
    case Kind::gru: done = backward_cell<Gru<T>>(b); break;
  }
  *b.failed = !done;
}

template <class T>
void linear(const Linear<T>& l) {
  *l.failed = !multiply(l);
}

template <class T>
void outer(const Outer<T>& o) {
  *o.failed = !add_outer(o);
}

}  // namespace

#define ELMAN_TEXT_OF(name) #name
#define ELMAN_TEXT(name) ELMAN_TEXT_OF(name)

const Set& set();
const Set& set() {
  static constexpr Set table{ELMAN_TEXT(ELMAN_SET), Vec<float>::width, forward<float>, forward<double>, backward<float>,
                             backward<double>,      linear<float>,     linear<double>, outer<float>,    outer<double>};
  return table;
}

}  // namespace ELMAN_SET
}  // namespace elman
