// Pooling: one row per sequence from all of its steps. Bound by memory, so compiled once, for any processor. Sums and
// counts are float64: in float32 a sum of many steps drifts, and a count ends at 2^24.
#include <cmath>
#include <limits>

#include "api.h"
#include "parallel.h"

namespace elman {
namespace {

template <class T>
void start(const PoolForward<T>& p, int64_t sequence, double* state) {
  const int64_t hidden = p.hidden;
  if (p.initial != nullptr) {
    for (int64_t u = 0; u < hidden + 2; ++u) state[u] = p.initial[sequence * (hidden + 2) + u];
    return;
  }
  for (int64_t u = 0; u <= hidden; ++u) state[u] = 0;
  state[hidden + 1] = -std::numeric_limits<double>::infinity();
}

template <class T>
void add(double* total, const T* h, int64_t hidden) {
  for (int64_t u = 0; u < hidden; ++u) total[u] += static_cast<double>(h[u]);
}

template <class T>
void greatest(double* total, const T* h, int64_t hidden, bool first) {
  // written so that NaN, once there, stays
  for (int64_t u = 0; u < hidden; ++u) {
    const double value = static_cast<double>(h[u]);
    total[u] = first || value > total[u] || value != value ? value : total[u];
  }
}

// An online softmax: a greater score rescales what has been added so far.
template <class T>
void attend(double* state, const T* h, double score, int64_t hidden) {
  double &weights = state[hidden], &peak = state[hidden + 1];
  if (score == -std::numeric_limits<double>::infinity()) return;  // has no weight, not even where nothing else has any
  double weight = 1;
  if (score > peak) {
    const double shrink = std::exp(peak - score);
    for (int64_t u = 0; u < hidden; ++u) state[u] *= shrink;
    weights *= shrink;
    peak = score;
  } else {
    weight = std::exp(score - peak);
  }
  for (int64_t u = 0; u < hidden; ++u) state[u] += weight * static_cast<double>(h[u]);
  weights += weight;
}

template <class T>
void pool_sequence(const PoolForward<T>& p, int64_t s) {
  const int64_t hidden = p.hidden;
  double* state = p.state + s * (hidden + 2);
  T* out = p.out + s * hidden;
  start(p, s, state);
  for (int64_t t = p.ragged.offsets[s]; t < p.ragged.offsets[s + 1]; ++t) {
    const T* h = p.values + t * p.stride;
    if (p.kind == PoolKind::attention) {
      attend(state, h, static_cast<double>(p.scores[t]), hidden);
      continue;
    }
    if (p.kind == PoolKind::mean)
      add(state, h, hidden);
    else
      greatest(state, h, hidden, state[hidden] == 0);
    state[hidden] += 1;
  }
  const bool divide = p.kind != PoolKind::max && state[hidden] != 0;
  for (int64_t u = 0; u < hidden; ++u) out[u] = static_cast<T>(divide ? state[u] / state[hidden] : state[u]);
}

template <class T>
void attend_back(const PoolBackward<T>& p, int64_t s) {
  const int64_t hidden = p.hidden;
  const double* state = p.state + s * (hidden + 2);
  const T *out = p.out + s * hidden, *d_out = p.d_out + s * hidden;
  T along = T(0);
  for (int64_t u = 0; u < hidden; ++u) along += out[u] * d_out[u];
  for (int64_t t = p.ragged.offsets[s]; t < p.ragged.offsets[s + 1]; ++t) {
    const T* h = p.values + t * p.stride;
    const double probability =
        state[hidden] == 0 ? 0 : std::exp(static_cast<double>(p.scores[t]) - state[hidden + 1]) / state[hidden];
    const T weight = static_cast<T>(probability);
    T dot = T(0);
    for (int64_t u = 0; u < hidden; ++u) dot += h[u] * d_out[u];
    for (int64_t u = 0; u < hidden; ++u) p.d_values[t * hidden + u] = weight * d_out[u];
    p.d_scores[t] = weight * (dot - along);
  }
}

// The first step that holds the greatest value gets the gradient, unit by unit.
template <class T>
void greatest_back(const PoolBackward<T>& p, int64_t s) {
  const int64_t hidden = p.hidden, first = p.ragged.offsets[s], end = p.ragged.offsets[s + 1];
  const T *out = p.out + s * hidden, *d_out = p.d_out + s * hidden;
  for (int64_t i = first * hidden; i < end * hidden; ++i) p.d_values[i] = T(0);
  for (int64_t u = 0; u < hidden; ++u)
    for (int64_t t = first; t < end; ++t)
      if (p.values[t * p.stride + u] == out[u]) {
        p.d_values[t * hidden + u] = d_out[u];
        break;
      }
}

template <class T>
void mean_back(const PoolBackward<T>& p, int64_t s) {
  const int64_t hidden = p.hidden;
  const T count = static_cast<T>(p.state[s * (hidden + 2) + hidden]);
  const T* d_out = p.d_out + s * hidden;
  for (int64_t t = p.ragged.offsets[s]; t < p.ragged.offsets[s + 1]; ++t)
    for (int64_t u = 0; u < hidden; ++u) p.d_values[t * hidden + u] = d_out[u] / count;
}

// A free thread takes the next sequence, the longest first. Denormal numbers are not flushed: the values are the
// caller's.
template <class Body>
void for_each_sequence(const RaggedView& ragged, int threads, const Body& body) {
  int64_t next = 0;
  ELMAN_SET::parallel_with_denormals(threads, [&](int, int) {
    for (int64_t i = ELMAN_SET::take(&next); i < ragged.sequences; i = ELMAN_SET::take(&next)) body(ragged.order[i]);
  });
}

}  // namespace

template <class T>
void pool_forward(const PoolForward<T>& p) {
  for_each_sequence(p.ragged, p.threads, [&](int64_t s) { pool_sequence(p, s); });
}

template <class T>
void pool_backward(const PoolBackward<T>& p) {
  for_each_sequence(p.ragged, p.threads, [&](int64_t s) {
    if (p.kind == PoolKind::attention)
      attend_back(p, s);
    else if (p.kind == PoolKind::max)
      greatest_back(p, s);
    else
      mean_back(p, s);
  });
}

template void pool_forward<float>(const PoolForward<float>&);
template void pool_forward<double>(const PoolForward<double>&);
template void pool_backward<float>(const PoolBackward<float>&);
template void pool_backward<double>(const PoolBackward<double>&);

}  // namespace elman
