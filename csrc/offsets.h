// Offsets: their validation, and the order in which sequences are started.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "api.h"

namespace elman {

// The fault of `offsets` over `steps` rows, or an empty string. The caller checks that they are one-dimensional and not
// empty.
inline std::string fault_of_offsets(const std::vector<int64_t>& offsets, int64_t steps) {
  const size_t count = offsets.size();
  if (offsets[0] != 0) return "offsets must start at 0, but offsets[0] = " + std::to_string(offsets[0]);
  for (size_t i = 1; i < count; ++i)
    if (offsets[i] < offsets[i - 1])
      return "offsets must never decrease, but offsets[" + std::to_string(i) + "] = " + std::to_string(offsets[i]) +
             " follows offsets[" + std::to_string(i - 1) + "] = " + std::to_string(offsets[i - 1]);
  if (offsets[count - 1] != steps)
    return "offsets must end at the number of steps, but offsets[-1] = " + std::to_string(offsets[count - 1]) +
           " and values have " + std::to_string(steps) + " rows";
  return "";
}

// A copy of the offsets, which cannot change while a kernel runs, and the order in which sequences are started: the
// longest first, equal lengths in their own order.
class Ragged {
 public:
  Ragged(const int64_t* offsets, int64_t sequences) : Ragged(std::vector<int64_t>(offsets, offsets + sequences + 1)) {}
  explicit Ragged(std::vector<int64_t> offsets) : offsets_(std::move(offsets)), order_(offsets_.size() - 1) {
    std::iota(order_.begin(), order_.end(), int64_t(0));
    std::stable_sort(order_.begin(), order_.end(), [&](int64_t a, int64_t b) { return length(a) > length(b); });
  }
  RaggedView view() const {
    return {offsets_.data(), order_.data(), static_cast<int64_t>(order_.size()), offsets_.back(),
            order_.empty() ? 0 : length(order_[0])};
  }

 private:
  int64_t length(int64_t s) const { return offsets_[static_cast<size_t>(s) + 1] - offsets_[static_cast<size_t>(s)]; }

  std::vector<int64_t> offsets_, order_;
};

}  // namespace elman
