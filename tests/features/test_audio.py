"""Sound as steps: beside torch.stft and a mel matrix written from the literature, in pieces, from files, in tasks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from elman.cli.main import main
from elman.errors import DataError, ModelFileError, OptionError
from elman.features import Sound
from elman.features.audio import mel_bands
from elman.ragged import Ragged
from elman.tasks import Classifier, load
from sounds import write

RANDOM = np.random.default_rng(0)


def tone(pitch: float, samples: int = 1600, rate: int = 8000) -> Any:
    """A sound with an overtone and noise."""
    turn = 2 * np.pi * pitch * np.arange(samples) / rate
    return 0.3 * np.sin(turn) + 0.1 * np.sin(3 * turn) + RANDOM.normal(0, 0.01, samples)


def mel_by_hand(rate: int, points: int, bands: int) -> Any:
    """Triangles on the mel scale, bin by bin, as Davis & Mermelstein draw them."""

    def mel(f: float) -> float:
        return 1127.01048 * math.log(1 + f / 700)

    def back(m: float) -> float:
        return 700 * (math.exp(m / 1127.01048) - 1)

    low, high = mel(60), mel(rate / 2)
    corner = [back(low + (high - low) * i / (bands + 1)) for i in range(bands + 2)]
    made = np.zeros((bands, points // 2 + 1))
    for band in range(bands):
        left, top, right = corner[band : band + 3]
        for k in range(points // 2 + 1):
            f = k * rate / points
            if left <= f <= top:
                made[band, k] = (f - left) / (top - left)
            elif top < f <= right:
                made[band, k] = (right - f) / (right - top)
    return made


@pytest.mark.parametrize(("rate", "window"), [(8000, 200), (16000, 400)])
def test_like_torch_and_the_mel_scale(rate: int, window: int) -> None:
    np.testing.assert_allclose(mel_bands(rate, 512, 40), mel_by_hand(rate, 512, 40), atol=1e-6)
    sound = tone(440, 3000, rate)
    made = Sound(rate=rate, scale="none").fit([sound]).transform([sound])
    x = torch.from_numpy(sound)
    frames = x.unfold(0, window, rate // 100)
    spectrum = torch.fft.rfft(frames * torch.hann_window(window, dtype=torch.float64), 512)
    # torch.stft puts a window that is shorter than the transform into its middle: the same power.
    pad = (512 - window) // 2
    padded = torch.nn.functional.pad(x, (pad, 512 - window - pad))
    again = torch.stft(
        padded,
        512,
        rate // 100,
        window,
        torch.hann_window(window, dtype=torch.float64),
        center=False,
        return_complex=True,
    )
    power = again.abs().square().T[: len(frames)]
    np.testing.assert_allclose(power, spectrum.abs().square(), rtol=1e-6, atol=1e-9)
    truth = (power @ torch.from_numpy(mel_by_hand(rate, 512, 40)).T).clamp(min=1e-10).log()
    np.testing.assert_allclose(made.values, truth, atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 11025, 16000])
def test_pieces_have_the_bits_of_the_whole(rate: int) -> None:
    sound = Sound(rate=8000).fit([tone(300), tone(700)])
    x = tone(440, 5000, rate)
    whole = sound.transform([(x, rate), (x[:30], rate)])
    assert whole.lengths[1] == 0
    state, made = sound.initial_state(), []
    for piece in np.split(x, np.sort(RANDOM.integers(0, 5000, 30))):
        steps, state = sound.advance((piece, rate), state)
        made.append(steps)
    assert torch.equal(torch.cat(made), whole.values)
    if rate != 8000:
        with pytest.raises(DataError, match="the chunks before it had"):
            sound.advance(x, state)


def test_silence_stereo_and_scale() -> None:
    sound = Sound(rate=8000).fit([tone(440), np.stack([tone(300), np.zeros(1600)], axis=1)])
    every = sound.transform([tone(440), np.stack([tone(300), np.zeros(1600)], axis=1)]).values
    assert every.mean().abs() < 0.1
    assert every.std() == pytest.approx(1, abs=0.1)
    silent = sound.transform([np.zeros(1600)]).values
    assert torch.isfinite(silent).all()
    assert torch.equal(silent[0], silent[-1])
    only = Sound(rate=8000).fit([np.zeros(1600)])
    assert only.transform([np.zeros(300)]).values.abs().max() < 1e-6


def test_files_and_rates(tmp_path: Path) -> None:
    paths: list[Any] = [
        write(tmp_path / "a.wav", tone(440)),
        str(write(tmp_path / "b.wav", tone(440, 3200, 16000), 16000)),
    ]
    sound = Sound().fit(paths)
    assert sound.rate_ == 8000
    assert sound.transform(paths).lengths.tolist() == [18, 18]
    assert sound.step(paths[0]).shape == (18, 40)
    assert sound.describe() == "sound, 8000 samples a second, 40 bands, 100 steps a second"


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        ([np.zeros(9)], OptionError, "sequence 0 has samples without a rate"),
        ([(np.zeros(9), 12)], DataError, "sequence 0: its rate is 12"),
        ([(np.zeros(9), 8000), None], DataError, r"sequence 1: None \(missing\) is no sound"),
        ([(np.zeros(9), 8000), (["x"], 8000)], DataError, "sequence 1: its sound holds"),
        (["none.wav"], DataError, "sequence 0: none.wav cannot be read"),
        ([], DataError, "no sequences"),
    ],
)
def test_what_is_refused(column: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Sound().fit(column)


def test_options_that_are_refused() -> None:
    assert len(Sound(rate=1, window=0, hop=-1, bands=0, scale="x").problems()) == 5
    assert "hop = 0.05 must be at most window" in str(Sound(hop=0.05).problems()[0])
    with pytest.raises(OptionError, match="not fitted"):
        Sound().transform([])


def test_saved_and_restored() -> None:
    sound = Sound(rate=8000, bands=12).fit([tone(440)])
    again = Sound.restore(sound.config(), sound.tensors(), {})
    x = tone(500)
    assert torch.equal(again.transform([x]).values, sound.transform([x]).values)
    for change in ({"learnt_rate": 9}, {"bands": 13}, {"hop": 1.0}, {"rate": 16000}):
        with pytest.raises(ModelFileError):
            Sound.restore(sound.config() | change, sound.tensors(), {})
    with pytest.raises(ModelFileError, match="deviations"):
        Sound.restore(sound.config(), sound.tensors() | {"deviation": torch.zeros(12, dtype=torch.float64)}, {})


SMALL: dict[str, Any] = {"hidden": 6, "channels": 6, "epochs": 8, "learning_rate": 0.03, "verbose": False, "bands": 10}


def test_a_classifier_of_sound(tmp_path: Path) -> None:
    labels = ["low", "high"] * 12
    sounds = [tone(200 + 600 * (label == "high") + RANDOM.uniform(-50, 50), 800) for label in labels]
    clf = Classifier(feature="sound", rate=8000, **SMALL).fit(sounds, labels)
    assert clf.score(sounds, labels) > 0.9
    clf.save(tmp_path / "m")
    assert np.array_equal(load(tmp_path / "m").predict_proba(sounds), clf.predict_proba(sounds))
    session = clf.stream()
    for piece in np.split(sounds[0], [5, 100, 333]):
        answer = session.feed(piece)
    assert answer.probabilities == dict(zip(clf.classes_.tolist(), clf.predict_proba(sounds[:1])[0], strict=True))
    with pytest.raises(OptionError, match="rate = 8000 has no meaning for numbers"):
        Classifier(rate=8000, **SMALL | {"bands": 40}).fit(sounds, labels)
    assert isinstance(clf.feature_.transform(sounds), Ragged)


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wav").mkdir()
    labels = ["low", "high"] * 6
    for i, label in enumerate(labels):
        write(tmp_path / "wav" / f"{i}.wav", tone(200 + 600 * (label == "high"), 800))
    table = tmp_path / "t.csv"
    pl.DataFrame({"wav": [f"wav/{i}.wav" for i in range(12)], "label": labels}).write_csv(table)
    flags = ["--hidden", "4", "--channels", "4", "--epochs", "2", "--no-verbose", "--feature", "sound"]
    model = str(tmp_path / "m")
    assert main(["fit", "classify", str(table), "--input", "wav", "--target", "label", "--out", model, *flags]) == 0
    assert "sound, 8000 samples a second" in capsys.readouterr().out
    assert main(["score", model, str(table), "--baseline", "--json"]) == 0
    assert "summary statistics of the bands" in capsys.readouterr().out
    (tmp_path / "wav" / "3.wav").write_bytes(b"RIFF")
    assert main(["predict", model, str(table)]) != 0
    assert "line 5" in (said := capsys.readouterr().err)
    assert "3.wav" in said
