"""``elman.Forecaster(horizon=..., season=..., seed=0)`` with default options on whole test sets, beside baselines.

- m4: M4 hourly (Makridakis et al. 2020), 414 series, 48 hours ahead; sMAPE as the competition has it, MASE, coverage.
- baselines: simple ones on the same series, beside what the competition published of them (Makridakis et al. 2020);
  statsforecast's too, where it is installed.
- etth1: ETTh1 (Zhou et al. 2021), 7 columns as 7 series, 96 hours ahead from every hour of the usual test part (8640,
  2880 and 2880 hours; the first two are learnt from); mean squared error of columns standardised by the first part.
- pm25: fine dust over Beijing (Liang et al. 2015), 24 hours ahead from every hour of the last year, with its real gaps.
- blocked: the m4 set with 20 % and 50 % of all inputs blocked out, five blocks in each series, in learning and in
  answering; the growth of sMAPE. The values to forecast are whole.
- update: a new point for each of the 414 series, beside a prediction from the whole series.

The data are in the data folder, --data (default ../shared/data). The time counts everything: reading, learning and
answering. Test parts are used once, for the figures below. Run it: python bench/forecast.py [--write] [--only m4 ...]
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import lzma
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import results

from elman import Forecaster
from elman.evaluation.metrics import smape
from elman.tasks.forecast.baselines import last_season, theta

Floats = np.ndarray[Any, np.dtype[np.float64]]
PUBLISHED = {"seasonal naive": "13.912", "Theta": "18.138"}


def table(data: Path, name: str, **options: Any) -> pl.DataFrame:
    """A file of the data folder."""
    content = lzma.decompress((data / "series" / name).read_bytes())
    return pl.read_csv(io.BytesIO(content), infer_schema_length=None, **options)


def long(ids: Sequence[str], series: Sequence[Floats], first: Sequence[int] | None = None) -> pl.DataFrame:
    """Arrays as a long frame; steps count from 1, or from `first`."""
    begin = [1] * len(ids) if first is None else first
    when = [np.arange(a, a + len(values)) for a, values in zip(begin, series, strict=True)]
    names = np.repeat(ids, [len(values) for values in series])
    return pl.DataFrame({"unique_id": names, "ds": np.concatenate(when), "y": np.concatenate(series)})


def m4_series(data: Path) -> tuple[list[str], list[Floats], list[Floats]]:
    """Names, training parts and the 48 hours after them."""
    training, test = (table(data, f"m4_hourly_{part}.csv.xz") for part in ("train", "test"))
    arrays = [frame.drop("V1").to_numpy().astype(np.float64) for frame in (training, test)]
    return training["V1"].to_list(), [row[~np.isnan(row)] for row in arrays[0]], list(arrays[1])


def m4(data: Path, seeds: Sequence[int]) -> str:
    rows, start = [], time.perf_counter()
    ids, past, truth = m4_series(data)
    reading = time.perf_counter() - start
    after = long(ids, truth, [len(values) + 1 for values in past])
    for seed in seeds:
        start = time.perf_counter()
        model = Forecaster(horizon=48, season=24, seed=seed).fit(long(ids, past))
        found = model.evaluate(after)
        seconds = reading + time.perf_counter() - start
        print(f"m4, seed {seed}: {found}, {seconds:.0f} s", flush=True)
        covered = [f"{found[f'coverage_{level}']:.3f}" for level in (80, 90, 95)]
        rows.append(
            [f"elman, seed {seed}", f"**{found['smape']:.2f}**", f"{found['mase']:.3f}", *covered, f"{seconds:.0f} s"]
        )
    naive = np.stack([last_season(values, 24, 48) for values in past])
    scale = np.array([np.abs(values[24:] - values[:-24]).mean() for values in past])
    error = float((np.abs(np.stack(truth) - naive).mean(1) / scale).mean())
    rows.append(["seasonal naive", f"{smape(np.stack(truth), naive):.2f}", f"{error:.3f}", "", "", "", ""])
    rows.append(["the winner (Smyl 2020), as published", "9.33", "", "", "", "", ""])
    head = ["M4 hourly, 414 series, 48 h", "sMAPE", "MASE", "coverage 80 %", "90 %", "95 %", "time"]
    return results.table(head, rows)


def baselines(data: Path, seeds: Sequence[int]) -> str:
    _, past, truth = m4_series(data)
    scale = np.array([np.abs(values[24:] - values[:-24]).mean() for values in past])
    made: dict[str, Callable[[Floats], Floats]] = {
        "seasonal naive": lambda values: last_season(values, 24, 48),
        "Theta, by statsmodels (`elman score --baseline`)": lambda values: theta(values, 24, 48),
    }
    if importlib.util.find_spec("statsforecast"):
        model: Any = importlib.import_module("statsforecast.models").Theta(24)
        made["Theta, by statsforecast"] = lambda values: np.asarray(model.forecast(values, 48)["mean"])
    rows = []
    for name, forecast in made.items():
        start = time.perf_counter()
        answers = np.stack([forecast(values) for values in past])
        took, error = time.perf_counter() - start, (np.abs(np.stack(truth) - answers).mean(1) / scale).mean()
        rows.append([name, f"{smape(np.stack(truth), answers):.2f}", f"{error:.3f}", PUBLISHED[name.split(",")[0]]])
        print(f"baselines, {name}: {rows[-1][1]}, {took:.0f} s", flush=True)
    return results.table(["M4 hourly, 414 series, 48 h", "sMAPE", "MASE", "sMAPE as published"], rows)


def etth1(data: Path, seeds: Sequence[int]) -> str:
    frame, names = table(data, "etth1.csv.xz"), ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
    frame = frame.head(14_400)
    whole = frame.unpivot(names, index="date", variable_name="unique_id", value_name="y").rename({"date": "ds"})
    learnt = frame.head(11_520).unpivot(names, index="date", variable_name="unique_id", value_name="y")
    first = frame.head(8640)
    mean, deviation = (np.array([getattr(first[name], what)() for name in names]) for what in ("mean", "std"))
    rows = []
    for seed in seeds:
        start = time.perf_counter()
        model = Forecaster(horizon=96, season=24, levels=(), seed=seed).fit(learnt.rename({"date": "ds"}))
        made = model.cross_validation(whole, windows=2785, step=1, refit=False)
        seconds = time.perf_counter() - start
        answers, truth = (made[key].to_numpy().reshape(7, -1, 96) for key in ("elman", "y"))
        error = (answers - truth) / deviation[:, None, None]
        mse, mae = float((error**2).mean()), float(np.abs(error).mean())
        print(f"etth1, seed {seed}: mse {mse:.4f}, mae {mae:.4f}, {seconds:.0f} s", flush=True)
        rows.append([f"elman, seed {seed}", f"**{mse:.3f}**", f"{mae:.3f}", f"{seconds:.0f} s"])
    values = frame.select(names).to_numpy()
    naive = [values[t - 24 : t][np.arange(96) % 24] - values[t : t + 96] for t in range(11_520, 14_400 - 96 + 1)]
    scaled = np.stack(naive) / deviation
    rows.append(["seasonal naive", f"{(scaled**2).mean():.3f}", f"{np.abs(scaled).mean():.3f}", ""])
    rows.append(["DLinear (Zeng et al. 2023), as published", "0.375", "0.399", ""])
    del mean
    return results.table(["ETTh1, 7 columns, 96 h", "MSE", "MAE", "time"], rows)


def pm25(data: Path, seeds: Sequence[int]) -> str:
    frame = table(data, "beijing_pm25.csv.xz", null_values="NA")
    frame = frame.with_columns(
        ds=pl.datetime("year", "month", "day", "hour"), unique_id=pl.lit("Beijing"), y=pl.col("pm2.5").cast(pl.Float64)
    ).select("unique_id", "ds", "y", "DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir")
    test = 365 * 24
    learnt, values = frame.head(len(frame) - test), frame["y"].to_numpy()
    windows, rows = test - 24 + 1, []
    at = np.arange(len(values) - test, len(values) - 24 + 1)
    truth = np.stack([values[t : t + 24] for t in at])
    there = ~np.isnan(truth)

    def row(name: str, answers: Floats, took: str) -> None:
        error = (answers - truth)[there]
        print(f"pm25, {name}: mae {np.abs(error).mean():.2f}, {took}", flush=True)
        rows.append([name, f"{np.abs(error).mean():.2f}", f"{np.sqrt((error**2).mean()):.2f}", took])

    weather = ["DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir"]
    for seed in seeds:
        for name, past in (("", weather), (" without the weather", [])):
            start = time.perf_counter()
            model = Forecaster(horizon=24, season=24, past=past, seed=seed).fit(learnt)
            made = model.cross_validation(frame, windows=windows, step=1, refit=False)
            took = f"{time.perf_counter() - start:.0f} s"
            row(f"elman{name}, seed {seed}", made["elman"].to_numpy().reshape(-1, 24), took)
    filled = pl.Series(values).fill_nan(None).forward_fill().backward_fill().to_numpy()
    row("the last day", np.stack([filled[t - 24 : t] for t in at]), "")
    numbers = frame.select(weather).to_dummies("cbwd").to_numpy().astype(np.float64)
    for name, beside in (("ridge on 168 lags", None), ("ridge on 168 lags and the weather", numbers)):
        start = time.perf_counter()
        ridge = Ridge(lags=168, horizon=24).fit(
            values[: len(values) - test], None if beside is None else beside[:-test]
        )
        row(name, ridge.predict(values, at, beside), f"{time.perf_counter() - start:.0f} s")
    head = ["PM2.5 in Beijing, 24 h, every hour of 2014", "mean error µg/m³", "root mean square", "time"]
    return results.table(head, rows)


@dataclass
class Ridge:
    """Ridge regression from the last values of one series to the next ones; missing values as the last observed one.

    y_{t+j} = a_j . (y_t ... y_{t-lags+1}) + b_j . x_t + c_j,  least squares + strength |a, b|^2
    """

    lags: int
    horizon: int
    strength: float = 1.0  # of the regularisation, for standardised values and per 1000 steps
    weight: Floats = field(default_factory=lambda: np.zeros((0, 0)), init=False)

    def fit(self, values: Floats, covariates: Floats | None = None) -> Self:
        """Fits a series with covariates [steps, columns]."""
        there = values[~np.isnan(values)]
        self.mean, self.deviation = float(there.mean()), float(there.std()) if there.min() < there.max() else 1.0
        self.scale = None
        if covariates is not None:
            self.scale = (covariates.mean(0), np.where(covariates.min(0) < covariates.max(0), covariates.std(0), 1.0))
        at = np.arange(self.lags, len(values) - self.horizon + 1)
        targets = np.stack([values[at + step] for step in range(self.horizon)], axis=1)
        whole = ~np.isnan(targets).any(1)
        x, y = self._rows(values, at[whole], covariates), (targets[whole] - self.mean) / self.deviation
        pull = self.strength * len(x) / 1000 * np.eye(x.shape[1])
        pull[-1, -1] = 0
        self.weight = np.asarray(np.linalg.solve(x.T @ x + pull, x.T @ y), np.float64)
        return self

    def predict(
        self, values: Floats, at: np.ndarray[Any, np.dtype[np.int64]], covariates: Floats | None = None
    ) -> Floats:
        """The `horizon` values from each step `at` on, from what lies before it: [rows, horizon]."""
        scaled: Any = self._rows(values, at, covariates) @ self.weight
        made: Floats = scaled * self.deviation + self.mean
        return made

    def _rows(self, values: Floats, at: np.ndarray[Any, np.dtype[np.int64]], covariates: Floats | None) -> Floats:
        known = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
        filled = np.where(known < 0, self.mean, values[np.maximum(known, 0)])
        lags = (filled[at[:, None] - np.arange(self.lags, 0, -1)] - self.mean) / self.deviation
        more = (
            [] if covariates is None or self.scale is None else [(covariates[at - 1] - self.scale[0]) / self.scale[1]]
        )
        return np.concatenate([lags, *more, np.ones((len(at), 1))], axis=1)


def with_blocks(series: Sequence[Floats], share: float, seed: int = 0) -> list[Floats]:
    """The series with so large a share of their values missing, in five blocks each."""
    random, made = np.random.default_rng(seed), []
    for values in series:
        part, size = len(values) // 5, round(len(values) * share / 5)
        values = values.copy()
        for block in range(5):
            begin = part * block + int(random.integers(0, part - size + 1))
            values[begin : begin + size] = np.nan
        made.append(values)
    return made


def blocked(data: Path, seeds: Sequence[int]) -> str:
    ids, past, truth = m4_series(data)
    after = long(ids, truth, [len(values) + 1 for values in past])
    rows, whole = [], 0.0
    for share in (0.0, 0.2, 0.5):
        model = Forecaster(horizon=48, season=24, seed=seeds[0])
        model.fit(long(ids, with_blocks(past, share)))
        error = model.evaluate(after)["smape"]
        whole = whole or error
        print(f"blocked, {share}: {error:.3f}", flush=True)
        growth = "" if not share else f"{100 * (error / whole - 1):+.1f} %"
        naive = np.stack([last_season(values, 24, 48) for values in with_blocks(past, share)])
        rows.append([f"{100 * share:.0f} %", f"{error:.2f}", growth, f"{smape(np.stack(truth), naive):.2f}"])
    return results.table(["inputs blocked out, M4 hourly", "sMAPE", "growth", "seasonal naive"], rows)


def update(data: Path, seeds: Sequence[int]) -> str:
    ids, past, _ = m4_series(data)
    begun = long(ids, [values[:-20] for values in past])
    points = [
        long(ids, [values[[-back]] for values in past], [len(values) - back + 1 for values in past])
        for back in range(20, 0, -1)
    ]
    model = Forecaster(horizon=48, season=24, epochs=1, seed=seeds[0]).fit(begun)

    def seconds(act: Callable[[int], object]) -> float:
        taken = []
        for i in range(10):
            start = time.perf_counter()
            act(i)
            taken.append(time.perf_counter() - start)
        return statistics.median(taken)

    whole = long(ids, past)
    new = seconds(lambda i: model.update(points[i]))
    both = seconds(lambda i: model.update(points[10 + i]).predict())
    full = seconds(lambda i: model.predict(frame=whole))
    kept = model.predict()
    again = model.predict(frame=whole)
    same = bool((kept.drop("unique_id", "ds").to_numpy() == again.drop("unique_id", "ds").to_numpy()).all())
    rows = [
        ["predict from the whole series", f"{1000 * full:.1f} ms", "1"],
        ["update with a new point for each", f"{1000 * new:.1f} ms", f"1/{full / new:.0f}"],
        ["update and predict from the kept state", f"{1000 * both:.1f} ms", f"1/{full / both:.0f}"],
    ]
    said = "the same bits" if same else "DIFFERENT answers"
    return results.table([f"414 series; afterwards {said}", "median of 10", "share"], rows)


SECTIONS: dict[str, Callable[[Path, Sequence[int]], str]] = {
    "m4": m4,
    "baselines": baselines,
    "etth1": etth1,
    "pm25": pm25,
    "blocked": blocked,
    "update": update,
}


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds, a row each")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS), help="which sections")
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"there is no folder {options.data}. Name yours with --data.")
    for name in options.only:
        text = f"## Forecasts, default options: {name}\n\n{SECTIONS[name](options.data, options.seeds)}"
        results.publish(f"forecast {name}", text, options.write)


if __name__ == "__main__":
    main()
