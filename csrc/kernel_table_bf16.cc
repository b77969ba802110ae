// The kernels in bfloat16, for processors that multiply it. Compiled once, as a set of its own.
#include "kernels.h"

namespace elman {
namespace ELMAN_SET {

const Bf16Kernels& bf16_kernels();
const Bf16Kernels& bf16_kernels() {
  static constexpr Bf16Kernels table = kernels<float, Bf16>();
  return table;
}

}  // namespace ELMAN_SET
}  // namespace elman
