#include "cores.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(_OPENMP)
#include <omp.h>
#endif

namespace elman {
namespace {

constexpr int64_t second = 1'000'000'000;
constexpr int64_t suspend_factor = 8;  // times a wait: waiting takes at most a ninth of the time
constexpr int most_doublings = 5;      // of the suspension, when helpers are waited for again and again
constexpr int64_t longest_suspension = 10 * second;
constexpr int64_t long_factor = 4;  // times a wait: work so long is shared even so

// Cores of a period that a group may use, rounded up; 0 without a limit. `text`: "quota period", "max period" or
// "-1 period".
int cores_in(const std::string& text) {
  std::istringstream in(text);
  double quota = 0, period = 0;
  if (!(in >> quota >> period) || !(quota > 0) || !(period > 0)) return 0;
  return static_cast<int>(std::min(std::ceil(quota / period), 1e6));
}

std::string line_of(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int fewest(int a, int b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

// The least of the quotas of a group and of those above it. A container may see the path that the host sees, below
// which nothing is mounted: then only the group at the mount itself answers.
int quota_of(const std::string& mount, std::string path, bool unified) {
  int found = 0;
  for (;;) {
    const std::string group = mount + path + "/";
    const std::string text = unified ? line_of(group + "cpu.max")
                                     : line_of(group + "cpu.cfs_quota_us") + " " + line_of(group + "cpu.cfs_period_us");
    found = fewest(found, cores_in(text));
    if (path.empty()) return found;
    path.erase(path.find_last_of('/'));
  }
}

bool names_cpu(const std::string& controllers) { return ("," + controllers + ",").find(",cpu,") != std::string::npos; }

// The quota changes seldom and is read from files: once a second is enough.
int quota() {
  static std::atomic<int> known{0};
  static std::atomic<int64_t> read{-second};
  const int64_t now = clock_now();
  int64_t before = read.load(std::memory_order_relaxed);
  if (now - before >= second && read.compare_exchange_strong(before, now, std::memory_order_relaxed))
    known.store(cores_of_quota("/proc/self/cgroup", "/sys/fs/cgroup"), std::memory_order_relaxed);
  return known.load(std::memory_order_relaxed);
}

int cores_of_affinity() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

std::atomic<int64_t> suspended_until{0}, last_wait{0};
std::atomic<int> doublings{0};

}  // namespace

int64_t clock_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

int cores_of_quota(const char* groups, const char* mount) {
  std::ifstream file(groups);
  int found = 0;
  for (std::string line; std::getline(file, line);) {  // number:controllers:path
    const size_t first = line.find(':'), second_colon = line.find(':', first + 1);
    if (first == std::string::npos || second_colon == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second_colon - first - 1);
    std::string path = line.substr(second_colon + 1);
    while (!path.empty() && path.back() == '/') path.pop_back();
    if (!path.empty() && path.front() != '/') continue;
    const std::string root(mount);
    if (controllers.empty()) {
      found = fewest(found, quota_of(root, path, true));
      found = fewest(found, quota_of(root + "/unified", path, true));
    } else if (names_cpu(controllers)) {
      found = fewest(found, quota_of(root + "/" + controllers, path, false));
      if (controllers != "cpu") found = fewest(found, quota_of(root + "/cpu", path, false));
    }
  }
  return found;
}

int cores([[maybe_unused]] bool openmp) {
#if defined(_OPENMP)
  const int allowed = openmp ? std::max(1, omp_get_num_procs()) : cores_of_affinity();
#else
  const int allowed = cores_of_affinity();
#endif
  return fewest(quota(), allowed);
}

void suspend_helpers(int64_t waited) {
  const int times = doublings.load(std::memory_order_relaxed);
  const int64_t duration = std::min(waited, longest_suspension / suspend_factor) * (suspend_factor << times);
  doublings.store(std::min(times + 1, most_doublings), std::memory_order_relaxed);
  last_wait.store(waited, std::memory_order_relaxed);
  suspended_until.store(clock_now() + std::min(duration, longest_suspension), std::memory_order_relaxed);
}

void helpers_on_time() {
  if (doublings.load(std::memory_order_relaxed) != 0) doublings.store(0, std::memory_order_relaxed);
}

bool helpers_suspended() {
  const int64_t until = suspended_until.load(std::memory_order_relaxed);
  return until != 0 && clock_now() < until;
}

int64_t better_alone() { return helpers_suspended() ? long_factor * last_wait.load(std::memory_order_relaxed) : 0; }

void nap(int64_t nanoseconds) { std::this_thread::sleep_for(std::chrono::nanoseconds(nanoseconds)); }

}  // namespace elman
