"""Texts without labels: what they teach, what a model keeps of them, runs that break off, what is refused."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.base import clone

import elman.tasks.pretrain.pretrainer as pretraining
from elman import Classifier, Generator, Ragged, Regressor
from elman.cli.main import main
from elman.errors import DataError, OptionError
from elman.io import model_folder as store
from elman.layers.encoder import Encoder
from elman.tasks import load
from elman.tasks.base.resolve import Summary
from elman.tasks.pretrain.objective import NextTokenObjective, lm_chunks, nats
from elman.training.checkpoint import Checkpoint
from elman.training.history import History

SMALL: dict[str, Any] = {"hidden": 6, "embed": 5, "epochs": 1, "pretrain_epochs": 1, "verbose": False}
LABELS = [i % 2 for i in range(60)]
GOOD, BAD, PLAIN = ["good", "fine", "great"], ["bad", "poor", "dull"], ["the", "a", "film", "was", "it"]


def made(labels: list[int], seed: int, unseen: str = "") -> list[str]:
    draw = random.Random(seed)
    return [" ".join([*draw.choices((GOOD if label else BAD) + PLAIN, k=8), unseen]).strip() for label in labels]


TEXTS, UNLABELLED = made(LABELS, 0), made(LABELS, 1, unseen="zanzibar")


def fitted(kind: type[Any] = Classifier, **options: Any) -> Any:
    return kind(**{**SMALL, "pretrain": UNLABELLED, **options}).fit(TEXTS, LABELS)


# ---- what texts teach


def test_words_without_a_label_are_understood() -> None:
    """Labelled texts hold one word of each group only; which words belong together, texts without labels say."""
    draw = random.Random(0)
    beside = [" ".join(draw.choices(group, k=6)) for group in (GOOD, BAD) for _ in range(300)]
    texts = [" ".join([(BAD, GOOD)[label][0]] * 6) for label in LABELS]
    unseen, truth = [" ".join([word] * 6) for word in GOOD[1:] + BAD[1:]], [1] * 2 + [0] * 2
    options: dict[str, Any] = {"hidden": 16, "embed": 8, "pretrain_epochs": 20, "epochs": 10, "ngrams": 0}
    options |= {"symbol_dropout": 0.0, "dropout": 0.0, "verbose": False}
    assert Classifier(pretrain=beside, **options).fit(texts, LABELS).score(unseen, truth) == 1.0


def test_vocabulary_and_facts() -> None:
    model = fitted()
    assert "zanzibar" in model.feature_.vocabulary_
    assert model.data_["pretraining texts"] == len(UNLABELLED) + model.data_["training sequences"]
    assert 0 < model.data_["pretraining nats per symbol"] < np.log(len(model.feature_.vocabulary_)) + 0.1
    assert not [name for name in vars(model) if name.startswith("_")]


@pytest.mark.parametrize("bidirectional", [False, True])
def test_weights_are_taken_over(bidirectional: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(pretraining, "learn", lambda model, *_: seen.append(model) or History("loss"))
    model = fitted(epochs=0, bidirectional=bidirectional)
    assert torch.equal(model.network_.input.weight, seen[0].input.weight)
    for name, weight in seen[0].encoder.state_dict().items():
        assert torch.equal(model.network_.encoder.state_dict()[name], weight)


def test_neither_direction_sees_what_it_is_to_say() -> None:
    torch.manual_seed(0)
    model = NextTokenObjective(9, 4, Encoder(4, 6, bidirectional=True)).eval()
    rows, targets = model(Ragged.of([[1, 2, 3, 4]]))
    assert targets.tolist() == [2, 3, 4, 1, 2, 3]
    changed, _ = model(Ragged.of([[1, 2, 7, 4]]))
    same = (rows == changed).all(1).tolist()
    assert same == [True, True, False, False, False, True]  # after 1, 1 2 forwards; before 4 backwards


def test_strands_and_nats() -> None:
    texts = Ragged.of([[1, 2, 3, 4, 5], [], [6], [7, 8]])
    assert [part.tolist() for part in lm_chunks(texts, 4)] == [[1, 2, 3, 4], [7, 8]]
    assert nats(NextTokenObjective(9, 4, Encoder(4, 6)).eval(), texts) == pytest.approx(np.log(9), abs=0.3)
    assert np.isnan(nats(NextTokenObjective(9, 4, Encoder(4, 6)), texts[2:3]))


# ---- models


@pytest.mark.parametrize("kind", [Classifier, Regressor])
def test_a_model_keeps_what_was_learnt_and_no_text(kind: type[Any], tmp_path: Path) -> None:
    model = fitted(kind)
    model.save(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8"))["config"]
    assert config["options"]["pretrain"] is None
    assert "zanzibar" not in json.dumps(config)
    again = load(tmp_path / "model")
    answer = "predict_proba" if kind is Classifier else "predict"
    assert np.array_equal(getattr(again, answer)(TEXTS), getattr(model, answer)(TEXTS))
    assert again.pretrain is None
    assert "pretraining texts" in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    session = again.stream()
    for word in TEXTS[0].split():
        session.feed(word)
    told = session.feed("").probabilities if kind is Classifier else session.feed("").value
    whole = getattr(again, answer)(TEXTS[:1])[0].tolist()
    assert (list(told.values()) if kind is Classifier else told) == whole


def test_looking_inside_and_learning_alike() -> None:
    one, other = fitted(), fitted()
    assert np.array_equal(one.predict_proba(TEXTS), other.predict_proba(TEXTS))
    assert len(one.explain(TEXTS[:2])) == 2
    assert one.diagnose(TEXTS[:8], LABELS[:8]).verdict


def test_parameters_are_those_given() -> None:
    clf = Classifier(pretrain=UNLABELLED)
    assert clf.get_params(deep=False)["pretrain"] is UNLABELLED
    assert clone(clf).pretrain == UNLABELLED
    assert clf.hidden is None
    config, plain = clf.config(), Classifier().config()
    assert (config.hidden, plain.hidden) == (512, 64)
    assert (config.learning_rate, plain.learning_rate) == (1e-3, 3e-3)
    summary = Summary(sequences=100, steps=100_000)
    tasks = (clf, Classifier(), Classifier(pretrain=["a"], epochs=7))
    assert [task.config(summary).epochs for task in tasks] == [7, 15, 7]
    assert fitted().pretrain is UNLABELLED


# ---- a Generator


def test_a_generator_brings_vocabulary_and_weights(tmp_path: Path) -> None:
    generator = Generator(unit="words", lower=True, hidden=7, embed=5, epochs=1, verbose=False).fit(UNLABELLED)
    generator.save(tmp_path / "generator")
    found = [
        Classifier(pretrain=given, epochs=0, verbose=False).fit(TEXTS, LABELS)
        for given in (generator, tmp_path / "generator", str(tmp_path / "generator"))
    ]
    for model in found:
        assert model.feature_.vocabulary_ == generator.feature_.vocabulary_
        assert torch.equal(model.network_.input.weight, generator.network_.input.weight[:-1])
        weights = generator.network_.encoder.state_dict()
        assert all(torch.equal(value, weights[key]) for key, value in model.network_.encoder.state_dict().items())
        assert model.learnt_with_["hidden"] == 7
    (tmp_path / "generator").rename(tmp_path / "elsewhere")  # `save` reads it no more
    found[1].save(tmp_path / "model")
    (tmp_path / "elsewhere").rename(tmp_path / "generator")
    assert np.array_equal(load(tmp_path / "model").predict_proba(TEXTS), found[0].predict_proba(TEXTS))
    for options, said in (
        ({"hidden": 6}, "hidden = 6, but the Generator in pretrain has hidden = 7"),
        ({"cell": "gru"}, "cell = 'gru', but"),
        ({"unit": "characters"}, "unit = 'characters' has no meaning with a Generator"),
        ({"bidirectional": True}, "a Generator reads in one direction"),
    ):
        with pytest.raises(OptionError, match=said):
            Classifier(pretrain=generator, **options).fit(TEXTS, LABELS)
    with pytest.raises(OptionError, match="is a Generator that is not fitted"):
        clone(Classifier(pretrain=generator)).fit(TEXTS, LABELS)
    found[0].save(tmp_path / "generator")
    with pytest.raises(OptionError, match="holds a model that does not generate"):
        Classifier(pretrain=tmp_path / "generator").fit(TEXTS, LABELS)


def test_a_folder_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Generator(unit="words", hidden=4, embed=4, epochs=1, verbose=False).fit(UNLABELLED).save(tmp_path / "generator")
    read, real = [], store.load
    monkeypatch.setattr(store, "load", lambda folder, **kind: (read.append(folder), real(folder, **kind))[1])
    Classifier(pretrain=tmp_path / "generator", epochs=0, verbose=False).fit(TEXTS, LABELS)
    assert read == [tmp_path / "generator"]


# ---- files, frames, runs that break off


def test_where_texts_come_from(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n".join([*UNLABELLED[:30], "", *UNLABELLED[30:]]) + "\n", encoding="utf-8")
    frame = pl.DataFrame({"note": ["x"] * 60, "review": UNLABELLED})
    frame.write_csv(tmp_path / "texts.csv")
    table = pl.DataFrame({"review": TEXTS})
    frame.write_csv(tmp_path / "notes.txt.csv")
    (tmp_path / "UPPER.TXT").write_bytes((tmp_path / "texts.txt").read_bytes())
    names = ["UPPER.TXT", "notes.txt.csv"]
    every = [
        *(tmp_path / name for name in names),
        tmp_path / "texts.txt",
        str(tmp_path / "texts.csv"),
        frame,
        frame["review"],
        {"review": UNLABELLED},
    ]
    answers = [Classifier(**SMALL, pretrain=given).fit(table, LABELS).predict_proba(TEXTS).tolist() for given in every]
    assert all(answer == answers[0] for answer in answers)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "more.txt").write_text("\n".join(UNLABELLED), encoding="utf-8")
    pl.DataFrame({"review": TEXTS, "label": LABELS}).write_csv(tmp_path / "train.csv")
    flags = ["--hidden", "6", "--embed", "5", "--epochs", "1", "--pretrain-epochs", "1", "--json"]
    begin = ["fit", "classify", str(tmp_path / "train.csv"), "--target", "label", "--out", str(tmp_path / "model")]
    assert main([*begin, "--pretrain", str(tmp_path / "more.txt"), *flags]) == 0
    assert json.loads(capsys.readouterr().out)["sequences"] == 60
    assert load(tmp_path / "model").data_["pretraining texts"] == 114


class DiedError(Exception):
    pass


@pytest.mark.parametrize("after", [1, 2, 3])  # epochs: within the texts, at their end, within the labels
def test_a_run_that_died_goes_on(after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"pretrain_epochs": 2, "epochs": 2}
    whole = fitted(**options)
    write, done = Checkpoint.write, []

    def dies(run: Any) -> None:
        write(run)
        done.append(run)
        if len(done) == after:
            raise DiedError

    model = Classifier(**{**SMALL, "pretrain": UNLABELLED, **options})
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "write", dies)
        with pytest.raises(DiedError):
            model.fit(TEXTS, LABELS, out=tmp_path / "model")
    model.fit(TEXTS, LABELS, out=tmp_path / "model", resume=True)
    assert np.array_equal(model.predict_proba(TEXTS), whole.predict_proba(TEXTS))
    assert len(model.history_) == 2


def test_ctrl_c_among_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(pretraining.NextTokenObjective, "forward", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fitted()


# ---- what is refused


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"layers": 2, "bidirectional": True}, OptionError, "layers = 2 must be 1 to learn texts in both directions"),
        ({"channels": 8}, OptionError, "channels = 8 must be 0 with pretrain"),
        ({"pretrain_epochs": -1}, OptionError, "pretrain_epochs = -1"),
        ({"pretrain": []}, DataError, "pretrain holds no texts"),
        ({"pretrain": ["a", None]}, DataError, "pretrain: sequence 1 is None"),
        ({"pretrain": [["a", "b"]]}, DataError, "pretrain holds tokens, but the input is text"),
        ({"pretrain": "no-such.txt"}, DataError, "no such file"),
        ({"pretrain": "long " * 100}, DataError, "cannot be read: File name too long. Give the name of a file"),
        ({"pretrain": ["a", "b\ud800"]}, DataError, "pretrain: sequence 1, character 1"),
        ({"pretrain": 3}, DataError, "pretrain is a int"),
        ({"pretrain": pl.DataFrame({"a": ["x"], "b": ["y"]})}, DataError, "no column of pretrain"),
    ],
)
def test_refused(options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        fitted(**options)


def test_refused_for_numbers_and_several_columns() -> None:
    with pytest.raises(OptionError, match="needs one column of texts or tokens, but the input is taken for numbers"):
        Classifier(**SMALL, pretrain=UNLABELLED).fit([[1.0, 2.0]] * 4, [0, 1, 0, 1])
    with pytest.raises(OptionError, match="but the input is taken for several columns"):
        Classifier(**SMALL, pretrain=UNLABELLED).fit(pl.DataFrame({"a": TEXTS, "b": TEXTS}), LABELS)
