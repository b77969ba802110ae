"""Series for the tutorials from the statsmodels package, windows of them, and plots of the loss."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch


def arguments(description: str, epochs: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--png", type=Path, help="file for a plot of the loss of each epoch")
    return parser.parse_args()


def carbon_dioxide() -> torch.Tensor:
    """Weekly CO2 at Mauna Loa in parts per million, 1958 to 2001; 59 missing values are interpolated linearly."""
    from statsmodels.datasets import co2

    weeks = co2.load_pandas().data["co2"].to_numpy()
    known = np.flatnonzero(~np.isnan(weeks))
    return torch.from_numpy(np.interp(np.arange(len(weeks)), known, weeks[known])).float()


def sunspots() -> torch.Tensor:
    """Yearly sunspot numbers from 1700 to 2008."""
    from statsmodels.datasets import sunspots

    return torch.tensor(sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(), dtype=torch.float32)


def economy() -> torch.Tensor:
    """Ten quarterly series of the United States, 1959 to 2009: seven growth rates in per cent, three other rates."""
    from statsmodels.datasets import macrodata

    frame = macrodata.load_pandas().data
    grows = frame[["realgdp", "realcons", "realinv", "realgovt", "realdpi", "cpi", "m1"]].to_numpy()
    rates = frame[["tbilrate", "unemp", "infl"]].to_numpy()
    return torch.from_numpy(np.hstack([100 * np.diff(np.log(grows), axis=0), rates[1:]])).float()


def windows(values: torch.Tensor, steps: int) -> torch.Tensor:
    """All windows of this many steps: [windows, steps, width]."""
    return values.view(len(values), -1).unfold(0, steps, 1).transpose(1, 2)


def draw(losses: dict[str, list[float]], title: str, png: Path) -> None:
    """Curves by name, one value per epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, values in losses.items():
        axes.plot(range(1, len(values) + 1), values, label=name)
    axes.set(title=title, xlabel="epoch", ylabel="mean squared error", yscale="log")
    axes.legend()
    figure.savefig(png, dpi=120)
