"""Death in hospital from the first two days in intensive care: PhysioNet 2012, set a, 4,000 stays.

37 variables at irregular times, most of them missing at most hours, and age, gender, height and the ward at admission.
``elman.Classifier`` reads hourly means, gaps and all; the area under the ROC curve is that of five stratified folds.
The defaults are one row, the options below the other; these were chosen inside the training part of the first fold, of
which the tests of the others are part: the first fold alone is untouched by the choice.

Beside it logistic regression on a summary of each variable. The data folder is --data (default ../shared/data).
Run it: python bench/physionet.py [--write] [--folds 5] [--seed 0] [--cell gru_d]
"""

from __future__ import annotations

import io
import lzma
import statistics
import tarfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import results
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from elman import Classifier

VARIABLES = """
    Albumin ALP ALT AST Bilirubin BUN Cholesterol Creatinine DiasABP FiO2 GCS Glucose HCO3 HCT HR K Lactate MAP MechVent
    Mg Na NIDiasABP NIMAP NISysABP PaCO2 PaO2 pH Platelets RespRate SaO2 SysABP Temp TroponinI TroponinT Urine WBC
    Weight
"""
AT_ADMISSION = ["Age", "Gender", "Height"]
WARDS = 4  # kinds of intensive care unit, one column each
HOURS = 48

#: Chosen inside the training part of the first fold: of cells, pools, lengths of training and rules for outliers.
BASELINE = "logistic regression"
OPTIONS: dict[str, Any] = {"cell": "gru_d", "outliers": "clip", "pool": "mean+max+last", "epochs": 8, "validation": 0.0}

Array = NDArray[Any]


class Stays(NamedTuple):
    series: list[Array]  # [hours, variables], NaN where nothing was measured
    still: Array  # [stays, ...] what is known at admission, NaN where it is not
    died: Array  # [stays]


def read(data: Path) -> Stays:
    """Every stay as hourly means; a negative number, and a weight or height of 0, stands for one that is not known."""
    place = {name: i for i, name in enumerate(VARIABLES.split())}
    ahead = {name: i for i, name in enumerate(AT_ADMISSION)}
    series, still, numbers = [], [], []
    packed = lzma.decompress((data / "series" / "physionet2012_a.tar.xz").read_bytes())
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        files = {Path(member.name).name: member for member in archive.getmembers() if member.isfile()}
        outcomes = np.genfromtxt(io.BytesIO(_bytes(archive, files.pop("Outcomes-a.txt"))), delimiter=",", names=True)
        died = {int(row["RecordID"]): int(row["Inhospital_death"]) for row in outcomes}
        for name in sorted(name for name in files if name.endswith(".txt")):
            total, count = np.zeros((HOURS, len(place))), np.zeros((HOURS, len(place)))
            known = np.full(len(ahead) + WARDS, np.nan)
            for line in _bytes(archive, files[name]).decode().splitlines()[1:]:
                clock, variable, text = line.split(",")
                value, hour = float(text), min(int(clock[:2]), HOURS - 1)
                if value < 0 or (value == 0 and variable in ("Weight", "Height")):
                    continue
                if variable in place:
                    total[hour, place[variable]] += value
                    count[hour, place[variable]] += 1
                elif variable in ahead:
                    known[ahead[variable]] = value
                elif variable == "ICUType":
                    known[len(ahead) :] = np.arange(1, WARDS + 1) == value
            with np.errstate(invalid="ignore"):
                series.append(total / count)
            still.append(known)
            numbers.append(int(name.removesuffix(".txt")))
    return Stays(series, np.array(still), np.array([died[number] for number in numbers]))


def _bytes(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def steps(stays: Stays) -> list[Array]:
    """Hourly steps, with what is known at admission as columns that do not change."""
    pairs = zip(stays.series, stays.still, strict=True)
    return [np.concatenate([hours, np.repeat(known[None], len(hours), axis=0)], axis=1) for hours, known in pairs]


def summary(stays: Stays) -> Array:
    """For each variable mean, least, greatest, last number and count, and what is known at admission."""
    x = np.stack(stays.series)
    known = ~np.isnan(x)
    count = known.sum(axis=1)
    row = np.where(known, np.arange(x.shape[1])[:, None], 0).max(axis=1)
    last = np.take_along_axis(x, row[:, None], 1)[:, 0]
    parts = [
        np.where(known, x, 0).sum(1) / np.maximum(count, 1),
        np.where(known, x, np.inf).min(1),
        np.where(known, x, -np.inf).max(1),
        last,
    ]
    seen = [np.where(count > 0, part, np.nan) for part in parts]
    return np.concatenate([*seen, count, stays.still], axis=1)


def baseline_of(training: Array, died: Array, test: Array) -> Array:
    """Logistic regression on the summaries, cut at the 1st and 99th percentile of the training part."""
    low, high = np.nanpercentile(training, [1, 99], axis=0)
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    model.fit(np.clip(training, low, high), died)
    chances: Array = model.predict_proba(np.clip(test, low, high))[:, 1]
    return chances


def _given(options: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def _median(seconds: list[float] | None) -> str:
    return "" if seconds is None else f"{statistics.median(seconds):.0f} s"


def main() -> None:
    parser = results.arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data", help="data folder")
    parser.add_argument("--folds", type=int, default=5, help="stratified folds")
    parser.add_argument("--seed", type=int, default=0, help="of the folds and of the training")
    parser.add_argument("--cell", default=OPTIONS["cell"], help="the cell of the second row")
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"there is no folder {options.data}. Name yours with --data.")
    stays = read(options.data)
    sequences, table, died = steps(stays), summary(stays), stays.died
    models = {f"`Classifier({_given(one)})`": one for one in ({}, OPTIONS | {"cell": options.cell})}
    areas: dict[str, list[float]] = {name: [] for name in [*models, BASELINE]}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    folds = StratifiedKFold(options.folds, shuffle=True, random_state=options.seed)
    for fold, (training, test) in enumerate(folds.split(died, died)):
        for name, given in models.items():
            start = time.perf_counter()
            clf = Classifier(**given, seed=options.seed, verbose=False)
            clf.fit([sequences[i] for i in training], died[training])
            chances = clf.predict_proba([sequences[i] for i in test])[:, 1]
            seconds[name].append(time.perf_counter() - start)
            areas[name].append(float(roc_auc_score(died[test], chances)))
            print(f"fold {fold}, {name}: {areas[name][-1]:.4f}, {seconds[name][-1]:.0f} s", flush=True)
        answers = baseline_of(table[training], died[training], table[test])
        areas[BASELINE].append(float(roc_auc_score(died[test], answers)))
        print(f"fold {fold}, {BASELINE}: {areas[BASELINE][-1]:.4f}", flush=True)
    rows = [
        [
            name,
            f"**{statistics.mean(found):.4f}**",
            " ".join(f"{area:.4f}" for area in found),
            _median(seconds.get(name)),
        ]
        for name, found in areas.items()
    ]
    text = (
        "## Death in hospital, PhysioNet 2012, set a\n\n"
        f"{len(died)} stays, hourly means of 37 variables, 80 % of them missing, and what is known at admission. Area "
        f"under the ROC curve over {options.folds} stratified folds, seed {options.seed}; the baseline reads mean, "
        "least, greatest and last number and count of each variable. Published, of other splits: GRU-D 0.842, GRU with "
        "means 0.820 (Che et al. 2018). The options of the second row were chosen inside the training part of the "
        "first fold, which the tests of the other folds are part of: the first fold alone is untouched by the choice."
        "\n\n" + results.table(["model", "area", "each fold", "time of a fold"], rows)
    )
    results.publish("physionet", text, options.write)


if __name__ == "__main__":
    main()
