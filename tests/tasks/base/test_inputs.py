"""Tasks that read several columns: the kinds in a frame, folders, streams, and that one column is as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from elman.cells import CELLS
from elman.errors import DataError, ModelFileError, OptionError
from elman.io import model_folder as store
from elman.tasks import Classifier, Regressor, load

SMALL: dict[str, Any] = {"hidden": 6, "embed": 5, "epochs": 2, "verbose": False}


def stays(sequences: int = 90) -> dict[str, Any]:
    """Two aligned series, another of its own lengths, notes, an age and a ward, some of the last two missing."""
    random = np.random.default_rng(0)
    lengths, others = random.integers(1, 7, sequences), random.integers(0, 4, sequences)
    return {
        "note": [" ".join(random.choice(list("abcdefgh"), n)) for n in random.integers(0, 5, sequences)],
        "pulse": [random.normal(size=n).tolist() for n in lengths],
        "pressure": [random.normal(size=n).tolist() for n in lengths],
        "urine": [random.normal(size=n).tolist() for n in others],
        "age": [None if age < 20 else float(age) for age in random.integers(10, 90, sequences)],
        "ward": [(None, "east", "west")[n] for n in random.integers(0, 3, sequences)],
    }


def few(frame: dict[str, Any], *indices: int) -> dict[str, Any]:
    return {name: [column[i] for i in indices] for name, column in frame.items()}


# ---- what it takes


def test_a_frame_goes_in_as_it_is() -> None:
    frame = stays()
    labels = ["old" if (age or 0) > 55 else "young" for age in frame["age"]]
    clf = Classifier(**SMALL).fit(frame, labels)
    expected = clf.predict_proba(frame)
    for make in (pl.DataFrame, pa.table, pd.DataFrame):
        again = Classifier(**SMALL).fit(make({**frame, "label": labels}), "label")
        np.testing.assert_array_equal(again.predict_proba(make(frame)), expected)
        np.testing.assert_array_equal(again.predict_proba(make({"more": labels, **frame})), expected)
        assert again.score(make({**frame, "label": labels}), "label") == clf.score(frame, labels)
    assert [group.names for group in clf.feature_.groups] == [["note"], ["pulse", "pressure"], ["urine"]]
    assert list(clf.feature_.statics) == ["age", "ward"]
    for i in (0, 17, 89):
        np.testing.assert_array_equal(clf.predict_proba(few(frame, i))[0], expected[i])


def test_what_has_no_steps_is_learnt_from() -> None:
    frame = few(stays(400), *range(400))
    labels = [ward or "none" for ward in frame["ward"]]
    clf = Classifier(hidden=6, epochs=15, ngrams=0, verbose=False, learning_rate=0.01)
    clf.fit({"urine": frame["urine"], "ward": frame["ward"]}, labels)
    assert clf.score(frame, labels) > 0.9


def test_columns_are_chosen() -> None:
    frame, labels = stays(), ["a", "b", "c"] * 30
    clf = Classifier(features={"note": "skip", "ward": "skip", "age": "skip"}, **SMALL).fit(frame, labels)
    assert list(clf.feature_.kinds) == ["pulse", "pressure", "urine"]
    same = Classifier(input=["pulse", "pressure", "urine"], **SMALL).fit(frame, labels)
    np.testing.assert_array_equal(clf.predict_proba(frame), same.predict_proba(frame))
    one = Classifier(input="pulse", **SMALL).fit(frame, labels)
    assert one.feature_.kind == "numbers"
    np.testing.assert_array_equal(one.predict_proba(frame), one.predict_proba(frame["pulse"]))
    forced = Classifier(features={"ward": "text", "note": "skip"}, **SMALL)
    with pytest.raises(DataError, match="sequence 0, column 'ward' is None"):
        forced.fit(frame, labels)  # a text cannot be missing


def test_a_table_of_numbers_stays_one_step_a_column() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 4)), columns=list("abcd"))
    labels = ["x", "y"] * 10
    table = Classifier(**SMALL).fit(frame, labels)
    assert table.feature_.kind == "numbers"
    named = Classifier(**SMALL).fit(frame.assign(label=labels), "label")
    np.testing.assert_array_equal(named.predict_proba(frame), table.predict_proba(frame))
    np.testing.assert_array_equal(named.predict_proba(frame.assign(label=labels)), table.predict_proba(frame))
    with pytest.raises(DataError, match="none of the columns"):
        Classifier(features={"a": "category"}, **SMALL).fit(frame, labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": {"ward": "colour"}}, r"features = {'ward': 'colour'} must be one of text, tokens"),
        ({"features": "text"}, "features = 'text' must be a dict"),
        ({"features": {3: "text"}}, "must be a dict from the name"),
        ({"input": []}, "input = .* must be the name of a column, a list"),
        ({"input": 3}, "input = 3 must be"),
        ({"feature": "tokens"}, "feature = 'tokens' is for one column"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Classifier(**options, **SMALL).fit(stays(), ["a", "b", "c"] * 30)


def test_faults() -> None:
    frame, labels = stays(), ["a", "b", "c"] * 30
    with pytest.raises(DataError, match=r"features names 'wards'.*Did you mean 'ward'"):
        Classifier(features={"wards": "category"}, **SMALL).fit(frame, labels)
    with pytest.raises(DataError, match=r"input = 'pulses' is no column.*Did you mean 'pulse'"):
        Classifier(input=["pulses"], **SMALL).fit(frame, labels)
    with pytest.raises(DataError, match="X is a list without named columns"):
        Classifier(features={"ward": "category"}, **SMALL).fit([[1.0], [2.0]], ["a", "b"])
    clf = Classifier(**SMALL).fit(frame, labels)
    with pytest.raises(DataError, match="'ward' is no column"):
        clf.predict({name: column for name, column in frame.items() if name != "ward"})
    with pytest.raises(DataError, match="X is a list without named columns"):
        clf.predict([[1.0]])
    given = {name: frame[name] for name in ("pulse", "urine")}
    with pytest.raises(OptionError, match="not all columns are aligned: pulse, urine"):
        Regressor(every_step=True, **SMALL).fit(given, [[0.0] * len(x) for x in frame["pulse"]])


def test_unknown_and_missing_values_have_answers() -> None:
    frame = stays()
    clf = Classifier(**SMALL).fit(frame, ["a", "b", "c"] * 30)
    strange = {**frame, "ward": ["north"] * 90, "age": [None] * 90}
    assert np.isfinite(clf.predict_proba(strange)).all()


# ---- several targets of a regressor, by name


def test_targets_by_name() -> None:
    frame = stays()
    whole = pl.DataFrame({**frame, "a": np.arange(90.0), "b": np.arange(90.0) ** 2})
    reg = Regressor(**SMALL).fit(whole, ["a", "b"])
    assert list(reg.feature_.kinds) == list(frame)
    assert list(reg.predict(whole)) == ["a", "b"]
    assert np.isfinite(reg.score(whole, ["a", "b"]))


# ---- on disk, one step at a time


@pytest.mark.parametrize("task", [Classifier, Regressor])
def test_save_and_load(task: Any, tmp_path: Path) -> None:
    frame = stays()
    model = task(features={"note": "tokens"}, **SMALL)
    frame["note"] = [note.split() for note in frame["note"]]
    model.fit(frame, [i % 3 for i in range(90)]).save(tmp_path / "model")
    again = load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(frame), model.predict(frame))
    assert again.features == {"note": "tokens"}
    again.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict(frame), model.predict(frame))
    card = (tmp_path / "model" / "README.md").read_text("utf-8")
    assert "input 'ward'" in card
    assert "step by step with pressure" in card


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    Classifier(**SMALL).fit(stays(), ["a", "b", "c"] * 30).save(folder)
    load(folder)
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda c, t, f: c["feature"]["groups"].pop(),
        lambda c, t, f: c["feature"]["kinds"].update(ward="number"),
        lambda c, t, f: c["feature"]["statics"].pop("ward"),
        lambda c, t, f: c["feature"]["statics"]["ward"]["categories"].append("north"),
        lambda c, t, f: c["options"].update(features={"ward": "colour"}),
        lambda c, t, f: t.pop("feature.1.0.mean"),
        lambda c, t, f: t.pop("network.static.mix.weight"),
        lambda c, t, f: f.pop("0.0-tokenizer.json"),
    ],
)
def test_impossible_folders(change: Any, saved: Path, tmp_path: Path) -> None:
    config, tensors, files = store.load(saved)
    change(config, tensors, files)
    store.save(tmp_path / "model", config, tensors, files)
    with pytest.raises(ModelFileError):
        load(tmp_path / "model")


def test_stream_with_facts() -> None:
    frame, labels = stays(), ["a", "b", "c"] * 30
    clf = Classifier(features={"pulse": "skip", "pressure": "skip", "urine": "skip"}, **SMALL).fit(frame, labels)
    i = int(np.argmax([len(note) for note in frame["note"]]))
    whole = clf.predict_proba(few(frame, i))[0].tolist()
    session = clf.stream({"age": frame["age"][i], "ward": frame["ward"][i]})
    for word in frame["note"][i].split():
        answer = session.feed(word)
    assert list(answer.probabilities.values()) == whole
    empty = {"note": [""], "age": [None], "ward": [None]}
    assert list(clf.stream().answer.probabilities.values()) == clf.predict_proba(empty)[0].tolist()
    with pytest.raises(OptionError, match="static names 'wards', but the columns without steps are 'age', 'ward'"):
        clf.stream({"wards": "east"})
    with pytest.raises(OptionError, match="cannot stream"):
        Classifier(**SMALL).fit(frame, labels).stream()


def test_every_step_of_aligned_columns() -> None:
    frame = few(stays(), *range(60))
    given = {name: frame[name] for name in ("pulse", "pressure", "age", "ward")}
    y = [np.cumsum(x) for x in frame["pulse"]]
    reg = Regressor(every_step=True, tbptt=2, **SMALL).fit(given, y)
    answers = reg.predict(given)
    assert [len(a) for a in answers] == [len(x) for x in y]
    session = reg.stream({"age": frame["age"][3], "ward": frame["ward"][3]})
    steps = np.stack([frame["pulse"][3], frame["pressure"][3]], axis=1)
    assert [session.feed(step).value for step in steps] == answers[3].tolist()


# ---- looking inside


def with_marks(sequences: int = 300) -> tuple[dict[str, Any], list[str]]:
    """Labels that follow from one of the columns alone: `pulse` rises or falls; the others say nothing."""
    frame, random = stays(sequences), np.random.default_rng(1)
    labels = random.choice(["down", "up"], sequences).tolist()
    signs = [1.0 if label == "up" else -1.0 for label in labels]
    frame["pulse"] = [
        (sign * np.ones(len(x)) + 0.1 * np.array(x)).tolist() for sign, x in zip(signs, frame["pulse"], strict=True)
    ]
    return frame, labels


def test_explained_column_by_column() -> None:
    frame, labels = with_marks()
    clf = Classifier(hidden=8, epochs=6, ngrams=2, embed=5, learning_rate=0.01, verbose=False).fit(frame, labels)
    told = few(frame, 3, 17, 40, 77)
    found = clf.explain(told)
    shares: dict[str, float] = dict.fromkeys(frame, 0.0)
    for i, one in enumerate(found):
        assert set(one.columns) == set(frame)
        assert abs(one.steps.sum() - (one.score - one.nothing)) < 0.02 * max(1.0, abs(one.score - one.nothing))
        assert one.steps.sum() == pytest.approx(sum(column.steps.sum() for column in one.columns.values()))
        assert len(one.columns["pulse"].steps) == len(told["pulse"][i])
        assert list(one.columns["note"].symbols) == told["note"][i].split()
        assert one.columns["pulse"].values.shape == (len(told["pulse"][i]), 1)
        assert len(one.columns["ward"].steps) == len(one.columns["age"].steps) == 1
        assert len(one.symbols) == len(one.steps)
        assert {"pulse: step 0", "ward", "age"} <= set(one.symbols)
        assert "pulse" in str(one)
        for name, column in one.columns.items():
            shares[name] += float(np.abs(column.steps).sum())
    assert max(shares, key=lambda name: shares[name]) == "pulse", shares
    logits = clf.decision_function(told)
    np.testing.assert_allclose([one.score for one in found], np.abs(logits), rtol=1e-4, atol=1e-5)
    alone = clf.explain(few(frame, 17))[0]
    np.testing.assert_allclose(alone.steps, found[1].steps, atol=1e-6)


def test_a_number_explained_column_by_column() -> None:
    frame = stays(60)
    reg = Regressor(**SMALL).fit(frame, [float(len(x)) for x in frame["urine"]])
    some = few(frame, *range(12))
    for one, answer in zip(reg.explain(some), reg.predict(some), strict=True):
        assert one.score == pytest.approx(answer, rel=1e-5)
        assert abs(one.steps.sum() - (one.score - one.nothing)) < 0.02 * max(1.0, abs(one.score - one.nothing))
    assert found_nothing(reg, frame)


def found_nothing(reg: Regressor, frame: dict[str, Any]) -> bool:
    """A sequence of which nothing is known is explained too."""
    empty = {"note": [""], "pulse": [[]], "pressure": [[]], "urine": [[]], "age": [None], "ward": [None]}
    return bool(np.isfinite(reg.explain(empty)[0].steps).all())


def test_diagnosed_column_by_column() -> None:
    frame = stays(60)
    labels = ["a", "b", "c"] * 20
    clf = Classifier(**SMALL).fit(frame, labels)
    found = clf.diagnose(frame, labels)
    assert [layer.name for layer in found.layers] == ["note: layer 1", "pulse, pressure: layer 1", "urine: layer 1"]
    assert "layer 1" in str(found)
    assert clf.diagnose(frame).layers
    reg = Regressor(**SMALL).fit(frame, np.arange(60.0))
    assert len(reg.diagnose(frame, np.arange(60.0)).layers) == 3
    text = {name: frame[name] for name in ("note", "age", "ward")}
    one = Classifier(**SMALL).fit(text, labels).diagnose(text, labels)
    assert [layer.name for layer in one.layers] == ["layer 1"]


# ---- the cell that `cell=None` stands for

GAPPY: list[tuple[float, dict[str, Any], str]] = [
    (0.8, {}, "gru_d"),
    (0.2, {}, "lstm"),
    (0.0, {}, "lstm"),
    (0.8, {"cell": "gru"}, "gru"),
    (0.8, {"fill": "mean"}, "lstm"),
    (0.8, {"mask": False}, "lstm"),
    (0.8, {"max_timescale": 20}, "lstm"),
    (0.8, {"precision": "bfloat16"}, "lstm"),
    (0.8, {"channels": 4}, "lstm"),
    (0.2, {"cell": "gru_d"}, "gru_d"),
]


def gappy(share: float) -> list[Any]:
    random = np.random.default_rng(1)
    series = [random.normal(size=(n, 2)) for n in random.integers(3, 9, 40)]
    for steps in series:
        steps[random.random(steps.shape) < share] = np.nan
    return series


@pytest.mark.parametrize(("share", "options", "cell"), GAPPY)
def test_most_numbers_missing_take_the_cell_that_learns_a_decay(
    share: float, options: dict[str, Any], cell: str, tmp_path: Path
) -> None:
    series, targets = gappy(share), np.arange(40.0)
    model = Regressor(**SMALL | options).fit(series, targets)
    assert type(model.network_.encoder.layers[0][0]) is CELLS[cell]
    chosen = cell == "gru_d" and not options
    assert model.network_.path.pool.kinds == (["mean", "max", "last"] if chosen else ["attention"])
    assert (model.get_params()["cell"], model.get_params()["pool"]) == (options.get("cell"), None)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict(series), model.predict(series))


def test_each_column_has_the_cell_that_suits_it() -> None:
    frame = {"note": [f"a b {n} c" for n in range(40)], "lab": [steps.tolist() for steps in gappy(0.8)]}
    frame["lab"] = [np.array(steps)[:, 0].tolist() for steps in frame["lab"]]
    model = Regressor(**SMALL).fit(frame, np.arange(40.0))
    cells = [type(path.encoder.layers[0][0]) for path in model.network_.paths]
    assert cells == [CELLS["lstm"], CELLS["gru_d"]]
