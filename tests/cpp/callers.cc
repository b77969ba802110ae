// Several threads of the caller at once, as from Python: all on the same weights, each with a parallel region of its
// own.
#include <thread>

#include "layer.h"

namespace elman {
namespace {

constexpr int callers = 3, rounds = 2;

template <class T, class S>
void expect_callers(const Kernels<T, S>& kernels, const Case& one) {
  Given given(one);
  Layer<T, S> shared(kernels, given, 2);
  const std::vector<Result> truth = shared.run();
  std::vector<std::thread> threads;
  for (int i = 0; i < callers; ++i)
    threads.emplace_back([&, i] {
      const std::string where = name_of<S>() + " " + one.name + ", caller " + std::to_string(i);
      for (int round = 0; round < rounds; ++round) {
        expect_same_bits(shared.forward(false), truth, where);
        expect_same_bits(Layer<T, S>(kernels, given, 1 + i).run(), truth, where);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace elman

int main() {
  using namespace elman;
  const std::vector<Case> cases = {
      {"lstm", CellKind::lstm, false, 3, 33, 33, {5, 0, 1, 9, 3, 2, 4}, true, false, 0, 0},
      {"gru, modifiers", CellKind::gru, true, 3, 17, 17, {5, 0, 1, 9}, true, true, 0, 0},
      {"a team of gru", CellKind::gru, false, 3, 128, 128, {4, 2}, true, false, 3, 0},
  };
  for_each_set([&](const Set& set) {
    for (const Case& c : cases) {
      expect_callers<float, float>(set.of32, c);
      if (chosen_bf16_kernels() != nullptr && !c.modifiers) expect_callers<float, Bf16>(*chosen_bf16_kernels(), c);
    }
  });
  return verdict("callers");
}
