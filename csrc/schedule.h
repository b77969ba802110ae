// The schedule: which thread processes which sequence, and when.
//
// Every thread has several lanes. A lane processes one sequence; when it ends, the lane takes the next one, so the
// matrix product of a step keeps its rows, nothing is padded and no thread waits for another. When there are too few
// sequences to keep every thread busy, threads form teams: one thread of a team runs the lanes, and all of them share
// the columns of every step.
#pragma once

#include "gemm.h"
#include "parallel.h"

// After the headers above, so that no inline function of theirs is compiled with this file's flags under a shared name.
#include "api.h"

namespace elman {
namespace ELMAN_SET {

constexpr int most_lanes = 24;
constexpr int most_teams = 64;

// The position of one lane.
struct Lane {
  int64_t sequence;
  int64_t step;  // the current step
  int64_t left;  // steps left, this one included
};

// The grouping of threads: `teams` teams of `size` members, each team with `lanes` lanes.
struct Plan {
  int teams, size, lanes;
};

// Teams are formed when each thread on its own would have too few rows in a product or, the lengths being uneven, would
// wait for the thread with the longest sequence. In layers below `small`, waking and waiting cost more than sharing
// saves. `work`: operations of all steps; 0 where a step cannot be shared.
static inline Plan plan_for(const RaggedView& ragged, int threads, int64_t hidden, double work) {
  constexpr int64_t small = 128, block = 6;
  if (ragged.sequences < 1) return {1, 1, 1};
  const bool uneven = 4 * ragged.steps < 3 * ragged.longest * ragged.sequences;
  const int64_t few = uneven ? 8 : block / 2;  // sequences a thread
  Plan plan{static_cast<int>(at_most(threads, ragged.sequences)), 1, 1};
  if (work > 0 && hidden >= small && threads > 1 && ragged.sequences <= few * threads) {
    if (better_alone(work)) threads = 1;
    plan.teams = static_cast<int>(at_most(at_most(pieces(ragged.sequences, 2 * few), threads), most_teams));
    plan.size = threads / plan.teams;
  }
  // As many lanes as stay busy until the longest sequence ends, in whole blocks of rows: a block reads the weights
  // once.
  const int64_t balanced = ragged.longest > 0 ? ragged.steps / (plan.teams * ragged.longest) : 1;
  const int64_t wanted = balanced < block ? block : (balanced + block / 2) / block * block;
  plan.lanes = static_cast<int>(at_most(at_most(wanted, most_lanes), pieces(ragged.sequences, plan.teams)));
  return plan;
}

// The operations of the recurrence of a layer, forwards or backwards.
template <class Cell, class Task>
static double work_of(const Task& task) {
  return 2.0 * Cell::gates * static_cast<double>(task.ragged.steps * task.hidden) * static_cast<double>(task.outputs);
}

// A thread that runs lanes: alone, or as the leader of a team, whose members compute a share of the columns each.
struct Walker {
  int64_t* queue;  // the next sequence, shared by all walkers
  Team* team;

  // The next sequence; false when there is none.
  bool next(const RaggedView& ragged, int64_t* sequence) const {
    const int64_t mine = take(queue);
    if (mine >= ragged.sequences) return false;
    *sequence = ragged.order[mine];
    return true;
  }
  // The items of a share: [first, last) of `count`.
  int64_t first(int64_t count, int share) const { return count * share / team->size(); }
  int64_t last(int64_t count, int share) const { return count * (share + 1) / team->size(); }
};

// Calls body(walker, i) once for every team of a plan. With fewer threads than planned, teams are smaller.
template <class Body>
static void in_teams(const Plan& plan, const Body& body) {
  int64_t queue = 0;
  const int seated = plan.size > 1 ? plan.teams * plan.size : 0;
  const Buffer<Team::Seat> seats(seated);
  if (seated == 0 || seats.data == nullptr) {
    parallel(plan.teams, [&](int index, int) {
      Team alone;
      body(Walker{&queue, &alone}, index);
    });
    return;
  }
  for (int i = 0; i < seated; ++i) seats.data[i] = Team::Seat();
  Team teams[most_teams];
  WaitMonitor monitor;
  parallel(seated, [&](int index, int threads) {
    const int size = threads < plan.teams ? 1 : threads / plan.teams, number = index / size, rank = index % size;
    if (number >= plan.teams) return;
    Team& team = teams[number];
    if (rank > 0) {
      team.help(rank);
      return;
    }
    team.open(seats.data + number * plan.size, size);
    body(Walker{&queue, &team}, number);
    team.close();
    if (plan.teams == 1) monitor.leave();
  });
}

}  // namespace ELMAN_SET
}  // namespace elman
