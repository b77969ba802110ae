// The door: the one file that knows Python. Every argument is checked here, by name, before a kernel sees it; the GIL
// is released while a kernel runs.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <limits>
#include <new>
#include <stdexcept>

#include "api.h"
#include "isa.h"
#include "ragged.h"

namespace nb = nanobind;

namespace elman {
namespace {

using Array = nb::ndarray<nb::ro, nb::device::cpu>;
using Out = nb::ndarray<nb::device::cpu>;
using Optional = std::optional<Array>;
using OptionalOut = std::optional<Out>;

struct ShapeFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class A>
std::string shape_of(const A& array) {
  std::string text = "[";
  for (size_t i = 0; i < array.ndim(); ++i) text += (i ? ", " : "") + std::to_string(array.shape(i));
  return text + "]";
}

template <class A>
std::string type_of(const A& array) {
  const nb::dlpack::dtype type = array.dtype();
  if (type.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Bfloat)) return "bfloat16";
  const char* code = type.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Float)  ? "float"
                     : type.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Int)  ? "int"
                     : type.code == static_cast<uint8_t>(nb::dlpack::dtype_code::UInt) ? "uint"
                                                                                       : "type";
  return code + std::to_string(type.bits);
}

template <class T>
const char* name_of_type() {
  return sizeof(T) == 4 ? "float32" : "float64";
}

template <class T, class A>
void check_type(const A& array, const char* name) {
  if (array.dtype() != nb::dtype<T>())
    throw ShapeFault(std::string(name) + " must be " + name_of_type<T>() + " as x is, got " + type_of(array) +
                     ". Convert one of them: no type is converted in silence.");
}

template <class A>
void check_rows(const A& array, const char* name, int64_t rows, int64_t width) {
  if (array.ndim() != 2 || static_cast<int64_t>(array.shape(0)) != rows ||
      static_cast<int64_t>(array.shape(1)) != width)
    throw ShapeFault(std::string(name) + " must have shape [" + std::to_string(rows) + ", " + std::to_string(width) +
                     "], got " + shape_of(array));
}

// Neighbours within a row; rows may lie apart.
template <class A>
bool rows_apart(const A& array) {
  if (array.size() == 0) return true;
  return array.ndim() == 2 && (array.shape(1) <= 1 || array.stride(1) == 1) &&
         (array.shape(0) <= 1 || array.stride(0) >= static_cast<int64_t>(array.shape(1)));
}

template <class A>
void check_rows_apart(const A& array, const char* name) {
  if (!rows_apart(array)) throw ShapeFault(std::string(name) + " must have contiguous rows. Call .contiguous() on it.");
}

template <class A>
bool packed_close(const A& array) {
  if (array.size() == 0) return true;
  int64_t step = 1;
  for (size_t i = array.ndim(); i-- > 0;) {
    if (array.shape(i) > 1 && array.stride(i) != step) return false;
    step *= static_cast<int64_t>(array.shape(i));
  }
  return true;
}

template <class A>
void check_close(const A& array, const char* name) {
  if (!packed_close(array)) throw ShapeFault(std::string(name) + " must be contiguous. Call .contiguous() on it.");
}

// Work space of many megabytes is fresh memory in every call. Asked for in pages of 2 MiB it costs a fraction of the
// page faults, and walking many sequences at once stays within the translation buffer. A hint: nothing depends on it.
template <class A>
void prefer_huge_pages([[maybe_unused]] const A& array) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t page = 4096, worth_it = uintptr_t(4) << 20;
  if (array.ndim() == 0 || array.shape(0) == 0) return;
  const uintptr_t bytes =
      static_cast<uintptr_t>(array.shape(0)) * static_cast<uintptr_t>(array.stride(0)) * array.itemsize();
  if (bytes < worth_it) return;
  const uintptr_t first = (reinterpret_cast<uintptr_t>(array.data()) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(array.data()) + bytes) / page * page;
  madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#endif
}

template <class T>
const T* read(const Array& array, const char* name, int64_t rows, int64_t width) {
  check_type<T>(array, name);
  check_rows(array, name, rows, width);
  check_close(array, name);
  return static_cast<const T*>(array.data());
}

template <class T>
const T* read(const Optional& array, const char* name, int64_t rows, int64_t width) {
  return array ? read<T>(*array, name, rows, width) : nullptr;
}

template <class T>
const T* read_vector(const Optional& array, const char* name, int64_t count) {
  if (!array) return nullptr;
  check_type<T>(*array, name);
  if (array->ndim() != 1 || static_cast<int64_t>(array->shape(0)) != count)
    throw ShapeFault(std::string(name) + " must have shape [" + std::to_string(count) + "], got " + shape_of(*array));
  check_close(*array, name);
  return static_cast<const T*>(array->data());
}

template <class T>
T* write(const Out& array, const char* name, int64_t rows, int64_t width) {
  check_type<T>(array, name);
  check_rows(array, name, rows, width);
  check_close(array, name);
  prefer_huge_pages(array);
  return static_cast<T*>(array.data());
}

template <class T>
T* write(const OptionalOut& array, const char* name, int64_t rows, int64_t width, bool needed) {
  if (!needed) return nullptr;
  if (!array) throw ShapeFault(std::string(name) + " is needed here and was not given");
  return write<T>(*array, name, rows, width);
}

int64_t rows_of(const Array& array, const char* name) {
  if (array.ndim() != 2)
    throw ShapeFault(std::string(name) + " must be two-dimensional [steps, width], got shape " + shape_of(array));
  return static_cast<int64_t>(array.shape(0));
}

Ragged checked(const Array& offsets, int64_t steps) {
  if (offsets.dtype() != nb::dtype<int64_t>()) throw ShapeFault("offsets must be int64, got " + type_of(offsets));
  if (offsets.ndim() != 1) throw ShapeFault("offsets must be one-dimensional, got shape " + shape_of(offsets));
  if (offsets.shape(0) == 0) throw ShapeFault("offsets must have at least one element (sequences + 1), got none");
  check_close(offsets, "offsets");
  const int64_t* data = static_cast<const int64_t*>(offsets.data());
  const int64_t count = static_cast<int64_t>(offsets.shape(0));
  const std::string fault = fault_of_offsets(data, count, steps);
  if (!fault.empty()) throw ShapeFault(fault);
  return Ragged(data, count - 1);
}

Kind kind_of(const std::string& name) {
  if (name == "rnn_tanh") return Kind::rnn_tanh;
  if (name == "rnn_relu") return Kind::rnn_relu;
  if (name == "lstm") return Kind::lstm;
  if (name == "gru") return Kind::gru;
  throw ShapeFault("cell must be one of rnn_tanh, rnn_relu, lstm, gru, got " + name);
}

PoolKind pool_kind_of(const std::string& name) {
  if (name == "mean") return PoolKind::mean;
  if (name == "max") return PoolKind::max;
  if (name == "attention") return PoolKind::attention;
  throw ShapeFault("pool must be one of mean, max, attention, got " + name);
}

// No more threads than the arithmetic is worth: waking one costs about as much as 1e5 operations.
int worth(int threads, double operations) {
  const double most = 1.0 + operations / 1e5;
  return most < threads ? static_cast<int>(most) : (threads < 1 ? 1 : threads);
}

// Runs f<float> or f<double>, whichever `array` holds.
template <class F>
void by_type(const Array& array, const char* name, const F& f) {
  if (array.dtype() == nb::dtype<float>())
    f(float());
  else if (array.dtype() == nb::dtype<double>())
    f(double());
  else
    throw ShapeFault(std::string(name) + " must be float32 or float64, got " + type_of(array) +
                     ". Convert it first, for example with .float().");
}

void run(const Set& set, const Forward<float>& f) { set.forward32(f); }
void run(const Set& set, const Forward<double>& f) { set.forward64(f); }
void run(const Set& set, const Backward<float>& b) { set.backward32(b); }
void run(const Set& set, const Backward<double>& b) { set.backward64(b); }
void run(const Set& set, const Linear<float>& l) { set.linear32(l); }
void run(const Set& set, const Linear<double>& l) { set.linear64(l); }
void run(const Set& set, const Outer<float>& o) { set.outer32(o); }
void run(const Set& set, const Outer<double>& o) { set.outer64(o); }

template <class Task>
void run_free(Task& task) {
  bool failed = false;
  task.failed = &failed;
  const Set& set = chosen_set();
  {
    const nb::gil_scoped_release free;
    run(set, task);
  }
  if (failed) throw std::bad_alloc();
}

void forward(const std::string& cell, bool reverse, bool save, int threads, const Array& x, const Array& offsets,
             const Array& weight_ih, const Array& weight_hh, const Optional& bias_ih, const Optional& bias_hh,
             const Optional& h0, const Optional& c0, const Out& y, const Out& h_last, const OptionalOut& c_last,
             const Out& saved, const OptionalOut& cells) {
  const Kind kind = kind_of(cell);
  const int64_t steps = rows_of(x, "x"), inputs = static_cast<int64_t>(x.shape(1));
  const int64_t rows = rows_of(weight_hh, "weight_hh"), hidden = static_cast<int64_t>(weight_hh.shape(1));
  const int64_t columns = gates_of(kind) * hidden;
  const Ragged ragged = checked(offsets, steps);
  const int64_t sequences = ragged.view().sequences;
  if (rows_of(weight_ih, "weight_ih") != columns || rows != columns)
    throw ShapeFault("weight_ih and weight_hh must have " + std::to_string(columns) + " rows for " + cell + " with " +
                     std::to_string(hidden) + " hidden units, got " + shape_of(weight_ih) + " and " +
                     shape_of(weight_hh));
  if (static_cast<int64_t>(weight_ih.shape(1)) != inputs)
    throw ShapeFault(cell + " expects inputs of width " + std::to_string(weight_ih.shape(1)) +
                     ", got values of shape " + shape_of(x) + ". Build it with inputs=" + std::to_string(inputs) +
                     ", or check what feeds it.");
  check_rows_apart(x, "x");
  by_type(x, "x", [&](auto zero) {
    using T = decltype(zero);
    Forward<T> f{};
    f.kind = kind;
    f.reverse = reverse;
    f.save = save;
    f.threads = worth(threads, 2.0 * static_cast<double>(steps * columns * (inputs + hidden)));
    f.inputs = inputs;
    f.hidden = hidden;
    f.ragged = ragged.view();
    f.x = static_cast<const T*>(x.data());
    f.x_stride = x.stride(0);
    f.weight_ih = read<T>(weight_ih, "weight_ih", columns, inputs);
    f.weight_hh = read<T>(weight_hh, "weight_hh", columns, hidden);
    f.bias_ih = read_vector<T>(bias_ih, "bias_ih", columns);
    f.bias_hh = read_vector<T>(bias_hh, "bias_hh", columns);
    f.h0 = read<T>(h0, "h0", sequences, hidden);
    f.c0 = read<T>(c0, "c0", sequences, hidden);
    f.y = write<T>(y, "y", steps, hidden);
    f.h_last = write<T>(h_last, "h_last", sequences, hidden);
    f.c_last = write<T>(c_last, "c_last", sequences, hidden, kind == Kind::lstm);
    f.saved = write<T>(saved, "saved", steps, saved_of(kind) * hidden);
    f.cells = write<T>(cells, "cells", steps, hidden, kind == Kind::lstm && save);
    run_free(f);
  });
}

void backward(const std::string& cell, bool reverse, int threads, const Array& x, const Array& offsets,
              const Array& weight_hh, const Optional& h0, const Optional& c0, const Array& y, const Optional& cells,
              const Optional& dy, const Optional& dh_last, const Optional& dc_last, const Out& saved,
              const Out& operands, const Out& dh0, const OptionalOut& dc0) {
  const Kind kind = kind_of(cell);
  const int64_t steps = rows_of(y, "y");
  rows_of(weight_hh, "weight_hh");
  const int64_t hidden = static_cast<int64_t>(weight_hh.shape(1)), columns = gates_of(kind) * hidden;
  const Ragged ragged = checked(offsets, steps);
  const int64_t sequences = ragged.view().sequences;
  if (rows_of(x, "x") != steps)
    throw ShapeFault("x must have " + std::to_string(steps) + " rows as y has, got shape " + shape_of(x));
  check_rows_apart(x, "x");
  if (dy) check_rows_apart(*dy, "dy");
  by_type(y, "y", [&](auto zero) {
    using T = decltype(zero);
    Backward<T> b{};
    b.kind = kind;
    b.reverse = reverse;
    b.threads = worth(threads, 2.0 * static_cast<double>(steps * columns * hidden));
    b.hidden = hidden;
    b.ragged = ragged.view();
    b.weight_hh = read<T>(weight_hh, "weight_hh", columns, hidden);
    b.h0 = read<T>(h0, "h0", sequences, hidden);
    b.c0 = read<T>(c0, "c0", sequences, hidden);
    b.y = read<T>(y, "y", steps, hidden);
    b.cells = read<T>(cells, "cells", steps, hidden);
    if (kind == Kind::lstm && !cells) throw ShapeFault("cells is needed here and was not given");
    if (dy) {
      check_type<T>(*dy, "dy");
      check_rows(*dy, "dy", steps, hidden);
      b.dy = static_cast<const T*>(dy->data());
      b.dy_stride = dy->stride(0);
    }
    b.dh_last = read<T>(dh_last, "dh_last", sequences, hidden);
    b.dc_last = read<T>(dc_last, "dc_last", sequences, hidden);
    b.saved = write<T>(saved, "saved", steps, saved_of(kind) * hidden);
    check_type<T>(x, "x");
    b.inputs = static_cast<int64_t>(x.shape(1));
    b.x = static_cast<const T*>(x.data());
    b.x_stride = x.stride(0);
    b.operands = write<T>(operands, "operands", steps, b.inputs + 1 + hidden);
    b.dh0 = write<T>(dh0, "dh0", sequences, hidden);
    b.dc0 = write<T>(dc0, "dc0", sequences, hidden, kind == Kind::lstm);
    run_free(b);
  });
}

void linear(int threads, const Array& x, const Array& weight, const Optional& bias, const Out& out) {
  const int64_t rows = rows_of(x, "x"), inputs = static_cast<int64_t>(x.shape(1));
  const int64_t outputs = rows_of(weight, "weight");
  check_rows_apart(x, "x");
  by_type(x, "x", [&](auto zero) {
    using T = decltype(zero);
    Linear<T> l{};
    l.threads = worth(threads, 2.0 * static_cast<double>(rows * inputs * outputs));
    l.rows = rows;
    l.inputs = inputs;
    l.outputs = outputs;
    l.x = static_cast<const T*>(x.data());
    l.x_stride = x.stride(0);
    l.weight = read<T>(weight, "weight", outputs, inputs);
    l.bias = read_vector<T>(bias, "bias", outputs);
    l.out = write<T>(out, "out", rows, outputs);
    l.out_stride = outputs;
    run_free(l);
  });
}

void outer(int threads, const Array& a, const Array& b, const Out& out) {
  const int64_t steps = rows_of(a, "a"), rows = static_cast<int64_t>(a.shape(1));
  if (rows_of(b, "b") != steps)
    throw ShapeFault("a and b must have as many rows as each other, got shapes " + shape_of(a) + " and " + shape_of(b));
  const int64_t columns = static_cast<int64_t>(b.shape(1));
  check_rows_apart(a, "a");
  check_rows_apart(b, "b");
  by_type(a, "a", [&](auto zero) {
    using T = decltype(zero);
    check_type<T>(b, "b");
    Outer<T> o{};
    o.threads = worth(threads, 2.0 * static_cast<double>(steps * rows * columns));
    o.steps = steps;
    o.rows = rows;
    o.columns = columns;
    o.a = static_cast<const T*>(a.data());
    o.a_stride = a.stride(0);
    o.b = static_cast<const T*>(b.data());
    o.b_stride = b.stride(0);
    o.out = write<T>(out, "out", rows, columns);
    run_free(o);
  });
}

void pool_forward(const std::string& name, int threads, const Array& values, const Array& offsets,
                  const Optional& scores, const Optional& initial, const Out& state, const Out& out) {
  const PoolKind kind = pool_kind_of(name);
  const int64_t steps = rows_of(values, "values"), hidden = static_cast<int64_t>(values.shape(1));
  const Ragged ragged = checked(offsets, steps);
  const int64_t sequences = ragged.view().sequences;
  check_rows_apart(values, "values");
  if (kind == PoolKind::attention && !scores) throw ShapeFault("scores are needed for attention and were not given");
  by_type(values, "values", [&](auto zero) {
    using T = decltype(zero);
    Pool<T> p{};
    p.kind = kind;
    p.threads = worth(threads, static_cast<double>(steps * hidden));
    p.hidden = hidden;
    p.ragged = ragged.view();
    p.values = static_cast<const T*>(values.data());
    p.stride = values.stride(0);
    p.scores = read_vector<T>(scores, "scores", steps);
    p.initial = read<T>(initial, "initial", sequences, hidden + 2);
    p.state = write<T>(state, "state", sequences, hidden + 2);
    p.out = write<T>(out, "out", sequences, hidden);
    const nb::gil_scoped_release free;
    pool(p);
  });
}

void pool_backward(const std::string& name, int threads, const Array& values, const Array& offsets,
                   const Optional& scores, const Array& state, const Array& out, const Array& dout, const Out& dvalues,
                   const OptionalOut& dscores) {
  const PoolKind kind = pool_kind_of(name);
  const int64_t steps = rows_of(values, "values"), hidden = static_cast<int64_t>(values.shape(1));
  const Ragged ragged = checked(offsets, steps);
  const int64_t sequences = ragged.view().sequences;
  check_rows_apart(values, "values");
  const bool attention = kind == PoolKind::attention;
  if (attention && (!scores || !dscores)) throw ShapeFault("scores are needed for attention and were not given");
  by_type(values, "values", [&](auto zero) {
    using T = decltype(zero);
    PoolBack<T> p{};
    p.kind = kind;
    p.threads = worth(threads, static_cast<double>(steps * hidden));
    p.hidden = hidden;
    p.ragged = ragged.view();
    p.values = static_cast<const T*>(values.data());
    p.stride = values.stride(0);
    p.scores = read_vector<T>(scores, "scores", steps);
    p.state = read<T>(state, "state", sequences, hidden + 2);
    p.out = read<T>(out, "out", sequences, hidden);
    p.dout = read<T>(dout, "dout", sequences, hidden);
    p.dvalues = write<T>(dvalues, "dvalues", steps, hidden);
    if (attention) {
      check_type<T>(*dscores, "dscores");
      if (dscores->ndim() != 1 || static_cast<int64_t>(dscores->shape(0)) != steps)
        throw ShapeFault("dscores must have shape [" + std::to_string(steps) + "], got " + shape_of(*dscores));
      check_close(*dscores, "dscores");
      p.dscores = static_cast<T*>(dscores->data());
    }
    const nb::gil_scoped_release free;
    pool_back(p);
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
#ifdef _OPENMP
  answer["threads"] = "openmp";
#else
  answer["threads"] = "none";
#endif
  answer["compiler"] = __VERSION__;
  return answer;
}

}  // namespace
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
  m.def("forward", &forward, "cell"_a, "reverse"_a, "save"_a, "threads"_a, "x"_a, "offsets"_a, "weight_ih"_a,
        "weight_hh"_a, "bias_ih"_a.none(), "bias_hh"_a.none(), "h0"_a.none(), "c0"_a.none(), "y"_a, "h_last"_a,
        "c_last"_a.none(), "saved"_a, "cells"_a.none());
  m.def("backward", &backward, "cell"_a, "reverse"_a, "threads"_a, "x"_a, "offsets"_a, "weight_hh"_a, "h0"_a.none(),
        "c0"_a.none(), "y"_a, "cells"_a.none(), "dy"_a.none(), "dh_last"_a.none(), "dc_last"_a.none(), "saved"_a,
        "operands"_a, "dh0"_a, "dc0"_a.none());
  m.def("linear", &linear, "threads"_a, "x"_a, "weight"_a, "bias"_a.none(), "out"_a);
  m.def("outer", &outer, "threads"_a, "a"_a, "b"_a, "out"_a);
  m.def("pool_forward", &pool_forward, "pool"_a, "threads"_a, "values"_a, "offsets"_a, "scores"_a.none(),
        "initial"_a.none(), "state"_a, "out"_a);
  m.def("pool_backward", &pool_backward, "pool"_a, "threads"_a, "values"_a, "offsets"_a, "scores"_a.none(), "state"_a,
        "out"_a, "dout"_a, "dvalues"_a, "dscores"_a.none());
  m.def("info", &info);
  m.def("choose_set", &choose_set, "name"_a);
}
