// The kernels in bfloat16, for processors that multiply it. Compiled once, as a set of its own.
#include "kernels.h"

namespace elman {
namespace ELMAN_SET {

const HalfSet& half_set();
const HalfSet& half_set() {
  static constexpr HalfSet table = kernels<float, Bf16>();
  return table;
}

}  // namespace ELMAN_SET
}  // namespace elman
