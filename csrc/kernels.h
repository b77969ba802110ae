// The functions of a table, for one pair of types: kernel_table.cc makes them for float32 and float64,
// kernel_table_bf16.cc for bfloat16.
#pragma once

#include "backward.h"
#include "forward.h"
#include "weight_gradient.h"

namespace elman {
namespace ELMAN_SET {

template <class T, class S>
static void recurrent_forward(const RecurrentForward<T, S>& f) {
  *f.failed = !with_cell<T, S>(f.kind, [&](auto type) {
    using Cell = typename decltype(type)::type;
    if constexpr (Cell::rounds) {
      if (f.pre_activations == nullptr) return forward_cell<Cell, T, S, true>(f);
    }
    return forward_cell<Cell, T, S, false>(f);
  });
}

template <class T, class S>
static void recurrent_backward(const RecurrentBackward<T, S>& b) {
  *b.failed = !with_cell<T, S>(b.kind, [&](auto type) { return backward_cell<typename decltype(type)::type>(b); });
}

template <class T, class S>
static void recurrent_weight_gradient(const RecurrentWeightGradient<T, S>& g) {
  *g.failed = !with_cell<T, S>(g.kind, [&](auto type) { return gradient_cell<typename decltype(type)::type>(g); });
}

template <class T, class S>
static void linear(const Linear<T, S, S>& l) {
  *l.failed = !multiply(l);
}

template <class T, class S>
static void outer(const Outer<T, S>& o) {
  *o.failed = !outer_product(o);
}

template <class T, class S>
static void collect(const Collect<T, S>& c) {
  *c.failed = !collect_rows(c);
}

template <class T, class S>
constexpr Kernels<T, S> kernels() {
  return {recurrent_forward<T, S>,
          recurrent_backward<T, S>,
          recurrent_weight_gradient<T, S>,
          linear<T, S>,
          outer<T, S>,
          collect<T, S>};
}

}  // namespace ELMAN_SET
}  // namespace elman
