// Instruction sets: which were built, which this processor has, which is in use.
#pragma once

#include <string>
#include <vector>

#include "api.h"

namespace elman {

struct SetState {
  const Set* set;
  bool found;  // by the processor and the operating system
};

std::vector<SetState> built_sets();  // slowest first
std::string processor_features();    // what the processor has, in words

// The set in use: the fastest found, or the one that ELMAN_ISA names. Throws std::runtime_error, with what is built and
// found, when ELMAN_ISA names an unknown, unbuilt or impossible one.
const Set& chosen_set();

// Chooses again, for tests: the same rules as ELMAN_ISA; an empty name returns to the automatic choice.
void choose_set(const std::string& name);

}  // namespace elman
