// Steps, counted: no allocation after the first, the same bits with help as without, many steppers at once. Built and
// run by tests/ops/test_stepper.py, plainly and with sanitizers. Prints what went wrong; silent otherwise.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

#include "../../csrc/stepper.h"

namespace elman {
namespace generic {
const Stepping& stepping();  // step.cc, built for this set
}
}  // namespace elman

namespace {

std::atomic<long> allocations{0};
int faults = 0;

void expect(bool good, const char* what) {
  if (good) return;
  std::printf("%s\n", what);
  ++faults;
}

float next_number(unsigned* seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return static_cast<float>(*seed >> 8) / static_cast<float>(1 << 24) - 0.5f;
}

std::vector<float> numbers(int64_t count, unsigned seed) {
  std::vector<float> made(static_cast<size_t>(count));
  for (float& number : made) number = next_number(&seed);
  return made;
}

// Two layers of a kind, with weights that belong to the seed.
struct Model {
  Model(elman::CellKind kind, int64_t inputs, int64_t hidden, unsigned seed) {
    for (const int64_t below : {inputs, hidden}) {
      const int64_t rows = elman::gates_of(kind) * hidden;
      parts.push_back(numbers(rows * below, seed++));
      parts.push_back(numbers(rows * hidden, seed++));
      parts.push_back(numbers(rows, seed++));
      parts.push_back(numbers(hidden, seed++));
      const float* const at[] = {parts[parts.size() - 4].data(), parts[parts.size() - 3].data(),
                                 parts[parts.size() - 2].data(), parts.back().data()};
      layers.push_back({kind, below, hidden, {at[0], at[1], at[2], at[2]}, at[3], at[3]});
    }
  }
  std::vector<std::vector<float>> parts;
  std::vector<elman::StepperLayer> layers;
};

constexpr int64_t inputs = 20, hidden = 150, sequences = 3, steps = 402;

std::vector<float> walk(elman::Stepper& stepper, bool count, int64_t pause) {
  std::vector<float> x = numbers(sequences * inputs, 7), out(static_cast<size_t>(sequences * hidden));
  stepper.step(x.data(), nullptr, sequences, out.data());
  stepper.step(x.data(), nullptr, sequences, out.data());  // the threads that help exist by now
  const long before = allocations.load();
  for (int64_t t = 2; t < steps; ++t) {
    x[static_cast<size_t>(t % (sequences * inputs))] += 0.125f;
    if (pause > 0 && t % pause == 0) usleep(300);
    const int64_t rows[] = {2, 0};
    if (t % 5 == 0)
      stepper.step(x.data(), rows, 2, out.data());
    else
      stepper.step(x.data(), nullptr, sequences, out.data());
  }
  if (count) expect(allocations.load() == before, "a step allocated memory");
  std::vector<float> state(static_cast<size_t>(sequences * hidden));
  stepper.read(0, false, state.data());
  state.insert(state.end(), out.begin(), out.end());
  return state;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void one_kind(elman::CellKind kind, elman::WeightFormat format) {
  const Model model(kind, inputs, hidden, 1);
  elman::Stepper alone(elman::generic::stepping(), model.layers, format, sequences, 1);
  const std::vector<float> expected = walk(alone, true, 0);
  for (const int threads : {2, 5}) {
    elman::Stepper helped(elman::generic::stepping(), model.layers, format, sequences, threads);
    expect(same(walk(helped, true, 0), expected), "another number of threads gave other bits");
    helped.reset(nullptr, sequences);
    expect(same(walk(helped, true, 50), expected), "pauses gave other bits");
  }
}

void many_at_once() {
  const Model model(elman::CellKind::lstm, inputs, hidden, 1);
  elman::Stepper first(elman::generic::stepping(), model.layers, elman::WeightFormat::float32, sequences, 2);
  const std::vector<float> expected = walk(first, false, 0);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      elman::Stepper mine(first, sequences);
      if (!same(walk(mine, false, 0), expected)) ++wrong;
    });
  for (std::thread& thread : threads) thread.join();
  expect(wrong == 0, "steppers in several threads disturb each other");
}

void after_fork() {
  const Model model(elman::CellKind::gru, inputs, hidden, 1);
  elman::Stepper stepper(elman::generic::stepping(), model.layers, elman::WeightFormat::float32, sequences, 2);
  const std::vector<float> expected = walk(stepper, false, 0);
  expect(stepper.try_lock(), "a stepper that nobody holds is locked");
  const pid_t child = fork();
  if (child == 0) {
    if (!stepper.try_lock()) _exit(1);  // its holder stayed with the parent
    stepper.reset(nullptr, sequences);
    _exit(same(walk(stepper, false, 0), expected) ? 0 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child after fork cannot step");
}

}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new[](std::size_t size) { return operator new(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

// The only other way to memory that these sources know (stepper.cc, gemm.h).
extern "C" int __real_posix_memalign(void** memory, std::size_t alignment, std::size_t size);
extern "C" int __wrap_posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  ++allocations;
  return __real_posix_memalign(memory, alignment, size);
}

int main() {
  int kind = 0;
  for ([[maybe_unused]] const elman::CellTraits& traits : elman::cell_traits) {
    for (const elman::WeightFormat format :
         {elman::WeightFormat::float32, elman::WeightFormat::bfloat16, elman::WeightFormat::int8})
      one_kind(static_cast<elman::CellKind>(kind), format);
    ++kind;
  }
  many_at_once();
  after_fork();
  return faults == 0 ? 0 : 1;
}
