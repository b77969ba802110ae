// What the programs of this folder share: numbers in memory of exactly their size, and what is expected of them.
//
// They call the core through csrc/api.h alone, without Python and torch, so that a sanitizer sees nothing else.
#pragma once

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "api.h"
#include "isa.h"
#include "offsets.h"

namespace elman {

inline std::atomic<int> faults{0};

inline void expect(bool good, const std::string& what) {
  if (good) return;
  if (++faults <= 20) std::fprintf(stderr, "FAULT %s\n", what.c_str());
}

// What main returns.
inline int verdict(const char* program) {
  std::printf("%s: %d faults\n", program, faults.load());
  return faults == 0 ? 0 : 1;
}

template <class T>
T narrowed(double a) {
  if constexpr (sizeof(T) == 2) {
    const float single = static_cast<float>(a);
    uint32_t bits;
    std::memcpy(&bits, &single, sizeof bits);
    return {static_cast<uint16_t>(bits >> 16)};  // exact for what `random` makes
  } else {
    return static_cast<T>(a);
  }
}

template <class T>
double widened(T a) {
  if constexpr (sizeof(T) == 2) {
    const uint32_t bits = static_cast<uint32_t>(a.bits) << 16;
    float single;
    std::memcpy(&single, &bits, sizeof single);
    return static_cast<double>(single);
  } else {
    return static_cast<double>(a);
  }
}

using Doubles = std::vector<double>;

// Numbers of 7 bits between -size and size, which every type here holds exactly.
inline Doubles random(int64_t count, double size = 1.0) {
  static uint64_t state = 1;
  Doubles numbers(static_cast<size_t>(count));
  for (double& number : numbers) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    number = size * static_cast<double>(static_cast<int64_t>(state >> 40) % 64 * 2 + 1) / 128.0;
    if ((state >> 32 & 1) != 0) number = -number;
  }
  return numbers;
}

// Memory for exactly `count` numbers, an odd count at an address of no vector's alignment. What is not given is NaN.
template <class T>
class Numbers {
 public:
  explicit Numbers(int64_t count) : count_(count), memory_(new T[static_cast<size_t>(count + count % 2)]) {
    if (count > 0) std::memset(static_cast<void*>(data()), 0xff, static_cast<size_t>(count) * sizeof(T));
  }
  explicit Numbers(const Doubles& from) : Numbers(static_cast<int64_t>(from.size())) {
    for (int64_t i = 0; i < count_; ++i) data()[i] = narrowed<T>(from[static_cast<size_t>(i)]);
  }
  // Rows of `width` numbers, `stride` apart and none behind the last.
  Numbers(const Doubles& from, int64_t width, int64_t stride)
      : Numbers(from.empty() ? 0 : (static_cast<int64_t>(from.size()) / width - 1) * stride + width) {
    for (size_t i = 0; i < from.size(); ++i)
      data()[static_cast<int64_t>(i) / width * stride + static_cast<int64_t>(i) % width] = narrowed<T>(from[i]);
  }
  T* data() { return memory_.get() + count_ % 2; }
  T* or_null() { return count_ == 0 ? nullptr : data(); }
  Doubles values() {
    Doubles all(static_cast<size_t>(count_));
    for (int64_t i = 0; i < count_; ++i) all[static_cast<size_t>(i)] = widened(data()[i]);
    return all;
  }

 private:
  int64_t count_;
  std::unique_ptr<T[]> memory_;
};

struct Result {
  std::string name;
  Doubles values;
};

inline bool same_bits(const Doubles& a, const Doubles& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

inline void expect_same_bits(const std::vector<Result>& a, const std::vector<Result>& b, const std::string& where) {
  for (size_t i = 0; i < a.size(); ++i)
    expect(same_bits(a[i].values, b[i].values), where + ": the bits of " + a[i].name + " differ");
}

inline double norm(const Doubles& a) {
  double sum = 0;
  for (const double number : a) sum += number * number;
  return std::sqrt(sum);
}

// |a - b| / |b|; NaN where a number was never written.
inline double distance(Doubles a, const Doubles& b) {
  if (a.size() != b.size()) return std::nan("");
  for (size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  const double size = norm(b);
  return size > 0 ? norm(a) / size : norm(a);
}

inline void expect_near(const std::vector<Result>& a, const std::vector<Result>& b, double most,
                        const std::string& where) {
  for (size_t i = 0; i < a.size(); ++i) {
    const double far = distance(a[i].values, b[i].values);
    expect(far <= most, where + ": " + a[i].name + " is " + std::to_string(far) + " away");
  }
}

inline std::vector<int64_t> offsets_of(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> offsets{0};
  for (const int64_t length : lengths) offsets.push_back(offsets.back() + length);
  return offsets;
}

// Calls body(set) for every instruction set of this build that the processor has, that set being chosen.
template <class Body>
void for_each_set(const Body& body) {
  for (const SetState& state : built_sets()) {
    if (!state.found) continue;
    choose_set(state.set->name);
    body(*state.set);
  }
}

// Calls body(kind) for every compiled cell.
template <class Body>
void for_each_kind(const Body& body) {
  int kind = 0;
  for ([[maybe_unused]] const CellTraits& traits : cell_traits) body(static_cast<CellKind>(kind++));
}

// How far float32 and bfloat16 may be from float64, relative in norm.
template <class S>
constexpr double tolerance = sizeof(S) == 8   ? 1e-12
                             : sizeof(S) == 4 ? 1e-5
                                              : 0.05;

template <class S>
std::string name_of() {
  return sizeof(S) == 8 ? "float64" : sizeof(S) == 4 ? "float32" : "bfloat16";
}

}  // namespace elman
