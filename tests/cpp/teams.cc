// Teams of threads, and the cores that a process may use.
#include <stdlib.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "check.h"
#include "parallel.h"
#include "schedule.h"

namespace elman {
namespace {

using ELMAN_SET::Team;

constexpr int steps = 2000, size = 3;

void pause_for(int64_t milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

// Every share of every step is done once, whichever helpers come, and however late.
void expect_shares(int helpers, int late, const std::string& where) {
  std::vector<Team::Seat> seats(size);
  std::vector<int> done(static_cast<size_t>(steps * size));
  Team team;
  team.open(seats.data(), size);
  std::vector<std::thread> threads;
  for (int rank = 1; rank <= helpers; ++rank) threads.emplace_back([&team, rank] { team.help(rank); });
  for (int step = 0; step < steps; ++step)
    team.run([&](int share) {
      ++done[static_cast<size_t>(step * size + share)];
      if (share > 0 && late > 0 && step % late == 0) pause_for(2);
    });
  team.close();
  for (std::thread& thread : threads) thread.join();
  bool once = true;
  for (const int times : done) once = once && times == 1;
  expect(once, where + ": a share was left out, or done twice");
}

// A helper that loses its core in the middle of a share costs one wait, and is then done without.
void expect_rest() {
  while (helpers_suspended()) pause_for(1);
  std::vector<Team::Seat> seats(2);
  Team team;
  team.open(seats.data(), 2);
  std::thread helper([&team] { team.help(1); });
  const std::thread::id leader = std::this_thread::get_id();
  int64_t waits = 0, most = 5000;
  for (int64_t step = 0; step < most && waits == 0; ++step)
    team.run([&](int share) {
      if (share == 0) return pause_for(1);  // time for the helper to begin its own
      if (std::this_thread::get_id() == leader) return;
      pause_for(20);
      ++waits;
    });
  expect(waits == 1 && helpers_suspended(), "a wait for a helper was not noticed");
  for (int step = 0; step < 20; ++step)
    team.run(
        [&](int) { expect(std::this_thread::get_id() == leader, "a helper that had lost its core was asked again"); });
  expect(better_alone(1e3) && !better_alone(1e12), "short work is better done alone then, long work is not");
  team.close();
  helper.join();
  suspend_helpers(1);
  const int64_t longest = clock_now() + 5'000'000'000;
  while (helpers_suspended() && clock_now() < longest) pause_for(1);
  expect(!helpers_suspended() && !better_alone(0), "helpers rest for ever");
}

// A file of `text` at folder/name.
void write(const std::string& folder, const std::string& name, const std::string& text) {
  for (size_t at = folder.find('/', 1); at != std::string::npos; at = folder.find('/', at + 1))
    mkdir(folder.substr(0, at).c_str(), 0700);
  mkdir(folder.c_str(), 0700);
  std::ofstream(folder + "/" + name) << text;
}

void expect_quotas() {
  char root[] = "/tmp/elman-teams-XXXXXX";
  if (mkdtemp(root) == nullptr) return expect(false, "no temporary folder");
  const std::string mount = root;
  int cases = 0;
  const auto quota = [&](const std::string& groups) {
    const std::string name = "groups" + std::to_string(cases++);
    write(mount, name, groups);
    return cores_of_quota((mount + "/" + name).c_str(), mount.c_str());
  };
  write(mount + "/half", "cpu.max", "50000 100000\n");
  write(mount + "/two", "cpu.max", "150000 100000\n");
  write(mount + "/two/inner", "cpu.max", "max 100000\n");
  write(mount + "/many", "cpu.max", "6400000 100000\n");
  write(mount + "/broken", "cpu.max", "words\n");
  write(mount + "/cpu,cpuacct/old", "cpu.cfs_quota_us", "300000\n");
  write(mount + "/cpu,cpuacct/old", "cpu.cfs_period_us", "100000\n");
  write(mount + "/cpu,cpuacct/free", "cpu.cfs_quota_us", "-1\n");
  write(mount + "/cpu,cpuacct/free", "cpu.cfs_period_us", "100000\n");
  const std::vector<std::pair<std::string, int>> expected = {
      {"0::/half\n", 1},
      {"0::/two\n", 2},
      {"0::/two/inner\n", 2},
      {"0::/many\n", 64},
      {"0::/none\n", 0},
      {"0::/broken\n", 0},
      {"0::/\n", 0},
      {"", 0},
      {"3:cpu,cpuacct:/old\n2:memory:/half\n", 3},
      {"3:cpu,cpuacct:/old/deeper/still\n", 3},
      {"3:cpu,cpuacct:/free\n", 0},
      {"3:cpu,cpuacct:/old\n0::/two\n", 2},
      {"5:cpuset:/half\nnonsense\n", 0},
  };
  for (const auto& [groups, cores] : expected) {
    const int found = quota(groups);
    expect(found == cores,
           "a quota of " + std::to_string(cores) + " cores was read as " + std::to_string(found) + " from " + groups);
  }
  expect(cores_of_quota("/nowhere", "/nowhere") == 0, "a quota was found nowhere");
  expect(cores(false) >= 1 && cores(true) >= 1, "there is no core");
  const std::string remove = "rm -r " + mount;
  expect(system(remove.c_str()) == 0, "the temporary folder cannot be removed");
}

}  // namespace
}  // namespace elman

int main() {
  for (int helpers = 0; helpers < elman::size; ++helpers)
    for (const int late : {0, 100}) elman::expect_shares(helpers, late, std::to_string(helpers) + " helpers");
  elman::expect_rest();
  elman::expect_quotas();
  return elman::verdict("teams");
}
