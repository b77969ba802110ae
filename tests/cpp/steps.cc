// Steppers: float32 weights give the bits of a whole sequence, narrower ones come near; with helping threads, for some
// of the sequences, chosen anew, and from several threads of the caller at once.
#include <thread>

#include "layer.h"
#include "stepper.h"

namespace elman {
namespace {

constexpr int64_t steps = 6, sequences = 5;

// Two layers over the same number of steps of every sequence.
struct Stack {
  Stack(CellKind kind, int64_t inputs, int64_t hidden)
      : lower({"lower", kind, false, inputs, hidden, hidden, lengths(), true, false, 0, 0}),
        upper({"upper", kind, false, hidden, hidden, hidden, lengths(), true, false, 0, 0}) {
    for (Given* given : {&lower, &upper}) {  // every sequence begins alike
      alike(&given->h0);
      alike(&given->c0);
    }
  }
  static std::vector<int64_t> lengths() { return std::vector<int64_t>(sequences, steps); }
  static void alike(Doubles* rows) {
    const size_t width = rows->size() / sequences;
    for (size_t i = width; i < rows->size(); ++i) (*rows)[i] = (*rows)[i - width];
  }

  // What `forward` makes of them.
  Doubles whole(const Kernels<float>& kernels) {
    upper.x = Layer<float, float>(kernels, lower, 1).forward(false)[0].values;
    return Layer<float, float>(kernels, upper, 1).forward(false)[0].values;
  }

  std::unique_ptr<Stepper> stepper(WeightFormat format, int threads) const {
    std::vector<StepperLayer> layers;
    std::vector<std::unique_ptr<Numbers<float>>> kept;
    const auto keep = [&](const Doubles& numbers) {
      kept.push_back(std::make_unique<Numbers<float>>(numbers));
      return kept.back()->or_null();
    };
    for (const Given* g : {&lower, &upper}) {
      const auto one = [&](const Doubles& rows) {
        return Doubles(rows.begin(), rows.begin() + static_cast<int64_t>(rows.size()) / sequences);
      };
      layers.push_back({g->c.kind,
                        g->c.inputs,
                        g->c.hidden,
                        {keep(g->weight_ih), keep(g->weight_hh), keep(g->bias_ih), keep(g->bias_hh)},
                        keep(one(g->h0)),
                        keep(one(g->c0))});
    }
    return std::make_unique<Stepper>(chosen_stepping(), layers, format, sequences, threads);
  }

  // Step t of the sequences in `rows`, to their rows of `out`.
  void step(Stepper& stepper, int64_t t, const std::vector<int64_t>& rows, Doubles* out) const {
    const int64_t inputs = stepper.inputs(), outputs = stepper.outputs();
    Doubles x;
    for (const int64_t s : rows) {
      const auto from = lower.x.begin() + (s * steps + t) * inputs;
      x.insert(x.end(), from, from + inputs);
    }
    Numbers<float> given(x), made(static_cast<int64_t>(rows.size()) * outputs);
    const bool all = rows.size() == sequences;
    stepper.step(given.data(), all ? nullptr : rows.data(), static_cast<int64_t>(rows.size()), made.data());
    const Doubles values = made.values();
    for (size_t m = 0; m < rows.size(); ++m)
      std::copy_n(values.begin() + static_cast<int64_t>(m) * outputs, outputs,
                  out->begin() + (rows[m] * steps + t) * outputs);
  }

  Doubles run(Stepper& stepper) const {
    Doubles out(static_cast<size_t>(sequences * steps * stepper.outputs()));
    for (int64_t t = 0; t < steps; ++t) step(stepper, t, {0, 1, 2, 3, 4}, &out);
    return out;
  }

  Given lower, upper;
};

// Some sequences go on while others stay, are put back, and are chosen anew.
void expect_parts(const Stack& stack, const Doubles& truth, const std::string& where) {
  const std::unique_ptr<Stepper> stepper = stack.stepper(WeightFormat::float32, 1);
  Doubles out(truth.size());
  for (int64_t t = 0; t < steps; ++t) stack.step(*stepper, t, {3, 0}, &out);
  for (int64_t t = 0; t < steps; ++t) stack.step(*stepper, t, {4, 1, 2}, &out);
  expect(same_bits(out, truth), where + ": the bits of some sequences alone differ");
  const int64_t back[] = {2, 2, 1}, first[] = {0};
  expect(!stepper->distinct(back, 3) && stepper->distinct(back + 1, 2), where + ": distinct");
  stepper->select(back, 3);
  stepper->reset(first, 1);
  Numbers<float> h(3 * stepper->outputs()), c(3 * stepper->outputs());
  stepper->read(1, false, h.data());
  stepper->write(1, false, h.data());
  if (stepper->has_cell_state(1)) {
    stepper->read(1, true, c.data());
    stepper->write(1, true, c.data());
  }
  const Doubles last = h.values(), h0 = stack.upper.h0;
  const int64_t width = stepper->outputs();
  for (int64_t u = 0; u < width; ++u) {
    expect(last[static_cast<size_t>(u)] == h0[static_cast<size_t>(u)], where + ": reset");
    for (int64_t m = 1; m < 3; ++m)
      expect(last[static_cast<size_t>(m * width + u)] ==
                 truth[static_cast<size_t>(((back[m] + 1) * steps - 1) * width + u)],
             where + ": select");
  }
}

// Each with a stepper of its own on shared weights, and all on one stepper in turn.
void expect_callers(const Stack& stack, const Doubles& truth, const std::string& where) {
  const std::unique_ptr<Stepper> shared = stack.stepper(WeightFormat::float32, 3);
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i)
    callers.emplace_back([&] {
      Stepper own(*shared, sequences);
      expect(same_bits(stack.run(own), truth), where + ": the bits of a caller differ");
      while (!shared->try_lock()) std::this_thread::yield();
      shared->reset(nullptr, sequences);
      expect(same_bits(stack.run(*shared), truth), where + ": the bits of a shared stepper differ");
      shared->unlock();
    });
  for (std::thread& caller : callers) caller.join();
}

void expect_kind(const Set& set, CellKind kind, int64_t inputs, int64_t hidden) {
  Stack stack(kind, inputs, hidden);
  const std::string where = std::string(set.name) + " " + traits_of(kind).name + " of " + std::to_string(hidden);
  const Doubles truth = stack.whole(set.of32);
  for (const WeightFormat format : {WeightFormat::float32, WeightFormat::bfloat16, WeightFormat::int8}) {
    const Doubles alone = stack.run(*stack.stepper(format, 1));
    const double far = distance(alone, truth);
    expect(format == WeightFormat::float32 ? same_bits(alone, truth) : far < 0.05,
           where + " is " + std::to_string(far) + " away");
    for (int threads = 2; threads <= 4; ++threads)
      for (int round = 0; round < 4; ++round)
        expect(same_bits(stack.run(*stack.stepper(format, threads)), alone),
               where + ": the bits of more threads differ");
  }
  expect_parts(stack, truth, where);
  expect_callers(stack, truth, where);
}

}  // namespace
}  // namespace elman

int main() {
  using namespace elman;
  for_each_set([](const Set& set) {
    for (const int64_t hidden : {1, 19, 150})
      for_each_kind([&](CellKind kind) { expect_kind(set, kind, has_cell_state(kind) ? 17 : 3, hidden); });
  });
  return verdict("steps");
}
