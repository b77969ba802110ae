"""The adding problem: two of many numbers are marked, and their sum is asked for after the last step.

A step holds a number, even from 0 to 1, and a mark, 1 at two steps and else 0: one in the first half of the sequence,
one in the second (Hochreiter & Schmidhuber 1997). Who has forgotten says 1 and is wrong by 0.167 in the mean square.
Nothing but the state after the last step reaches the answer (``pool="last"``). Training and test sequences are drawn
apart; the test part has 2000 and is used once.

Run it: python bench/adding.py [--write] [--seeds 0] [--only REGEX]
"""

from __future__ import annotations

import re
import statistics
import time
from typing import Any

import numpy as np
import results

from elman import Regressor

TEST = 2000
#: Each row: steps, training sequences, and the options that are not defaults.
ROWS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "min_gru-600": (600, 8000, {"cell": "min_gru", "max_timescale": 1000, "dropout": 0.0, "epochs": 15}),
    "min_gru-10000": (
        10_000,
        4000,
        {
            "cell": "min_gru",
            "max_timescale": 16_000,
            "dropout": 0.0,
            "epochs": 14,
            "batch_sequences": 16,
            "batch_steps": 200_000,
            "patience": None,
        },
    ),
}


def draw(sequences: int, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps [sequences, steps, 2] and the sums [sequences]."""
    random = np.random.default_rng(seed)
    x = np.zeros((sequences, steps, 2), np.float32)
    x[:, :, 0] = random.random((sequences, steps))
    rows = np.arange(sequences)
    first, second = random.integers(0, steps // 2, sequences), random.integers(steps // 2, steps, sequences)
    x[rows, first, 1] = x[rows, second, 1] = 1
    return x, x[rows, first, 0] + x[rows, second, 0]


def measure(name: str, seeds: list[int]) -> list[str]:
    steps, sequences, options = ROWS[name]
    seconds, errors = [], []
    test = draw(TEST, steps, seed=1_000_003)
    for seed in seeds:
        x, y = draw(sequences, steps, seed)
        start = time.perf_counter()
        reg = Regressor(seed=seed, pool="last", verbose=False, **options).fit(x, y)
        seconds.append(time.perf_counter() - start)
        errors.append(float(np.square(reg.predict(test[0]) - test[1]).mean()))
        print(f"{name}, seed {seed}: {errors[-1]:.6f}, {seconds[-1]:.0f} s, {len(reg.history_)} epochs", flush=True)
    given = ", ".join(f"{key}={value!r}" for key, value in options.items())
    spread = f" ({min(errors):.1e} to {max(errors):.1e})" if len(errors) > 1 else ""
    forgotten = float(np.square(test[1] - 1).mean())
    error = f"**{statistics.median(errors):.1e}**{spread}"
    return [str(steps), str(sequences), given, error, f"{forgotten:.3f}", f"{statistics.median(seconds):.0f} s"]


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of data and model")
    parser.add_argument("--only", default="", metavar="REGEX", help="rows whose name has this")
    options = parser.parse_args()
    rows = [measure(name, options.seeds) for name in ROWS if re.search(options.only, name)]
    head = ["steps", "training sequences", 'options beside `pool="last"`', "error", "saying 1", "time"]
    text = (
        "## The adding problem: mean squared error of `elman.Regressor(seed=...)`\n\n"
        f"{TEST} test sequences; seeds {', '.join(map(str, options.seeds))}, of data and model.\n\n"
        f"{results.table(head, rows)}"
    )
    results.publish("adding", text, options.write)


if __name__ == "__main__":
    main()
