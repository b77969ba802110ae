"""Forecast carbon dioxide at Mauna Loa a year ahead, from weekly values of which 59 are missing.

Usage: python examples/forecast.py [--epochs N] [--picture co2.png]. The series comes with statsmodels (extra `demo`).
"""

import argparse

import polars as pl
from statsmodels.datasets import co2

import elman

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, help="epochs (default: by the length of the series)")
parser.add_argument("--picture", help="PNG file for a plot of the last forecast")
options = parser.parse_args()

table = co2.load_pandas().data["co2"]
frame = pl.DataFrame({"unique_id": "Mauna Loa", "ds": table.index.to_numpy(), "y": table.to_numpy()})
past, year = frame[:-52], frame[-52:]

model = elman.Forecaster(horizon=52, season=52, epochs=options.epochs, seed=0).fit(past)
print(f"{len(past)} weeks, {model.data_['missing']} missing")

found = model.evaluate(year)
print(f"mean absolute error {found['mae']:.2f} ppm, coverage of the 90 % interval {100 * found['coverage_90']:.0f} %")
print(f"reduction of the error of the seasonal naive forecast: {model.score(year):.2f}")

model.update(year)  # a year later: the same network with the new observations
week, value, low, high = model.predict().select("ds", "elman", "elman-lo-90", "elman-hi-90").row(0)
print(f"{week:%Y-%m-%d}: {value:.1f} ppm, 90 % interval from {low:.1f} to {high:.1f}")
if options.picture:
    model.plot(options.picture)
