"""What 350 wholesale shelves will sell: Stallion, six months ahead, from prices, weather, holidays and what they are.

58 agencies sell 25 kinds of beer in 350 combinations, 60 months each. ``elman.Forecaster`` learns from the first 54 and
forecasts the last 6, with default options beside what the columns are: the volumes of the whole market and the highest
temperatures are known up to the present, prices and special days for the months to come too, the agency, the kind, the
population and its income never change. The mean absolute error is in hectolitres over all 350 x 6 months.

Beside it the last month again, the same month of the year before, Theta, and ourselves without any of these columns.
The last 6 months are used once, for the figures below. The data folder is --data (default ../shared/data).
Run it: python bench/stallion.py [--write] [--seeds 0]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import results

from elman import Forecaster
from elman.evaluation.metrics import coverage, mase, smape
from elman.tasks.forecast.baselines import last_season, theta

Floats = np.ndarray[Any, np.dtype[np.float64]]
HORIZON, SEASON = 6, 12
SPECIAL = """
    easter_day good_friday new_year christmas labor_day independence_day revolution_day_memorial regional_games
    fifa_u_17_world_cup football_gold_cup beer_capital music_fest
"""
COLUMNS: dict[str, Any] = {
    "past": ["industry_volume", "soda_volume", "avg_max_temp"],
    "future": ["price_regular", "price_actual", "discount", *SPECIAL.split()],
    "static": ["agency", "sku", "avg_population_2017", "avg_yearly_household_income_2017"],
}


def read(data: Path) -> pl.DataFrame:
    """One series for each agency and kind, in the names that a Forecaster has for its columns."""
    frame = pl.read_parquet(data / "series" / "stallion.parquet")
    names = pl.col("agency", "sku").cast(pl.String)
    series = pl.concat_str(pl.col("agency", "sku").cast(pl.String), separator=" ").alias("unique_id")
    kept = [name for kind in COLUMNS.values() for name in kind if name not in ("agency", "sku")]
    dated = pl.col("date").cast(pl.Date).alias("ds")
    return frame.select(series, dated, pl.col("volume").alias("y"), names, *kept).sort("unique_id", "ds")


def measured(name: str, y: Floats, found: Floats, naive: Floats, covered: str = "") -> list[str]:
    """A row: mean absolute error, the same in units of the seasonal naive error, sMAPE, coverage."""
    error = float(np.abs(y - found).mean())
    scaled = mase(y, found, naive[:, None])
    return [name, f"{error:.1f}", f"{scaled:.3f}", f"{smape(y, found):.1f}", covered]


def ours(name: str, frame: pl.DataFrame, y: Floats, naive: Floats, seed: int, **columns: Any) -> list[str]:
    """A row of the Forecaster with these columns."""
    last = frame["ds"].unique().sort()[-HORIZON]
    past, after = frame.filter(pl.col("ds") < last), frame.filter(pl.col("ds") >= last)
    model = Forecaster(horizon=HORIZON, season=SEASON, seed=seed, verbose=False, **columns).fit(past)
    found = model.predict(future=after.drop("y")) if columns else model.predict()
    table = {column: _by_series(found, column, frame) for column in ("elman", "elman-lo-90", "elman-hi-90")}
    covered = coverage(y, table["elman-lo-90"], table["elman-hi-90"])
    return measured(f"{name}, seed {seed}", y, table["elman"], naive, f"{covered:.3f}")


def _by_series(found: pl.DataFrame, column: str, frame: pl.DataFrame) -> Floats:
    """The answers [series, horizon] in the order of the series of the frame."""
    order = {name: i for i, name in enumerate(frame["unique_id"].unique(maintain_order=True).to_list())}
    found = found.with_columns(pl.col("unique_id").replace_strict(order).alias("place")).sort("place", "ds")
    return found[column].to_numpy().reshape(len(order), HORIZON).astype(np.float64)


def table(data: Path, seeds: list[int]) -> str:
    frame = read(data)
    values = frame["y"].to_numpy().reshape(-1, 60)
    past, y = values[:, :-HORIZON], values[:, -HORIZON:]
    naive = np.abs(past[:, SEASON:] - past[:, :-SEASON]).mean(1)
    rows = []
    for seed in seeds:
        rows.append(ours("elman, all columns", frame, y, naive, seed, **COLUMNS))
        rows.append(ours("elman, volumes alone", frame.select("unique_id", "ds", "y"), y, naive, seed))
    rows.append(measured("the last month again", y, np.repeat(past[:, -1:], HORIZON, 1), naive))
    again = np.stack([last_season(series, SEASON, HORIZON) for series in past])
    rows.append(measured("the same month of the year before", y, again, naive))
    found = np.stack([theta(series, SEASON, HORIZON) for series in past])
    rows.append(measured("Theta", y, found, naive))
    for row in rows:
        print(*row, flush=True)
    head = ["", "mean absolute error, hl", "MASE", "sMAPE", "within the 90 % interval"]
    return results.table(head, rows)


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds, two rows each")
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"there is no folder {options.data}. Name yours with --data.")
    text = f"## Stallion: six months of sales, 350 series with their covariates\n\n{table(options.data, options.seeds)}"
    results.publish("stallion", text, options.write)


if __name__ == "__main__":
    main()
