// The gate arithmetic of every cell: `step` and, under it, `step_back`.
//
// Notation, at step t of one sequence (docs/notation.md):
//   x_t  input [I]      h_t  hidden state [H]     c_t  cell state [H]
//   W    weight_ih      U    weight_hh            b    bias_ih      c    bias_hh (the letter of the papers; rare
//   enough) a_*  pre-activation of a gate                 d*   gradient of the loss with respect to *
// `row` is what one lane reads and writes in one step; `u` the first of the units at hand and `n` how many of them
// exist. Sums arrive in `acc`, one register a gate. T is the type of sums and state, S of what has a row per step.
#pragma once

#include "vec.h"

namespace elman {
namespace ELMAN_SET {

template <class T, class S>
struct Row {
  const S* x;      // null when `pre` holds what W makes of it
  const T* pre;    //
  const S* h_in;   // what U multiplies
  const T* state;  // c_{t-1}; for a cell without c: h_{t-1}
  S* h;
  T* next_state;  // c_t; for a GRU in bfloat16 h_t as it is before rounding
  S* gates;       // out, what backward needs of them
};

template <class T, class S>
struct RowBack {
  const S* h_before;
  const S* h;
  const T* c_before;
  const T* c;   // null: to be made again from the gates
  const S* dy;  // or null
  T* dh;        // in: from the step after; out: the part that does not pass through the product
  T* dc;
  const S* gates;  // from forward
  S* d_gates;      // out: gradients of the pre-activations; may be `gates`
  T* unprojected;  // out: h_t, where a projection follows; or null
};

// Loads and stores that know how many units exist.
template <class T>
struct Units {
  using V = Vec<T>;
  using Reg = typename V::Reg;
  template <class S>
  static ELMAN_INLINE Reg get(const S* p, int n) {
    return n == V::width ? V::load(p) : V::load(p, n);
  }
  template <class S>
  static ELMAN_INLINE void put(S* p, Reg a, int n) {
    if (n == V::width)
      V::store(p, a);
    else
      V::store(p, a, n);
  }
};

// What every cell says of itself. `gates` sums meet in the product with U; a GRU has one more, which U does not touch
// (`apart`). `blocks`: vectors of units in a panel. `straight`: gates that U shares with W in `saved`.
template <class T, class S, int gates_, int blocks_, int saved_gates_, int straight_, bool has_cell_state_>
struct Shape : Units<T> {
  static constexpr int gates = gates_, blocks = blocks_, saved_gates = saved_gates_, straight = straight_;
  static constexpr bool has_cell_state = has_cell_state_;
  static constexpr bool apart = straight < gates;
  static constexpr bool rounds = sizeof(S) < sizeof(T);                   // rows hold less than the state has
  static constexpr bool has_state = has_cell_state || (apart && rounds);  // a state of type T is carried beside h
};

// h_t = f(W x_t + b + U h_{t-1} + c), f = tanh or max(0, .)                                   Elman 1990
template <class T, class S, bool relu>
struct Rnn : Shape<T, S, 1, 4, 1, 1, false> {
  using V = Vec<T>;
  using Reg = typename V::Reg;
  using Units<T>::get;
  using Units<T>::put;

  template <bool save>
  static ELMAN_INLINE void step(const Row<T, S>& row, int64_t, int64_t u, int n, const Reg* acc, Reg) {
    Reg h;
    if constexpr (relu) {
      h = V::clamp(acc[0], T(0), static_cast<T>(__builtin_inf()));
    } else {
      h = tanh(acc[0]);
    }
    put(row.h + u, h, n);  // all that backward needs
  }

  static ELMAN_INLINE void step_back(const RowBack<T, S>& row, int64_t, int64_t u, int n) {
    const Reg h = get(row.h + u, n);
    Reg dh = get(row.dh + u, n);
    if (row.dy != nullptr) dh = dh + get(row.dy + u, n);
    Reg da;
    if constexpr (relu) {
      da = V::where_nonzero(h, dh);
    } else {
      da = dh * (V::all(1) - h * h);
    }
    put(row.d_gates + u, da, n);
    put(row.dh + u, V::all(0), n);
  }
};

// i, f, o = sigmoid(W x_t + b + U h_{t-1} + c), g = tanh(likewise)               rows i f g o, as torch.nn.LSTM
// c_t = f c_{t-1} + i g,  h_t = o tanh(c_t)                          Hochreiter & Schmidhuber 1997, Gers et al. 2000
template <class T, class S>
struct Lstm : Shape<T, S, 4, 1, 4, 4, true> {
  using V = Vec<T>;
  using Reg = typename V::Reg;
  using Units<T>::get;
  using Units<T>::put;

  template <bool save>
  static ELMAN_INLINE void step(const Row<T, S>& row, int64_t hidden, int64_t u, int n, const Reg* acc, Reg) {
    const Reg i = sigmoid<T>(acc[0]), f = sigmoid<T>(acc[1]), g = tanh(acc[2]), o = sigmoid<T>(acc[3]);
    const Reg c = V::fma(f, get(row.state + u, n), i * g);
    put(row.next_state + u, c, n);
    put(row.h + u, o * tanh(c), n);
    if constexpr (save) {
      S* gates = row.gates + u;
      put(gates, i, n);
      put(gates + hidden, f, n);
      put(gates + 2 * hidden, g, n);
      put(gates + 3 * hidden, o, n);
    }
  }

  static ELMAN_INLINE void step_back(const RowBack<T, S>& row, int64_t hidden, int64_t u, int n) {
    const S* gates = row.gates + u;
    S* d_gates = row.d_gates + u;
    const Reg one = V::all(1);
    const Reg i = get(gates, n), f = get(gates + hidden, n), g = get(gates + 2 * hidden, n),
              o = get(gates + 3 * hidden, n), c_before = get(row.c_before + u, n);
    const Reg tanh_c = tanh(row.c != nullptr ? get(row.c + u, n) : V::fma(f, c_before, i * g));
    if (row.unprojected != nullptr) put(row.unprojected + u, o * tanh_c, n);
    Reg dh = get(row.dh + u, n);
    if (row.dy != nullptr) dh = dh + get(row.dy + u, n);
    const Reg dc = V::fma(dh * o, one - tanh_c * tanh_c, get(row.dc + u, n));
    put(d_gates, dc * g * i * (one - i), n);
    put(d_gates + hidden, dc * c_before * f * (one - f), n);
    put(d_gates + 2 * hidden, dc * i * (one - g * g), n);
    put(d_gates + 3 * hidden, dh * tanh_c * o * (one - o), n);
    put(row.dc + u, dc * f, n);
    put(row.dh + u, V::all(0), n);
  }
};

// r, z = sigmoid(W x_t + b + U h_{t-1} + c)                                       rows r z n, as torch.nn.GRU
// q    = U_n h_{t-1} + c_n,  n = tanh(W_n x_t + b_n + r q)                 reset after the product: Cho et al. 2014 v1
// h_t  = (1 - z) n + z h_{t-1}                                             z keeps the old state
// `saved` holds r z n q: r z n pair with W, r z q with U.
template <class T, class S>
struct Gru : Shape<T, S, 3, 1, 4, 2, false> {
  using V = Vec<T>;
  using Reg = typename V::Reg;
  using Units<T>::get;
  using Units<T>::put;

  // `from_x` is W_n x_t + b_n.
  template <bool save>
  static ELMAN_INLINE void step(const Row<T, S>& row, int64_t hidden, int64_t u, int n, const Reg* acc, Reg from_x) {
    const Reg r = sigmoid<T>(acc[0]), z = sigmoid<T>(acc[1]), q = acc[2];
    const Reg candidate = tanh(V::fma(r, q, from_x));
    const Reg h = V::fma(z, get(row.state + u, n) - candidate, candidate);
    put(row.h + u, h, n);
    if constexpr (Gru::rounds) put(row.next_state + u, h, n);
    if constexpr (save) {
      S* gates = row.gates + u;
      put(gates, r, n);
      put(gates + hidden, z, n);
      put(gates + 2 * hidden, candidate, n);
      put(gates + 3 * hidden, q, n);
    }
  }

  static ELMAN_INLINE void step_back(const RowBack<T, S>& row, int64_t hidden, int64_t u, int n) {
    const S* gates = row.gates + u;
    S* d_gates = row.d_gates + u;
    const Reg one = V::all(1);
    const Reg r = get(gates, n), z = get(gates + hidden, n), candidate = get(gates + 2 * hidden, n),
              q = get(gates + 3 * hidden, n);
    Reg dh = get(row.dh + u, n);
    if (row.dy != nullptr) dh = dh + get(row.dy + u, n);
    const Reg dn = dh * (one - z) * (one - candidate * candidate);
    put(d_gates, dn * q * r * (one - r), n);
    put(d_gates + hidden, dh * (get(row.h_before + u, n) - candidate) * z * (one - z), n);
    put(d_gates + 2 * hidden, dn, n);
    put(d_gates + 3 * hidden, dn * r, n);
    put(row.dh + u, dh * z, n);
  }
};

template <class Cell>
struct Type {
  using type = Cell;
};

// The cell of a kind agrees with its line in `cell_traits`.
template <CellKind kind, class Cell, class Body>
static bool with_checked_cell(const Body& body) {
  constexpr CellTraits traits = traits_of(kind);
  static_assert(Cell::gates == traits.gates && Cell::saved_gates == traits.saved_gates &&
                Cell::has_cell_state == traits.has_cell_state);
  return body(Type<Cell>());
}

// body(Type<the struct above for this kind>)
template <class T, class S, class Body>
static bool with_cell(CellKind kind, const Body& body) {
  switch (kind) {
    case CellKind::rnn_tanh: return with_checked_cell<CellKind::rnn_tanh, Rnn<T, S, false>>(body);
    case CellKind::rnn_relu: return with_checked_cell<CellKind::rnn_relu, Rnn<T, S, true>>(body);
    case CellKind::lstm: return with_checked_cell<CellKind::lstm, Lstm<T, S>>(body);
    case CellKind::gru: return with_checked_cell<CellKind::gru, Gru<T, S>>(body);
  }
  return false;
}

}  // namespace ELMAN_SET
}  // namespace elman
