"""The same data in any container are the same input: one description, the same answers, for every task."""

from __future__ import annotations

import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from elman.errors import DataError
from elman.features import Sound, infer
from elman.ragged import Ragged
from elman.tasks import Classifier, Forecaster, Generator, Multitask, Regressor, Tagger, Transcriber, Translator

SMALL: dict[str, Any] = {"hidden": 2, "epochs": 0, "verbose": False, "seed": 0}  # weights as they begin tell enough
TEXTS = ["a good film", "a bad film", "fine", "so very dull", "warm and fine", "poor"]
WORDS = [["a", "dog"], ["the", "cat"], ["a", "cat"], ["the", "dog"], ["one", "dog"], ["a", "cow"]]
SERIES = [[1.0, 2.0], [3.0, 4.0], [0.5, 1.5], [2.5, 2.0], [1.0, 0.0], [3.0, 3.5]]
LABELS = ["u", "v"] * 3


class Own(Sequence[Any]):
    """A sequence of one's own, as the column of a data set is."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, place: Any) -> Any:
        return self.values[place]


class Plain:
    """What has a length and can be iterated, and nothing else."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)


class DataSet:
    """A data set as the package `datasets` has it: columns by name, each a sequence; rows by number."""

    def __init__(self, columns: dict[str, Sequence[Any]]) -> None:
        self.columns, self.column_names = columns, list(columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return Own(self.columns[key])
        return {name: column[key] for name, column in self.columns.items()}

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))


def objects(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


#: What holds a column of anything.
ANY: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple,
    "deque": deque,
    "dict values": lambda v: dict(enumerate(v)).values(),
    "sequence of one's own": Own,
    "length and iteration": Plain,
    "objects": objects,
    "objects [n, 1]": lambda v: objects(v)[:, None],
    "pandas": pd.Series,
    "pandas, other index": lambda v: pd.Series(v, index=range(len(v), 0, -1)),
    "pandas frame": lambda v: pd.DataFrame({"x": v}),
    "pandas frame, values": lambda v: pd.DataFrame({"x": v}).values,
    "pandas frame, number as name": lambda v: pd.DataFrame({0: v}),
    "polars": pl.Series,
    "polars frame": lambda v: pl.DataFrame({"x": v}),
    "arrow": pa.array,
    "arrow, chunked": lambda v: pa.chunked_array([v[:2], v[2:]]),
    "arrow table": lambda v: pa.table({"x": v}),
    "arrow batch": lambda v: pa.record_batch({"x": v}),
    "arrow scalars": lambda v: list(pa.array(v)),
    "dict": lambda v: {"x": v},
    "iterator": iter,
    "generator": lambda v: (value for value in v),
    "dict of an iterator": lambda v: {"x": iter(v)},
    "data set": lambda v: DataSet({"x": v}),
    "column of a data set": lambda v: DataSet({"x": v})["x"],
}
#: What holds texts alone.
OF_TEXTS: dict[str, Callable[[Any], Any]] = {
    **ANY,
    "array": np.array,
    "array [n, 1]": lambda v: np.array(v)[:, None],
    "lists of one": lambda v: [[text] for text in v],
    "index": pd.Index,
    "string": lambda v: pd.Series(v, dtype="string"),
    "string, arrow": lambda v: pd.Series(v, dtype="string[pyarrow]"),
    "extension array": pd.array,
    "dict keys": lambda v: dict.fromkeys(v).keys(),
}
OF_WORDS = {
    **ANY,
    "array [n, m]": np.array,
    "of tuples": lambda v: [tuple(words) for words in v],
    "of deques": lambda v: [deque(words) for words in v],
    "of arrays": lambda v: [np.array(words) for words in v],
    "of one's own": lambda v: [Own(words) for words in v],
}
OF_SERIES = {
    **ANY,
    "array [n, length]": np.array,
    "array [n, length, 1]": lambda v: np.array(v)[:, :, None],
    "tensor": torch.tensor,
    "ragged": Ragged.of,
    "of tensors": lambda v: [torch.tensor(x) for x in v],
    "of deques": lambda v: [deque(x) for x in v],
    "of memory": lambda v: [memoryview(array.array("d", x)) for x in v],
    "memory": lambda v: memoryview(np.array(v)),
    "of decimals": lambda v: [[Decimal(str(y)) for y in x] for x in v],
}


def table_of(dtype: Any) -> Callable[[Any], Any]:
    return lambda v: pd.DataFrame(v, columns=["a", "b"]).astype(dtype)


#: A sequence a row, a step a column.
TABLES: dict[str, Callable[[Any], Any]] = {
    "array": np.array,
    "objects": lambda v: np.array(v, dtype=object),
    "pandas": lambda v: pd.DataFrame(v, columns=["a", "b"]),
    "numbers as names": pd.DataFrame,
    "pandas, objects": table_of(object),
    "pandas, nullable": table_of("Float64"),
    "decimals": lambda v: pd.DataFrame([[Decimal(str(y)) for y in x] for x in v], columns=["a", "b"]),
    "polars": lambda v: pl.DataFrame(v, schema=["a", "b"], orient="row"),
    "arrow": lambda v: pa.table({"a": [x[0] for x in v], "b": [x[1] for x in v]}),
    "dict": lambda v: {"a": [x[0] for x in v], "b": [x[1] for x in v]},
    "records": lambda v: np.array([tuple(x) for x in v], dtype=[("a", float), ("b", float)]),
}


def same(one: Any, other: Any) -> None:
    """Answers are equal, to the bit."""
    if isinstance(one, dict):
        assert list(one) == list(other)
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list) and not isinstance(one[0], np.ndarray | list):
        assert one == other
        return
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


TASKS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    "classify": (lambda X: Classifier(ngrams=0, minirocket=0, **SMALL).fit(X, LABELS), lambda m, X: m.predict_proba(X)),
    "regress": (lambda X: Regressor(**SMALL).fit(X, [1.0, 2.0, 3.0] * 2), lambda m, X: m.predict(X)),
    "multitask": (lambda X: Multitask(**SMALL).fit(X, {"y": LABELS}), lambda m, X: m.predict_proba(X)),
}
TEXT_TASKS = TASKS | {
    "tag": (lambda X: Tagger(**SMALL).fit(X, TEXTS), lambda m, X: m.predict_proba(X)),
    "generate": (lambda X: Generator(ngrams=0, **SMALL).fit(X), lambda m, X: m.nats(X)),
    "translate": (
        lambda X: Translator(embed=4, **SMALL).fit(X, TEXTS),
        lambda m, X: m.predict(X),
    ),
}
WORD_TASKS = TEXT_TASKS | {
    "tag": (
        lambda X: Tagger(characters=2, word_shape=2, **SMALL).fit(X, [["D", "N"]] * 6),
        lambda m, X: m.predict_proba(X),
    ),
}


#: The containers that every task is tried with; `Classifier` is with all of them.
FOR_ALL = (
    "deque",
    "generator",
    "data set",
    "objects [n, 1]",
    "pandas frame, number as name",
    "arrow table",
    "dict",
    "array [n, 1]",
    "array",
)


def law(tasks: Any, task: str, data: Any, containers: Any, container: str, known: dict[str, Any]) -> None:
    fit, answer = tasks[task]
    if task not in known:
        whole = fit(data)
        known[task] = whole, answer(whole, data)
    whole, answers = known[task]
    made = containers[container](data)
    same(answer(whole, made), answers)
    model = fit(containers[container](data))  # an iterator is used up
    assert model.feature_.describe() == whole.feature_.describe()
    same(answer(model, containers[container](data)), answers)
    same(answer(model, data), answers)


def cases(tasks: Any, containers: Any) -> list[tuple[str, str]]:
    return [(task, name) for task in tasks for name in containers if task == "classify" or name in FOR_ALL]


KNOWN: dict[str, dict[str, Any]] = {"texts": {}, "words": {}, "series": {}, "tables": {}}


@pytest.mark.parametrize(("task", "container"), cases(TEXT_TASKS, OF_TEXTS))
def test_texts(task: str, container: str) -> None:
    law(TEXT_TASKS, task, TEXTS, OF_TEXTS, container, KNOWN["texts"])


@pytest.mark.parametrize(("task", "container"), cases(WORD_TASKS, OF_WORDS))
def test_words(task: str, container: str) -> None:
    law(WORD_TASKS, task, WORDS, OF_WORDS, container, KNOWN["words"])


@pytest.mark.parametrize(("task", "container"), cases(TASKS, OF_SERIES))
def test_series(task: str, container: str) -> None:
    law(TASKS, task, SERIES, OF_SERIES, container, KNOWN["series"])


@pytest.mark.parametrize(("task", "container"), cases(TASKS, TABLES))
def test_tables(task: str, container: str) -> None:
    law(TASKS, task, SERIES, TABLES, container, KNOWN["tables"])


@pytest.mark.parametrize("container", [name for name in OF_TEXTS if name in FOR_ALL or name not in ANY])
def test_what_is_to_be_said_and_read(container: str) -> None:
    """Targets of a translator and a transcriber, and the texts that pre-train."""
    make = OF_TEXTS[container]
    options: dict[str, Any] = {"embed": 4, "hidden": 4, "epochs": 0, "verbose": False, "seed": 0}
    named = container in ("dict", "dict of an iterator", "data set")
    if not named:
        said = Translator(**options).fit(TEXTS, TEXTS).target_feature_
        assert Translator(**options).fit(TEXTS, make(TEXTS)).target_feature_.describe() == said.describe()
    if not named and container != "lists of one" and not container.endswith(("frame", "table", "batch", "name")):
        sound = [np.zeros((40, 2))] * 6
        script = Transcriber(channels=0, layers=1, **SMALL).fit(sound, make(TEXTS)).vocabulary_
        assert script.symbols == Transcriber(channels=0, layers=1, **SMALL).fit(sound, TEXTS).vocabulary_.symbols
    clf = Classifier(pretrain=make(TEXTS), pretrain_epochs=0, hidden=2, embed=2, epochs=0, verbose=False)
    assert clf.fit(TEXTS, LABELS).data_["pretraining texts"] == 12


@pytest.mark.parametrize("make", [np.array, lambda v: np.array(v, dtype=object)])
def test_a_table_of_texts_needs_names(make: Any) -> None:
    rows = [[text, text] for text in ("a good film", "a bad film")] * 3
    for what, message in ((rows, "texts of several words in 2"), ([["good", 1], ["bad", 2]] * 3, "beside columns")):
        if make is np.array and what is not rows:
            continue
        with pytest.raises(DataError, match=f"X is an array of .*{message}.*Pass a frame"):
            Classifier(**SMALL).fit(make(what), LABELS)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ({"a", "b"}, "X is a set, which has no order"),
        (frozenset("ab"), "X is a frozenset, which has no order"),
        ([{"a"}, {"b"}], "X: sequence 0 is a set, which has no order"),
        ([torch.tensor(1.0)] * 2, "X: sequence 0 is a number, 1.0"),
        ([np.array(1.0)] * 2, "X: sequence 0 is a number, 1.0"),
        (torch.tensor(1.0), "X is a single value"),
        (np.array("a"), "X is a single value"),
        (Classifier, "X is a"),
        (5, "X is a int"),
    ],
)
@pytest.mark.parametrize(
    "fit",
    [
        lambda X: Classifier(**SMALL).fit(X, LABELS[:2]),
        lambda X: Regressor(**SMALL).fit(X, [1.0, 2.0]),
        lambda X: Multitask(**SMALL).fit(X, {"y": [1.0, 2.0]}),
        lambda X: Tagger(**SMALL).fit(X, [["a"], ["b"]]),
        lambda X: Generator(**SMALL).fit(X),
        lambda X: Translator(**SMALL).fit(X, ["a", "b"]),
        lambda X: Transcriber(**SMALL).fit(X, ["a", "b"]),
        infer,
    ],
)
def test_what_is_no_column(fit: Any, X: Any, message: str) -> None:
    if isinstance(X, list | np.ndarray | torch.Tensor) and fit is not infer:
        message = "X"  # another task may say it in its own words
    with pytest.raises(DataError, match=message):
        fit(X)


def test_targets_have_an_order() -> None:
    for y in ({"u", "v"}, frozenset("uv")):
        for task in (Classifier, Regressor, Tagger, Translator, Transcriber):
            with pytest.raises(DataError, match=r"y is a (set|frozenset), which has no order"):
                task(**SMALL).fit(["a b", "c d"], y)


LABELLED = {"text": TEXTS, "label": LABELS}


def test_a_data_set_is_a_frame() -> None:
    clf = Classifier(**SMALL).fit(DataSet(LABELLED), "label")
    like = Classifier(**SMALL).fit(pl.DataFrame(LABELLED), "label")
    assert clf.input_ == "text"
    assert clf.score(DataSet(LABELLED), "label") == like.score(pl.DataFrame(LABELLED), "label")
    same(clf.predict_proba(DataSet(LABELLED)), like.predict_proba(TEXTS))
    held = Classifier(**SMALL).fit(DataSet(LABELLED), "label", validation_data=DataSet(LABELLED))
    assert held.data_["validation sequences"] == 6
    with pytest.raises(DataError, match=r"X is a dict of the data sets 'train', 'test'. Pass one of them: \['train'\]"):
        Classifier(**SMALL).fit({"train": DataSet(LABELLED), "test": DataSet(LABELLED)}, "label")


def test_targets_of_any_container() -> None:
    for make in (iter, deque, Own, Plain, lambda v: (value for value in v), lambda v: DataSet({"y": v})["y"]):
        for model, X, y in (
            (Classifier(**SMALL), TEXTS, LABELS),
            (Regressor(**SMALL), TEXTS, [1.0, 2.0, 3.0] * 2),
            (Tagger(**SMALL), WORDS, [["D", "N"]] * 6),
            (Translator(embed=4, **SMALL), TEXTS, TEXTS),
            (Transcriber(channels=0, layers=1, **SMALL), [np.zeros((40, 2))] * 6, TEXTS),
        ):
            model.fit(X, make(y))
            assert model.score(X, make(y)) == model.score(X, y)
        multitask = Multitask(**SMALL).fit(TEXTS, {"y": make(LABELS)})
        assert multitask.score(TEXTS, {"y": make(LABELS)}) == multitask.score(TEXTS, {"y": LABELS})


def test_a_forecaster_reads_columns_by_name() -> None:
    columns = {"unique_id": ["a"] * 60, "ds": list(range(60)), "y": [1.0, 2.0, 4.0] * 20}
    options: dict[str, Any] = {**SMALL, "horizon": 3, "season": 3, "experts": 2, "ensemble_size": 1}
    whole = Forecaster(**options).fit(pl.DataFrame(columns)).predict()
    for frame in (columns, DataSet(columns), {name: iter(column) for name, column in columns.items()}):
        assert Forecaster(**options).fit(frame).predict().equals(whole)
    with pytest.raises(DataError, match="frame is a dict that is no table of columns"):
        Forecaster(**options).fit({"ds": [1, 2], "y": [1.0]})


def test_an_open_file_is_no_column(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("a b\nc d\n")
    with (tmp_path / "x.txt").open() as file, pytest.raises(DataError, match="X is a TextIOWrapper"):
        Classifier(**SMALL).fit(file, ["u", "v"])


class Samples:
    """What torchcodec decodes to."""

    def __init__(self, data: torch.Tensor, sample_rate: int) -> None:
        self.data, self.sample_rate = data, sample_rate


class Decoder:
    """A decoder of torchcodec: nothing is decoded before it is asked."""

    def __init__(self, samples: Any, rate: int) -> None:
        self.samples, self.rate = samples, rate

    def get_all_samples(self) -> Samples:
        return Samples(torch.tensor(np.array([self.samples, self.samples])), self.rate)


def test_recordings_of_data_sets() -> None:
    sounds = [np.sin(np.arange(1600.0 + 80 * i) * pitch) for i, pitch in enumerate((0.1, 0.2, 0.4, 0.1, 0.2, 0.4))]
    pairs = [(sound, 8000) for sound in sounds]
    forms = [
        [{"array": sound, "sampling_rate": 8000, "path": None} for sound in sounds],
        [{"array": sound.tolist(), "sampling_rate": 8000.0} for sound in sounds],
        [Decoder(sound, 8000) for sound in sounds],
        [Decoder(sound, 8000).get_all_samples() for sound in sounds],
    ]
    clf = Classifier(minirocket=0, **SMALL).fit(pairs, LABELS)
    script = Transcriber(channels=0, layers=1, **SMALL).fit(pairs, TEXTS)
    for form in forms:
        assert infer(form).kind == "sound"
        again = Classifier(minirocket=0, **SMALL).fit(DataSet({"audio": form, "label": LABELS}), "label")
        assert again.feature_.describe() == clf.feature_.describe()
        np.testing.assert_allclose(again.predict_proba(form), clf.predict_proba(pairs), atol=1e-6)
        assert Transcriber(channels=0, layers=1, **SMALL).fit(form, TEXTS).predict(form) == script.predict(pairs)
    with pytest.raises(DataError, match="X: sequence 1: its rate is None"):
        Sound().fit([{"array": sounds[0], "sampling_rate": 8000}, {"array": sounds[1], "sampling_rate": None}])
    with pytest.raises(DataError, match=r"X: sequence 0: .* is no sound"):
        Sound().fit([{"bytes": b"", "path": "a.wav"}])
