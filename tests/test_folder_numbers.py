"""Any value of a saved model altered: a ModelFileError within bounded memory, or a model that answers."""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from altered import WRONG, altered, leaves, put
from elman import store
from elman.errors import DataError, ModelFileError, OptionError

TEXTS = ["a good film", "bad", "poor film", "fine"] * 3
WORDS = [text.split() for text in TEXTS]
NOISE = np.random.default_rng(0).normal(0, 0.1, 3000)
TINY: dict[str, Any] = {"hidden": 2, "epochs": 1, "verbose": False}


def models() -> dict[str, tuple[Any, Any]]:
    """A tiny model of every task, of every feature once, and what it may be asked."""
    numbers = [[float(i % 3), None, 2.0, 1.0 * i] for i in range(12)]
    frame = pl.DataFrame({"unique_id": ["a"] * 40, "ds": range(40), "y": [1.0, 2.0] * 20, "x": [0.5, 1.5] * 20})
    ones = [1, 0, 0, 1] * 3
    images = [np.full((2, 3, 4), i / 9) for i in range(12)]
    columns = pl.DataFrame({"t": TEXTS, "n": numbers, "age": range(12), "kind": ["a", "b"] * 6})
    chords = [[[60, 64, 67], []], [[62], [60]]] * 6
    return {
        "text": (elman.Classifier(**TINY, embed=2).fit(TEXTS, ones), TEXTS[:2]),
        "numbers": (elman.Classifier(**TINY, patterns=84, channels=2).fit(numbers, ones), numbers[:2]),
        "sound": (elman.Regressor(**TINY, rate=8000, feature="sound").fit([NOISE] * 4, [1.0, 2.0, 0.5, 1.0]), [NOISE]),
        "images": (elman.Classifier(**TINY, embed=2).fit(images, ones), images[:2]),
        "columns": (elman.Multitask(**TINY, embed=2).fit(columns, {"a": ones, "b": [0.5] * 12}), columns[:2]),
        "tag": (elman.Tagger(**TINY, embed=2, characters=2, looks=2, members=1, bidirectional=False).fit(
            WORDS, [list("abc"[: len(words)]) for words in WORDS]), WORDS[:2]),
        "chords": (elman.Generator(**TINY, embed=2, feature="chords", ngrams=2, transpose=0).fit(chords), chords[:2]),
        "transcribe": (elman.Transcriber(**TINY, language="characters", bidirectional=False).fit(
            [[[1.0], [2.0], [3.0]]] * 12, ["a"] * 12), [[[1.0], [2.0]]]),
        "translate": (elman.Translator(**TINY, embed=2).fit(TEXTS, TEXTS), TEXTS[:2]),
        "forecast": (elman.Forecaster(**TINY, horizon=2, season=2, members=1, future="x").fit(frame), None),
    }  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    place = tmp_path_factory.mktemp("models")
    made = {}
    for name, (model, asked) in models().items():
        model.save(place / name)
        made[name] = (place / name, asked)
    return made


NAMES = ["text", "numbers", "sound", "images", "columns", "tag", "chords", "transcribe", "translate", "forecast"]


@pytest.fixture
def bounded() -> Iterator[None]:
    """No more than two gigabytes beyond what the process has."""
    if not sys.platform.startswith("linux"):
        yield
        return
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + (2 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def used(model: Any, asked: Any, folder: Path) -> None:
    """Everything that a model can be asked for: it answers with numbers, or says why not."""
    with contextlib.suppress(OptionError, DataError):
        if asked is None:
            model.predict(future=pl.DataFrame({"unique_id": ["a"] * 2, "ds": [40, 41], "x": [0.5, 1.5]}))
        else:
            (model.nats if hasattr(model, "nats") else model.predict)(asked)
    with contextlib.suppress(OptionError, DataError):
        session = model.stream()
        assert session.state is not None
    with contextlib.suppress(ModelFileError):
        model.save(folder)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("name", NAMES)
def test_a_value_of_the_record(name: str, saved: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    folder, asked = saved[name]
    config = store.load(folder)[0]
    free = ("seconds", "steps_per_second", "gradient_norm", "learning_rate", "clipped")
    paths = [path for path in leaves(config, most=1) if path[-1] not in free]
    for place, path in enumerate(paths):
        for turn, wrong in enumerate(WRONG):
            if path[0] in ("history", "data", "metrics") and turn % 4 != place % 4:
                continue
            try:
                to = altered(folder, tmp_path / f"{place}-{turn}", lambda c, path=path: c.update(put(c, path, "@")),
                             raw={"@": WRONG[wrong]})  # fmt: skip
                model = elman.load(to)
            except ModelFileError:
                continue
            used(model, asked, tmp_path / "again")
