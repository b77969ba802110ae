// Instruction sets: which were built, which this processor has, which is in use.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "api.h"

namespace elman {

// The requested set is not available; what() lists those that are.
struct SetFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct SetState {
  const Set* set;
  bool found;  // by the processor and the operating system
};

std::vector<SetState> built_sets();  // slowest first
std::string processor_features();    // what the processor has, in words

// The set in use: the fastest found, or the one that ELMAN_ISA names. Throws SetFault when that one is unknown, not
// built or impossible here.
const Set& chosen_set();

// The kernels in bfloat16, or null: they go with avx512, on a processor that has AVX512-BF16.
const Bf16Kernels* chosen_bf16_kernels();

// The functions of a stepper for that set.
const Stepping& chosen_stepping();

// Chooses again, for tests: the same rules as ELMAN_ISA; an empty name returns to the automatic choice.
void choose_set(const std::string& name);

}  // namespace elman
