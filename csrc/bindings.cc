// The Python bindings. Every argument is checked here, by name, before a kernel sees it; the GIL is released while a
// kernel runs. A kernel takes the arguments of its operator (elman/ops/library.py) in their order, then the number of
// threads and the results; those that do not exist for a cell are ignored.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <limits>
#include <new>

#include "argument_checks.h"
#include "isa.h"

namespace elman {

void bind_stepper(nb::module_& m);  // bindings_stepper.cc

namespace bindings {
namespace {

const Kernels<float>& kernels_for(float, float) { return chosen_set().of32; }
const Kernels<double>& kernels_for(double, double) { return chosen_set().of64; }
const Bf16Kernels& kernels_for(float, Bf16) {
  const Bf16Kernels* set = chosen_bf16_kernels();
  if (set == nullptr)
    throw SetFault(
        "bfloat16 needs a processor that multiplies it (AVX512-BF16) and the instruction set avx512; in use "
        "is " +
        std::string(chosen_set().name) + ". Run in float32.");
  return *set;
}

template <class Task>
void run_free(void (*kernel)(const Task&), Task& task) {
  bool failed = false;
  task.failed = &failed;
  {
    const nb::gil_scoped_release free;
    kernel(task);
  }
  if (failed) throw std::bad_alloc();
}

// The sizes of a layer, from its weights.
struct Sizes {
  int64_t inputs, hidden, outputs, columns;
};

Sizes sizes_of(CellKind kind, const Array& weight_hh, const Optional& weight_hr) {
  rows_of(weight_hh, "weight_hh");
  const int64_t outputs = static_cast<int64_t>(weight_hh.shape(1));
  int64_t hidden = outputs;
  if (weight_hr) {
    if (rows_of(*weight_hr, "weight_hr") != outputs || !has_cell_state(kind))
      throw ShapeFault("weight_hr belongs to an lstm and must have " + std::to_string(outputs) +
                       " rows as weight_hh has columns, got " + shape_of(*weight_hr) + " for " + traits_of(kind).name);
    hidden = static_cast<int64_t>(weight_hr->shape(1));
  }
  return {0, hidden, outputs, gates_of(kind) * hidden};
}

template <class T, class S>
RecurrenceModifiers<T> modifiers_of(const Optional& decay, const Optional& drop, const Optional& keep,
                                    const Optional& keep_cell, int64_t steps, int64_t sequences, const Sizes& sizes) {
  RecurrenceModifiers<T> e{};
  if (sizeof(S) == 2 && (decay || drop || keep || keep_cell))
    throw ShapeFault(
        "decay, drop, keep and keep_cell need float32 or float64, got x of bfloat16. Run this layer in "
        "float32.");
  e.decay = read<T>(decay, "decay", steps, sizes.outputs);
  e.drop = read<T>(drop, "drop", sequences, sizes.outputs);
  const auto rows = [&](const Optional& array) {
    return array && array->ndim() == 2 && array->shape(0) == 1 ? int64_t(1) : steps;
  };
  e.keep = read_rows<T>(keep, "keep", rows(keep), sizes.outputs, &e.keep_stride);
  if (rows(keep) == 1) e.keep_stride = 0;
  e.keep_cell = read_rows<T>(keep_cell, "keep_cell", rows(keep_cell), sizes.hidden, &e.keep_cell_stride);
  if (rows(keep_cell) == 1) e.keep_cell_stride = 0;
  return e;
}

// `index` [steps], copied, each below `rows`.
std::vector<int64_t> checked_index(const Array& index, int64_t steps, int64_t rows) {
  const char* name = "index";
  if (index.dtype() != nb::dtype<int64_t>())
    throw ShapeFault(std::string(name) + " must be int64, got " + type_of(index));
  if (index.ndim() != 1 || static_cast<int64_t>(index.shape(0)) != steps)
    throw ShapeFault(std::string(name) + " must have shape [" + std::to_string(steps) + "], got " + shape_of(index));
  check_close(index, name);
  std::vector<int64_t> own = copied(index);
  for (size_t n = 0; n < own.size(); ++n)
    if (own[n] < 0 || own[n] >= rows)
      throw ShapeFault(std::string(name) + " must lie in 0 ... " + std::to_string(rows - 1) + ", but " + name + "[" +
                       std::to_string(n) + "] = " + std::to_string(own[n]));
  return own;
}

std::vector<int64_t> checked_index(const Optional& index, int64_t steps, int64_t rows) {
  return index ? checked_index(*index, steps, rows) : std::vector<int64_t>();
}

void check_batch(const Array& offsets, int64_t steps, const Optional& index, int64_t rows) {
  checked(offsets, steps);
  checked_index(index, steps, rows);
}

void recurrent_forward(const std::string& cell, bool reverse, bool save, const Array& x, const Optional& index,
                       const Array& offsets, const Array& weight_ih, const Array& weight_hh, const Optional& bias_ih,
                       const Optional& bias_hh, const Optional& weight_hr, const Optional& h0, const Optional& c0,
                       const Optional& decay, const Optional& drop, const Optional& keep, const Optional& keep_cell,
                       int threads, const Out& y, const Out& h_last, const Out& c_last, const Out& gates,
                       const Out& cell_states, const OptionalOut& pre_activations) {
  const CellKind kind = cell_named(cell);
  const int64_t x_rows = rows_of(x, "x"), inputs = static_cast<int64_t>(x.shape(1));
  const int64_t steps = index && index->ndim() == 1 ? static_cast<int64_t>(index->shape(0)) : x_rows;
  const Sizes sizes = sizes_of(kind, weight_hh, weight_hr);
  const Ragged ragged = checked(offsets, steps);
  const int64_t sequences = ragged.view().sequences, hidden = sizes.hidden, outputs = sizes.outputs;
  if (rows_of(weight_ih, "weight_ih") != sizes.columns || rows_of(weight_hh, "weight_hh") != sizes.columns)
    throw ShapeFault("weight_ih and weight_hh must have " + std::to_string(sizes.columns) + " rows for " + cell +
                     " with " + std::to_string(hidden) + " hidden units, got " + shape_of(weight_ih) + " and " +
                     shape_of(weight_hh));
  if (static_cast<int64_t>(weight_ih.shape(1)) != inputs)
    throw ShapeFault(cell + " expects inputs of width " + std::to_string(weight_ih.shape(1)) +
                     ", got values of shape " + shape_of(x) + ". Build it with inputs=" + std::to_string(inputs) +
                     ", or check what feeds it.");
  const std::vector<int64_t> rows = checked_index(index, steps, x_rows);
  by_type(x, "x", true, [&](auto t, auto s) {
    using T = decltype(t);
    using S = decltype(s);
    RecurrentForward<T, S> f{};
    f.kind = kind;
    f.reverse = reverse;
    f.save = save;
    f.threads = useful_threads(
        threads, 2.0 * static_cast<double>(steps * sizes.columns) * static_cast<double>(inputs + outputs));
    f.inputs = inputs;
    f.hidden = hidden;
    f.outputs = outputs;
    f.ragged = ragged.view();
    f.x = read_rows<S>(x, "x", x_rows, inputs, &f.x_stride);
    f.x_rows = x_rows;
    f.index = index ? rows.data() : nullptr;
    f.weight_ih = read<T>(weight_ih, "weight_ih", sizes.columns, inputs);
    f.weight_hh = read<T>(weight_hh, "weight_hh", sizes.columns, outputs);
    f.bias_ih = read_vector<T>(bias_ih, "bias_ih", sizes.columns);
    f.bias_hh = read_vector<T>(bias_hh, "bias_hh", sizes.columns);
    f.weight_hr = read<T>(weight_hr, "weight_hr", outputs, hidden);
    if (sizeof(S) == 2 && weight_hr) throw ShapeFault("weight_hr needs float32 or float64, got x of bfloat16");
    f.h0 = read<T>(h0, "h0", sequences, outputs);
    f.c0 = read<T>(c0, "c0", sequences, hidden);
    f.modifiers = modifiers_of<T, S>(decay, drop, keep, keep_cell, steps, sequences, sizes);
    f.y = write<S>(y, "y", steps, outputs);
    f.h_last = write<T>(h_last, "h_last", sequences, outputs);
    f.c_last = write_if<T>(has_cell_state(kind), c_last, "c_last", sequences, hidden);
    f.gates = write_if<S>(save, gates, "gates", steps, saved_gates_of(kind) * hidden);
    f.cell_states = write_if<T>(save && has_cell_state(kind), cell_states, "cell_states", steps, hidden);
    if (pre_activations) {
      f.pre_activations = write<T>(*pre_activations, "pre_activations", x_rows, sizes.columns);
      f.pre_stride = sizes.columns;
    } else if (index || (sizeof(S) == sizeof(T) && !save)) {
      throw ShapeFault("pre_activations is needed here and was not given");
    } else if constexpr (sizeof(S) == sizeof(T)) {
      f.pre_activations = f.gates;
      f.pre_stride = saved_gates_of(kind) * hidden;
    }
    run_free(kernels_for(t, s).recurrent_forward, f);
  });
}

// `gates` becomes d_gates.
void recurrent_backward(const std::string& cell, bool reverse, const Array& offsets, const Array& weight_hh,
                        const Optional& weight_hr, const Optional& h0, const Optional& c0, const Optional& decay,
                        const Optional& drop, const Optional& keep, const Optional& keep_cell, const Array& y,
                        const Array& cell_states, const Out& gates, const Optional& dy, const Optional& dh_last,
                        const Optional& dc_last, int threads, const Out& dh0, const Out& dc0, const Out& d_decay,
                        const Out& unprojected, const Out& d_projected) {
  const CellKind kind = cell_named(cell);
  const int64_t steps = rows_of(y, "y");
  const Sizes sizes = sizes_of(kind, weight_hh, weight_hr);
  const Ragged ragged = checked(offsets, steps);
  const int64_t sequences = ragged.view().sequences, hidden = sizes.hidden, outputs = sizes.outputs;
  by_type(y, "y", true, [&](auto t, auto s) {
    using T = decltype(t);
    using S = decltype(s);
    RecurrentBackward<T, S> b{};
    b.kind = kind;
    b.reverse = reverse;
    b.threads = useful_threads(threads, 2.0 * static_cast<double>(steps * sizes.columns * outputs));
    b.hidden = hidden;
    b.outputs = outputs;
    b.ragged = ragged.view();
    b.weight_hh = read<T>(weight_hh, "weight_hh", sizes.columns, outputs);
    b.weight_hr = read<T>(weight_hr, "weight_hr", outputs, hidden);
    b.h0 = read<T>(h0, "h0", sequences, outputs);
    b.c0 = read<T>(c0, "c0", sequences, hidden);
    b.modifiers = modifiers_of<T, S>(decay, drop, keep, keep_cell, steps, sequences, sizes);
    b.y = read<S>(y, "y", steps, outputs);
    b.dy = read_rows<S>(dy, "dy", steps, outputs, &b.dy_stride);
    b.dh_last = read<T>(dh_last, "dh_last", sequences, outputs);
    if (has_cell_state(kind)) {
      b.cell_states = read<T>(cell_states, "cell_states", steps, hidden);
      b.dc_last = read<T>(dc_last, "dc_last", sequences, hidden);
      b.dc0 = write<T>(dc0, "dc0", sequences, hidden);
    }
    b.d_gates = write<S>(gates, "gates", steps, saved_gates_of(kind) * hidden);
    b.gates = b.d_gates;
    b.dh0 = write<T>(dh0, "dh0", sequences, outputs);
    b.d_decay = write_if<T>(decay.has_value(), d_decay, "d_decay", steps, outputs);
    b.unprojected = write_if<T>(weight_hr.has_value(), unprojected, "unprojected", steps, hidden);
    b.d_projected = write_if<T>(weight_hr.has_value(), d_projected, "d_projected", steps, outputs);
    run_free(kernels_for(t, s).recurrent_backward, b);
  });
}

void recurrent_weight_gradient(const std::string& cell, bool reverse, const Optional& x, const Array& offsets,
                               const Optional& h0, const Optional& decay, const Optional& drop, const Array& y,
                               const Array& d_gates, int threads, const Out& d_weight_ih, const Out& d_weight_hh,
                               const Out& d_bias_ih, const Out& d_bias_hh) {
  const CellKind kind = cell_named(cell);
  const int64_t steps = rows_of(y, "y"), outputs = static_cast<int64_t>(y.shape(1));
  const int64_t hidden = rows_of(Array(d_weight_hh), "d_weight_hh") / gates_of(kind);
  if (x) rows_of(*x, "x");
  const Sizes sizes{x ? static_cast<int64_t>(x->shape(1)) : 0, hidden, outputs, gates_of(kind) * hidden};
  const Ragged ragged = checked(offsets, steps);
  const int64_t sequences = ragged.view().sequences;
  by_type(y, "y", true, [&](auto t, auto s) {
    using T = decltype(t);
    using S = decltype(s);
    RecurrentWeightGradient<T, S> g{};
    g.kind = kind;
    g.reverse = reverse;
    g.threads = useful_threads(threads, 2.0 * static_cast<double>(steps * sizes.columns * (sizes.inputs + outputs)));
    g.inputs = sizes.inputs;
    g.hidden = hidden;
    g.outputs = outputs;
    g.ragged = ragged.view();
    g.x = read_rows<S>(x, "x", steps, sizes.inputs, &g.x_stride);
    g.h0 = read<T>(h0, "h0", sequences, outputs);
    g.modifiers = modifiers_of<T, S>(decay, drop, std::nullopt, std::nullopt, steps, sequences, sizes);
    g.y = read<S>(y, "y", steps, outputs);
    g.d_gates = read<S>(d_gates, "d_gates", steps, saved_gates_of(kind) * hidden);
    g.d_weight_ih = write_if<T>(x.has_value(), d_weight_ih, "d_weight_ih", sizes.columns, sizes.inputs);
    g.d_weight_hh = write<T>(d_weight_hh, "d_weight_hh", sizes.columns, outputs);
    g.d_bias_ih = write_vector<T>(d_bias_ih, "d_bias_ih", sizes.columns);
    g.d_bias_hh = write_vector<T>(d_bias_hh, "d_bias_hh", sizes.columns);
    run_free(kernels_for(t, s).recurrent_weight_gradient, g);
  });
}

void linear(const Array& x, const Array& weight, const Optional& bias, int threads, const Out& out) {
  const int64_t rows = rows_of(x, "x"), inputs = static_cast<int64_t>(x.shape(1));
  const int64_t outputs = rows_of(weight, "weight");
  by_type(x, "x", true, [&](auto t, auto s) {
    using T = decltype(t);
    using S = decltype(s);
    Linear<T, S, S> l{};
    l.threads = useful_threads(threads, 2.0 * static_cast<double>(rows * inputs * outputs));
    l.rows = rows;
    l.inputs = inputs;
    l.outputs = outputs;
    l.x = read_rows<S>(x, "x", rows, inputs, &l.x_stride);
    check_type<T>(weight, "weight");
    check_rows(weight, "weight", outputs, inputs);
    l.weight = static_cast<const T*>(weight.data());
    l.weight_strides[0] = weight.stride(0);
    l.weight_strides[1] = weight.stride(1);
    l.bias = read_vector<T>(bias, "bias", outputs);
    l.out = write<S>(out, "out", rows, outputs);
    l.out_stride = outputs;
    run_free(kernels_for(t, s).linear, l);
  });
}

void outer(const Array& a, const Array& b, int threads, const Out& out) {
  const int64_t steps = rows_of(a, "a"), rows = static_cast<int64_t>(a.shape(1));
  if (rows_of(b, "b") != steps)
    throw ShapeFault("a and b must have as many rows as each other, got shapes " + shape_of(a) + " and " + shape_of(b));
  const int64_t columns = static_cast<int64_t>(b.shape(1));
  by_type(a, "a", true, [&](auto t, auto s) {
    using T = decltype(t);
    using S = decltype(s);
    Outer<T, S> o{};
    o.threads = useful_threads(threads, 2.0 * static_cast<double>(steps * rows * columns));
    o.steps = steps;
    o.rows = rows;
    o.columns = columns;
    o.a = read_rows<S>(a, "a", steps, rows, &o.a_stride);
    o.b = read_rows<S>(b, "b", steps, columns, &o.b_stride);
    o.out = write<T>(out, "out", rows, columns);
    run_free(kernels_for(t, s).outer, o);
  });
}

void collect(const Array& a, const Array& index, int64_t rows, int threads, const Out& out) {
  const int64_t steps = rows_of(a, "a"), width = static_cast<int64_t>(a.shape(1));
  const std::vector<int64_t> own = checked_index(index, steps, rows);
  by_type(a, "a", true, [&](auto t, auto s) {
    using T = decltype(t);
    using S = decltype(s);
    Collect<T, S> c{};
    c.threads = useful_threads(threads, static_cast<double>(steps * width));
    c.steps = steps;
    c.rows = rows;
    c.width = width;
    c.a = read_rows<S>(a, "a", steps, width, &c.a_stride);
    c.index = own.data();
    c.out = write<T>(out, "out", rows, width);
    run_free(kernels_for(t, s).collect, c);
  });
}

const ScanKernels<float>& scans_for(float) { return chosen_set().scans32; }
const ScanKernels<double>& scans_for(double) { return chosen_set().scans64; }

// The arguments that both passes of a scan have, checked.
template <class T, class Task>
void read_scan(Task& p, const Ragged& ragged, int threads, const Array& gates, const Optional& decay,
               const Optional& h0, const Optional& j0) {
  const int64_t sequences = ragged.view().sequences;
  p.ragged = ragged.view();
  p.threads =
      useful_threads(threads, 30.0 * static_cast<double>(gates.size()));  // a gate is an exponential and a quotient
  p.gates = static_cast<const T*>(gates.data());
  p.stride = gates.stride(0);
  p.decay = read_vector<T>(decay, "decay", 2 * p.hidden);
  p.first[0] = read<T>(h0, "h0", sequences, p.hidden);
  p.first[1] = read<T>(j0, "j0", sequences, p.hidden);
  if (is_complex(p.kind) && !decay)
    throw ShapeFault("decay is needed for " + std::string(traits_of(p.kind).name) + " and was not given");
}

// The number of units, from the columns of `gates`.
int64_t units_of(ScanKind kind, const Array& gates) {
  rows_of(gates, "gates");
  check_rows_apart(gates, "gates");
  const int64_t columns = static_cast<int64_t>(gates.shape(1)), each = gates_of(kind);
  if (columns == 0 || columns % each != 0)
    throw ShapeFault("gates must have " + std::to_string(each) + " columns for each unit, got shape " +
                     shape_of(gates));
  return columns / each;
}

void scan_forward(const std::string& cell, const std::string& candidate, bool reverse, const Array& gates,
                  const Array& offsets, const Optional& decay, const Optional& h0, const Optional& j0, int threads,
                  const Out& y, const Out& h_last, const Out& j_last) {
  const ScanKind kind = kind_named<ScanKind>(cell, "cell", scan_traits);
  const int64_t hidden = units_of(kind, gates), steps = rows_of(gates, "gates");
  const Ragged ragged = checked(offsets, steps);
  by_type(gates, "gates", false, [&](auto zero, auto) {
    using T = decltype(zero);
    ScanForward<T> p{};
    p.kind = kind;
    p.candidate = kind_named<Candidate>(candidate, "candidate", candidate_names);
    p.reverse = reverse;
    p.hidden = hidden;
    read_scan<T>(p, ragged, threads, gates, decay, h0, j0);
    p.y = write<T>(y, "y", steps, parts_of(kind) * hidden);
    p.last[0] = write<T>(h_last, "h_last", p.ragged.sequences, hidden);
    p.last[1] = write_if<T>(is_complex(kind), j_last, "j_last", p.ragged.sequences, hidden);
    const auto kernel = scans_for(zero).forward;
    const nb::gil_scoped_release free;
    kernel(p);
  });
}

void scan_backward(const std::string& cell, const std::string& candidate, bool reverse, const Array& gates,
                   const Array& offsets, const Optional& decay, const Optional& h0, const Optional& j0, const Array& y,
                   const Optional& dy, const Optional& dh_last, const Optional& dj_last, int threads,
                   const Out& d_gates, const Out& d_decay, const Out& dh0, const Out& dj0) {
  const ScanKind kind = kind_named<ScanKind>(cell, "cell", scan_traits);
  const int64_t hidden = units_of(kind, gates), steps = rows_of(gates, "gates"), width = parts_of(kind) * hidden;
  const Ragged ragged = checked(offsets, steps);
  by_type(gates, "gates", false, [&](auto zero, auto) {
    using T = decltype(zero);
    ScanBackward<T> p{};
    p.kind = kind;
    p.candidate = kind_named<Candidate>(candidate, "candidate", candidate_names);
    p.reverse = reverse;
    p.hidden = hidden;
    read_scan<T>(p, ragged, threads, gates, decay, h0, j0);
    const int64_t sequences = p.ragged.sequences;
    p.y = read<T>(y, "y", steps, width);
    p.dy = read_rows<T>(dy, "dy", steps, width, &p.dy_stride);
    p.d_last[0] = read<T>(dh_last, "dh_last", sequences, hidden);
    p.d_gates = write<T>(d_gates, "d_gates", steps, gates_of(kind) * hidden);
    p.d_first[0] = write<T>(dh0, "dh0", sequences, hidden);
    if (is_complex(kind)) {
      p.d_last[1] = read<T>(dj_last, "dj_last", sequences, hidden);
      p.d_first[1] = write<T>(dj0, "dj0", sequences, hidden);
      p.d_decay = write_vector<T>(d_decay, "d_decay", 2 * hidden);
    }
    run_free(scans_for(zero).backward, p);
  });
}

const LayerNormLstmKernels<float>& layer_norm_lstm_for(float) { return chosen_set().layer_norm_lstm32; }
const LayerNormLstmKernels<double>& layer_norm_lstm_for(double) { return chosen_set().layer_norm_lstm64; }

// The arguments that both passes of a layer-normalised LSTM have.
struct NormArrays {
  const Array &gates, &weight_hh, &gain_ih, &gain_hh;
  const Optional& bias;
  const Array& gain_cell;
  const Optional& bias_cell;
  int64_t hidden() const {
    rows_of(weight_hh, "weight_hh");
    const int64_t hidden = static_cast<int64_t>(weight_hh.shape(1));
    check_rows(weight_hh, "weight_hh", 4 * hidden, hidden);
    return hidden;
  }
  template <class T, class Task>
  void read_into(Task& p, const Ragged& ragged, int threads) const {
    const int64_t width = hidden(), all = 4 * width, steps = rows_of(gates, "gates");
    p.hidden = width;
    p.ragged = ragged.view();
    p.threads = useful_threads(threads, 2.0 * static_cast<double>(steps * all * (width + 30)));
    p.gates = read_rows<T>(gates, "gates", steps, all, &p.stride);
    p.weights.weight_hh = read<T>(weight_hh, "weight_hh", all, width);
    p.weights.gain_ih = read_vector<T>(gain_ih, "gain_ih", all);
    p.weights.gain_hh = read_vector<T>(gain_hh, "gain_hh", all);
    p.weights.bias = read_vector<T>(bias, "bias", all);
    p.weights.gain_cell = read_vector<T>(gain_cell, "gain_cell", width);
    p.weights.bias_cell = read_vector<T>(bias_cell, "bias_cell", width);
  }
};

void layer_norm_lstm_forward(bool reverse, bool save, const Array& gates, const Array& offsets, const Array& weight_hh,
                             const Array& gain_ih, const Array& gain_hh, const Optional& bias, const Array& gain_cell,
                             const Optional& bias_cell, const Optional& h0, const Optional& c0, int threads,
                             const Out& y, const Out& h_last, const Out& c_last, const Out& sums,
                             const Out& cell_states) {
  const NormArrays arrays{gates, weight_hh, gain_ih, gain_hh, bias, gain_cell, bias_cell};
  const int64_t hidden = arrays.hidden(), steps = rows_of(gates, "gates");
  const Ragged ragged = checked(offsets, steps);
  by_type(gates, "gates", false, [&](auto zero, auto) {
    using T = decltype(zero);
    LayerNormLstmForward<T> p{};
    p.reverse = reverse;
    arrays.read_into<T>(p, ragged, threads);
    const int64_t sequences = p.ragged.sequences;
    p.h0 = read<T>(h0, "h0", sequences, hidden);
    p.c0 = read<T>(c0, "c0", sequences, hidden);
    p.y = write<T>(y, "y", steps, hidden);
    p.h_last = write<T>(h_last, "h_last", sequences, hidden);
    p.c_last = write<T>(c_last, "c_last", sequences, hidden);
    p.sums = write_if<T>(save, sums, "sums", steps, 4 * hidden);
    p.cell_states = write_if<T>(save, cell_states, "cell_states", steps, hidden);
    run_free(layer_norm_lstm_for(zero).forward, p);
  });
}

void layer_norm_lstm_backward(bool reverse, const Array& gates, const Array& offsets, const Array& weight_hh,
                              const Array& gain_ih, const Array& gain_hh, const Optional& bias, const Array& gain_cell,
                              const Optional& bias_cell, const Optional& c0, const Array& sums,
                              const Array& cell_states, const Optional& dy, const Optional& dh_last,
                              const Optional& dc_last, int threads, const Out& d_gates, const Out& d_sums,
                              const Out& d_vectors, const Out& dh0, const Out& dc0) {
  const NormArrays arrays{gates, weight_hh, gain_ih, gain_hh, bias, gain_cell, bias_cell};
  const int64_t hidden = arrays.hidden(), steps = rows_of(gates, "gates");
  const Ragged ragged = checked(offsets, steps);
  by_type(gates, "gates", false, [&](auto zero, auto) {
    using T = decltype(zero);
    LayerNormLstmBackward<T> p{};
    p.reverse = reverse;
    arrays.read_into<T>(p, ragged, threads);
    const int64_t sequences = p.ragged.sequences;
    p.c0 = read<T>(c0, "c0", sequences, hidden);
    p.sums = read<T>(sums, "sums", steps, 4 * hidden);
    p.cell_states = read<T>(cell_states, "cell_states", steps, hidden);
    p.dy = read_rows<T>(dy, "dy", steps, hidden, &p.dy_stride);
    p.dh_last = read<T>(dh_last, "dh_last", sequences, hidden);
    p.dc_last = read<T>(dc_last, "dc_last", sequences, hidden);
    p.d_gates = write<T>(d_gates, "d_gates", steps, 4 * hidden);
    p.d_sums = write<T>(d_sums, "d_sums", steps, 4 * hidden);
    p.d_vectors = write_vector<T>(d_vectors, "d_vectors", 14 * hidden);
    p.dh0 = write<T>(dh0, "dh0", sequences, hidden);
    p.dc0 = write<T>(dc0, "dc0", sequences, hidden);
    run_free(layer_norm_lstm_for(zero).backward, p);
  });
}

void pool_forward(const std::string& kind_name, const Array& values, const Array& offsets, const Optional& scores,
                  const Optional& initial, int threads, const Out& out, const Out& state) {
  const PoolKind kind = kind_named<PoolKind>(kind_name, "pool", pool_names);
  const int64_t steps = rows_of(values, "values"), hidden = static_cast<int64_t>(values.shape(1));
  const Ragged ragged = checked(offsets, steps);
  const int64_t sequences = ragged.view().sequences;
  check_rows_apart(values, "values");
  if (kind == PoolKind::attention && !scores) throw ShapeFault("scores are needed for attention and were not given");
  by_type(values, "values", false, [&](auto zero, auto) {
    using T = decltype(zero);
    PoolForward<T> p{};
    p.kind = kind;
    p.threads = useful_threads(threads, static_cast<double>(steps * hidden));
    p.hidden = hidden;
    p.ragged = ragged.view();
    p.values = static_cast<const T*>(values.data());
    p.stride = values.stride(0);
    p.scores = read_vector<T>(scores, "scores", steps);
    p.initial = read<double>(initial, "initial", sequences, hidden + 2);
    p.state = write<double>(state, "state", sequences, hidden + 2);
    p.out = write<T>(out, "out", sequences, hidden);
    const nb::gil_scoped_release free;
    elman::pool_forward(p);
  });
}

void pool_backward(const std::string& kind_name, const Array& values, const Array& offsets, const Optional& scores,
                   const Array& state, const Array& out, const Array& d_out, int threads, const Out& d_values,
                   const Out& d_scores) {
  const PoolKind kind = kind_named<PoolKind>(kind_name, "pool", pool_names);
  const int64_t steps = rows_of(values, "values"), hidden = static_cast<int64_t>(values.shape(1));
  const Ragged ragged = checked(offsets, steps);
  const int64_t sequences = ragged.view().sequences;
  check_rows_apart(values, "values");
  const bool attention = kind == PoolKind::attention;
  if (attention && !scores) throw ShapeFault("scores are needed for attention and were not given");
  by_type(values, "values", false, [&](auto zero, auto) {
    using T = decltype(zero);
    PoolBackward<T> p{};
    p.kind = kind;
    p.threads = useful_threads(threads, static_cast<double>(steps * hidden));
    p.hidden = hidden;
    p.ragged = ragged.view();
    p.values = static_cast<const T*>(values.data());
    p.stride = values.stride(0);
    p.scores = read_vector<T>(scores, "scores", steps);
    p.state = read<double>(state, "state", sequences, hidden + 2);
    p.out = read<T>(out, "out", sequences, hidden);
    p.d_out = read<T>(d_out, "d_out", sequences, hidden);
    p.d_values = write<T>(d_values, "d_values", steps, hidden);
    if (attention) p.d_scores = write_vector<T>(d_scores, "d_scores", steps);
    const nb::gil_scoped_release free;
    elman::pool_backward(p);
  });
}

nb::dict info() {
  nb::list built, found;
  for (const SetState& state : built_sets()) {
    built.append(state.set->name);
    if (state.found) found.append(state.set->name);
  }
  nb::dict answer;
  answer["version"] = ELMAN_VERSION;
  answer["processor"] = processor_features();
  answer["built"] = built;
  answer["found"] = found;
  answer["chosen"] = chosen_set().name;
  answer["lanes"] = chosen_set().lanes32;
  answer["bfloat16"] = chosen_bf16_kernels() != nullptr;
#ifdef _OPENMP
  answer["threads"] = "openmp";
#else
  answer["threads"] = "none";
#endif
  answer["compiler"] = __VERSION__;
  return answer;
}

// The names and sizes that Python needs to know of every cell.
void add_tables(nb::module_& m) {
  nb::dict cells, scans;
  for (const CellTraits& c : cell_traits) cells[c.name] = nb::make_tuple(c.gates, c.saved_gates, c.has_cell_state);
  for (const ScanTraits& s : scan_traits) scans[s.name] = nb::make_tuple(s.gates, s.parts);
  nb::list candidates, pools;
  for (const char* name : candidate_names) candidates.append(name);
  for (const char* name : pool_names) pools.append(name);
  m.attr("CELLS") = cells;
  m.attr("SCANS") = scans;
  m.attr("CANDIDATES") = nb::tuple(candidates);
  m.attr("POOLS") = nb::tuple(pools);
}

}  // namespace
}  // namespace bindings
}  // namespace elman

NB_MODULE(_kernels, m) {
  using namespace nb::literals;
  using namespace elman;
  m.doc() = "The compiled core of elman; elman.ops is its only caller.";
  const nb::module_ errors = nb::module_::import_("elman.errors");
  // Kept for the life of the process, so nothing is left to release when the interpreter is gone.
  static PyObject* shape_error = nb::object(errors.attr("ShapeError")).release().ptr();
  static PyObject* option_error = nb::object(errors.attr("OptionError")).release().ptr();
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const ShapeFault& fault) {
      PyErr_SetString(shape_error, fault.what());
    } catch (const SetFault& fault) {
      PyErr_SetString(option_error, fault.what());
    }
  });
  m.def("check_batch", &bindings::check_batch, "offsets"_a, "steps"_a, "index"_a.none(), "rows"_a);
  m.def("recurrent_forward", &bindings::recurrent_forward, "cell"_a, "reverse"_a, "save"_a, "x"_a, "index"_a.none(),
        "offsets"_a, "weight_ih"_a, "weight_hh"_a, "bias_ih"_a.none(), "bias_hh"_a.none(), "weight_hr"_a.none(),
        "h0"_a.none(), "c0"_a.none(), "decay"_a.none(), "drop"_a.none(), "keep"_a.none(), "keep_cell"_a.none(),
        "threads"_a, "y"_a, "h_last"_a, "c_last"_a, "gates"_a, "cell_states"_a, "pre_activations"_a.none());
  m.def("recurrent_backward", &bindings::recurrent_backward, "cell"_a, "reverse"_a, "offsets"_a, "weight_hh"_a,
        "weight_hr"_a.none(), "h0"_a.none(), "c0"_a.none(), "decay"_a.none(), "drop"_a.none(), "keep"_a.none(),
        "keep_cell"_a.none(), "y"_a, "cell_states"_a, "gates"_a, "dy"_a.none(), "dh_last"_a.none(), "dc_last"_a.none(),
        "threads"_a, "dh0"_a, "dc0"_a, "d_decay"_a, "unprojected"_a, "d_projected"_a);
  m.def("recurrent_weight_gradient", &bindings::recurrent_weight_gradient, "cell"_a, "reverse"_a, "x"_a.none(),
        "offsets"_a, "h0"_a.none(), "decay"_a.none(), "drop"_a.none(), "y"_a, "d_gates"_a, "threads"_a, "d_weight_ih"_a,
        "d_weight_hh"_a, "d_bias_ih"_a, "d_bias_hh"_a);
  m.def("linear", &bindings::linear, "x"_a, "weight"_a, "bias"_a.none(), "threads"_a, "out"_a);
  m.def("outer", &bindings::outer, "a"_a, "b"_a, "threads"_a, "out"_a);
  m.def("collect", &bindings::collect, "a"_a, "index"_a, "rows"_a, "threads"_a, "out"_a);
  m.def("pool_forward", &bindings::pool_forward, "kind"_a, "values"_a, "offsets"_a, "scores"_a.none(),
        "initial"_a.none(), "threads"_a, "out"_a, "state"_a);
  m.def("pool_backward", &bindings::pool_backward, "kind"_a, "values"_a, "offsets"_a, "scores"_a.none(), "state"_a,
        "out"_a, "d_out"_a, "threads"_a, "d_values"_a, "d_scores"_a);
  m.def("scan_forward", &bindings::scan_forward, "cell"_a, "candidate"_a, "reverse"_a, "gates"_a, "offsets"_a,
        "decay"_a.none(), "h0"_a.none(), "j0"_a.none(), "threads"_a, "y"_a, "h_last"_a, "j_last"_a);
  m.def("scan_backward", &bindings::scan_backward, "cell"_a, "candidate"_a, "reverse"_a, "gates"_a, "offsets"_a,
        "decay"_a.none(), "h0"_a.none(), "j0"_a.none(), "y"_a, "dy"_a.none(), "dh_last"_a.none(), "dj_last"_a.none(),
        "threads"_a, "d_gates"_a, "d_decay"_a, "dh0"_a, "dj0"_a);
  m.def("layer_norm_lstm_forward", &bindings::layer_norm_lstm_forward, "reverse"_a, "save"_a, "gates"_a, "offsets"_a,
        "weight_hh"_a, "gain_ih"_a, "gain_hh"_a, "bias"_a.none(), "gain_cell"_a, "bias_cell"_a.none(), "h0"_a.none(),
        "c0"_a.none(), "threads"_a, "y"_a, "h_last"_a, "c_last"_a, "sums"_a, "cell_states"_a);
  m.def("layer_norm_lstm_backward", &bindings::layer_norm_lstm_backward, "reverse"_a, "gates"_a, "offsets"_a,
        "weight_hh"_a, "gain_ih"_a, "gain_hh"_a, "bias"_a.none(), "gain_cell"_a, "bias_cell"_a.none(), "c0"_a.none(),
        "sums"_a, "cell_states"_a, "dy"_a.none(), "dh_last"_a.none(), "dc_last"_a.none(), "threads"_a, "d_gates"_a,
        "d_sums"_a, "d_vectors"_a, "dh0"_a, "dc0"_a);
  bind_stepper(m);
  bindings::add_tables(m);
  m.def("info", &bindings::info);
  m.def("choose_set", &choose_set, "name"_a);
}
