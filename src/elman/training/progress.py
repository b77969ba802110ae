"""Progress of a training on stderr: one line for every epoch, and a bar on a terminal and in a notebook.

Elsewhere (a file, a pipe, a batch system) there is no bar and no control character, but an estimate of the time once
about a second has been measured.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rich.console import Console
from rich.errors import LiveError
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from elman.training.history import History

_WIDTH = 100  # columns of a line where there is no terminal
_MEASURED = 1.0  # seconds of training from which the time is estimated
_WORTH_A_LINE = 5.0  # seconds left, below which no estimate is given


def note(text: str) -> None:
    """One line on stderr, where there is one.

    >>> note("")
    """
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class Silence:
    """Progress that says nothing."""

    def batch(self, epoch: int, loss: float, steps: float) -> None:
        """After every batch: `steps` of this epoch are done, with this mean loss."""

    def epoch(self, history: History) -> None:
        """After every epoch."""


class Lines(Silence):
    """A plain line for every epoch, and one that estimates the time."""

    def __init__(self, epochs: int, steps: int) -> None:
        self.epochs, self.steps = epochs, steps
        self.first: tuple[float, float] | None = None  # time and steps after the first batch
        self.estimated = False

    def batch(self, epoch: int, loss: float, steps: float) -> None:
        """The estimate, once a second of training is measured."""
        now, done = time.perf_counter(), (epoch - 1) * self.steps + steps
        if self.first is None:  # the first batch takes longer than others; a resumed run does not begin at 0
            self.first = now, done
        elapsed = now - self.first[0]
        if self.estimated or elapsed < _MEASURED or done <= self.first[1]:
            return
        self.estimated = True
        each = elapsed / (done - self.first[1]) * self.steps
        left = each * (self.epochs - done / self.steps)
        if left >= _WORTH_A_LINE:
            note(f"elman: at most {duration(left)} left, {duration(each)} an epoch")

    def epoch(self, history: History) -> None:
        """The line of the epoch."""
        note(epoch_line(history, self.epochs, _WIDTH))


class Bar(Silence):
    """A line for every epoch that is done and a bar for the whole training."""

    def __init__(self, bar: Progress, epochs: int, steps: int) -> None:
        self.bar, self.epochs, self.steps = bar, epochs, steps
        self.task = bar.add_task("", total=epochs * steps)
        self.begin = self.last = time.perf_counter()
        self.first: float | None = None

    def batch(self, epoch: int, loss: float, steps: float) -> None:
        """Draw it, ten times a second at most."""
        now = time.perf_counter()
        if now - self.last < 0.1:  # drawing must not cost more than learning
            return
        self.last = now
        done = (epoch - 1) * self.steps + steps
        if self.first is None:  # a resumed run does not begin at 0
            self.first, self.begin = done, now
        speed = (done - self.first) / (now - self.begin) if done > self.first else 0.0
        text = f"epoch {epoch}/{self.epochs}  training loss {loss:.4f}" + (f"  {speed:,.0f} steps/s" if speed else "")
        self.bar.update(self.task, completed=done, description=text)

    def epoch(self, history: History) -> None:
        """A line that stays."""
        self.bar.update(self.task, completed=history[-1].epoch * self.steps)
        console = self.bar.console
        console.print(epoch_line(history, self.epochs, console.width), highlight=False, markup=False)


def epoch_line(history: History, epochs: int, width: int) -> str:
    """What the last epoch did, on one line: of the validation metrics the one that chooses, then as many as fit.

    >>> from elman.training.history import Epoch
    >>> record = Epoch(3, 0.25, {"loss": 0.5, "accuracy": 0.8, "macro_f1": 0.7}, 1.5, 9000.0, 1e-3, 0.5, 0.0)
    >>> epoch_line(History("accuracy", [record] * 3, best=3), epochs=8, width=70)
    'epoch 3/8  training loss 0.2500  validation accuracy 0.8000  1.5 s  best'
    """
    last = history[-1]
    begin = f"epoch {last.epoch}/{epochs}  training loss {last.loss:.4f}"
    speed = f"  {last.steps_per_second:,.0f} steps/s"
    end = f"  {last.seconds:.1f} s" + ("  best" if last.validation and history.best == last.epoch else "")
    for key in sorted(last.validation, key=lambda key: key != history.metric):
        metric = f"  validation {key.replace('_', ' ')} {last.validation[key]:.4f}"
        if key == history.metric or len(begin) + len(metric) + len(end) < width:
            begin += metric
    return begin + (speed if len(begin) + len(speed) + len(end) < width else "") + end


def duration(seconds: float) -> str:
    """A rough time.

    >>> duration(0.042), duration(7.4), duration(250), duration(9000)
    ('0.04 s', '7 s', '4 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 3 else f"{seconds:.1g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def progress(epochs: int, steps: int, wanted: bool) -> Iterator[Silence]:
    """Progress over `epochs` of `steps` steps each on stderr, if it is wanted: a bar on a terminal, else plain lines.

    >>> with progress(epochs=2, steps=100, wanted=False) as show:
    ...     show.batch(1, loss=0.5, steps=50)
    """
    if not (wanted and epochs and sys.stderr is not None):
        yield Silence()
        return
    if not has_bar():
        yield Lines(epochs, steps)
        return
    with started_bar("left") as bar:
        yield Silence() if bar is None else Bar(bar, epochs, steps)


def has_bar() -> bool:
    """Whether stderr can show a bar: a terminal that moves its cursor, or a notebook with ipywidgets."""
    console = Console(stderr=True)
    if console.is_jupyter:
        return find_spec("ipywidgets") is not None
    return sys.stderr.isatty() and not console.is_dumb_terminal


@contextmanager
def started_bar(after: str) -> Iterator[Progress | None]:
    """A bar on stderr with a time and the word `after` it; None where another one is already drawn."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),  # with the text, a line of 80 columns
        TimeRemainingColumn(compact=True),
        TextColumn(after),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4)
    try:
        bar.start()
    except LiveError:  # another bar is already drawn, by another thread or by the caller
        yield None
        return
    try:
        yield bar
    finally:
        bar.stop()
