// What the compiled core offers. Read this first.
//
// Every pointer is row-major. B sequences, N steps of all of them, I inputs, H hidden, P outputs (H without a
// projection), G gates of the cell (1 for a simple RNN, 4 for LSTM, 3 for GRU). `offsets` [B + 1] says which steps
// belong to which sequence: first 0, never decreasing, last N (checked at the door, bindings.cc). Nothing here keeps a
// pointer after it returns, throws, or touches Python. A row of a result depends on its own sequence alone: the order
// of summation in a row is fixed, so that its bits do not depend on its neighbours or on the number of threads.
#pragma once

#include <cstdint>

namespace elman {

enum class Kind : int { rnn_tanh = 0, rnn_relu = 1, lstm = 2, gru = 3 };

constexpr int gates_of(Kind kind) { return kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 1; }

// Values a step leaves behind for the way back, as multiples of H: the gates; for GRU also U_n h + c_n.
constexpr int saved_of(Kind kind) { return kind == Kind::lstm || kind == Kind::gru ? 4 : 1; }

// The steps of a batch. `order` [B] is the order in which sequences are started: longest first keeps every core busy.
struct RaggedView {
  const int64_t* offsets;
  const int64_t* order;
  int64_t sequences;
  int64_t steps;
  int64_t longest;
};

// A bfloat16 number: the upper half of a float32.
struct Bf16 {
  uint16_t bits;
};

// What may change h and c on their way from one step to the next. Each is null when not wanted.
template <class T>
struct Extras {
  const T* decay;       // [N, P]  h_{t-1} becomes decay_t h_{t-1}, everywhere
  const T* drop;        // [B, P]  U multiplies drop h_{t-1}: one mask for all steps of a sequence
  const T* keep;        // [N, P]  rows `keep_stride` apart: h_t becomes keep_t h_{t-1} + (1 - keep_t) h_t
  int64_t keep_stride;  //         0: the same row at every step
  const T* keep_cell;   // [N, H]  rows `keep_cell_stride` apart, likewise for c; LSTM only
  int64_t keep_cell_stride;
};

// One layer in one direction over whole sequences. T is the type of weights, state and sums, S that of whatever has a
// row for every step: T itself, or Bf16, which then is also what the products multiply. `reverse` walks every sequence
// from its last step to its first. With a projection h is [P] = weight_hr [P, H] times what is H wide without one (LSTM
// only); else P = H. Extras and projections need S = T.
template <class T, class S = T>
struct Forward {
  Kind kind;
  bool reverse;
  int threads;
  int64_t inputs, hidden, outputs;  // I, H, P
  RaggedView ragged;
  const S* x;            // [N, I], rows `x_stride` apart; or [R, I] with `index`
  int64_t x_stride;      //
  int64_t x_rows;        // N, or R
  const int64_t* index;  // [N]          step n reads row index[n] of x; or null: row n
  const T* weight_ih;    // [G * H, I]   rows i f g o (LSTM), r z n (GRU)
  const T* weight_hh;    // [G * H, P]
  const T* bias_ih;      // [G * H]      or null
  const T* bias_hh;      // [G * H]      or null
  const T* weight_hr;    // [P, H]       or null: no projection
  const T* h0;           // [B, P]       or null: zeros
  const T* c0;           // [B, H]       or null: zeros; LSTM only
  Extras<T> extras;
  S* y;          // [N, P]       out, overlaps nothing
  T* h_last;     // [B, P]       out; the initial state where a sequence is empty
  T* c_last;     // [B, H]       out, LSTM only
  T* table;      // [R, G * H]   work space for what weight_ih makes of x; null when it fits elsewhere: in `saved`
                 //   (S = T, no index), or nowhere (S = Bf16, no index), being added up step by step
  S* saved;      // [N, saved_of(kind) * H]  out: what backward needs; null at inference unless it serves as table
  T* cells;      // [N, H]       out, LSTM only; null unless `save`
  bool save;     //
  bool* failed;  // set when there is no memory for work space
};

// The way back through the same layer, in two calls: `backward` step by step, `gradient` over all steps at once. The
// gradient of x is left to `linear`.
template <class T, class S = T>
struct Backward {
  Kind kind;
  bool reverse;
  int threads;
  int64_t hidden, outputs;
  RaggedView ragged;
  const T* weight_hh;  // [G * H, P]
  const T* weight_hr;  // [P, H]   or null
  const T* h0;         // [B, P]   or null: zeros
  const T* c0;         // [B, H]   or null: zeros; LSTM only
  Extras<T> extras;
  const S* y;         // [N, P]   from forward
  const T* cells;     // [N, H]   from forward, LSTM only
  const S* dy;        // [N, P]   rows `dy_stride` apart, or null: zeros
  int64_t dy_stride;  //
  const T* dh_last;   // [B, P]   or null: zeros
  const T* dc_last;   // [B, H]   or null: zeros; LSTM only
  S* saved;           // [N, saved_of(kind) * H]  in: from forward; out: gradients of the pre-activations.
                      //   LSTM i f g o; RNN one block; GRU r z n q, where q is U_n h + c_n: r z n belong to weight_ih,
                      //   r z q to weight_hh.
  T* dh0;             // [B, P]   out
  T* dc0;             // [B, H]   out, LSTM only
  T* d_decay;         // [N, P]   out; null without extras.decay
  T* full;            // [N, H]   out: h before the projection, and
  T* d_projected;     // [N, P]   out: the gradient of the loss with respect to what it becomes; null without weight_hr
  bool* failed;       // set when there is no memory for work space
};

// Gradients of weights and biases: sums over all steps of outer products of x_t, 1 and h_{t-1} with the gradients of
// the pre-activations that `backward` leaves in `saved`. Steps are added in their order, so that the bits do not depend
// on the number of threads.
template <class T, class S = T>
struct Gradient {
  Kind kind;
  bool reverse;
  int threads;
  int64_t inputs, hidden, outputs;
  RaggedView ragged;
  const S* x;        // [N, I], rows `x_stride` apart; null: weight_ih is left out
  int64_t x_stride;  //
  const T* h0;       // [B, P]   or null: zeros
  const S* y;        // [N, P]
  Extras<T> extras;  // decay and drop
  const S* saved;    // [N, saved_of(kind) * H]
  T* d_weight_ih;    // [G * H, I]   out
  T* d_weight_hh;    // [G * H, P]   out
  T* d_bias_ih;      // [G * H]      out
  T* d_bias_hh;      // [G * H]      out
  bool* failed;
};

// out = x weight^T + bias. As torch.nn.functional.linear, but a row's bits do not depend on the other rows.
template <class T, class S = T, class O = T>
struct Linear {
  int threads;
  int64_t rows, inputs, outputs;
  const S* x;                 // [rows, inputs], rows `x_stride` apart
  int64_t x_stride;           //
  const T* weight;            // [outputs, inputs]
  int64_t weight_strides[2];  // of outputs and of inputs
  const T* bias;              // [outputs] or null
  O* out;                     // [rows, outputs], rows `out_stride` apart
  int64_t out_stride;
  bool* failed;  // set when there is no memory for work space
};

// out = a^T b: the sum over all steps of outer products, which is what a weight's gradient is. Steps are added in their
// order, so that the bits do not depend on the number of threads.
template <class T, class S = T>
struct Outer {
  int threads;
  int64_t steps, rows, columns;
  const S* a;        // [steps, rows], rows of it `a_stride` apart
  int64_t a_stride;  //
  const S* b;        // [steps, columns], rows of it `b_stride` apart
  int64_t b_stride;  //
  T* out;            // [rows, columns]
  bool* failed;      // set when there is no memory for work space
};

// out[index[n]] = sum of a[n] over n, in the order of n and in float64: what many steps want of the row they share.
template <class T, class S = T>
struct Collect {
  int threads;
  int64_t steps, rows, width;
  const S* a;            // [steps, width], rows of it `a_stride` apart
  int64_t a_stride;      //
  const int64_t* index;  // [steps], each in 0 ... rows - 1
  T* out;                // [rows, width]
  bool* failed;          // set when there is no memory for work space
};

enum class ScanKind : int { min_gru = 0, min_lstm = 1, lru = 2 };

// What minGRU and minLSTM may write: v itself, tanh(v), or g(v) = v + 0.5 where v >= 0 and sigmoid(v) below.
enum class Candidate : int { linear = 0, tanh = 1, positive = 2 };

constexpr int gates_of(ScanKind kind) { return kind == ScanKind::min_lstm ? 3 : 2; }
constexpr int parts_of(ScanKind kind) { return kind == ScanKind::lru ? 2 : 1; }

// A layer whose gates see the inputs alone: what is left of the recurrence is h_t = a_t h_{t-1} + b_t, unit by unit.
// The state has P parts: one, or for the LRU a real and an imaginary one, which lie side by side in a row of y.
template <class T>
struct Scan {
  ScanKind kind;
  Candidate candidate;  // minGRU and minLSTM
  bool reverse;
  int threads;
  int64_t hidden;
  RaggedView ragged;
  const T* gates;     // [N, G * H], rows `stride` apart: W x_t + b. Blocks z h (minGRU), f i h (minLSTM), and for the
  int64_t stride;     //   LRU the real and the imaginary part of what comes in
  const T* decay;     // [2 * H]     LRU only: the real and the imaginary part of Lambda
  const T* first[2];  // [B, H] each part of the initial state, or null: zeros
  T* y;               // [N, P * H]  out, overlaps nothing
  T* last[2];         // [B, H]      out; the initial state where a sequence is empty
};

template <class T>
struct ScanBack {
  ScanKind kind;
  Candidate candidate;
  bool reverse;
  int threads;
  int64_t hidden;
  RaggedView ragged;
  const T* gates;      // as in forward
  int64_t stride;      //
  const T* decay;      //
  const T* first[2];   //
  const T* y;          // [N, P * H]  from forward
  const T* dy;         // [N, P * H]  rows `dy_stride` apart, or null: zeros
  int64_t dy_stride;   //
  const T* d_last[2];  // [B, H]      or null: zeros
  T* d_gates;          // [N, G * H]  out
  T* d_decay;          // [2 * H]     out, LRU only
  T* d_first[2];       // [B, H]      out
  bool* failed;        // set when there is no memory for work space
};

// What a layer-normalised LSTM is made of, but for W: |.| below is a row brought to mean 0 and variance 1.
template <class T>
struct NormWeights {
  const T* weight_hh;  // [4 * H, H]  rows i f g o
  const T* gain_ih;    // [4 * H]     multiplies |W x_t|
  const T* gain_hh;    // [4 * H]     multiplies |U h_{t-1}|
  const T* bias;       // [4 * H]     or null
  const T* gain_cell;  // [H]         multiplies |c_t| on its way to h_t
  const T* bias_cell;  // [H]         or null
};

template <class T>
struct NormLstmForward {
  bool reverse;
  int threads;
  int64_t hidden;
  RaggedView ragged;
  const T* gates;  // [N, 4 * H], rows `stride` apart: W x_t
  int64_t stride;  //
  NormWeights<T> weights;
  const T* h0;   // [B, H]      or null: zeros
  const T* c0;   // [B, H]      or null: zeros
  T* y;          // [N, H]      out, overlaps nothing
  T* h_last;     // [B, H]      out; the initial state where a sequence is empty
  T* c_last;     // [B, H]      out
  T* sums;       // [N, 4 * H]  out: U h_{t-1}, which backward needs, as it needs
  T* cells;      // [N, H]      out: c_t; both null at inference
  bool* failed;  // set when there is no memory for work space
};

template <class T>
struct NormLstmBack {
  bool reverse;
  int threads;
  int64_t hidden;
  RaggedView ragged;
  const T* gates;  // as in forward
  int64_t stride;  //
  NormWeights<T> weights;
  const T* c0;        //
  const T* sums;      // [N, 4 * H]  from forward
  const T* cells;     // [N, H]      from forward
  const T* dy;        // [N, H]      rows `dy_stride` apart, or null: zeros
  int64_t dy_stride;  //
  const T* dh_last;   // [B, H]      or null: zeros
  const T* dc_last;   // [B, H]      or null: zeros
  T* d_gates;         // [N, 4 * H]  out: of W x_t
  T* d_sums;          // [N, 4 * H]  out: of U h_{t-1}; `gradient` makes that of U from it
  T* d_vectors;       // [14 * H]    out: of gain_ih, gain_hh, bias, gain_cell and bias_cell, one behind the other
  T* dh0;             // [B, H]      out
  T* dc0;             // [B, H]      out
  bool* failed;       // set when there is no memory for work space
};

enum class PoolKind : int { mean = 0, max = 1, attention = 2 };

// One row per sequence from all of its steps, step after step, so that a stream gets the same bits. The running state
// of a sequence is [H + 2] numbers: the sum (or the greatest values, or the sum weighted by exp(score - peak)), then
// the count of steps (or the sum of weights), then the peak score so far; in float64, whatever the steps are in.
//   mean       out = sum_t h_t / count
//   max        out = max_t h_t
//   attention  out = sum_t w_t h_t / sum_t w_t,  w_t = exp(score_t - peak)
// A sequence without steps gets zeros, and so does one whose scores are all -infinity.
template <class T>
struct Pool {
  PoolKind kind;
  int threads;
  int64_t hidden;
  RaggedView ragged;
  const T* values;        // [N, H], rows `stride` apart
  int64_t stride;         //
  const T* scores;        // [N], attention only
  const double* initial;  // [B, H + 2] or null: nothing seen yet
  double* state;          // [B, H + 2] out
  T* out;                 // [B, H]     out
};

template <class T>
struct PoolBack {
  PoolKind kind;
  int threads;
  int64_t hidden;
  RaggedView ragged;
  const T* values;      // as in forward
  int64_t stride;       //
  const T* scores;      // as in forward
  const double* state;  // [B, H + 2] from forward
  const T* out;         // [B, H]     from forward
  const T* dout;        // [B, H]
  T* dvalues;           // [N, H]     out
  T* dscores;           // [N]        out, attention only
};

template <class T>
void pool(const Pool<T>& p);
template <class T>
void pool_back(const PoolBack<T>& p);

// The functions of one instruction set, for numbers of T in float32 and float64. recur.cc is compiled once for each set
// and fills one table.
template <class T, class S = T>
struct Kernels {
  void (*forward)(const Forward<T, S>&);
  void (*backward)(const Backward<T, S>&);
  void (*gradient)(const Gradient<T, S>&);
  void (*linear)(const Linear<T, S, S>&);
  void (*outer)(const Outer<T, S>&);
  void (*collect)(const Collect<T, S>&);
};

template <class T>
struct Scans {
  void (*forward)(const Scan<T>&);
  void (*backward)(const ScanBack<T>&);
};

template <class T>
struct Norms {
  void (*forward)(const NormLstmForward<T>&);
  void (*backward)(const NormLstmBack<T>&);
};

// How a stepper keeps its weights; states are float32 always. bfloat16 is widened to float32 in registers; int8 is
// multiplied with x and h as whole numbers of 16 bits.
enum class Store : int { float32 = 0, bfloat16 = 1, int8 = 2 };

// One layer of a stepper, its weights packed: for every panel of units one stretch of memory with all that a step
// reads.
struct StepLayer {
  Kind kind;
  Store store;
  int64_t inputs, hidden;
  int64_t panels, panel_bytes;  // set by `shape`, as is
  int64_t whole_words[2];       //   what StepRow::whole needs
  char* packed;                 // [panels * panel_bytes], aligned to 64; written by `pack`
};

struct StepWeights {
  const float* weight_ih;  // [G * H, I]
  const float* weight_hh;  // [G * H, H]
  const float* bias_ih;    // [G * H] or null
  const float* bias_hh;    // [G * H] or null
};

// One sequence in one step of a layer.
struct StepRow {
  const float* x;         // [I]
  const float* h_before;  // [H]
  const float* c_before;  // [H]   LSTM only
  float* h;               // [H]   out, not h_before
  float* c;               // [H]   out, LSTM only; not c_before
  int32_t* whole[2];      // [whole_words]  x and h as int8 weights want them
  float* scale;           // [2]            of both
};

// `panel` does the units of one panel, for every row: the bits of `forward` over one step when weights are float32.
struct Stepping {
  void (*shape)(StepLayer&);
  void (*pack)(const StepLayer&, const StepWeights&);
  void (*prepare)(const StepLayer&, const StepRow*, int64_t rows);  // before the panels of a step
  void (*panel)(const StepLayer&, const StepRow*, int64_t rows, int64_t panel);
};

struct Set {
  const char* name;
  int lanes32;  // float32 numbers in a vector
  Kernels<float> of32;
  Kernels<double> of64;
  Scans<float> scans32;
  Scans<double> scans64;
  Norms<float> norms32;
  Norms<double> norms64;
  const Stepping& (*stepping)();
};

// The same functions on bfloat16, for processors that multiply it (half.cc).
using HalfSet = Kernels<float, Bf16>;

}  // namespace elman
