// A stepper: a stack of layers that processes one step after another. It owns the packed weights, the state of its
// sequences and all work space, so a step neither allocates nor throws.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "api.h"
#include "helper_threads.h"

namespace elman {

struct StepperLayer {
  CellKind kind;
  int64_t inputs, hidden;  // inputs of a layer: hidden of the one below
  StepWeights weights;     // read while the stepper is made
  const float* h0;         // [H] the state that a sequence begins with
  const float* c0;         // [H] LSTM only
};

class Stepper {
 public:
  Stepper(const Stepping& stepping, const std::vector<StepperLayer>& layers, WeightFormat format, int64_t sequences,
          int threads);
  // Another stepper with the same packed weights, at the start of `sequences` sequences.
  Stepper(const Stepper& other, int64_t sequences);
  ~Stepper();
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;

  int64_t inputs() const;
  int64_t outputs() const;
  int64_t sequences() const { return sequences_; }
  int64_t layers() const;
  int64_t hidden(int64_t layer) const;
  bool has_cell_state(int64_t layer) const;
  int64_t weight_bytes() const;

  // Microseconds that a step of so many sequences takes one thread, roughly.
  double cost(int64_t count) const;

  // One step of all sequences, or of those in `rows` [count], each at most once: x [count, inputs] to out
  // [count, outputs], which may not overlap.
  void step(const float* x, const int64_t* rows, int64_t count, float* out);

  void reset(const int64_t* rows, int64_t count);        // back to the beginning; rows null: all
  void select(const int64_t* rows, int64_t count);       // sequence i goes on as sequence rows[i] did
  void read(int64_t layer, bool cell, float* to) const;  // [sequences, H]
  void write(int64_t layer, bool cell, const float* from);

  // A private copy of `rows` [count] if they are distinct sequences, else null. It is valid until the next call.
  const int64_t* distinct(const int64_t* rows, int64_t count);

  // One caller at a time.
  bool try_lock();
  void unlock() { holder_.store(0, std::memory_order_release); }

 private:
  struct Weights;
  struct State;
  void prepare(int64_t sequences);

  std::shared_ptr<const Weights> weights_;
  std::unique_ptr<State> state_, before_;  // before_: while sequences are selected
  int64_t sequences_ = 0;
  std::vector<StepRow> rows_;
  std::vector<int64_t> chosen_;
  std::vector<char> marks_;
  HelpStatistics statistics_;
  std::atomic<uint64_t> holder_{0};
};

}  // namespace elman
