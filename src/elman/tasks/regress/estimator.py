"""A number, or several, for each sequence or for each step: remaining life, energy of a day, dose, temperature.

    z = A pool(h_1 ... h_T) + b          or, with every_step, z_t = A h_t + b
    answer = mean + deviation z          of the target, learnt from the training part

The network learns z against (target - mean) / deviation, by the loss of `loss`; unknown targets are left out of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from torch import Tensor

from elman.errors import DataError, OptionError, Place, Problem
from elman.evaluation import metrics
from elman.features.missing_values import center_and_spread
from elman.features.multi_input import MultiInput, cut, groups_of
from elman.interpret.attribution import AttributionRequest, parts_of
from elman.interpret.diagnose import DiagnosisRequest
from elman.layers.losses import DISTANCES, distance
from elman.ops.state import State
from elman.ragged import Ragged
from elman.ragged.chunks import Chunk
from elman.tasks.base.finite import finite
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.holdout import held_out
from elman.tasks.base.inputs import check_table, count, input_tags
from elman.tasks.base.network import Network, NetworkStepper, answers, restored
from elman.tasks.base.number_targets import NumberTargets, number_targets
from elman.tasks.base.options import EncoderOptions, InputOptions, tbptt_problems
from elman.tasks.base.resolve import Config, Default, Summary
from elman.tasks.base.session import RegressAnswer, Session, counted, refuse_bidirectional
from elman.tasks.base.task import Task
from elman.tasks.base.training_run import TrainingRun
from elman.tasks.pretrain.pretrainer import PretrainOptions, PretrainReader
from elman.tasks.regress.defaults import DEFAULTS
from elman.training.fit_checks import warn_if_constant
from elman.training.options import TrainingOptions
from elman.training.tbptt import StepLoss
from elman.validation.messages import shown
from elman.validation.options import choice

__all__ = ["Regressor"]

_Floats = NDArray[np.float64]
_Indices = NDArray[np.int64]


@final
@dataclass(kw_only=True, eq=False, repr=False)
class Regressor(RegressorMixin, Task, PretrainOptions, InputOptions, EncoderOptions, TrainingOptions):  # type: ignore[misc]  # pretrain leaves sizes open
    """A number, or several, for each sequence; with `every_step` for each step.

    Sequences are given as to `Classifier`. Targets are one number a sequence, several (an array [sequences, outputs], a
    frame, or a dict from name to column), and with `every_step` an array [length] or [length, outputs] for each
    sequence. A target may be missing (None, NaN): it is left out of the loss, and a sequence without any is skipped
    (``data_`` says how many were). Answers have the form of the targets.

    Learnt: ``history_``, ``metrics_`` (of the validation part), ``network_``, ``feature_``, ``mean_`` and
    ``deviation_`` of the targets, ``names_`` (or None), ``outputs_``.

    >>> reg = Regressor(hidden=8, epochs=1, verbose=False)
    >>> reg = reg.fit([[1.0, 2.0], [3.0], [2.0, 2.0, 2.0]], [1.5, 3.0, None])
    >>> reg.predict([[1.0], []]).shape
    (2,)
    """

    task: ClassVar[str] = "regress"
    description: ClassVar[str] = "A number, or several, for each sequence or for each step."
    example: ClassVar[str] = "wear.jsonl --input vibration --target hours"
    defaults: ClassVar[Mapping[str, Default]] = DEFAULTS

    # model
    every_step: bool = False  # an answer for every step instead of one for the sequence
    loss: str = "squared"  # of an error r in deviations: "squared", "absolute", "huber" (r^2 up to 1; Huber 1964)

    # model
    dropout: float = 0.1  # share of h set to zero after each layer, one mask per sequence; 0 turns it off
    head_dropout: float = 0.0  # share of the pooled row set to zero; noise on it becomes noise of the answer

    def problems(self) -> list[Problem]:
        """Everything that is wrong with the options, a sentence each."""
        found = super().problems() + tbptt_problems(self, self.every_step is True) + choice(self, "loss", DISTANCES)
        if not isinstance(self.every_step, bool | np.bool_):
            found.append(Problem("every_step", shown(self.every_step), "must be True or False"))
        return found

    def __sklearn_tags__(self) -> Any:
        tags: Any = input_tags(super().__sklearn_tags__())
        tags.target_tags.multi_output = True
        return tags

    @property
    def reader(self) -> PretrainReader:
        """What reads the sequences for this task."""
        return PretrainReader(self)

    # ---- learning

    def fit(self, X: Any, y: Any, *, out: str | os.PathLike[str] | None = None, resume: bool = False) -> Self:
        """Learns from sequences `X` and their numbers `y`, or the name of a column of the frame `X`, or several names.

        `out` is the folder that `save` will be given: a checkpoint is written into it after every epoch. With `resume`
        a fit that died goes on from there, to the same weights as if it had not.

        Raises ``OptionError`` for all options that cannot be, ``DataError`` for data that cannot be used, naming the
        sequence, and ``TrainingError`` if the loss becomes NaN (what was learnt until then stays usable).
        """
        run, reader = self.training_run(out, resume), self.reader
        column, y = reader.learn(X, y)
        if y is None:
            raise DataError("Regressor requires y to be passed, but the target y is None. Give a number a sequence.")
        targets = number_targets(y, count(column), bool(self.every_step))
        check_table(column)
        known = np.flatnonzero(targets.known())
        if not len(known):
            raise DataError("holds no number at all: nothing to learn from.", at=Place("y"))
        rest = known[held_out(None, len(known), self.validation, run.seed)]
        training = np.setdiff1d(known, rest)
        feature = reader.feature(column)
        data, kept = reader.features(feature, column, training, rest)
        if self.every_step:
            targets.take(training).check_steps(groups_of(data)[0][0].lengths, training)
            targets.take(rest).check_steps(groups_of(kept)[0][0].lengths, rest)

        config = self.config(Summary(feature, (), len(training), data.steps, len(rest), generator=reader.generator))
        reader.remember(feature, column, config)
        self.outputs_, self.names_, self.flat_ = targets.outputs, targets.names, targets.flat
        self.mean_, self.deviation_ = _scale(targets.take(training).values)
        self.network_: Network = run.build(Network, feature, self.outputs_, config, bool(self.every_step))
        skipped = {"sequences without a target": len(targets) - len(known)} if len(known) < len(targets) else {}
        self.data_ = reader.metadata(config, data, kept) | skipped
        reader.pretrain(run, config, data, kept)
        self._train(run, config, data, kept, targets, (training, rest))
        return self

    def _train(
        self,
        run: TrainingRun,
        config: Config,
        data: Ragged | MultiInput,
        kept: Ragged | MultiInput,
        targets: NumberTargets,
        parts: tuple[_Indices, _Indices],
    ) -> None:
        scaled, truth = self._scaled(targets.take(parts[0]).values), targets.take(parts[1]).values

        def loss(indices: Tensor) -> Tensor:
            return distance(self.network_(data[indices]), scaled[indices], self.loss)

        def validate() -> dict[str, float]:
            return self._metrics(answers(self.network_, kept, self.outputs_), truth)

        by_step = _EveryStep(self.network_, data, Ragged(scaled, data.offsets), self.loss) if self.every_step else None
        check = validate if len(kept) else None
        run.train(self.network_, config, by_step or loss, data.lengths, parts[0], validate=check, metric="loss")
        if len(kept):
            warn_if_constant(self.metrics_["r2"], len(kept))

    def _scaled(self, values: _Floats) -> Tensor:
        return torch.from_numpy(((values - self.mean_) / self.deviation_).astype(np.float32))

    def _metrics(self, rows: _Floats, truth: _Floats) -> dict[str, float]:
        """ "loss" as it is learnt from, and mean absolute error, root of the mean squared error and R2 of the answers.

        Several outputs give the mean over them, and with it each by its name or number.
        """
        scaled = torch.from_numpy((truth - self.mean_) / self.deviation_)
        found = {"loss": float(distance(torch.from_numpy(rows), scaled, self.loss))}
        values = self.mean_ + self.deviation_ * rows
        known = [i for i in range(self.outputs_) if not np.isnan(truth[:, i]).all()]
        for metric in (metrics.mae, metrics.rmse, metrics.r2):
            each = {i: metric(truth[:, i], values[:, i]) for i in known}
            found[metric.__name__] = float(np.mean(list(each.values())))
            if self.outputs_ > 1:
                found |= {f"{metric.__name__} {self._name(i)}": value for i, value in each.items()}
        return found

    def _name(self, output: int) -> str:
        return str(output) if self.names_ is None else self.names_[output]

    # ---- answering

    @by_learnt_options
    def predict(self, X: Any) -> Any:
        """The numbers of each sequence, float64, in the form that `fit` saw.

        An array [sequences] or [sequences, outputs], or a dict from name to array; with `every_step` a list of arrays
        [length] or [length, outputs], one for each sequence, or a dict of such lists.
        """
        self.check_fitted()
        data = self.reader.steps(self.reader.read(X))
        return self._formed(self._numbers(data), data)

    def _numbers(self, data: Ragged | MultiInput) -> _Floats:
        """The answers in the unit of the targets, [rows, outputs]."""
        return finite(self.mean_ + self.deviation_ * answers(self.network_, data, self.outputs_))

    def _formed(self, values: _Floats, data: Ragged | MultiInput) -> Any:
        if self.names_ is not None:
            return {name: self._split(values[:, i], data) for i, name in enumerate(self.names_)}
        return self._split(values[:, 0] if self.flat_ else values, data)

    def _split(self, values: _Floats, data: Ragged | MultiInput) -> Any:
        return (
            np.split(values, data.offsets[1:-1].numpy())
            if self.network_.every_step and len(data)
            else ([] if self.network_.every_step else values)
        )

    @by_learnt_options
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R2: the share of the targets' variance that is explained, 1 at best; the mean over several outputs."""
        column, truth = self._scored(X, y)
        rows = self._numbers(self._told(column, truth))
        weights = None
        if sample_weight is not None:
            repeats: Any = np.ones(len(truth), np.int64) if truth.lengths is None else truth.lengths
            weights = np.repeat(metrics.checked_weights(sample_weight, len(repeats)), repeats)
        known = [i for i in range(self.outputs_) if not np.isnan(truth.values[:, i]).all()]
        return float(np.mean([metrics.r2(truth.values[:, i], rows[:, i], weights) for i in known]))

    @by_learnt_options
    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """ "mae", "rmse", "r2" and the "loss" that was learnt from; unknown targets are left out."""
        column, truth = self._scored(X, y)
        return self._metrics(finite(answers(self.network_, self._told(column, truth), self.outputs_)), truth.values)

    def _scored(self, X: Any, y: Any) -> tuple[Any, NumberTargets]:
        self.check_fitted()
        column, y = self.reader.read_with_targets(X, y)
        truth = number_targets(y, count(column), self.network_.every_step)
        if not len(truth) or not truth.known().any():
            raise DataError("there is no number to score against. Give at least one.")
        if truth.outputs != self.outputs_:
            raise DataError(f"has {truth.outputs} numbers each, but {self.outputs_} were learnt.", at=Place("y"))
        if self.names_ is None or truth.names is None or truth.names == self.names_:
            return column, truth
        if set(truth.names) != set(self.names_):
            raise DataError(f"has the names {truth.names}, but {self.names_} were learnt.", at=Place("y"))
        places = [truth.names.index(name) for name in self.names_]
        return column, replace(truth, values=truth.values[:, places], names=self.names_)

    def _told(self, column: Any, truth: NumberTargets) -> Ragged | MultiInput:
        data = self.reader.steps(column)
        truth.check_steps(groups_of(data)[0][0].lengths)
        return data

    # ---- looking inside

    def _diagnosis_request(self, X: Any, y: Any) -> DiagnosisRequest:
        """The network and its loss; without `y` the sum of its answers, since they are no distance from themselves."""
        column, truth = (self.reader.read(X), None) if y is None else self._scored(X, y)
        data = self.reader.steps(column)
        if truth is not None:
            truth.check_steps(groups_of(data)[0][0].lengths)
        scaled = None if truth is None else self._scaled(truth.values)
        offsets = data.offsets if self.network_.every_step else torch.arange(len(data) + 1)

        def loss(indices: Tensor) -> Tensor:
            rows = self.network_(data[indices]).split(offsets.diff()[indices].tolist())
            if scaled is None:
                return torch.stack([row.sum() for row in rows])
            known = [scaled[offsets[i] : offsets[i + 1]] for i in indices.tolist()]
            return torch.stack([distance(row, it, self.loss) for row, it in zip(rows, known, strict=True)])

        return DiagnosisRequest(self.network_, data.lengths, loss, self.learnt_with_, self.reader.path_names())

    def _attribution_request(self, X: Any, y: Any) -> AttributionRequest:
        """The number that is answered for a sequence, or for its last step; `y` says which, where there are several."""
        names: list[Any] = list(range(self.outputs_)) if self.names_ is None else self.names_
        if y not in names and (y is not None or self.outputs_ > 1):
            which = f"one of the {self.outputs_} numbers to explain, {', '.join(map(repr, names))}"
            raise OptionError(f"explain(X, y) needs as y {which}, got {y!r}.")
        output = 0 if y is None else names.index(y)
        column = self.reader.read(X)
        data = self.reader.steps(column)
        mean, deviation = float(self.mean_[output]), float(self.deviation_[output])
        lengths = data.lengths if self.network_.every_step else torch.ones(len(data), dtype=torch.int64)

        def score(indices: Tensor) -> Tensor:
            rows: Tensor = self.network_(data[indices])[:, output]
            counts = lengths[indices]
            if not len(rows):
                return rows.new_full((len(indices),), mean) + rows.sum()
            last = torch.where(counts > 0, rows[(counts.cumsum(0) - 1).clamp(min=0)], 0.0)
            scores: Tensor = mean + deviation * last
            return scores

        told = [self._name(output) if self.outputs_ > 1 else "the answer"] * len(data)
        return AttributionRequest(
            self.network_.inputs, data.lengths, score, parts_of(self.feature_, data, column), told
        )

    # ---- streaming

    @by_learnt_options
    def stream(self, static: Mapping[str, Any] | None = None) -> Session:
        """A session that takes one step at a time: the answer so far, or with `every_step` that of the last step.

        `static` gives the columns without steps, such as ``{"age": 63}``; those that are not given are missing.
        """
        self.check_fitted()
        refuse_bidirectional(self.network_.encoder.bidirectional)
        return Session(_Stepper(self, static))

    # ---- on disk

    def described(self) -> dict[str, Any]:
        """What the model reads, for its card: lines of text by name."""
        return self.reader.described()

    def _config(self) -> dict[str, Any]:
        return {**self.reader.config(), "outputs": self.outputs_, "names": self.names_, "flat": self.flat_}

    def _tensors(self) -> dict[str, Tensor]:
        own = {"target.mean": torch.from_numpy(self.mean_), "target.deviation": torch.from_numpy(self.deviation_)}
        return self.reader.tensors() | own

    def _files(self) -> dict[str, str]:
        return self.reader.files()

    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        self.reader.restore(config, tensors, files)
        outputs, names, flat = config["outputs"], config["names"], config["flat"]
        if type(outputs) is not int or outputs < 1 or type(flat) is not bool or (flat and outputs != 1):
            raise ValueError("outputs")
        if names is not None and not (type(names) is list and len({*map(str, names)}) == len(names) == outputs):
            raise ValueError("names")
        self.outputs_, self.flat_, self.names_ = outputs, flat, None if names is None else [str(n) for n in names]
        self.mean_, self.deviation_ = tensors["target.mean"].numpy(), tensors["target.deviation"].numpy()
        for part in (self.mean_, self.deviation_):
            if part.shape != (outputs,) or part.dtype != np.float64 or not np.isfinite(part).all():
                raise ValueError("target")
        if not (self.deviation_ > 0).all():
            raise ValueError("target.deviation")
        self.network_ = restored(self.feature_, outputs, self.config(), tensors, folder, bool(self.every_step))


class _EveryStep(StepLoss):
    """The distance from the targets of the steps, for pieces of sequences."""

    def __init__(self, network: Network, data: Ragged | MultiInput, targets: Ragged, kind: str) -> None:
        self.network, self.data, self.targets, self.kind = network, data, targets, kind

    def initial_state(self, sequences: int) -> State:
        """The state before the first step."""
        return self.network.encoder.initial_state(sequences)

    def __call__(self, piece: Chunk, state: State) -> tuple[Tensor, State]:
        """The loss of a piece, and the state after it."""
        found, after = self.network.steps(cut(piece, self.data), state)
        return distance(found, piece.of(self.targets).values, self.kind), after


class _Stepper(NetworkStepper):
    """A regressor one step at a time."""

    def __init__(self, reg: Regressor, static: Mapping[str, Any] | None) -> None:
        super().__init__(reg.feature_, reg.network_, static)
        self.mean, self.deviation, self.names, self.flat = reg.mean_, reg.deviation_, reg.names_, reg.flat_

    @torch.no_grad()
    def answer(self, state: dict[str, Tensor]) -> RegressAnswer:
        """The numbers that the steps so far stand for."""
        values = finite(self.mean + self.deviation * self.row(state).numpy())[0]
        if self.names is not None:
            return RegressAnswer(dict(zip(self.names, values.tolist(), strict=True)), counted(state))
        return RegressAnswer(float(values[0]) if self.flat else values, counted(state))


def _scale(values: _Floats) -> tuple[_Floats, _Floats]:
    """Mean and deviation of each target over what is known."""
    both = [center_and_spread(column) for column in values.T]
    return np.array([mean for mean, _ in both]), np.array([spread for _, spread in both])
