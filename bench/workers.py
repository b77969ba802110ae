"""Sides of a row, each in a process of its own: all alive, told by a pipe to run one round, the others asleep.

Rounds are interleaved, so that a slow minute of the machine hits every side; a process of its own, because what one
library leaves in the allocator, in its thread pool or in the floating-point flags changes the figures of the next.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
PAUSE = 0.02  # seconds before a side's turn: the thread pools of the side before have stopped spinning by then
TURN = 0.1  # seconds that a turn should last: short calls are repeated


class NotThereError(Exception):
    """A side that cannot run here. The message stands in its place in the table."""


@dataclass
class Side:
    """What one process does: a call to be timed, and what it computes, to be compared before anything is timed."""

    run: Callable[[], object]
    answer: Callable[[], Array] | None = None


#: Builds a side in its own process: a function of a module, or a partial of one.
Maker = Callable[[], Side]


def need(package: str) -> Any:
    """A peer's package, or the row says that it is missing."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise NotThereError("not installed") from error


def _serve(pipe: Connection, maker: Maker, threads: int) -> None:
    if hasattr(os, "sched_setaffinity"):  # a library that counts cores itself shall count as many as it may use
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    try:
        side = maker()
        pipe.send("ready")
    except NotThereError as reason:
        pipe.send(reason)
        return
    while (calls := pipe.recv()) is not None:
        pipe.send(_turn(side, calls) if calls else side.answer and side.answer())


def _turn(side: Side, calls: int) -> Array:
    seconds = np.empty(calls)
    for i in range(calls):
        start = time.perf_counter()
        side.run()
        seconds[i] = time.perf_counter() - start
    return seconds


class Worker:
    """One side in its process. `lean` starts it without torch, for libraries that bring their own thread pools."""

    def __init__(self, maker: Maker, threads: int, lean: bool = False) -> None:
        context = multiprocessing.get_context("spawn" if lean else "forkserver")
        if not lean:  # a server that has imported torch, and done nothing with it, forks the workers
            context.set_forkserver_preload(["torch", "elman"])
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, maker, threads), daemon=True)
        self._process.start()
        theirs.close()
        try:
            word = self._pipe.recv()
        except EOFError:  # the child has printed its own trace
            raise SystemExit(f"a side died while it was built: {maker}") from None
        if isinstance(word, NotThereError):
            raise word

    def turn(self, calls: int) -> Array:
        """Runs so many calls and returns the seconds of each."""
        self._pipe.send(calls)
        return np.asarray(self._pipe.recv())

    def answer(self) -> Array | None:
        """What the side computes, or None where it is not to be compared."""
        self._pipe.send(0)
        answer: Array | None = self._pipe.recv()
        return answer

    def close(self) -> None:
        """Ends the process."""
        if self._process.is_alive():
            self._pipe.send(None)
        self._process.join()


@contextmanager
def workers(
    sides: Mapping[str, Maker], threads: int, lean: bool = False
) -> Iterator[tuple[dict[str, Worker], dict[str, str]]]:
    """The sides that can run here, by name, and the reasons of the others."""
    there, missing = {}, {}
    with ExitStack() as stack:
        for name, maker in sides.items():
            try:
                there[name] = Worker(maker, threads, lean)
                stack.callback(there[name].close)
            except NotThereError as reason:
                missing[name] = str(reason)
        yield there, missing


@dataclass
class Row:
    """Seconds of each side, round by round; and why a side is missing."""

    seconds: dict[str, list[float]]
    missing: dict[str, str]

    def median(self, name: str) -> float:
        """Seconds of a side, nan where it could not run."""
        return statistics.median(self.seconds[name]) if name in self.seconds else float("nan")

    def ms(self, name: str) -> str:
        """Milliseconds of a side, or why there are none."""
        value = 1e3 * self.median(name)
        return self.missing.get(name, f"{value:.1f}" if value >= 10 else f"{value:.2f}")

    def ratio(self, ours: str, theirs: str) -> str:
        """How many times longer theirs takes: median of the ratios of the rounds."""
        if ours not in self.seconds or theirs not in self.seconds:
            return ""
        return f"{statistics.median(b / a for a, b in zip(self.seconds[ours], self.seconds[theirs], strict=True)):.2f}×"

    def share(self, name: str, work: float) -> list[str]:
        """Useful GF/s of a side, and its share of the matrix product that ran in the same rounds (a side "peak")."""
        if name not in self.seconds:
            return ["", ""]
        useful = work / self.median(name)
        return [f"{useful / 1e9:.0f}", f"{100 * useful * min(self.seconds['peak']) / PRODUCT:.0f} %"]


SIZE = 2048
PRODUCT = 2.0 * SIZE**3  # operations of the product that `peak` times


def peak(threads: int, bf16: bool = False) -> Side:
    """This machine's own matrix product, by torch."""
    import torch

    torch.set_num_threads(threads)
    a, b = (torch.randn(SIZE, SIZE).to(torch.bfloat16 if bf16 else torch.float32) for _ in range(2))
    return Side(lambda: a @ b)


def peaks(threads: int, rounds: int = 10) -> str:
    """The line above every table: matrix products of this machine in fp32 and bf16."""
    sides = {name: partial(peak, threads, name == "bf16") for name in ("fp32", "bf16")}
    with workers(sides, threads) as (there, _):
        best = {name: PRODUCT / min(there[name].turn(1)[0] for _ in range(rounds)) / 1e9 for name in there}
    return (
        f"Matrix product of this machine ({SIZE} × {SIZE}, torch, {threads} threads): {best['fp32']:.0f} GF/s in fp32, "
        f"{best['bf16']:.0f} in bf16."
    )


def interleaved(
    sides: Mapping[str, Maker], rounds: int, threads: int, tolerance: float = 1e-4, lean: bool = False
) -> Row:
    """Compares what the sides compute, then lets them run in turn, round after round."""
    with workers(sides, threads, lean) as (there, missing):
        compare(there, tolerance)
        calls = {name: _calls(worker) for name, worker in there.items()}
        seconds: dict[str, list[float]] = {name: [] for name in there}
        for _ in range(rounds):
            for name, worker in there.items():
                time.sleep(PAUSE)
                seconds[name].append(float(worker.turn(calls[name]).mean()))
    return Row(seconds, missing)


def compare(there: Mapping[str, Worker], tolerance: float) -> None:
    """Stops the benchmark when two sides do not compute the same."""
    answers = {name: answer for name, worker in there.items() if (answer := worker.answer()) is not None}
    for name, answer in answers.items():
        first = next(iter(answers.values()))
        apart = float(np.abs(answer - first).max()) if answer.shape == first.shape else float("inf")
        if not apart <= tolerance * max(1.0, float(np.abs(first).max())):
            raise SystemExit(f"{name} does not compute what {next(iter(answers))} does: {apart:.2g} apart.")


def _calls(worker: Worker) -> int:
    worker.turn(1)
    return max(1, min(1000, int(TURN / float(worker.turn(1)[0]))))
