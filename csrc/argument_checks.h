// Validation of arguments from Python: types, shapes and strides. Errors name the argument.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "api.h"
#include "cores.h"
#include "offsets.h"

namespace nb = nanobind;

namespace elman {

using Array = nb::ndarray<nb::ro, nb::device::cpu>;
using Out = nb::ndarray<nb::device::cpu>;
using Optional = std::optional<Array>;
using OptionalOut = std::optional<Out>;

struct ShapeFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class A>
std::string shape_of(const A& array) {
  std::string text = "[";
  for (size_t i = 0; i < array.ndim(); ++i) text += (i ? ", " : "") + std::to_string(array.shape(i));
  return text + "]";
}

template <class A>
std::string type_of(const A& array) {
  const nb::dlpack::dtype type = array.dtype();
  if (type.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Bfloat)) return "bfloat16";
  const char* code = type.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Float)  ? "float"
                     : type.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Int)  ? "int"
                     : type.code == static_cast<uint8_t>(nb::dlpack::dtype_code::UInt) ? "uint"
                                                                                       : "type";
  return code + std::to_string(type.bits);
}

template <class T>
nb::dlpack::dtype dtype_of() {
  if constexpr (sizeof(T) == 2)
    return {static_cast<uint8_t>(nb::dlpack::dtype_code::Bfloat), 16, 1};
  else
    return nb::dtype<T>();
}

template <class T>
const char* name_of_type() {
  return sizeof(T) == 2 ? "bfloat16" : sizeof(T) == 4 ? "float32" : "float64";
}

template <class T, class A>
void check_type(const A& array, const char* name) {
  if (array.dtype() != dtype_of<T>())
    throw ShapeFault(std::string(name) + " must be " + name_of_type<T>() + " as x is, got " + type_of(array) +
                     ". Convert one of them: no type is converted in silence.");
}

template <class A>
void check_rows(const A& array, const char* name, int64_t rows, int64_t width) {
  if (array.ndim() != 2 || static_cast<int64_t>(array.shape(0)) != rows ||
      static_cast<int64_t>(array.shape(1)) != width)
    throw ShapeFault(std::string(name) + " must have shape [" + std::to_string(rows) + ", " + std::to_string(width) +
                     "], got " + shape_of(array));
}

// Each row is contiguous; rows may be apart.
template <class A>
bool rows_apart(const A& array) {
  if (array.size() == 0) return true;
  return array.ndim() == 2 && (array.shape(1) <= 1 || array.stride(1) == 1) &&
         (array.shape(0) <= 1 || array.stride(0) >= static_cast<int64_t>(array.shape(1)));
}

template <class A>
void check_rows_apart(const A& array, const char* name) {
  if (!rows_apart(array)) throw ShapeFault(std::string(name) + " must have contiguous rows. Call .contiguous() on it.");
}

template <class A>
bool packed_close(const A& array) {
  if (array.size() == 0) return true;
  int64_t step = 1;
  for (size_t i = array.ndim(); i-- > 0;) {
    if (array.shape(i) > 1 && array.stride(i) != step) return false;
    step *= static_cast<int64_t>(array.shape(i));
  }
  return true;
}

template <class A>
void check_close(const A& array, const char* name) {
  if (!packed_close(array)) throw ShapeFault(std::string(name) + " must be contiguous. Call .contiguous() on it.");
}

// Results of many megabytes are newly mapped memory in every call. Pages of 2 MiB cost a fraction of the page faults
// and keep many sequences within the TLB. A hint only.
template <class A>
void prefer_huge_pages([[maybe_unused]] const A& array) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t page = 4096, worth_it = uintptr_t(4) << 20;
  if (array.ndim() == 0 || array.shape(0) == 0) return;
  const uintptr_t bytes =
      static_cast<uintptr_t>(array.shape(0)) * static_cast<uintptr_t>(array.stride(0)) * array.itemsize();
  if (bytes < worth_it) return;
  const uintptr_t first = (reinterpret_cast<uintptr_t>(array.data()) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(array.data()) + bytes) / page * page;
  madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#endif
}

template <class T>
const T* read(const Array& array, const char* name, int64_t rows, int64_t width) {
  check_type<T>(array, name);
  check_rows(array, name, rows, width);
  check_close(array, name);
  return static_cast<const T*>(array.data());
}

template <class T>
const T* read(const Optional& array, const char* name, int64_t rows, int64_t width) {
  return array ? read<T>(*array, name, rows, width) : nullptr;
}

template <class T>
const T* read_vector(const Optional& array, const char* name, int64_t count) {
  if (!array) return nullptr;
  check_type<T>(*array, name);
  if (array->ndim() != 1 || static_cast<int64_t>(array->shape(0)) != count)
    throw ShapeFault(std::string(name) + " must have shape [" + std::to_string(count) + "], got " + shape_of(*array));
  check_close(*array, name);
  return static_cast<const T*>(array->data());
}

template <class T>
T* write(const Out& array, const char* name, int64_t rows, int64_t width) {
  check_type<T>(array, name);
  check_rows(array, name, rows, width);
  check_close(array, name);
  prefer_huge_pages(array);
  return static_cast<T*>(array.data());
}

// Null where the result does not exist, whatever is given.
template <class T>
T* write_if(bool exists, const Out& array, const char* name, int64_t rows, int64_t width) {
  return exists ? write<T>(array, name, rows, width) : nullptr;
}

template <class T>
T* write_vector(const Out& array, const char* name, int64_t count) {
  check_type<T>(array, name);
  if (array.ndim() != 1 || static_cast<int64_t>(array.shape(0)) != count)
    throw ShapeFault(std::string(name) + " must have shape [" + std::to_string(count) + "], got " + shape_of(array));
  check_close(array, name);
  return static_cast<T*>(array.data());
}

// A limit for sizes, so that products of those that exist in memory do not overflow: a matrix without rows may claim
// any width.
constexpr size_t largest_size = size_t(1) << 40;

inline int64_t rows_of(const Array& array, const char* name) {
  if (array.ndim() != 2)
    throw ShapeFault(std::string(name) + " must be two-dimensional [steps, width], got shape " + shape_of(array));
  if (array.shape(0) > largest_size || array.shape(1) > largest_size)
    throw ShapeFault(std::string(name) + " may have at most " + std::to_string(largest_size) +
                     " rows and columns, got shape " + shape_of(array));
  return static_cast<int64_t>(array.shape(0));
}

// A copy of the integers of `array` [count]: what addresses are computed from must not change between check and use.
inline std::vector<int64_t> copied(const Array& array) {
  const int64_t* data = static_cast<const int64_t*>(array.data());
  return {data, data + array.shape(0)};
}

inline Ragged checked(const Array& offsets, int64_t steps) {
  if (offsets.dtype() != nb::dtype<int64_t>()) throw ShapeFault("offsets must be int64, got " + type_of(offsets));
  if (offsets.ndim() != 1) throw ShapeFault("offsets must be one-dimensional, got shape " + shape_of(offsets));
  if (offsets.shape(0) == 0) throw ShapeFault("offsets must have at least one element (sequences + 1), got none");
  check_close(offsets, "offsets");
  std::vector<int64_t> own = copied(offsets);
  const std::string fault = fault_of_offsets(own, steps);
  if (!fault.empty()) throw ShapeFault(fault);
  return Ragged(std::move(own));
}

inline const char* name_of(const char* name) { return name; }
inline const char* name_of(const CellTraits& traits) { return traits.name; }
inline const char* name_of(const ScanTraits& traits) { return traits.name; }

// The kind whose place in `table` is that of `name`; `argument` is what Python calls it.
template <class Enum, class Entry, size_t count>
Enum kind_named(const std::string& name, const char* argument, const Entry (&table)[count]) {
  std::string known;
  for (size_t i = 0; i < count; ++i) {
    if (name == name_of(table[i])) return static_cast<Enum>(i);
    known += (i > 0 ? ", " : "") + std::string(name_of(table[i]));
  }
  throw ShapeFault(std::string(argument) + " must be one of " + known + ", got " + name);
}

inline CellKind cell_named(const std::string& name) { return kind_named<CellKind>(name, "cell", cell_traits); }

// The threads to use: at most `threads`, at most the cores, and one more for every 1e5 operations, which is about what
// waking a thread costs.
inline int useful_threads(int threads, double operations) {
  const int wanted = static_cast<int>(std::min(static_cast<double>(threads), 1.0 + operations / 1e5));
  return wanted < 2 || better_alone(operations) ? 1 : std::min(wanted, cores(true));
}

// Calls f(T(), S()) with the types of sums and of rows for the type of `array`. `bf16`: bfloat16 is allowed.
template <class F>
void by_type(const Array& array, const char* name, bool bf16, const F& f) {
  if (array.dtype() == dtype_of<float>())
    f(float(), float());
  else if (array.dtype() == dtype_of<double>())
    f(double(), double());
  else if (bf16 && array.dtype() == dtype_of<Bf16>())
    f(float(), Bf16());
  else
    throw ShapeFault(std::string(name) + " must be " + (bf16 ? "float32, float64 or bfloat16" : "float32 or float64") +
                     ", got " + type_of(array) + ". Convert it first, for example with .float().");
}

// A matrix whose rows may be apart.
template <class S>
const S* read_rows(const Array& array, const char* name, int64_t rows, int64_t width, int64_t* stride) {
  check_type<S>(array, name);
  check_rows(array, name, rows, width);
  check_rows_apart(array, name);
  *stride = array.stride(0);
  return static_cast<const S*>(array.data());
}

template <class S>
const S* read_rows(const Optional& array, const char* name, int64_t rows, int64_t width, int64_t* stride) {
  return array ? read_rows<S>(*array, name, rows, width, stride) : nullptr;
}

}  // namespace elman
