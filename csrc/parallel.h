// Threads: the only file that creates them, besides helper_threads.cc.
//
// `parallel` runs a body on several threads at once; `parallel_for` distributes numbered work items to them; the
// members of a `Team` share the work of many short steps. With OpenMP (the usual build) the threads are those of the
// process; with ELMAN_STD_THREADS they are created for each call, which is slow but understood by a thread sanitizer.
#pragma once

#include "cores.h"
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

// Flushes denormal numbers to zero (FTZ and DAZ) and restores the caller's setting. Vanishing gradients produce
// denormal numbers, which many processors handle a hundred times slower.
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

// Calls body(index, size) on up to `threads` threads at once, index = 0 ... size - 1. `size` may be less than
// `threads`, for example within another parallel region. Denormal numbers are kept.
template <class Body>
static void parallel_with_denormals(int threads, const Body& body) {
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

// The same, with denormal numbers flushed to zero.
template <class Body>
static void parallel(int threads, const Body& body) {
  parallel_with_denormals(threads, [&](int index, int size) {
    const FlushDenormals flush;
    body(index, size);
  });
}

// The next value of a shared counter.
static inline int64_t take(int64_t* next) { return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED); }

// Measures how long the first thread of a parallel region waits for the others.
class WaitMonitor {
 public:
  void leave() { left_ = clock_now(); }
  // After the region. The others should not need longer than the first thread did in all.
  ~WaitMonitor() {
    constexpr int64_t stall = 200'000;  // nanoseconds
    if (left_ == 0) return;
    const int64_t waited = clock_now() - left_;
    if (waited <= stall)
      helpers_on_time();
    else if (waited > left_ - began_)
      suspend_helpers(waited);
  }
  WaitMonitor() = default;
  WaitMonitor(const WaitMonitor&) = delete;
  WaitMonitor& operator=(const WaitMonitor&) = delete;

 private:
  int64_t began_ = clock_now(), left_ = 0;
};

// Calls body(piece, thread) for every piece in [0, count); a free thread takes the next one.
template <class Body>
static void parallel_for(int threads, int64_t count, const Body& body) {
  int64_t next = 0;
  if (const int64_t alone = threads > 1 ? better_alone() : 0) {  // as long as one thread is faster
    const FlushDenormals flush;
    for (const int64_t until = clock_now() + alone; next < count && clock_now() < until; ++next) body(next, 0);
  }
  if (threads <= 1 || count - next <= 1) {
    const FlushDenormals flush;
    for (; next < count; ++next) body(next, 0);
    return;
  }
  WaitMonitor monitor;
  parallel(count - next < threads ? static_cast<int>(count - next) : threads, [&](int thread, int) {
    for (int64_t piece = take(&next); piece < count; piece = take(&next)) body(piece, thread);
    if (thread == 0) monitor.leave();
  });
}

// One iteration of a waiting loop: a pause at first, later a yield of the core.
class Wait {
 public:
  static constexpr int spins = 4000;  // about 0.1 ms
  void once() {
    if (turns_++ < spins)
      pause();
    else
      sched_yield();
  }
  bool spun() const { return turns_ > spins; }
  int turns() const { return turns_; }

 private:
  static ELMAN_INLINE void pause() {
#if defined(__SSE2__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
  int turns_ = 0;
};

// Threads of one parallel region that share the work of one step after another: a leader, which calls `run` for every
// step and `close` at the end, and helpers, which call `help` once and return when it is closed. Share r of a step
// belongs to member r, so that its part of the weights stays in its cache. The leader executes the shares that helpers
// have not started, and waits only for shares in progress. If a helper loses its core there, the leader waits once, and
// `suspend_helpers` then has it execute all shares itself for some time. The bits do not depend on which member
// executes a share.
class Team {
 public:
  // One of `size` members; shared by helper and leader.
  struct alignas(64) Seat {
    int64_t begun = 0;  // the last step whose share has been started
    int64_t done = 0;   // the last step whose share the helper has completed
  };

  void open(Seat* seats, int size) {
    seats_ = seats;
    size_ = size;
    alone_ = helpers_suspended();
  }
  int size() const { return size_; }

  // Calls share(r) once for every r in [0, size), on any member; returns when all have returned.
  template <class Share>
  void run(const Share& share) {
    if (size_ > 1 && !rests()) {
      call_ = [](const void* object, int rank) { (*static_cast<const Share*>(object))(rank); };
      object_ = &share;
      const int64_t step = __atomic_load_n(&step_, __ATOMIC_RELAXED) + 1;
      __atomic_store_n(&step_, step, __ATOMIC_RELEASE);
      share(0);
      for (int rank = 1; rank < size_; ++rank) {
        if (begin(rank, step))
          share(rank);
        else
          wait_for(rank, step);
      }
      return;
    }
    for (int rank = 0; rank < size_; ++rank) share(rank);
  }

  void close() { __atomic_store_n(&step_, closed, __ATOMIC_RELEASE); }

  void help(int rank) {
    constexpr int yields = 100;
    constexpr int64_t rest = 50'000;  // nanoseconds
    Wait wait;
    for (int64_t last = 0;;) {
      const int64_t step = __atomic_load_n(&step_, __ATOMIC_ACQUIRE);
      if (step == closed) return;
      if (step != last) {
        last = step;
        if (!begin(rank, step)) continue;
        call_(object_, rank);
        __atomic_store_n(&seats_[rank].done, step, __ATOMIC_RELEASE);
        wait = Wait();
      } else if (wait.turns() < Wait::spins + yields) {
        wait.once();
      } else {
        nap(rest);
      }
    }
  }

 private:
  static constexpr int64_t closed = -1;

  // True for one caller only. Shares are started in the order of steps, so that a late member, which holds an older
  // step, starts none.
  bool begin(int rank, int64_t step) {
    int64_t before = step - 1;
    return __atomic_load_n(&seats_[rank].begun, __ATOMIC_RELAXED) == before &&
           __atomic_compare_exchange_n(&seats_[rank].begun, &before, step, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
  }

  void wait_for(int rank, int64_t step) {
    constexpr int64_t stall = 100'000;  // nanoseconds past the spin
    int64_t since = 0;
    for (Wait wait; __atomic_load_n(&seats_[rank].done, __ATOMIC_ACQUIRE) != step; wait.once())
      if (since == 0 && wait.spun()) since = clock_now();
    if (since == 0) return;
    const int64_t waited = clock_now() - since;
    if (waited < stall) return;
    suspend_helpers(waited);
    alone_ = true;
  }

  // Reads the clock at every 64th step.
  bool rests() {
    constexpr int often = 64;
    if (!alone_) return false;
    if (++alone_steps_ % often == 0) alone_ = helpers_suspended();
    return alone_;
  }

  Seat* seats_ = nullptr;
  int size_ = 1, alone_steps_ = 0;
  bool alone_ = false;
  alignas(64) int64_t step_ = 0;
  void (*call_)(const void*, int) = nullptr;  // of the current step
  const void* object_ = nullptr;
};

}  // namespace ELMAN_SET
}  // namespace elman
