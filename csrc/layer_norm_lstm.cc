// The layer-normalised LSTM. Compiled once for each instruction set.
//
// The gates of a step need the mean and the variance of its whole row of sums, so keeping sums in registers, as
// forward.h does, would gain nothing: the product of all lanes is written to rows, and each row is then processed by
// itself. Backward computes the gates again from those rows.
#include "cells.h"
#include "schedule.h"

// After the headers above, so that no inline function of theirs is compiled with this file's flags under a shared name.
#include "api.h"

namespace elman {
namespace ELMAN_SET {
namespace {

constexpr double epsilon = 1e-5;  // added to a variance

template <class T, class Body>
ELMAN_INLINE void over(int64_t count, const Body& body) {
  for (int64_t u = 0; u < count; u += Vec<T>::width) body(u, static_cast<int>(at_most(Vec<T>::width, count - u)));
}

// The sum of the numbers in a register, in their order.
template <class T>
ELMAN_INLINE T total(typename Vec<T>::Reg sums) {
  T each[Vec<T>::width];
  Vec<T>::store(each, sums);
  T sum = each[0];
  for (int i = 1; i < Vec<T>::width; ++i) sum += each[i];
  return sum;
}

// to = (from - mean) / sqrt(variance + epsilon); returns what the difference is multiplied by.
template <class T>
T standardise(T* to, const T* from, int64_t count) {
  using V = Vec<T>;
  using U = Units<T>;
  const T each = T(1) / static_cast<T>(count);
  auto sum = V::all(T(0)), squares = V::all(T(0));
  over<T>(count, [&](int64_t u, int n) ELMAN_LAMBDA { sum = sum + U::get(from + u, n); });
  const auto mean = V::all(total<T>(sum) * each);
  over<T>(count, [&](int64_t u, int n) ELMAN_LAMBDA {
    U::put(to + u, U::get(from + u, n) - mean, n);
    const auto centred = U::get(to + u, n);  // zeros past the end
    squares = V::fma(centred, centred, squares);
  });
  const T scale = static_cast<T>(1 / __builtin_sqrt(static_cast<double>(total<T>(squares) * each) + epsilon));
  over<T>(count, [&](int64_t u, int n) ELMAN_LAMBDA { U::put(to + u, U::get(to + u, n) * V::all(scale), n); });
  return scale;
}

// `d`, the gradient of a standardised row `made`, becomes that of the row it was made from.
template <class T>
void standardise_back(T* d, const T* made, T scale, int64_t count) {
  using V = Vec<T>;
  using U = Units<T>;
  const T each = T(1) / static_cast<T>(count);
  auto sum = V::all(T(0)), along = V::all(T(0));
  over<T>(count, [&](int64_t u, int n) ELMAN_LAMBDA {
    const auto here = U::get(d + u, n);
    sum = sum + here;
    along = V::fma(here, U::get(made + u, n), along);
  });
  const auto mean = V::all(total<T>(sum) * each), slope = V::all(total<T>(along) * each);
  over<T>(count, [&](int64_t u, int n) ELMAN_LAMBDA {
    U::put(d + u, (U::get(d + u, n) - mean - U::get(made + u, n) * slope) * V::all(scale), n);
  });
}

template <class T>
ELMAN_INLINE void add(T* to, typename Vec<T>::Reg a, int n) {
  Units<T>::put(to, Units<T>::get(to, n) + a, n);
}

template <class T>
ELMAN_INLINE typename Vec<T>::Reg get_or_zero(const T* p, int64_t u, int n) {
  return p == nullptr ? Vec<T>::all(T(0)) : Units<T>::get(p + u, n);
}

// The rows that one step is made of, in work space.
template <class T>
struct Scratch {
  Scratch(T* work, int64_t hidden)
      : from_x(work), from_h(work + 4 * hidden), gates(work + 8 * hidden), shown(work + 12 * hidden) {}
  static constexpr int64_t own = 13;  // times H
  T *from_x, *from_h;                 // [4 H] W x_t and U h_{t-1}, standardised
  T* gates;                           // [4 H] i f g o; on the way back the gradients of their pre-activations
  T* shown;                           // [H]   c_t, standardised
};

// i, f, o = sigmoid(a), g = tanh(a),  a = gain_ih |W x_t| + gain_hh |U h_{t-1}| + b              rows i f g o
// c_t = f c_{t-1} + i g,  h_t = o tanh(gain_c |c_t| + b_c)                  |.| standardised;  Ba et al. 2016
template <class T>
struct LayerNormLstm : Units<T> {
  using V = Vec<T>;
  using Reg = typename V::Reg;
  using Units<T>::get;
  using Units<T>::put;

  static void make_gates(const LayerNormWeights<T>& w, const Scratch<T>& s, int64_t hidden) {
    over<T>(4 * hidden, [&](int64_t u, int n) ELMAN_LAMBDA {
      const Reg of_h = V::fma(get(w.gain_hh + u, n), get(s.from_h + u, n), get_or_zero(w.bias, u, n));
      put(s.gates + u, V::fma(get(w.gain_ih + u, n), get(s.from_x + u, n), of_h), n);
    });
    over<T>(hidden, [&](int64_t u, int n) ELMAN_LAMBDA {
      for (int gate = 0; gate < 4; ++gate) {
        T* a = s.gates + gate * hidden + u;
        put(a, gate == 2 ? tanh(get(a, n)) : sigmoid<T>(get(a, n)), n);
      }
    });
  }

  // `h` and `c` move on by a step.
  static void step(const LayerNormLstmForward<T>& p, const Scratch<T>& s, int64_t t, const T* sums, T* h, T* c) {
    const int64_t hidden = p.hidden;
    standardise(s.from_x, p.gates + t * p.stride, 4 * hidden);
    standardise(s.from_h, sums, 4 * hidden);
    make_gates(p.weights, s, hidden);
    over<T>(hidden, [&](int64_t u, int n) ELMAN_LAMBDA {
      const Reg i = get(s.gates + u, n), f = get(s.gates + hidden + u, n), g = get(s.gates + 2 * hidden + u, n);
      put(c + u, V::fma(f, get(c + u, n), i * g), n);
    });
    standardise(s.shown, c, hidden);
    over<T>(hidden, [&](int64_t u, int n) ELMAN_LAMBDA {
      const Reg a =
          V::fma(get(p.weights.gain_cell + u, n), get(s.shown + u, n), get_or_zero(p.weights.bias_cell, u, n));
      put(h + u, get(s.gates + 3 * hidden + u, n) * tanh(a), n);
    });
  }

  // `dh` is read; `dc` moves back by a step; gradients of W x_t and of U h_{t-1} are written, those of vectors added.
  static void step_back(const LayerNormLstmBackward<T>& p, const Scratch<T>& s, int64_t t, const T* c_before,
                        const T* dh, T* dc, T* d_sums, T* vectors) {
    const int64_t hidden = p.hidden, all = 4 * hidden;
    const LayerNormWeights<T>& w = p.weights;
    const T scale_x = standardise(s.from_x, p.gates + t * p.stride, all);
    const T scale_h = standardise(s.from_h, p.sums + t * all, all);
    const T scale_c = standardise(s.shown, p.cell_states + t * hidden, hidden);
    make_gates(w, s, hidden);
    T *d_gates = p.d_gates + t * all, *i = s.gates, *f = i + hidden, *g = f + hidden, *o = g + hidden;
    T *d_gain_cell = vectors + 3 * all, *d_bias_cell = d_gain_cell + hidden, *d_shown = d_sums;
    const T* dy = p.dy == nullptr ? nullptr : p.dy + t * p.dy_stride;
    const Reg one = V::all(T(1));
    over<T>(hidden, [&](int64_t u, int n) ELMAN_LAMBDA {
      const Reg shown = get(s.shown + u, n), gain = get(w.gain_cell + u, n), open = get(o + u, n);
      const Reg tanh_c = tanh(V::fma(gain, shown, get_or_zero(w.bias_cell, u, n)));
      const Reg d = get(dh + u, n) + get_or_zero(dy, u, n), da = d * open * (one - tanh_c * tanh_c);
      put(o + u, d * tanh_c * open * (one - open), n);
      add(d_gain_cell + u, da * shown, n);
      add(d_bias_cell + u, da, n);
      put(d_shown + u, da * gain, n);
    });
    standardise_back(d_shown, s.shown, scale_c, hidden);
    over<T>(hidden, [&](int64_t u, int n) ELMAN_LAMBDA {
      const Reg d = get(dc + u, n) + get(d_shown + u, n);
      const Reg write = get(i + u, n), stay = get(f + u, n), candidate = get(g + u, n);
      put(i + u, d * candidate * write * (one - write), n);
      put(f + u, d * get_or_zero(c_before, u, n) * stay * (one - stay), n);
      put(g + u, d * write * (one - candidate * candidate), n);
      put(dc + u, d * stay, n);
    });
    over<T>(all, [&](int64_t u, int n) ELMAN_LAMBDA {
      const Reg da = get(s.gates + u, n);
      add(vectors + u, da * get(s.from_x + u, n), n);
      add(vectors + all + u, da * get(s.from_h + u, n), n);
      add(vectors + 2 * all + u, da, n);
      put(d_gates + u, da * get(w.gain_ih + u, n), n);
      put(d_sums + u, da * get(w.gain_hh + u, n), n);
    });
    standardise_back(d_gates, s.from_x, scale_x, all);
    standardise_back(d_sums, s.from_h, scale_h, all);
  }
};

// Processes sequences in lanes, each from its first step to its last or in reverse. Lane m begins a sequence with
// begin(m, sequence) and ends it with end(m, sequence); steps(lane, active) takes a step of every lane; move(from, to)
// compacts them.
template <class Begin, class Steps, class End, class Move>
void walk_lanes(const RaggedView& ragged, const Walker& walker, int lanes, bool from_last, const Begin& begin,
                const Steps& steps, const End& end, const Move& move) {
  Lane lane[most_lanes];
  int active = 0;
  const auto next = [&](int m) {
    for (int64_t s; walker.next(ragged, &s);) {
      const int64_t first = ragged.offsets[s], last = ragged.offsets[s + 1];
      begin(m, s);
      lane[m] = {s, from_last ? last - 1 : first, last - first};
      if (first < last) return true;
      end(m, s);
    }
    return false;
  };
  while (active < lanes && next(active)) ++active;
  while (active > 0) {
    steps(lane, active);
    for (int m = 0; m < active;) {
      lane[m].step += from_last ? -1 : 1;
      if (--lane[m].left > 0) {
        ++m;
        continue;
      }
      end(m, lane[m].sequence);
      if (next(m)) {
        ++m;
        continue;
      }
      --active;
      lane[m] = lane[active];
      move(active, m);
    }
  }
}

template <class T>
void start(T* to, const T* from, int64_t sequence, int64_t width) {
  if (from == nullptr)
    fill(to, T(0), width);
  else
    copy(to, from + sequence * width, width);
}

template <class T>
int64_t padded(int64_t columns) {
  return pieces(columns, plain * Vec<T>::width) * plain * Vec<T>::width;
}

template <class T>
bool forward_lanes(const LayerNormLstmForward<T>& p) {
  const int64_t hidden = p.hidden, all = 4 * hidden;
  const Packed<T> weight({p.weights.weight_hh, 1, hidden, hidden}, {all, 1, 0}, plain, p.threads);
  const Plan plan = plan_for(p.ragged, p.threads, hidden, 0);
  const int64_t own = (Scratch<T>::own + 6 * plan.lanes) * hidden;
  const Buffer<T> zeros(padded<T>(all)), work(plan.teams * own);
  if (!weight.memory.data || !zeros.data || !work.data) return false;
  fill(zeros.data, T(0), padded<T>(all));
  in_teams(plan, [&](const Walker& walker, int team) {
    const Scratch<T> scratch(work.data + team * own, hidden);
    T *h = work.data + team * own + Scratch<T>::own * hidden, *c = h + plan.lanes * hidden;
    T* sums = c + plan.lanes * hidden;  // [lanes, 4 H]
    walk_lanes(
        p.ragged, walker, plan.lanes, p.reverse,
        [&](int m, int64_t s) {
          start(h + m * hidden, p.h0, s, hidden);
          start(c + m * hidden, p.c0, s, hidden);
        },
        [&](const Lane* lane, int active) {
          linear_rows(h, hidden, hidden, weight, zeros.data, sums, all, all, 0, active);
          for (int m = 0; m < active; ++m) {
            const int64_t t = lane[m].step;
            LayerNormLstm<T>::step(p, scratch, t, sums + m * all, h + m * hidden, c + m * hidden);
            copy(p.y + t * hidden, h + m * hidden, hidden);
            if (p.sums == nullptr) continue;
            copy(p.sums + t * all, sums + m * all, all);
            copy(p.cell_states + t * hidden, c + m * hidden, hidden);
          }
        },
        [&](int m, int64_t s) {
          copy(p.h_last + s * hidden, h + m * hidden, hidden);
          copy(p.c_last + s * hidden, c + m * hidden, hidden);
        },
        [&](int from, int to) {
          if (from == to) return;
          copy(h + to * hidden, h + from * hidden, hidden);
          copy(c + to * hidden, c + from * hidden, hidden);
        });
  });
  return true;
}

// Gradients of vectors are sums over steps within each sequence, then over sequences, both in their order.
template <class T>
bool back_lanes(const LayerNormLstmBackward<T>& p) {
  const int64_t hidden = p.hidden, all = 4 * hidden, width = 14 * hidden, sequences = p.ragged.sequences;
  const Packed<T> weight({p.weights.weight_hh, hidden, 1, all}, {hidden, 1, 0}, plain, p.threads);
  const Plan plan = plan_for(p.ragged, p.threads, hidden, 0);
  const int64_t own = (Scratch<T>::own + (6 + 14) * plan.lanes) * hidden;
  const Buffer<T> zeros(padded<T>(hidden)), work(plan.teams * own), vectors(sequences * width);
  if (!weight.memory.data || !zeros.data || !work.data || !vectors.data) return false;
  fill(zeros.data, T(0), padded<T>(hidden));
  in_teams(plan, [&](const Walker& walker, int team) {
    const Scratch<T> scratch(work.data + team * own, hidden);
    T *dh = work.data + team * own + Scratch<T>::own * hidden, *dc = dh + plan.lanes * hidden;
    T* d_sums = dc + plan.lanes * hidden;      // [lanes, 4 H]
    T* d_vectors = d_sums + plan.lanes * all;  // [lanes, 14 H] of the last steps
    walk_lanes(
        p.ragged, walker, plan.lanes, !p.reverse,
        [&](int m, int64_t s) {
          start(dh + m * hidden, p.dh_last, s, hidden);
          start(dc + m * hidden, p.dc_last, s, hidden);
          fill(d_vectors + m * width, T(0), width);
          fill(vectors.data + s * width, T(0), width);
        },
        [&](const Lane* lane, int active) {
          for (int m = 0; m < active; ++m) {
            const int64_t t = lane[m].step, s = lane[m].sequence, before = p.reverse ? t + 1 : t - 1;
            const T* c0 = p.c0 == nullptr ? nullptr : p.c0 + s * hidden;
            LayerNormLstm<T>::step_back(p, scratch, t, lane[m].left == 1 ? c0 : p.cell_states + before * hidden,
                                        dh + m * hidden, dc + m * hidden, d_sums + m * all, d_vectors + m * width);
            copy(p.d_sums + t * all, d_sums + m * all, all);
            if ((lane[m].left - 1) % summed_steps == 0)
              carry_over(vectors.data + s * width, d_vectors + m * width, width);
          }
          linear_rows(d_sums, all, all, weight, zeros.data, dh, hidden, hidden, 0, active);
        },
        [&](int m, int64_t s) {
          copy(p.dh0 + s * hidden, dh + m * hidden, hidden);
          copy(p.dc0 + s * hidden, dc + m * hidden, hidden);
        },
        [&](int from, int to) {
          if (from == to) return;
          copy(dh + to * hidden, dh + from * hidden, hidden);
          copy(dc + to * hidden, dc + from * hidden, hidden);
          copy(d_vectors + to * width, d_vectors + from * width, width);
        });
  });
  return sum_rows(p.d_vectors, vectors.data, sequences, width);
}

}  // namespace

void layer_norm_lstm_forward(const LayerNormLstmForward<float>& p);
void layer_norm_lstm_forward(const LayerNormLstmForward<float>& p) { *p.failed = !forward_lanes(p); }
void layer_norm_lstm_forward(const LayerNormLstmForward<double>& p);
void layer_norm_lstm_forward(const LayerNormLstmForward<double>& p) { *p.failed = !forward_lanes(p); }
void layer_norm_lstm_backward(const LayerNormLstmBackward<float>& p);
void layer_norm_lstm_backward(const LayerNormLstmBackward<float>& p) { *p.failed = !back_lanes(p); }
void layer_norm_lstm_backward(const LayerNormLstmBackward<double>& p);
void layer_norm_lstm_backward(const LayerNormLstmBackward<double>& p) { *p.failed = !back_lanes(p); }

}  // namespace ELMAN_SET
}  // namespace elman
