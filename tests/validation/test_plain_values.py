"""Texts and numbers of any class are what they hold, wherever they come in."""

from __future__ import annotations

import enum
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from elman.errors import DataError
from elman.evaluation.metrics import accuracy
from elman.features import Category, Text, Tokens, Words
from elman.features.kinds import kind_of
from elman.tasks.base.targets.labels import coded_labels, plain_labels
from elman.tasks.base.targets.numbers import number_targets
from elman.tasks.forecast.data.frame import read
from elman.tasks.forecast.data.panel import Columns
from elman.tasks.tag.labels import tag_classes, tag_lists
from elman.tasks.transcribe.vocabulary import transcripts_of
from elman.tasks.translate.pairs import side
from elman.validation.plain_values import broken_at, plain_text, plain_value, printable


class Mood(str, enum.Enum):  # noqa: UP042  # whose str() is its name, unlike a StrEnum
    GOOD = "positive"
    BAD = "negative"


class Level(enum.StrEnum):
    LOW = "low"


class Number(enum.IntEnum):
    ONE = 1


class Liar(str):
    """A text that says other things of itself."""

    __slots__ = ()

    def __str__(self) -> str:
        return "lie"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1

    def __len__(self) -> int:
        return 99

    def __iter__(self) -> Any:
        return iter("lie")


PLAIN: list[tuple[Any, Any]] = [
    (Mood.GOOD, "positive"),
    (Level.LOW, "low"),
    (Liar("truth"), "truth"),
    (np.str_("a"), "a"),
    (Number.ONE, 1),
    (np.int8(3), 3),
    (np.uint64(2**64 - 1), 2**64 - 1),
    (np.bool_(True), True),
    (np.float16(1.5), 1.5),
    (np.longdouble(2), 2.0),
    (np.array("a"), "a"),
    (np.array(3), 3),
    (np.array(Mood.BAD, dtype=object), "negative"),
    (torch.tensor(True), True),
    (pa.scalar("a"), "a"),
    (pa.scalar(None, pa.string()), None),
    (Decimal("2.00"), 2),
    (Decimal("2.5"), 2.5),
    (Decimal("1e999999999"), float("inf")),
    (np.ma.masked, None),
    (np.ma.array(1, mask=True), None),
    (None, None),
]


@pytest.mark.parametrize(("value", "wanted"), PLAIN, ids=lambda value: type(value).__name__)
def test_values(value: Any, wanted: Any) -> None:
    found = plain_value(value)
    assert type(found) is type(wanted)
    assert found == wanted


@pytest.mark.parametrize("value", [b"a", [1], pd.NA, pd.NaT, np.datetime64("2020", "ns"), np.timedelta64(3, "ns"), 1j])
def test_what_is_no_text_or_number_stays(value: Any) -> None:
    assert plain_value(value) is value


def test_texts() -> None:
    assert type(plain_text(Liar("truth"))) is str
    assert plain_text(Liar("truth")) == "truth"
    assert printable("m\udcff") == "m?"
    assert broken_at("aé\ud83d") == 2


TEXTS = [Mood.GOOD, Level.LOW, Liar("truth"), np.str_("positive")]
ONES = [Number.ONE, np.int64(1), np.array(1), torch.tensor(1), Decimal(1)]

#: What reads texts, and what it makes of one.
READERS: dict[str, Callable[[Any], Any]] = {
    "text": lambda text: Text(unit="characters").fit([text]).vocabulary_,
    "tokens": lambda text: Tokens().fit([[text]]).vocabulary_,
    "words": lambda text: (made := Words().fit([[text]])).letters_ + made.tokens_.vocabulary_,
    "category": lambda text: (made := Category().fit([text, "other"])).categories_ + made.transform([text]).tolist(),
    "labels": lambda text: coded_labels([text, "other"], 2)[0].tolist(),
    "objects": lambda text: plain_labels(np.array([text, "other"], dtype=object)),
    "series": lambda text: plain_labels(pd.Series([text, "other"], dtype=object)),
    "tags": lambda text: tag_classes(tag_lists([[text, "other"]], 1)).tolist(),
    "letters": lambda text: tag_lists([text], 1),
    "transcripts": lambda text: transcripts_of([text], 1),
    "phones": lambda text: transcripts_of([[text]], 1),
    "side": lambda text: side([text], "characters", 10, None, False, "y").fit([text]).words([1, 2]),
    "kinds": lambda text: kind_of([text, "positive", "truth", "low"] * 2, "a"),
    "metrics": lambda text: (accuracy([text], [plain_text(text)]), accuracy([plain_text(text)], [text])),
    "ids": lambda text: read(frame([text, text]), Columns())[0].ids,
    "covariates": lambda text: (
        read(frame(["a", "a"], kind=[text, text]), Columns(static=("kind",)))[0].static["kind"].tolist()
    ),
}


def frame(ids: list[Any], **more: list[Any]) -> Any:
    """A long frame whose columns hold what they are given, and not pandas' own texts."""
    objects = {name: pd.Series(values, dtype=object) for name, values in {"unique_id": ids, **more}.items()}
    return pd.DataFrame({"ds": [1, 2], "y": [1.0, 2.0], **objects})


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", TEXTS, ids=["enum", "str", "own", "numpy"])
def test_readers_of_texts(reader: str, text: str) -> None:
    read = READERS[reader]
    assert repr(read(text)) == repr(read(plain_text(text)))


NUMBERS: dict[str, Callable[[Any], Any]] = {
    "tokens": lambda one: Tokens().fit([[one, "a"]]).vocabulary_,
    "category": lambda one: Category().fit([one, 7]).categories_,
    "labels": lambda one: coded_labels([one, 7], 2)[0].tolist(),
    "tags": lambda one: tag_classes(tag_lists([[one, 7]], 1)).tolist(),
    "objects": lambda one: coded_labels(np.array([one, 7], dtype=object), 2)[0].tolist(),
    "targets": lambda one: number_targets([one, 7], 2).values.tolist(),
    "metrics": lambda one: accuracy([one], [1]),
}


@pytest.mark.parametrize("reader", NUMBERS)
@pytest.mark.parametrize("one", ONES, ids=lambda value: type(value).__name__)
def test_readers_of_numbers(reader: str, one: Any) -> None:
    assert repr(NUMBERS[reader](one)) == repr(NUMBERS[reader](1))


@pytest.mark.parametrize("reader", ["text", "category", "labels", "tags", "transcripts", "phones", "ids", "covariates"])
def test_half_a_character_is_refused_with_its_place(reader: str) -> None:
    with pytest.raises(DataError, match=r"(sequence 0|row 0)[^0-9].*(half|surrogate)"):
        READERS[reader]("\ud83d")


def test_kinds_that_are_equal_stay_apart() -> None:
    kinds = Category().fit([1, True, "1", 1.0])
    assert kinds.transform([1, True, "1", np.float32(1), Number.ONE, np.bool_(True)]).tolist() == [2, 3, 4, 2, 2, 3]


def test_containers_of_labels() -> None:
    for made in (
        pl.Series(["a", "b"], dtype=pl.Categorical),
        pd.Series(["a", "b"], dtype="category"),
        pa.array(["a", "b"]),
        pa.chunked_array([["a"], ["b"]]),
        np.array(["a", "b"], dtype=np.dtypes.StringDType()),
        iter(["a", "b"]),
        [pa.scalar("a"), np.array("b")],
        pd.read_csv(io.StringIO("y\na\nb\n")),
    ):
        assert plain_labels(made) == ["a", "b"]
