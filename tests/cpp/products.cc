// linear, outer and collect against plain loops; rows that lie apart; any number of threads against one, bit for bit.
#include "check.h"

namespace elman {
namespace {

struct Sizes {
  int64_t rows, inputs, outputs, apart;
  bool transposed, bias;
};

const Sizes sizes[] = {
    {1, 1, 1, 0, false, true},   {0, 3, 5, 0, false, true},     {3, 0, 5, 0, false, true},
    {3, 5, 0, 0, false, false},  {301, 17, 33, 0, false, true}, {130, 5, 67, 3, true, true},
    {7, 64, 16, 1, true, false}, {2, 2, 200, 0, false, true},
};

template <class T, class S>
void expect_linear(const Kernels<T, S>& kernels, const Sizes& size) {
  const Doubles x = random(size.rows * size.inputs), weight = random(size.inputs * size.outputs),
                bias = random(size.bias ? size.outputs : 0);
  Doubles truth(static_cast<size_t>(size.rows * size.outputs));
  const int64_t along = size.transposed ? 1 : size.inputs, across = size.transposed ? size.outputs : 1;
  for (int64_t n = 0; n < size.rows; ++n)
    for (int64_t u = 0; u < size.outputs; ++u) {
      double sum = size.bias ? bias[static_cast<size_t>(u)] : 0;
      for (int64_t i = 0; i < size.inputs; ++i)
        sum += x[static_cast<size_t>(n * size.inputs + i)] * weight[static_cast<size_t>(u * along + i * across)];
      truth[static_cast<size_t>(n * size.outputs + u)] = sum;
    }
  const std::string where = std::string(chosen_set().name) + " " + name_of<S>() + " linear of " +
                            std::to_string(size.rows) + " x " + std::to_string(size.inputs) + " x " +
                            std::to_string(size.outputs);
  Numbers<S> rows(x, size.inputs, size.inputs + size.apart);
  Numbers<T> weights(weight), biases(bias);
  const auto run = [&](int threads, int64_t first, int64_t count) {
    Numbers<S> out(count * size.outputs);
    bool failed = false;
    kernels.linear({threads,
                    count,
                    size.inputs,
                    size.outputs,
                    rows.data() + first * (size.inputs + size.apart),
                    size.inputs + size.apart,
                    weights.data(),
                    {along, across},
                    biases.or_null(),
                    out.data(),
                    size.outputs,
                    &failed});
    expect(!failed, where + " failed");
    return out.values();
  };
  const Doubles alone = run(1, 0, size.rows);
  expect_near({{"out", alone}}, {{"out", truth}}, tolerance<S>, where);
  for (int threads = 2; threads <= 4; ++threads)
    expect_same_bits({{"out", run(threads, 0, size.rows)}}, {{"out", alone}}, where);
  for (int64_t n = 0; n < size.rows; n += 50) {
    const auto row = alone.begin() + n * size.outputs;
    expect_same_bits({{"row", run(2, n, 1)}}, {{"row", Doubles(row, row + size.outputs)}}, where);
  }
}

template <class T, class S>
void expect_outer(const Kernels<T, S>& kernels, const Sizes& size) {
  const int64_t steps = size.rows, rows = size.inputs, columns = size.outputs;
  const Doubles a = random(steps * rows), b = random(steps * columns);
  Doubles truth(static_cast<size_t>(rows * columns));
  for (int64_t n = 0; n < steps; ++n)
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t u = 0; u < columns; ++u)
        truth[static_cast<size_t>(i * columns + u)] +=
            a[static_cast<size_t>(n * rows + i)] * b[static_cast<size_t>(n * columns + u)];
  const std::string where = std::string(chosen_set().name) + " " + name_of<S>() + " outer of " + std::to_string(steps) +
                            " x " + std::to_string(rows) + " x " + std::to_string(columns);
  Numbers<S> left(a, rows, rows + size.apart), right(b, columns, columns + 2 * size.apart);
  Doubles alone;
  for (int threads = 1; threads <= 4; ++threads) {
    Numbers<T> out(rows * columns);
    bool failed = false;
    kernels.outer({threads, steps, rows, columns, left.data(), rows + size.apart, right.data(),
                   columns + 2 * size.apart, out.data(), &failed});
    expect(!failed, where + " failed");
    if (threads == 1) alone = out.values();
    expect_same_bits({{"out", out.values()}}, {{"out", alone}}, where);
  }
  expect_near({{"out", alone}}, {{"out", truth}}, tolerance<S>, where);
}

template <class T, class S>
void expect_collect(const Kernels<T, S>& kernels, const Sizes& size) {
  const int64_t steps = size.rows, width = size.outputs, rows = 5;
  const Doubles a = random(steps * width);
  std::vector<int64_t> index;
  for (int64_t n = 0; n < steps; ++n) index.push_back(n * n % rows);
  Doubles truth(static_cast<size_t>(rows * width));
  for (int64_t n = 0; n < steps; ++n)
    for (int64_t u = 0; u < width; ++u)
      truth[static_cast<size_t>(index[static_cast<size_t>(n)] * width + u)] += a[static_cast<size_t>(n * width + u)];
  Numbers<S> given(a, width, width + size.apart);
  for (int threads = 1; threads <= 4; ++threads) {
    Numbers<T> out(rows * width);
    bool failed = true;
    kernels.collect({threads, steps, rows, width, given.data(), width + size.apart, index.data(), out.data(), &failed});
    expect(!failed, "collect failed");
    // sums of few numbers of 7 bits are exact
    expect_same_bits({{"out", out.values()}}, {{"out", truth}},
                     std::string(chosen_set().name) + " " + name_of<S>() + " collect");
  }
}

template <class T, class S>
void expect_products(const Kernels<T, S>& kernels) {
  for (const Sizes& size : sizes) {
    expect_linear(kernels, size);
    expect_outer(kernels, size);
    expect_collect(kernels, size);
  }
}

}  // namespace
}  // namespace elman

int main() {
  using namespace elman;
  for_each_set([](const Set& set) {
    expect_products(set.of32);
    expect_products(set.of64);
    if (chosen_bf16_kernels() != nullptr) expect_products(*chosen_bf16_kernels());
  });
  return verdict("products");
}
