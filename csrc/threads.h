// The only place that makes threads.
//
// `crew` runs one body on several threads at once; `share` hands out numbered pieces of work to them; `Barrier` lets a
// few of them wait for each other at every step. With OpenMP (the usual build) the threads are those of the process;
// with ELMAN_STD_THREADS they are made anew, which is slow and which a thread sanitizer understands.
#pragma once

#include "vec.h"

#if defined(ELMAN_STD_THREADS)
#include <thread>
#elif defined(_OPENMP)
#include <omp.h>
#endif

extern "C" {
int sched_yield() noexcept;
}

namespace elman {
namespace ELMAN_SET {

// Vanishing gradients make denormal numbers, which many processors handle a hundred times slower. They are flushed to
// zero inside our threads and the caller's setting is put back.
class FlushDenormals {
 public:
#if defined(__SSE2__)
  FlushDenormals() : before_(__builtin_ia32_stmxcsr()) { __builtin_ia32_ldmxcsr(before_ | 0x8040u); }
  ~FlushDenormals() { __builtin_ia32_ldmxcsr(before_); }

 private:
  unsigned before_;
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" ::"r"(before_ | (1ull << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(before_)); }

 private:
  unsigned long long before_;
#else
  FlushDenormals() {}
  ~FlushDenormals() {}
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
};

// Calls body(index, size) on up to `threads` threads at once, index = 0 ... size - 1. There may be fewer than asked
// for, inside somebody else's parallel region for one: `size` tells. Denormal numbers stay as they are.
template <class Body>
static void plain_crew(int threads, const Body& body) {
  if (threads <= 1) {
    body(0, 1);
    return;
  }
#if defined(ELMAN_STD_THREADS)
  auto* others = new std::thread[static_cast<unsigned>(threads - 1)];
  for (int i = 1; i < threads; ++i) others[i - 1] = std::thread([&body, i, threads] { body(i, threads); });
  body(0, threads);
  for (int i = 1; i < threads; ++i) others[i - 1].join();
  delete[] others;
#elif defined(_OPENMP)
#pragma omp parallel num_threads(threads)
  body(omp_get_thread_num(), omp_get_num_threads());
#else
  body(0, 1);
#endif
}

// The same, with denormal numbers flushed to zero meanwhile.
template <class Body>
static void crew(int threads, const Body& body) {
  plain_crew(threads, [&](int index, int size) {
    const FlushDenormals flush;
    body(index, size);
  });
}

// The next number of a shared count.
static inline int64_t take(int64_t* next) { return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED); }

// Calls body(piece, thread) for every piece in [0, count), whoever is free taking the next.
template <class Body>
static void share(int threads, int64_t count, const Body& body) {
  int64_t next = 0;
  crew(count < threads ? static_cast<int>(count) : threads, [&](int thread, int) {
    for (int64_t piece = take(&next); piece < count; piece = take(&next)) body(piece, thread);
  });
}

// A few threads of one crew wait here for each other, again and again. Waiting is a short spin and then gives the core
// away at every turn, so that more threads than cores are slow but never stuck.
class Barrier {
 public:
  // Returns when `size` threads have called; all of them give the same size.
  void wait(int size) {
    if (size == 1) return;
    const int turn = __atomic_load_n(&turn_, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&arrived_, 1, __ATOMIC_ACQ_REL) == size) {
      __atomic_store_n(&arrived_, 0, __ATOMIC_RELAXED);
      __atomic_store_n(&turn_, turn + 1, __ATOMIC_RELEASE);
      return;
    }
    for (int spins = 0; __atomic_load_n(&turn_, __ATOMIC_ACQUIRE) == turn; ++spins) {
      if (spins < 4000)
        pause();
      else
        sched_yield();
    }
  }

 private:
  static ELMAN_INLINE void pause() {
#if defined(__SSE2__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
  alignas(64) int arrived_ = 0;
  alignas(64) int turn_ = 0;
};

}  // namespace ELMAN_SET
}  // namespace elman
