"""Several things for each sequence, labels and numbers, from one network: topic and mood of a text, fault and wear.

    row = [pool(h_1 ... h_T), ...]                 of all columns that are read: network.py
    z_k = A_k row + b_k                            target k: its own head, a logit per class or one scaled number
    loss = sum_k w_k loss_k                        cross-entropy of a label, distance of a number: base/targets

What the targets have in common is learnt once, and targets with few known values gain from the others (Caruana 1997,
"Multitask learning"). A target may be unknown anywhere: there it is left out of its loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, OptionError, Place, Problem, within
from elman.evaluation import metrics
from elman.evaluation.classification import ClassificationReport
from elman.features.containers import by_name, column_named
from elman.interpret.attribution import AttributionRequest, parts_of
from elman.interpret.diagnose import DiagnosisRequest
from elman.io import model_folder as store
from elman.layers.losses import DISTANCES
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.holdout import HoldoutOptions
from elman.tasks.base.inputs import InputReader, TrainingData, check_column, count
from elman.tasks.base.network import Network, NetworkStepper, answers, finite, margin
from elman.tasks.base.options import EncoderOptions, InputOptions, tbptt_problems
from elman.tasks.base.resolve import Config, Default
from elman.tasks.base.session import MultitaskAnswer
from elman.tasks.base.targets.numbers import NumberTarget
from elman.tasks.base.task import Task
from elman.tasks.base.training_run import TrainingRun
from elman.tasks.multitask.defaults import DEFAULTS
from elman.tasks.multitask.heads import TARGETS, Heads, Target, looks_like
from elman.training.options import TrainingOptions
from elman.validation.messages import shown
from elman.validation.options import choice, is_number, require

_Array = NDArray[Any]
_Floats = NDArray[np.float64]


@final
@dataclass(kw_only=True, eq=False, repr=False)
class Multitask(Task, InputOptions, EncoderOptions, HoldoutOptions, TrainingOptions):
    """Several labels and numbers for each sequence, by name, each with its own head and loss.

    Sequences are given as to `Classifier`. Targets are the names of columns of the frame `X`, a dict from name to
    column, or a frame. Texts and truth values are labels, numbers are numbers; ``targets={"grade": "label"}`` says
    otherwise. Any of them may be missing (None, NaN); a sequence without any is skipped.

    Learnt: ``targets_`` (from name to what was learnt of it), ``classes_`` (of each label), ``history_``, ``metrics_``
    (of the validation part), ``network_``, ``feature_``.

    >>> model = Multitask(hidden=8, epochs=1, verbose=False)
    >>> texts = ["a good film", "fine", "a bad film", "poor"]
    >>> model = model.fit(texts, {"mood": ["+", "+", "-", None], "words": [3, 1, 3, 1]})
    >>> {name: answers.shape for name, answers in model.predict(texts).items()}
    {'mood': (4,), 'words': (4,)}
    """

    task: ClassVar[str] = "multitask"
    description: ClassVar[str] = "Several labels and numbers for each sequence, from one network."
    example: ClassVar[str] = "reviews.csv --input review --target mood,stars"
    defaults: ClassVar[Mapping[str, Default]] = DEFAULTS

    # data
    targets: dict[str, str] | None = None  # what targets are, by name: "label", "number"; None, others: as they look
    weights: dict[str, float] | None = None  # what the loss of a target counts, by name; None, and others: 1
    loss: str = "squared"  # of numbers, of an error r in deviations: "squared", "absolute", "huber" (Huber 1964)

    # model
    dropout: float = 0.1  # share of h set to zero after each layer, one mask per sequence; 0 turns it off
    head_dropout: float = 0.0  # share of the pooled row set to zero; noise on it becomes noise of the numbers

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        found = super().problems() + tbptt_problems(self, every_step=False) + choice(self, "loss", DISTANCES)
        for name, what in (("targets", "what it is"), ("weights", "its weight")):
            rule = f"must be a dict from the name of a target to {what}, or None"
            found += require(isinstance(getattr(self, name), Mapping | None), self, name, rule)
        kinds, weights = ((given if isinstance(given, Mapping) else {}) for given in (self.targets, self.weights))
        among = f"must be one of {', '.join(TARGETS)}"
        wrong = [(name, kind) for name, kind in kinds.items() if kind not in TARGETS]
        found += [Problem("targets", f"{{{name!r}: {shown(kind)}}}", among) for name, kind in wrong]
        good = all(is_number(weight, 0) for weight in weights.values())
        return found + require(good, self, "weights", "must hold numbers of at least 0")

    # ---- learning

    def _fit(self, run: TrainingRun, reader: InputReader, X: Any, y: Any) -> None:
        column, named = self._column_and_targets(reader.learn, X, y)
        self._check_named(named)
        kinds = {name: (self.targets or {}).get(name) or looks_like(values, name) for name, values in named.items()}
        targets: dict[str, Target] = {name: TARGETS[kind](self.loss) for name, kind in kinds.items()}
        truth = _read(targets, named, count(column))
        some = np.flatnonzero(np.any([~np.isnan(values) for values in truth.values()], axis=0))
        training, validation = run.split(some)
        data = reader.prepare(reader.feature(column), column, (training, validation))

        self.targets_ = targets
        counts = run.rows.of(training)
        start = {name: target.fit(truth[name][training], counts) for name, target in targets.items()}
        described = "; ".join(f"{name}: {target.describe()}" for name, target in targets.items())
        run.notes.data(self, data.training.lengths, len(data.validation), described)
        self.network_: Network = run.build(self._network, data.config, start)
        self.data_ = reader.metadata(data, count(column) - len(some))
        self.data_ |= {f"target {name!r}": target.describe() for name, target in targets.items()}
        coded = {name: target.coded(truth[name][training]) for name, target in targets.items()}
        self._train(run, data, coded, {name: values[validation] for name, values in truth.items()})

    def _train(
        self, run: TrainingRun, data: TrainingData, coded: Mapping[str, Tensor], truth: Mapping[str, _Floats]
    ) -> None:
        heads = self._heads
        each, counts = run.rows.mean_one(data.indices), run.rows.of(data.validation_indices)

        def loss(indices: Tensor) -> Tensor:
            own = {name: values[indices] for name, values in coded.items()}
            return heads.loss(self.network_(data.training[indices]), own, None if each is None else each[indices])

        def validate() -> dict[str, float]:
            return heads.metrics(answers(self.network_, data.validation, heads.outputs), truth, counts)

        check = validate if len(data.validation) else None
        run.train(self.network_, data.config, loss, data.training.lengths, data.indices, validate=check, metric="loss")
        if len(data.validation):
            rows = answers(self.network_, data.validation, heads.outputs)
            heads.check_answers(rows, truth, self.metrics_)
            self.validation_counts_ = heads.count_tables(rows, truth)

    def _network(self, config: Config, start: Mapping[str, Tensor | None]) -> Network:
        network = Network(self.feature_, self._heads.outputs, config)
        with torch.no_grad():
            for name, own in self._heads.split(network.head.bias[None]).items():
                if (bias := start[name]) is not None:
                    own.copy_(bias)
        return network

    @property
    def _heads(self) -> Heads:
        return Heads(self.targets_, self.weights or {})

    @property
    def classes_(self) -> dict[str, _Array]:
        """The classes of each label, by its name, in order."""
        return {name: target.classes for name, target in self._heads.labels.items()}

    # ---- targets in

    def _column_and_targets(
        self, read: Callable[[Any, Any], tuple[Any, Any]], X: Any, y: Any
    ) -> tuple[Any, dict[str, Any]]:
        """What is read, and the targets by name."""
        columns = by_name(X)
        asked = y if (one := column_named(y, columns)) is None else [one]
        if isinstance(asked, list | tuple) and asked and all(isinstance(name, str) for name in asked):
            if twice := [name for i, name in enumerate(asked) if name in asked[:i]]:
                raise DataError(f"y names the column {twice[0]!r} twice. Name each target once.")
            for name in asked if columns else ():
                check_column(list(columns or ()), name, "y")
        column, found = read(X, asked)
        named = by_name(found)
        if not named:
            raise DataError(
                f"y must name its targets, got {shown(y)}. Pass names of columns of the frame X, a dict from name to "
                "column, or a frame."
            )
        return column, named

    def _check_named(self, named: Mapping[str, Any]) -> None:
        """Refuses options for targets that are not there, and weights that leave nothing to learn."""
        for option in ("targets", "weights"):
            for name in getattr(self, option) or {}:
                check_column(list(named), name, option, "target of y")
        if not any((self.weights or {}).get(name, 1) for name in named):
            raise OptionError("weights is 0 for every target. Give at least one of them more.")

    def _scored(self, X: Any, y: Any) -> tuple[Any, dict[str, _Floats]]:
        column, named = self._column_and_targets(self.reader.read_with_targets, X, y)
        if set(named) != set(self.targets_):
            raise DataError(
                f"has the targets {', '.join(named)}, but {', '.join(self.targets_)} were learnt.", at=Place("y")
            )
        return column, _read(self.targets_, named, count(column), fitted=True)

    # ---- answering

    @by_learnt_options
    def predict(self, X: Any) -> dict[str, _Array]:
        """The answers by the name of the target, arrays [sequences]: the likeliest class, or the number."""
        return {name: self.targets_[name].decode(z) for name, z in self._heads.split(self._rows(X)).items()}

    @by_learnt_options
    def predict_proba(self, X: Any) -> dict[str, _Floats]:
        """The probability of each class, float64 [sequences, classes], by the name of each target that is a label."""
        own = self._heads.split(self._rows(X))
        return {name: target.probabilities(own[name]) for name, target in self._heads.labels.items()}

    @by_learnt_options
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The mean over the targets of accuracy, of labels, and R2, of numbers; 1 at best."""
        column, truth = self._scored(X, y)
        own = self._heads.split(self._rows(column))
        weights = None if sample_weight is None else metrics.checked_weights(sample_weight, count(column))
        found = {name: target.metrics(own[name], truth[name], weights) for name, target in self.targets_.items()}
        scores = [own[self.targets_[name].main] for name, own in found.items() if own]
        if not scores:
            raise DataError("there is no target to score against. Give at least one.")
        return float(np.mean(scores))

    @by_learnt_options
    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> dict[str, float]:
        """Every metric of every target, as "target.metric", and the "loss" that was learnt from.

        Labels have "accuracy", "macro_f1" and "loss", numbers "mae", "rmse", "r2" and "loss"; unknown targets are left
        out, and a target of which none is known has no metrics.
        """
        column, truth = self._scored(X, y)
        if all(np.isnan(values).all() for values in truth.values()):
            raise DataError("there is no target to score against. Give at least one.")
        counts = None if sample_weight is None else metrics.checked_weights(sample_weight, count(column))
        return self._heads.metrics(self._rows(column), truth, counts)

    @by_learnt_options
    def report(self, X: Any, y: Any) -> dict[str, ClassificationReport]:
        """The report on each target that is a label and known of some sequence: `elman.evaluation.classification`.

        Print one, or see its ``to_json()`` and ``picture()``. Unknown labels are left out.
        """
        column, truth = self._scored(X, y)
        return self._heads.reports(self._rows(column), truth)

    def _rows(self, X: Any) -> _Floats:
        return finite(answers(self.network_, self.reader.steps(self.reader.read(X)), self._heads.outputs))

    # ---- looking inside

    def _diagnosis_request(self, X: Any, y: Any) -> DiagnosisRequest:
        """The network and its loss; without `y` labels that are answered count as true, and numbers are added up."""
        column, truth = (self.reader.read(X), None) if y is None else self._scored(X, y)
        data, heads = self.reader.steps(column), self._heads
        numbers: list[str] = []
        if truth is None:
            said = heads.split(self._rows(column))
            truth = {n: z.argmax(1).astype(float) if n in heads.labels else z[:, 0] for n, z in said.items()}
            numbers = [name for name in said if name not in heads.labels]
        coded = {name: target.coded(truth[name]) for name, target in self.targets_.items()}

        def loss(indices: Tensor) -> Tensor:
            return heads.losses(self.network_(data[indices]), {n: c[indices] for n, c in coded.items()}, numbers)

        return DiagnosisRequest(self.network_, data.lengths, loss, self.learnt_with_, self.reader.path_names())

    def _attribution_request(self, X: Any, y: Any) -> AttributionRequest:
        """One target, `y`: the number that is answered, or what speaks for the likeliest class."""
        if not (y in self.targets_ if isinstance(y, str) else y is None and len(self.targets_) == 1):
            which = f"one of the targets to explain, {', '.join(map(repr, self.targets_))}"
            raise OptionError(f"explain(X, y) needs as y {which}, got {shown(y)}.")
        name = next(iter(self.targets_)) if y is None else y
        column, heads = self.reader.read(X), self._heads
        data, target = self.reader.steps(column), self.targets_[name]
        said = heads.split(self._rows(column))[name]
        chosen = torch.from_numpy(said.argmax(1))

        def score(indices: Tensor) -> Tensor:
            z: Tensor = heads.split(self.network_(data[indices]))[name]
            if isinstance(target, NumberTarget):
                return float(target.mean[0]) + float(target.deviation[0]) * z[:, 0]
            return margin(z, chosen[indices])

        told = target.decode(said).tolist() if name in heads.labels else [name] * len(data)
        return AttributionRequest(
            self.network_.inputs, data.lengths, score, parts_of(self.feature_, data, column), told
        )

    # ---- streaming

    def _stepper(self, static: Mapping[str, Any] | None) -> NetworkStepper:
        heads = self._heads

        def answer(z: _Floats, steps: int) -> MultitaskAnswer:
            own = heads.split(finite(z))
            values = {name: target.decode(own[name]).tolist()[0] for name, target in heads.targets.items()}
            return MultitaskAnswer(values, {n: label.by_class(own[n]) for n, label in heads.labels.items()}, steps)

        return NetworkStepper(self.feature_, self.network_, static, answer)

    # ---- on disk

    def _config(self) -> dict[str, Any]:
        return {"targets": [{"name": n, "kind": target.kind, **target.config()} for n, target in self.targets_.items()]}

    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        saved: Sequence[Mapping[str, Any]] = config["targets"]
        names = [one["name"] for one in saved]
        if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise ValueError("targets")
        self.targets_ = {one["name"]: TARGETS[one["kind"]].restore(one, self.loss) for one in saved}
        outputs = self._heads.outputs
        self.network_ = store.network(lambda: Network(self.feature_, outputs, self.config()), tensors, folder)


def _read(
    targets: Mapping[str, Target], named: Mapping[str, Any], sequences: int, fitted: bool = False
) -> dict[str, _Floats]:
    """The truth of each target; a fault in it names the column."""
    found = {}
    for name, target in targets.items():
        with within(argument="y", column=name):
            found[name] = target.truth(named[name], sequences, fitted)
    return found
