"""The language model on chords: their chances, what it writes, the command line."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elman.cli.main import main
from elman.errors import DataError, OptionError
from elman.ragged import Ragged
from elman.tasks import Generator, load

PIECES = [[[60, 64, 67], [60, 65], [], [62]], [[60, 64, 67], [59, 62]]] * 6


def fitted(X: Any = PIECES, **options: Any) -> Generator:
    known = {"hidden": 8, "embed": 6, "epochs": 2, "verbose": False, "feature": "chords"}
    return Generator(**{**known, **options}).fit(X)


def test_nats_per_step() -> None:
    model = fitted()
    found = model.evaluate(PIECES[:2])
    assert found["steps"] == 6
    assert found["symbols"] == 11 + 6 + 2  # notes, ends of chords, ends of pieces
    assert found["nats_per_step"] * 6 == pytest.approx(float(model.nats(PIECES[:2]).sum()))
    assert model.score(PIECES[:2]) == -found["nats"]


def test_chances_of_a_note_see_the_chords_before_and_the_notes_over_it() -> None:
    model = fitted(epochs=1, ngrams=0)
    piece = [[60, 64], [62]]
    codes = [131 - 1, 65, 61, 129, 63, 129, 130]  # boundary, 64, 60, |, 62, |, boundary
    with torch.no_grad():
        scores, _ = model.network_(Ragged.of([codes[:-1]], dtype=torch.int64))
    logs = torch.log_softmax(scores.double(), 1).gather(1, torch.tensor(codes[1:])[:, None])
    assert float(model.nats([piece])[0]) == pytest.approx(-float(logs.sum()), rel=1e-6)
    session = model.stream()
    session.feed([60, 64])
    answer = session.feed([[62]])
    assert answer.nats - math.log(float(session.state["logs"].exp()[0, -1])) == pytest.approx(-float(logs.sum()))


@pytest.mark.parametrize("seed", range(4))
def test_writes_chords(seed: int) -> None:
    model = fitted(epochs=1)
    made = model.generate([[60, 64]], length=6, seed=seed, temperature=2.0)
    assert made[0] == [60, 64]
    assert len(made) <= 7
    assert all(chord == sorted(set(chord)) and all(0 <= note <= 127 for note in chord) for chord in made)
    assert made == model.generate([[60, 64]], length=6, seed=seed, temperature=2.0)
    assert made[1:] == list(model.generating([[60, 64]], length=6, seed=seed, temperature=2.0))
    only = model.generate(length=5, seed=seed, form=lambda said, symbols: {"60", "64", "|"})
    assert len(only) == 5
    assert {note for chord in only for note in chord} <= {60, 64}


def test_learns_higher_and_lower() -> None:
    plain, moved = fitted(), fitted(transpose=2)
    assert moved.data_["training steps"] == 5 * plain.data_["training steps"]
    assert len(fitted([[[1], [126]]], transpose=3).history_) == 2  # what leaves the range is left out


def test_learns_what_comes_next() -> None:
    pieces = [[[60, 64], [62, 65], []] * 3] * 32
    fast = {"learning_rate": 0.03, "dropout": 0.0, "head_dropout": 0.0, "batch_sequences": 8}
    model = fitted(pieces, hidden=32, embed=24, epochs=40, **fast)
    assert model.evaluate(pieces)["nats_per_step"] < 3.0  # 2.4 symbols of 131 a chord, 12 nats without learning


def test_save_and_load(tmp_path: Path) -> None:
    model = fitted()
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.evaluate(PIECES) == model.evaluate(PIECES)
    assert again.generate(length=3, seed=1) == model.generate(length=3, seed=1)


def test_refused() -> None:
    with pytest.raises(DataError, match="feature='chords'"):
        Generator(epochs=1).fit(PIECES)
    with pytest.raises(DataError, match="sequence 0, step 0"):
        fitted([[60, 62]])
    with pytest.raises(OptionError, match=r"feature = 'chord' .*did you mean 'chords'.*transpose = -1"):
        fitted(feature="chord", transpose=-1)


def test_tokens_stay_what_they_are() -> None:
    model = fitted([[1, 2, 3]] * 5, feature="tokens", dropout=0.0)
    assert set(map(type, model.generate([1], length=5, seed=1))) == {int}


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, model, midi = tmp_path / "pieces.jsonl", str(tmp_path / "model"), tmp_path / "out.mid"
    file.write_text("\n".join(json.dumps({"notes": piece}) for piece in PIECES))
    flags = ["--feature", "chords", "--hidden", "8", "--embed", "6", "--epochs", "1", "--no-verbose"]
    assert main(["fit", "generate", str(file), "--input", "notes", "--out", model, *flags]) == 0
    assert "chords, notes 59 to 67" in capsys.readouterr().out
    assert main(["score", model, str(file), "--baseline", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["nats_per_step"] > 0
    asked = ["generate", model, "--prompt", "[[60, 64]]", "--length", "3", "--seed", "1", "--midi", str(midi)]
    assert main(asked) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == [60, 64]
    assert lines == load(model).generate([[60, 64]], length=3, seed=1)
    assert midi.read_bytes()[:4] == b"MThd"
    capsys.readouterr()
    for bad, says in (
        (f"{model}/x.mid", "lies within the model"),
        (str(tmp_path / "no" / "x.mid"), "cannot be written"),
    ):
        assert main([*asked[:-1], bad]) == 2
        said = capsys.readouterr()
        assert says in said.err
        assert not said.out  # refused before anything is written
    for prompt in ("[" * 5000, '["\\ud800"]', "{}"):
        assert main(["generate", model, "--prompt", prompt]) == 2
        assert "is no JSON list" in capsys.readouterr().err
    assert main([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == lines
    assert main(["generate", model, "--prompt", "C E G"]) != 0
    assert "no JSON list" in capsys.readouterr().err
    assert np.isfinite(load(model).nats(PIECES)).all()


def test_midi_of_a_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fitted(["abc"] * 3, feature="auto").save(tmp_path / "model")
    assert main(["generate", str(tmp_path / "model"), "--midi", "x.mid"]) != 0
    assert "--midi needs a model of chords" in capsys.readouterr().err
