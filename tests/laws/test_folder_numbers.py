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
import torch

import elman
from altered import WRONG, altered, leaves, put
from elman.errors import DataError, ModelFileError, OptionError
from elman.io import model_folder as store

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
        "numbers": (elman.Classifier(**TINY, minirocket=84, channels=2).fit(numbers, ones), numbers[:2]),
        "sound": (elman.Regressor(**TINY, rate=8000, feature="sound").fit([NOISE] * 4, [1.0, 2.0, 0.5, 1.0]), [NOISE]),
        "images": (elman.Classifier(**TINY, embed=2).fit(images, ones), images[:2]),
        "columns": (elman.Multitask(**TINY, embed=2).fit(columns, {"a": ones, "b": [0.5] * 12}), columns[:2]),
        "tag": (elman.Tagger(**TINY, embed=2, characters=2, word_shape=2, ensemble_size=1, bidirectional=False).fit(
            WORDS, [list("abc"[: len(words)]) for words in WORDS]), WORDS[:2]),
        "chords": (elman.Generator(**TINY, embed=2, feature="chords", ngrams=2, transpose=0).fit(chords), chords[:2]),
        "transcribe": (elman.Transcriber(**TINY, language="characters", bidirectional=False).fit(
            [[[1.0], [2.0], [3.0]]] * 12, ["a"] * 12), [[[1.0], [2.0]]]),
        "translate": (elman.Translator(**TINY, embed=2).fit(TEXTS, TEXTS), TEXTS[:2]),
        "forecast": (elman.Forecaster(**TINY, horizon=2, season=2, ensemble_size=1, future="x").fit(frame), None),
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
def bounded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No more than two gigabytes beyond what the process has; and no curve is drawn."""
    monkeypatch.setattr("elman.tasks.base.task.learning_curve", lambda *_, **__: None)
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
    """Each as a huge number or as something else in turn; an option as both, once for all tasks."""
    folder, asked = saved[name]
    config = store.load(folder)[0]
    before = {key for other in NAMES[: NAMES.index(name)] for key in store.load(saved[other][0])[0]["options"]}
    kinds = list(WRONG)
    for place, path in enumerate(leaves(config, most=1)):
        if path[0] in ("history", "data") and (name != "text" or path[-1] in TOLD):
            continue
        if path[0] == "options" and path[1:2] and path[1] in before:
            continue
        for wrong in {kinds[place % len(kinds)], "huge" if path[0] == "options" else kinds[(place + 5) % len(kinds)]}:
            to = altered(folder, tmp_path / f"{place}-{wrong}", lambda c, path=path: c.update(put(c, path, "@")),
                         raw={"@": WRONG[wrong]})  # fmt: skip
            with contextlib.suppress(ModelFileError):
                used(elman.load(to), asked, tmp_path / "again")


TOLD = ("seconds", "steps_per_second", "gradient_norm", "learning_rate", "clipped", "loss")


@pytest.mark.parametrize("name", NAMES)
def test_a_tensor_that_is_not_finite(name: str, saved: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    folder, _ = saved[name]
    for place, (tensor, value) in enumerate(store.load(folder)[1].items()):
        if not value.is_floating_point() or not value.numel():
            continue
        bad = value.clone()
        bad.view(-1)[-1] = (float("nan"), float("inf"), -float("inf"))[place % 3]
        to = altered(folder, tmp_path / str(place), tensors=lambda t, tensor=tensor, bad=bad: {**t, tensor: bad})
        with pytest.raises(ModelFileError, match=r"finite|cannot|wrote"):
            elman.load(to)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("name", NAMES)
def test_tensors_that_are_huge(name: str, sign: float, saved: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    """An answer is made of numbers, or there is none."""
    folder, asked = saved[name]

    def huge(prefix: str) -> Any:
        fill = {torch.float32: 3e38, torch.float64: 1e308}
        return lambda tensors: {
            key: torch.full_like(value, sign * fill[value.dtype])
            if key.startswith(prefix) and value.dtype in fill
            else value
            for key, value in tensors.items()
        }

    for prefix in ("", "network.", "network.head", "network.paths", "wide.", "feature.", "target.", "k"):
        try:
            model = elman.load(altered(folder, tmp_path / f"m{prefix}", tensors=huge(prefix)))
        except ModelFileError:
            continue
        with contextlib.suppress(DataError):
            assert all(np.isfinite(part).all() for part in numbers_of(model, asked))


def numbers_of(model: Any, asked: Any) -> Iterator[Any]:
    """All numbers that a model answers with; those of a stream last."""
    if asked is None:
        made = model.predict(future=pl.DataFrame({"unique_id": ["a"] * 2, "ds": [40, 41], "x": [0.5, 1.5]}))
        yield from (made[column].to_numpy() for column in made.columns if column.startswith("elman"))
        return
    for method in ("predict_proba", "predict", "nats", "decision_function"):
        if hasattr(model, method):
            found = getattr(model, method)(asked)
            parts = list(found.values()) if isinstance(found, dict) else [found] if hasattr(found, "dtype") else found
            yield from (np.asarray(part) for part in parts if getattr(np.asarray(part), "dtype", None) == np.float64)
    with contextlib.suppress(OptionError):
        for probability in getattr(model.stream().feed(asked[0]), "probabilities", {}).values():
            yield from probability.values() if isinstance(probability, dict) else [probability]


# ---- one by one


def refused(folder: Path, to: Path, **changes: Any) -> str:
    with pytest.raises(ModelFileError) as caught:
        elman.load(altered(folder, to, **changes))
    return str(caught.value)


@pytest.mark.usefixtures("bounded")
def test_sound_of_a_long_window(saved: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    """Whose filters would take 16 GiB."""

    def change(config: dict[str, Any]) -> None:
        new = {"window": 10.0, "bands": 512}
        config["feature"].update(new, learnt_rate=768000, rate=768000)
        config["options"].update(new, rate=768000)

    def ones(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        wide = torch.ones(512, dtype=torch.float64)
        return {key: wide if key.startswith("feature.") else value for key, value in tensors.items()}

    assert "weights. Take a shorter window" in refused(saved["sound"][0], tmp_path / "m", config=change, tensors=ones)


@pytest.mark.parametrize("spacing", [1 << 28, 1 << 40, (1 << 63) - 1, 0, -1])
def test_patterns_that_reach_far(spacing: int, saved: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    def far(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {**tensors, "wide.spacings": torch.full_like(tensors["wide.spacings"], spacing)}

    assert "sizes that cannot be" in refused(saved["numbers"][0], tmp_path / "m", tensors=far)


@pytest.mark.parametrize("option", ["hidden", "channels"])
def test_a_list_of_many_layers(option: str, saved: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    def long(config: dict[str, Any]) -> None:
        config["options"][option] = [1] * 200_000

    message = refused(saved["numbers"][0], tmp_path / "m", config=long)
    assert option in message
    assert len(message) < 500


def test_a_variance_below_zero(saved: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    def below(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {key: -value if key.endswith("variance") else value for key, value in tensors.items()}

    assert "variance holds numbers below 0" in refused(saved["numbers"][0], tmp_path / "m", tensors=below)


def test_a_state_with_nan(saved: dict[str, tuple[Path, Any]]) -> None:
    for name in ("tag", "transcribe", "chords"):
        session = elman.load(saved[name][0]).stream()
        for key, value in session.state.items():
            if value.is_floating_point() and value.numel() and not key.startswith("feature."):
                with pytest.raises(DataError, match=rf"state\['{key}'\] holds NaN"):
                    session.state = session.state | {key: torch.full_like(value, float("nan"))}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("history", "records", 0, "seconds"), [1]),
        (("history", "records", 0, "loss"), "x"),
        (("history", "records", 0, "epoch"), 2),
        (("history", "records", 0, "validation"), []),
        (("history", "records"), {}),
        (("history", "stopped"), "tired"),
        (("history", "best"), True),
    ],
)
def test_a_history_of_other_kinds(
    path: tuple[Any, ...], value: Any, saved: dict[str, tuple[Path, Any]], tmp_path: Path
) -> None:
    message = refused(saved["text"][0], tmp_path / "m", config=lambda c: c.update(put(c, path, value)))
    assert "the saved history" in message
