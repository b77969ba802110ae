"""Death in hospital from the first two days in intensive care: PhysioNet 2012, set a, 4 000 stays.

37 variables at irregular times, most of them missing at most hours, and age, gender, height and the ward at admission.
``elman.Classifier`` reads hourly means, gaps and all; the area under the ROC curve is that of five stratified folds.
Options are those below for every fold; they were chosen inside training parts (--choose), never by a test fold.

Beside it logistic regression on a summary of each variable. The data folder is --data (default ../shared/data).
Run it: python bench/physionet.py [--write] [--folds 5] [--seed 0] [--cell gru_d]
"""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

VARIABLES = """
    Albumin ALP ALT AST Bilirubin BUN Cholesterol Creatinine DiasABP FiO2 GCS Glucose HCO3 HCT HR K Lactate MAP MechVent
    Mg Na NIDiasABP NIMAP NISysABP PaCO2 PaO2 pH Platelets RespRate SaO2 SysABP Temp TroponinI TroponinT Urine WBC
    Weight
"""
AT_ADMISSION = ["Age", "Gender", "Height"]
WARDS = 4  # kinds of intensive care unit, one column each
HOURS = 48

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
