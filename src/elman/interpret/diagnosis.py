"""The result of a diagnosis, and its verdict.

    relative_k = median of carried_k / carried_1              over the sequences with more than k steps
    memory     = the first k from which on relative_k < 1/e   and again < 1 %
    look-back  = half of the median length, from 1 to 100 steps

`carried` and `total` are the gradients of gradient_flow.py. The verdict on a layer:

    exploding   relative_k >= 100 for some k
    vanishing   relative_k < 1 % at the look-back, of the carried gradient and of the total one
    healthy     neither
    silent      no gradient even one step back: the loss is 0, or does not depend on the last step of this pass
    too short   no sequence has two steps
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.table import Table

from elman.evaluation import tables as report
from elman.interpret.diagnosis_plot import Curve, through_time
from elman.validation import html

EXPLODES = 100.0  # relative gradient from which it explodes
VANISHED = 0.01  # relative gradient below which it has vanished
NOTHING = 1e-12  # relative gradient below which nothing is shown
FARTHEST = 100  # steps, the longest look-back
CLOSED, OPEN = 0.05, 0.95  # a sigmoid beyond these is saturated; so is a tanh beyond -OPEN and OPEN
VERDICTS = ("exploding", "vanishing", "healthy", "silent", "too short")  # of all layers the first one here counts
_SHOWN = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


@dataclass(frozen=True)
class Gate:
    """The values of one gate, over all steps and units."""

    kind: str  # "sigmoid", "tanh", "relu"; "kept": the fraction of the state that is kept
    mean: float
    low: float  # fraction below 0.05 (sigmoid, kept), below -0.95 (tanh), at 0 (relu)
    high: float  # fraction above 0.95; of a relu 0
    histogram: list[float]  # fractions in equal bins from 0 to 1 (tanh: -1 to 1); of a relu none
    units: list[float]  # 5 %, 50 % and 95 % of the units have a mean over steps below these

    @property
    def saturated(self) -> float:
        """The fraction of saturated values."""
        return 0.0 if self.kind == "kept" else self.low + self.high


@dataclass(frozen=True)
class Layer:
    """One layer and direction: its gradient through time, gates and recurrent weights."""

    name: str
    cell: str
    sequences: int
    steps: int
    look_back: int
    back: list[int]  # steps back from the end of the pass
    relative: list[float]  # the carried gradient there, as a multiple of that one step back
    total: list[float]  # the gradient of the whole loss there, likewise
    reached: list[int]  # sequences with more than so many steps, which `relative` is the median of
    parts: dict[str, list[float]]  # `relative` of each part of the state alone
    gates: dict[str, Gate] = field(default_factory=dict)
    keeps: str | None = None  # the gate that is the fraction of the state kept
    radius: dict[str, float] = field(default_factory=dict)  # largest |eigenvalue| of each recurrent weight

    def memory(self, share: float = 1 / math.e) -> int | None:
        """The steps back from which on less than this fraction of the gradient is left; None: never less."""
        more = [i for i, size in enumerate(self.relative) if size >= share]
        first = more[-1] + 1 if more else 0
        return self.back[first] if first < len(self.back) else None

    def at(self, back: int, total: bool = False) -> float:
        """The relative gradient at the nearest cut to `back` steps; 0 where there is none."""
        return (self.total if total else self.relative)[self.nearest(back)] if self.back else 0.0

    def nearest(self, back: int) -> int:
        """The index of the nearest cut to `back` steps, of which there is at least one."""
        return int(np.abs(np.array(self.back) - back).argmin())

    def left(self, back: int) -> bool:
        """Whether more than 1e-12 of either gradient is left at the nearest cut to `back` steps."""
        return max(self.at(back), self.at(back, total=True)) > NOTHING

    @property
    def verdict(self) -> str:
        """One of "exploding", "vanishing", "healthy", "silent", "too short"."""
        if not self.back:
            return "too short"
        if not any(self.relative):
            return "silent"
        if max(self.relative) >= EXPLODES:
            return "exploding"
        faint = self.at(self.look_back) < VANISHED and self.at(self.look_back, total=True) < VANISHED
        return "vanishing" if faint else "healthy"

    @property
    def sentence(self) -> str:
        """The evidence for the verdict."""
        if not self.back:
            return "no sequence has two steps, so that nothing is carried from one to the next."
        if self.verdict == "silent":
            return f"in {self.name} no gradient comes back even one step."
        if self.verdict == "exploding":
            place = int(np.argmax(self.relative))
            grown = f"grows to {_size(self.relative[place])} its size"
            return f"in {self.name} the gradient {grown}, {self.back[place]} steps back."
        left = f"in {self.name} {_share(self.at(self.look_back))} of the gradient is left {self.look_back} steps back"
        if self.verdict == "vanishing":
            return f"{left}, and less than 1 % from {self.memory(VANISHED)} steps back on."
        memory = self.memory()
        reach = f"is above 1/e as far back as it was followed, {self.back[-1]} steps"
        reach = f"is below 1/e from {memory} steps back" if memory else reach
        return f"{left}; it {reach}.{self._direct()}"

    def _direct(self) -> str:
        if self.at(self.look_back) >= VANISHED:
            return ""
        return " Early steps learn all the same: the answer reads every step, not the last alone."


@dataclass(frozen=True)
class Diagnosis:
    """The result of `diagnose`. It prints as the verdict in words; `tables` and `picture` show the numbers."""

    layers: list[Layer]
    sequences: int  # analysed
    advice: list[str]  # what to change, likeliest first

    @property
    def verdict(self) -> str:
        """The worst of the layers' verdicts; "silent" and "too short" only where all layers are so."""
        return self.worst.verdict

    @property
    def worst(self) -> Layer:
        """The layer that the verdict comes from."""
        return min(self.layers, key=lambda layer: (VERDICTS.index(layer.verdict), layer.at(layer.look_back)))

    def __str__(self) -> str:
        return "\n".join([f"{self.verdict}: {self.worst.sentence}", *(f"- {line}" for line in self.advice)])

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self) -> str:
        """The verdict, the advice and the picture, for a notebook."""
        advice = "".join(f"<li>{html.escape(line)}</li>" for line in self.advice)
        sentence = html.escape(f"{self.verdict}: {self.worst.sentence}")
        return f"<p>{sentence}</p><ul>{advice}</ul>{html.image(self.picture())}"

    def to_json(self) -> dict[str, Any]:
        """All numbers in a form that JSON can represent."""
        layers = [_json(layer) for layer in self.layers]
        words = {"verdict": self.verdict, "sentence": self.worst.sentence, "advice": self.advice}
        return {**words, "sequences": self.sequences, "layers": layers}

    def picture(
        self, title: str = "Gradient through time", beside: Mapping[str, Diagnosis] | None = None
    ) -> bytes | None:
        """The gradient by steps back and the histograms of the gates, as the bytes of a PNG.

        `beside`: diagnoses of other models on the same data by their names, drawn on the same axes; the histograms are
        this one's. None, with a note on stderr, where matplotlib (the extra `plot`) is missing.
        """
        others = {f"{name}: {layer.name}": layer for name, one in (beside or {}).items() for layer in one.layers}
        named = {layer.name: layer for layer in self.layers} | others
        curves = [Curve(name, one.back, one.relative, one.total, one.reached) for name, one in named.items()]
        bars = {
            layer.name: {name: (gate.kind, gate.histogram) for name, gate in layer.gates.items() if gate.histogram}
            for layer in self.layers
        }
        return through_time(curves, bars, title, f"{self.verdict}: {self.worst.sentence}")

    def tables(self) -> list[Table]:
        """The gradient by steps back, the memory, and the gates, for a terminal (``report.show(*tables)``)."""
        made = [
            report.comparison_table(
                _by_steps(self.layers), "Gradient by steps back, as a multiple of that one step back"
            ),
            report.comparison_table({layer.name: _memory(layer) for layer in self.layers}, "Memory"),
        ]
        gates = {
            f"{layer.name}: {name}": _gate(gate, layer.radius.get(name))
            for layer in self.layers
            for name, gate in layer.gates.items()
        }
        return [*made, report.comparison_table(gates, "Gates")] if gates else made


def _json(layer: Layer) -> dict[str, Any]:
    gates = {name: {**vars(gate), "saturated": gate.saturated} for name, gate in layer.gates.items()}
    words = {"verdict": layer.verdict, "memory_1_e": layer.memory(), "memory_1_percent": layer.memory(VANISHED)}
    return {**vars(layer), **words, "gates": gates}


def _by_steps(layers: list[Layer]) -> dict[str, dict[str, float | str]]:
    """Rows of the table, up to the first column where nothing is left of any gradient."""
    farthest = max((layer.back[-1] for layer in layers if layer.back), default=0)
    left = [k for k in _SHOWN if k <= farthest and any(layer.left(k) for layer in layers)]
    shown = [k for k in _SHOWN if k <= farthest][: len(left) + 1]
    rows: dict[str, dict[str, float | str]] = {}
    for layer in layers:
        for name, total in ((layer.name, False), (f"{layer.name}, whole loss", True)):
            rows[name] = {str(k): _size(layer.at(k, total)) for k in shown if layer.back and k <= layer.back[-1]}
        rows[f"{layer.name}, sequences so long"] = {
            str(k): f"{layer.reached[layer.nearest(k)]:,}" for k in shown if layer.back and k <= layer.back[-1]
        }
    return rows


def _memory(layer: Layer) -> dict[str, float | str]:
    beyond = f"> {layer.back[-1]}" if layer.back else "—"
    first, second = layer.memory(), layer.memory(VANISHED)
    return {
        "cell": layer.cell,
        "verdict": layer.verdict,
        "steps to 1/e": beyond if first is None else str(first),
        "steps to 1 %": beyond if second is None else str(second),
        "look-back": str(layer.look_back),
        "left there": _share(layer.at(layer.look_back)) if layer.back else "—",
        "sequences": f"{layer.sequences:,}",
        "steps": f"{layer.steps:,}",
    }


def _gate(gate: Gate, radius: float | None) -> dict[str, float | str]:
    return {
        "kind": gate.kind,
        "mean": f"{gate.mean:.3f}",
        "low": f"{gate.low:.1%}",
        "high": "—" if gate.kind == "relu" else f"{gate.high:.1%}",
        "saturated": "—" if gate.kind == "kept" else f"{gate.saturated:.1%}",
        "units 5 % · 50 % · 95 %": " · ".join(f"{u:.2f}" for u in gate.units),
        "spectral radius": "—" if radius is None else f"{radius:.3f}",
    }


def _size(value: float) -> str:
    return f"{value:.3g}×" if 0.001 <= value < 10_000 or value == 0 else f"{value:.0e}×"


def _share(value: float) -> str:
    return f"{value:.1%}" if value >= 0.001 else f"{value:.0e}" if value else "nothing"
