"""Regress: the length of a pendulum from its noisy swing; then, at every step, where it really is.

Run it: python examples/regress.py [--limit 1500] [--epochs N]. The swings are made here, 10 measurements a second.
"""

import argparse

import numpy as np

import elman

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--limit", type=int, default=1500, help="so many pendulums")
parser.add_argument("--epochs", type=int, help="passes over the training part (default: chosen by its size)")
options = parser.parse_args()

random = np.random.default_rng(0)
metres = random.uniform(0.2, 2.0, options.limit)
swings, measured = [], []
for length in metres:
    t = np.arange(random.integers(30, 90)) / 10
    swing = 0.3 * np.cos(np.sqrt(9.81 / length) * t + random.uniform(0, 6.3)) * np.exp(-0.05 * t)
    swings.append(swing)
    measured.append(swing + random.normal(0, 0.1, len(t)))
last = options.limit * 4 // 5

reg = elman.Regressor(epochs=options.epochs, seed=0).fit(measured[:last], metres[:last])
found = reg.evaluate(measured[last:], metres[last:])
print(f"length: wrong by {100 * found['mae']:.1f} cm on average, R2 {found['r2']:.3f}")

angle = elman.Regressor(every_step=True, epochs=options.epochs, seed=0).fit(measured[:last], swings[:last])
noise = np.abs(np.concatenate(measured[last:]) - np.concatenate(swings[last:])).mean()
found = angle.evaluate(measured[last:], swings[last:])
print(f"angle:  wrong by {found['mae']:.3f} on average, the measurement by {noise:.3f}")

session = angle.stream()
for step in measured[-1][:5]:
    print(f"measured {step:6.3f}, estimated {session.feed(step).value:6.3f}")
