"""The frame of a fit: option checks, checkpoint, seed, validation split, training loop."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.errors import OptionError, Place, option
from elman.features.lists import opened
from elman.io import model_folder
from elman.ops.functional import info
from elman.tasks.base.fit_notes import FitNotes
from elman.tasks.base.holdout import last_ones, whole_groups
from elman.tasks.base.resolve import Config, training_options
from elman.tasks.base.rows import Rows, read_rows
from elman.training.device import device_of
from elman.training.history import History
from elman.training.loop import train
from elman.training.tbptt import StepLoss
from elman.validation.options import is_whole

LEAST = 50  # sequences; with fewer there is no validation set
_Indices = NDArray[np.int64]


def held_out(
    classes: NDArray[np.int64] | None, sequences: int, share: float, seed: int | None, least: int = LEAST
) -> _Indices:
    """The indices of the validation set, ascending: a fraction `share` of each class, sampled with `seed`.

    Every class keeps at least one sequence for training. Empty with fewer than `least` sequences or a `share` of 0.
    `classes` None: not stratified.

    >>> held_out(np.array([0, 1] * 50), 100, 0.1, seed=0).shape
    (10,)
    """
    if sequences < least or share <= 0:
        return np.zeros(0, np.int64)
    random = np.random.default_rng(seed)
    order = random.permutation(sequences)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
        order = order[np.bincount(classes)[classes[order]] > 1]
    # Every 1/share-th of the sequences in order of class: at share <= 0.5 never two adjacent ones.
    places = np.floor((np.arange(round(len(order) * share)) + 0.5) / share).astype(np.int64)
    return np.sort(order[places[places < len(order)]])


class TrainingRun:
    """The frame of every ``fit``. Checks the options and deletes the attributes of an earlier fit.

    `out` is the folder for ``save``; `resume` continues the unfinished run in it. ``seed`` is the option; if that is
    None, a random seed, or that of the resumed run.

    Raises ``OptionError`` for invalid options, and for a folder with an unfinished run unless `resume`.
    """

    def __init__(self, task: Any, out: str | os.PathLike[str] | None, resume: bool) -> None:
        if problems := task.problems():
            raise OptionError.of(problems)
        device_of(task.device)  # refuses a GPU that is not there
        info()  # refuses an invalid ELMAN_ISA before anything is trained or written
        if resume and out is None:
            raise OptionError("resume = True needs the folder of the run to continue; give ", option("out"))
        checkpoint = None if out is None else model_folder.named(out) / model_folder.CHECKPOINT
        if checkpoint is not None and not resume and (checkpoint / model_folder.CONFIG).exists():
            raise OptionError(
                f"out = {os.fspath(checkpoint.parent)!r} holds an unfinished run. Continue it (",
                option("resume", True),
                f"), or remove {checkpoint} to begin anew.",
            )
        task.forget()
        self.notes = FitNotes(bool(task.verbose))
        self.task, self.checkpoint, self.resume = task, checkpoint, resume
        self.seed: int = _drawn_seed(checkpoint if resume else None) if task.seed is None else task.seed
        task.seed_ = self.seed if task.seed is None else None
        self.rows = Rows()

    @contextmanager
    def reading(
        self, X: Any, y: Any, validation_data: Any = None, sample_weight: Any = None, groups: Any = None
    ) -> Iterator[tuple[Any, Any]]:
        """X and y as the task reads them, with the sequences of `validation_data` behind them; see `read_rows`.

        Errors raised in the block name the place in what the caller gave.
        """
        if isinstance(validation_data, tuple):
            validation_data = tuple(map(opened, validation_data))
        validation_data = opened(validation_data, "validation_data")
        X, y = opened(X), opened(y, "y")
        X, y, self.rows = read_rows(X, y, validation_data, sample_weight, groups, self.task)
        with self.rows.located():
            yield X, y

    @property
    def refits(self) -> bool:
        """Whether models beside the network learn from the validation set as well, once it has chosen the epoch.

        Not from one that the caller gave.
        """
        return self.rows.training is None

    def split(
        self, rows: int | _Indices, classes: _Indices | None = None, least: int = LEAST
    ) -> tuple[_Indices, _Indices]:
        """The rows of the training and of the validation set among `rows`: their number, or places in X, ascending.

        `classes` are the codes of these rows. Rows of weight 0 are in neither. See `held_out`; the validation set that
        a caller gave is taken as it is.
        """
        rows = np.arange(rows) if isinstance(rows, int) else rows
        counted = self.rows.counted(rows)
        if self.rows.training is not None:
            return self.rows.split(counted)
        rows, classes = counted, None if classes is None else classes[np.isin(rows, counted)]
        validation = self._held_out(rows, classes, least)
        return rows[np.setdiff1d(np.arange(len(rows)), validation)], rows[validation]

    def _held_out(self, rows: _Indices, classes: _Indices | None, least: int) -> _Indices:
        share, in_order = self.task.validation, getattr(self.task, "holdout", "random") == "last"
        if self.rows.groups is None and not in_order:
            return held_out(classes, len(rows), share, self.seed, least)
        if len(rows) < least or share <= 0:
            return np.zeros(0, np.int64)
        if self.rows.groups is None:
            return last_ones(classes, len(rows), share)
        return whole_groups(self.rows.groups[rows], classes, share, self.seed, in_order)

    @contextmanager
    def seeded(self) -> Iterator[None]:
        """Seeds torch's random generator within the block and restores its state afterwards."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(self.seed))
            yield

    def build(self, make: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """A network initialised with the seed."""
        with self.seeded():
            return make(*given, **named)

    def train(
        self,
        network: nn.Module,
        config: Config,
        loss: Callable[[Tensor], Tensor] | StepLoss,
        lengths: Tensor,
        training: _Indices,
        *,
        validate: Callable[[], dict[str, float]] | None,
        metric: str,
        schedule: Callable[[float], None] | None = None,
    ) -> None:
        """Trains the network; sets ``history_`` and ``metrics_`` of the task.

        `training` are the caller's indices of the training sequences. Without `validate` there is no validation.
        `schedule`: see `train`. If the loss becomes NaN, the best weights so far are kept and validated before the
        ``TrainingError`` is raised.
        """
        task = self.task
        task.remember_resolved(config)
        self.notes.network(network, int(config.epochs), task.device)
        task.metrics_, task.history_ = {}, History("loss" if validate is None else metric)
        try:
            task.history_ = train(
                network,
                loss,
                lengths,
                dataclasses.replace(training_options(config), seed=self.seed),
                validate=validate,
                metric=metric,
                checkpoint=self.checkpoint,
                resume=self.resume,
                name=lambda index: Place(sequence=int(training[index])),
                schedule=schedule,
                settings=task.learnt_with_,
            )
        except Exception:  # if the loss became NaN, the best weights so far are kept
            _measure(task, network, validate)
            raise
        _measure(task, network, validate)


def _measure(task: Any, network: nn.Module, validate: Callable[[], dict[str, float]] | None) -> None:
    network.eval()
    task.metrics_ = {} if validate is None else validate()


def _drawn_seed(checkpoint: Path | None) -> int:
    """A random seed, or that of the resumed run, which must have the same validation split."""
    if checkpoint is not None and (checkpoint / model_folder.CONFIG).exists():
        config, _, _ = model_folder.load(checkpoint, kind="checkpoint")
        begun = config["of"]["options"]["seed"]
        if is_whole(begun, 0):
            return int(begun)
    return int(np.random.default_rng().integers(2**63))
