"""Real series for the tutorials, from the statsmodels package; windows of them; and the drawing of a loss."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch


def arguments(description: str, epochs: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--png", type=Path, help="draw the loss of each epoch to this file")
    return parser.parse_args()


def carbon_dioxide() -> torch.Tensor:
    """CO2 over Mauna Loa in parts per million, a number a week from 1958 to 2001. Its 59 gaps are filled by a line."""
    from statsmodels.datasets import co2

    weeks = co2.load_pandas().data["co2"].to_numpy()
    known = np.flatnonzero(~np.isnan(weeks))
    return torch.from_numpy(np.interp(np.arange(len(weeks)), known, weeks[known])).float()


def sunspots() -> torch.Tensor:
    """Sunspots, a number a year from 1700 to 2008."""
    from statsmodels.datasets import sunspots

    return torch.tensor(sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(), dtype=torch.float32)


def economy() -> torch.Tensor:
    """Ten numbers on the United States for each quarter from 1959 to 2009: seven growths in per cent, three rates."""
    from statsmodels.datasets import macrodata

    frame = macrodata.load_pandas().data
    grows = frame[["realgdp", "realcons", "realinv", "realgovt", "realdpi", "cpi", "m1"]].to_numpy()
    rates = frame[["tbilrate", "unemp", "infl"]].to_numpy()
    return torch.from_numpy(np.hstack([100 * np.diff(np.log(grows), axis=0), rates[1:]])).float()


def windows(values: torch.Tensor, steps: int) -> torch.Tensor:
    """The windows of so many steps, one beginning at each step: [windows, steps, width]."""
    return values.view(len(values), -1).unfold(0, steps, 1).transpose(1, 2)


def draw(losses: dict[str, list[float]], title: str, png: Path) -> None:
    """Curves by name, a number an epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, values in losses.items():
        axes.plot(range(1, len(values) + 1), values, label=name)
    axes.set(title=title, xlabel="epoch", ylabel="mean squared error", yscale="log")
    axes.legend()
    figure.savefig(png, dpi=120)
