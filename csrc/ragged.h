// Offsets: the five checks, made once, at the door, in full; and the order in which sequences are started.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "api.h"

namespace elman {

// What is wrong with `offsets` [count] over `steps` rows, or an empty string. The first two of the five checks
// (one-dimensional, at least one element) are the caller's: here `count` is at least 1.
inline std::string fault_of_offsets(const int64_t* offsets, int64_t count, int64_t steps) {
  if (offsets[0] != 0) return "offsets must start at 0, but offsets[0] = " + std::to_string(offsets[0]);
  for (int64_t i = 1; i < count; ++i)
    if (offsets[i] < offsets[i - 1])
      return "offsets must never decrease, but offsets[" + std::to_string(i) + "] = " + std::to_string(offsets[i]) +
             " follows offsets[" + std::to_string(i - 1) + "] = " + std::to_string(offsets[i - 1]);
  if (offsets[count - 1] != steps)
    return "offsets must end at the number of steps, but offsets[-1] = " + std::to_string(offsets[count - 1]) +
           " and values have " + std::to_string(steps) + " rows";
  return "";
}

// A RaggedView and the order it points to: longest first, equal lengths in their own order.
class Ragged {
 public:
  Ragged(const int64_t* offsets, int64_t sequences) : order_(static_cast<size_t>(sequences)) {
    const auto length = [offsets](int64_t s) { return offsets[s + 1] - offsets[s]; };
    std::iota(order_.begin(), order_.end(), int64_t(0));
    std::stable_sort(order_.begin(), order_.end(), [&](int64_t a, int64_t b) { return length(a) > length(b); });
    view_ = {offsets, order_.data(), sequences, offsets[sequences], sequences > 0 ? length(order_[0]) : 0};
  }
  const RaggedView& view() const { return view_; }

 private:
  std::vector<int64_t> order_;
  RaggedView view_;
};

}  // namespace elman
