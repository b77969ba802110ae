"""Regress: the length of a pendulum from noisy measurements of its angle; then the true angle at every step.

Usage: python examples/regress.py [--limit 1500] [--epochs N]. The data are simulated, 10 measurements per second.
"""

import argparse

import numpy as np

import elman

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--limit", type=int, default=1500, help="number of pendulums")
parser.add_argument("--epochs", type=int, help="epochs (default: by the size of the training set)")
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
print(f"length: mean absolute error {100 * found['mae']:.1f} cm, R2 {found['r2']:.3f}")

angle = elman.Regressor(every_step=True, epochs=options.epochs, seed=0).fit(measured[:last], swings[:last])
noise = np.abs(np.concatenate(measured[last:]) - np.concatenate(swings[last:])).mean()
found = angle.evaluate(measured[last:], swings[last:])
print(f"angle:  mean absolute error {found['mae']:.3f}, of the measurements {noise:.3f}")

session = angle.stream()
for step in measured[-1][:5]:
    print(f"measured {step:6.3f}, estimated {session.feed(step).value:6.3f}")
