#include "isa.h"

#include <cstdlib>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace elman {

namespace generic {
const Set& set();
}
#ifdef ELMAN_BUILT_AVX2
namespace avx2 {
const Set& set();
}
#endif
#ifdef ELMAN_BUILT_AVX512
namespace avx512 {
const Set& set();
}
#endif
#ifdef ELMAN_BUILT_AVX512BF16
namespace avx512bf16 {
const Bf16Kernels& bf16_kernels();
const Stepping& stepping();
}  // namespace avx512bf16
#endif
#ifdef ELMAN_BUILT_NEON
namespace neon {
const Set& set();
}
#endif

namespace {

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
// __builtin_cpu_supports also asks the operating system whether it saves the registers.
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
// GCC 9 does not know the name, so the processor is asked itself: leaf 7.1, eax, bit 5.
bool has_avx512bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return has_avx512() && __builtin_cpu_supports("avx512vnni") && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 &&
         (a >> 5 & 1u) != 0;
}
#else
[[maybe_unused]] bool has_avx512bf16() { return false; }
[[maybe_unused]] bool has_avx2() { return false; }
[[maybe_unused]] bool has_avx512() { return false; }
#endif

std::string names(const std::vector<SetState>& sets, bool found_only) {
  std::string text;
  for (const SetState& state : sets) {
    if (found_only && !state.found) continue;
    text += (text.empty() ? "" : ", ") + std::string(state.set->name);
  }
  return text;
}

const Set* find(const std::string& name) {
  const std::vector<SetState> sets = built_sets();
  if (name.empty()) {
    const Set* best = nullptr;
    for (const SetState& state : sets)
      if (state.found) best = state.set;
    return best;
  }
  for (const SetState& state : sets) {
    if (name != state.set->name) continue;
    if (state.found) return state.set;
    throw SetFault("ELMAN_ISA=" + name + " is impossible here: this processor has " + names(sets, true) +
                   ". Unset ELMAN_ISA or choose one of those.");
  }
  throw SetFault("ELMAN_ISA=" + name + " names no instruction set of this build, which has " + names(sets, false) +
                 ". Unset ELMAN_ISA or choose one of those.");
}

const Set* from_environment() {
  const char* name = std::getenv("ELMAN_ISA");
  return find(name == nullptr ? "" : name);
}

const Set*& current() {
  static const Set* set = from_environment();
  return set;
}

}  // namespace

std::vector<SetState> built_sets() {
  std::vector<SetState> sets{{&generic::set(), true}};
#ifdef ELMAN_BUILT_NEON
  sets.push_back({&neon::set(), true});
#endif
#ifdef ELMAN_BUILT_AVX2
  sets.push_back({&avx2::set(), has_avx2()});
#endif
#ifdef ELMAN_BUILT_AVX512
  sets.push_back({&avx512::set(), has_avx512()});
#endif
  return sets;
}

std::string processor_features() {
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
  std::string text = "x86-64";
  if (has_avx2()) text += " avx2 fma";
  if (has_avx512()) text += " avx512";
  if (has_avx512bf16()) text += " avx512bf16";
  return text;
#elif defined(__aarch64__)
  return "aarch64 neon";
#else
  return "unknown";
#endif
}

const Set& chosen_set() { return *current(); }

const Bf16Kernels* chosen_bf16_kernels() {
#ifdef ELMAN_BUILT_AVX512BF16
  static const bool found = has_avx512bf16();
  if (found && current() == &avx512::set()) return &avx512bf16::bf16_kernels();
#endif
  return nullptr;
}

const Stepping& chosen_stepping() {
#ifdef ELMAN_BUILT_AVX512BF16
  if (chosen_bf16_kernels() != nullptr) return avx512bf16::stepping();
#endif
  return chosen_set().stepping();
}

void choose_set(const std::string& name) { current() = name.empty() ? from_environment() : find(name); }

}  // namespace elman
