// The arithmetic of every compiled cell: `step` and, below it, `step_back`.
//
// clang-format off
// Notation, at step t of one sequence (docs/notation.md):
//   x_t   input                         W     weight_ih     b_ih  bias_ih
//   h_t   hidden state                  U     weight_hh     b_hh  bias_hh
//   c_t   cell state                    a_i   pre-activation of gate i
// d* is the gradient of the loss with respect to *.
// clang-format on
//
// `row` holds what one lane reads and writes in one step; `u` is the first of the units to compute and `n` their
// number, at most one register of them. `acc` holds the pre-activations, one register per gate. T is the type of sums
// and state, S that of arrays with a row per step.
#pragma once

#include "vec.h"

namespace elman {
namespace ELMAN_SET {

template <class T, class S>
struct Row {
  const S* x;      // null when `pre` holds W x_t
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

// Loads and stores of the first n units.
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

// The constants of a cell. The product with U has `gates` sums; a GRU has one more sum, that of W_n x_t (`apart`).
// `blocks`: vectors of units in a panel. `straight`: gates whose pre-activation is a single sum of W x_t and U h_{t-1}.
template <class T, class S, int gates_, int blocks_, int saved_gates_, int straight_, bool has_cell_state_>
struct Shape : Units<T> {
  static constexpr int gates = gates_, blocks = blocks_, saved_gates = saved_gates_, straight = straight_;
  static constexpr bool has_cell_state = has_cell_state_;
  static constexpr bool apart = straight < gates;
  static constexpr bool rounds = sizeof(S) < sizeof(T);                   // rows hold less than the state has
  static constexpr bool has_state = has_cell_state || (apart && rounds);  // a state of type T is carried beside h
};

// h_t = tanh(W x_t + b_ih + U h_{t-1} + b_hh)
// h_t = max(0, W x_t + b_ih + U h_{t-1} + b_hh)                                               Elman 1990
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

// clang-format off
// i_t = sigmoid(W_i x_t + b_ih_i + U_i h_{t-1} + b_hh_i)                                      rows i f g o, as torch.nn.LSTM
// f_t = sigmoid(W_f x_t + b_ih_f + U_f h_{t-1} + b_hh_f)
// g_t = tanh   (W_g x_t + b_ih_g + U_g h_{t-1} + b_hh_g)
// o_t = sigmoid(W_o x_t + b_ih_o + U_o h_{t-1} + b_hh_o)
// c_t = f_t * c_{t-1} + i_t * g_t
// h_t = o_t * tanh(c_t)                                       Hochreiter & Schmidhuber 1997, Gers et al. 2000
// clang-format on
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

// clang-format off
// r_t = sigmoid(W_r x_t + b_ih_r + U_r h_{t-1} + b_hh_r)                                      rows r z n, as torch.nn.GRU
// z_t = sigmoid(W_z x_t + b_ih_z + U_z h_{t-1} + b_hh_z)
// n_t = tanh(W_n x_t + b_ih_n + r_t * (U_n h_{t-1} + b_hh_n))                                 Cho et al. 2014 v1
// h_t = (1 - z_t) * n_t + z_t * h_{t-1}
// clang-format on
// The gates are r z n q, q = U_n h_{t-1} + b_hh_n: of their gradients, r z n belong to W and r z q to U.
template <class T, class S>
struct Gru : Shape<T, S, 3, 1, 4, 2, false> {
  using V = Vec<T>;
  using Reg = typename V::Reg;
  using Units<T>::get;
  using Units<T>::put;

  // `from_x` is W_n x_t + b_ih_n.
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
