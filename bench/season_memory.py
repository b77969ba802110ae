"""What a Forecaster takes for series whose usual season is long: memory of the whole process, and seconds.

Each row is a process of its own; importing elman alone takes the first. Memory must follow the data, not the season: a
value a second has a day of 86,400 steps. Run it: python bench/season_memory.py [--only seconds ...]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

#: Steps, distance of steps, series and further options of each row.
ROWS: dict[str, tuple[int, str, int, str]] = {
    "import": (0, "1s", 1, "{}"),
    "quarter hours": (2000, "15min", 1, "{}"),
    "seconds": (2000, "1s", 1, "{}"),
    "tenths": (400, "100ms", 1, "{}"),
    "milliseconds": (2000, "1ms", 1, "{}"),
    "seconds, 50 series": (2000, "1s", 50, "{}"),
    "season of a day": (2000, "1s", 1, '{"season": 86400}'),
    "two days of seconds": (200_000, "1s", 1, '{"season": 86400}'),
    "minutes on paths": (5000, "1min", 1, '{"recursive": true, "paths": 50}'),
}

CODE = """
import json, resource, sys, time, warnings
import elman, numpy as np, pandas as pd
n, freq, series, options = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
warnings.simplefilter("ignore")
begin, worked, season = time.perf_counter(), time.process_time(), 0
if n:
    times = pd.date_range("2024-01-01", periods=n, freq=freq)
    y = np.sin(np.arange(n) / 10) + 2
    frame = pd.concat([pd.DataFrame({"unique_id": f"s{i}", "ds": times, "y": y * (i + 1)}) for i in range(series)])
    model = elman.Forecaster(horizon=5, hidden=4, epochs=1, seed=0, verbose=False, **options).fit(frame)
    model.predict()
    season = model.config_.season
seconds, most = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([season, round(most), round(seconds, 1), round(time.process_time() - worked, 1)]))
"""


def main() -> None:
    """Prints a line for each row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", choices=list(ROWS), default=list(ROWS))
    print(f"{'':<22}{'season':>8}{'MB':>8}{'seconds':>9}{'of them at work':>17}")
    for name in parser.parse_args().only:
        begin, arguments = time.perf_counter(), [str(part) for part in ROWS[name]]
        made = subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=False)
        if made.returncode:
            took = time.perf_counter() - begin
            print(f"{name:<22}failed after {took:.0f} s: {made.stderr.strip().splitlines()[-1]}")
            continue
        season, megabytes, seconds, worked = json.loads(made.stdout)
        print(f"{name:<22}{season:>8}{megabytes:>8}{seconds:>9}{worked:>17}", flush=True)


if __name__ == "__main__":
    main()
