// Pools: against plain sums, in one piece and in two, backwards by finite differences, and on any number of threads.
#include <limits>

#include "check.h"

namespace elman {
namespace {

const std::vector<int64_t> lengths = {0, 7, 1, 23, 4, 1, 0, 12, 9, 3, 5, 0};
constexpr int64_t width = 5, apart = 2;

struct Given {
  std::vector<int64_t> offsets = offsets_of(lengths);
  Ragged ragged{offsets.data(), static_cast<int64_t>(lengths.size())};
  Doubles values = random(offsets.back() * width), scores = random(offsets.back(), 2.0),
          d_out = random(static_cast<int64_t>(lengths.size()) * width);
};

template <class T>
struct Pooled {
  Doubles out, state;
};

template <class T>
Pooled<T> run(PoolKind kind, Given& given, int threads, const Doubles& initial = {}) {
  const int64_t sequences = given.ragged.view().sequences;
  Numbers<T> values(given.values, width, width + apart), scores(given.scores), out(sequences * width);
  Numbers<double> before(initial), state(sequences * (width + 2));
  pool_forward<T>({kind, threads, width, given.ragged.view(), values.data(), width + apart,
                   kind == PoolKind::attention ? scores.data() : nullptr, before.or_null(), state.data(), out.data()});
  return {out.values(), state.values()};
}

template <class T>
std::vector<Result> run_back(PoolKind kind, Given& given, int threads) {
  const Pooled<T> forward = run<T>(kind, given, threads);
  const int64_t steps = given.offsets.back();
  const bool attention = kind == PoolKind::attention;
  Numbers<T> values(given.values, width, width + apart), scores(given.scores), out(forward.out), d_out(given.d_out),
      d_values(steps * width), d_scores(attention ? steps : 0);
  Numbers<double> state(forward.state);
  pool_backward<T>({kind, threads, width, given.ragged.view(), values.data(), width + apart,
                    attention ? scores.data() : nullptr, state.data(), out.data(), d_out.data(), d_values.data(),
                    d_scores.or_null()});
  return {{"out", forward.out}, {"d_values", d_values.values()}, {"d_scores", d_scores.values()}};
}

Doubles plain(PoolKind kind, const Given& given) {
  Doubles out;
  for (size_t s = 0; s < lengths.size(); ++s)
    for (int64_t u = 0; u < width; ++u) {
      double sum = 0, weights = 0, most = -std::numeric_limits<double>::infinity();
      for (int64_t t = given.offsets[s]; t < given.offsets[s + 1]; ++t) {
        const double value = given.values[static_cast<size_t>(t * width + u)];
        const double weight = kind == PoolKind::attention ? std::exp(given.scores[static_cast<size_t>(t)]) : 1;
        sum += weight * value;
        weights += weight;
        most = std::fmax(most, value);
      }
      out.push_back(lengths[s] == 0 ? 0 : kind == PoolKind::max ? most : sum / weights);
    }
  return out;
}

double loss(PoolKind kind, const Given& given) {
  const Doubles out = plain(kind, given);
  double sum = 0;
  for (size_t i = 0; i < out.size(); ++i) sum += out[i] * given.d_out[i];
  return sum;
}

void expect_gradients(PoolKind kind, Given& given, const std::vector<Result>& results, const std::string& where) {
  Given up = given, down = given;
  const double far = 1e-6;
  double slope = 0;
  const auto move = [&](Doubles Given::* field, const Doubles& gradient) {
    const Doubles direction = random(static_cast<int64_t>(gradient.size()));
    for (size_t i = 0; i < direction.size(); ++i) {
      (up.*field)[i] += far * direction[i];
      (down.*field)[i] -= far * direction[i];
      slope += gradient[i] * direction[i];
    }
  };
  move(&Given::values, results[1].values);
  move(&Given::scores, results[2].values);
  const double measured = (loss(kind, up) - loss(kind, down)) / (2 * far);
  expect(std::fabs(measured - slope) <= 1e-6 * (1 + std::fabs(slope)), where + ": a gradient is wrong");
}

// The first half of a stream, then the second from where it stood.
template <class T>
void expect_halves(PoolKind kind, const std::string& where) {
  Given whole, first = whole, second = whole;
  const int64_t cut = 6;
  first.offsets = {0, cut};
  second.offsets = {0, whole.offsets.back() - cut};
  whole.offsets = {0, whole.offsets.back()};
  second.values.erase(second.values.begin(), second.values.begin() + cut * width);
  second.scores.erase(second.scores.begin(), second.scores.begin() + cut);
  for (Given* given : {&whole, &first, &second}) given->ragged = Ragged(given->offsets.data(), 1);
  const Pooled<T> halves = run<T>(kind, second, 1, run<T>(kind, first, 1).state);
  expect(same_bits(halves.out, run<T>(kind, whole, 2).out), where + ": two halves differ from the whole");
}

// A stream that has seen 2^24 steps already sees 1000 more: none of them is lost.
template <class T>
void expect_long(PoolKind kind, const std::string& where) {
  Given given;
  const int64_t steps = 1000;
  const double seen = 16777216;
  given.offsets = {0, steps};
  given.ragged = Ragged(given.offsets.data(), 1);
  given.values.assign(static_cast<size_t>(steps * width), 3);
  given.scores.assign(static_cast<size_t>(steps), 0);
  Doubles before(width, seen);
  before.push_back(seen);
  before.push_back(0);
  const Pooled<T> after = run<T>(kind, given, 1, before);
  expect(after.state[0] == seen + 3 * steps && after.state[width] == seen + steps, where + ": steps were lost");
}

template <class T>
void expect_pool(PoolKind kind, const char* name) {
  const std::string where = name_of<T>() + " " + name;
  Given given;
  const std::vector<Result> results = run_back<T>(kind, given, 1);
  expect_near({results[0]}, {{"out", plain(kind, given)}}, tolerance<T>, where);
  if (sizeof(T) == 8) expect_gradients(kind, given, results, where);
  for (int threads = 2; threads <= 4; ++threads) expect_same_bits(run_back<T>(kind, given, threads), results, where);
  expect_halves<T>(kind, where);
  if (kind != PoolKind::max) expect_long<T>(kind, where);
}

template <class T>
void expect_pools() {
  expect_pool<T>(PoolKind::mean, "mean");
  expect_pool<T>(PoolKind::max, "max");
  expect_pool<T>(PoolKind::attention, "attention");
}

}  // namespace
}  // namespace elman

int main() {
  elman::expect_pools<float>();
  elman::expect_pools<double>();
  return elman::verdict("pools");
}
