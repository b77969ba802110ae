// The backward pass of a layer, step by step: from the gradients of y and of the last state to those of the
// pre-activations.
#pragma once

#include "cells.h"
#include "schedule.h"

namespace elman {
namespace ELMAN_SET {

// target += (gradients of the pre-activations) U, for a block of lanes and the columns of one panel
template <class Cell, class T, class S, int rows, int vectors>
static void back_block(const S* const* d_gates, T* const* target, const RecurrentBackward<T, S>& b,
                       const Packed<T, S>& packed, int64_t p) {
  using V = Vec<T>;
  using U = Units<T>;
  const int64_t u0 = p * plain * V::width, straight = Cell::straight * b.hidden;
  const S* a[rows];
  typename V::Reg acc[rows][vectors];
  const auto exist = [&](int v) { return static_cast<int>(at_most(V::width, b.outputs - u0 - v * V::width)); };
  for (int m = 0; m < rows; ++m)
    for (int v = 0; v < vectors; ++v)
      acc[m][v] = exist(v) > 0 ? U::get(target[m] + u0 + v * V::width, exist(v)) : V::all(0);
  for (int m = 0; m < rows; ++m) a[m] = d_gates[m];
  product<S, rows, vectors, plain>(a, straight, packed.panel(p), acc);
  if constexpr (Cell::apart) {  // GRU: U_n meets q, which lies behind n
    for (int m = 0; m < rows; ++m) a[m] = d_gates[m] + straight + b.hidden;
    product<S, rows, vectors, plain>(a, b.hidden, packed.lower(p), acc);
  }
  for (int m = 0; m < rows; ++m)
    for (int v = 0; v < vectors; ++v)
      if (exist(v) > 0) U::put(target[m] + u0 + v * V::width, acc[m][v], exist(v));
}

// The position of a lane and its own memory, which moves with it when lanes are compacted.
template <class T, class S>
struct WalkBack {
  Lane lane;
  S* start;                          // [P]  h0 in the type of rows
  T* dh;                             // [P]  gradient of h_t, then of h_{t-1}
  T* dc;                             // [H]
  T* inner;                          // [H]  gradient of h_t before the projection
  T* past;                           // [P]  modifiers: the part of dh that bypasses the step
  T* past_cell;                      // [H]
  T* before;                         // [P]  h_{t-1} after the decay
  static constexpr int64_t own = 6;  // vectors of T
};

template <class Cell, class T, class S>
struct BackwardLanes {
  const RecurrentBackward<T, S>& b;
  const Packed<T, S>& packed;      // U, its rows as columns
  const Packed<T, S>& projection;  // weight_hr likewise; empty without one
  const T* zeros;
  const S* nothing;
  Walker walker;
  WalkBack<T, S> walk[most_lanes];
  RowBack<T, S> row[most_lanes];
  int active = 0;
  const bool special;  // modifiers or a projection

  // The product of the current step: rows of d_gates, and the rows that it is added to.
  const S* d_gates[most_lanes];
  T* target[most_lanes];
  int rows = 0;
  // The lanes whose sequence ends with it, and the sequence that starts there; -1: none.
  struct Ending {
    int64_t sequence, next;
    T *dh, *dc;
  };
  Ending ending[most_lanes];
  int endings = 0;

  static bool is_special(const RecurrentBackward<T, S>& b) {
    const RecurrenceModifiers<T>& e = b.modifiers;
    return b.weight_hr != nullptr || e.decay != nullptr || e.drop != nullptr || e.keep != nullptr ||
           e.keep_cell != nullptr;
  }

  BackwardLanes(const RecurrentBackward<T, S>& backward, const Packed<T, S>& weights, const Packed<T, S>& projected,
                const T* zero, const S* none, const Walker& mine, int lanes, T* work, S* starts)
      : b(backward),
        packed(weights),
        projection(projected),
        zeros(zero),
        nothing(none),
        walker(mine),
        special(is_special(backward)) {
    const int64_t wide = b.hidden > b.outputs ? b.hidden : b.outputs;
    for (int m = 0; m < lanes; ++m) {
      T* own = work + m * WalkBack<T, S>::own * wide;
      walk[m].start = starts + m * b.outputs;
      walk[m].dh = own;
      walk[m].dc = own + wide;
      walk[m].inner = own + 2 * wide;
      walk[m].past = own + 3 * wide;
      walk[m].past_cell = own + 4 * wide;
      walk[m].before = own + 5 * wide;
    }
    while (active < lanes && begin(walk[active])) {
      load(walk[active].dh, walk[active].dc, walk[active].lane.sequence, 0, b.outputs, 0, b.hidden);
      ++active;
    }
    for (int m = 0; m < active; ++m) prepare(m);
    walker.team->run([&](int share) { gates(share); });
    while (active > 0) special ? special_step() : step();
  }

  // A share computes the product of a step and then the gates of the step before it, which need the same units. So the
  // lanes advance first, and the operands of the product are kept.
  void step() {
    keep_product();
    advance();
    for (int m = 0; m < active; ++m) prepare(m);
    walker.team->run([&](int share) {
      multiply(share);
      end_lanes(share);
      gates(share);
    });
  }

  void special_step() {
    keep_product();
    for (int m = 0; m < active; ++m) set_past_aside(m);
    multiply(0);
    for (int m = 0; m < active; ++m) finish(m);
    advance();
    end_lanes(0);
    for (int m = 0; m < active; ++m) prepare(m);
    gates(0);
  }

  void keep_product() {
    rows = active;
    for (int m = 0; m < active; ++m) {
      d_gates[m] = row[m].d_gates;
      target[m] = walk[m].dh;
    }
  }

  // The units of `width` whose gradients a share computes: those of its panels of columns.
  int64_t first_unit(int share) const { return walker.first(packed.panels, share) * plain * Vec<T>::width; }
  int64_t last_unit(int share, int64_t width) const {
    return share + 1 == walker.team->size() ? width : walker.last(packed.panels, share) * plain * Vec<T>::width;
  }

  static void pass(T* to, const T* from, int64_t first, int64_t last) {
    if (from == nullptr)
      fill(to + first, T(0), last - first);
    else
      copy(to + first, from + first, last - first);
  }

  // The gradient of the last state of a sequence, for the units [first, last) of h and of c.
  void load(T* dh, T* dc, int64_t s, int64_t first, int64_t last, int64_t first_c, int64_t last_c) const {
    pass(dh, b.dh_last == nullptr ? nullptr : b.dh_last + s * b.outputs, first, last);
    if constexpr (Cell::has_cell_state)
      pass(dc, b.dc_last == nullptr ? nullptr : b.dc_last + s * b.hidden, first_c, last_c);
  }

  // The lane starts the next sequence that has steps; false when there is none.
  bool begin(WalkBack<T, S>& lane) {
    int64_t s;
    while (walker.next(b.ragged, &s)) {
      const int64_t first = b.ragged.offsets[s], last = b.ragged.offsets[s + 1];
      if (first == last) {
        load(b.dh0 + s * b.outputs, Cell::has_cell_state ? b.dc0 + s * b.hidden : nullptr, s, 0, b.outputs, 0,
             b.hidden);
        continue;
      }
      lane.lane = {s, b.reverse ? first : last - 1, last - first};
      if constexpr (Cell::rounds)
        for (int64_t u = 0; u < b.outputs; ++u)
          lane.start[u] = b.h0 == nullptr ? S{} : Operand<S>::from(b.h0[s * b.outputs + u]);
      return true;
    }
    return false;
  }

  const S* h_before(const WalkBack<T, S>& lane) const {
    if (lane.lane.left > 1) return b.y + (lane.lane.step + (b.reverse ? 1 : -1)) * b.outputs;
    if constexpr (Cell::rounds)
      return lane.start;
    else
      return b.h0 == nullptr ? nothing : b.h0 + lane.lane.sequence * b.outputs;
  }

  void prepare(int m) {
    WalkBack<T, S>& lane = walk[m];
    const int64_t t = lane.lane.step;
    RowBack<T, S>& r = row[m];
    r.h_before = h_before(lane);
    r.h = b.y + t * b.outputs;
    r.dy = b.dy == nullptr ? nullptr : b.dy + t * b.dy_stride;
    r.gates = b.gates + t * Cell::saved_gates * b.hidden;
    r.d_gates = b.d_gates + t * Cell::saved_gates * b.hidden;
    r.dh = lane.dh;
    r.dc = lane.dc;
    r.unprojected = nullptr;
    if constexpr (Cell::has_cell_state) {
      r.c = b.cell_states + t * b.hidden;
      if (lane.lane.left > 1)
        r.c_before = b.cell_states + (t + (b.reverse ? 1 : -1)) * b.hidden;
      else
        r.c_before = b.c0 == nullptr ? zeros : b.c0 + lane.lane.sequence * b.hidden;
    }
    if constexpr (!Cell::rounds) {
      if (special) divert(lane, r, t);
    }
  }

  // Modifiers: sets aside the gradient that bypasses the step, and goes back through a projection.
  void divert(WalkBack<T, S>& lane, RowBack<T, S>& r, int64_t t) {
    if (b.modifiers.decay != nullptr) {
      const T* decay = b.modifiers.decay + t * b.outputs;
      for (int64_t u = 0; u < b.outputs; ++u) lane.before[u] = decay[u] * r.h_before[u];
      r.h_before = lane.before;
    }
    if (r.dy != nullptr)
      for (int64_t u = 0; u < b.outputs; ++u) lane.dh[u] += r.dy[u];
    r.dy = nullptr;
    split(lane.dh, lane.past, b.modifiers.keep, b.modifiers.keep_stride, t, b.outputs);
    if (Cell::saved_gates == 1 && b.modifiers.keep != nullptr) r.h = r.gates;
    if (Cell::has_cell_state)
      split(lane.dc, lane.past_cell, b.modifiers.keep_cell, b.modifiers.keep_cell_stride, t, b.hidden);
    if (Cell::has_cell_state && b.modifiers.keep_cell != nullptr) r.c = nullptr;
    if (b.weight_hr != nullptr) {
      copy(b.d_projected + t * b.outputs, lane.dh, b.outputs);
      linear_rows(lane.dh, 0, b.outputs, projection, zeros, lane.inner, 0, b.hidden, 0, 1);
      r.dh = lane.inner;
      r.unprojected = b.unprojected + t * b.hidden;
    }
  }

  static void split(T* gradient, T* past, const T* keep, int64_t stride, int64_t t, int64_t count) {
    if (keep == nullptr) {
      fill(past, T(0), count);
      return;
    }
    keep += t * stride;
    for (int64_t u = 0; u < count; ++u) {
      past[u] = keep[u] * gradient[u];
      gradient[u] -= past[u];
    }
  }

  void gates(int share) {
    const int64_t last = last_unit(share, b.hidden);
    for (int m = 0; m < active; ++m)
      for (int64_t u = first_unit(share); u < last; u += Vec<T>::width)
        Cell::step_back(row[m], b.hidden, u, static_cast<int>(at_most(Vec<T>::width, last - u)));
  }

  // Modifiers: what the gates leave in dh reaches h_{t-1} without U, so the mask on U's operand does not apply to it.
  void set_past_aside(int m) {
    WalkBack<T, S>& lane = walk[m];
    if (b.weight_hr == nullptr)
      for (int64_t u = 0; u < b.outputs; ++u) lane.past[u] += lane.dh[u];
    fill(lane.dh, T(0), b.outputs);
  }

  void multiply(int share) {
    constexpr int64_t width = plain * Vec<T>::width;
    const int64_t last = walker.last(packed.panels, share);
    for (int64_t p = walker.first(packed.panels, share); p < last; ++p)
      with_vectors(pieces(b.outputs - p * width, Vec<T>::width), [&](auto vectors) {
        in_blocks<block_rows<plain>>(rows, [&](int m, auto block) {
          back_block<Cell, T, S, decltype(block)::value, decltype(vectors)::value>(d_gates + m, target + m, b, packed,
                                                                                   p);
        });
      });
  }

  // Modifiers: the gradient through U is masked, added to the one that bypassed the step, and their sum decayed.
  void finish(int m) {
    WalkBack<T, S>& lane = walk[m];
    const int64_t t = lane.lane.step;
    const T* drop = b.modifiers.drop == nullptr ? nullptr : b.modifiers.drop + lane.lane.sequence * b.outputs;
    for (int64_t u = 0; u < b.outputs; ++u) lane.dh[u] = lane.past[u] + (drop == nullptr ? T(1) : drop[u]) * lane.dh[u];
    if constexpr (!Cell::rounds) {
      if (b.modifiers.decay != nullptr) {
        const T* decay = b.modifiers.decay + t * b.outputs;
        const T* undecayed = h_before(lane);
        for (int64_t u = 0; u < b.outputs; ++u) {
          b.d_decay[t * b.outputs + u] = lane.dh[u] * undecayed[u];
          lane.dh[u] *= decay[u];
        }
      }
    }
    if constexpr (Cell::has_cell_state)
      for (int64_t u = 0; u < b.hidden; ++u) lane.dc[u] += lane.past_cell[u];
  }

  // Advances every lane; where a sequence has ended, the next one starts, or the lanes are compacted. `end_lanes`
  // writes the gradients.
  void advance() {
    endings = 0;
    for (int m = 0; m < active;) {
      WalkBack<T, S>& lane = walk[m];
      lane.lane.step += b.reverse ? 1 : -1;
      if (--lane.lane.left > 0) {
        ++m;
        continue;
      }
      Ending& end = ending[endings++];
      end = {lane.lane.sequence, -1, lane.dh, lane.dc};
      if (begin(lane)) {
        end.next = lane.lane.sequence;
        ++m;
        continue;
      }
      --active;
      const WalkBack<T, S> ended = lane;
      lane = walk[active];
      walk[active] = ended;
    }
  }

  void end_lanes(int share) {
    const int64_t first = first_unit(share), last = last_unit(share, b.outputs), last_c = last_unit(share, b.hidden);
    for (int i = 0; i < endings; ++i) {
      const Ending& end = ending[i];
      pass(b.dh0 + end.sequence * b.outputs, end.dh, first, last);
      if constexpr (Cell::has_cell_state) pass(b.dc0 + end.sequence * b.hidden, end.dc, first, last_c);
      if (end.next >= 0) load(end.dh, end.dc, end.next, first, last, first, last_c);
    }
  }
};

template <class Cell, class T, class S>
static bool backward_cell(const RecurrentBackward<T, S>& b) {
  using Run = BackwardLanes<Cell, T, S>;
  const int64_t wide = b.hidden > b.outputs ? b.hidden : b.outputs;
  const int64_t straight = Cell::straight * b.hidden, apart = (Cell::gates - Cell::straight) * b.hidden;
  const Packed<T, S> packed({b.weight_hh, b.outputs, 1, straight}, {b.outputs, 1, 0}, plain, b.threads,
                            {b.weight_hh + straight * b.outputs, b.outputs, 1, apart});
  const Packed<T, S> projection({b.weight_hr, b.hidden, 1, b.weight_hr == nullptr ? 0 : b.outputs},
                                {b.weight_hr == nullptr ? 0 : b.hidden, 1, 0}, plain, b.threads);
  const Plan plan = plan_for(b.ragged, b.threads, b.hidden, Run::is_special(b) ? 0 : work_of<Cell>(b));
  const int64_t own = WalkBack<T, S>::own * wide * plan.lanes;
  const int64_t padded = pieces(wide, plain * Vec<T>::width) * plain * Vec<T>::width;
  const Buffer<T> zeros(padded), work(plan.teams * own);
  const Buffer<S> nothing(b.outputs), starts(plan.teams * plan.lanes * b.outputs);
  if (!packed.memory.data || !projection.memory.data || !zeros.data || !work.data || !nothing.data || !starts.data)
    return false;
  fill(zeros.data, T(0), padded);
  fill(nothing.data, S{}, b.outputs);
  in_teams(plan, [&](const Walker& walker, int team) {
    S* own_starts = starts.data + team * plan.lanes * b.outputs;
    Run(b, packed, projection, zeros.data, nothing.data, walker, plan.lanes, work.data + team * own, own_starts);
  });
  return true;
}

}  // namespace ELMAN_SET
}  // namespace elman
