// The kernels in float32 and float64. Compiled once for each instruction set.
#include "kernels.h"

namespace elman {
namespace ELMAN_SET {

#define ELMAN_TEXT_OF(name) #name
#define ELMAN_TEXT(name) ELMAN_TEXT_OF(name)

void scan(const Scan<float>&);  // scan.cc
void scan(const Scan<double>&);
void scan_back(const ScanBack<float>&);
void scan_back(const ScanBack<double>&);
void norm_lstm(const NormLstmForward<float>&);  // norm.cc
void norm_lstm(const NormLstmForward<double>&);
void norm_lstm_back(const NormLstmBack<float>&);
void norm_lstm_back(const NormLstmBack<double>&);

const Stepping& stepping();  // step.cc

const Set& set();
const Set& set() {
  static constexpr Set table{ELMAN_TEXT(ELMAN_SET),       Vec<float>::width,           kernels<float, float>(),
                             kernels<double, double>(),   {scan, scan_back},           {scan, scan_back},
                             {norm_lstm, norm_lstm_back}, {norm_lstm, norm_lstm_back}, stepping};
  return table;
}

}  // namespace ELMAN_SET
}  // namespace elman
