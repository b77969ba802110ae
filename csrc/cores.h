// The number of cores that this process may use, and whether other processes compete for them.
#pragma once

#include <cstdint>

namespace elman {

// Nanoseconds of a monotonic clock.
int64_t clock_now();

// Cores that threads started by this one may run on: those of its affinity, of the machine, and of the CPU quota of its
// control group (a container's limit), rounded up. `openmp`: where OpenMP pins threads, those of all of them.
int cores(bool openmp);

// The cores that a quota is worth, 0 without one: /proc/self/cgroup in the versions 1 and 2, the group itself and all
// above it. `groups` and `mount` are the paths of that file and of /sys/fs/cgroup.
int cores_of_quota(const char* groups, const char* mount);

// A thread that is waited for and does not run has lost its core to another process. After a wait of `waited`
// nanoseconds helpers are not used for some time, which doubles when it happens again; `helpers_on_time` resets that.
void suspend_helpers(int64_t waited);
void helpers_on_time();

// True during that time.
bool helpers_suspended();

// During that time, work that takes one thread up to so many nanoseconds is done without helpers; 0 at any other time.
int64_t better_alone();
inline bool better_alone(double operations) {
  constexpr double each = 0.05;  // nanoseconds, roughly
  return each * operations < static_cast<double>(better_alone());
}

// Sleeps for about so many nanoseconds.
void nap(int64_t nanoseconds);

}  // namespace elman
