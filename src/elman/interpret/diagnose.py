"""Diagnoses a network on data: gradient flow through time, and gate activations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from elman.cells.base import Cell
from elman.errors import DataError, OptionError
from elman.interpret.diagnosis import CLOSED, FARTHEST, OPEN, Diagnosis, Gate, Layer
from elman.interpret.gradient_flow import CellPass, Sizes, cuts, sizes, watched
from elman.interpret.recommendations import advice
from elman.training.batching import batches
from elman.validation.options import is_whole

BINS = 20  # of a gate's histogram
STEPS = 1 << 14  # steps in a batch: bounds the memory


class DiagnosisRequest(NamedTuple):
    """The input of `diagnose` from a task."""

    network: nn.Module  # in evaluation
    lengths: Tensor  # steps of each sequence
    loss: Callable[[Tensor], Tensor]  # the loss of each of the sequences with these indices, through `network`
    options: Mapping[str, Any]  # of the task, for the advice
    names: Mapping[str, str] = {}  # of the paths, where there are several: "path 1" reads "note"


def diagnose(request: DiagnosisRequest, sequences: int = 100) -> Diagnosis:
    """Analyses at most `sequences`, evenly spaced; independent of batching. Raises ``DataError`` without steps."""
    if not is_whole(sequences):
        raise OptionError(f"sequences must be a whole number of at least 1, got {sequences!r}.")
    filled = torch.nonzero(request.lengths > 0)[:, 0]
    if not len(filled):
        raise DataError(
            f"X has {len(request.lengths)} sequences, none of which has a step. Give at least one that has."
        )
    chosen = filled[torch.linspace(0, len(filled) - 1, min(sequences, len(filled))).round().long()]
    seen: dict[str, _CellStatistics] = {}
    for batch in batches(request.lengths[chosen], STEPS):
        for run, d_y, d_last in _passes(request, chosen[batch]):
            seen.setdefault(_named(run.name, request.names), _CellStatistics(run.cell)).add(run, d_y, d_last)
    if not seen:
        raise DataError(f"{type(request.network).__name__} has no recurrent cell that reads these sequences.")
    layers = [one.layer(name) for name, one in seen.items()]
    return Diagnosis(layers, len(chosen), advice(layers, request.options))


def _named(layer: str, names: Mapping[str, str]) -> str:
    """A layer with the columns of its path: "note: layer 1" for "path 1 layer 1"."""
    for stack, name in names.items():
        if layer.startswith(f"{stack} "):
            return f"{name}: {layer.removeprefix(stack).strip()}"
    return layer


def _passes(request: DiagnosisRequest, chosen: Tensor) -> list[tuple[CellPass, Tensor, tuple[Tensor, ...]]]:
    """Each cell's pass over a batch, with the gradient of the loss that reaches it from the rest of the network."""
    with torch.enable_grad(), _learning(request.network), watched(request.network) as runs:
        loss = request.loss(chosen).sum()
    runs = [run for run in runs if run.y.steps and run.y.values.requires_grad]
    made = []
    for run in runs:
        wanted = [run.y.values, *run.last]
        found: Any = torch.autograd.grad(loss, wanted, retain_graph=True, allow_unused=True)
        d_y, *d_last = [torch.zeros_like(t) if g is None else g for t, g in zip(wanted, found, strict=True)]
        made.append((run, d_y, tuple(d_last)))
    return made


@contextmanager
def _learning(network: nn.Module) -> Iterator[None]:
    """Enables the gradient of all parameters within the block: frozen ones would cut the graph."""
    frozen = [p for p in network.parameters() if not p.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)


class _CellStatistics:
    """Statistics of one cell over batches."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.lengths: list[Tensor] = []
        self.multiples: dict[str, dict[int, list[Tensor]]] = {}
        self.gates: dict[str, _GateSums] = {}

    def add(self, run: CellPass, d_y: Tensor, d_last: tuple[Tensor, ...]) -> None:
        self.lengths.append(run.y.lengths)
        for name, values in _gates(run).items():
            self.gates.setdefault(name, _GateSums(self.cell.activations[name])).add(values)
        back = cuts(int(run.y.lengths.max()))
        if back:
            self._add_sizes(sizes(run, d_y, d_last, back), back)

    def _add_sizes(self, found: Sizes, back: list[int]) -> None:
        """Adds the gradient norm of each sequence at each cut relative to that one step back."""
        for name, size in {"": found.carried, "total": found.total, **found.parts}.items():
            counts = found.reached & (size[:, :1] > 0)
            multiples = (size / size[:, :1].clamp(min=1e-300)).clamp(max=1e300)
            kept = self.multiples.setdefault(name, {})
            for i, k in enumerate(back):
                kept.setdefault(k, []).append(multiples[counts[:, i], i])

    def layer(self, name: str) -> Layer:
        lengths = torch.cat(self.lengths)
        lengths = lengths[lengths > 0]
        back = sorted(self.multiples.get("", {}))
        relative = {part: [_median(kept[k]) for k in back] for part, kept in self.multiples.items()}
        radius = {
            gate: float(torch.linalg.eigvals(weight.double()).abs().max())
            for gate, weight in self.cell.recurrent_weights().items()
        }
        return Layer(
            name=name,
            cell=type(self.cell).__name__,
            sequences=len(lengths),
            steps=int(lengths.sum()),
            look_back=max(1, min(FARTHEST, int(lengths.median()) // 2)),
            back=back,
            relative=relative.pop("", []),
            total=relative.pop("total", []),
            reached=[sum(map(len, self.multiples[""][k])) for k in back],
            parts=relative,
            gates={gate: sums.gate() for gate, sums in self.gates.items()},
            keeps=self.cell.keeps,
            radius=radius,
        )


def _median(parts: list[Tensor]) -> float:
    values = torch.cat(parts)
    return float(values.quantile(0.5)) if len(values) else 0.0


class _GateSums:
    """Sums over the values of one gate."""

    def __init__(self, kind: str) -> None:
        self.kind, self.count = kind, 0
        self.low = self.high = 0
        self.bins = np.zeros(BINS)
        self.total: Tensor | float = 0.0

    def add(self, values: Tensor) -> None:
        self.count += values.numel()
        self.total = self.total + values.double().sum(0)
        low = {"tanh": -OPEN, "relu": 0.0}.get(self.kind, CLOSED)
        self.low += int((values <= low if self.kind == "relu" else values < low).sum())
        self.high += 0 if self.kind == "relu" else int((values > OPEN).sum())
        if self.kind != "relu":
            least = -1.0 if self.kind == "tanh" else 0.0
            self.bins += np.histogram(values.clamp(least, 1.0).numpy(), BINS, (least, 1.0))[0]

    def gate(self) -> Gate:
        total = torch.as_tensor(self.total)
        means = total / (self.count / len(total))
        spread = np.quantile(means.numpy(), [0.05, 0.5, 0.95]).tolist()
        fractions = [] if self.kind == "relu" else (self.bins / self.count).tolist()
        return Gate(self.kind, float(means.mean()), self.low / self.count, self.high / self.count, fractions, spread)


@torch.no_grad()
def _gates(run: CellPass) -> dict[str, Tensor]:
    return {name: values.detach().float() for name, values in run.cell.gates(run.x, run.y, run.state).items()}
