"""What a fitted model is: its layers, their parameters and bytes, and the values chosen for options left at None."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from torch import nn

from elman.evaluation import tables
from elman.validation import html


class LayerSummary(NamedTuple):
    """One module of the network with parameters of its own."""

    name: str
    kind: str
    parameters: int
    bytes: int


class Choice(NamedTuple):
    """The value taken for an option that was None."""

    option: str
    value: Any
    meaning: str
    source: str  # the benchmark that the rule comes from, if any


@dataclass(frozen=True)
class ModelSummary:
    """The result of ``summary``: print it, or see `layers`, `chosen` and `to_json`."""

    model: str
    layers: list[LayerSummary]
    chosen: list[Choice]
    data: dict[str, Any]  # what it learnt from
    validation: dict[str, float]  # metrics of the validation set, which chose the epoch

    @property
    def parameters(self) -> int:
        """How many numbers the network holds."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def bytes(self) -> int:
        """How many bytes they take."""
        return sum(layer.bytes for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        rows = {"layers": [one._asdict() for one in self.layers], "chosen": [one._asdict() for one in self.chosen]}
        return {**asdict(self), **rows, "parameters": self.parameters, "bytes": self.bytes}

    def __str__(self) -> str:
        layers = {f"{one.name} ({one.kind})": _sizes(one.parameters, one.bytes) for one in self.layers}
        total = {"all": _sizes(self.parameters, self.bytes)}
        parts: list[Any] = [self.model, tables.comparison_table(layers | total, "Layers")]
        if self.chosen:
            rows = {one.option: {"value": str(one.value), "meaning": _why(one)} for one in self.chosen}
            parts.append(tables.comparison_table(rows, "Chosen for options that are None"))
        return tables.as_text(*parts)

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self) -> str:
        """The tables for a notebook."""
        layers = [[*one[:2], f"{one.parameters:,}", f"{one.bytes:,}"] for one in self.layers]
        layers.append(["all", "", f"{self.parameters:,}", f"{self.bytes:,}"])
        found = html.table(["layer", "kind", "parameters", "bytes"], layers)
        if self.chosen:
            rows = [[one.option, one.value, _why(one)] for one in self.chosen]
            found += html.table(["option left at None", "chosen", "what it is"], rows)
        return f"<p>{html.escape(self.model)}</p>{found}"


def summarize(task: Any) -> ModelSummary:
    """The summary of a fitted task."""
    chosen = [
        Choice(name, value, task.defaults[name].meaning, task.defaults[name].source)
        for name, value in task.resolved_.items()
        if name in task.defaults
    ]
    return ModelSummary(repr(task), [*_layers(task.network_)], chosen, dict(task.data_), dict(task.metrics_))


def _layers(network: nn.Module) -> Iterator[LayerSummary]:
    for name, module in network.named_modules():
        own = list(module.parameters(recurse=False))
        if own:
            sizes = sum(p.numel() for p in own), sum(p.numel() * p.element_size() for p in own)
            yield LayerSummary(name or "network", type(module).__name__, *sizes)


def _sizes(parameters: int, size: int) -> dict[str, float | str]:
    return {"parameters": f"{parameters:,}", "bytes": f"{size:,}"}


def _why(choice: Choice) -> str:
    return choice.meaning + (f" ({choice.source})" if choice.source else "")
