"""Ctrl-C and SIGTERM at any moment of a command: what was learnt is saved, or the command that goes on is printed."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

import elman
from elman import tasks
from elman.cli import fit as command_fit
from elman.cli import main as cli
from elman.errors import ModelFileError, OptionError
from elman.io import model_folder as store
from elman.io import tables
from elman.tasks import Classifier, Forecaster
from elman.tasks.base import task as base
from elman.tasks.base import training_run
from elman.tasks.classify.ngram_model import NgramModel
from elman.training import loop as train
from elman.training.checkpoint import Checkpoint

TEXTS = [f"{word} film {i}" for i in range(30) for word in ("good", "bad")]
FIT = ["fit", "classify", "train.csv", "--target", "label", "--out", "new", "--hidden", "2", "--embed", "2",
       "--epochs", "3", "--no-verbose"]  # fmt: skip
SIGNALS = {"Ctrl-C": (signal.SIGINT, 130), "SIGTERM": (signal.SIGTERM, 143)}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [f"{text},{text.split()[0]}" for text in TEXTS]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def at(number: int, name: signal.Signals, wrapped: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which gets a signal when it is called for the `number`th time."""
    calls = []

    def called(*given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == number:
            signal.raise_signal(name)
        return wrapped(*given, **named)

    return called


#: A moment of `elman fit`: what is called then, how often before, and what the last line says.
MOMENTS: dict[str, tuple[Any, str, int, str]] = {
    "the table is read": (tables, "read_table", 1, "stopped by {}."),
    "the n-grams are learnt": (NgramModel, "fit", 1, "stopped by {}."),
    "the first checkpoint is written": (Checkpoint, "begin", 1, "stopped by {}."),
    "the first epoch": (train._Run, "_one_batch", 1, "stopped by {} before an epoch was finished: no model was saved."),
    "the first validation": (train._Run, "_assess", 1, "stopped by {} before an epoch was finished: no model was"),
    "the second epoch": (train._Run, "_one_batch", 6, "stopped by {}: the best model so far is in new."),
    "a checkpoint is written": (Checkpoint, "write", 2, "stopped by {}: the best model so far is in new."),
    "the best weights come back": (train._Run, "_put_back", 1, "stopped by {}: the best model so far is in new."),
    "the last measurement": (
        training_run,
        "_measure",
        1,
        "stopped by {} before it could be saved: no model was saved.",
    ),
    "the n-grams are learnt again": (NgramModel, "fit", 2, "stopped by {} before it could be saved: no model was"),
    "the curve is drawn": (base, "learning_curve", 1, "stopped by {} before it could be saved: no model was saved."),
    "the card is written": (base, "model_card", 1, "stopped by {} before it could be saved: no model was saved."),
    "the folder is written": (store, "_put", 5, "stopped by {} before it could be saved: no model was saved."),
    "the end is told": (command_fit, "_show_fit", 1, "stopped by {}: the model is in new."),
}


BOTH = [
    *((moment, "Ctrl-C") for moment in MOMENTS),
    *((moment, "SIGTERM") for moment in ("the table is read", "the second epoch", "the folder is written")),
]


@pytest.mark.parametrize(("moment", "name"), BOTH)
def test_a_signal_while_a_model_is_learnt(
    moment: str, name: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    number, code = SIGNALS[name]
    owner, function, call, words = MOMENTS[moment]
    with monkeypatch.context() as patch:
        patch.setattr(owner, function, at(call, number, getattr(owner, function)))
        assert cli.main(FIT) == code
    err = capsys.readouterr().err
    last = err.splitlines()[-1]
    assert last.startswith("elman: " + words.format(name)), err
    assert "Traceback" not in err
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    saved = (here / "new" / store.CONFIG).exists()
    assert saved == ("is in new" in last)
    assert not [path for path in here.iterdir() if ".elman-" in path.name]
    if "Go on with: " in last:
        assert last.endswith("--resume")
        assert cli.main([*FIT, "--resume"]) == 0
    elif not saved:
        assert cli.main(FIT) == 0 or (here / "new" / store.CHECKPOINT).exists()
    assert cli.main(["predict", "new", "train.csv", "--out", "answers.csv"]) == 0


@pytest.mark.parametrize("command", ["predict new train.csv", "score new train.csv", "stream new", "generate new",
                                     "inspect new --data train.csv", "info"])  # fmt: skip
def test_ctrl_c_in_other_commands(
    command: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM ends those as it ends any program."""

    def interrupted(*_: Any) -> None:
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(tasks, "load", interrupted)
    monkeypatch.setattr(torch, "get_num_threads", interrupted)
    assert cli.main(command.split()) == 130
    assert capsys.readouterr().err == "elman: stopped by Ctrl-C.\n"


# ---- unfinished folders


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoint of a run that died."""
    folder = tmp_path_factory.mktemp("unfinished") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train._Run, "all_epochs", lambda _: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            Classifier(hidden=2, embed=2, epochs=1, verbose=False).fit(TEXTS, TEXTS and ["a", "b"] * 30, out=folder)
    return folder


def test_an_unfinished_folder_says_so(unfinished: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelFileError, match=r"run is an unfinished run.*--resume.*resume=True"):
        elman.load(unfinished)
    for command in (
        "predict {} train.csv",
        "score {} train.csv",
        "stream {}",
        "generate {}",
        "inspect {} --data train.csv",
    ):
        assert cli.main(command.format(unfinished).split()) == 2
        assert "is an unfinished run" in capsys.readouterr().err


def test_fit_does_not_drop_a_run_that_was_broken_off(unfinished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(unfinished, tmp_path / "run")
    clf = Classifier(hidden=2, embed=2, epochs=1, verbose=False)
    before = (folder / "checkpoint" / store.WEIGHTS).read_bytes()
    with pytest.raises(OptionError, match=r"holds an unfinished run\. Continue it \(resume=True\), or remove"):
        clf.fit(TEXTS, ["a", "b"] * 30, out=folder)
    assert (folder / "checkpoint" / store.WEIGHTS).read_bytes() == before
    clf.fit(TEXTS, ["a", "b"] * 30, out=folder, resume=True)
    shutil.rmtree(folder / "checkpoint")
    clf.fit(TEXTS, ["a", "b"] * 30, out=folder)


# ---- in Python


def test_a_loop_over_fits_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a fit; at the beginning of the next one it ends the loop."""
    finished = []
    monkeypatch.setattr(train._Run, "_one_batch", at(6, signal.SIGINT, at(7, signal.SIGINT, train._Run._one_batch)))

    def loop() -> None:
        for _ in range(10):
            Classifier(hidden=2, embed=2, epochs=2, ngrams=0, verbose=False).fit(TEXTS, ["a", "b"] * 30)
            finished.append(1)

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert finished == [1]


def test_ctrl_c_in_a_forecaster(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"unique_id": ["a"] * 40, "ds": range(40), "y": [1.0, 2.0] * 20})
    options: dict[str, Any] = {"horizon": 2, "season": 2, "hidden": 2, "epochs": 3, "verbose": False}
    with monkeypatch.context() as patch:
        patch.setattr(train._Run, "_one_batch", at(1, signal.SIGINT, train._Run._one_batch))
        with pytest.raises(KeyboardInterrupt):
            Forecaster(**options).fit(frame)
    monkeypatch.setattr(train._Run, "_one_epoch", at(2, signal.SIGINT, train._Run._one_epoch))
    made = Forecaster(**options).fit(frame)
    assert made.history_.interrupted
    assert made.predict().height == 2
