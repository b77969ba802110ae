// Python bindings of Stepper. Converting arguments takes longer than a step of a small model, so `step` reads them
// itself and keeps the GIL unless the step is long.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <limits>
#include <string>
#include <thread>

#include "argument_checks.h"
#include "isa.h"
#include "stepper.h"

namespace elman {

void bind_stepper(nb::module_& m);
namespace {

// A longer step releases the GIL. Acquiring it again can cost 5 ms when other threads are busy.
constexpr double long_step = 100;  // microseconds

std::string shown(int64_t a, int64_t b) { return "[" + std::to_string(a) + ", " + std::to_string(b) + "]"; }

// Locks a stepper for one caller. Another one waits without the GIL, which the first may need to finish.
class Hold {
 public:
  explicit Hold(Stepper& stepper) : stepper_(stepper) {
    if (stepper.try_lock()) return;
    const nb::gil_scoped_release free;
    while (!stepper.try_lock()) std::this_thread::yield();
  }
  ~Hold() { stepper_.unlock(); }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  Stepper& stepper_;
};

// The numbers in an array [rows, width] of float32 that Python owns.
class Input {
 public:
  Input(nb::handle x, int64_t rows, int64_t width) {
    if (PyObject_CheckBuffer(x.ptr()) == 0)
      throw ShapeFault("x must be a NumPy array or a tensor, got " + std::string(Py_TYPE(x.ptr())->tp_name) + ".");
    if (PyObject_GetBuffer(x.ptr(), &view_, PyBUF_FORMAT | PyBUF_ND | PyBUF_STRIDES) != 0) throw nb::python_error();
    held_ = true;
    const std::string fault = check(rows, width);
    if (!fault.empty()) {
      PyBuffer_Release(&view_);
      throw ShapeFault(fault);
    }
    data_ = static_cast<const float*>(view_.buf);
  }
  ~Input() {
    if (held_) PyBuffer_Release(&view_);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  const float* data() const { return data_; }

 private:
  std::string check(int64_t rows, int64_t width) const {
    if (view_.format == nullptr || std::strcmp(view_.format, "f") != 0)
      return "x must be float32, got numbers of format '" + std::string(view_.format == nullptr ? "B" : view_.format) +
             "'. Convert them first: no type is converted in silence.";
    if (view_.ndim != 2 || view_.shape[0] != rows || view_.shape[1] != width) {
      std::string got;
      for (int i = 0; i < view_.ndim; ++i) got += (i > 0 ? ", " : "") + std::to_string(view_.shape[i]);
      return "x must have shape " + shown(rows, width) + " (sequences, inputs), got [" + got + "].";
    }
    if (PyBuffer_IsContiguous(&view_, 'C') == 0) return "x must be contiguous. Copy it with numpy.ascontiguousarray.";
    return "";
  }

  Py_buffer view_{};
  bool held_ = false;
  const float* data_ = nullptr;
};

float* address(nb::handle number) {
  void* pointer = PyLong_AsVoidPtr(number.ptr());
  if (pointer == nullptr && PyErr_Occurred() != nullptr) throw nb::python_error();
  return static_cast<float*>(pointer);
}

// A layer from Python: kind, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0.
using Layer = std::tuple<std::string, Array, Array, Optional, Optional, Array, Optional>;

// `below`: outputs of the layer below, or 0 for the lowest.
StepperLayer checked(const Layer& from, int64_t below) {
  const auto& [name, weight_ih, weight_hh, bias_ih, bias_hh, h0, c0] = from;
  rows_of(weight_ih, "weight_ih");
  rows_of(weight_hh, "weight_hh");
  StepperLayer layer{};
  layer.kind = cell_named(name);
  layer.inputs = below > 0 ? below : static_cast<int64_t>(weight_ih.shape(1));
  layer.hidden = static_cast<int64_t>(weight_hh.shape(1));
  const int64_t columns = gates_of(layer.kind) * layer.hidden;
  layer.weights = {read<float>(weight_ih, "weight_ih", columns, layer.inputs),
                   read<float>(weight_hh, "weight_hh", columns, layer.hidden),
                   read_vector<float>(bias_ih, "bias_ih", columns), read_vector<float>(bias_hh, "bias_hh", columns)};
  if (elman::has_cell_state(layer.kind) && !c0) throw ShapeFault("c0 is needed here and was not given");
  layer.h0 = read<float>(h0, "h0", 1, layer.hidden);
  layer.c0 = read<float>(c0, "c0", 1, layer.hidden);
  return layer;
}

void check_sequences(int64_t sequences) {
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  if (sequences < 1) throw ShapeFault("sequences must be at least 1, got " + std::to_string(sequences));
  if (sequences > most)
    throw ShapeFault("sequences may be at most " + std::to_string(most) + ", got " + std::to_string(sequences));
}

void make(Stepper* self, const std::vector<Layer>& from, int weight_format, int64_t sequences, int threads) {
  if (from.empty()) throw ShapeFault("a stepper needs at least one layer");
  check_sequences(sequences);
  std::vector<StepperLayer> layers;
  for (const Layer& layer : from) layers.push_back(checked(layer, layers.empty() ? 0 : layers.back().hidden));
  new (self) Stepper(chosen_stepping(), layers, static_cast<WeightFormat>(weight_format), sequences, threads);
}

// The numbers of sequences, which Python has made int64 and contiguous.
const int64_t* numbers(const Array& rows) { return static_cast<const int64_t*>(rows.data()); }

// The stepper's copy of `rows`, which must exist and be distinct. The stepper is locked.
const int64_t* checked_rows(Stepper& stepper, const Array& rows) {
  const int64_t* chosen = stepper.distinct(numbers(rows), static_cast<int64_t>(rows.shape(0)));
  if (chosen == nullptr)
    throw ShapeFault("rows must be different sequences from 0 to " + std::to_string(stepper.sequences() - 1));
  return chosen;
}

void run(Stepper& stepper, const float* x, const int64_t* rows, int64_t count, float* out) {
  if (stepper.cost(count) < long_step) return stepper.step(x, rows, count, out);
  const nb::gil_scoped_release free;
  stepper.step(x, rows, count, out);
}

// `count` rows come in and go out. Another caller may have selected other sequences since it was read.
void check_count(const Stepper& stepper, int64_t count) {
  if (count != stepper.sequences())
    throw ShapeFault("the stepper has " + std::to_string(stepper.sequences()) + " sequences now, and no longer " +
                     std::to_string(count) + ": another thread selected them");
}

// An array, which is checked here.
void step(Stepper& stepper, nb::handle x, int64_t count, nb::handle out) {
  const Hold hold(stepper);
  check_count(stepper, count);
  const Input input(x, count, stepper.inputs());
  run(stepper, input.data(), nullptr, count, address(out));
}

// The address of a tensor, which was checked in Python.
void step_at(Stepper& stepper, nb::handle x, int64_t count, nb::handle out) {
  const Hold hold(stepper);
  check_count(stepper, count);
  const float* data = address(x);
  if (data == nullptr && stepper.inputs() > 0) throw ShapeFault("x has no memory. Give a tensor that holds numbers.");
  run(stepper, data, nullptr, count, address(out));
}

// `room` rows fit where the result goes.
void step_rows(Stepper& stepper, nb::handle x, const Array& rows, int64_t room, nb::handle out) {
  const Hold hold(stepper);
  check_count(stepper, room);
  const int64_t* chosen = checked_rows(stepper, rows);
  const int64_t count = static_cast<int64_t>(rows.shape(0));
  const Input input(x, count, stepper.inputs());
  run(stepper, input.data(), chosen, count, address(out));
}

void reset(Stepper& stepper, const Optional& rows) {
  const Hold hold(stepper);
  if (!rows) return stepper.reset(nullptr, stepper.sequences());
  stepper.reset(checked_rows(stepper, *rows), static_cast<int64_t>(rows->shape(0)));
}

void select(Stepper& stepper, const Array& rows) {
  const Hold hold(stepper);
  check_sequences(static_cast<int64_t>(rows.shape(0)));
  const std::vector<int64_t> own = copied(rows);
  for (size_t m = 0; m < own.size(); ++m)
    if (own[m] < 0 || own[m] >= stepper.sequences())
      throw ShapeFault("rows[" + std::to_string(m) + "] = " + std::to_string(own[m]) +
                       " is no sequence of this stepper, which has " + std::to_string(stepper.sequences()));
  stepper.select(own.data(), static_cast<int64_t>(own.size()));
}

// Calls each(i, layer, cell) for the i-th tensor of a state: h of every layer, followed by c of an LSTM.
template <class Each>
void for_each_state(const Stepper& stepper, size_t count, const Each& each) {
  size_t i = 0;
  for (int64_t layer = 0; layer < stepper.layers(); ++layer)
    for (const bool cell : {false, true})
      if (!cell || stepper.has_cell_state(layer)) {
        if (i == count) throw ShapeFault("a state of this stepper has more than " + std::to_string(count) + " tensors");
        each(i++, layer, cell);
      }
  if (i != count) throw ShapeFault("a state of this stepper has " + std::to_string(i) + " tensors");
}

// Of all layers as they are between two steps. False when the stepper no longer has `count` sequences.
bool read_state(Stepper& stepper, int64_t count, const std::vector<Out>& to) {
  const Hold hold(stepper);
  if (count != stepper.sequences()) return false;
  const auto place = [&](size_t i, int64_t layer) {
    return write<float>(to[i], "state", count, stepper.hidden(layer));
  };
  for_each_state(stepper, to.size(),
                 [&](size_t i, int64_t layer, bool cell) { stepper.read(layer, cell, place(i, layer)); });
  return true;
}

// All of it or, where something does not fit, nothing.
void write_state(Stepper& stepper, const std::vector<Array>& from) {
  const Hold hold(stepper);
  const auto place = [&](size_t i, int64_t layer) {
    return read<float>(from[i], "state", stepper.sequences(), stepper.hidden(layer));
  };
  for_each_state(stepper, from.size(), [&](size_t i, int64_t layer, bool) { place(i, layer); });
  for_each_state(stepper, from.size(),
                 [&](size_t i, int64_t layer, bool cell) { stepper.write(layer, cell, place(i, layer)); });
}

}  // namespace

void bind_stepper(nb::module_& m) {
  using namespace nb::literals;
  nb::class_<Stepper>(m, "Stepper")
      .def("__init__", &make, "layers"_a, "weight_format"_a, "sequences"_a, "threads"_a)
      .def(
          "twin",
          [](const Stepper& self, int64_t sequences) {
            check_sequences(sequences);
            return new Stepper(self, sequences);
          },
          "sequences"_a, nb::rv_policy::take_ownership)
      .def("step", &step, "x"_a.none(), "count"_a, "out"_a)
      .def("step_at", &step_at, "x"_a, "count"_a, "out"_a)
      .def("step_rows", &step_rows, "x"_a.none(), "rows"_a, "room"_a, "out"_a)
      .def("reset", &reset, "rows"_a.none())
      .def("select", &select, "rows"_a)
      .def("read", &read_state, "count"_a, "to"_a)
      .def("write", &write_state, "from"_a)
      .def_prop_ro("inputs", &Stepper::inputs)
      .def_prop_ro("outputs", &Stepper::outputs)
      .def_prop_ro("sequences", &Stepper::sequences)
      .def_prop_ro("weight_bytes", &Stepper::weight_bytes);
}

}  // namespace elman
