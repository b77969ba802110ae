"""A number, or several, for each sequence or for each step: remaining life, energy of a day, dose, temperature.

    z = A pool(h_1 ... h_T) + b          or, with every_step, z_t = A h_t + b
    answer = mean + deviation z          of the target, learnt from the training part

The network learns z against (target - mean) / deviation, by the loss of `loss`; unknown targets are left out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from torch import Tensor

from elman.errors import DataError, OptionError, Place, Problem
from elman.evaluation import metrics
from elman.features.multi_input import MultiInput, cut, groups_of
from elman.interpret.attribution import AttributionRequest, parts_of
from elman.interpret.diagnose import DiagnosisRequest
from elman.io import model_folder as store
from elman.layers.losses import DISTANCES, distance
from elman.ops.state import State
from elman.ragged import Ragged
from elman.ragged.chunks import Chunk
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.holdout import HoldoutOptions
from elman.tasks.base.inputs import TrainingData, count
from elman.tasks.base.network import Network, NetworkStepper, answers, finite
from elman.tasks.base.options import EncoderOptions, InputOptions, flag, tbptt_problems
from elman.tasks.base.resolve import Default
from elman.tasks.base.session import RegressAnswer
from elman.tasks.base.targets.numbers import NumberTarget, NumberTargets, number_targets
from elman.tasks.base.task import Task
from elman.tasks.base.training_run import TrainingRun
from elman.tasks.pretrain.pretrainer import PretrainOptions, PretrainReader
from elman.tasks.regress.defaults import DEFAULTS
from elman.training.fit_checks import warn_if_constant
from elman.training.options import TrainingOptions
from elman.training.tbptt import StepLoss
from elman.validation.options import choice

_Floats = NDArray[np.float64]


@final
@dataclass(kw_only=True, eq=False, repr=False)
class Regressor(RegressorMixin, Task, PretrainOptions, InputOptions, EncoderOptions, HoldoutOptions, TrainingOptions):  # type: ignore[misc]  # pretrain leaves sizes open
    """A number, or several, for each sequence; with `every_step` for each step.

    Sequences are given as to `Classifier`. Targets are one number a sequence, several (an array [sequences, outputs], a
    frame, a dict from name to column, or names of columns of the frame `X`), and with `every_step` an array [length] or
    [length, outputs] for each sequence. A target may be missing (None, NaN): it is left out of the loss, and a sequence
    without any is skipped (``data_`` says how many were). Answers have the form of the targets.

    Learnt: ``history_``, ``metrics_`` (of the validation part), ``network_``, ``feature_``, ``numbers_`` (``mean``,
    ``deviation`` and ``names`` of the targets).

    >>> reg = Regressor(hidden=8, epochs=1, verbose=False)
    >>> reg = reg.fit([[1.0, 2.0], [3.0], [2.0, 2.0, 2.0]], [1.5, 3.0, None])
    >>> reg.predict([[1.0], []]).shape
    (2,)
    """

    task: ClassVar[str] = "regress"
    description: ClassVar[str] = "A number, or several, for each sequence or for each step."
    example: ClassVar[str] = "wear.jsonl --input vibration --target hours"
    defaults: ClassVar[Mapping[str, Default]] = DEFAULTS
    reader_type: ClassVar[type[PretrainReader]] = PretrainReader

    # model
    every_step: bool = False  # an answer for every step instead of one for the sequence
    loss: str = "squared"  # of an error r in deviations: "squared", "absolute", "huber" (r^2 up to 1; Huber 1964)
    dropout: float = 0.1  # share of h set to zero after each layer, one mask per sequence; 0 turns it off
    head_dropout: float = 0.0  # share of the pooled row set to zero; noise on it becomes noise of the answer

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        found = super().problems() + tbptt_problems(self, self.every_step is True) + choice(self, "loss", DISTANCES)
        return found + flag(self, "every_step")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    # ---- learning

    def _fit(self, run: TrainingRun, reader: PretrainReader, X: Any, y: Any) -> None:
        column, y = reader.learn(X, y)
        targets = number_targets(y, count(column), bool(self.every_step))
        known = np.flatnonzero(targets.known())
        if not len(known):
            raise DataError("holds no number at all: nothing to learn from.", at=Place("y"))
        training, validation = run.split(known)
        feature = reader.feature(column)
        data = reader.prepare(feature, column, (training, validation))
        if self.every_step:
            targets.take(training).check_steps(groups_of(data.training)[0][0].lengths, training)
            targets.take(validation).check_steps(groups_of(data.validation)[0][0].lengths, validation)

        self.numbers_ = NumberTarget(self.loss, targets.outputs, targets.names, targets.flat)
        self.numbers_.fit(targets.take(training).values)
        run.notes.data(self, data.training.lengths, len(data.validation), self.numbers_.in_words(bool(self.every_step)))
        self.network_: Network = run.build(Network, feature, targets.outputs, data.config, bool(self.every_step))
        self.data_ = reader.metadata(data, len(targets) - len(known))
        reader.pretrain(run, data.config, data.training, data.validation)
        self._train(run, data, self.numbers_.coded(targets.take(training).values), targets.take(validation).values)

    def _train(self, run: TrainingRun, data: TrainingData, scaled: Tensor, truth: _Floats) -> None:
        steps = data.training
        each, own = run.rows.mean_one(data.indices), run.rows.of(data.validation_indices)
        if own is not None and self.every_step:
            own = np.repeat(own, data.validation.lengths.numpy())

        def loss(indices: Tensor) -> Tensor:
            counts = None if each is None else each[indices]
            return self.numbers_.loss(self.network_(steps[indices]), scaled[indices], counts)

        def validate() -> dict[str, float]:
            return self._metrics(answers(self.network_, data.validation, self.numbers_.outputs), truth, own)

        targets = Ragged(scaled, steps.offsets) if self.every_step else None
        by_step = None if targets is None else _EveryStep(self.network_, steps, targets, self.loss, each)
        check = validate if len(data.validation) else None
        run.train(
            self.network_, data.config, by_step or loss, steps.lengths, data.indices, validate=check, metric="loss"
        )
        if len(data.validation):
            warn_if_constant(self.metrics_["r2"], len(data.validation))

    def _metrics(self, z: _Floats, truth: _Floats, weights: _Floats | None = None) -> dict[str, float]:
        """ "loss" as it is learnt from, "mae", "rmse" and "r2" of the answers; `weights` [rows]: what each counts."""
        found = self.numbers_.metrics(z, truth, weights)
        return {"loss": found["loss"], **found}

    # ---- answering

    @by_learnt_options
    def predict(self, X: Any) -> Any:
        """The numbers of each sequence, float64, in the form that `fit` saw.

        An array [sequences] or [sequences, outputs], or a dict from name to array; with `every_step` a list of arrays
        [length] or [length, outputs], one for each sequence, or a dict of such lists.
        """
        data = self.reader.steps(self.reader.read(X))
        values = self.numbers_.decode(self._rows(data))
        if (names := self.numbers_.names) is not None:
            return {name: self._split(values[:, i], data) for i, name in enumerate(names)}
        return self._split(values, data)

    def _rows(self, data: Ragged | MultiInput) -> _Floats:
        """What the network says, [rows, outputs]. Raises ``DataError`` where its numbers are not finite."""
        z = answers(self.network_, data, self.numbers_.outputs)
        finite(self.numbers_.decode(z))
        return z

    def _split(self, values: _Floats, data: Ragged | MultiInput) -> Any:
        if not self.network_.every_step:
            return values
        return np.split(values, data.offsets[1:-1].numpy()) if len(data) else []

    @by_learnt_options
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R2: the share of the targets' variance that is explained, 1 at best; the mean over several outputs."""
        return self.evaluate(X, y, sample_weight)["r2"]

    @by_learnt_options
    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """ "mae", "rmse", "r2" and the "loss" that was learnt from; unknown targets are left out."""
        data, truth = self._scored(X, y)
        weights = None
        if sample_weight is not None:
            repeats: Any = np.ones(len(truth), np.int64) if truth.lengths is None else truth.lengths
            weights = np.repeat(metrics.checked_weights(sample_weight, len(repeats)), repeats)
        return self._metrics(self._rows(data), truth.values, weights)

    def _scored(self, X: Any, y: Any) -> tuple[Ragged | MultiInput, NumberTargets]:
        """The steps, and the targets in the order that was learnt."""
        column, y = self.reader.read_with_targets(X, y)
        truth, learnt = number_targets(y, count(column), self.network_.every_step), self.numbers_
        if not len(truth) or not truth.known().any():
            raise DataError("there is no number to score against. Give at least one.")
        if truth.outputs != learnt.outputs:
            raise DataError(f"has {truth.outputs} numbers each, but {learnt.outputs} were learnt.", at=Place("y"))
        if learnt.names is not None and truth.names is not None and truth.names != learnt.names:
            if set(truth.names) != set(learnt.names):
                raise DataError(f"has the names {truth.names}, but {learnt.names} were learnt.", at=Place("y"))
            places = [truth.names.index(name) for name in learnt.names]
            truth = replace(truth, values=truth.values[:, places], names=learnt.names)
        data = self.reader.steps(column)
        truth.check_steps(groups_of(data)[0][0].lengths)
        return data, truth

    # ---- looking inside

    def _diagnosis_request(self, X: Any, y: Any) -> DiagnosisRequest:
        """The network and its loss; without `y` the sum of its answers, since they are no distance from themselves."""
        data, truth = (self.reader.steps(self.reader.read(X)), None) if y is None else self._scored(X, y)
        scaled = None if truth is None else self.numbers_.coded(truth.values)
        offsets = data.offsets if self.network_.every_step else torch.arange(len(data) + 1)

        def loss(indices: Tensor) -> Tensor:
            rows = self.network_(data[indices]).split(offsets.diff()[indices].tolist())
            if scaled is None:
                return torch.stack([row.sum() for row in rows])
            known = [scaled[offsets[i] : offsets[i + 1]] for i in indices.tolist()]
            return torch.stack([self.numbers_.loss(row, it) for row, it in zip(rows, known, strict=True)])

        return DiagnosisRequest(self.network_, data.lengths, loss, self.learnt_with_, self.reader.path_names())

    def _attribution_request(self, X: Any, y: Any) -> AttributionRequest:
        """The number that is answered for a sequence, or for its last step; `y` says which, where there are several."""
        numbers = self.numbers_
        names: list[Any] = list(range(numbers.outputs)) if numbers.names is None else numbers.names
        if y not in names and (y is not None or numbers.outputs > 1):
            which = f"one of the {numbers.outputs} numbers to explain, {', '.join(map(repr, names))}"
            raise OptionError(f"explain(X, y) needs as y {which}, got {y!r}.")
        output = 0 if y is None else names.index(y)
        column = self.reader.read(X)
        data = self.reader.steps(column)
        mean, deviation = float(numbers.mean[output]), float(numbers.deviation[output])
        lengths = data.lengths if self.network_.every_step else torch.ones(len(data), dtype=torch.int64)

        def score(indices: Tensor) -> Tensor:
            rows: Tensor = self.network_(data[indices])[:, output]
            counts = lengths[indices]
            if not len(rows):
                return rows.new_full((len(indices),), mean) + rows.sum()
            last = torch.where(counts > 0, rows[(counts.cumsum(0) - 1).clamp(min=0)], 0.0)
            scores: Tensor = mean + deviation * last
            return scores

        told = [numbers.name(output) if numbers.outputs > 1 else "the answer"] * len(data)
        return AttributionRequest(
            self.network_.inputs, data.lengths, score, parts_of(self.feature_, data, column), told
        )

    # ---- streaming

    def _stepper(self, static: Mapping[str, Any] | None) -> NetworkStepper:
        numbers = self.numbers_

        def answer(z: _Floats, steps: int) -> RegressAnswer:
            values = finite(numbers.decode(z))[0]
            if numbers.names is not None:
                return RegressAnswer(dict(zip(numbers.names, values.tolist(), strict=True)), steps)
            return RegressAnswer(float(values) if numbers.flat else values, steps)

        return NetworkStepper(self.feature_, self.network_, static, answer)

    # ---- on disk

    def _config(self) -> dict[str, Any]:
        return {"names": self.numbers_.names, "flat": self.numbers_.flat}

    def _tensors(self) -> dict[str, Tensor]:
        mean, deviation = torch.from_numpy(self.numbers_.mean), torch.from_numpy(self.numbers_.deviation)
        return {"target.mean": mean, "target.deviation": deviation}

    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        scale = {name: part.numpy() for name, part in store.under("target.", tensors).items()}
        self.numbers_ = NumberTarget.restore(scale, self.loss, config["names"], config["flat"])
        every_step = bool(self.every_step)
        self.network_ = store.network(
            lambda: Network(self.feature_, self.numbers_.outputs, self.config(), every_step), tensors, folder
        )


class _EveryStep(StepLoss):
    """The distance from the targets of the steps, for pieces of sequences."""

    def __init__(
        self, network: Network, data: Ragged | MultiInput, targets: Ragged, kind: str, weights: Tensor | None
    ) -> None:
        self.network, self.data, self.targets, self.kind = network, data, targets, kind
        self.weights = weights  # of the sequences

    def initial_state(self, sequences: int) -> State:
        """The state before the first step."""
        return self.network.encoder.initial_state(sequences)

    def __call__(self, piece: Chunk, state: State) -> tuple[Tensor, State]:
        """The loss of a piece, and the state after it."""
        found, after = self.network.steps(cut(piece, self.data), state)
        own = None if self.weights is None else self.weights[piece.sequences].repeat_interleave(piece.counts)
        return distance(found, piece.of(self.targets).values, self.kind, own), after
