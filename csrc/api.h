// What the compiled core offers. Read this first.
//
// Every pointer is row-major. B sequences, N steps of all of them, I inputs, H hidden, G gates of the cell
// (1 for a simple RNN, 4 for LSTM, 3 for GRU). `offsets` [B + 1] says which steps belong to which sequence: first 0,
// never decreasing, last N (checked at the door, bindings.cc). Nothing here keeps a pointer after it returns, throws,
// or touches Python. A row of a result depends on its own sequence alone: the order of summation in a row is fixed,
// so that its bits do not depend on its neighbours or on the number of threads.
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

// One layer in one direction over whole sequences. `reverse` walks every sequence from its last step to its first.
template <class T>
struct Forward {
  Kind kind;
  bool reverse;
  int threads;
  int64_t inputs, hidden;
  RaggedView ragged;
  const T* x;          // [N, I], rows `x_stride` apart
  int64_t x_stride;    //
  const T* weight_ih;  // [G * H, I]   rows i f g o (LSTM), r z n (GRU)
  const T* weight_hh;  // [G * H, H]
  const T* bias_ih;    // [G * H]      or null
  const T* bias_hh;    // [G * H]      or null
  const T* h0;         // [B, H]       or null: zeros
  const T* c0;         // [B, H]       or null: zeros; LSTM only
  T* y;                // [N, H]       out, overlaps nothing
  T* h_last;           // [B, H]       out; the initial state where a sequence is empty
  T* c_last;           // [B, H]       out, LSTM only
  T* saved;            // [N, saved_of(kind) * H]  work space; after the call what backward needs when `save`
  T* cells;            // [N, H]       out, LSTM only; null unless `save`
  bool save;           // false at inference: `saved` then holds nothing of use
  bool* failed;        // set when there is no memory for work space
};

// The way back through the same layer. The gradients of weights and inputs are left to `outer` and `linear`, which make
// them from `operands` and `saved` as large products over all steps.
template <class T>
struct Backward {
  Kind kind;
  bool reverse;
  int threads;
  int64_t hidden;
  RaggedView ragged;
  const T* weight_hh;  // [G * H, H]
  const T* h0;         // [B, H]   or null: zeros
  const T* c0;         // [B, H]   or null: zeros; LSTM only
  const T* y;          // [N, H]   from forward
  const T* cells;      // [N, H]   from forward, LSTM only
  const T* dy;         // [N, H]   rows `dy_stride` apart, or null: zeros
  int64_t dy_stride;   //
  const T* dh_last;    // [B, H]   or null: zeros
  const T* dc_last;    // [B, H]   or null: zeros; LSTM only
  T* saved;            // [N, saved_of(kind) * H]  in: from forward; out: gradients of the pre-activations.
                       //   LSTM i f g o; RNN one block; GRU r z n q, where q is U_n h + c_n: r z n belong to weight_ih,
                       //   r z q to weight_hh.
  int64_t inputs;      //
  const T* x;          // [N, I], rows `x_stride` apart
  int64_t x_stride;    //
  T* operands;         // [N, I + 1 + H]   out: x_t, 1, h_{t-1}; its product with the above is every weight's gradient
  T* dh0;              // [B, H]   out
  T* dc0;              // [B, H]   out, LSTM only
  bool* failed;        // set when there is no memory for work space
};

// out = x weight^T + bias. As torch.nn.functional.linear, but a row's bits do not depend on the other rows.
template <class T>
struct Linear {
  int threads;
  int64_t rows, inputs, outputs;
  const T* x;        // [rows, inputs], rows `x_stride` apart
  int64_t x_stride;  //
  const T* weight;   // [outputs, inputs]
  const T* bias;     // [outputs] or null
  T* out;            // [rows, outputs], rows `out_stride` apart
  int64_t out_stride;
  bool* failed;  // set when there is no memory for work space
};

// out = a^T b: the sum over all steps of outer products, which is what a weight's gradient is. Steps are added in their
// order, so that the bits do not depend on the number of threads.
template <class T>
struct Outer {
  int threads;
  int64_t steps, rows, columns;
  const T* a;        // [steps, rows], rows of it `a_stride` apart
  int64_t a_stride;  //
  const T* b;        // [steps, columns], rows of it `b_stride` apart
  int64_t b_stride;  //
  T* out;            // [rows, columns]
  bool* failed;      // set when there is no memory for work space
};

enum class PoolKind : int { mean = 0, max = 1, attention = 2 };

// One row per sequence from all of its steps, step after step, so that a stream gets the same bits. The running state
// of a sequence is [H + 2] numbers: the sum (or the greatest values, or the sum weighted by exp(score - peak)), then
// the count of steps (or the sum of weights), then the peak score so far.
//   mean       out = sum_t h_t / count
//   max        out = max_t h_t
//   attention  out = sum_t w_t h_t / sum_t w_t,  w_t = exp(score_t - peak)
// A sequence without steps gets zeros.
template <class T>
struct Pool {
  PoolKind kind;
  int threads;
  int64_t hidden;
  RaggedView ragged;
  const T* values;   // [N, H], rows `stride` apart
  int64_t stride;    //
  const T* scores;   // [N], attention only
  const T* initial;  // [B, H + 2] or null: nothing seen yet
  T* state;          // [B, H + 2] out
  T* out;            // [B, H]     out
};

template <class T>
struct PoolBack {
  PoolKind kind;
  int threads;
  int64_t hidden;
  RaggedView ragged;
  const T* values;  // as in forward
  int64_t stride;   //
  const T* scores;  // as in forward
  const T* state;   // [B, H + 2] from forward
  const T* out;     // [B, H]     from forward
  const T* dout;    // [B, H]
  T* dvalues;       // [N, H]     out
  T* dscores;       // [N]        out, attention only
};

template <class T>
void pool(const Pool<T>& p);
template <class T>
void pool_back(const PoolBack<T>& p);

// The functions of one instruction set. recur.cc is compiled once for each and fills one table.
struct Set {
  const char* name;
  int lanes32;  // float32 numbers in a vector
  void (*forward32)(const Forward<float>&);
  void (*forward64)(const Forward<double>&);
  void (*backward32)(const Backward<float>&);
  void (*backward64)(const Backward<double>&);
  void (*linear32)(const Linear<float>&);
  void (*linear64)(const Linear<double>&);
  void (*outer32)(const Outer<float>&);
  void (*outer64)(const Outer<double>&);
};

}  // namespace elman
