"""The best transcripts, and where their words are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elman.cli.main import main
from elman.errors import DataError, OptionError
from elman.tasks import Transcriber
from sounds import write

SMALL: dict[str, Any] = {"layers": 1, "channels": 8, "kernel": 3, "stride": 2, "verbose": False, "seed": 0}
HEIGHTS = {"a": [2, 0, 0], "b": [0, 2, 0], " ": [0, 0, 2]}


def spoken(text: str, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """Each letter is high for four steps, then nothing for two."""
    rows = np.concatenate([np.repeat([HEIGHTS[letter], [0, 0, 0]], [4, 2], axis=0) for letter in text])
    return (rows + random.normal(0, 0.1, rows.shape)).astype(np.float32)


def texts(count: int, random: np.random.Generator) -> list[str]:
    return [" ".join("".join(random.choice(list("ab"), random.integers(1, 4))) for _ in range(2)) for _ in range(count)]


RANDOM = np.random.default_rng(0)
Y = texts(90, RANDOM)
X = [spoken(text, RANDOM) for text in Y]


@pytest.fixture(scope="module")
def model() -> Transcriber:
    return Transcriber(**SMALL, hidden=8, epochs=14, learning_rate=0.03).fit(X, Y)


def test_the_best_transcripts(model: Transcriber) -> None:
    answers, scores = model.predict_top(X[:9], k=4)
    assert [own[0] for own in answers] == model.predict(X[:9])
    for own, numbers in zip(answers, scores, strict=True):
        assert len(own) == len(set(own)) == len(numbers) <= 4
        assert numbers == sorted(numbers, reverse=True)
    assert model.predict_top(X[:1], k=4) == (answers[:1], scores[:1])
    assert model.predict_top([], k=4) == ([], [])
    assert len(model.predict_top(X[:1], k=20, beam=1)[0][0]) > 1
    with pytest.raises(OptionError, match="k = 0 must be"):
        model.predict_top(X[:1], k=0)
    with pytest.raises(OptionError, match="beam = 0"):
        model.predict_top(X[:1], beam=0)


def test_words_are_where_they_were_said(model: Transcriber) -> None:
    found = model.align(X, Y)
    for words, text, x in zip(found, Y, X, strict=True):
        assert [word.word for word in words] == text.split()
        first, second = words
        gap = 6 * text.index(" ")  # the first step of the space
        assert 0 <= first.start < first.stop <= gap + 4
        assert gap <= second.start < second.stop <= len(x)
        assert all(0 < word.probability <= 1 for word in words)
    assert [" ".join(word.word for word in own) for own in model.align(X[:9])] == model.predict(X[:9])
    assert model.align(X[:1], [""]) == [[]]
    assert model.align([]) == []


def test_transcripts_without_a_place(model: Transcriber) -> None:
    with pytest.raises(DataError, match=r"y: sequence 1 has the symbol '.*', which is not in the vocabulary"):
        model.align(X[:2], ["a b", "a c"])
    with pytest.raises(DataError, match=r"y: sequence 0 has .* symbols"):
        model.align(X[:1], ["ab" * 90])


def test_seconds_and_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(1)
    rows = []
    for i in range(8):
        sound = np.sin(np.arange(8000) * (0.1 + 0.05 * (i % 2))) * 0.3 + random.normal(0, 0.001, 8000)
        write(tmp_path / f"{i}.wav", sound, 8000)
        rows.append(f"{i}.wav,{['low tone', 'high tone'][i % 2]}")
    Path("t.csv").write_text("\n".join(["wav,text", *rows]))
    flags = ["--hidden", "8", "--channels", "8", "--epochs", "1", "--no-verbose", "--stride", "2"]
    assert main(["fit", "transcribe", "t.csv", "--input", "wav", "--target", "text", "--out", "m", *flags]) == 0
    capsys.readouterr()
    model = Transcriber(**SMALL, hidden=8, epochs=1).fit(["0.wav", "1.wav"] * 4, ["low tone", "high tone"] * 4)
    (words,) = model.align(["1.wav"], ["high tone"])
    assert [word.word for word in words] == ["high", "tone"]
    assert words[0].start < words[0].stop <= words[1].start < words[1].stop <= 1.0  # a second of sound
    assert round(words[1].stop / 0.02, 6) == round(words[1].stop / 0.02) or words[1].stop > 0.97
    assert main(["predict", "m", "t.csv", "--times", "--top", "2", "--json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"predicted_text", "predicted_text_1", "score_1", "times_text"} <= set(answers[0])
    for answer in answers:
        assert " ".join(word["word"] for word in answer["times_text"]) == answer["predicted_text"]
    assert main(["predict", "m", "t.csv", "--times", "--out", "x.csv"]) == 2
    assert "times_text" in capsys.readouterr().err
