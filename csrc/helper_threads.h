// Threads that stand by between the steps of a stream.
//
// A step takes ten microseconds, so a thread that helps with it has to be awake already: it spins for a short while
// after each piece of work and then sleeps. Nobody ever needs it. The caller offers the pieces of a job, does its own
// share, takes back what the others have not begun, and waits only for a piece that another thread is in the middle of.
// So there is nothing to deadlock on: not inside somebody's parallel region, not after fork (where the threads are
// gone), not with more threads than cores; at worst the caller does everything itself.
#pragma once

#include <atomic>
#include <cstdint>

namespace elman {

// A job: piece(job, i) for every i below `pieces`, in any order, on any thread.
struct Job {
  void (*piece)(const void* job, int64_t index);
  const void* job;
  int64_t pieces;
};

// What one caller has learnt about help: whether its steps follow each other closely, and whether help came.
class HelpStatistics {
  friend class ParallelSection;
  int64_t began_ = 0, ended_ = 0, took_ = 0;  // the last turn, in nanoseconds
  int alone_ = 0;                             // turns still to be taken without help
  int unhelped_ = 0;                          // turns in a row in which no piece was taken by another thread
};

class HelperPool;

// The right to the threads for some jobs in a row: `threads` in all, the caller among them. Only one caller has it at a
// time; the others, and whoever is better off without, do all pieces themselves.
class ParallelSection {
 public:
  ParallelSection(int threads, HelpStatistics& statistics);
  ~ParallelSection();
  ParallelSection(const ParallelSection&) = delete;
  ParallelSection& operator=(const ParallelSection&) = delete;
  void run(const Job& job, bool shared = true);  // returns when every piece is done

 private:
  HelperPool* pool_ = nullptr;  // null: alone
  int helpers_ = 0;
  bool helped_ = false;
  int64_t waited_ = 0;  // nanoseconds, for a thread that lost its core
  HelpStatistics& statistics_;
};

// Counts the forks that this process comes from. A lock taken in another generation was held by a thread that no longer
// exists.
uint32_t generation();

}  // namespace elman
