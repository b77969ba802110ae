"""The tagger: what it takes, what it learns, spans and their rules, folders, streams, the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from elman.cli.main import main
from elman.errors import DataError, ModelFileError, OptionError
from elman.io import model_folder as store
from elman.io.tables import read_table
from elman.ragged import Ragged
from elman.tasks import Tagger, load
from elman.tasks.base.network import Network
from elman.tasks.base.resolve import Summary
from elman.tasks.base.training_run import held_out
from elman.tasks.tag.spans import obeys

SMALL: dict[str, Any] = {"hidden": 6, "embed": 5, "characters": 4, "epochs": 2, "verbose": False}


def sentences(count: int = 120) -> tuple[list[list[str]], list[list[str]]]:
    """Names that end in "ia" are places, two of them together one place; all else is nothing."""
    random = np.random.default_rng(0)
    words, labels = [], []
    for _ in range(count):
        own: list[str] = []
        for _ in range(int(random.integers(0, 7))):
            stem = "".join(random.choice(list("klmnrst"), 3))
            own.append(stem + ("ia" if random.random() < 0.4 else "o"))
        places = [word.endswith("ia") for word in own]
        before = [False, *places][:-1]
        labels.append([("I-place" if b else "B-place") if p else "O" for p, b in zip(places, before, strict=True)])
        words.append(own)
    return words, labels


WORDS, LABELS = sentences()


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    """To be read only."""
    return Tagger(**SMALL).fit(WORDS, LABELS)


@pytest.fixture(scope="module")
def onward() -> Tagger:
    """One that can stream, to be read only."""
    return Tagger(**SMALL, bidirectional=False).fit(WORDS, LABELS)


@pytest.mark.parametrize("crf", [True, False])
def test_learns_from_letters_what_no_vocabulary_shows(crf: bool) -> None:
    words, labels = sentences(400)
    options: dict[str, Any] = {"hidden": 16, "characters": 12, "epochs": 15, "learning_rate": 0.01, "crf": crf}
    tagger = Tagger(verbose=False, **options).fit(words[:300], labels[:300])
    assert tagger.score(words[300:], labels[300:]) > 0.9
    assert tagger.history_.metric == "f1"
    assert set(tagger.metrics_) == {"accuracy", "accuracy_sequences", "precision", "recall", "f1", "loss"}
    assert obeys(tagger.predict(words))
    shares = tagger.predict_proba(words[:5])
    assert [len(share) for share in shares] == [len(own) for own in words[:5]]
    np.testing.assert_allclose(np.concatenate(shares).sum(1), 1)


def test_answers_keep_the_rules_only_where_the_training_labels_do() -> None:
    wild = [["I-place" if label == "B-place" else label for label in own] for own in LABELS]
    wild[0] = [*["B-place"] * len(wild[0])]
    wild[-1] = ["B-place"] * len(wild[-1])
    tagger = Tagger(**SMALL).fit(WORDS, wild)
    assert tagger.spans_
    assert not tagger.constrained_


@pytest.mark.parametrize(
    ("X", "y", "kind"),
    [
        (WORDS, LABELS, "words"),
        (["MKV", "", "KK"], ["he_", "", "hh"], "tokens"),
        ([["M", "K"], ["V"]], [["h", "e"], ["h"]], "tokens"),
        (Ragged.of([[[1.0], [2.0]], [[3.0]]]), [[1, 0], [1]], "numbers"),
        (pl.Series([["ab", "c"], ["d"]]), pl.Series([[True, False], [True]]), "words"),
    ],
)
def test_kinds_of_sequences(X: Any, y: Any, kind: str, tmp_path: Path) -> None:
    tagger = Tagger(**SMALL).fit(X, y)
    assert tagger.feature_.kind == kind
    answers = tagger.predict(X)
    assert [len(a) for a in answers] == [len(b) for b in y]
    tagger.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.predict(X) == answers
    assert all(np.array_equal(a, b) for a, b in zip(again.predict_proba(X), tagger.predict_proba(X), strict=True))


@pytest.mark.parametrize("options", [{}, {"crf": False}, {"layers": 2, "cell": "gru"}])
def test_alone_and_in_a_batch_and_streamed(options: dict[str, Any]) -> None:
    tagger = Tagger(**SMALL, **options, bidirectional=False).fit(WORDS, LABELS)
    together = tagger.predict(WORDS)
    for words, labels, share in zip(WORDS[:20], together, tagger.predict_proba(WORDS), strict=False):
        assert tagger.predict([words]) == [labels]
        assert np.array_equal(tagger.predict_proba([words])[0], share)
        session = tagger.stream()
        for word in words:
            answer = session.feed(word)
        assert session.answer.labels == labels
        if words:
            assert answer.steps == len(words)
            assert answer.label == labels[-1]
            saved = session.state
            session.feed(["kkkia", "kkko"])
            session.state = saved
            assert session.answer == answer
            halves = tagger.stream()
            halves.feed(words[:2])
            assert halves.feed(words[2:]).labels == labels


@pytest.mark.parametrize(
    "change", [{"before": torch.tensor([99] * 6)}, {"before": torch.tensor([1])}, {"steps": torch.tensor([9])}]
)
def test_a_changed_state_is_refused(change: dict[str, torch.Tensor], onward: Tagger) -> None:
    session = onward.stream()
    session.feed(["a", "b", "c"])
    session.state = session.state | change
    with pytest.raises(DataError, match="of no session of this model"):
        _ = session.answer


def test_frames_and_names() -> None:
    frame = pl.DataFrame({"words": WORDS, "labels": LABELS})
    tagger = Tagger(**SMALL).fit(frame, "labels")
    assert tagger.predict(frame) == tagger.predict(WORDS)
    assert tagger.score(frame, "labels") == tagger.score(WORDS, LABELS)
    assert tagger.diagnose(WORDS[:20], LABELS[:20]).verdict


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (WORDS, LABELS[:-1], r"X has 120 sequences, y has 119"),
        ([["a", "b"], ["c"]], [["x", "y"], ["x", "y"]], r"y: sequence 1 has 2 labels, but 1 steps"),
        ([["a"], ["c"]], [["x"], ["x"]], r"only the label 'x'"),
        ([["a"], ["c"]], [["x"], [1]], r"y is mixed"),
        ([["a"], ["c"]], [["x"], [None]], r"y: sequence 1, step 0 has no label, got None"),
        ([["a"], ["c"]], [["x"], None], r"y: sequence 1 is None"),
        ([["a"], [None]], [["x"], ["y"]], r"sequence 1, step 0 is None"),
        ([["a"], ["c"]], None, r"y is None"),
        ({"a": WORDS, "b": LABELS, "c": LABELS}, ["b", "c"], r"one column of labels, got 'b', 'c'"),
    ],
)
def test_refused_data(X: Any, y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Tagger(**SMALL).fit(X, y)


def test_refused_options(tagger: Tagger) -> None:
    with pytest.raises(OptionError, match=r"characters = -1.*crf = 'yes'"):
        Tagger(characters=-1, crf="yes").fit(WORDS, LABELS)  # type: ignore[arg-type]
    with pytest.raises(
        OptionError, match=r"feature = 'text' has no meaning: labels belong to steps.*stride = 2 must be 1"
    ):
        Tagger(feature="text", stride=2).fit(WORDS, LABELS)
    for texts in (["a text"], WORDS[1]):
        with pytest.raises(DataError, match=r"is a text, .* but the model reads words"):
            tagger.predict(texts)
    with pytest.raises(OptionError, match="cannot stream"):
        tagger.stream()
    with pytest.raises(DataError, match="no steps to score"):
        tagger.score([[]], [[]])
    with pytest.raises(DataError, match="sequence 0 has 2 labels, but 1 steps"):
        tagger.score([["a"]], [["O", "O"]])
    assert tagger.score([["a"]], [["never"]]) == 0


def test_resumed_to_the_same_weights(tmp_path: Path) -> None:
    whole = Tagger(**SMALL | {"epochs": 4}).fit(WORDS, LABELS)
    run = Tagger(**SMALL | {"epochs": 4, "patience": None})
    run.fit(WORDS, LABELS, out=tmp_path / "model")
    again = Tagger(**SMALL | {"epochs": 4, "patience": None}).fit(WORDS, LABELS, out=tmp_path / "model", resume=True)
    for one, other in ((run, again), (whole, again)):
        assert all(
            torch.equal(a, b) for a, b in zip(one.network_.parameters(), other.network_.parameters(), strict=True)
        )


@pytest.mark.parametrize(
    "change",
    [
        {"classes": {"dtype": "<U7", "values": ["O"]}},
        {"scheme": None},
        {"scheme": "IOBES"},
        {"scheme": ["BIO"]},
        {"ruled": 3},
        {"classes": {"dtype": "O"}},
        {"input": 3},
        {"input": []},
        {"columns": 10**9 + 0.5},
        {"columns": -1},
    ],
)
def test_a_changed_folder_is_refused(change: dict[str, Any], tagger: Tagger, tmp_path: Path) -> None:
    tagger.save(tmp_path / "model")
    config, tensors, files = store.load(tmp_path / "model")
    load(tmp_path / "model")
    with pytest.raises(ModelFileError):
        Tagger.restore({**config, **change}, tensors, files)


# ---- the command line


def conll(path: Path, words: list[list[str]], labels: list[list[str]]) -> Path:
    rows = [[f"{word}\t{label}" for word, label in zip(*pair, strict=True)] for pair in zip(words, labels, strict=True)]
    path.write_text("\n\n".join("\n".join(own) for own in rows if own) + "\n", encoding="utf-8")
    return path


FLAGS = ["--hidden", "6", "--embed", "5", "--characters", "4", "--epochs", "2", "--no-verbose"]


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, model = str(conll(tmp_path / "a.conll", WORDS, LABELS)), str(tmp_path / "model")
    assert main(["fit", "tag", file, "--target", "tag", "--out", model, *FLAGS]) == 0
    assert "3 labels of spans (BIO); words" in capsys.readouterr().out
    assert main(["score", model, file, "--baseline", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= {"accuracy", "precision", "recall", "f1", "baselines"}
    assert 0.9 < found["baselines"][0]["f1"] < 1.0  # a word alone does not say whether it begins a place
    assert main(["predict", model, file, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [len(row["predicted_tag"]) for row in lines] == [len(own) for own in WORDS if own]


def test_texts_in_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, model = tmp_path / "a.csv", str(tmp_path / "model")
    rows = [f"{' '.join(a)},{' '.join(b)}" for a, b in zip(WORDS, LABELS, strict=True) if a]
    file.write_text("\n".join(["words,tags", *rows]), encoding="utf-8")
    assert main(["fit", "tag", str(file), "--target", "tags", "--out", model, *FLAGS]) == 0
    capsys.readouterr()
    assert main(["predict", model, str(file)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(rows) + 1
    (tmp_path / "new.csv").write_text("words\nlone\nword\n", encoding="utf-8")  # no space in any
    assert main(["predict", model, str(tmp_path / "new.csv")]) == 0
    assert [row.count(",") for row in capsys.readouterr().out.splitlines()] == [1, 1, 1]


def test_letters_in_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, model = tmp_path / "a.csv", str(tmp_path / "model")
    file.write_text("chain,state\nMKV,he_\nKK,hh\n", encoding="utf-8")
    assert main(["fit", "tag", str(file), "--target", "state", "--out", model, *FLAGS]) == 0
    capsys.readouterr()
    assert main(["predict", model, str(file)]) == 0
    assert [len(row.split(",")[0]) for row in capsys.readouterr().out.splitlines()] == [5, 3, 2]


def test_words_on_standard_input(
    onward: Tagger, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    onward.save(tmp_path / "model")
    fed = b'kkkia lllo\n["mmmia"]\n\nnnnia\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(fed)))
    assert main(["stream", str(tmp_path / "model"), "--json"]) == 0
    answers = [json.loads(line)["labels"] for line in capsys.readouterr().out.splitlines()]
    assert answers[1:] == onward.predict([["kkkia", "lllo", "mmmia"], ["nnnia"]])


def test_the_line_of_labels_too_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"x": ["a", "b"], "y": ["O", "P"]}\n{"x": ["a"], "y": ["O", "O"]}\n', encoding="utf-8")
    assert main(["fit", "tag", str(file), "--target", "y", "--out", str(tmp_path / "m"), *FLAGS]) != 0
    assert "line 2 of a.jsonl has 2 labels, but 1 steps" in capsys.readouterr().err
    assert not (tmp_path / "m" / "config.json").exists()


def test_a_conll_file_comes_back_with_its_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, model = conll(tmp_path / "a.conll", WORDS, LABELS), str(tmp_path / "model")
    assert main(["fit", "tag", str(file), "--column", "tag", "--out", model, *FLAGS]) == 0
    capsys.readouterr()
    answers = load(model).predict([own for own in WORDS if own])
    bare, out = tmp_path / "new.conll", tmp_path / "told.conll.gz"
    bare.write_text("\n\n".join("\n".join(own) for own in WORDS if own), encoding="utf-8")  # words alone
    assert main(["predict", model, str(bare)]) == 0
    (tmp_path / "printed.conll").write_text(capsys.readouterr().out, encoding="utf-8")
    assert read_table(tmp_path / "printed.conll").frame["tag"].to_list() == answers
    assert main(["predict", model, str(file), "--out", str(out)]) == 0
    found = read_table(out).frame
    assert found.columns == ["token", "column_2", "tag"]
    assert found["tag"].to_list() == answers
    assert main(["predict", model, str(bare), "--out", str(tmp_path / "told.jsonl")]) == 0
    assert read_table(tmp_path / "told.jsonl").frame["predicted_tag"].to_list() == answers
    assert main(["predict", model, str(bare), "--out", str(tmp_path / "told.conllu")]) != 0
    assert "told.conllu" in capsys.readouterr().err


# ---- several columns, and why a label


COLUMNS = {"words": WORDS, "size": [[len(word) for word in own] for own in WORDS], "of": ["a", "b"] * (len(WORDS) // 2)}


def test_words_beside_other_columns(tmp_path: Path) -> None:
    tagger = Tagger(**SMALL).fit(pl.DataFrame(COLUMNS | {"y": LABELS}), "y")
    assert tagger.feature_.kinds == {"words": "words", "size": "numbers", "of": "category"}
    answers = tagger.predict(pl.DataFrame(COLUMNS))
    assert [len(own) for own in answers] == [len(own) for own in WORDS]
    tagger.save(tmp_path / "model")
    assert load(tmp_path / "model").predict(COLUMNS) == answers
    tokens = Tagger(**SMALL, features={"words": "tokens"}).fit(COLUMNS, LABELS)
    assert tokens.feature_.kinds["words"] == "tokens"
    found = tagger.explain(pl.DataFrame(COLUMNS)[1:4])
    assert [set(one.columns) for one in found] == [set(COLUMNS)] * 3


def test_why_a_label(tagger: Tagger) -> None:
    new = [["never", "kkkia"], [], ["lllo", "mmmia", "nnnia"]]
    found = tagger.explain(new, [0, None, (-1, "O")])
    assert [list(one.symbols or ()) for one in found] == new
    assert [one.answer for one in found] == [tagger.predict(new)[0][0], None, "O"]
    for one in found:
        assert one.steps.sum() == pytest.approx(one.score - one.nothing, abs=1e-3)
    assert tagger.explain(new)[2].answer == tagger.predict(new)[2][-1]
    for y, message in (
        ([0, 0], "X has 3 sequences, y has 2"),
        ([2, 0, 0], "sequence 0 is a number, 2, but it has 2 steps"),
        (["a", 0, 0], "sequence 0 is a text, 'a', but it has 2 steps"),
        ([(0, "never"), 0, 0], "asks about 'never', which is none of the labels"),
    ):
        with pytest.raises(DataError, match=message):
            tagger.explain(new, y)
    letters = Tagger(**SMALL).fit(["ab", "ba"], ["xy", "yx"])
    assert list(letters.explain(["bac"])[0].symbols or ()) == ["b", "a", "c"]


@pytest.mark.parametrize("crf", [True, False])
def test_members_answer_together(crf: bool, tmp_path: Path) -> None:
    tagger = Tagger(**SMALL, ensemble_size=3, crf=crf).fit(WORDS, LABELS)
    network, data = tagger.network_, tagger.feature_.transform(WORDS)
    assert len(network.ensemble) == tagger.ensemble_size_ == 3
    scores = [Network.forward(member, data) for member in network.ensemble]
    assert not torch.equal(scores[0], scores[1])
    torch.testing.assert_close(network(data), (scores[0] + scores[1] + scores[2]) / 3)
    codes = torch.from_numpy(np.searchsorted(tagger.classes_, [label for own in LABELS for label in own]))
    if crf:
        pairs = zip(network.ensemble, scores, strict=True)
        alone = [member.crf.nll(data.with_values(own), codes) for member, own in pairs]
        torch.testing.assert_close(network.nll(data, codes), torch.stack(alone).mean(0))
        mean = sum(member.crf.weight for member in network.ensemble) / 3
        torch.testing.assert_close(network.together().weight, mean)
    assert all(
        np.array_equal(tagger.predict_proba([w])[0], p) for w, p in zip(WORDS, tagger.predict_proba(WORDS), strict=True)
    )

    tagger.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert str(again.predict_proba(WORDS)) == str(tagger.predict_proba(WORDS))
    for one in again.explain(WORDS[:3]):
        assert one.steps.sum() == pytest.approx(one.score - one.nothing, abs=1e-3)
    assert len(tagger.diagnose(WORDS[:5]).layers) == 3 * len(
        Tagger(**SMALL).fit(WORDS, LABELS).diagnose(WORDS[:5]).layers
    )
    config, tensors, files = store.load(tmp_path / "model")
    for options in ({"ensemble_size": 2}, {"ensemble_size": 10**9}):
        with pytest.raises(ModelFileError):
            Tagger.restore(config | {"options": config["options"] | options}, tensors, files)


def test_spans_lean_from_o(tmp_path: Path) -> None:
    words, labels = sentences(1400)
    tagger = Tagger(**SMALL | {"epochs": 1}, bidirectional=False).fit(words, labels)
    rest = held_out(None, len(words), tagger.validation, tagger.seed)
    kept = [words[i] for i in rest], [labels[i] for i in rest]
    chosen, found = tagger.outside_offset_, {}
    for tagger.outside_offset_ in np.arange(0, 3.25, 0.25).tolist():
        found[tagger.outside_offset_] = tagger.score(*kept)
    assert found[chosen] == max(found.values()) > found[0.0]
    assert chosen == min(lean for lean, f1 in found.items() if f1 == found[chosen])
    tagger.outside_offset_ = chosen
    assert tagger.metrics_["f1"] == found[chosen]
    assert tagger.evaluate(*kept)["recall"] == tagger.metrics_["recall"]
    tagger.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.predict(words) == tagger.predict(words)
    session = again.stream()
    session.feed(words[2])
    assert session.answer.labels == tagger.predict(words[2:3])[0]
    assert Tagger(**SMALL).fit(WORDS, LABELS).outside_offset_ == 0.0  # too few spans are held out
    config, tensors, files = store.load(tmp_path / "model")
    for lean in (-1.0, 0.3, float("nan"), "1", None, 10**9):
        with pytest.raises(ModelFileError):
            Tagger.restore(config | {"lean": lean}, tensors, files)


def test_how_many_members() -> None:
    chains = ["MKV", "KK"] * 99, ["he_", "hh"] * 99
    few = {**SMALL, "hidden": 2, "epochs": 1}
    assert Tagger(**few).fit(*chains).ensemble_size_ == 5
    assert Tagger(**few, ensemble_size=1).fit(*chains).ensemble_size_ == 1
    assert Tagger(**few, bidirectional=False).fit(*chains).ensemble_size_ == 1
    assert Tagger(**few).fit(*(part + part[:2] for part in chains)).ensemble_size_ == 1
    assert Tagger(**few).fit(WORDS, LABELS).ensemble_size_ == 1
    with pytest.raises(
        OptionError, match=r"ensemble_size = 2 networks cannot stream\. Fit the tagger with ensemble_size=1"
    ):
        Tagger(**few, ensemble_size=2, bidirectional=False).fit(WORDS, LABELS).stream()
    for ensemble_size in (0, 10**9):
        with pytest.raises(
            OptionError, match=f"ensemble_size = {ensemble_size} must be a whole number from 1 to 1000, or None"
        ):
            Tagger(ensemble_size=ensemble_size).fit(WORDS, LABELS)


def test_what_is_left_out_depends_on_what_a_step_is() -> None:
    letters = Tagger(**SMALL).fit(["MKV", "KK"], ["he_", "hh"]).network_
    assert letters.path.front is not None
    assert (letters.dropout.p, letters.encoder.dropout.rate, letters.input.dropout) == (0.3, 0.6, 0.0)
    words = Tagger(**SMALL, dropout=0.1).fit(WORDS, LABELS).network_
    assert words.path.front is None
    assert (words.dropout.p, words.encoder.dropout.rate, words.input.words.dropout) == (0.5, 0.1, 0.4)
    assert Tagger(**SMALL, cell="conv_lstm").fit(["MKV", "KK"], ["he_", "hh"]).network_.path.front is None
    with pytest.raises(OptionError, match=r"dropout = 2 must be.*head_dropout = 'a'"):
        Tagger(dropout=2, head_dropout="a").fit(WORDS, LABELS)  # type: ignore[arg-type]
    config = Tagger().config(Summary(sequences=3000, steps=60_000, updates=600))
    assert (config.batch_sequences, config.epochs, config.dropout) == (15, 18, 0.4)
