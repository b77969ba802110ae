// Every cell forwards and backwards: float64 against a plain loop and its finite differences, float32 and bfloat16
// against float64, and any number of threads against one, bit for bit.
#include "layer.h"

namespace elman {
namespace {

const std::vector<int64_t> many = {0, 7, 1, 13, 4, 1, 0, 12, 9, 3, 5, 2, 6, 0}, few = {5, 0, 9}, none = {0, 0},
                           one = {1};

std::vector<Case> cases_for(CellKind kind, const char* cell, bool reverse) {
  const std::string name = std::string(cell) + (reverse ? " reversed, " : ", ");
  std::vector<Case> cases = {
      {name + "many rows", kind, reverse, 3, 33, 33, many, true, false, 0, 5},
      {name + "one unit", kind, reverse, 1, 1, 1, many, true, false, 0, 0},
      {name + "nothing given", kind, reverse, 17, 16, 16, many, false, false, 0, 0},
      {name + "modifiers", kind, reverse, 3, 19, 19, many, true, true, 0, 1},
      {name + "shared rows of x", kind, reverse, 6, 20, 20, many, true, false, 4, 2},
      {name + "a team", kind, reverse, 6, 131, 131, few, true, false, 0, 0},
      {name + "no steps", kind, reverse, 3, 5, 5, none, true, false, 0, 0},
      {name + "no sequences", kind, reverse, 3, 5, 5, {}, false, false, 0, 0},
      {name + "one step", kind, reverse, 2, 128, 128, one, true, false, 0, 0},
  };
  if (has_cell_state(kind)) {
    cases.push_back({name + "projection", kind, reverse, 3, 21, 7, many, true, false, 0, 3});
    cases.push_back({name + "wide projection", kind, reverse, 3, 9, 35, many, true, true, 5, 0});
  }
  return cases;
}

// The change of the loss along a random direction, by differences of the plain loop and by the gradients.
void expect_gradients(const Given& given, const std::vector<Result>& results) {
  const double far = 1e-5;
  Given up = given, down = given;
  double slope = 0;
  const auto move = [&](const char* name, Doubles Given::* field) {
    for (const Result& result : results)
      if (result.name == name && !result.values.empty() && !(given.*field).empty()) {
        const Doubles direction = random(static_cast<int64_t>((given.*field).size()));
        for (size_t i = 0; i < direction.size(); ++i) {
          (up.*field)[i] += far * direction[i];
          (down.*field)[i] -= far * direction[i];
        }
        slope += PlainLayer::dot(result.values, direction);
      }
  };
  move("dx", &Given::x);
  move("d_weight_ih", &Given::weight_ih);
  move("d_weight_hh", &Given::weight_hh);
  move("d_bias_ih", &Given::bias_ih);
  move("d_bias_hh", &Given::bias_hh);
  move("d_weight_hr", &Given::weight_hr);
  move("dh0", &Given::h0);
  move("dc0", &Given::c0);
  move("d_decay", &Given::decay);
  const double measured = (PlainLayer(up).loss() - PlainLayer(down).loss()) / (2 * far);
  expect(std::fabs(measured - slope) <= 1e-5 * (1 + std::fabs(slope)),
         given.c.name + ": the loss changes by " + std::to_string(measured) + ", the gradients say " +
             std::to_string(slope));
}

template <class T, class S>
void expect_layer(const Kernels<T, S>& kernels, Given& given, const std::vector<Result>& truth) {
  const std::string where = std::string(chosen_set().name) + " " + name_of<S>() + " " + given.c.name;
  const std::vector<Result> results = Layer<T, S>(kernels, given, 1).run();
  expect_near(results, truth, tolerance<S>, where);
  for (int threads = 2; threads <= 4; ++threads)
    expect_same_bits(Layer<T, S>(kernels, given, threads).run(), results, where);
}

void expect_case(const Case& one) {
  Given given(one);
  const std::vector<Result> truth = Layer<double, double>(built_sets()[0].set->of64, given, 1).run();
  const std::vector<Result> plain = PlainLayer(given).results();
  expect_near(plain, {truth.begin(), truth.begin() + static_cast<int64_t>(plain.size())}, 1e-12, one.name);
  expect_gradients(given, truth);
  for_each_set([&](const Set& set) {
    expect_layer<double, double>(set.of64, given, truth);
    expect_layer<float, float>(set.of32, given, truth);
    const Bf16Kernels* bf16 = chosen_bf16_kernels();
    if (bf16 != nullptr && !one.modifiers && !one.projects()) expect_layer<float, Bf16>(*bf16, given, truth);
  });
}

}  // namespace
}  // namespace elman

int main() {
  using namespace elman;
  for (const bool reverse : {false, true})
    for_each_kind([&](CellKind kind) {
      for (const Case& c : cases_for(kind, traits_of(kind).name, reverse)) expect_case(c);
    });
  return verdict("layers");
}
