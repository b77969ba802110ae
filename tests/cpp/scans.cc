// Scan cells: float64 against a plain loop and its finite differences, float32 against float64, and any number of
// threads against one, bit for bit.
#include "check.h"

namespace elman {
namespace {

struct Case {
  std::string name;
  ScanKind kind;
  Candidate candidate;
  bool reverse;
  int64_t hidden;
  std::vector<int64_t> lengths;
  bool start;  // an initial state, and gradients of the last
  int64_t apart;

  int64_t sequences() const { return static_cast<int64_t>(lengths.size()); }
  int64_t steps() const { return offsets_of(lengths).back(); }
  int64_t columns() const { return gates_of(kind) * hidden; }
  int64_t parts() const { return parts_of(kind); }
};

struct Given {
  explicit Given(const Case& one)
      : c(one),
        offsets(offsets_of(one.lengths)),
        gates(random(c.steps() * c.columns(), 2.0)),
        decay(random(c.kind == ScanKind::lru ? 2 * c.hidden : 0, 0.5)),
        dy(random(c.steps() * c.parts() * c.hidden)) {
    for (int part = 0; part < (c.start ? c.parts() : 0); ++part) {
      first[part] = random(c.sequences() * c.hidden);
      d_last[part] = random(c.sequences() * c.hidden);
    }
  }
  Case c;
  std::vector<int64_t> offsets;
  Doubles gates, decay, dy, first[2], d_last[2];
};

// y and the parts of the last state, then the gradients.
template <class T>
std::vector<Result> run(const ScanKernels<T>& kernels, const Given& g, int threads) {
  const Case& c = g.c;
  const Ragged ragged(g.offsets.data(), c.sequences());
  const int64_t state = c.sequences() * c.hidden, second = c.parts() > 1 ? state : 0, stride = c.columns() + c.apart,
                dy_stride = c.parts() * c.hidden + c.apart;
  Numbers<T> gates(g.gates, c.columns(), stride), decay(g.decay), first(g.first[0]), first_2(g.first[1]),
      y(c.steps() * c.parts() * c.hidden), last(state), last_2(second), dy(g.dy, c.parts() * c.hidden, dy_stride),
      d_last(g.d_last[0]), d_last_2(g.d_last[1]), d_gates(c.steps() * c.columns()),
      d_decay(g.decay.empty() ? 0 : 2 * c.hidden), d_first(state), d_first_2(second);
  kernels.forward({c.kind,
                   c.candidate,
                   c.reverse,
                   threads,
                   c.hidden,
                   ragged.view(),
                   gates.data(),
                   stride,
                   decay.or_null(),
                   {first.or_null(), first_2.or_null()},
                   y.data(),
                   {last.data(), last_2.or_null()}});
  bool failed = false;
  kernels.backward({c.kind,
                    c.candidate,
                    c.reverse,
                    threads,
                    c.hidden,
                    ragged.view(),
                    gates.data(),
                    stride,
                    decay.or_null(),
                    {first.or_null(), first_2.or_null()},
                    y.data(),
                    dy.data(),
                    dy_stride,
                    {d_last.or_null(), d_last_2.or_null()},
                    d_gates.data(),
                    d_decay.or_null(),
                    {d_first.data(), d_first_2.or_null()},
                    &failed});
  expect(!failed, c.name + " failed");
  return {{"y", y.values()},
          {"last", last.values()},
          {"last, second part", last_2.values()},
          {"d_gates", d_gates.values()},
          {"d_decay", d_decay.values()},
          {"d_first", d_first.values()},
          {"d_first, second part", d_first_2.values()}};
}

double sigmoid(double a) { return 1 / (1 + std::exp(-a)); }

double written(Candidate candidate, double v) {
  return candidate == Candidate::linear ? v
         : candidate == Candidate::tanh ? std::tanh(v)
         : v >= 0                       ? v + 0.5
                                        : sigmoid(v);
}

// One unit's state after a step.
void step(const Given& g, const double* gates, size_t u, double* h) {
  const size_t hidden = static_cast<size_t>(g.c.hidden);
  if (g.c.kind == ScanKind::lru) {
    const double real = g.decay[u], imaginary = g.decay[hidden + u], before = h[0];
    h[0] = real * before - imaginary * h[1] + gates[u];
    h[1] = real * h[1] + imaginary * before + gates[hidden + u];
  } else if (g.c.kind == ScanKind::min_gru) {
    const double z = sigmoid(gates[u]);
    h[0] = (1 - z) * h[0] + z * written(g.c.candidate, gates[hidden + u]);
  } else {
    const double f = sigmoid(gates[u]), i = sigmoid(gates[hidden + u]);
    h[0] = (f * h[0] + i * written(g.c.candidate, gates[2 * hidden + u])) / (f + i);
  }
}

// y and the parts of the last state.
std::vector<Result> plain(const Given& g) {
  const size_t hidden = static_cast<size_t>(g.c.hidden), parts = static_cast<size_t>(g.c.parts());
  Doubles y(static_cast<size_t>(g.c.steps()) * parts * hidden), last[2];
  for (size_t s = 0; s < g.c.lengths.size(); ++s)
    for (size_t u = 0; u < hidden; ++u) {
      double h[2] = {0, 0};
      for (size_t part = 0; part < parts && g.c.start; ++part) h[part] = g.first[part][s * hidden + u];
      for (int64_t i = g.offsets[s]; i < g.offsets[s + 1]; ++i) {
        const size_t t = static_cast<size_t>(g.c.reverse ? g.offsets[s + 1] - 1 - (i - g.offsets[s]) : i);
        step(g, g.gates.data() + t * static_cast<size_t>(g.c.columns()), u, h);
        for (size_t part = 0; part < parts; ++part) y[(t * parts + part) * hidden + u] = h[part];
      }
      for (size_t part = 0; part < parts; ++part) last[part].push_back(h[part]);
    }
  return {{"y", y}, {"last", last[0]}, {"last, second part", last[1]}};
}

double loss(const Given& g) {
  const std::vector<Result> results = plain(g);
  const Doubles* gradients[] = {&g.dy, &g.d_last[0], &g.d_last[1]};
  double sum = 0;
  for (size_t k = 0; k < 3; ++k)
    for (size_t i = 0; i < gradients[k]->size(); ++i) sum += (*gradients[k])[i] * results[k].values[i];
  return sum;
}

void expect_gradients(const Given& given, const std::vector<Result>& results) {
  const double far = 1e-6;
  Given up = given, down = given;
  double slope = 0;
  const auto move = [&](Doubles* more, Doubles* less, const Doubles& gradient) {
    const Doubles direction = random(static_cast<int64_t>(more->size()));
    for (size_t i = 0; i < direction.size(); ++i) {
      (*more)[i] += far * direction[i];
      (*less)[i] -= far * direction[i];
      slope += gradient[i] * direction[i];
    }
  };
  move(&up.gates, &down.gates, results[3].values);
  move(&up.decay, &down.decay, results[4].values);
  move(&up.first[0], &down.first[0], results[5].values);
  move(&up.first[1], &down.first[1], results[6].values);
  const double measured = (loss(up) - loss(down)) / (2 * far);
  expect(std::fabs(measured - slope) <= 1e-6 * (1 + std::fabs(slope)),
         given.c.name + ": the loss changes by " + std::to_string(measured) + ", the gradients say " +
             std::to_string(slope));
}

template <class T>
void expect_scan(const ScanKernels<T>& kernels, const Given& given, const std::vector<Result>& truth) {
  const std::string where = std::string(chosen_set().name) + " " + name_of<T>() + " " + given.c.name;
  const std::vector<Result> results = run(kernels, given, 1);
  expect_near(results, truth, tolerance<T>, where);
  for (int threads = 2; threads <= 4; ++threads) expect_same_bits(run(kernels, given, threads), results, where);
}

void expect_case(const Case& one) {
  const Given given(one);
  const std::vector<Result> truth = run(built_sets()[0].set->scans64, given, 1);
  expect_near(plain(given), truth, 1e-12, one.name);
  expect_gradients(given, truth);
  for_each_set([&](const Set& set) {
    expect_scan(set.scans64, given, truth);
    expect_scan(set.scans32, given, truth);
  });
}

void expect_kind(const char* cell, ScanKind kind, Candidate candidate) {
  const std::vector<int64_t> many = {0, 7, 1, 23, 4, 1, 0, 12, 9, 3, 5, 0}, few = {5, 0, 9}, none = {0, 0};
  for (const bool reverse : {false, true}) {
    const std::string name = std::string(cell) + (reverse ? " reversed, " : ", ");
    expect_case({name + "many rows", kind, candidate, reverse, 33, many, true, 3});
    expect_case({name + "few rows", kind, candidate, reverse, 131, few, true, 0});
    expect_case({name + "nothing given", kind, candidate, reverse, 16, many, false, 0});
    expect_case({name + "one unit", kind, candidate, reverse, 1, few, true, 1});
    expect_case({name + "no steps", kind, candidate, reverse, 5, none, true, 0});
    expect_case({name + "no sequences", kind, candidate, reverse, 5, {}, false, 0});
  }
}

}  // namespace
}  // namespace elman

int main() {
  using namespace elman;
  expect_kind("minGRU, linear", ScanKind::min_gru, Candidate::linear);
  expect_kind("minGRU, tanh", ScanKind::min_gru, Candidate::tanh);
  expect_kind("minGRU, positive", ScanKind::min_gru, Candidate::positive);
  expect_kind("minLSTM, linear", ScanKind::min_lstm, Candidate::linear);
  expect_kind("minLSTM, tanh", ScanKind::min_lstm, Candidate::tanh);
  expect_kind("minLSTM, positive", ScanKind::min_lstm, Candidate::positive);
  expect_kind("LRU", ScanKind::lru, Candidate::linear);
  return verdict("scans");
}
