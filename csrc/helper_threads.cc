#include "helper_threads.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "cores.h"
#include "parallel.h"

#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__linux__)
// Null where OpenMP is older than its version 5.0, or is not used.
extern "C" int pause_openmp(int) __asm__("omp_pause_resource_all") __attribute__((weak));
#endif

namespace elman {
namespace {

constexpr int most_helpers = 15;
constexpr int64_t spin_time = 100'000;  // nanoseconds that a helper spins for the next job before it sleeps
constexpr int64_t steal_after =
    2'000;  // nanoseconds without progress after which the caller reclaims pieces of a slice
constexpr int64_t stall_time = 50'000;   // nanoseconds of waiting for a piece that show that its thread lost its core
constexpr int64_t most_pieces = 0xffff;  // of one slice
constexpr int most_unhelped =
    256;                           // steps that may pass until help comes: a virtual core takes milliseconds to wake up
constexpr int alone_after = 1024;  // steps to be taken alone when none came
constexpr int long_unhelped = 16;  // steps after which it is looked for on the caller's own core

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins, and yields the core now and then.
class Wait {
 public:
  void once() {
    if (++turns_ % 64 == 0)
      std::this_thread::yield();
    else
      relax();
  }

 private:
  int turns_ = 0;
};

// The pieces [next, end) of a job that are assigned to one thread. Job and range share one atomic word, so a late
// thread that holds the number of an older job takes nothing.
class alignas(64) Slice {
 public:
  void set(uint64_t job, int64_t next, int64_t end) { word_.store(pack(job, next, end), std::memory_order_seq_cst); }

  // Its own thread takes from the front, the caller from the back.
  bool take(uint64_t job, bool front, int64_t* piece) {
    uint64_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
      const int64_t next = next_of(word), end = static_cast<int64_t>(word & 0xffff);
      if (job_of(word) != job || next >= end) return false;
      const uint64_t after = front ? pack(job, next + 1, end) : pack(job, next, end - 1);
      if (word_.compare_exchange_weak(word, after, std::memory_order_acq_rel, std::memory_order_relaxed)) {
        *piece = front ? next : end - 1;
        return true;
      }
    }
  }

  uint64_t job() const { return job_of(word_.load(std::memory_order_seq_cst)); }
  int64_t next() const { return next_of(word_.load(std::memory_order_relaxed)); }
  bool empty() const {
    const uint64_t word = word_.load(std::memory_order_relaxed);
    return next_of(word) >= static_cast<int64_t>(word & 0xffff);
  }

 private:
  static uint64_t job_of(uint64_t word) { return word >> 32; }
  static int64_t next_of(uint64_t word) { return static_cast<int64_t>(word >> 16 & 0xffff); }
  static uint64_t pack(uint64_t job, int64_t next, int64_t end) {
    return job << 32 | static_cast<uint64_t>(next) << 16 | static_cast<uint64_t>(end);
  }
  std::atomic<uint64_t> word_{0};
};

// A helper thread: its slice of the current job, and the number of pieces that it has executed in all jobs.
struct Worker {
  Slice slice;
  alignas(64) std::atomic<uint64_t> done{0};
  alignas(64) std::atomic<bool> asleep{false};
  std::atomic<int> thread{0};  // its number for the operating system
  std::mutex mutex;
  std::condition_variable called;
};

}  // namespace

class HelperPool {
 public:
  // The pool of this process; null before the first call and in a child after fork.
  static std::atomic<HelperPool*>& shared() {
    static std::atomic<HelperPool*> pool{nullptr};
    return pool;
  }

  static HelperPool* get() {
    HelperPool* pool = shared().load(std::memory_order_acquire);
    if (pool != nullptr) return pool;
    HelperPool* made = new (std::nothrow) HelperPool();
    if (made == nullptr) return nullptr;
    if (shared().compare_exchange_strong(pool, made, std::memory_order_acq_rel)) return made;
    delete made;
    return pool;
  }

  bool acquire() { return !busy_.exchange(true, std::memory_order_acquire); }
  void release() { busy_.store(false, std::memory_order_release); }

  // Starts threads up to `wanted`; returns how many exist. Only while acquired.
  int start_workers(int wanted) {
    wanted = std::min(wanted, most_helpers);
    while (started_ < wanted) {
      try {
        std::thread(&HelperPool::work_loop, std::ref(*this), started_).detach();  // sleeps until the process ends
      } catch (const std::system_error&) {
        break;
      }
      ++started_;
    }
    return std::min(started_, wanted);
  }

  void move_away() const;

  // Returns the nanoseconds lost because a helper lost its core within a piece.
  int64_t run(const Job& job, int helpers, bool* helped);

 private:
  static void work_loop(HelperPool& pool, int index);
  uint64_t take_back(const Job& job, int64_t first, Slice& slice);
  int64_t wait_for_helpers() const;

  std::atomic<bool> busy_{false};
  int started_ = 0;
  uint64_t number_ = 0;  // of the current job
  uint64_t done_ = 0;    // pieces that helpers have executed in all jobs
  Job job_{};
  Worker workers_[most_helpers];
};

namespace {

// Waits for a job other than the last one: spins, then sleeps.
uint64_t wait_for_job(Worker& worker, uint64_t last) {
  uint64_t number;
  const int64_t until = clock_now() + spin_time;
  for (int spins = 0; spins % 64 != 0 || spins == 0 || clock_now() < until; ++spins) {
    if ((number = worker.slice.job()) != last) return number;
    relax();
  }
  std::unique_lock<std::mutex> lock(worker.mutex);
  worker.asleep.store(true, std::memory_order_seq_cst);
  worker.called.wait(lock, [&] { return (number = worker.slice.job()) != last; });
  worker.asleep.store(false, std::memory_order_relaxed);
  return number;
}

void wake(Worker& worker) {
  const std::lock_guard<std::mutex> lock(worker.mutex);
  worker.called.notify_one();
}

}  // namespace

void HelperPool::work_loop(HelperPool& pool, int index) {
  const ELMAN_SET::FlushDenormals flush;
  Worker& worker = pool.workers_[index];
#if defined(__linux__)
  worker.thread.store(static_cast<int>(syscall(SYS_gettid)), std::memory_order_relaxed);
#endif
  uint64_t last = 0;
  for (;;) {
    last = wait_for_job(worker, last);
    int64_t piece;
    while (worker.slice.take(last, true, &piece)) {
      pool.job_.piece(pool.job_.job, piece);
      worker.done.fetch_add(1, std::memory_order_release);
    }
  }
}

// Linux wakes a thread where it ran last, and may leave it there, behind the caller that has since come to this core
// and never pauses, while another core idles: to a virtual machine a core that sleeps does not look idle.
void HelperPool::move_away() const {
#if defined(__linux__)
  cpu_set_t allowed;
  const int here = sched_getcpu();
  if (here < 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  CPU_CLR(here, &allowed);
  if (CPU_COUNT(&allowed) == 0) return;
  for (int i = 0; i < started_; ++i) {
    const int thread = workers_[i].thread.load(std::memory_order_relaxed);
    if (thread != 0) sched_setaffinity(thread, sizeof allowed, &allowed);
  }
#endif
}

// Executes the pieces that a helper has not started, of a slice that began at `first`: at once if the helper never
// started, after `steal_after` if it stopped. Returns their number.
uint64_t HelperPool::take_back(const Job& job, int64_t first, Slice& slice) {
  uint64_t taken = 0;
  int64_t next = slice.next(), piece;
  bool still = next == first;
  int64_t since = still ? 0 : clock_now();
  for (Wait wait; !slice.empty(); wait.once()) {
    while (still && slice.take(number_, false, &piece)) {
      job.piece(job.job, piece);
      ++taken;
    }
    if (slice.next() != next) {
      next = slice.next();
      since = clock_now();
      still = false;
    } else if (!still) {
      still = clock_now() - since > steal_after;
    }
  }
  return taken;
}

// Waits for the pieces in progress. Returns the nanoseconds if they exceed `stall_time`.
int64_t HelperPool::wait_for_helpers() const {
  int64_t since = 0, spins = 0;
  for (Wait wait;; wait.once(), ++spins) {
    uint64_t done = 0;
    for (int i = 0; i < started_; ++i) done += workers_[i].done.load(std::memory_order_acquire);
    if (done == done_) break;
    if (spins == 256) since = clock_now();
  }
  const int64_t waited = since == 0 ? 0 : clock_now() - since;
  return waited < stall_time ? 0 : waited;
}

int64_t HelperPool::run(const Job& job, int helpers, bool* helped) {
  const int64_t shares = helpers + 1;
  // The caller, which starts first, gets the odd piece.
  const auto begin = [&](int64_t share) { return (job.pieces * share + shares - 1) / shares; };
  job_ = job;
  number_ = (number_ + 1) & 0xffffffff;
  for (int i = 0; i < helpers; ++i) workers_[i].slice.set(number_, begin(i + 1), begin(i + 2));
  for (int i = 0; i < helpers; ++i)
    if (workers_[i].asleep.load(std::memory_order_seq_cst)) wake(workers_[i]);
  for (int64_t i = 0; i < begin(1); ++i) job.piece(job.job, i);
  uint64_t mine = static_cast<uint64_t>(begin(1));
  for (int i = 0; i < helpers; ++i) mine += take_back(job, begin(i + 1), workers_[i].slice);
  const uint64_t theirs = static_cast<uint64_t>(job.pieces) - mine;
  if (theirs == 0) return 0;
  *helped = true;
  done_ += theirs;
  return wait_for_helpers();
}

// ---------------------------------------------------------------------------------------------------------- sections

namespace {

std::atomic<uint32_t>& forks() {
  static std::atomic<uint32_t> count{0};
  return count;
}

#if defined(__unix__) || defined(__APPLE__)
// A child has only the thread that forked. GCC's OpenMP would wait there forever for the threads of the parent; they
// are released before the fork, and the parent starts them again.
void before_fork() {
#if defined(__linux__)
  constexpr int hard = 2;  // omp_pause_hard
  if (pause_openmp != nullptr) pause_openmp(hard);
#endif
}

void after_fork() {
  forks().fetch_add(1);
  HelperPool::shared().store(nullptr);  // its threads exist in the parent only; its memory is not freed
}
const int registered = pthread_atfork(before_fork, nullptr, after_fork);
#endif

}  // namespace

uint32_t generation() { return forks().load(std::memory_order_relaxed); }

// Waking sleeping threads does not pay for one short step, which would end before they run. They are woken when steps
// follow each other so closely that the threads will find the next one while they spin.
ParallelSection::ParallelSection(int threads, HelpStatistics& statistics) : statistics_(statistics) {
  if (threads < 2) return;
  statistics.began_ = clock_now();
  const bool worth_it = statistics.began_ - statistics.ended_ < spin_time || statistics.took_ > spin_time;
  if (statistics.alone_ > 0) {
    --statistics.alone_;
    return;
  }
  if (!worth_it || helpers_suspended()) return;
  HelperPool* pool = HelperPool::get();
  if (pool == nullptr || !pool->acquire()) return;
  helpers_ = pool->start_workers(threads - 1);
  if (helpers_ > 0)
    pool_ = pool;
  else
    pool->release();
}

void ParallelSection::run(const Job& job, bool shared) {
  if (pool_ == nullptr || !shared || job.pieces < 2 || job.pieces > most_pieces) {
    for (int64_t i = 0; i < job.pieces; ++i) job.piece(job.job, i);
    return;
  }
  waited_ = std::max(waited_, pool_->run(job, helpers_, &helped_));
}

// Helpers that make the caller wait are not used for some time. Helpers that do not come cost almost nothing; they are
// not used after `most_unhelped` sections without them.
ParallelSection::~ParallelSection() {
  if (pool_ != nullptr) {
    statistics_.unhelped_ = helped_ ? 0 : statistics_.unhelped_ + 1;
    if (statistics_.unhelped_ == long_unhelped) pool_->move_away();
    pool_->release();
    if (waited_ > 0) suspend_helpers(waited_);
    if (statistics_.unhelped_ >= most_unhelped) {
      statistics_.alone_ = alone_after;
      statistics_.unhelped_ = 0;
    }
  }
  if (statistics_.began_ == 0) return;
  statistics_.ended_ = clock_now();
  statistics_.took_ = statistics_.ended_ - statistics_.began_;
}

}  // namespace elman
