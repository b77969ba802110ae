// Helper threads for the steps of a stream.
//
// A step takes about ten microseconds, so a helper has to be awake when it starts: after each job it spins for a short
// time, then sleeps. Helpers are optional. The caller publishes the work items of a job, executes its own, reclaims
// those that helpers have not started and waits only for items in progress. It therefore cannot deadlock: not within a
// parallel region of the caller, not after fork (when the helpers no longer exist), not with more threads than cores.
// In the worst case the caller executes every item itself.
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

// Statistics of one caller: whether its steps follow each other closely, and whether helpers took part in them.
class HelpStatistics {
  friend class ParallelSection;
  int64_t began_ = 0, ended_ = 0, took_ = 0;  // the last section, in nanoseconds
  int alone_ = 0;                             // sections still to be run without helpers
  int unhelped_ = 0;                          // consecutive sections of which no helper executed a piece
};

class HelperPool;

// Exclusive use of the helpers for consecutive jobs: `threads` in all, the caller among them. While another caller has
// them, or where helpers do not pay, the caller executes every piece itself.
class ParallelSection {
 public:
  ParallelSection(int threads, HelpStatistics& statistics);
  ~ParallelSection();
  ParallelSection(const ParallelSection&) = delete;
  ParallelSection& operator=(const ParallelSection&) = delete;
  void run(const Job& job, bool shared = true);  // returns when every piece is done

 private:
  HelperPool* pool_ = nullptr;  // null: no helpers
  int helpers_ = 0;
  bool helped_ = false;
  int64_t waited_ = 0;  // nanoseconds, for a helper that lost its core
  HelpStatistics& statistics_;
};

// The number of forks in the ancestry of this process. A lock taken in another generation was held by a thread that no
// longer exists.
uint32_t generation();

}  // namespace elman
