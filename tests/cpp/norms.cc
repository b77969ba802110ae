// The layer-normalised LSTM: float64 against a plain loop and its finite differences, float32 against float64, and any
// number of threads against one, bit for bit.
#include "check.h"

namespace elman {
namespace {

struct Case {
  std::string name;
  bool reverse;
  int64_t hidden;
  std::vector<int64_t> lengths;
  bool all;  // biases, an initial state, and gradients of the last; without: none of them
  int64_t apart;

  int64_t sequences() const { return static_cast<int64_t>(lengths.size()); }
  int64_t steps() const { return offsets_of(lengths).back(); }
};

struct Given {
  explicit Given(const Case& one)
      : c(one),
        offsets(offsets_of(one.lengths)),
        gates(random(c.steps() * 4 * c.hidden)),
        weight_hh(random(4 * c.hidden * c.hidden, 0.25)),
        gain_ih(random(4 * c.hidden)),
        gain_hh(random(4 * c.hidden)),
        bias(random(c.all ? 4 * c.hidden : 0)),
        gain_cell(random(c.hidden)),
        bias_cell(random(c.all ? c.hidden : 0)),
        h0(random(c.all ? c.sequences() * c.hidden : 0)),
        c0(random(c.all ? c.sequences() * c.hidden : 0)),
        dy(random(c.steps() * c.hidden)),
        dh_last(random(c.all ? c.sequences() * c.hidden : 0)),
        dc_last(random(c.all ? c.sequences() * c.hidden : 0)) {}
  Case c;
  std::vector<int64_t> offsets;
  Doubles gates, weight_hh, gain_ih, gain_hh, bias, gain_cell, bias_cell, h0, c0, dy, dh_last, dc_last;
};

// y, h_last and c_last, then the gradients.
template <class T>
std::vector<Result> run(const LayerNormLstmKernels<T>& kernels, const Given& g, int threads) {
  const Case& c = g.c;
  const Ragged ragged(g.offsets.data(), c.sequences());
  const int64_t hidden = c.hidden, all = 4 * hidden, state = c.sequences() * hidden;
  Numbers<T> gates(g.gates, all, all + c.apart), weight_hh(g.weight_hh), gain_ih(g.gain_ih), gain_hh(g.gain_hh),
      bias(g.bias), gain_cell(g.gain_cell), bias_cell(g.bias_cell), h0(g.h0), c0(g.c0), y(c.steps() * hidden),
      h_last(state), c_last(state), sums(c.steps() * all), cells(c.steps() * hidden);
  const LayerNormWeights<T> weights{weight_hh.data(), gain_ih.data(),   gain_hh.data(),
                                    bias.or_null(),   gain_cell.data(), bias_cell.or_null()};
  bool failed = false;
  const auto forward = [&](T* kept_sums, T* kept_cells) {
    kernels.forward({c.reverse, threads, hidden, ragged.view(), gates.data(), all + c.apart, weights, h0.or_null(),
                     c0.or_null(), y.data(), h_last.data(), c_last.data(), kept_sums, kept_cells, &failed});
    expect(!failed, c.name + ": forward failed");
    return std::vector<Result>{{"y", y.values()}, {"h_last", h_last.values()}, {"c_last", c_last.values()}};
  };
  std::vector<Result> results = forward(sums.data(), cells.data());
  expect_same_bits(forward(nullptr, nullptr), results, c.name + " at inference");
  Numbers<T> dy(g.dy, hidden, hidden + c.apart), dh_last(g.dh_last), dc_last(g.dc_last), d_gates(c.steps() * all),
      d_sums(c.steps() * all), d_vectors(14 * hidden), dh0(state), dc0(state);
  kernels.backward({c.reverse,         threads,           hidden,         ragged.view(),
                    gates.data(),      all + c.apart,     weights,        c0.or_null(),
                    sums.data(),       cells.data(),      dy.data(),      hidden + c.apart,
                    dh_last.or_null(), dc_last.or_null(), d_gates.data(), d_sums.data(),
                    d_vectors.data(),  dh0.data(),        dc0.data(),     &failed});
  expect(!failed, c.name + ": backward failed");
  results.push_back({"d_gates", d_gates.values()});
  results.push_back({"d_sums", d_sums.values()});
  results.push_back({"d_vectors", d_vectors.values()});
  results.push_back({"dh0", dh0.values()});
  results.push_back({"dc0", dc0.values()});
  return results;
}

double sigmoid(double a) { return 1 / (1 + std::exp(-a)); }

Doubles standardised(Doubles row) {
  double mean = 0, variance = 0;
  for (const double a : row) mean += a / static_cast<double>(row.size());
  for (const double a : row) variance += (a - mean) * (a - mean) / static_cast<double>(row.size());
  for (double& a : row) a = (a - mean) / std::sqrt(variance + 1e-5);
  return row;
}

Doubles part(const Doubles& all, int64_t row, int64_t width) {
  const auto begin = all.begin() + row * width;
  return Doubles(begin, begin + width);
}

void step(const Given& g, int64_t t, Doubles* h, Doubles* m) {
  const size_t hidden = h->size();
  Doubles sums(4 * hidden);
  for (size_t r = 0; r < sums.size(); ++r)
    for (size_t u = 0; u < hidden; ++u) sums[r] += g.weight_hh[r * hidden + u] * (*h)[u];
  const Doubles of_x = standardised(part(g.gates, t, 4 * g.c.hidden)), of_h = standardised(sums);
  const auto a = [&](size_t r) {
    return g.gain_ih[r] * of_x[r] + g.gain_hh[r] * of_h[r] + (g.bias.empty() ? 0 : g.bias[r]);
  };
  for (size_t u = 0; u < hidden; ++u)
    (*m)[u] = sigmoid(a(hidden + u)) * (*m)[u] + sigmoid(a(u)) * std::tanh(a(2 * hidden + u));
  const Doubles shown = standardised(*m);
  for (size_t u = 0; u < hidden; ++u)
    (*h)[u] =
        sigmoid(a(3 * hidden + u)) * std::tanh(g.gain_cell[u] * shown[u] + (g.bias_cell.empty() ? 0 : g.bias_cell[u]));
}

std::vector<Result> plain(const Given& g) {
  const int64_t hidden = g.c.hidden;
  Doubles y(static_cast<size_t>(g.c.steps() * hidden)), h_last, c_last;
  for (int64_t s = 0; s < g.c.sequences(); ++s) {
    Doubles h = g.c.all ? part(g.h0, s, hidden) : Doubles(static_cast<size_t>(hidden));
    Doubles m = g.c.all ? part(g.c0, s, hidden) : h;
    const int64_t first = g.offsets[static_cast<size_t>(s)], end = g.offsets[static_cast<size_t>(s) + 1];
    for (int64_t i = first; i < end; ++i) {
      const int64_t t = g.c.reverse ? end - 1 - (i - first) : i;
      step(g, t, &h, &m);
      std::copy(h.begin(), h.end(), y.begin() + t * hidden);
    }
    h_last.insert(h_last.end(), h.begin(), h.end());
    c_last.insert(c_last.end(), m.begin(), m.end());
  }
  return {{"y", y}, {"h_last", h_last}, {"c_last", c_last}};
}

double loss(const Given& g) {
  const std::vector<Result> results = plain(g);
  const Doubles* gradients[] = {&g.dy, &g.dh_last, &g.dc_last};
  double sum = 0;
  for (size_t k = 0; k < 3; ++k)
    for (size_t i = 0; i < gradients[k]->size(); ++i) sum += (*gradients[k])[i] * results[k].values[i];
  return sum;
}

void expect_gradients(const Given& given, const std::vector<Result>& results) {
  const double far = 1e-6;
  const int64_t hidden = given.c.hidden, all = 4 * hidden;
  Given up = given, down = given;
  double slope = 0;
  const auto move = [&](Doubles Given::* field, const Doubles& gradient) {
    const Doubles direction = random(static_cast<int64_t>((given.*field).size()));
    for (size_t i = 0; i < direction.size(); ++i) {
      (up.*field)[i] += far * direction[i];
      (down.*field)[i] -= far * direction[i];
      slope += gradient[i] * direction[i];
    }
  };
  const auto vectors = [&](int64_t first, int64_t count) {
    const auto begin = results[5].values.begin() + first;
    return Doubles(begin, begin + count);
  };
  move(&Given::gates, results[3].values);
  move(&Given::gain_ih, vectors(0, all));
  move(&Given::gain_hh, vectors(all, all));
  move(&Given::bias, vectors(2 * all, all));
  move(&Given::gain_cell, vectors(3 * all, hidden));
  move(&Given::bias_cell, vectors(3 * all + hidden, hidden));
  move(&Given::h0, results[6].values);
  move(&Given::c0, results[7].values);
  const double measured = (loss(up) - loss(down)) / (2 * far);
  expect(std::fabs(measured - slope) <= 1e-5 * (1 + std::fabs(slope)),
         given.c.name + ": the loss changes by " + std::to_string(measured) + ", the gradients say " +
             std::to_string(slope));
}

template <class T>
void expect_norm(const LayerNormLstmKernels<T>& kernels, const Given& given, const std::vector<Result>& truth) {
  const std::string where = std::string(chosen_set().name) + " " + name_of<T>() + " " + given.c.name;
  const std::vector<Result> results = run(kernels, given, 1);
  expect_near(results, truth, 100 * tolerance<T>, where);  // a division by a small deviation takes digits
  for (int threads = 2; threads <= 4; ++threads) expect_same_bits(run(kernels, given, threads), results, where);
}

void expect_case(const Case& one) {
  const Given given(one);
  const std::vector<Result> truth = run(built_sets()[0].set->layer_norm_lstm64, given, 1);
  expect_near(plain(given), truth, 1e-11, one.name);
  expect_gradients(given, truth);
  for_each_set([&](const Set& set) {
    expect_norm(set.layer_norm_lstm64, given, truth);
    expect_norm(set.layer_norm_lstm32, given, truth);
  });
}

}  // namespace
}  // namespace elman

int main() {
  using namespace elman;
  const std::vector<int64_t> many = {0, 7, 1, 9, 4, 1, 0, 5, 3, 0}, few = {5, 0, 9}, none = {0, 0};
  for (const bool reverse : {false, true}) {
    const std::string name = reverse ? "reversed, " : "";
    expect_case({name + "many rows", reverse, 19, many, true, 3});
    expect_case({name + "few rows", reverse, 65, few, true, 0});
    expect_case({name + "nothing given", reverse, 16, many, false, 0});
    expect_case({name + "three units", reverse, 3, few, true, 1});
    expect_case({name + "no steps", reverse, 5, none, true, 0});
    expect_case({name + "no sequences", reverse, 5, {}, false, 0});
  }
  return verdict("norms");
}
