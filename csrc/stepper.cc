#include "stepper.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "cores.h"
#include "parallel.h"

namespace elman {
namespace {

constexpr double worth_sharing = 3;  // microseconds a layer must take: synchronising costs about one
constexpr int64_t line = 64;         // a cache line: two threads should not both write to it

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

template <class T>
using Memory = std::unique_ptr<T[], Free>;

// `rows` times `each` numbers, all zero. Throws where there is no such memory, and where no number says how much it is.
template <class T>
Memory<T> allocate(int64_t rows, int64_t each = 1) {
  void* memory = nullptr;
  size_t count, bytes;
  if (__builtin_mul_overflow(rows, each, &count) || __builtin_mul_overflow(count, sizeof(T), &bytes) ||
      posix_memalign(&memory, line, std::max(bytes, sizeof(T))) != 0)
    throw std::bad_alloc();
  std::memset(memory, 0, bytes);
  return Memory<T>(static_cast<T*>(memory));
}

int64_t padded(int64_t floats) {
  constexpr int64_t whole = line / static_cast<int64_t>(sizeof(float));
  return (floats + whole - 1) / whole * whole;
}

void copy(float* to, const float* from, int64_t count) {
  std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}

using ELMAN_SET::FlushDenormals;

struct Panels {
  const Stepping* stepping;
  const StepLayer* layer;
  const StepRow* rows;
  int64_t count;
};

void run_panel(const void* job, int64_t index) {
  const Panels& p = *static_cast<const Panels*>(job);
  p.stepping->panel(*p.layer, p.rows, p.count, index);
}

}  // namespace

// Shared by many steppers; immutable.
struct Stepper::Weights {
  const Stepping* stepping;
  int threads;
  struct One {
    StepLayer layer;
    Memory<char> packed;
    Memory<float> h0, c0;
    int64_t stride;  // of a row of the state

    // Microseconds on one thread: reading the weights, or multiplying with them.
    double cost(int64_t count) const {
      constexpr double bytes_a_microsecond = 1e5, products_a_microsecond = 4e4;
      const double products = static_cast<double>(gates_of(layer.kind) * layer.hidden * (layer.inputs + layer.hidden));
      const double speed = layer.format == WeightFormat::int8 ? 2 * products_a_microsecond : products_a_microsecond;
      return std::max(static_cast<double>(layer.panels * layer.panel_bytes) / bytes_a_microsecond,
                      products * static_cast<double>(count) / speed);
    }
  };
  std::vector<One> layers;
};

// h and c of every layer twice: what a step reads and what it writes. `current` is the one to read, for each sequence,
// as some may stay where they are while others go on.
struct Stepper::State {
  struct One {
    Memory<float> h, c;        // [2, sequences, stride]
    Memory<int32_t> whole[2];  // int8 only: [sequences, whole_words] of x and of h
    Memory<float> scale;       // [sequences, 2]
  };
  std::vector<One> layers;
  std::vector<char> current;
};

Stepper::Stepper(const Stepping& stepping, const std::vector<StepperLayer>& layers, WeightFormat format,
                 int64_t sequences, int threads) {
  auto weights = std::make_shared<Weights>();
  weights->stepping = &stepping;
  weights->threads = std::min(threads, cores(false));
  for (const StepperLayer& from : layers) {
    Weights::One one{};
    one.layer.kind = from.kind;
    one.layer.format = format;
    one.layer.inputs = from.inputs;
    one.layer.hidden = from.hidden;
    stepping.shape(one.layer);
    one.packed = allocate<char>(one.layer.panels, one.layer.panel_bytes);
    one.layer.packed = one.packed.get();
    stepping.pack(one.layer, from.weights);
    one.stride = padded(from.hidden);
    one.h0 = allocate<float>(from.hidden);
    one.c0 = allocate<float>(from.hidden);
    copy(one.h0.get(), from.h0, from.hidden);
    if (elman::has_cell_state(from.kind)) copy(one.c0.get(), from.c0, from.hidden);
    weights->layers.push_back(std::move(one));
  }
  weights_ = std::move(weights);
  prepare(sequences);
  reset(nullptr, sequences);
}

Stepper::Stepper(const Stepper& other, int64_t sequences) : weights_(other.weights_) {
  prepare(sequences);
  reset(nullptr, sequences);
}

Stepper::~Stepper() = default;

void Stepper::prepare(int64_t sequences) {
  auto state = std::make_unique<State>();
  for (const Weights::One& w : weights_->layers) {
    State::One one;
    one.h = allocate<float>(sequences, 2 * w.stride);
    one.c = allocate<float>(elman::has_cell_state(w.layer.kind) ? sequences : 0, 2 * w.stride);
    for (int side = 0; side < 2; ++side) one.whole[side] = allocate<int32_t>(sequences, w.layer.whole_words[side]);
    one.scale = allocate<float>(sequences, 2);
    state->layers.push_back(std::move(one));
  }
  state->current.assign(static_cast<size_t>(sequences), 0);
  std::vector<StepRow> rows(static_cast<size_t>(sequences));
  std::vector<int64_t> chosen(static_cast<size_t>(sequences));
  std::vector<char> marks(static_cast<size_t>(sequences), 0);
  state_.swap(state);  // from here on nothing fails
  before_ = std::move(state);
  rows_.swap(rows);
  chosen_.swap(chosen);
  marks_.swap(marks);
  sequences_ = sequences;
}

int64_t Stepper::inputs() const { return weights_->layers.front().layer.inputs; }
int64_t Stepper::outputs() const { return weights_->layers.back().layer.hidden; }
int64_t Stepper::layers() const { return static_cast<int64_t>(weights_->layers.size()); }
int64_t Stepper::hidden(int64_t layer) const { return weights_->layers[static_cast<size_t>(layer)].layer.hidden; }
bool Stepper::has_cell_state(int64_t layer) const {
  return elman::has_cell_state(weights_->layers[static_cast<size_t>(layer)].layer.kind);
}

int64_t Stepper::weight_bytes() const {
  int64_t bytes = 0;
  for (const Weights::One& one : weights_->layers) bytes += one.layer.panels * one.layer.panel_bytes;
  return bytes;
}

double Stepper::cost(int64_t count) const {
  double sum = 0;
  for (const Weights::One& one : weights_->layers) sum += one.cost(count);
  return sum;
}

void Stepper::step(const float* x, const int64_t* rows, int64_t count, float* out) {
  const FlushDenormals flush;
  const auto large = [count](const Weights::One& one) { return one.cost(count) > worth_sharing; };
  const bool shared = std::any_of(weights_->layers.begin(), weights_->layers.end(), large);
  ParallelSection section(shared ? weights_->threads : 1, statistics_);
  const int64_t width = inputs();
  const float* below = nullptr;  // the states that the layer below has just written
  int64_t below_stride = 0;
  for (size_t l = 0; l < weights_->layers.size(); ++l) {
    const Weights::One& w = weights_->layers[l];
    State::One& s = state_->layers[l];
    const int64_t half = sequences_ * w.stride;
    for (int64_t m = 0; m < count; ++m) {
      const int64_t q = rows == nullptr ? m : rows[m];
      const int64_t before = state_->current[static_cast<size_t>(q)], after = 1 - before, place = q * w.stride;
      StepRow& row = rows_[static_cast<size_t>(m)];
      row.x = below == nullptr ? x + m * width : below + after * sequences_ * below_stride + q * below_stride;
      row.h_before = s.h.get() + before * half + place;
      row.h = s.h.get() + after * half + place;
      for (int side = 0; side < 2; ++side) row.whole[side] = s.whole[side].get() + q * w.layer.whole_words[side];
      row.scale = s.scale.get() + 2 * q;
      if (elman::has_cell_state(w.layer.kind)) {
        row.c_before = s.c.get() + before * half + place;
        row.c = s.c.get() + after * half + place;
      }
    }
    const Panels job{weights_->stepping, &w.layer, rows_.data(), count};
    weights_->stepping->prepare(w.layer, rows_.data(), count);
    section.run({run_panel, &job, w.layer.panels}, large(w));
    below = s.h.get();
    below_stride = w.stride;
  }
  for (int64_t m = 0; m < count; ++m) {
    char& which = state_->current[static_cast<size_t>(rows == nullptr ? m : rows[m])];
    which = static_cast<char>(1 - which);
    copy(out + m * outputs(), rows_[static_cast<size_t>(m)].h, outputs());
  }
}

void Stepper::reset(const int64_t* rows, int64_t count) {
  for (int64_t m = 0; m < count; ++m) {
    const int64_t q = rows == nullptr ? m : rows[m];
    for (size_t l = 0; l < weights_->layers.size(); ++l) {
      const Weights::One& w = weights_->layers[l];
      const int64_t place = (state_->current[static_cast<size_t>(q)] * sequences_ + q) * w.stride;
      copy(state_->layers[l].h.get() + place, w.h0.get(), w.layer.hidden);
      if (elman::has_cell_state(w.layer.kind)) copy(state_->layers[l].c.get() + place, w.c0.get(), w.layer.hidden);
    }
  }
}

void Stepper::select(const int64_t* rows, int64_t count) {
  const int64_t sequences = sequences_;
  prepare(count);
  const std::unique_ptr<State> before = std::move(before_);
  for (size_t l = 0; l < weights_->layers.size(); ++l) {
    const Weights::One& w = weights_->layers[l];
    for (int64_t m = 0; m < count; ++m) {
      const int64_t from = (before->current[static_cast<size_t>(rows[m])] * sequences + rows[m]) * w.stride;
      copy(state_->layers[l].h.get() + m * w.stride, before->layers[l].h.get() + from, w.layer.hidden);
      if (elman::has_cell_state(w.layer.kind))
        copy(state_->layers[l].c.get() + m * w.stride, before->layers[l].c.get() + from, w.layer.hidden);
    }
  }
}

void Stepper::read(int64_t layer, bool cell, float* to) const {
  const Weights::One& w = weights_->layers[static_cast<size_t>(layer)];
  const State::One& s = state_->layers[static_cast<size_t>(layer)];
  for (int64_t q = 0; q < sequences_; ++q)
    copy(to + q * w.layer.hidden,
         (cell ? s.c : s.h).get() + (state_->current[static_cast<size_t>(q)] * sequences_ + q) * w.stride,
         w.layer.hidden);
}

void Stepper::write(int64_t layer, bool cell, const float* from) {
  const Weights::One& w = weights_->layers[static_cast<size_t>(layer)];
  State::One& s = state_->layers[static_cast<size_t>(layer)];
  for (int64_t q = 0; q < sequences_; ++q)
    copy((cell ? s.c : s.h).get() + (state_->current[static_cast<size_t>(q)] * sequences_ + q) * w.stride,
         from + q * w.layer.hidden, w.layer.hidden);
}

const int64_t* Stepper::distinct(const int64_t* rows, int64_t count) {
  if (count > sequences_) return nullptr;
  int64_t good = 0;
  for (; good < count; ++good) {
    const int64_t row = __atomic_load_n(rows + good, __ATOMIC_RELAXED);
    if (row < 0 || row >= sequences_ || marks_[static_cast<size_t>(row)] != 0) break;
    marks_[static_cast<size_t>(row)] = 1;
    chosen_[static_cast<size_t>(good)] = row;
  }
  for (int64_t m = 0; m < good; ++m) marks_[static_cast<size_t>(chosen_[static_cast<size_t>(m)])] = 0;
  return good == count ? chosen_.data() : nullptr;
}

// The holder includes the generation: a lock that another thread held when the process forked is free in the child.
bool Stepper::try_lock() {
  const uint64_t mine = uint64_t(generation()) << 1 | 1;
  uint64_t holder = holder_.load(std::memory_order_relaxed);
  return holder != mine && holder_.compare_exchange_strong(holder, mine, std::memory_order_acquire);
}

}  // namespace elman
