"""The transcriber: what it takes, what it learns, decoding, folders, streams, refusals, the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elman.cli.main import main
from elman.errors import DataError, ModelFileError, OptionError
from elman.io import model_folder as store
from elman.tasks import Generator, Transcriber, load
from elman.tasks.transcribe.shallow_fusion import NgramScorer
from elman.tasks.transcribe.vocabulary import TranscriptVocabulary
from sounds import write

SMALL: dict[str, Any] = {"hidden": 8, "layers": 1, "channels": 8, "kernel": 3, "stride": 2, "verbose": False}
QUICK = SMALL | {"epochs": 2}


def spoken(count: int = 90) -> tuple[list[Any], list[str]]:
    """Two "words" a sequence: each letter is a number that is high for four steps, with noise."""
    random = np.random.default_rng(0)
    heights = {"a": [2, 0, 0], "b": [0, 2, 0], " ": [0, 0, 2]}
    sequences, texts = [], []
    for _ in range(count):
        text = " ".join("".join(random.choice(list("ab"), random.integers(1, 4))) for _ in range(2))
        rows = np.concatenate([np.repeat([heights[letter], [0, 0, 0]], [4, 2], axis=0) for letter in text])
        sequences.append((rows + random.normal(0, 0.1, rows.shape)).astype(np.float32))
        texts.append(text)
    return sequences, texts


X, Y = spoken()


@pytest.fixture(scope="module")
def model() -> Transcriber:
    return Transcriber(**SMALL, epochs=14, learning_rate=0.03, seed=0).fit(X, Y)


def test_learns_what_was_said(model: Transcriber, tmp_path: Path) -> None:
    found = model.evaluate(X, Y)
    assert set(found) == {"wer", "cer", "loss"}
    assert model.score(X, Y) == -found["wer"]
    assert found["cer"] < 0.3
    assert found["cer"] <= model.evaluate(X, Y, beam=1)["cer"] + 0.02
    assert set(model.metrics_) == {"wer", "cer", "loss"}
    logs = model.predict_log_proba(X[:3])
    assert [len(one) for one in logs] == [-(-len(x) // 2) for x in X[:3]]
    np.testing.assert_allclose(np.exp(logs[0]).sum(1), 1)
    assert model.diagnose(X[:20], Y[:20]).verdict
    model.save(tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.predict(X) == model.predict(X)
    assert again.evaluate(X, Y) == found


def test_alone_and_in_a_batch(model: Transcriber) -> None:
    together, shares = model.predict(X[:10]), model.predict_log_proba(X[:10])
    for x, told, share in zip(X, together, shares, strict=False):
        assert model.predict([x]) == [told]
        assert np.array_equal(model.predict_log_proba([x])[0], share)
    assert model.predict([np.zeros((0, 3))]) == [""]
    assert model.predict([]) == []


def test_a_generator_in_place_of_the_phrases(model: Transcriber) -> None:
    texts = Generator(hidden=8, embed=4, epochs=2, verbose=False).fit(Y)
    told = model.predict(X[:5], language=texts)
    assert all(isinstance(text, str) for text in told)
    with pytest.raises(OptionError, match="language is a str"):
        model.predict(X[:5], language="words")
    strange = Generator(hidden=4, embed=4, epochs=0, verbose=False).fit(["xyz", "zyx"])
    with pytest.raises(OptionError, match="none of the symbols"):
        model.predict(X[:5], language=strange)


@pytest.mark.parametrize("options", [{"beam": 1}, {"beam": 4}, {"beam": 4, "language": "words"}, {"language": None}])
def test_streamed(options: dict[str, Any]) -> None:
    heard = Transcriber(**QUICK, **options, bidirectional=False, learning_rate=0.05).fit(X, Y)
    for x, told in zip(X[:6], heard.predict(X[:6]), strict=True):
        session = heard.stream()
        for piece in np.split(x, [1, 2, 9]):
            partial = session.feed(piece).transcript
        assert session.answer.transcript == partial == told
        assert session.answer.steps == len(x)
        saved = session.state
        session.feed(x)
        session.state = saved
        assert session.answer.transcript == told
        assert heard.predict([x[:9]]) == [heard.stream().feed(x[:9]).transcript]


def test_words_and_lists(tmp_path: Path) -> None:
    words = Transcriber(**QUICK, spelling="words").fit(X, Y)
    assert words.vocabulary_.kind == "words"
    assert all(set(text.split()) <= set(words.vocabulary_.symbols) for text in words.predict(X[:5]))
    lists = Transcriber(**QUICK).fit(X, [list(text.replace(" ", "")) for text in Y])
    assert all(set(told) <= {"a", "b"} for told in lists.predict(X))
    lists.save(tmp_path / "m")
    assert load(tmp_path / "m").predict(X[:5]) == lists.predict(X[:5])


def test_spelled_words_are_read_back_in_a_line() -> None:
    """Each number once, however many there are; a word that comes twice would shift the numbers of those behind it."""
    phrases = NgramScorer(TranscriptVocabulary.of(["ab ba"], "characters"), "words", 2, weight=1.0, bonus=0.0)
    numbers = [n for i in range(60_000) for n in (17, *((i >> bit & 1) + 1 for bit in range(17)))]
    assert len(phrases._spelled(torch.tensor(numbers))) == 60_000
    for wrong in ([1, 1, 1, 1], [0], [-1, 1], [3, 1, 1], [1, 9]):
        with pytest.raises(ValueError, match="words"):
            phrases._spelled(torch.tensor(wrong))


def test_silence_unknown_symbols_and_what_cannot_fit() -> None:
    heard = Transcriber(**QUICK).fit([*X, np.zeros((9, 3))], [*Y, ""])
    found = heard.evaluate(X[:2], ["Q" + Y[0], "a" * 500])
    assert found["wer"] > 0
    assert "loss" not in found
    assert "loss" in heard.evaluate(X[:2], ["Q", Y[1]])
    with pytest.raises(DataError, match="no sequences to score"):
        heard.score([], [])


def test_texts_without_spaces_are_scored_by_characters() -> None:
    han = [text.replace("a", "你").replace("b", "好").replace(" ", "嗎") for text in Y]
    heard = Transcriber(**QUICK).fit(X, han)
    assert heard.history_.metric == "cer"
    assert heard.score(X, han) == -heard.evaluate(X, han)["cer"]


@pytest.mark.parametrize(
    ("column", "y", "message"),
    [
        (X, Y[:-1], "X has 90 sequences, y has 89"),
        (
            X,
            [*Y[:-1], "ab" * 40],
            r"y: sequence 89 has 80 symbols, 0 of them .* which need 80 steps .* after a stride of 2",
        ),
        (X, [*Y[:-1], "b" * 12], r"sequence 89 has 12 symbols, 11 of them equal"),
        ([*X[:-1], np.zeros((0, 3))], Y, "sequence 89 has .* but it has 0"),
        (X, [""] * 90, "empty transcripts only"),
        (X, None, "y is None"),
        (X, [*Y[:-1], "a\ud800"], "sequence 89, character 1 is .* one half of a surrogate pair"),
        (X, [["a\ud800"]] * 90, "sequence 0, character 1 is .* one half of a surrogate pair"),
        (["a\0.wav"] * 3, ["a"] * 3, "sequence 0: a.* cannot be read: embedded null"),
        (["\ud800.wav"] * 3, ["a"] * 3, "sequence 0: .* cannot be read: .*surrogates"),
        ([["a", "b"]] * 3, ["a"] * 3, "X holds tokens. A transcriber reads sound"),
        (["none.wav"] * 3, ["a"] * 3, "sequence 0: none.wav cannot be read"),
    ],
)
def test_refused_data(column: Any, y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Transcriber(**QUICK).fit(column, y)


def test_refused_options(model: Transcriber) -> None:
    bad: dict[str, Any] = {"beam": 0, "spelling": "x", "language": "x", "order": 0, "speed": 1, "word_bonus": "a"}
    with pytest.raises(OptionError) as caught:
        Transcriber(**bad, holes=-1, features={"a": "text"}).fit(X, Y)
    for name in (*bad, "holes", "features"):
        assert name in str(caught.value)
    with pytest.raises(OptionError, match="beam = 0 must be"):
        model.predict(X, beam=0)
    with pytest.raises(OptionError, match="cannot stream"):
        model.stream()
    with pytest.raises(OptionError, match="one column"):
        Transcriber(**QUICK).fit({"a": X, "b": X, "y": Y}, "y")


def test_resumed_to_the_same_weights(tmp_path: Path) -> None:
    options: dict[str, Any] = SMALL | {"epochs": 3, "patience": None, "hidden": 4}
    whole = Transcriber(**options).fit(X, Y, out=tmp_path / "model")
    again = Transcriber(**options).fit(X, Y, out=tmp_path / "model", resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.network_.parameters(), again.network_.parameters(), strict=True))


@pytest.mark.parametrize(
    "change",
    [{"script": {"symbols": ["a", "a"], "kind": "words"}}, {"script": {"symbols": ["a"], "kind": "x"}}, {"phrases": 3}],
)
def test_a_changed_folder_is_refused(change: dict[str, Any], model: Transcriber, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    config, tensors, files = store.load(tmp_path / "model")
    with pytest.raises(ModelFileError):
        Transcriber.restore({**config, **change}, tensors, files)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    random, said = np.random.default_rng(0), ["LOW", "HIGH LOW", "", "HIGH"] * 3
    for i, text in enumerate(said):
        tones = [np.sin(np.arange(2400) * (0.2 if word == "LOW" else 0.6)) for word in text.split()]
        write(tmp_path / f"{i}.wav", 0.3 * np.concatenate([*tones, random.normal(0, 0.01, 800)]))
    table = tmp_path / "t.jsonl"
    rows = [json.dumps({"wav": f"{i}.wav", "text": text}) for i, text in enumerate(said)]
    table.write_text("\n".join(rows), encoding="utf-8")
    model, flags = str(tmp_path / "m"), ["--hidden", "4", "--channels", "4", "--epochs", "1", "--no-verbose"]
    arguments = ["fit", "transcribe", str(table), "--input", "wav", "--target", "text", "--out", model, *flags]
    assert main([*arguments, "--no-bidirectional"]) == 0
    assert "7 characters; sound, 8000 samples" in capsys.readouterr().out
    assert main(["score", model, str(table), "--baseline", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= {"wer", "cer", "baselines"}
    assert found["baselines"][0]["wer"] == pytest.approx(0.75)
    assert main(["predict", model, str(table)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 12
    lines = tmp_path / "lines"
    lines.write_text(f"{tmp_path}/0.wav\n0.1 0.2 0.3\n")
    with lines.open() as opened:
        monkeypatch.setattr("sys.stdin", opened)
        assert main(["stream", model, "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["steps"] for line in told] == [38, 38]
    table.write_text(rows[0] + "\n" + json.dumps({"wav": "1.wav", "text": "X" * 99}), encoding="utf-8")
    assert main([*arguments, "--restart"]) != 0
    assert "line 2 of t.jsonl has 99 symbols" in capsys.readouterr().err
    table.write_text(json.dumps({"wav": "1.wav", "text": None}), encoding="utf-8")
    assert main(["score", model, str(table)]) != 0
