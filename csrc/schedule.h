// Which sequence runs where and when.
//
// Every thread runs a few lanes. A lane walks one sequence; when it ends, the lane takes the next one, so that the
// product of a step stays full, nothing is padded and no thread waits for another. With fewer sequences than keep every
// thread busy, teams of threads are formed: one of each walks lanes and shares out the columns of every step.
#pragma once

#include "gemm.h"
#include "parallel.h"

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
// waiting costs more than a share of a step saves. `work`: operations of all steps; 0 where nothing can be shared.
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
  // As many lanes as keep busy until the longest sequence ends, in whole blocks of rows: a block reads the weights
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

// Who walks lanes: a thread by itself, or the leader of a team, whose members have a share of the columns each.
struct Walker {
  int64_t* queue;  // the next sequence, shared by all walkers
  Team* team;

  // The next sequence to walk; false when there is none.
  bool next(const RaggedView& ragged, int64_t* sequence) const {
    const int64_t mine = take(queue);
    if (mine >= ragged.sequences) return false;
    *sequence = ragged.order[mine];
    return true;
  }
  // A share's part of `count` things.
  int64_t first(int64_t count, int share) const { return count * share / team->size(); }
  int64_t last(int64_t count, int share) const { return count * (share + 1) / team->size(); }
};

// Calls body(walker, i) once for every team of a plan. Should there be fewer threads than planned, teams are smaller.
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
  Lateness lateness;
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
    if (plan.teams == 1) lateness.leave();
  });
}

}  // namespace ELMAN_SET
}  // namespace elman
