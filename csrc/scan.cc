// Cells whose gates depend on the inputs only, so that the recurrence is h_t = a_t h_{t-1} + b_t, unit by unit.
// Compiled once for each instruction set.
//
// A plain loop over steps, vectorised over units. On a CPU it is faster than a parallel scan, which does log2(steps)
// times the arithmetic, and it needs no logarithms, since a state computed step by step cannot overflow unless its
// value does. Gates are computed where they are used and again in backward, so that only W x_t + b and y are kept.
#include "cells.h"
#include "gemm.h"
#include "parallel.h"

// After the headers above, so that no inline function of theirs is compiled with this file's flags under a shared name.
#include "api.h"

namespace elman {
namespace ELMAN_SET {
namespace {

// The operands and results of one step of one sequence. A state has one part, or a real and an imaginary one.
template <class T>
struct Step {
  const T* gates;      // W x_t + b, blocks of H
  const T* decay;      // LRU only
  const T* before[2];  // the parts of h_{t-1}; null: zeros
  T* after;            // the parts of h_t side by side
};

template <class T>
struct StepBack {
  const T* gates;
  const T* decay;
  const T* before[2];
  const T* dy;  // the gradient of the parts of y_t side by side; or null
  T* dh[2];     // in: from the step after; out: for the step before
  T* d_gates;
  T* d_decay;  // added to
};

template <class T>
ELMAN_INLINE typename Vec<T>::Reg get_or_zero(const T* p, int64_t u, int n) {
  return p == nullptr ? Vec<T>::all(T(0)) : Units<T>::get(p + u, n);
}

// sigmoid(a) as 1 / with, with = 1 + less: unlike ½ tanh(a / 2) + ½ it keeps its relative precision where it is nearly
// 0, as the gate of a unit with a long memory is. Past `most` it does not change any more, so that nothing is 0 / 0.
template <class T>
struct Gate {
  using V = Vec<T>;
  using Reg = typename V::Reg;
  static constexpr T most = sizeof(T) == 4 ? T(80) : T(700);
  explicit ELMAN_INLINE Gate(Reg a) : less(exp(V::all(T(0)) - V::clamp(a, -most, most))), with(V::all(T(1)) + less) {}
  Reg less, with;
};

// ------------------------------------------------------------------------------------ ------------------- candidates

template <class T>
struct AsIs {
  using Reg = typename Vec<T>::Reg;
  static ELMAN_INLINE Reg of(Reg v) { return v; }
  static ELMAN_INLINE Reg slope(Reg, Reg) { return Vec<T>::all(T(1)); }
};

template <class T>
struct Bounded {
  using Reg = typename Vec<T>::Reg;
  static ELMAN_INLINE Reg of(Reg v) { return tanh(v); }
  static ELMAN_INLINE Reg slope(Reg, Reg c) { return Vec<T>::all(T(1)) - c * c; }
};

// g(v) = v + ½ where v >= 0, sigmoid(v) below                                                 Feng et al. 2024
template <class T>
struct Positive {
  using V = Vec<T>;
  using Reg = typename V::Reg;
  static ELMAN_INLINE Reg above(Reg v) { return V::clamp(v, T(0), static_cast<T>(__builtin_inf())); }
  static ELMAN_INLINE Gate<T> below(Reg v) { return Gate<T>(V::clamp(v, -Gate<T>::most, T(0))); }
  static ELMAN_INLINE Reg of(Reg v) { return above(v) + V::all(T(1)) / below(v).with; }
  static ELMAN_INLINE Reg slope(Reg v, Reg) {
    const Gate<T> gate = below(v);  // ¼ at 0 and above, where the slope is 1
    return gate.less / (gate.with * gate.with) + V::where_nonzero(above(v), V::all(T(0.75)));
  }
};

// --------------------------------------------------------------------------------------------------------------- cells

// z_t = sigmoid(W_z x_t + b_z),  c_t = candidate(W_h x_t + b_h)                                       Feng et al. 2024
// h_t = (1 - z_t) h_{t-1} + z_t c_t
template <class T, class Written>
struct MinGru : Units<T> {
  using typename Units<T>::V;
  using typename Units<T>::Reg;
  using Units<T>::get;
  using Units<T>::put;
  static constexpr int parts = 1, gates = 2;

  static ELMAN_INLINE void step(const Step<T>& at, int64_t hidden, int64_t u, int n) {
    const Gate<T> gate(get(at.gates + u, n));
    const Reg z = V::all(T(1)) / gate.with, keep = gate.less * z;
    const Reg c = Written::of(get(at.gates + hidden + u, n)), h = get_or_zero(at.before[0], u, n);
    put(at.after + u, V::fma(keep, h, z * c), n);
  }

  static ELMAN_INLINE void step_back(const StepBack<T>& at, int64_t hidden, int64_t u, int n) {
    const Gate<T> gate(get(at.gates + u, n));
    const Reg z = V::all(T(1)) / gate.with, keep = gate.less * z;
    const Reg v = get(at.gates + hidden + u, n), c = Written::of(v), h = get_or_zero(at.before[0], u, n);
    const Reg dh = get(at.dh[0] + u, n) + get_or_zero(at.dy, u, n);
    put(at.d_gates + u, dh * (c - h) * (z * keep), n);
    put(at.d_gates + hidden + u, dh * z * Written::slope(v, c), n);
    put(at.dh[0] + u, dh * keep, n);
  }
};

// f_t, i_t = sigmoid(W x_t + b),  c_t = candidate(W_h x_t + b_h)                         rows f i h;  Feng et al. 2024
// h_t = (f_t h_{t-1} + i_t c_t) / (f_t + i_t)
template <class T, class Written>
struct MinLstm : Units<T> {
  using typename Units<T>::V;
  using typename Units<T>::Reg;
  using Units<T>::get;
  using Units<T>::put;
  static constexpr int parts = 1, gates = 3;

  // f / (f + i) = (1 / F) / (1 / F + 1 / I) = I / (F + I), where f = 1 / F and i = 1 / I
  static ELMAN_INLINE void step(const Step<T>& at, int64_t hidden, int64_t u, int n) {
    const Reg f = Gate<T>(get(at.gates + u, n)).with, i = Gate<T>(get(at.gates + hidden + u, n)).with;
    const Reg c = Written::of(get(at.gates + 2 * hidden + u, n)), h = get_or_zero(at.before[0], u, n);
    put(at.after + u, V::fma(i / (f + i), h, f / (f + i) * c), n);
  }

  static ELMAN_INLINE void step_back(const StepBack<T>& at, int64_t hidden, int64_t u, int n) {
    const Gate<T> f(get(at.gates + u, n)), i(get(at.gates + hidden + u, n));
    const Reg keep = i.with / (f.with + i.with), write = f.with / (f.with + i.with);
    const Reg v = get(at.gates + 2 * hidden + u, n), c = Written::of(v), h = get_or_zero(at.before[0], u, n);
    const Reg dh = get(at.dh[0] + u, n) + get_or_zero(at.dy, u, n);
    const Reg along = dh * (h - c) * (keep * write);
    put(at.d_gates + u, along * (f.less / f.with), n);
    put(at.d_gates + hidden + u, (V::all(T(0)) - along) * (i.less / i.with), n);
    put(at.d_gates + 2 * hidden + u, dh * write * Written::slope(v, c), n);
    put(at.dh[0] + u, dh * keep, n);
  }
};

// h_t = Lambda h_{t-1} + what comes in, all complex, Lambda the same at every step                  Orvieto et al. 2023
template <class T>
struct Lru : Units<T> {
  using typename Units<T>::V;
  using typename Units<T>::Reg;
  using Units<T>::get;
  using Units<T>::put;
  static constexpr int parts = 2, gates = 2;

  static ELMAN_INLINE void step(const Step<T>& at, int64_t hidden, int64_t u, int n) {
    const Reg real = get(at.decay + u, n), imaginary = get(at.decay + hidden + u, n);
    const Reg h = get_or_zero(at.before[0], u, n), j = get_or_zero(at.before[1], u, n);
    put(at.after + u, V::fma(real, h, get(at.gates + u, n) - imaginary * j), n);
    put(at.after + hidden + u, V::fma(real, j, V::fma(imaginary, h, get(at.gates + hidden + u, n))), n);
  }

  static ELMAN_INLINE void step_back(const StepBack<T>& at, int64_t hidden, int64_t u, int n) {
    const Reg real = get(at.decay + u, n), imaginary = get(at.decay + hidden + u, n);
    const Reg h = get_or_zero(at.before[0], u, n), j = get_or_zero(at.before[1], u, n);
    Reg dh = get(at.dh[0] + u, n), dj = get(at.dh[1] + u, n);
    if (at.dy != nullptr) {
      dh = dh + get(at.dy + u, n);
      dj = dj + get(at.dy + hidden + u, n);
    }
    put(at.d_gates + u, dh, n);
    put(at.d_gates + hidden + u, dj, n);
    put(at.d_decay + u, V::fma(dh, h, V::fma(dj, j, get(at.d_decay + u, n))), n);
    put(at.d_decay + hidden + u, V::fma(dj, h, get(at.d_decay + hidden + u, n)) - dh * j, n);
    put(at.dh[0] + u, V::fma(real, dh, imaginary * dj), n);
    put(at.dh[1] + u, V::fma(real, dj, V::all(T(0)) - imaginary * dh), n);
  }
};

// ---------------------------------------------------------------------------------------------------------- the loops

// Work items: whole rows where there are enough sequences for the threads, otherwise blocks of units, each a whole
// number of vectors.
struct Split {
  Split(const RaggedView& ragged, int64_t hidden, int threads) : all(hidden) {
    constexpr int64_t unit = 16;  // numbers; the widest vector
    const int64_t wanted = threads > 1 && ragged.steps > 0 ? pieces(2 * threads * ragged.longest, ragged.steps) : 1;
    width = pieces(pieces(hidden, unit), wanted) * unit;
    blocks = pieces(hidden, width);
  }
  int64_t first(int64_t block) const { return block * width; }
  int64_t end(int64_t block) const { return at_most((block + 1) * width, all); }
  int64_t all, width, blocks;
};

template <class T>
void start(T* to, const T* from, int64_t row, int64_t width, int64_t first, int64_t end) {
  for (int64_t u = first; u < end; ++u) to[row * width + u] = from == nullptr ? T(0) : from[row * width + u];
}

template <class Cell, class T>
void scan_units(const ScanForward<T>& p, int64_t s, int64_t first, int64_t end) {
  const int64_t hidden = p.hidden, from = p.ragged.offsets[s], to = p.ragged.offsets[s + 1];
  Step<T> at{};
  at.decay = p.decay;
  for (int part = 0; part < Cell::parts; ++part) {
    start(p.last[part], p.first[part], s, hidden, first, end);
    at.before[part] = p.last[part] + s * hidden;
  }
  for (int64_t left = to - from; left > 0; --left) {
    const int64_t t = p.reverse ? from + left - 1 : to - left;
    at.gates = p.gates + t * p.stride;
    at.after = p.y + t * Cell::parts * hidden;
    for (int64_t u = first; u < end; u += Vec<T>::width)
      Cell::step(at, hidden, u, static_cast<int>(at_most(Vec<T>::width, end - u)));
    for (int part = 0; part < Cell::parts; ++part) at.before[part] = at.after + part * hidden;
  }
  if (from == to) return;
  for (int part = 0; part < Cell::parts; ++part)
    for (int64_t u = first; u < end; ++u) p.last[part][s * hidden + u] = at.before[part][u];
}

template <class Cell, class T>
void scan_units_back(const ScanBackward<T>& p, T* d_decay, T* total, int64_t s, int64_t first, int64_t end) {
  const int64_t hidden = p.hidden, from = p.ragged.offsets[s], to = p.ragged.offsets[s + 1];
  StepBack<T> at{};
  at.decay = p.decay;
  at.d_decay = d_decay;
  for (int part = 0; part < Cell::parts; ++part) {
    start(p.d_first[part], p.d_last[part], s, hidden, first, end);
    at.dh[part] = p.d_first[part] + s * hidden;
  }
  for (int64_t left = to - from; left > 0; --left) {
    const int64_t t = p.reverse ? to - left : from + left - 1, before = p.reverse ? t + 1 : t - 1;
    at.gates = p.gates + t * p.stride;
    at.d_gates = p.d_gates + t * Cell::gates * hidden;
    at.dy = p.dy == nullptr ? nullptr : p.dy + t * p.dy_stride;
    for (int part = 0; part < Cell::parts; ++part) {
      const T* initial = p.first[part] == nullptr ? nullptr : p.first[part] + s * hidden;
      at.before[part] = left == 1 ? initial : p.y + (before * Cell::parts + part) * hidden;
    }
    for (int64_t u = first; u < end; u += Vec<T>::width)
      Cell::step_back(at, hidden, u, static_cast<int>(at_most(Vec<T>::width, end - u)));
    if (d_decay != nullptr && (left - 1) % summed_steps == 0)
      for (int part = 0; part < Cell::parts; ++part)
        carry_over(total + part * hidden + first, d_decay + part * hidden + first, end - first);
  }
}

template <class Cell, class T>
void scan_cell(const ScanForward<T>& p) {
  const Split split(p.ragged, p.hidden, p.threads);
  parallel_for(p.threads, p.ragged.sequences * split.blocks, [&](int64_t piece, int) {
    const int64_t block = piece % split.blocks;
    scan_units<Cell>(p, p.ragged.order[piece / split.blocks], split.first(block), split.end(block));
  });
}

// The gradient of Lambda is a sum over steps within each sequence, then over sequences, both in their order.
template <class Cell, class T>
bool scan_cell_back(const ScanBackward<T>& p) {
  const Split split(p.ragged, p.hidden, p.threads);
  const int64_t sequences = p.ragged.sequences, width = p.d_decay == nullptr ? 0 : 2 * p.hidden;
  const Buffer<T> sums(sequences * width), totals(sequences * width);
  if (sums.data == nullptr || totals.data == nullptr) return false;
  fill(sums.data, T(0), sequences * width);
  fill(totals.data, T(0), sequences * width);
  parallel_for(p.threads, sequences * split.blocks, [&](int64_t piece, int) {
    const int64_t block = piece % split.blocks, s = p.ragged.order[piece / split.blocks];
    T* own = width == 0 ? nullptr : sums.data + s * width;
    scan_units_back<Cell>(p, own, totals.data + s * width, s, split.first(block), split.end(block));
  });
  return width == 0 || sum_rows(p.d_decay, totals.data, sequences, width);
}

template <class Cell_>
struct Chosen {
  using Cell = Cell_;
};

// Calls body(Chosen<the struct of the cell that `p` asks for>).
template <class T, class Task, class Body>
void with_cell(const Task& p, const Body& body) {
  const bool gru = p.kind == ScanKind::min_gru;
  if (p.kind == ScanKind::lru)
    body(Chosen<Lru<T>>());
  else if (p.candidate == Candidate::linear)
    gru ? body(Chosen<MinGru<T, AsIs<T>>>()) : body(Chosen<MinLstm<T, AsIs<T>>>());
  else if (p.candidate == Candidate::tanh)
    gru ? body(Chosen<MinGru<T, Bounded<T>>>()) : body(Chosen<MinLstm<T, Bounded<T>>>());
  else
    gru ? body(Chosen<MinGru<T, Positive<T>>>()) : body(Chosen<MinLstm<T, Positive<T>>>());
}

template <class T>
void scan_any(const ScanForward<T>& p) {
  with_cell<T>(p, [&](auto chosen) { scan_cell<typename decltype(chosen)::Cell>(p); });
}

template <class T>
void scan_back_any(const ScanBackward<T>& p) {
  with_cell<T>(p, [&](auto chosen) { *p.failed = !scan_cell_back<typename decltype(chosen)::Cell>(p); });
}

}  // namespace

void scan_forward(const ScanForward<float>& p);
void scan_forward(const ScanForward<float>& p) { scan_any(p); }
void scan_forward(const ScanForward<double>& p);
void scan_forward(const ScanForward<double>& p) { scan_any(p); }
void scan_backward(const ScanBackward<float>& p);
void scan_backward(const ScanBackward<float>& p) { scan_back_any(p); }
void scan_backward(const ScanBackward<double>& p);
void scan_backward(const ScanBackward<double>& p) { scan_back_any(p); }

}  // namespace ELMAN_SET
}  // namespace elman
