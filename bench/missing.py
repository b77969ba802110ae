"""How far each fill is from the truth, as the share that is missing grows: holes made in complete data, by pattern.

ETTh1 (Zhou et al. 2021), 7 columns, the test part of its usual split (8640 / 2880 / 2880 hours) as one sequence; fills
learn from the training part with holes of the same kind. Errors are root mean squares over the lost numbers, in
deviations of the training part. The data folder is --data (default ../shared/data); --plot draws the curves into a PNG.

Run it: python bench/missing.py [--write] [--rates 0 20 40 60 80] [--seed 0] [--plot missing.png]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import results
from numpy.typing import NDArray

from elman.evaluation.synthetic_gaps import PATTERNS, holes
from elman.features import Numbers
from elman.io.tables import read_table

FILLS = ("mean", "median", "last", "next", "linear", "seasonal")
DAY = 24
TRAINING, VALIDATION, TEST = 8640, 2880, 2880

Array = NDArray[Any]


def etth1(data: Path) -> tuple[Array, Array]:
    """The training and the test part, in deviations of the training part."""
    frame = read_table(data / "series" / "etth1.csv.xz").frame
    values = np.stack([np.asarray(frame[name].to_list(), float) for name in frame.columns[1:]], axis=1)
    training, test = values[:TRAINING], values[TRAINING + VALIDATION :][:TEST]
    mean, deviation = training.mean(0), training.std(0)
    return (training - mean) / deviation, (test - mean) / deviation


def error(training: Array, test: Array, fill: str, pattern: str, rate: float, seed: int) -> float:
    """Root mean square over what was lost of the test part; 0 where nothing was."""
    lossy = [holes(part, pattern, rate, seed + i, season=DAY) for i, part in enumerate((training, test))]
    numbers = Numbers(fill=fill, season=DAY, mask=False, gap=False, scale="none").fit([lossy[0]])
    found, lost = numbers.transform([lossy[1]]).values.numpy(), np.isnan(lossy[1])
    return float(np.sqrt(np.square(found[lost] - test[lost]).mean())) if lost.any() else 0.0


def draw(curves: dict[str, dict[str, list[float]]], rates: list[int], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, (len(curves) + 1) // 2, figsize=(16, 6), sharex=True, sharey=True)
    for axis, (pattern, by_fill) in zip(axes.flat, curves.items(), strict=False):
        for fill, errors in by_fill.items():
            axis.plot(rates, errors, label=fill)
        axis.set_title(pattern)
        axis.set_xlabel("% missing")
    axes.flat[0].set_ylabel("error (deviations)")
    axes.flat[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    parser.add_argument("--rates", type=int, nargs="+", default=[0, 20, 40, 60, 80], help="percent missing")
    parser.add_argument("--seed", type=int, default=0, help="of the holes")
    parser.add_argument("--plot", type=Path, help="PNG to draw the curves into")
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"there is no folder {options.data}. Name yours with --data.")
    training, test = etth1(options.data)
    curves = {
        pattern: {
            fill: [error(training, test, fill, pattern, rate / 100, options.seed) for rate in options.rates]
            for fill in FILLS
        }
        for pattern in PATTERNS
    }
    if options.plot:
        draw(curves, options.rates, options.plot)
    rows = [
        [pattern, fill, *(f"{e:.2f}" for e in errors)]
        for pattern, by_fill in curves.items()
        for fill, errors in by_fill.items()
    ]
    text = (
        "## Error of each fill, by pattern of holes and share that is missing\n\n"
        f"ETTh1, seed {options.seed}; root mean square over the lost numbers, in deviations of the training part.\n\n"
        + results.table(["pattern", "fill", *(f"{rate} %" for rate in options.rates)], rows)
    )
    results.publish("missing", text, options.write)


if __name__ == "__main__":
    main()
