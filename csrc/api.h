// The interface of the compiled core. Read this first.
//
// Every array is row-major. B sequences, N steps of all of them, I inputs, H hidden, P outputs (H without a
// projection), G gates of the cell (1 for a simple RNN, 4 for LSTM, 3 for GRU). `offsets` [B + 1] delimits the
// sequences: first 0, never decreasing, last N (checked by bindings.cc). No function here keeps a pointer after it
// returns, throws, or calls Python. A row of a result depends on its own sequence only: the order of summation within a
// row is fixed, so its bits depend neither on the other rows nor on the number of threads.
#pragma once

#include <cstdint>

namespace elman {

enum class CellKind : int { rnn_tanh, rnn_relu, lstm, gru };

// What is known of a compiled cell besides its arithmetic (cells.h). Python reads the same table (`cells()`).
struct CellTraits {
  const char* name;
  int gates;            // G: blocks of H rows in weight_ih, weight_hh and the biases
  int saved_gates;      // blocks of H values that a step keeps for backward; a GRU's fourth is U_n h_{t-1} + b_hh_n
  bool has_cell_state;  // c_t beside h_t
};
constexpr CellTraits cell_traits[] = {
    // in the order of CellKind
    {"rnn_tanh", 1, 1, false},
    {"rnn_relu", 1, 1, false},
    {"lstm", 4, 4, true},
    {"gru", 3, 4, false},
};
constexpr const CellTraits& traits_of(CellKind kind) { return cell_traits[static_cast<int>(kind)]; }
constexpr int gates_of(CellKind kind) { return traits_of(kind).gates; }
constexpr int saved_gates_of(CellKind kind) { return traits_of(kind).saved_gates; }
constexpr bool has_cell_state(CellKind kind) { return traits_of(kind).has_cell_state; }

// The steps of a batch. Sequences are started in `order` [B]: the longest first, which keeps every core busy.
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

// Modifications of h and c between one step and the next. Each is null when not used.
template <class T>
struct RecurrenceModifiers {
  const T* decay;       // [N, P]  h_{t-1} becomes decay_t h_{t-1}, everywhere
  const T* drop;        // [B, P]  U multiplies drop h_{t-1}: one mask for all steps of a sequence
  const T* keep;        // [N, P]  rows `keep_stride` apart: h_t becomes keep_t h_{t-1} + (1 - keep_t) h_t
  int64_t keep_stride;  //         0: the same row at every step
  const T* keep_cell;   // [N, H]  rows `keep_cell_stride` apart, likewise for c_t; cells with a cell state only
  int64_t keep_cell_stride;
};

// One layer in one direction over whole sequences. T is the type of weights, state and sums. S is the type of arrays
// with a row per step: T, or Bf16, which is then also the type of the operands of the products. `reverse` processes
// every sequence from its last step to its first. With a projection (cells with a cell state only) h_t [P] is weight_hr
// [P, H] times the H outputs of the cell; else P = H. Modifiers and projections need S = T.
//
// Three arrays carry a step from the input projection to the gradients of the weights:
//   pre_activations  W x_t + b, which the step adds U h_{t-1} to
//   gates            the gates after their nonlinearity, which backward needs
//   d_gates          the gradients of the loss with respect to the pre-activations
// They may share memory, being used one after the other: backward may get the same pointer as `gates` and `d_gates`.
//   LSTM i f g o; RNN one block, h_t before any zoneout; GRU r z n q, where q is U_n h_{t-1} + b_hh_n: of `d_gates`,
//   r z n are the gradients of W x_t + b_ih, and r z q those of U h_{t-1} + b_hh
template <class T, class S = T>
struct RecurrentForward {
  CellKind kind;
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
  const T* c0;           // [B, H]       or null: zeros; cell state only
  RecurrenceModifiers<T> modifiers;
  S* y;                // [N, P]       out, overlaps nothing
  T* h_last;           // [B, P]       out; the initial state where a sequence is empty
  T* c_last;           // [B, H]       out, cell state only
  T* pre_activations;  // [R, G * H]   work space, rows `pre_stride` apart. It may be `gates` (S = T, no index); null (S
  int64_t pre_stride;  //   = Bf16, no index): W x_t is added up within the step
  S* gates;            // [N, saved_gates_of(kind) * H]  out; null unless `save`
  T* cell_states;      // [N, H]       out: c_t, cell state only; null unless `save`
  bool save;           // for backward
  bool* failed;        // set when work space cannot be allocated
};

// Backward through the same layer, in two calls: `recurrent_backward` step by step, then `recurrent_weight_gradient`
// over all steps at once. The gradient of x is d_gates times weight_ih, by `linear`.
template <class T, class S = T>
struct RecurrentBackward {
  CellKind kind;
  bool reverse;
  int threads;
  int64_t hidden, outputs;
  RaggedView ragged;
  const T* weight_hh;  // [G * H, P]
  const T* weight_hr;  // [P, H]   or null
  const T* h0;         // [B, P]   or null: zeros
  const T* c0;         // [B, H]   or null: zeros; cell state only
  RecurrenceModifiers<T> modifiers;
  const S* y;            // [N, P]   from forward
  const T* cell_states;  // [N, H]   from forward, cell state only
  const S* dy;           // [N, P]   rows `dy_stride` apart, or null: zeros
  int64_t dy_stride;     //
  const T* dh_last;      // [B, P]   or null: zeros
  const T* dc_last;      // [B, H]   or null: zeros; cell state only
  const S* gates;        // [N, saved_gates_of(kind) * H]  from forward
  S* d_gates;            // [N, saved_gates_of(kind) * H]  out; may be `gates`
  T* dh0;                // [B, P]   out
  T* dc0;                // [B, H]   out, cell state only
  T* d_decay;            // [N, P]   out; null without modifiers.decay
  T* unprojected;        // [N, H]   out: h_t before the projection; null without weight_hr
  T* d_projected;        // [N, P]   out: the gradient of the loss with respect to h_t after it; null without weight_hr
  bool* failed;          // set when work space cannot be allocated
};

// Gradients of weights and biases: sums over all steps of the outer products of x_t, 1 and h_{t-1} with d_gates. Steps
// are added in their order, so the bits do not depend on the number of threads.
template <class T, class S = T>
struct RecurrentWeightGradient {
  CellKind kind;
  bool reverse;
  int threads;
  int64_t inputs, hidden, outputs;
  RaggedView ragged;
  const S* x;                        // [N, I], rows `x_stride` apart; null: weight_ih is left out
  int64_t x_stride;                  //
  const T* h0;                       // [B, P]   or null: zeros
  const S* y;                        // [N, P]
  RecurrenceModifiers<T> modifiers;  // decay and drop
  const S* d_gates;                  // [N, saved_gates_of(kind) * H]  from `recurrent_backward`
  T* d_weight_ih;                    // [G * H, I]   out
  T* d_weight_hh;                    // [G * H, P]   out
  T* d_bias_ih;                      // [G * H]      out
  T* d_bias_hh;                      // [G * H]      out
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
  bool* failed;  // set when work space cannot be allocated
};

// out = a^T b: the sum over all steps of outer products, as in the gradient of a weight. Steps are added in their
// order, so the bits do not depend on the number of threads.
template <class T, class S = T>
struct Outer {
  int threads;
  int64_t steps, rows, columns;
  const S* a;        // [steps, rows], rows of it `a_stride` apart
  int64_t a_stride;  //
  const S* b;        // [steps, columns], rows of it `b_stride` apart
  int64_t b_stride;  //
  T* out;            // [rows, columns]
  bool* failed;      // set when work space cannot be allocated
};

// out[index[n]] = sum of a[n] over n, in the order of n and in float64: the gradient of rows that many steps share.
template <class T, class S = T>
struct Collect {
  int threads;
  int64_t steps, rows, width;
  const S* a;            // [steps, width], rows of it `a_stride` apart
  int64_t a_stride;      //
  const int64_t* index;  // [steps], each in 0 ... rows - 1
  T* out;                // [rows, width]
  bool* failed;          // set when work space cannot be allocated
};

enum class ScanKind : int { min_gru, min_lstm, lru };

struct ScanTraits {
  const char* name;
  int gates;  // G: blocks of H rows in weight_ih and the bias
  int parts;  // of the state: 1, or 2 where it is complex
};
constexpr ScanTraits scan_traits[] = {{"min_gru", 2, 1}, {"min_lstm", 3, 1}, {"lru", 2, 2}};  // as ScanKind
constexpr const ScanTraits& traits_of(ScanKind kind) { return scan_traits[static_cast<int>(kind)]; }
constexpr int gates_of(ScanKind kind) { return traits_of(kind).gates; }
constexpr int parts_of(ScanKind kind) { return traits_of(kind).parts; }
constexpr bool is_complex(ScanKind kind) { return parts_of(kind) == 2; }

// The candidate of minGRU and minLSTM: v itself, tanh(v), or g(v) = v + 0.5 where v >= 0 and sigmoid(v) below.
enum class Candidate : int { linear, tanh, positive };
constexpr const char* candidate_names[] = {"linear", "tanh", "positive"};  // as Candidate

// A layer whose gates depend on the inputs only, so that its recurrence is h_t = a_t h_{t-1} + b_t, unit by unit. The
// state has P parts: one, or for the LRU a real and an imaginary part, side by side in a row of y.
template <class T>
struct ScanForward {
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
struct ScanBackward {
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
  bool* failed;        // set when work space cannot be allocated
};

// The parameters of a layer-normalised LSTM except W. |.| is a row normalised to mean 0 and variance 1.
template <class T>
struct LayerNormWeights {
  const T* weight_hh;  // [4 * H, H]  rows i f g o
  const T* gain_ih;    // [4 * H]     multiplies |W x_t|
  const T* gain_hh;    // [4 * H]     multiplies |U h_{t-1}|
  const T* bias;       // [4 * H]     or null
  const T* gain_cell;  // [H]         multiplies |c_t| on its way to h_t
  const T* bias_cell;  // [H]         or null
};

template <class T>
struct LayerNormLstmForward {
  bool reverse;
  int threads;
  int64_t hidden;
  RaggedView ragged;
  const T* gates;  // [N, 4 * H], rows `stride` apart: W x_t
  int64_t stride;  //
  LayerNormWeights<T> weights;
  const T* h0;     // [B, H]      or null: zeros
  const T* c0;     // [B, H]      or null: zeros
  T* y;            // [N, H]      out, overlaps nothing
  T* h_last;       // [B, H]      out; the initial state where a sequence is empty
  T* c_last;       // [B, H]      out
  T* sums;         // [N, 4 * H]  out: U h_{t-1}, which backward needs, as it needs
  T* cell_states;  // [N, H]      out: c_t; both null at inference
  bool* failed;    // set when work space cannot be allocated
};

template <class T>
struct LayerNormLstmBackward {
  bool reverse;
  int threads;
  int64_t hidden;
  RaggedView ragged;
  const T* gates;  // as in forward
  int64_t stride;  //
  LayerNormWeights<T> weights;
  const T* c0;           //
  const T* sums;         // [N, 4 * H]  from forward
  const T* cell_states;  // [N, H]      from forward
  const T* dy;           // [N, H]      rows `dy_stride` apart, or null: zeros
  int64_t dy_stride;     //
  const T* dh_last;      // [B, H]      or null: zeros
  const T* dc_last;      // [B, H]      or null: zeros
  T* d_gates;            // [N, 4 * H]  out: of W x_t
  T* d_sums;             // [N, 4 * H]  out: of U h_{t-1}; `gradient` makes that of U from it
  T* d_vectors;          // [14 * H]    out: of gain_ih, gain_hh, bias, gain_cell and bias_cell, one behind the other
  T* dh0;                // [B, H]      out
  T* dc0;                // [B, H]      out
  bool* failed;          // set when work space cannot be allocated
};

enum class PoolKind : int { mean, max, attention };
constexpr const char* pool_names[] = {"mean", "max", "attention"};  // as PoolKind

// One row per sequence from all of its steps, step after step, so that a stream gets the same bits. The running state
// of a sequence is [H + 2] numbers: the sum (or the greatest values, or the sum weighted by exp(score - peak)), then
// the count of steps (or the sum of weights), then the peak score so far; in float64, whatever the steps are in.
//   mean       out = sum_t h_t / count
//   max        out = max_t h_t
//   attention  out = sum_t w_t h_t / sum_t w_t,  w_t = exp(score_t - peak)
// A sequence without steps gets zeros, and so does one whose scores are all -infinity.
template <class T>
struct PoolForward {
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
struct PoolBackward {
  PoolKind kind;
  int threads;
  int64_t hidden;
  RaggedView ragged;
  const T* values;      // as in forward
  int64_t stride;       //
  const T* scores;      // as in forward
  const double* state;  // [B, H + 2] from forward
  const T* out;         // [B, H]     from forward
  const T* d_out;       // [B, H]
  T* d_values;          // [N, H]     out
  T* d_scores;          // [N]        out, attention only
};

template <class T>
void pool_forward(const PoolForward<T>& p);
template <class T>
void pool_backward(const PoolBackward<T>& p);

// The functions of one instruction set, for numbers of T in float32 and float64. kernel_table.cc is compiled once for
// each set and fills one table.
template <class T, class S = T>
struct Kernels {
  void (*recurrent_forward)(const RecurrentForward<T, S>&);
  void (*recurrent_backward)(const RecurrentBackward<T, S>&);
  void (*recurrent_weight_gradient)(const RecurrentWeightGradient<T, S>&);
  void (*linear)(const Linear<T, S, S>&);
  void (*outer)(const Outer<T, S>&);
  void (*collect)(const Collect<T, S>&);
};

template <class T>
struct ScanKernels {
  void (*forward)(const ScanForward<T>&);
  void (*backward)(const ScanBackward<T>&);
};

template <class T>
struct LayerNormLstmKernels {
  void (*forward)(const LayerNormLstmForward<T>&);
  void (*backward)(const LayerNormLstmBackward<T>&);
};

// How a stepper stores its weights; states are always float32. bfloat16 is widened to float32 in registers; int8 is
// multiplied with x and h as 16-bit integers.
enum class WeightFormat : int { float32 = 0, bfloat16 = 1, int8 = 2 };

// One layer of a stepper with packed weights: everything a step reads is contiguous for each panel of units.
struct StepLayer {
  CellKind kind;
  WeightFormat format;
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
  ScanKernels<float> scans32;
  ScanKernels<double> scans64;
  LayerNormLstmKernels<float> layer_norm_lstm32;
  LayerNormLstmKernels<double> layer_norm_lstm64;
  const Stepping& (*stepping)();
};

// The same functions in bfloat16, for processors that multiply it (kernel_table_bf16.cc).
using Bf16Kernels = Kernels<float, Bf16>;

}  // namespace elman
