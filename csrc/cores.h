// How many cores this process may use, and whether other processes want them too.
#pragma once

#include <cstdint>

namespace elman {

// Nanoseconds of a clock that never goes back.
int64_t clock_now();

// Cores that threads started by this one may run on: those of its affinity, of the machine, and of the CPU quota of its
// control group (a container's limit), rounded up. `openmp`: where OpenMP pins threads, those of all of them.
int cores(bool openmp);

// The cores that a quota is worth, 0 without one: /proc/self/cgroup in the versions 1 and 2, the group itself and all
// above it. `groups` and `mount` are the paths of that file and of /sys/fs/cgroup.
int cores_of_quota(const char* groups, const char* mount);

// A thread that is waited for and does not run has lost its core to another process. After a wait of so many
// nanoseconds the process works without helpers for some time, longer each time it happens again; `helpers_came` ends
// that.
void rest_helpers(int64_t waited);
void helpers_came();

// True in that time.
bool helpers_rest();

// In that time, what one thread does in so many nanoseconds is better done without helpers; 0 at any other time.
int64_t better_alone();
inline bool better_alone(double operations) {
  constexpr double each = 0.05;  // nanoseconds, roughly
  return each * operations < static_cast<double>(better_alone());
}

// Waits about so many nanoseconds without using a core.
void nap(int64_t nanoseconds);

}  // namespace elman
