// The functions of a table, for one pair of types: recur.cc makes them for float32 and float64, half.cc for bfloat16.
#pragma once

#include "backward.h"
#include "forward.h"
#include "outer.h"

namespace elman {
namespace ELMAN_SET {

template <class Cell>
struct Type {
  using type = Cell;
};

// body(Type<the struct of cells.h for this kind>)
template <class T, class S, class Body>
static bool with_cell(Kind kind, const Body& body) {
  switch (kind) {
    case Kind::rnn_tanh: return body(Type<Rnn<T, S, false>>());
    case Kind::rnn_relu: return body(Type<Rnn<T, S, true>>());
    case Kind::lstm: return body(Type<Lstm<T, S>>());
    case Kind::gru: return body(Type<Gru<T, S>>());
  }
  return false;
}

template <class T, class S>
static void forward(const Forward<T, S>& f) {
  *f.failed = !with_cell<T, S>(f.kind, [&](auto type) {
    using Cell = typename decltype(type)::type;
    if constexpr (Cell::rounds) {
      if (f.table == nullptr) return forward_cell<Cell, T, S, true>(f);
    }
    return forward_cell<Cell, T, S, false>(f);
  });
}

template <class T, class S>
static void backward(const Backward<T, S>& b) {
  *b.failed = !with_cell<T, S>(b.kind, [&](auto type) { return backward_cell<typename decltype(type)::type>(b); });
}

template <class T, class S>
static void gradient(const Gradient<T, S>& g) {
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
  return {forward<T, S>, backward<T, S>, gradient<T, S>, linear<T, S>, outer<T, S>, collect<T, S>};
}

}  // namespace ELMAN_SET
}  // namespace elman
