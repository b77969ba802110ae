"""The learning curve: what every epoch did, and which of them the model keeps."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, overload

from elman.errors import ModelFileError
from elman.validation import html
from elman.validation.messages import shown

_ENDS = ("", "finished", "patience", "interrupted")  # of a training


@dataclass(frozen=True)
class Epoch:
    """What one pass over the sequences did."""

    epoch: int  # counted from 1
    loss: float  # mean over the training sequences, while they were learnt
    validation: dict[str, float]  # what `validate` gave; empty without one
    seconds: float  # training and validation
    steps_per_second: float  # in training
    learning_rate: float  # at the last batch
    gradient_norm: float  # mean over the batches, before clipping
    clipped: float  # share of the batches, 0 to 1, whose gradient was clipped


@dataclass(repr=False)
class History(Sequence[Epoch]):
    """The learning curve: a list of epochs, and which of them the model keeps.

    >>> history = History(metric="accuracy")
    >>> history.records.append(Epoch(1, 0.7, {"accuracy": 0.8}, 2.5, 1000.0, 1e-3, 0.5, 0.0))
    >>> history[-1].validation["accuracy"], len(history)
    (0.8, 1)
    >>> History.from_json(history.to_json()) == history
    True
    """

    metric: str = "loss"  # the validation metric by which the best epoch was chosen
    records: list[Epoch] = field(default_factory=list)
    best: int = 0  # the epoch whose weights the model has; 0: no epoch was finished
    stopped: str = ""  # why training ended: "finished", "patience", "interrupted"

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the training."""
        return self.stopped == "interrupted"

    @property
    def best_epoch(self) -> Epoch | None:
        """The record of the epoch whose weights the model has; None where no epoch was finished."""
        return self.records[self.best - 1] if self.best else None

    def __repr__(self) -> str:
        """The number of epochs, the best of them and its validation metric.

        >>> History(metric="accuracy")
        <History: 0 epochs>
        """
        parts = [f"{len(self)} epoch{'s' * (len(self) != 1)}"]
        if (best := self.best_epoch) is not None:
            value = best.validation.get(self.metric)
            how = f", validation {self.metric.replace('_', ' ')} {value:.4f}" if value is not None else ""
            how += f" ({direction(self.metric)} is better)" if value is not None else ""
            parts.append(f"epoch {self.best} kept{how}")
        if self.stopped in ("patience", "interrupted"):
            parts.append({"patience": "stopped early", "interrupted": "stopped by hand"}[self.stopped])
        return f"<History: {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self) -> str:
        """A table with a row for each epoch, the kept one marked."""
        keys = list(dict.fromkeys(key for record in self for key in record.validation))
        head = ["epoch", "training loss", *(f"validation {key.replace('_', ' ')}" for key in keys), "seconds", ""]
        rows = []
        for r in self:
            values = [f"{r.validation.get(key, math.nan):.4f}" for key in keys]
            kept = "kept" if r.epoch == self.best else ""
            rows.append([r.epoch, f"{r.loss:.4f}", *values, f"{r.seconds:.1f}", kept])
        return f"<p>{html.escape(repr(self))}</p>{html.table(head, rows)}"

    def plot(self, axes: Any = None) -> Any:
        """Draws training loss and validation metric over the epochs on matplotlib `axes`, new ones by default.

        Returns the axes. Raises ``ModuleNotFoundError`` where matplotlib (the extra `plot`) is missing.
        """
        if axes is None:
            from matplotlib import pyplot as plt

            axes = plt.figure(layout="constrained").add_subplot()
        epochs = [record.epoch for record in self]
        axes.plot(epochs, [record.loss for record in self], marker="o", label="training loss (lower is better)")
        for key in dict.fromkeys(("loss", self.metric)):
            values = [record.validation.get(key, math.nan) for record in self]
            if any(map(math.isfinite, values)):
                name = f"validation {key.replace('_', ' ')} ({direction(key)} is better)"
                axes.plot(epochs, values, marker="o", label=name)
        if self.best:
            axes.axvline(self.best, color="#666666", linestyle=":", label="weights kept")
        axes.set_xlabel("epoch")
        axes.legend(frameon=False)
        return axes

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON can hold it; a NaN among the metrics becomes null."""
        return {**dataclasses.asdict(self), "records": [_without_nan(dataclasses.asdict(r)) for r in self.records]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises ModelFileError where the content is not a history."""
        try:
            records = [_epoch(record, place) for place, record in enumerate(content["records"], start=1)]
            best, metric, stopped = content["best"], content["metric"], content["stopped"]
            lists = isinstance(content["records"], list)
            if not lists or type(best) is not int or not isinstance(metric, str) or stopped not in _ENDS:
                raise ValueError(f"best = {shown(best)}, metric = {shown(metric)}, stopped = {shown(stopped)}")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            why = shown(error, 200)
            raise ModelFileError(f"the saved history cannot be read: {why}. Save the model again.") from error
        if not 0 <= best <= len(records):
            raise ModelFileError(
                f"the saved history has best = {shown(best)} but {len(records)} epochs. Save the model again."
            )
        return cls(metric, records, best, stopped)

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> Epoch: ...
    @overload
    def __getitem__(self, index: slice) -> list[Epoch]: ...
    def __getitem__(self, index: int | slice) -> Epoch | list[Epoch]:
        return self.records[index]

    def _score(self, number: int) -> tuple[float, float] | None:
        """How good an epoch was, higher is better; among equals the lower validation loss wins.

        An epoch whose metric is NaN comes after those where it is not, by its loss. None where that is NaN, too.
        """
        values = self.records[number - 1].validation
        value, loss = values.get(self.metric, math.nan), values.get("loss", math.nan)
        if math.isnan(value):
            return None if math.isnan(loss) else (-math.inf, -loss)
        known = 0.0 if "loss" not in values else -math.inf if math.isnan(loss) else -loss
        return (-value if lower_is_better(self.metric) else value, known)

    def improved(self) -> bool:
        """Whether the last epoch is better than the best one before it."""
        new = self._score(len(self))
        old = self._score(self.best) if self.best else None
        return new is not None and (old is None or new > old)


def _without_nan(record: dict[str, Any]) -> dict[str, Any]:
    def finite(value: Any) -> Any:
        if isinstance(value, dict):
            return _without_nan(value)
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {key: finite(value) for key, value in record.items()}


def _epoch(record: Mapping[str, Any], number: int) -> Epoch:
    """The record of one epoch. Raises ValueError where it is not that of epoch `number`, or holds no numbers."""
    values: dict[str, Any] = {k: math.nan if v is None else v for k, v in record.items() if k != "validation"}
    metrics = {key: math.nan if value is None else value for key, value in record["validation"].items()}
    numbers = all(type(value) in (int, float) for value in [*values.values(), *metrics.values()])
    if type(values["epoch"]) is not int or values["epoch"] != number or not numbers:
        raise ValueError(f"epoch {number} is {shown(record, 200)}")
    return Epoch(**values, validation=metrics)


#: Metrics by the name a task gives them.
LOWER_IS_BETTER = frozenset(
    {"loss", "error", "perplexity", "nats", "bits", "wer", "cer", "ter"}
    | {"mae", "mse", "rmse", "mape", "smape", "mase", "crps", "pinball"}  # of numbers
)


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value of this metric is the better one: "loss", "mae" … but not "accuracy".

    The metric of one target is written "target.metric" or "metric target".

    >>> [lower_is_better(name) for name in ("val_loss", "size.mae", "rmse size", "accuracy")]
    [True, True, True, False]
    """
    words = _metric_words(metric)
    return words[-1] in LOWER_IS_BETTER or words[0] in ("nats", "bits")


def _metric_words(metric: str) -> list[str]:
    """The words of a metric's name, without that of a target."""
    return (metric.rsplit(".", 1)[-1].split() or [""])[0].lower().replace("-", "_").split("_")


#: What is counted beside the metrics; neither more nor less of it is better.
COUNTS = frozenset({"symbols", "steps", "sequences"})


def directions(metrics: Iterable[str]) -> str:
    """A line on which values of these metrics are better; empty where there are none.

    >>> directions(["accuracy", "macro_f1", "loss", "symbols"])
    'higher is better: accuracy, macro f1; lower is better: loss'
    >>> directions(["smape", "coverage_80"])
    'lower is better: smape; best at its level: coverage 80'
    """
    groups: dict[str, list[str]] = {"higher is better": [], "lower is better": [], "best at its level": []}
    for metric in metrics:
        first = _metric_words(metric)[0]
        if first not in COUNTS:
            which = "best at its level" if first == "coverage" else f"{direction(metric)} is better"
            groups[which].append(metric.replace("_", " "))
    return "; ".join(f"{which}: {', '.join(names)}" for which, names in groups.items() if names)


def direction(metric: str) -> str:
    """Whether a lower or a higher value of this metric is better, as a word.

    >>> direction("mae"), direction("accuracy")
    ('lower', 'higher')
    """
    return "lower" if lower_is_better(metric) else "higher"
