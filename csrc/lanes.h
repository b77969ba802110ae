// Which sequence runs where and when.
//
// Every thread runs a few lanes. A lane walks one sequence; when it ends, the lane takes the next one, so that the
// product of a step stays full, nothing is padded and no thread waits for another. With fewer sequences than keep every
// thread busy, teams of threads walk the same lanes together and each member computes its own share of the columns.
#pragma once

#include "gemm.h"
#include "threads.h"

// After the headers above, so that no inline function of theirs is compiled with this file's flags under a shared name.
#include "api.h"

namespace elman {
namespace ELMAN_SET {

constexpr int most_lanes = 24;
constexpr int most_teams = 64;

// The walk of one lane.
struct Lane {
  int64_t sequence;
  int64_t step;  // the step at hand
  int64_t left;  // steps to go, this one included
};

// How threads are grouped: `teams` teams of `size` members, each team with so many lanes.
struct Plan {
  int teams, size, lanes;
};

// A team shares columns when there are so few sequences that threads with their own would have few rows to a product,
// or, their lengths being uneven, would wait for the thread that has the longest. In layers below `small`, waking and
// waiting costs more than a share of a step saves.
static inline Plan plan_for(const RaggedView& ragged, int threads, int64_t hidden, bool may_share) {
  constexpr int64_t small = 128, block = 6;
  if (ragged.sequences < 1) return {1, 1, 1};
  const bool uneven = 4 * ragged.steps < 3 * ragged.longest * ragged.sequences;
  const int64_t few = uneven ? 8 : block / 2;  // sequences a thread
  Plan plan{static_cast<int>(at_most(threads, ragged.sequences)), 1, 1};
  if (may_share && hidden >= small && threads > 1 && ragged.sequences <= few * threads) {
    plan.teams = static_cast<int>(at_most(at_most(pieces(ragged.sequences, 2 * few), threads), most_teams));
    plan.size = threads / plan.teams;
  }
  // As many lanes as keep busy until the longest sequence ends, in whole blocks of rows: a block reads the weights
  // once.
  const int64_t balanced = ragged.longest > 0 ? ragged.steps / (plan.teams * ragged.longest) : 1;
  const int64_t wanted = balanced < block ? block : (balanced + block / 2) / block * block;
  plan.lanes = static_cast<int>(at_most(at_most(wanted, most_lanes), pieces(ragged.sequences, plan.teams)));
  return plan;
}

// One thread's place in the plan. Members of a team see the same sequences in the same order.
struct Member {
  int rank, size;    // within the team
  Barrier* barrier;  // of the team
  int64_t* queue;    // shared by all; null when every team has its own turns:
  int64_t turn, stride;

  // The next sequence to walk; false when there is none.
  bool next(const RaggedView& ragged, int64_t* sequence) {
    const int64_t mine = queue != nullptr ? take(queue) : turn;
    turn += stride;
    if (mine >= ragged.sequences) return false;
    *sequence = ragged.order[mine];
    return true;
  }
  // This member's share of `count` things.
  int64_t first(int64_t count) const { return count * rank / size; }
  int64_t last(int64_t count) const { return count * (rank + 1) / size; }
  void wait() const { barrier->wait(size); }
};

// Calls body(member, team) on every thread of a plan. Should there be fewer threads than planned, teams are smaller.
template <class Body>
static void in_teams(const Plan& plan, const Body& body) {
  int64_t queue = 0;
  Barrier barriers[most_teams];
  crew(plan.teams * plan.size, [&](int index, int threads) {
    if (plan.size == 1) {
      body(Member{0, 1, barriers, &queue, 0, 0}, index);
      return;
    }
    const int size = threads < plan.teams ? 1 : threads / plan.teams,
              teams = threads < plan.teams ? threads : plan.teams;
    const int team = index / size;
    if (team < teams) body(Member{index % size, size, barriers + team, nullptr, team, teams}, team);
  });
}

}  // namespace ELMAN_SET
}  // namespace elman
