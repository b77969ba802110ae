"""A forecaster on disk: what it learnt as JSON and tensors, checked on the way in; the ends of its series too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from torch import Tensor

from elman.io import model_folder as store
from elman.tasks.forecast.data.covariates import Covariates
from elman.tasks.forecast.data.panel import Style
from elman.tasks.forecast.data.scaling import Shape
from elman.tasks.forecast.data.time_grid import Grid
from elman.tasks.forecast.direct import Answers, levels_of
from elman.tasks.forecast.state import Known

__all__ = ["MOST", "MOST_DRAWN", "Stored"]

#: The largest sizes that an option, or a saved model, may ask for.
MOST = {
    "horizon": 1_000_000,
    "season": 1_000_000,
    "window": 1_000_000,
    "experts": 1000,
    "members": 1000,
    "paths": 10_000,
}
#: The most steps that a recursive forecaster may draw of a series: paths times horizon.
MOST_DRAWN = 10_000_000


class Stored(Answers):
    """Saves what a forecaster learnt, and restores it."""

    def _describe_input(self) -> dict[str, Any]:
        names = self.columns
        made = {"columns": f"{names.id}, {names.time}, {names.target}"}
        groups = {"past": names.past, "future": names.future, "static": names.static}
        return made | {f"{key} covariates": ", ".join(group) for key, group in groups.items() if group}

    def _config(self) -> dict[str, Any]:
        return {
            "grid": list(astuple(self.grid_)),
            "style": self.style_.config(),
            "shape": [self.shape_.season, self.shape_.window, self.shape_.log],
            "longest": self.longest_,
            "season chosen": self.season_chosen_,
            "covariates": self.covariates_.config(),
            "factors": [[level, by] for level, by in self.factors_.items()],
            "known": self.known_.config(),
        }

    def _tensors(self) -> dict[str, Tensor]:
        return {f"known.{key}": value for key, value in self.known_.tensors().items()}

    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        self.grid_, self.style_ = Grid.restore(config["grid"]), Style.restore(config["style"])
        season, window, log = config["shape"]
        self.longest_, self.season_chosen_ = config["longest"], str(config["season chosen"])
        sizes = {"season": season, "window": window, "longest": self.longest_}
        if any(type(size) is not int or not 1 <= size <= MOST.get(name, 2**53) for name, size in sizes.items()):
            raise ValueError("shape")
        if type(log) is not bool:
            raise ValueError("shape")
        self.shape_ = Shape(season, window, log)
        self.covariates_ = Covariates.restore(config["covariates"])
        learnt, asked = self.covariates_, self.columns
        if (learnt.past, learnt.future, learnt.static) != (asked.past, asked.future, asked.static):
            raise ValueError("covariates")
        self.factors_ = {float(level): float(by) for level, by in config["factors"]}
        if sorted(self.factors_) != sorted(map(float, levels_of(self.levels))):
            raise ValueError("factors")
        if not all(math.isfinite(by) and by >= 0 for by in self.factors_.values()):
            raise ValueError("factors")
        self.network_ = store.network(self._networks, tensors, folder)
        known = store.under("known.", tensors)
        self.known_ = Known.restore(config["known"], known, self.shape_, self.network_, self.covariates_)
