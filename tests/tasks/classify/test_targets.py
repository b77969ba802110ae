"""Any number of labels for each sequence: the forms of targets, losses and scores by hand, thresholds, tables, disk."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import sklearn.metrics
import torch
from scipy.special import expit

import elman
from elman.cli.main import main
from elman.errors import DataError, OptionError
from elman.evaluation.metrics import label_set_scores
from elman.evaluation.multilabel import LabelSetReport
from elman.layers.losses import binary_cross_entropy
from elman.ragged import Ragged
from elman.tasks.base.targets.label_sets import label_sets
from elman.tasks.classify.class_weights import label_weights
from elman.tasks.classify.minirocket import MiniRocket
from elman.tasks.classify.ngram_model import NgramModel
from elman.tasks.classify.targets import SeveralLabels, learn_target

TINY: dict[str, Any] = {"hidden": 3, "epochs": 1, "seed": 0, "verbose": False}
WORDS = {"film": "actor", "music": "song", "sport": "goal"}
SETS = [[name for k, name in enumerate(WORDS) if i >> k & 1] for i in range(8)] * 10
TEXTS = [" ".join([*(WORDS[name] for name in own), "the", "a", str(i % 5)]) for i, own in enumerate(SETS)]
MATRIX = np.array([[name in own for name in WORDS] for own in SETS], dtype=np.int8)


@pytest.fixture(scope="module")
def model() -> elman.Classifier:
    """Fitted to lists of labels. Do not change it."""
    return elman.Classifier(**TINY).fit(TEXTS, SETS)


# ---- forms


@pytest.mark.parametrize(
    "y",
    [
        [tuple(own) for own in SETS],
        [set(own) for own in SETS],
        [np.array(own, dtype=str) for own in SETS],
        pd.Series(SETS),
        pl.Series(SETS),
        pl.DataFrame({"topics": SETS}),
        [[*own, *own] for own in SETS],
    ],
    ids=["tuples", "sets", "arrays", "pandas", "polars", "a frame", "twice"],
)
def test_lists_in_whatever_they_come(model: elman.Classifier, y: Any) -> None:
    found = elman.Classifier(**TINY).fit(TEXTS, y)
    assert found.classes_.tolist() == list(WORDS)
    assert (found.predict_proba(TEXTS) == model.predict_proba(TEXTS)).all()
    assert found.predict(TEXTS) == SETS
    assert found.score(TEXTS, y) == 1.0


def test_texts_with_a_separator(model: elman.Classifier) -> None:
    frame = pl.DataFrame({"text": TEXTS, "topics": [" ; ".join(own) for own in SETS]})
    found = elman.Classifier(label_separator=";", **TINY).fit(frame, "topics")
    assert (found.predict_proba(frame) == model.predict_proba(TEXTS)).all()
    assert found.predict(TEXTS) == SETS
    assert found.score(frame, "topics") == found.score(TEXTS, SETS) == 1.0


@pytest.mark.parametrize(
    "y",
    [
        MATRIX,
        torch.from_numpy(MATRIX),
        MATRIX.astype(float),
        MATRIX > 0,
        MATRIX.tolist(),
        scipy.sparse.csr_matrix(MATRIX),
        pd.DataFrame(MATRIX, columns=list(WORDS)),
        pl.DataFrame(MATRIX, schema=list(WORDS)),
    ],
    ids=["array", "tensor", "floats", "truth values", "rows", "sparse", "pandas", "polars"],
)
def test_a_matrix(model: elman.Classifier, y: Any) -> None:
    found = elman.Classifier(**TINY).fit(TEXTS, y)
    answers = found.predict(TEXTS)
    assert (found.predict_proba(TEXTS) == model.predict_proba(TEXTS)).all()
    assert (answers == MATRIX).all()
    assert found.classes_.tolist() == (list(WORDS) if hasattr(y, "columns") else [0, 1, 2])
    if isinstance(y, np.ndarray):
        assert answers.dtype == y.dtype
    assert found.score(TEXTS, y) == 1.0


def test_columns_of_a_frame_in_any_order(model: elman.Classifier) -> None:
    frame = pd.DataFrame(MATRIX, columns=list(WORDS)).assign(text=TEXTS)
    found = elman.Classifier(input="text", **TINY).fit(frame, list(WORDS))
    assert (found.predict_proba(TEXTS) == model.predict_proba(TEXTS)).all()
    assert found.score(TEXTS, frame[["sport", "film", "music"]]) == 1.0
    with pytest.raises(DataError, match=r"is a matrix of the labels \['film', 'music'\], but .* were learnt"):
        found.score(TEXTS, frame[["film", "music"]])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([["a"], "b", ["c"]], "y is mixed: sequence 0 has a list of labels, sequence 1 a text"),
        ([["a"], None, ["c"]], "sequence 1 a NoneType|sequence 1 None"),
        ([["a"], [b"b"], []], "y: sequence 1 has as label a bytes"),
        ([["a"], [["b"]], []], "y: sequence 1 has as label a list"),
        ([["a"], ["b", 1], []], "y is mixed: sequence 1 has a number, sequence 0 a text|mixed"),
        ([[], ["a"], []], "y holds only the label 'a'"),
        ([[], [], []], "y holds no label at all"),
        ([["a"], ["b"]], "X has 3 sequences, y has 2 labels"),
        (np.array([[0, 1], [1, 2], [1, 1]]), "y: sequence 1 column 1 is 2. y should be a 1d array"),
        (pd.DataFrame({"a": [0, 1, 1], "b": [0, 1, np.nan]}), "y: sequence 2 column 'b' is"),
        (np.eye(2, dtype=int), "X has 3 sequences, y has 2 rows"),
    ],
)
def test_what_is_refused_has_its_place(y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        elman.Classifier(**TINY).fit(["a film", "b", "c"], y)


def test_a_separator_is_a_text_and_splits_texts() -> None:
    with pytest.raises(OptionError, match="label_separator = 5 must be a text"):
        elman.Classifier(label_separator=5, **TINY).fit(TEXTS, SETS)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"label_separator = '\|' splits texts, but y has"):
        elman.Classifier(label_separator="|", **TINY).fit(TEXTS, list(range(80)))
    with pytest.raises(DataError, match="sequence 1 has no labels, got None"):
        elman.Classifier(label_separator="|", **TINY).fit(TEXTS[:3], ["a|b", None, "b"])


def test_labels_that_were_not_learnt(model: elman.Classifier) -> None:
    assert model.score(TEXTS[:8], [*SETS[:7], ["other"]]) == 7 / 8
    with pytest.raises(DataError, match="sequence 1 has the label 'other', which is none of the classes learnt"):
        model.evaluate(TEXTS[:2], [["film"], ["other"]])
    with pytest.raises(DataError, match="has one label a sequence, but the model learnt several"):
        model.score(TEXTS[:2], ["film", "music"])


def test_one_label_after_several_is_one() -> None:
    model = elman.Classifier(**TINY).fit(TEXTS, SETS)
    labels = ["film" if "film" in own else "none" for own in SETS]
    once = elman.Classifier(**TINY).fit(TEXTS, labels)
    model.fit(TEXTS, labels)
    assert not model.multilabel_
    assert (model.predict_proba(TEXTS) == once.predict_proba(TEXTS)).all()


# ---- by hand


def test_the_loss_by_hand() -> None:
    z, present = torch.tensor([[1.0, -2.0], [0.5, 0.0]]), torch.tensor([[True, False], [False, True]])
    p = expit(z.numpy())
    q = np.where(present, 0.9, 0.1)
    costs = np.array([[3.0, 1.0], [1.0, 2.0]])
    expected = -(costs * (q * np.log(p) + (1 - q) * np.log(1 - p))).mean()
    assert binary_cross_entropy(z, present, torch.tensor(costs), 0.2).item() == pytest.approx(expected, rel=1e-6)
    assert binary_cross_entropy(z[:0], present[:0]).item() == 0


def test_the_scores_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    truth, answers = random.random((50, 4)) < 0.3, random.random((50, 4)) < 0.4
    found = label_set_scores(truth, answers)
    for average in ("micro", "macro"):
        expected = sklearn.metrics.f1_score(truth, answers, average=average)
        assert found[f"{average}_f1"] == pytest.approx(expected)
    expected = sklearn.metrics.f1_score(truth, answers, average="samples", zero_division=1.0)
    assert found["samples_f1"] == pytest.approx(expected)
    assert found["subset_accuracy"] == sklearn.metrics.accuracy_score(truth, answers)
    report = LabelSetReport(list("abcd"), truth, answers, random.random((50, 4)))
    assert report.hamming_loss == pytest.approx(sklearn.metrics.hamming_loss(truth, answers))
    columns = np.stack(sklearn.metrics.precision_recall_fscore_support(truth, answers))
    assert np.allclose(np.array([score[1:] for score in report.classes], float).T, columns)
    areas = sklearn.metrics.roc_auc_score(truth, report.probabilities, average=None)
    assert [rank.roc_area for rank in report.ranks] == pytest.approx(areas.tolist())
    table = sklearn.metrics.multilabel_confusion_matrix(truth, answers)
    assert report.counts.tolist() == np.stack([table[:, 1, 1], table[:, 1, 0], table[:, 0, 1]], 1).tolist()


def test_a_label_alone_is_the_same_n_gram_model() -> None:
    """The rows of independent labels are logistic regressions of their own, apart from where the solver stops."""
    ids = Ragged.of([[ord(c) for c in text] for text in TEXTS])
    every = NgramModel(buckets=1024).fit(ids, torch.from_numpy(MATRIX > 0), 3)
    for k in range(3):
        one = NgramModel(buckets=1024).fit(ids, torch.from_numpy(MATRIX[:, k].astype(np.int64)), 2)
        margin = one.logits(ids)[:, 1] - one.logits(ids)[:, 0]
        assert torch.allclose(every.logits(ids)[:, k], margin, atol=0.15 * float(margin.abs().max()))
        assert ((every.logits(ids)[:, k] > 0) == torch.from_numpy(MATRIX[:, k] > 0)).all()


def test_two_independent_labels_have_a_row_each() -> None:
    ids = Ragged.of([[1, 2], [1], [2], [3]] * 3)
    present = torch.tensor([[True, True], [True, False], [False, True], [False, False]] * 3)
    ngrams = NgramModel(buckets=64).fit(ids, present, 2)
    assert ((ngrams.logits(ids) > 0) == present).all()
    again = NgramModel.restore(ngrams.config(), ngrams.tensors())
    assert torch.equal(again.logits(ids), ngrams.logits(ids))
    assert torch.equal(
        ngrams.read(ngrams.advance(torch.tensor([1, 2]), ngrams.initial_state())), ngrams.logits(ids[:1])
    )
    waves = Ragged.of([torch.sin(torch.arange(30.0) * (1 + i % 2))[:, None] + i // 2 % 2 for i in range(24)])
    labels = torch.tensor([[i % 2 > 0, i // 2 % 2 > 0] for i in range(24)])
    assert ((MiniRocket(500).fit(waves, labels, 2).logits(waves) > 0) == labels).all()


def test_weights_of_labels_by_hand() -> None:
    present = np.array([[True, True], [False, True], [False, True], [False, True]])
    assert label_weights("balanced", np.array(["a", "b"]), present)[:, 0].tolist() == pytest.approx([2 / 3, 2.0])
    given = label_weights({"a": 3.0}, np.array(["a", "b"]), present)
    assert given[:, 0].tolist() == pytest.approx([2 / 3, 2.0])  # 3 and 1, with a mean of 1
    assert given[1, 1] == 1
    heavy = elman.Classifier(class_weight={"film": 50.0}, ngrams=0, **TINY).fit(TEXTS, SETS).predict_proba(TEXTS)
    light = elman.Classifier(ngrams=0, **TINY).fit(TEXTS, SETS).predict_proba(TEXTS)
    assert heavy[:, 0].mean() > light[:, 0].mean() + 0.2


def test_the_validation_set_has_rare_labels() -> None:
    sets = [["common", *(["rare"] if i % 20 == 0 else [])] for i in range(400)]
    target, truth = learn_target(sets, 400, None)
    assert np.bincount(target.strata(truth)).tolist() == [380, 20]
    assert isinstance(target, SeveralLabels)


@pytest.mark.parametrize("y", [SETS, MATRIX], ids=["lists", "a matrix"])
def test_a_validation_set_of_the_callers_own(y: Any) -> None:
    found = elman.Classifier(**TINY).fit(TEXTS[:60], y[:60], validation_data=(TEXTS[60:], y[60:]))
    assert found.data_["validation sequences"] == 20
    assert found.evaluate(TEXTS[60:], y[60:]) == found.metrics_


# ---- answers


def test_thresholds(model: elman.Classifier) -> None:
    some = elman.Classifier(**TINY).fit(TEXTS, SETS)
    p = some.predict_proba(TEXTS)
    for threshold, levels in ((0.9, [0.9] * 3), ({"music": 0.01}, [0.5, 0.01, 0.5])):
        some.threshold = threshold
        expected = [some.classes_[row >= levels].tolist() for row in p]
        assert some.predict(TEXTS) == some.decide(p) == expected
    some.threshold = "f1"
    with pytest.raises(OptionError, match="is chosen by fit"):
        some.predict(TEXTS)
    some.threshold = {"other": 0.5}
    with pytest.raises(OptionError, match="threshold names 'other', which is none of the classes"):
        some.predict(TEXTS)


def test_a_threshold_for_each_label_is_chosen_and_saved(tmp_path: Path) -> None:
    some = elman.Classifier(threshold="f1", ngrams=0, **TINY).fit(TEXTS, SETS)
    assert some.threshold_.shape == (3,)
    some.save(tmp_path / "model")
    again = elman.load(tmp_path / "model")
    assert again.threshold_.tolist() == some.threshold_.tolist()
    assert again.predict(TEXTS) == some.predict(TEXTS)
    assert again.multilabel_


def test_explained_is_one_label(model: elman.Classifier) -> None:
    for y in ("music", ["music"] * 2):
        found = model.explain(TEXTS[:2], y)
        assert [one.answer for one in found] == ["music"] * 2
    assert model.explain([TEXTS[3]], "film")[0].score == pytest.approx(model.decision_function([TEXTS[3]])[0, 0])
    with pytest.raises(DataError, match="y is 'other', but one of the labels is explained: 'film', 'music', 'sport'"):
        model.explain(TEXTS[:2], "other")


def test_separated_texts_are_read_alike() -> None:
    found = label_sets(["a|b", "", "b | a|a"], 3, "|")
    assert found is not None
    assert found.labels == [["a", "b"], [], ["b", "a"]]


# ---- on the command line


@pytest.mark.parametrize("form", ["csv", "jsonl", "columns"])
def test_tables(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    file, target = {
        "csv": ("t.csv", "--target topics --label-separator '|'"),
        "jsonl": ("t.jsonl", "--target topics"),
        "columns": ("m.csv", "--input text --target film,music,sport"),
    }[form]
    pl.DataFrame({"text": TEXTS, "topics": ["|".join(own) for own in SETS]}).write_csv("t.csv")
    pl.DataFrame({"text": TEXTS, "topics": SETS}).write_ndjson("t.jsonl")
    pl.DataFrame({"text": TEXTS, **{name: MATRIX[:, k] for k, name in enumerate(WORDS)}}).write_csv("m.csv")
    run = f"fit classify {file} {target} --hidden 3 --epochs 1 --seed 0 --out model"
    assert main(shlex.split(run)) == 0
    assert "3 labels, any number a sequence: film, music, sport" in capsys.readouterr().err
    assert main(shlex.split(f"predict model {file} --out answers.jsonl")) == 0
    rows = [json.loads(line) for line in Path("answers.jsonl").read_text("utf-8").splitlines()]
    for row, own in zip(rows, SETS, strict=True):
        if form == "columns":
            assert [row[f"predicted_{name}"] for name in WORDS] == [int(name in own) for name in WORDS]
        else:
            assert row["predicted_topics"] == ("|".join(own) if form == "csv" else own)
    capsys.readouterr()
    assert main(shlex.split(f"score model {file} --baseline --json")) == 0
    scored = json.loads(capsys.readouterr().out)
    assert scored["subset_accuracy"] == 1.0
    assert len(scored["baselines"]) == 2
    assert main(shlex.split("explain model --text 'song goal' --answer music")) == 0
    assert "music" in capsys.readouterr().out
    if form == "csv":
        Path("bad.csv").write_text("text,topics\na,film\nb,film|other\n", encoding="utf-8")
        assert main(shlex.split("score model bad.csv")) == 2
        assert "line 3 of bad.csv, column 'topics' is 'other', which model never learnt" in capsys.readouterr().err
        assert main(shlex.split("score model t.jsonl")) == 0
