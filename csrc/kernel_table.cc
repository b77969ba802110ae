// The kernels in float32 and float64. Compiled once for each instruction set.
#include "kernels.h"

namespace elman {
namespace ELMAN_SET {

#define ELMAN_TEXT_OF(name) #name
#define ELMAN_TEXT(name) ELMAN_TEXT_OF(name)

void scan_forward(const ScanForward<float>&);  // scan.cc
void scan_forward(const ScanForward<double>&);
void scan_backward(const ScanBackward<float>&);
void scan_backward(const ScanBackward<double>&);
void layer_norm_lstm_forward(const LayerNormLstmForward<float>&);  // layer_norm_lstm.cc
void layer_norm_lstm_forward(const LayerNormLstmForward<double>&);
void layer_norm_lstm_backward(const LayerNormLstmBackward<float>&);
void layer_norm_lstm_backward(const LayerNormLstmBackward<double>&);

const Stepping& stepping();  // step.cc

const Set& set();
const Set& set() {
  static constexpr Set table{ELMAN_TEXT(ELMAN_SET),
                             Vec<float>::width,
                             kernels<float, float>(),
                             kernels<double, double>(),
                             {scan_forward, scan_backward},
                             {scan_forward, scan_backward},
                             {layer_norm_lstm_forward, layer_norm_lstm_backward},
                             {layer_norm_lstm_forward, layer_norm_lstm_backward},
                             stepping};
  return table;
}

}  // namespace ELMAN_SET
}  // namespace elman
