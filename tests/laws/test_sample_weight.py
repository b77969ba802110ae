"""`fit(..., sample_weight=...)` of every task with a loss for each sequence; others say why not."""

from __future__ import annotations

import math
import shlex
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from elman import tasks
from elman.cli.main import main
from elman.errors import DataError, OptionError
from table import FRAME, TASKS, TEXTS, TINY

LABELS = ["u", "v"] * 6
NONE = ("forecast", "generate")
WEIGHED = [verb for verb in TASKS if verb not in NONE]


def task_of(verb: str, **options: Any) -> Any:
    row = TASKS[verb]
    return tasks.TASKS[verb](**{**TINY, **row.options, "epochs": 2, **options})


def bits(model: Any) -> torch.Tensor:
    found = {**model.network_.state_dict(), **model._tensors()}
    return torch.cat([part.double().flatten() for part in found.values()])


@pytest.mark.parametrize("verb", WEIGHED)
def test_equal_weights_are_none(verb: str) -> None:
    X, y = TASKS[verb].data
    plain = task_of(verb).fit(X, y)
    for weight in (1, 0.1):
        assert torch.equal(bits(task_of(verb).fit(X, y, np.full(len(X), weight))), bits(plain))


@pytest.mark.parametrize("verb", WEIGHED)
def test_weights_count_in_the_loss(verb: str) -> None:
    X, y = TASKS[verb].data
    weights = 1.0 + np.arange(len(X)) % 3
    one = bits(task_of(verb).fit(X, y, weights))
    assert not torch.equal(one, bits(task_of(verb).fit(X, y)))
    assert torch.equal(one, bits(task_of(verb).fit(X, y, 8 * weights)))  # the unit makes no difference


@pytest.mark.parametrize("verb", WEIGHED)
def test_a_weight_of_0_leaves_a_sequence_out(verb: str) -> None:
    X, y = TASKS[verb].data
    kept = [i for i in range(len(X)) if i != 3]
    rest = {name: [column[i] for i in kept] for name, column in y.items()} if isinstance(y, dict) else None
    few = [X[i] for i in kept], [y[i] for i in kept] if rest is None else rest
    weights = np.ones(len(X))
    weights[3] = 0
    model = task_of(verb).fit(X, y, weights)
    assert torch.equal(bits(model), bits(task_of(verb).fit(*few)))
    assert 3 not in model.data_.values()


@pytest.mark.parametrize("verb", [verb for verb in WEIGHED if verb not in ("translate", "transcribe")])
def test_validation_metrics_are_weighted(verb: str) -> None:
    """Corpus measures, BLEU and error rates, count every sequence alike."""
    X, y = TASKS[verb].data
    weights = np.arange(len(X))
    model = task_of(verb).fit(X, y, validation_data=(X, y, weights))
    found, plain = model.evaluate(X, y, sample_weight=weights), model.evaluate(X, y)
    shared = found.keys() & model.metrics_.keys()
    assert "loss" in shared or verb == "tag"
    assert found != plain
    for name in shared:
        assert math.isclose(found[name], model.metrics_[name], rel_tol=1e-6), name
    score = model.score(X, y, sample_weight=weights)
    assert score in found.values() or verb == "multitask"


def test_several_labels() -> None:
    y = [["a"], ["a", "b"], [], ["b"]] * 15
    for options in ({}, {"class_weight": "balanced"}):
        made = [
            tasks.Classifier(**TINY, threshold="f1", **options).fit(TEXTS * 5, y, weights)
            for weights in (None, np.full(60, 0.5), 1 + np.arange(60.0))
        ]
        assert torch.equal(bits(made[0]), bits(made[1]))
        assert not torch.equal(bits(made[0]), bits(made[2]))
        assert made[2].evaluate(TEXTS * 5, y, 1 + np.arange(60.0)) != made[2].evaluate(TEXTS * 5, y)


def test_thresholds_and_every_step() -> None:
    y = (LABELS * 5)[:60]
    texts = TEXTS * 5
    weights = np.where(np.array(y) == "v", 9.0, 1.0)
    chosen = {
        name: tasks.Classifier(**TINY, ngrams=0, threshold="f1", validation=0.5).fit(texts, y, given).threshold_
        for name, given in {"plain": None, "weighted": weights}.items()
    }
    assert all(0 < value <= 1 for value in chosen.values())
    X = [np.arange(float(n)) for n in (3, 4, 5)]
    one = tasks.Regressor(**TINY, every_step=True).fit(X, X, [1, 2, 3])
    assert not torch.equal(bits(one), bits(tasks.Regressor(**TINY, every_step=True).fit(X, X)))


@pytest.mark.parametrize("verb", NONE)
def test_tasks_without_weights_say_why(verb: str) -> None:
    X = TASKS[verb].data[0]
    with pytest.raises(OptionError, match="sample_weight has no meaning for a"):
        task_of(verb).fit(X, sample_weight=np.ones(12))


REFUSED: dict[str, tuple[Any, str]] = {
    "below 0": ([1] * 11 + [-1], "sample_weight: sequence 11 is -1. Give numbers of at least 0"),
    "missing": ([1.0] * 11 + [math.nan], "sample_weight: sequence 11 is nan"),
    "infinite": ([math.inf] + [1] * 11, "sample_weight: sequence 0 is inf"),
    "all 0": ([0] * 12, "sample_weight is zero for every sequence"),
    "too few": ([1] * 11, r"has shape \[11\], but X has 12 sequences"),
    "a table": ([[1]] * 12, r"has shape \[12, 1\]"),
    "texts": (["a"] * 12, "holds what is no number"),
    "a name": ("w", "'w' names a column, but X is a list"),
    "a class": ([0, 1] * 6, "sequence 0 is of a class whose sequences all have sample_weight 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_weights(name: str) -> None:
    given, message = REFUSED[name]
    with pytest.raises(DataError, match=message):
        tasks.Classifier(**TINY).fit(TEXTS, LABELS, given)


def test_a_column_of_weights_is_no_input() -> None:
    frame = pl.DataFrame({"text": TEXTS, "label": LABELS, "w": range(12)})
    model = tasks.Classifier(**TINY).fit(frame, "label", "w", validation_data=frame)
    assert model.input_ == "text"
    same = tasks.Classifier(**TINY).fit(TEXTS, LABELS, range(12), validation_data=(TEXTS, LABELS, list(range(12))))
    assert model.metrics_ == same.metrics_
    with pytest.raises(DataError, match="column 'w' is -1"):
        tasks.Classifier(**TINY).fit(frame.with_columns(w=-pl.col("w")), "label", "w")
    with pytest.raises(DataError, match="sample_weight = 'W' is no column of X"):
        tasks.Classifier(**TINY).fit(frame, "label", "W")


def test_command_line(tmp_path: Any, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pl.DataFrame({"text": TEXTS, "label": LABELS, "w": range(12)})
    frame.write_csv("t.csv")
    frame.with_columns(w=pl.lit(-2)).write_csv("bad.csv")
    FRAME.write_csv("f.csv")
    fit = "--target label --hidden 3 --epochs 2 --seed 0 --out m --sample-weight"
    assert main(shlex.split(f"fit classify t.csv {fit} w")) == 0
    model = tasks.load("m")
    assert model.data_["sample weight"] == "w"
    assert torch.equal(bits(model), bits(task_of("classify").fit(frame, "label", "w")))
    for line, message in {
        f"fit classify bad.csv {fit} w": "line 2 of bad.csv, column 'w' is -2. Give numbers of at least 0",
        f"fit classify t.csv {fit} v": "has no column 'v'",
        f"fit classify t.csv {fit} label": "--sample-weight names the column 'label', which is the input or the target",
        "fit forecast f.csv --out m --sample-weight y": "unknown option: --sample-weight",
    }.items():
        capsys.readouterr()
        assert main(shlex.split(line)) == 2
        assert message in capsys.readouterr().err
