// The gate arithmetic of every cell: `step` and, under it, `step_back`.
//
// Notation, at step t of one sequence (docs/notation.md):
//   x_t  input [I]      h_t  hidden state [H]     c_t  cell state [H]
//   W    weight_ih      U    weight_hh            b    bias_ih      c    bias_hh (the letter of the papers; rare
//   enough) a_*  pre-activation of a gate                 d*   gradient of the loss with respect to *
// `row` is what one lane reads and writes in one step; `u` the first of the units at hand and `n` how many of them
// exist. Sums arrive in `acc`, one register a gate, and are written once.
#pragma once

#include "vec.h"

namespace elman {
namespace ELMAN_SET {

template <class T>
struct Row {
  const T* h_before;
  T* h;
  const T* c_before;
  T* c;
  T* saved;  // pre-activations from the input in; what backward needs out
};

template <class T>
struct RowBack {
  const T* h_before;
  const T* h;
  const T* c_before;
  const T* c;
  const T* dy;  // or null
  T* dh;        // in: from the step after; out: the part that does not pass through the product
  T* dc;
  T* saved;  // in: from forward; out: gradients of the pre-activations
};

// Loads and stores that know how many units exist.
template <class T>
struct Units {
  using V = Vec<T>;
  using Reg = typename V::Reg;
  static ELMAN_INLINE Reg get(const T* p, int n) { return n == V::width ? V::load(p) : V::load(p, n); }
  static ELMAN_INLINE void put(T* p, Reg a, int n) {
    if (n == V::width)
      V::store(p, a);
    else
      V::store(p, a, n);
  }
};

// h_t = f(W x_t + b + U h_{t-1} + c), f = tanh or max(0, .)                                   Elman 1990
template <class T, bool relu>
struct Rnn : Units<T> {
  using typename Units<T>::V;
  using typename Units<T>::Reg;
  using Units<T>::get;
  using Units<T>::put;
  static constexpr int gates = 1;
  static constexpr int blocks = 4;       // vectors of units in a panel
  static constexpr int saved_width = 1;  // in multiples of H
  static constexpr int straight = 1;     // gates that U shares with W in `saved`; GRU's q follows one block later
  static constexpr bool has_cell = false;

  static ELMAN_INLINE void start(const Row<T>& row, int64_t, const T*, int64_t u, int n, Reg* acc) {
    acc[0] = get(row.saved + u, n);
  }

  template <bool save>
  static ELMAN_INLINE void step(const Row<T>& row, int64_t, int64_t u, int n, const Reg* acc) {
    Reg h;
    if constexpr (relu) {
      h = V::clamp(acc[0], T(0), static_cast<T>(__builtin_inf()));
    } else {
      h = tanh(acc[0]);
    }
    put(row.h + u, h, n);  // all that backward needs
  }

  static ELMAN_INLINE void step_back(const RowBack<T>& row, int64_t, int64_t u, int n) {
    const Reg h = get(row.h + u, n);
    Reg dh = get(row.dh + u, n);
    if (row.dy != nullptr) dh = dh + get(row.dy + u, n);
    Reg da;
    if constexpr (relu) {
      da = V::where_nonzero(h, dh);
    } else {
      da = dh * (V::all(1) - h * h);
    }
    put(row.saved + u, da, n);
    put(row.dh + u, V::all(0), n);
  }
};

// i, f, o = sigmoid(W x_t + b + U h_{t-1} + c), g = tanh(likewise)               rows i f g o, as torch.nn.LSTM
// c_t = f c_{t-1} + i g,  h_t = o tanh(c_t)                          Hochreiter & Schmidhuber 1997, Gers et al. 2000
template <class T>
struct Lstm : Units<T> {
  using typename Units<T>::V;
  using typename Units<T>::Reg;
  using Units<T>::get;
  using Units<T>::put;
  static constexpr int gates = 4;
  static constexpr int blocks = 1;
  static constexpr int saved_width = 4;
  static constexpr int straight = 4;
  static constexpr bool has_cell = true;

  static ELMAN_INLINE void start(const Row<T>& row, int64_t hidden, const T*, int64_t u, int n, Reg* acc) {
    for (int gate = 0; gate < 4; ++gate) acc[gate] = get(row.saved + gate * hidden + u, n);
  }

  template <bool save>
  static ELMAN_INLINE void step(const Row<T>& row, int64_t hidden, int64_t u, int n, const Reg* acc) {
    const Reg i = sigmoid<T>(acc[0]), f = sigmoid<T>(acc[1]), g = tanh(acc[2]), o = sigmoid<T>(acc[3]);
    const Reg c = V::fma(f, get(row.c_before + u, n), i * g);
    put(row.c + u, c, n);
    put(row.h + u, o * tanh(c), n);
    if constexpr (save) {
      T* saved = row.saved + u;
      put(saved, i, n);
      put(saved + hidden, f, n);
      put(saved + 2 * hidden, g, n);
      put(saved + 3 * hidden, o, n);
    }
  }

  static ELMAN_INLINE void step_back(const RowBack<T>& row, int64_t hidden, int64_t u, int n) {
    T* saved = row.saved + u;
    const Reg one = V::all(1);
    const Reg i = get(saved, n), f = get(saved + hidden, n), g = get(saved + 2 * hidden, n),
              o = get(saved + 3 * hidden, n);
    const Reg tanh_c = tanh(get(row.c + u, n));
    Reg dh = get(row.dh + u, n);
    if (row.dy != nullptr) dh = dh + get(row.dy + u, n);
    const Reg dc = V::fma(dh * o, one - tanh_c * tanh_c, get(row.dc + u, n));
    put(saved, dc * g * i * (one - i), n);
    put(saved + hidden, dc * get(row.c_before + u, n) * f * (one - f), n);
    put(saved + 2 * hidden, dc * i * (one - g * g), n);
    put(saved + 3 * hidden, dh * tanh_c * o * (one - o), n);
    put(row.dc + u, dc * f, n);
    put(row.dh + u, V::all(0), n);
  }
};

// r, z = sigmoid(W x_t + b + U h_{t-1} + c)                                       rows r z n, as torch.nn.GRU
// q    = U_n h_{t-1} + c_n,  n = tanh(W_n x_t + b_n + r q)                 reset after the product: Cho et al. 2014 v1
// h_t  = (1 - z) n + z h_{t-1}                                             z keeps the old state
// `saved` holds r z n q: r z n pair with W, r z q with U.
template <class T>
struct Gru : Units<T> {
  using typename Units<T>::V;
  using typename Units<T>::Reg;
  using Units<T>::get;
  using Units<T>::put;
  static constexpr int gates = 3;
  static constexpr int blocks = 1;
  static constexpr int saved_width = 4;
  static constexpr int straight = 2;
  static constexpr bool has_cell = false;

  static ELMAN_INLINE void start(const Row<T>& row, int64_t hidden, const T* bias_q, int64_t u, int n, Reg* acc) {
    acc[0] = get(row.saved + u, n);
    acc[1] = get(row.saved + hidden + u, n);
    acc[2] = get(bias_q + u, n);
  }

  template <bool save>
  static ELMAN_INLINE void step(const Row<T>& row, int64_t hidden, int64_t u, int n, const Reg* acc) {
    T* saved = row.saved + u;
    const Reg r = sigmoid<T>(acc[0]), z = sigmoid<T>(acc[1]), q = acc[2];
    const Reg candidate = tanh(V::fma(r, q, get(saved + 2 * hidden, n)));
    const Reg h_before = get(row.h_before + u, n);
    put(row.h + u, V::fma(z, h_before - candidate, candidate), n);
    if constexpr (save) {
      put(saved, r, n);
      put(saved + hidden, z, n);
      put(saved + 2 * hidden, candidate, n);
      put(saved + 3 * hidden, q, n);
    }
  }

  static ELMAN_INLINE void step_back(const RowBack<T>& row, int64_t hidden, int64_t u, int n) {
    T* saved = row.saved + u;
    const Reg one = V::all(1);
    const Reg r = get(saved, n), z = get(saved + hidden, n), candidate = get(saved + 2 * hidden, n),
              q = get(saved + 3 * hidden, n);
    Reg dh = get(row.dh + u, n);
    if (row.dy != nullptr) dh = dh + get(row.dy + u, n);
    const Reg dn = dh * (one - z) * (one - candidate * candidate);
    put(saved, dn * q * r * (one - r), n);
    put(saved + hidden, dh * (get(row.h_before + u, n) - candidate) * z * (one - z), n);
    put(saved + 2 * hidden, dn, n);
    put(saved + 3 * hidden, dn * r, n);
    put(row.dh + u, dh * z, n);
  }
};

}  // namespace ELMAN_SET
}  // namespace elman
