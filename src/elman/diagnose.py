"""What a gradient does on its way back through a network, what its gates do, and what that means.

    relative_k = mean of carried_k / mean of carried_1        over the sequences with more than k steps
    memory     = the first k with relative_k < 1/e            and again with relative_k < 1 %
    look-back  = half of the median length, at most 100 steps

`carried` and `total` are defined in through_time.py. The verdict on a layer:

    exploding   relative_k >= 10 somewhere
    vanishing   relative_k < 1 % at the look-back, of the carried gradient and of the total one
    healthy     neither
    too short   no sequence has two steps: nothing is carried
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from torch import Tensor, nn

from elman import report
from elman.batches import batches
from elman.cells.base import Cell
from elman.errors import DataError, OptionError
from elman.options import is_whole
from elman.through_time import Sizes, Walk, cuts, sizes, watched

__all__ = ["Diagnosis", "Gate", "Layer", "Probe", "diagnose"]

EXPLODES = 10.0  # relative gradient from which it explodes
VANISHED = 0.01  # relative gradient below which nothing is left
FARTHEST = 100  # steps, the longest look-back
CLOSED, OPEN = 0.05, 0.95  # a sigmoid beyond these is saturated; a tanh beyond -OPEN and OPEN
BINS = 20  # of a gate's histogram
STEPS = 1 << 14  # steps in a batch: bounds the memory

_Floats = NDArray[np.float64]


class Probe(NamedTuple):
    """What a task hands over to be diagnosed."""

    network: nn.Module  # in evaluation
    lengths: Tensor  # steps of each sequence
    loss: Callable[[Tensor], Tensor]  # the loss of each of the sequences with these indices, through `network`
    options: Mapping[str, Any]  # of the task, for the advice


@dataclass(frozen=True)
class Gate:
    """The values of one gate, over all steps and units."""

    kind: str  # "sigmoid", "tanh", "relu"; "kept": the share of the state that is kept
    mean: float
    low: float  # share below 0.05 (sigmoid, kept), below -0.95 (tanh), at 0 (relu)
    high: float  # share above 0.95
    histogram: list[float]  # shares of 20 bins from 0 to 1 (tanh: -1 to 1); of relu none
    units: list[float]  # 5 %, 50 % and 95 % of the units have a mean over steps below these

    @property
    def saturated(self) -> float:
        """The share of values at which next to no gradient passes the gate."""
        return 0.0 if self.kind == "kept" else self.low if self.kind == "relu" else self.low + self.high


@dataclass(frozen=True)
class Layer:
    """One layer and direction: its gradient on its way back, its gates, its recurrent weights."""

    name: str
    cell: str
    sequences: int
    steps: int
    look_back: int
    back: list[int]  # steps back from the end of the walk
    relative: list[float]  # the carried gradient there, as a multiple of that one step back
    total: list[float]  # the gradient of the whole loss there, likewise
    parts: dict[str, list[float]]  # `relative` of each part of the state alone
    gates: dict[str, Gate] = field(default_factory=dict)
    radius: dict[str, float] = field(default_factory=dict)  # largest |eigenvalue| of each recurrent weight

    def memory(self, share: float = 1 / math.e) -> int | None:
        """The first number of steps back at which less than this share of the gradient is left; None: never."""
        return next((k for k, size in zip(self.back, self.relative, strict=True) if size < share), None)

    def at(self, back: int, total: bool = False) -> float:
        """The relative gradient at so many steps back, or at the cut nearest to it."""
        place = int(np.abs(np.array(self.back) - back).argmin())
        return (self.total if total else self.relative)[place]

    @property
    def verdict(self) -> str:
        """ "exploding", "vanishing", "healthy" or "too short"."""
        if not self.back:
            return "too short"
        if max(self.relative) >= EXPLODES:
            return "exploding"
        faint = self.at(self.look_back) < VANISHED and self.at(self.look_back, total=True) < VANISHED
        return "vanishing" if faint else "healthy"

    @property
    def kept(self) -> Gate | None:
        """The gate that says which share of the state is kept, where the cell has one."""
        names = {"LSTM": "f", "LayerNormLSTM": "f", "GRU": "z", "GRUD": "z"}
        return self.gates.get("a", self.gates.get(names.get(self.cell, "")))


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found. Printed, it is the verdict in words; `tables` and `picture` show the numbers."""

    layers: list[Layer]
    sequences: int  # looked at
    advice: list[str]

    @property
    def verdict(self) -> str:
        """The worst of the layers' verdicts."""
        order = ("exploding", "vanishing", "healthy", "too short")
        return min((layer.verdict for layer in self.layers), key=order.index)

    def __str__(self) -> str:
        return "\n".join([f"{self.verdict}: {_sentence(self)}", *(f"- {line}" for line in self.advice)])

    def to_json(self) -> dict[str, Any]:
        """All numbers as JSON can hold them."""
        return {
            "verdict": self.verdict,
            "sentence": _sentence(self),
            "advice": self.advice,
            "sequences": self.sequences,
            "layers": [_layer_json(layer) for layer in self.layers],
        }

    def tables(self) -> list[Table]:
        """The gradient by steps back, the memory, and the gates, as tables for a terminal."""
        made = [
            report.comparison_table(_by_steps(self.layers), "Gradient by steps back (1: the state the last step reads)")
        ]
        made.append(report.comparison_table({layer.name: _memory_row(layer) for layer in self.layers}, "Memory"))
        gates = {
            f"{layer.name}: {name}": _gate_row(gate, layer.radius.get(name))
            for layer in self.layers
            for name, gate in layer.gates.items()
        }
        return [*made, report.comparison_table(gates, "Gates")] if gates else made


def diagnose(probe: Probe, sequences: int = 100) -> Diagnosis:
    """Looks at up to so many `sequences`, evenly chosen from all. Raises ``DataError`` where there is none to look at.

    What it finds does not depend on how the sequences fall into batches.
    """
    if not is_whole(sequences):
        raise OptionError(f"sequences must be a whole number of at least 1, got {sequences!r}.")
    filled = torch.nonzero(probe.lengths > 0)[:, 0]
    if not len(filled):
        raise DataError(f"X has {len(probe.lengths)} sequences, none of which has a step. Give at least one that has.")
    chosen = filled[torch.linspace(0, len(filled) - 1, min(sequences, len(filled))).round().long()]
    seen: dict[str, _Seen] = {}
    for batch in batches(probe.lengths[chosen], STEPS):
        for walk, d_y, d_last in _passes(probe, chosen[batch]):
            seen.setdefault(walk.name, _Seen(walk.cell)).add(walk, d_y, d_last)
    if not seen:
        raise DataError(f"{type(probe.network).__name__} has no recurrent cell that reads these sequences.")
    layers = [one.layer(name) for name, one in seen.items()]
    return Diagnosis(layers, len(chosen), _advice(layers, probe.options))


def _passes(probe: Probe, chosen: Tensor) -> list[tuple[Walk, Tensor, tuple[Tensor, ...]]]:
    """Each cell's pass over a batch, with the gradient of the loss that reaches it from the rest of the network."""
    with torch.enable_grad(), watched(probe.network) as walks:
        loss = probe.loss(chosen).sum()
    walks = [walk for walk in walks if walk.y.steps and walk.y.values.requires_grad]
    made = []
    for walk in walks:
        wanted = [walk.y.values, *walk.last]
        found = torch.autograd.grad(loss, wanted, retain_graph=True, allow_unused=True)
        d_y, *d_last = [torch.zeros_like(t) if g is None else g for t, g in zip(wanted, found, strict=True)]
        made.append((walk, d_y, tuple(d_last)))
    return made


class _Seen:
    """What was seen of one cell, batch after batch: sums, so that batches do not matter."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.lengths: list[Tensor] = []
        self.sums: dict[str, dict[int, _Floats]] = {}
        self.gates: dict[str, _GateSums] = {}

    def add(self, walk: Walk, d_y: Tensor, d_last: tuple[Tensor, ...]) -> None:
        self.lengths.append(walk.y.lengths)
        for name, values in _gates(walk).items():
            self.gates.setdefault(name, _GateSums(self.cell.activations[name])).add(values)
        back = cuts(int(walk.y.lengths.max()))
        if back:
            self._add_sizes(sizes(walk, d_y, d_last, back), back)

    def _add_sizes(self, found: Sizes, back: list[int]) -> None:
        """For each cut the sum there, and one step back of the same sequences."""
        for name, size in {"": found.carried, "total": found.total, **found.parts}.items():
            pairs = torch.stack([size.sum(0), (size[:, :1] * found.reached).sum(0)], 1).numpy()
            sums = self.sums.setdefault(name, {})
            for k, pair in zip(back, pairs, strict=True):
                sums[k] = sums.get(k, np.zeros(2)) + pair

    def layer(self, name: str) -> Layer:
        lengths = torch.cat(self.lengths)
        lengths = lengths[lengths > 0]
        back = sorted(self.sums.get("", {}))
        relative = {part: [_ratio(*sums[k]) for k in back] for part, sums in self.sums.items()}
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
            parts=relative,
            gates={gate: sums.gate() for gate, sums in self.gates.items()},
            radius=radius,
        )


def _ratio(here: float, first: float) -> float:
    return 0.0 if here == 0 else min(here / max(first, 1e-300), 1e300)


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
        shares = [] if self.kind == "relu" else (self.bins / self.count).tolist()
        return Gate(self.kind, float(means.mean()), self.low / self.count, self.high / self.count, shares, spread)


@torch.no_grad()
def _gates(walk: Walk) -> dict[str, Tensor]:
    return {name: values.detach().float() for name, values in walk.cell.gates(walk.x, walk.y, walk.state).items()}


# ------------------------------------------------------------------------------------------------------------- words


def _sentence(found: Diagnosis) -> str:
    """The verdict as one sentence about the layer that it comes from."""
    layer = min(
        found.layers, key=lambda layer: (layer.verdict != found.verdict, layer.at(layer.look_back) if layer.back else 0)
    )
    if not layer.back:
        return "no sequence has two steps, so that nothing is carried from one to the next."
    if found.verdict == "exploding":
        place = int(np.argmax(layer.relative))
        return f"in {layer.name} the gradient grows to {_size(layer.relative[place])} of itself, {layer.back[place]} steps back."
    left = f"in {layer.name} {_share(layer.at(layer.look_back))} of the gradient is left {layer.look_back} steps back"
    if found.verdict == "vanishing":
        return f"{left}; below 1 % from {layer.memory(VANISHED)} steps on."
    memory, most = layer.memory(), layer.back[-1]
    reach = (
        f"it falls below 1/e at {memory} steps"
        if memory
        else f"it stays above 1/e as far as it was followed, {most} steps"
    )
    direct = layer.at(layer.look_back) < VANISHED
    return f"{left}; {reach}." + (
        " The loss reaches early steps all the same, since the network reads every step's y." if direct else ""
    )


def _advice(layers: list[Layer], options: Mapping[str, Any]) -> list[str]:
    """What to change, likeliest first."""
    made: list[str] = []
    for layer in layers:
        if layer.verdict == "exploding":
            made += _against_explosion(layer, options)
        elif layer.verdict == "vanishing":
            made += _against_vanishing(layer, options)
        made += _about_gates(layer)
    return list(dict.fromkeys(made))


def _against_explosion(layer: Layer, options: Mapping[str, Any]) -> list[str]:
    clip, rate = options.get("clip"), options.get("learning_rate")
    made = [
        "Clip the gradient: clip=1.0."
        if not clip
        else f"The gradient is clipped at {clip:g}, which bounds a step; it does not mend its direction."
    ]
    made.append(
        f"Learn more slowly: learning_rate={rate / 3:.2g} instead of {rate:g}." if rate else "Learn more slowly."
    )
    if layer.radius and max(layer.radius.values()) > 1.2:
        made.append(
            f"The spectral radius of the recurrent weight is {max(layer.radius.values()):.2f}; weights start at 1 "
            "(orthogonal). More weight_decay holds them there."
        )
    if layer.cell in ("RNN", "ReluRNN"):
        made.append(
            "Take a cell with gates, cell='gru' or 'lstm', or one that cannot explode: 'min_gru', 'min_lstm', 'lru'."
        )
    return made


def _against_vanishing(layer: Layer, options: Mapping[str, Any]) -> list[str]:
    made = []
    if not any(layer.relative):
        made.append(
            "No gradient reaches the state at all: the loss is exactly 0, no unit of a relu is above 0, or nothing "
            "reads this layer's last step. Try other sequences, and the true labels."
        )
    if layer.cell in ("RNN", "ReluRNN"):
        made.append(
            "Take a cell with gates: cell='lstm' or 'gru'; or one without products between steps: 'min_gru', 'lru'."
        )
    kept = layer.kept
    if kept is not None and kept.units[2] < 0.99:
        half = math.log(2) / -math.log(min(max(kept.units[2], 1e-3), 0.999))
        made.append(
            f"The longest-lived units keep {kept.units[2]:.2f} of their state a step: half is gone after {half:.1f} steps. "
            f"Start the bias of that gate at log(u), u even in 1 ... {layer.look_back} (Tallec & Ollivier 2018), or train longer."
        )
    if layer.radius and layer.cell in ("RNN", "ReluRNN") and max(layer.radius.values()) < 0.9:
        made.append(
            f"The spectral radius of the recurrent weight is {max(layer.radius.values()):.2f}; start it at 1 (orthogonal, the default), with less weight_decay."
        )
    if options.get("pool") == "last":
        made.append("Let the answer read every step: pool='attention' or 'mean+max' instead of 'last'.")
    tbptt = options.get("tbptt")
    if tbptt:
        made.append(f"tbptt={tbptt} cuts the gradient besides: no memory longer than that is learnt. Set tbptt=0.")
    if layer.look_back == FARTHEST:
        made.append("Shorten the sequences: a stride, a mean over neighbouring steps, or larger units such as words.")
    return made


def _about_gates(layer: Layer) -> list[str]:
    made = []
    for name, gate in layer.gates.items():
        if gate.kind == "tanh" and gate.saturated > 0.5:
            made.append(
                f"{gate.saturated:.0%} of the values of {name} in {layer.name} are beyond ±0.95, where tanh passes next "
                "to no gradient: scale the inputs, or learn with a lower learning_rate or more weight_decay."
            )
        if gate.kind == "relu" and gate.low > 0.9:
            made.append(
                f"{gate.low:.0%} of the values of {name} in {layer.name} are 0: most units are dead. Lower learning_rate."
            )
        if gate.kind == "sigmoid" and gate.saturated > 0.8:
            made.append(
                f"{gate.saturated:.0%} of the values of gate {name} in {layer.name} are below 0.05 or above 0.95: it hardly "
                "learns any more. If that was not wished for: lower learning_rate, more weight_decay."
            )
    return made


def _layer_json(layer: Layer) -> dict[str, Any]:
    gates = {name: {**vars(gate), "saturated": gate.saturated} for name, gate in layer.gates.items()}
    words = {"verdict": layer.verdict, "memory_1_e": layer.memory(), "memory_1_percent": layer.memory(VANISHED)}
    return {**vars(layer), **words, "gates": gates}


def _by_steps(layers: list[Layer]) -> dict[str, dict[str, str]]:
    farthest = max((layer.back[-1] for layer in layers if layer.back), default=0)
    shown = [k for k in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000) if k <= farthest]
    rows: dict[str, dict[str, str]] = {}
    for layer in layers:
        for name, total in ((layer.name, False), (f"{layer.name}, whole loss", True)):
            rows[name] = {str(k): _size(layer.at(k, total)) for k in shown if layer.back and k <= layer.back[-1]}
    return rows


def _memory_row(layer: Layer) -> dict[str, float | str]:
    beyond = f"> {layer.back[-1]}" if layer.back else "—"
    first, second = layer.memory(), layer.memory(VANISHED)
    return {
        "cell": layer.cell,
        "verdict": layer.verdict,
        "steps to 1/e": beyond if first is None else str(first),
        "steps to 1 %": beyond if second is None else str(second),
        "look-back": str(layer.look_back),
        "left there": _share(layer.at(layer.look_back)) if layer.back else "—",
        "steps in all": f"{layer.steps:,}",
    }


def _gate_row(gate: Gate, radius: float | None) -> dict[str, float | str]:
    relu = gate.kind == "relu"
    return {
        "kind": gate.kind,
        "mean": f"{gate.mean:.3f}",
        "low": f"{gate.low:.1%}",
        "high": "—" if relu else f"{gate.high:.1%}",
        "saturated": "—" if gate.kind == "kept" else f"{gate.saturated:.1%}",
        "units 5 % · 50 % · 95 %": " · ".join(f"{u:.2f}" for u in gate.units),
        "spectral radius": "—" if radius is None else f"{radius:.3f}",
    }


def _size(value: float) -> str:
    return f"{value:.3g}×" if 0.001 <= value < 10_000 or value == 0 else f"{value:.0e}×"


def _share(value: float) -> str:
    return f"{value:.1%}" if value >= 0.001 else f"{value:.0e}" if value else "nothing"
