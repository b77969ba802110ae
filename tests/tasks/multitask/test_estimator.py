"""Several targets of one model: labels and numbers with gaps, scores by name, folders, streams, the command line."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from elman.cli.main import main
from elman.errors import DataError, ModelFileError, OptionError
from elman.evaluation.metrics import accuracy, mae, r2
from elman.io import model_folder as store
from elman.tasks import Multitask, Regressor, load
from elman.tasks.base.session import MultitaskAnswer

SMALL: dict[str, Any] = {"hidden": 6, "embed": 5, "epochs": 2, "verbose": False}


def reviews(sequences: int = 80) -> dict[str, Any]:
    """Texts with a mood, the topic of half of them, and how many stars two thirds of them have."""
    random = np.random.default_rng(0)
    moods, topics = random.choice(["bad", "good"], sequences), random.choice(["film", "hotel", "phone"], sequences)
    texts = [
        f"a {mood} {topic} " + " ".join(random.choice(list("abcd"), 3))
        for mood, topic in zip(moods, topics, strict=True)
    ]
    return {
        "text": texts,
        "mood": moods.tolist(),
        "topic": [topic if i % 2 else None for i, topic in enumerate(topics.tolist())],
        "stars": [None if i % 3 == 0 else (4.0 if mood == "good" else 1.0) for i, mood in enumerate(moods)],
    }


NAMES = ["mood", "topic", "stars"]


def targets(frame: dict[str, Any]) -> dict[str, Any]:
    return {name: frame[name] for name in NAMES}


@pytest.fixture(scope="module")
def fitted() -> Multitask:
    return Multitask(**SMALL).fit(reviews(), NAMES)


# ---- what it takes and says


def test_labels_have_a_report(fitted: Multitask) -> None:
    frame = reviews()
    reports, scores = fitted.report(frame, NAMES), fitted.evaluate(frame, NAMES)
    assert list(reports) == ["mood", "topic"]
    assert len(reports["topic"].truth) == 40
    for name, report in reports.items():
        assert report.accuracy == scores[f"{name}.accuracy"]
        assert report.macro_f1 == scores[f"{name}.macro_f1"]
    assert "topic" not in fitted.report(frame["text"], {**targets(frame), "topic": [None] * 80})


def test_targets_go_in_by_name() -> None:
    frame = reviews()
    model = Multitask(**SMALL).fit(frame["text"], targets(frame))
    expected = model.predict_proba(frame["text"])
    for make in (pl.DataFrame, pa.table, pd.DataFrame):
        again = Multitask(**SMALL).fit(make(frame), NAMES)
        for name, shares in again.predict_proba(make(frame)).items():
            np.testing.assert_array_equal(shares, expected[name])
    framed = Multitask(**SMALL).fit(frame["text"], pl.DataFrame(targets(frame)))
    np.testing.assert_array_equal(framed.predict(frame["text"])["stars"], model.predict(frame["text"])["stars"])
    assert {name: target.kind for name, target in model.targets_.items()} == {
        "mood": "label",
        "topic": "label",
        "stars": "number",
    }
    assert {name: classes.tolist() for name, classes in model.classes_.items()} == {
        "mood": ["bad", "good"],
        "topic": ["film", "hotel", "phone"],
    }


def test_answers(fitted: Multitask) -> None:
    frame = reviews()
    found, shares = fitted.predict(frame), fitted.predict_proba(frame)
    assert list(found) == NAMES
    assert found["stars"].dtype == np.float64
    assert list(shares) == ["mood", "topic"]
    np.testing.assert_allclose(shares["topic"].sum(1), 1)
    assert found["topic"].tolist() == fitted.classes_["topic"][shares["topic"].argmax(1)].tolist()
    alone = fitted.predict_proba([frame["text"][7]])
    np.testing.assert_array_equal(alone["topic"][0], shares["topic"][7])


def test_everything_is_learnt() -> None:
    frame = reviews(300)
    model = Multitask(hidden=12, embed=12, epochs=20, learning_rate=0.02, verbose=False).fit(frame, NAMES)
    new = reviews(60)
    found = model.evaluate(new, NAMES)
    assert found["mood.accuracy"] > 0.95
    assert found["topic.accuracy"] > 0.9
    assert found["stars.r2"] > 0.8
    answers = model.predict(new)
    known = [i for i, topic in enumerate(new["topic"]) if topic]
    assert found["topic.accuracy"] == accuracy([new["topic"][i] for i in known], answers["topic"][known].tolist())
    stars = np.array([np.nan if star is None else star for star in new["stars"]])
    assert found["stars.mae"] == mae(stars, answers["stars"])
    scores = [found["mood.accuracy"], found["topic.accuracy"], r2(stars, answers["stars"])]
    assert model.score(new, NAMES) == pytest.approx(np.mean(scores))
    parts = [found[f"{name}.loss"] for name in NAMES]
    assert found["loss"] == pytest.approx(sum(parts))


def test_one_number_is_what_the_regressor_learns() -> None:
    """One target of numbers: the network, the loss and the answers of a Regressor, bit for bit."""
    series = [np.sin(np.arange(n) / n) for n in range(1, 61)]
    y = [float(n) for n in range(1, 61)]
    one = Multitask(**SMALL).fit(series, {"length": y})
    np.testing.assert_array_equal(one.predict(series)["length"], Regressor(**SMALL).fit(series, y).predict(series))


def test_a_weight_of_zero_takes_a_target_out_of_the_loss() -> None:
    frame = reviews()
    both = {"mood": frame["mood"], "stars": frame["stars"]}
    model = Multitask(weights={"mood": 0}, validation=0.0, **SMALL).fit(frame["text"], both)
    bias = model.network_.head.bias[:2].tolist()
    start = model.targets_["mood"].fit(np.array([0.0 if mood == "bad" else 1.0 for mood in frame["mood"]])).tolist()
    assert bias == pytest.approx(start)
    assert model.evaluate(frame["text"], both)["loss"] == model.evaluate(frame["text"], both)["stars.loss"]


def test_kinds_are_said() -> None:
    frame = reviews()
    model = Multitask(targets={"stars": "label"}, **SMALL).fit(frame, NAMES)
    assert model.classes_["stars"].tolist() == [1.0, 4.0]
    assert list(model.predict_proba(frame)) == NAMES
    truths = {"good": [mood == "good" for mood in frame["mood"]]}
    assert Multitask(**SMALL).fit(frame["text"], truths).classes_["good"].tolist() == [False, True]


def test_sequences_without_a_target_are_skipped() -> None:
    y = {"a": ["x", "y", None, "x"] * 10, "b": [1, None, None, 2] * 10}
    model = Multitask(**SMALL).fit([[1.0]] * 40, y)
    assert model.data_["sequences without a target"] == 10


@pytest.mark.parametrize(
    ("X", "y", "options", "message"),
    [
        ("frame", ["mood", "topics"], {}, "y = 'topics' is no column of X.*Did you mean 'topic'"),
        ("frame", ["mood", "mood"], {}, "y names the column 'mood' twice"),
        ("list", ["a"] * 80, {}, "y names the column 'a' twice"),
        ("list", [1.0] * 80, {}, "y must name its targets"),
        ("list", None, {}, "requires y to be passed, but the target y is None"),
        ("list", {"mood": ["a", "b"]}, {}, "column 'mood': X has 80 sequences, y has 2 labels"),
        ("list", {"mood": ["a"] * 80}, {}, "column 'mood' has only one class"),
        ("list", {"mood": [None] * 80}, {"targets": {"mood": "label"}}, "column 'mood' holds no label at all"),
        ("list", {"n": [None] * 80}, {}, "column 'n' holds no number at all"),
        ("list", {"n": [1.0] * 79 + ["x"]}, {}, "sequence 79, column 'n'"),
        ("list", {"n": [1.0] * 79 + [float("inf")]}, {}, "column 'n': .*sequence 79 is inf"),
        ("list", {"n": np.ones((80, 2))}, {}, "column 'n' has 2 numbers a sequence"),
        ("list", {"m": ["a", None, *["b"] * 77, 3]}, {}, "column 'm' is mixed: .*sequence 79 a number"),
        ("frame", NAMES, {"targets": {"moods": "label"}}, "targets = 'moods' is no target of y.*Did you mean 'mood'"),
        ("frame", NAMES, {"weights": {"moods": 1}}, "weights = 'moods' is no target of y"),
    ],
)
def test_faults_name_the_column(X: str, y: Any, options: dict[str, Any], message: str) -> None:
    frame = reviews()
    with pytest.raises(DataError, match=message):
        Multitask(**options, **SMALL).fit(frame if X == "frame" else frame["text"], y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": {"mood": "word"}}, r"targets = {'mood': 'word'} must be one of label, number"),
        ({"targets": "label"}, "targets = 'label' must be a dict"),
        ({"weights": {"mood": -1}}, "weights = .* must hold numbers of at least 0"),
        ({"weights": 2}, "weights = 2 must be a dict"),
        ({"weights": dict.fromkeys(NAMES, 0)}, "weights is 0 for every target"),
        ({"loss": "cubic"}, "loss = 'cubic'"),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Multitask(**options, **SMALL).fit(reviews(), NAMES)


def test_faults_of_scoring(fitted: Multitask) -> None:
    frame = reviews()
    with pytest.raises(DataError, match="y has the targets mood, but mood, topic, stars were learnt"):
        fitted.score(frame, ["mood"])
    with pytest.raises(DataError, match="sequence 3, column 'topic' has the label 'car', which is none"):
        fitted.evaluate(frame, targets(frame) | {"topic": ["film"] * 3 + ["car"] * 77})
    with pytest.raises(DataError, match="there is no target to score against"):
        fitted.score(frame, {name: [None] * 80 for name in NAMES})
    only = fitted.evaluate(frame, targets(frame) | {"topic": [None] * 80, "stars": [None] * 80})
    assert {name.split(".")[0] for name in only} == {"loss", "mood"}


# ---- on disk, one step at a time, looking inside


def test_save_and_load(fitted: Multitask, tmp_path: Path) -> None:
    frame = reviews()
    fitted.save(tmp_path / "model")
    again = load(tmp_path / "model")
    for name, answers in fitted.predict(frame).items():
        np.testing.assert_array_equal(again.predict(frame)[name], answers)
    assert again.evaluate(frame, NAMES) == fitted.evaluate(frame, NAMES)
    assert "target 'topic'" in (tmp_path / "model" / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["targets"].pop(),
        lambda c: c["targets"][0].update(name="topic"),
        lambda c: c["targets"][0].update(name=3),
        lambda c: c["targets"][0].update(kind="word"),
        lambda c: c["targets"][0]["values"].append("so so"),
        lambda c: c["targets"][0].update(values=["bad", "bad"]),
        lambda c: c["targets"][0].update(values=["bad", None]),
        lambda c: c["targets"][2].update(deviation=0.0),
        lambda c: c["targets"][2].update(mean=None),
        lambda c: c.update(targets=[]),
    ],
)
def test_impossible_folders(fitted: Multitask, change: Any, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    config, tensors, files = store.load(tmp_path / "model")
    change(config)
    store.save(tmp_path / "model", config, tensors, files)
    with pytest.raises(ModelFileError):
        load(tmp_path / "model")


def test_a_stream_says_what_predict_says(fitted: Multitask) -> None:
    text = reviews()["text"][5]
    session = fitted.stream()
    for word in text.split():
        answer = session.feed(word)
    assert isinstance(answer, MultitaskAnswer)
    assert answer.values == {name: found.tolist()[0] for name, found in fitted.predict([text]).items()}
    shares = fitted.predict_proba([text])
    assert {name: list(each.values()) for name, each in answer.probabilities.items()} == {
        name: found[0].tolist() for name, found in shares.items()
    }


def test_explained_one_target_at_a_time(fitted: Multitask) -> None:
    texts = reviews()["text"][:4]
    for name in NAMES:
        for one in fitted.explain(texts, name):
            assert one.steps.sum() == pytest.approx(one.score - one.nothing, abs=0.02 * max(1.0, abs(one.score)))
    stars = [one.score for one in fitted.explain(texts, "stars")]
    np.testing.assert_allclose(stars, fitted.predict(texts)["stars"], rtol=1e-5)
    with pytest.raises(OptionError, match="needs as y one of the targets to explain, 'mood', 'topic', 'stars'"):
        fitted.explain(texts)


def test_diagnosed(fitted: Multitask) -> None:
    frame = reviews()
    assert fitted.diagnose(frame, NAMES).layers
    assert fitted.diagnose(frame["text"]).layers


# ---- command line


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    pl.DataFrame(reviews()).write_csv("reviews.csv")
    flags = ["--hidden", "6", "--epochs", "1"]
    argv = ["fit", "multitask", "reviews.csv", "--input", "text", "--target", ",".join(NAMES), "--out", "model"]
    assert main([*argv, *flags, "--weights", '{"stars": 2}']) == 0
    assert "mood: label, 2 classes; topic: label, 3 classes; stars: number" in capsys.readouterr().err
    assert main(["predict", "model", "reviews.csv"]) == 0
    head = capsys.readouterr().out.splitlines()[0]
    assert head.endswith(
        "predicted_mood,probability_mood_bad,probability_mood_good,predicted_topic,probability_topic_film,"
        "probability_topic_hotel,probability_topic_phone,predicted_stars"
    )
    assert main(["score", "model", "reviews.csv", "--baseline", "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    model = load("model")
    found = model.evaluate(reviews(), NAMES)
    assert scored["stars.rmse"] == pytest.approx(found["stars.rmse"])
    assert scored["score"] == pytest.approx(model.score(reviews(), NAMES))
    assert [linear_baseline["name"] for linear_baseline in scored["baselines"]] == [
        "TF-IDF + logistic regression, TF-IDF + ridge regression",
        "the commonest class, the mean",
    ]
    assert scored["baselines"][0]["mood.accuracy"] > 0.9
    assert main(["fit", "multitask", "reviews.csv", "--target", "mood,topics", "--out", "other"]) == 2
    assert "topics" in capsys.readouterr().err


def test_the_command_line_prints_the_reports_and_the_card_repeats_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"text": f"a {w} film", "mood": "+" if i % 2 else None, "stars": i % 5} for i, w in enumerate("abcd" * 15)]
    rows[0]["mood"] = rows[2]["mood"] = "-"
    table = pl.DataFrame(rows)
    table.write_ndjson("t.jsonl")
    run = "fit multitask t.jsonl --target mood,stars --out 'my model' --input text --epochs 1 --hidden 2"
    assert main(shlex.split(f"{run} --restart")) == 0
    card = (tmp_path / "my model" / "README.md").read_text("utf-8")
    assert f"```sh\nelman {run}\n```" in card
    assert "elman score 'my model' test.jsonl --baseline" in card
    capsys.readouterr()
    assert main(["score", "my model", "t.jsonl"]) == 0
    printed = capsys.readouterr().out
    assert "mood:" in printed
    assert "expected calibration error" in printed
    assert main(["score", "my model", "t.jsonl", "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert scored["reports"]["mood"]["sequences"] == 32
    assert scored["reports"]["mood"]["accuracy"] == scored["mood.accuracy"]
