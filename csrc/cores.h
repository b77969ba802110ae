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
// nanoseconds the process works without helpers for some time, so that waiting costs at most a ninth of it.
void rest_helpers(int64_t waited);

// True in that time.
bool helpers_rest();

// True in that time for work that one thread does in so many nanoseconds, if that is not much longer than the last
// wait.
bool better_alone(double nanoseconds);

// Waits about so many nanoseconds without using a core.
void nap(int64_t nanoseconds);

}  // namespace elman
