"""Columns of different kinds: what each is taken for, which are aligned, what is missing, what is refused, folders."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from elman.errors import DataError, ModelFileError, OptionError, Place
from elman.features import STATICS, Category, Columns, Inputs, Number
from elman.features.arrays import center_and_spread, read_one
from elman.features.kinds import KINDS, kind_of, kinds_of
from elman.features.multi_input import MultiInput, cut, groups_of
from elman.ragged import Ragged
from elman.training.batching import pieces

NAN = float("nan")


# ---- kinds


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (["a text", "another", "a third"], "text"),
        (["red", "blue"] * 3, "category"),
        (["red", "blue", None, "red", "red"], "category"),
        ([f"colour {i}" for i in range(60)] * 2, "text"),
        (pd.Series(["a", "b"], dtype="category"), "category"),
        (pl.Series(["a", "b"], dtype=pl.Categorical), "category"),
        ([1, 2.5, None], "number"),
        (np.arange(3), "number"),
        ([True, False], "number"),
        ([["a", "b"], []], "tokens"),
        ([None, ["a", "b"]], "tokens"),
        ([[1.0, None], []], "numbers"),
        ([np.zeros((3, 2))], "numbers"),
        (np.zeros((4, 3, 2)), "numbers"),
        (pl.Series([[1.0], [2.0, 3.0]]), "numbers"),
    ],
)
def test_kind_of(column: Any, kind: str) -> None:
    assert kind_of(column, "x") == kind


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([None, NAN], "'x' holds nothing.*'skip'"),
        ([date(2020, 1, 1)], "'x' holds a date.*'skip'"),
        ([{"a": 1}], "'x' holds a dict"),
    ],
)
def test_no_kind(column: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        kind_of(column, "x")


def test_given_kinds() -> None:
    columns = {"a": [1, 2], "b": ["x", "y"], "c": [date(2020, 1, 1)] * 2}
    assert kinds_of(columns, {"b": "category", "c": "skip"}) == {"a": "number", "b": "category"}
    with pytest.raises(DataError, match=r"features names 'bb'.*Did you mean 'b'"):
        kinds_of(columns, {"bb": "category"})
    assert {*STATICS} <= {*KINDS}


# ---- one value a sequence


def test_category() -> None:
    kind = Category().fit(["b", "a", "b", None, "c"])
    assert kind.categories_ == ["b", "a", "c"]
    assert kind.transform(["b", "zoo", None, "a"]).tolist() == [2, 0, 1, 3]
    assert Category().fit(["a"]).transform([None]).tolist() == [0]  # never seen missing: unknown
    assert Category().fit([1, 2.0, True, "1"]).transform(["1", 2, 1, True]).tolist() == [5, 4, 2, 3]
    row = kind.module().eval()
    assert torch.equal(row(torch.tensor([0, 1])), torch.zeros(2, row.outputs))
    torch.manual_seed(0)
    assert (row.train()(torch.full((1000,), 2)) == 0).all(1).float().mean() == pytest.approx(0.1, abs=0.03)
    with pytest.raises(DataError, match=r"x: sequence 1 is a number, 2\.5"):
        Category().fit(["a", 2.5], name="x")
    with pytest.raises(OptionError, match="not fitted"):
        Category().transform(["a"])


def test_number() -> None:
    assert Number().fit([1, 3]).transform([5, None]).tolist() == [[3.0], [0.0]]
    seen = Number().fit([1, None, 3])
    assert seen.transform([5, NAN]).tolist() == [[3.0, 1.0], [0.0, 0.0]]
    assert Number().fit([None, None]).transform([5, None]).tolist() == [[5.0, 1.0], [0.0, 0.0]]
    assert Number().fit([7, 7]).transform([8]).tolist() == [[0.0]]  # no weight has learnt what another means
    assert np.isfinite(Number().fit([1e308, -1e308]).transform([1e308]).numpy()).all()
    for bad, message in (("x", "text"), (float("inf"), "inf"), (1j, "where a number")):
        with pytest.raises(DataError, match=f"age: sequence 1 is .*{message}"):
            Number().fit([1, bad], name="age")
    with pytest.raises(DataError, match="too far"):
        Number().fit([1e-300, 2e-300]).transform([1e300])
    with pytest.raises(OptionError, match="not fitted"):
        Number().transform([1])


def test_center_and_spread() -> None:
    assert center_and_spread(np.array([NAN, NAN])) == (0.0, 1.0)
    assert center_and_spread(np.array([3.0, NAN, 3.0])) == (3.0, 1.0)
    assert center_and_spread(np.array([1e308, -1e308])) == (0.0, 1e308)
    assert read_one(np.ma.masked_array([1, 2], [0, 1]), Place("x")).tolist()[0] == 1.0


# ---- together


def table() -> dict[str, Any]:
    """Two aligned series and aligned tokens, a series of its own lengths, a text, a number and a category."""
    return {
        "text": ["a b", "c", ""],
        "events": [["e", "f"], ["e"], []],
        "one": [[1.0, 2.0], [3.0], []],
        "two": [np.ones((2, 2)), np.ones((1, 2)), []],
        "other": [[1.0], [1.0, 2.0], [5.0, 5.0, 5.0]],
        "age": [30, None, 40],
        "sex": ["m", "f", "m"],
    }


def fitted(columns: dict[str, Any] | None = None) -> tuple[Columns, MultiInput]:
    columns = table() if columns is None else columns
    made = Columns(kinds_of(columns, {"sex": "category"} if "sex" in columns else None))
    return made, made.fit_transform(Inputs(columns))


def test_groups() -> None:
    made, data = fitted()
    assert [[part.names for part in group.parts] for group in made.groups] == [
        [["text"]],
        [["events"], ["one", "two"]],
        [["other"]],
    ]
    assert [[tuple(part.values.shape) for part in group] for group in data.groups] == [[(3,)], [(3,), (3, 3)], [(6, 1)]]
    assert [tuple(part.shape) for part in data.static] == [(3, 2), (3,)]
    assert data.lengths.tolist() == [5, 4, 3]
    assert data.steps == 12
    assert data.offsets.tolist() == [0, 2, 3, 3]
    assert made.symbols == 6 + 1
    assert list(made.kinds) == list(table())
    assert "one: numbers, 3 columns, scaled to mean 0 and deviation 1, 2 never changed, step" in made.describe()
    assert "step by step with events, two" in made.describe()


def test_parts_of_a_bundle() -> None:
    _, data = fitted()
    part = data[torch.tensor([2, 0])]
    assert part.lengths.tolist() == [3, 5]
    assert part.static[1].tolist() == [2, 2]
    assert len(data[:0]) == 0


def test_pieces_of_aligned_columns() -> None:
    _, data = fitted({name: table()[name] for name in ("events", "one", "age")})
    first, _ = pieces(data.lengths, 100, cut=1)
    part = cut(first, data)
    assert [p.steps for p in groups_of(part)[0]] == [2, 2]
    assert isinstance(part, MultiInput)
    assert part.static[0].shape == (3, 2)
    assert isinstance(cut(first, data.groups[0][0]), Ragged)


def test_symbols_of_all_columns() -> None:
    made, data = fitted()
    symbols = made.symbolic(data)
    text, events = data.groups[0][0], data.groups[1][0]
    assert symbols.to_list()[0].tolist() == [*text[0].tolist(), *(events[0] + 4).tolist()]
    assert symbols.lengths.tolist() == [4, 2, 0]


def test_one_column_alone_is_read_as_ever() -> None:
    made, data = fitted({"one": table()["one"], "age": [1, 2, 3]})
    assert made.groups[0].names == ["one"]
    assert data.groups[0][0].values.shape == (3, 1)
    assert made.only() is made.groups[0].features[0]
    with pytest.raises(OptionError, match="'text', 'events', 'one', 'two', 'other' cannot stream"):
        fitted()[0].only()


def test_transform_alone_as_in_a_batch() -> None:
    made, data = fitted()
    alone = made.transform(Inputs({name: column[1:2] for name, column in table().items()}))
    for mine, all_ in zip(alone.groups, data[1:2].groups, strict=True):
        for part, other in zip(mine, all_, strict=True):
            assert torch.equal(part.values, other.values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"two": [np.ones((1, 2)), np.ones((1, 2)), []]}, "sequence 0, column 'two' has 1 steps, but 2 in 'one'"),
        ({"events": [["e"], ["e"], []]}, "sequence 0, column 'one' has 2 steps, but 1 in 'events'"),
        (
            {"two": [np.ones((2, 3)), np.ones((1, 2)), []]},
            "sequence 0, column 'two' has 3 numbers a step, others have 2",
        ),
        ({"two": [[["x", "y"]] * 2, np.ones((1, 2)), []]}, "sequence 0, column 'two', step 0 is a text, 'x'"),
        ({"text": ["a", None, "b"]}, "sequence 1, column 'text'"),
        ({"age": [1, 2, "old"]}, "sequence 2, column 'age' is a text, 'old'"),
        ({"age": [1, 2]}, "'age' has 2 rows, 'text' has 3"),
    ],
)
def test_faults(change: dict[str, Any], message: str) -> None:
    made, _ = fitted()
    with pytest.raises(DataError, match=message):
        made.transform(Inputs({**table(), **change}))


def test_nothing_with_steps() -> None:
    with pytest.raises(DataError, match="none of the columns 'age', 'sex' has steps"):
        fitted({"age": [1, 2], "sex": ["m", "f"]})


# ---- on disk


def test_restore() -> None:
    made, data = fitted()
    again = Columns.restore(made.config(), made.tensors(), made.files())
    same = again.transform(Inputs(table()))
    assert again.describe() == made.describe()
    for mine, other in zip(same.groups, data.groups, strict=True):
        assert all(torch.equal(a.values, b.values) for a, b in zip(mine, other, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(same.static, data.static, strict=True))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["kinds"].update(text="smell"),
        lambda c: c.update(kinds={}),
        lambda c: c["kinds"].pop("one"),
        lambda c: c["kinds"].update(more="numbers"),
        lambda c: c["groups"].pop(),
        lambda c: c["groups"][1]["features"].pop(),
        lambda c: c["groups"][1]["widths"][1].pop(),
        lambda c: c["groups"][1]["widths"].__setitem__(1, [0, 2]),
        lambda c: c["groups"].append(c["groups"][0]),
        lambda c: c["statics"].pop("age"),
        lambda c: c["statics"]["age"].update(deviation=0.0),
        lambda c: c["statics"]["age"].update(mean="x"),
        lambda c: c["statics"]["age"].update(missing=1),
        lambda c: c["statics"]["sex"].update(categories=["m", "m"]),
        lambda c: c["statics"]["sex"].update(categories=[[1]]),
        lambda c: c["statics"]["sex"].update(categories="mf"),
    ],
)
def test_impossible(change: Any) -> None:
    made, _ = fitted()
    config = made.config() | {"kinds": dict(made.kinds)}
    change(config)
    with pytest.raises((ModelFileError, KeyError)):  # a task makes one of the other
        Columns.restore(config, made.tensors(), made.files())
