// The forward pass of a layer: the loop over steps, for any cell of cells.h.
#pragma once

#include "cells.h"
#include "schedule.h"

namespace elman {
namespace ELMAN_SET {

// The packed weights of a layer and the vectors that the sums of a step start from.
template <class Cell, class T, class S>
struct LayerWeights {
  // Without `fused`, W x_t is computed for all steps beforehand.
  LayerWeights(const RecurrentForward<T, S>& f, bool fused)
      : both({f.weight_ih, 1, f.inputs, fused ? f.inputs : 0}, {f.hidden, Cell::gates, f.hidden},
             Cell::gates * Cell::blocks, f.threads, {f.weight_hh, 1, f.outputs, f.outputs}),
        projection({f.weight_hr, 1, f.hidden, f.weight_hr == nullptr ? 0 : f.hidden},
                   {f.weight_hr == nullptr ? 0 : f.outputs, 1, 0}, plain, f.threads),
        sums(Cell::gates * f.hidden),
        bias_q(f.hidden),
        zeros(padded(f)),
        nothing(f.outputs) {
    if (failed()) return;
    fill(zeros.data, T(0), padded(f));
    fill(nothing.data, S{}, f.outputs);
    sum_biases(f);
  }
  bool failed() const {
    return !both.memory.data || !projection.memory.data || !sums.data || !bias_q.data || !zeros.data || !nothing.data;
  }

  const Packed<T, S> both;        // W, and below it U
  const Packed<T, S> projection;  // empty without one
  const Buffer<T> sums;           // b_ih + b_hh, where they can be added before the product
  const Buffer<T> bias_q;         // GRU: b_hh_n, which r multiplies
  const Buffer<T> zeros;
  const Buffer<S> nothing;

 private:
  static int64_t padded(const RecurrentForward<T, S>& f) {
    constexpr int64_t panel = plain * Vec<T>::width;
    return pieces(f.hidden > f.outputs ? f.hidden : f.outputs, panel) * panel;
  }
  void sum_biases(const RecurrentForward<T, S>& f) {
    const int64_t hidden = f.hidden, straight = Cell::straight * hidden, count = Cell::gates * hidden;
    for (int64_t i = 0; i < count; ++i) sums.data[i] = f.bias_ih == nullptr ? T(0) : f.bias_ih[i];
    if (f.bias_hh != nullptr)
      for (int64_t i = 0; i < straight; ++i) sums.data[i] += f.bias_hh[i];
    for (int64_t i = 0; i < hidden; ++i)
      bias_q.data[i] = f.bias_hh == nullptr || straight == count ? T(0) : f.bias_hh[straight + i];
  }
};

// One step of a block of lanes, for the units of one panel: sums, then gates. `fused`: including W x_t.
template <class Cell, class T, class S, int rows, bool save, bool fused>
static void step_block(const Row<T, S>* row, const RecurrentForward<T, S>& f, const LayerWeights<Cell, T, S>& w,
                       int64_t p) {
  using V = Vec<T>;
  using Get = Units<T>;
  constexpr int gates = Cell::gates, blocks = Cell::blocks, vectors = gates * blocks;
  constexpr bool apart = Cell::apart && fused;  // W_n x_t has sums of its own, behind those of the panel
  const int64_t hidden = f.hidden, u0 = p * blocks * V::width;
  const S* a[rows];
  typename V::Reg acc[rows][vectors + (apart ? 1 : 0)];
  for (int m = 0; m < rows; ++m)
    for (int b = 0; b < blocks; ++b) {
      const int64_t u = u0 + b * V::width;
      const int n = static_cast<int>(at_most(V::width, hidden - u));
      const T* from = fused ? w.sums.data : row[m].pre;
      for (int g = 0; g < gates; ++g) {
        const T* start = Cell::apart && g == gates - 1 ? w.bias_q.data : from + g * hidden;
        acc[m][b * gates + g] = n > 0 ? Get::get(start + u, n) : V::all(0);
      }
      if constexpr (apart) acc[m][vectors] = n > 0 ? Get::get(from + (gates - 1) * hidden + u, n) : V::all(0);
    }
  if constexpr (fused) {
    for (int m = 0; m < rows; ++m) a[m] = row[m].x;
    product<S, rows, vectors, vectors, apart ? vectors : vectors - 1>(a, f.inputs, w.both.panel(p), acc);
  }
  for (int m = 0; m < rows; ++m) a[m] = row[m].h_in;
  product<S, rows, vectors>(a, f.outputs, w.both.lower(p), acc);
  for (int m = 0; m < rows; ++m)
    for (int b = 0; b < blocks; ++b) {
      const int64_t u = u0 + b * V::width;
      const int n = static_cast<int>(at_most(V::width, hidden - u));
      if (n <= 0) continue;
      typename V::Reg from_x = V::all(0);
      if constexpr (apart)
        from_x = acc[m][vectors];
      else if constexpr (Cell::apart)
        from_x = Get::get(row[m].pre + (gates - 1) * hidden + u, n);
      Cell::template step<save>(row[m], hidden, u, n, &acc[m][b * gates], from_x);
    }
}

// One step of `count` lanes, for the panels [first, last). Panels are the outer loop: each is read from memory once and
// used by every lane.
template <class Cell, class T, class S, bool save, bool fused>
static void step_lanes(const Row<T, S>* row, int count, const RecurrentForward<T, S>& f,
                       const LayerWeights<Cell, T, S>& w, int64_t first, int64_t last) {
  constexpr int most = block_rows<Cell::gates * Cell::blocks + (Cell::apart && fused ? 1 : 0)>;
  for (int64_t p = first; p < last; ++p)
    in_blocks<most>(
        count, [&](int m, auto rows) { step_block<Cell, T, S, decltype(rows)::value, save, fused>(row + m, f, w, p); });
}

// out[i] = keep[i] before[i] + (1 - keep[i]) fresh[i]
template <class T>
static void blend(T* out, const T* keep, const T* before, const T* fresh, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = keep[i] * before[i] + (T(1) - keep[i]) * fresh[i];
}

// The position of a lane and its own memory, which moves with it when lanes are compacted.
template <class T, class S>
struct Walk {
  Lane lane;
  const S* h;  // the last row of h, or where the sequence starts from
  const T* state;
  S* start;                          // [P]     h0 in the type of rows
  T* carry;                          // [H]     c, or a GRU's h, from step to step
  T* fresh_h;                        // [H]     modifiers and projections only, and those below
  T* fresh_c;                        // [H]
  T* decayed;                        // [P]
  T* dropped;                        // [P]
  static constexpr int64_t own = 5;  // vectors of T
};

template <class Cell, class T, class S, bool save, bool fused>
struct ForwardLanes {
  const RecurrentForward<T, S>& f;
  const LayerWeights<Cell, T, S>& w;
  Walker walker;
  Walk<T, S> walk[most_lanes];
  Row<T, S> row[most_lanes];
  int active = 0;
  const bool special;  // modifiers or a projection

  ForwardLanes(const RecurrentForward<T, S>& forward, const LayerWeights<Cell, T, S>& weights, const Walker& mine,
               int lanes, T* work, S* starts)
      : f(forward), w(weights), walker(mine), special(is_special(forward)) {
    const int64_t wide = f.hidden > f.outputs ? f.hidden : f.outputs;
    for (int m = 0; m < lanes; ++m) {
      T* own = work + m * Walk<T, S>::own * wide;
      walk[m].start = starts + m * f.outputs;
      walk[m].carry = own;
      walk[m].fresh_h = own + wide;
      walk[m].fresh_c = own + 2 * wide;
      walk[m].decayed = own + 3 * wide;
      walk[m].dropped = own + 4 * wide;
    }
    while (active < lanes && begin(walk[active])) ++active;
    while (active > 0) {
      for (int m = 0; m < active; ++m) prepare(m);
      const int64_t panels = w.both.panels;
      walker.team->run([&](int share) {
        step_lanes<Cell, T, S, save, fused>(row, active, f, w, walker.first(panels, share), walker.last(panels, share));
      });
      if (special)
        for (int m = 0; m < active; ++m) finish(m);
      advance();
    }
  }

  static bool is_special(const RecurrentForward<T, S>& f) {
    const RecurrenceModifiers<T>& e = f.modifiers;
    return f.weight_hr != nullptr || e.decay != nullptr || e.drop != nullptr || e.keep != nullptr ||
           e.keep_cell != nullptr;
  }

  template <class From>
  static void end(T* to, const From* from, int64_t sequence, int64_t width) {
    for (int64_t u = 0; u < width; u += Vec<T>::width) {
      const int n = static_cast<int>(at_most(Vec<T>::width, width - u));
      const auto value = from == nullptr ? Vec<T>::all(0) : Units<T>::get(from + u, n);
      Units<T>::put(to + sequence * width + u, value, n);
    }
  }

  // The lane starts the next sequence that has steps; false when there is none.
  bool begin(Walk<T, S>& lane) {
    int64_t s;
    while (walker.next(f.ragged, &s)) {
      const int64_t first = f.ragged.offsets[s], last = f.ragged.offsets[s + 1];
      const T* h0 = f.h0 == nullptr ? nullptr : f.h0 + s * f.outputs;
      const T* c0 = f.c0 == nullptr ? nullptr : f.c0 + s * f.hidden;
      if (first == last) {
        end(f.h_last, h0, s, f.outputs);
        if constexpr (Cell::has_cell_state) end(f.c_last, c0, s, f.hidden);
        continue;
      }
      lane.lane = {s, f.reverse ? last - 1 : first, last - first};
      if constexpr (Cell::rounds) {
        for (int64_t u = 0; u < f.outputs; ++u) lane.start[u] = h0 == nullptr ? S{} : Operand<S>::from(h0[u]);
        lane.h = lane.start;
      } else {
        lane.h = h0 == nullptr ? w.nothing.data : h0;
      }
      const T* state = Cell::has_cell_state ? c0 : h0;
      lane.state = state == nullptr ? w.zeros.data : state;
      return true;
    }
    return false;
  }

  void prepare(int m) {
    Walk<T, S>& lane = walk[m];
    const int64_t t = lane.lane.step, at = f.index == nullptr ? t : f.index[t], width = Cell::saved_gates * f.hidden;
    Row<T, S>& r = row[m];
    r.gates = save ? f.gates + t * width : nullptr;
    r.h_in = lane.h;
    r.state = lane.state;
    r.h = f.y + t * f.outputs;
    if constexpr (fused) {
      r.x = f.x + at * f.x_stride;
    } else {
      r.pre = f.pre_activations + at * f.pre_stride;
      if constexpr (!Cell::rounds && !Cell::has_cell_state) r.state = lane.h;
    }
    if constexpr (Cell::has_state)
      r.next_state = save && Cell::has_cell_state ? f.cell_states + t * f.hidden : lane.carry;
    if constexpr (!Cell::rounds) {
      if (special) divert(lane, r, t);
    }
  }

  // Modifiers: changes what the step reads, and redirects what it writes.
  void divert(Walk<T, S>& lane, Row<T, S>& r, int64_t t) {
    if (f.modifiers.decay != nullptr) {
      const T* decay = f.modifiers.decay + t * f.outputs;
      for (int64_t u = 0; u < f.outputs; ++u) lane.decayed[u] = decay[u] * lane.h[u];
      r.h_in = lane.decayed;
      if constexpr (!Cell::has_cell_state) r.state = lane.decayed;
    }
    if (f.modifiers.drop != nullptr) {
      const T* drop = f.modifiers.drop + lane.lane.sequence * f.outputs;
      for (int64_t u = 0; u < f.outputs; ++u) lane.dropped[u] = drop[u] * r.h_in[u];
      r.h_in = lane.dropped;
    }
    if (f.weight_hr != nullptr || f.modifiers.keep != nullptr) r.h = lane.fresh_h;
    if constexpr (Cell::saved_gates == 1 && save)  // backward needs h_t before zoneout
      if (f.modifiers.keep != nullptr) r.h = r.gates;
    if (Cell::has_cell_state && f.modifiers.keep_cell != nullptr) r.next_state = lane.fresh_c;
  }

  // Modifiers: projects what the step wrote, or blends it with the state before.
  void finish(int m) {
    if constexpr (!Cell::rounds) {
      const Walk<T, S>& lane = walk[m];
      Row<T, S>& r = row[m];
      const int64_t t = lane.lane.step;
      T* h = f.y + t * f.outputs;
      const T* before = f.modifiers.decay != nullptr ? lane.decayed : lane.h;
      if (f.weight_hr != nullptr) {
        T* projected = f.modifiers.keep != nullptr ? lane.dropped : h;
        linear_rows(r.h, 0, f.hidden, w.projection, w.zeros.data, projected, 0, f.outputs, 0, 1);
        r.h = projected;
      }
      if (f.modifiers.keep != nullptr) {
        blend(h, f.modifiers.keep + t * f.modifiers.keep_stride, before, r.h, f.outputs);
        r.h = h;
      }
      if (Cell::has_cell_state && f.modifiers.keep_cell != nullptr) {
        T* c = save ? f.cell_states + t * f.hidden : lane.carry;
        blend(c, f.modifiers.keep_cell + t * f.modifiers.keep_cell_stride, lane.state, r.next_state, f.hidden);
        r.next_state = c;
      }
    }
  }

  // Advances every lane; where a sequence has ended, the next one starts, or the lanes are compacted.
  void advance() {
    for (int m = 0; m < active;) {
      Walk<T, S>& lane = walk[m];
      lane.h = row[m].h;
      if constexpr (Cell::has_state) lane.state = row[m].next_state;
      lane.lane.step += f.reverse ? -1 : 1;
      if (--lane.lane.left > 0) {
        ++m;
        continue;
      }
      const int64_t s = lane.lane.sequence;
      if constexpr (Cell::rounds && !Cell::has_cell_state && Cell::has_state)
        end(f.h_last, lane.state, s, f.outputs);
      else
        end(f.h_last, lane.h, s, f.outputs);
      if constexpr (Cell::has_cell_state) end(f.c_last, lane.state, s, f.hidden);
      if (begin(lane)) {
        ++m;
        continue;
      }
      --active;
      const Walk<T, S> ended = lane;
      lane = walk[active];
      row[m] = row[active];
      walk[active] = ended;
    }
  }
};

template <class Cell, class T, class S, bool fused>
static bool forward_cell(const RecurrentForward<T, S>& f) {
  const LayerWeights<Cell, T, S> w(f, fused);
  const bool special = ForwardLanes<Cell, T, S, true, fused>::is_special(f);
  const Plan plan = plan_for(f.ragged, f.threads, f.hidden, special ? 0 : work_of<Cell>(f));
  const int64_t wide = f.hidden > f.outputs ? f.hidden : f.outputs, own = Walk<T, S>::own * wide * plan.lanes;
  const Buffer<T> work(plan.teams * own);
  const Buffer<S> starts(plan.teams * plan.lanes * f.outputs);
  if (w.failed() || !work.data || !starts.data) return false;
  if constexpr (!fused) {
    if (!multiply<T, S, T>({f.threads,
                            f.x_rows,
                            f.inputs,
                            Cell::gates * f.hidden,
                            f.x,
                            f.x_stride,
                            f.weight_ih,
                            {f.inputs, 1},
                            w.sums.data,
                            f.pre_activations,
                            f.pre_stride,
                            nullptr}))
      return false;
  }
  in_teams(plan, [&](const Walker& walker, int team) {
    T* own_work = work.data + team * own;
    S* own_starts = starts.data + team * plan.lanes * f.outputs;
    if (f.save)
      ForwardLanes<Cell, T, S, true, fused>(f, w, walker, plan.lanes, own_work, own_starts);
    else
      ForwardLanes<Cell, T, S, false, fused>(f, w, walker, plan.lanes, own_work, own_starts);
  });
  return true;
}

}  // namespace ELMAN_SET
}  // namespace elman
