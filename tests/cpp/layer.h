// One layer forwards and backwards: through the core, and as a plain loop in float64.
#pragma once

#include "check.h"

namespace elman {

struct Case {
  std::string name;
  CellKind kind;
  bool reverse;
  int64_t inputs, hidden, outputs;
  std::vector<int64_t> lengths;
  bool start;      // h0 and c0, gradients of y and of the last state, biases; without: none of them but that of y
  bool modifiers;  // all that the cell has
  int64_t rows;    // of x, which `index` reads; 0: no index
  int64_t apart;   // numbers between the rows of x and dy

  int64_t sequences() const { return static_cast<int64_t>(lengths.size()); }
  int64_t steps() const { return offsets_of(lengths).back(); }
  int64_t columns() const { return gates_of(kind) * hidden; }
  bool has_cell_state() const { return elman::has_cell_state(kind); }
  bool projects() const { return outputs != hidden; }
};

// What goes in. Empty: not given.
struct Given {
  explicit Given(const Case& one)
      : c(one), offsets(offsets_of(one.lengths)), ragged(offsets.data(), one.sequences()), index(one.rows > 0) {
    const int64_t steps = c.steps(), sequences = c.sequences(), hidden = c.hidden, outputs = c.outputs;
    const auto if_given = [](bool given, int64_t count) { return given ? count : 0; };
    for (int64_t n = 0; n < (index ? steps : 0); ++n) rows.push_back(n * n % c.rows);
    // A power of two near 1 / sqrt(hidden), so that the numbers keep their 7 bits.
    const double size = std::exp2(-std::floor(std::log2(static_cast<double>(hidden)) / 2));
    x = random((index ? c.rows : steps) * c.inputs);
    weight_ih = random(c.columns() * c.inputs, 0.5);
    weight_hh = random(c.columns() * outputs, size);
    bias_ih = random(if_given(c.start, c.columns()));
    bias_hh = random(if_given(c.start, c.columns()));
    weight_hr = random(if_given(c.projects(), outputs * hidden), size);
    h0 = random(if_given(c.start, sequences * outputs));
    c0 = random(if_given(c.start && c.has_cell_state(), sequences * hidden));
    decay = random(if_given(c.modifiers, steps * outputs));
    drop = random(if_given(c.modifiers, sequences * outputs));
    keep = random(if_given(c.modifiers, c.reverse ? outputs : steps * outputs),
                  0.5);  // one row for all steps, or a row each
    keep_cell = random(if_given(c.modifiers && c.has_cell_state(), c.reverse ? hidden : steps * hidden), 0.5);
    dy = random(steps * outputs);
    dh_last = random(if_given(c.start, sequences * outputs));
    dc_last = random(if_given(c.start && c.has_cell_state(), sequences * hidden));
  }

  Case c;
  std::vector<int64_t> offsets;
  Ragged ragged;
  bool index;
  std::vector<int64_t> rows;
  Doubles x, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, h0, c0, decay, drop, keep, keep_cell, dy, dh_last,
      dc_last;
};

template <class T, class S>
class Layer {
 public:
  Layer(const Kernels<T, S>& kernels, Given& given, int threads)
      : kernels_(kernels),
        g_(given),
        threads_(threads),
        x_(g_.x, g_.c.inputs, g_.c.inputs + g_.c.apart),
        weight_ih_(g_.weight_ih),
        weight_hh_(g_.weight_hh),
        bias_ih_(g_.bias_ih),
        bias_hh_(g_.bias_hh),
        weight_hr_(g_.weight_hr),
        h0_(g_.h0),
        c0_(g_.c0),
        decay_(g_.decay),
        drop_(g_.drop),
        keep_(g_.keep),
        keep_cell_(g_.keep_cell) {}

  std::vector<Result> run() {
    std::vector<Result> results = forward(true);
    expect_same_bits(forward(false), results, g_.c.name + " at inference");
    backward(&results);
    return results;
  }

  std::vector<Result> forward(bool save) {
    const Case& c = g_.c;
    Numbers<S> y(c.steps() * c.outputs), gates(save ? gates_count() : 0);
    const bool apart = g_.index || (!save && sizeof(S) == sizeof(T));  // pre-activations: not in `gates`, nor fused
    Numbers<T> h_last(c.sequences() * c.outputs), c_last(c.has_cell_state() ? c.sequences() * c.hidden : 0),
        pre_activations(apart ? (g_.index ? c.rows : c.steps()) * c.columns() : 0),
        cell_states(save && c.has_cell_state() ? c.steps() * c.hidden : 0);
    bool failed = false;
    RecurrentForward<T, S> f{};
    f.kind = c.kind;
    f.reverse = c.reverse;
    f.threads = threads_;
    f.inputs = c.inputs;
    f.hidden = c.hidden;
    f.outputs = c.outputs;
    f.ragged = g_.ragged.view();
    f.x = x_.data();
    f.x_stride = c.inputs + c.apart;
    f.x_rows = g_.index ? c.rows : c.steps();
    f.index = g_.index ? g_.rows.data() : nullptr;
    f.weight_ih = weight_ih_.data();
    f.weight_hh = weight_hh_.data();
    f.bias_ih = bias_ih_.or_null();
    f.bias_hh = bias_hh_.or_null();
    f.weight_hr = weight_hr_.or_null();
    f.h0 = h0_.or_null();
    f.c0 = c0_.or_null();
    f.modifiers = modifiers();
    f.y = y.data();
    f.h_last = h_last.data();
    f.c_last = c_last.or_null();
    f.gates = gates.or_null();
    f.cell_states = cell_states.or_null();
    f.pre_activations = pre_activations.or_null();
    f.pre_stride = c.columns();
    if constexpr (sizeof(S) == sizeof(T)) {
      if (!apart) {
        f.pre_activations = f.gates;
        f.pre_stride = saved_gates_of(c.kind) * c.hidden;
      }
    }
    f.save = save;
    f.failed = &failed;
    kernels_.recurrent_forward(f);
    expect(!failed, c.name + ": forward failed");
    std::vector<Result> results{{"y", y.values()}, {"h_last", h_last.values()}, {"c_last", c_last.values()}};
    if (save) {
      y_.reset(new Numbers<S>(std::move(y)));
      gates_.reset(new Numbers<S>(std::move(gates)));
      cell_states_.reset(new Numbers<T>(std::move(cell_states)));
    }
    return results;
  }

  void backward(std::vector<Result>* results) {
    const Case& c = g_.c;
    const int64_t wide = c.projects() ? c.steps() : 0;
    Numbers<S> dy(g_.dy, c.outputs, c.outputs + c.apart);
    Numbers<T> dh_last(g_.dh_last), dc_last(g_.dc_last), dh0(c.sequences() * c.outputs),
        dc0(c.has_cell_state() ? c.sequences() * c.hidden : 0), d_decay(c.modifiers ? c.steps() * c.outputs : 0),
        unprojected(wide * c.hidden), d_projected(wide * c.outputs);
    bool failed = false;
    RecurrentBackward<T, S> b{};
    b.kind = c.kind;
    b.reverse = c.reverse;
    b.threads = threads_;
    b.hidden = c.hidden;
    b.outputs = c.outputs;
    b.ragged = g_.ragged.view();
    b.weight_hh = weight_hh_.data();
    b.weight_hr = weight_hr_.or_null();
    b.h0 = h0_.or_null();
    b.c0 = c0_.or_null();
    b.modifiers = modifiers();
    b.y = y_->data();
    b.cell_states = cell_states_->or_null();
    b.dy = dy.data();
    b.dy_stride = c.outputs + c.apart;
    b.dh_last = dh_last.or_null();
    b.dc_last = dc_last.or_null();
    b.gates = gates_->data();
    b.d_gates = gates_->data();
    b.dh0 = dh0.data();
    b.dc0 = dc0.or_null();
    b.d_decay = d_decay.or_null();
    b.unprojected = unprojected.or_null();
    b.d_projected = d_projected.or_null();
    b.failed = &failed;
    kernels_.recurrent_backward(b);
    expect(!failed, c.name + ": backward failed");
    results->push_back({"dx", inputs_gradient()});
    gradient(results);
    Numbers<T> d_weight_hr(c.projects() ? c.outputs * c.hidden : 0);
    if constexpr (sizeof(S) == sizeof(T)) {
      if (c.projects())
        kernels_.outer({threads_, c.steps(), c.outputs, c.hidden, d_projected.data(), c.outputs, unprojected.data(),
                        c.hidden, d_weight_hr.data(), &failed});
    }
    results->push_back({"d_weight_hr", d_weight_hr.values()});
    results->push_back({"dh0", dh0.values()});
    results->push_back({"dc0", dc0.values()});
    results->push_back({"d_decay", d_decay.values()});
  }

 private:
  int64_t gates_count() const { return g_.c.steps() * saved_gates_of(g_.c.kind) * g_.c.hidden; }

  RecurrenceModifiers<T> modifiers() {
    RecurrenceModifiers<T> e{};
    e.decay = decay_.or_null();
    e.drop = drop_.or_null();
    e.keep = keep_.or_null();
    e.keep_stride = g_.c.reverse ? 0 : g_.c.outputs;
    e.keep_cell = keep_cell_.or_null();
    e.keep_cell_stride = g_.c.reverse ? 0 : g_.c.hidden;
    return e;
  }

  // The gradient of x: that of the pre-activations times weight_ih, and where rows are shared the sum for each.
  Doubles inputs_gradient() {
    const Case& c = g_.c;
    Numbers<S> dx(c.steps() * c.inputs);
    bool failed = false;
    kernels_.linear({threads_,
                     c.steps(),
                     c.columns(),
                     c.inputs,
                     gates_->data(),
                     saved_gates_of(c.kind) * c.hidden,
                     weight_ih_.data(),
                     {1, c.inputs},
                     nullptr,
                     dx.data(),
                     c.inputs,
                     &failed});
    expect(!failed, c.name + ": linear failed");
    if (!g_.index) return dx.values();
    Numbers<T> shared(c.rows * c.inputs);
    kernels_.collect(
        {threads_, c.steps(), c.rows, c.inputs, dx.data(), c.inputs, g_.rows.data(), shared.data(), &failed});
    expect(!failed, c.name + ": collect failed");
    return shared.values();
  }

  void gradient(std::vector<Result>* results) {
    const Case& c = g_.c;
    Numbers<T> d_weight_ih(g_.index ? 0 : c.columns() * c.inputs), d_weight_hh(c.columns() * c.outputs),
        d_bias_ih(c.columns()), d_bias_hh(c.columns());
    bool failed = false;
    RecurrentWeightGradient<T, S> d{};
    d.kind = c.kind;
    d.reverse = c.reverse;
    d.threads = threads_;
    d.inputs = g_.index ? 0 : c.inputs;
    d.hidden = c.hidden;
    d.outputs = c.outputs;
    d.ragged = g_.ragged.view();
    d.x = g_.index ? nullptr : x_.data();
    d.x_stride = c.inputs + c.apart;
    d.h0 = h0_.or_null();
    d.y = y_->data();
    d.modifiers.decay = decay_.or_null();
    d.modifiers.drop = drop_.or_null();
    d.d_gates = gates_->data();
    d.d_weight_ih = d_weight_ih.or_null();
    d.d_weight_hh = d_weight_hh.data();
    d.d_bias_ih = d_bias_ih.data();
    d.d_bias_hh = d_bias_hh.data();
    d.failed = &failed;
    kernels_.recurrent_weight_gradient(d);
    expect(!failed, c.name + ": gradient failed");
    results->push_back({"d_weight_ih", d_weight_ih.values()});
    results->push_back({"d_weight_hh", d_weight_hh.values()});
    results->push_back({"d_bias_ih", d_bias_ih.values()});
    results->push_back({"d_bias_hh", d_bias_hh.values()});
  }

  const Kernels<T, S>& kernels_;
  Given& g_;
  const int threads_;
  Numbers<S> x_;
  Numbers<T> weight_ih_, weight_hh_, bias_ih_, bias_hh_, weight_hr_, h0_, c0_, decay_, drop_, keep_, keep_cell_;
  std::unique_ptr<Numbers<S>> y_, gates_;  // what is in `gates_` becomes d_gates
  std::unique_ptr<Numbers<T>> cell_states_;
};

// The equations of docs/kernels.md, one number after the other.
class PlainLayer {
 public:
  explicit PlainLayer(const Given& given) : g_(given), c_(given.c) {
    const size_t hidden = static_cast<size_t>(c_.hidden), outputs = static_cast<size_t>(c_.outputs);
    y.resize(static_cast<size_t>(c_.steps()) * outputs);
    for (int64_t s = 0; s < c_.sequences(); ++s) {
      h_ = g_.h0.empty() ? Doubles(outputs) : part(g_.h0, s, outputs);
      m_ = g_.c0.empty() ? Doubles(hidden) : part(g_.c0, s, hidden);
      const int64_t first = g_.offsets[static_cast<size_t>(s)], end = g_.offsets[static_cast<size_t>(s) + 1];
      for (int64_t i = first; i < end; ++i) {
        const int64_t t = c_.reverse ? end - 1 - (i - first) : i;
        step(s, t);
        std::copy(h_.begin(), h_.end(), y.begin() + t * c_.outputs);
      }
      h_last.insert(h_last.end(), h_.begin(), h_.end());
      if (c_.has_cell_state()) c_last.insert(c_last.end(), m_.begin(), m_.end());
    }
  }

  std::vector<Result> results() const { return {{"y", y}, {"h_last", h_last}, {"c_last", c_last}}; }

  // What dy, dh_last and dc_last are the gradients of.
  double loss() const { return dot(g_.dy, y) + dot(g_.dh_last, h_last) + dot(g_.dc_last, c_last); }

  static double dot(const Doubles& a, const Doubles& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  }

  Doubles y, h_last, c_last;

 private:
  static Doubles part(const Doubles& all, int64_t row, size_t width) {
    const auto begin = all.begin() + row * static_cast<int64_t>(width);
    return Doubles(begin, begin + static_cast<int64_t>(width));
  }
  static double sigmoid(double a) { return 1 / (1 + std::exp(-a)); }
  static double product(const Doubles& matrix, size_t row, const Doubles& vector) {
    double sum = 0;
    for (size_t i = 0; i < vector.size(); ++i) sum += matrix[row * vector.size() + i] * vector[i];
    return sum;
  }
  static void blend(Doubles* fresh, const Doubles& keep, int64_t t, const Doubles& before) {
    const size_t width = fresh->size(), row = keep.size() == width ? 0 : static_cast<size_t>(t) * width;
    for (size_t u = 0; u < width && !keep.empty(); ++u)
      (*fresh)[u] = keep[row + u] * before[u] + (1 - keep[row + u]) * (*fresh)[u];
  }

  void step(int64_t s, int64_t t) {
    const size_t hidden = static_cast<size_t>(c_.hidden), outputs = static_cast<size_t>(c_.outputs);
    const Doubles x = part(g_.x, g_.index ? g_.rows[static_cast<size_t>(t)] : t, static_cast<size_t>(c_.inputs));
    for (size_t u = 0; u < outputs && c_.modifiers; ++u) h_[u] *= g_.decay[static_cast<size_t>(t) * outputs + u];
    Doubles seen = h_, fresh(hidden), cell(hidden);
    for (size_t u = 0; u < outputs && c_.modifiers; ++u) seen[u] *= g_.drop[static_cast<size_t>(s) * outputs + u];
    const auto of_x = [&](size_t gate, size_t u) {
      const size_t row = gate * hidden + u;
      return product(g_.weight_ih, row, x) + (g_.bias_ih.empty() ? 0 : g_.bias_ih[row]);
    };
    const auto of_h = [&](size_t gate, size_t u) {
      const size_t row = gate * hidden + u;
      return product(g_.weight_hh, row, seen) + (g_.bias_hh.empty() ? 0 : g_.bias_hh[row]);
    };
    const auto sum = [&](size_t gate, size_t u) { return of_x(gate, u) + of_h(gate, u); };
    for (size_t u = 0; u < hidden; ++u) {
      if (c_.has_cell_state()) {
        cell[u] = sigmoid(sum(1, u)) * m_[u] + sigmoid(sum(0, u)) * std::tanh(sum(2, u));
        fresh[u] = sigmoid(sum(3, u)) * std::tanh(cell[u]);
      } else if (c_.kind == CellKind::gru) {
        const double z = sigmoid(sum(1, u));
        fresh[u] = (1 - z) * std::tanh(of_x(2, u) + sigmoid(sum(0, u)) * of_h(2, u)) + z * h_[u];
      } else {
        fresh[u] = c_.kind == CellKind::rnn_tanh ? std::tanh(sum(0, u)) : std::fmax(sum(0, u), 0);
      }
    }
    Doubles h = fresh;
    if (c_.projects()) {
      h.resize(outputs);
      for (size_t u = 0; u < outputs; ++u) h[u] = product(g_.weight_hr, u, fresh);
    }
    blend(&h, g_.keep, t, h_);
    blend(&cell, g_.keep_cell, t, m_);
    h_ = h;
    m_ = cell;
  }

  const Given& g_;
  const Case& c_;
  Doubles h_, m_;
};

}  // namespace elman
