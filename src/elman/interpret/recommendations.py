"""Recommendations for vanishing and exploding gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from elman.interpret.diagnosis import FARTHEST, Gate, Layer

_SIMPLE = ("RNN", "ReluRNN")  # cells without gates


def advice(layers: list[Layer], options: Mapping[str, Any]) -> list[str]:
    """Recommendations, the most likely first; `options` are those of the task, as far as it has them.

    >>> advice([], {})
    []
    """
    made: list[str] = []
    for layer in layers:
        if layer.verdict == "exploding":
            made += _against_explosion(layer, options)
        elif layer.verdict == "vanishing":
            made += _against_vanishing(layer, options)
        elif layer.verdict == "silent":
            made += _against_silence(layer)
        for name, gate in layer.gates.items():
            if gate.kind != "sigmoid" or layer.verdict == "vanishing":  # a gate that stands open may well be meant to
                made += _about_gate(f"{name} in {layer.name}", gate)
    return list(dict.fromkeys(made))


def _against_explosion(layer: Layer, options: Mapping[str, Any]) -> list[str]:
    clip, rate, radius = options.get("clip"), options.get("learning_rate"), max(layer.radius.values(), default=0.0)
    clipped = f"The gradient is clipped at {clip}: that bounds a step of training, and leaves its direction."
    made = [clipped if clip else "Clip the gradient: clip=1.0."]
    made.append(
        f"Learn more slowly: learning_rate={rate / 3:.2g} in place of {rate:g}." if rate else "Learn more slowly."
    )
    if radius > 1.2:
        made.append(
            f"The spectral radius of the recurrent weight is {radius:.2f}; it starts at 1 (orthogonal). Start from "
            "there again; more weight_decay keeps it small."
        )
    if layer.cell in _SIMPLE:
        made.append("Take a cell with gates, cell='gru' or 'lstm', or one that cannot explode: 'min_gru' or 'lru'.")
    return made


def _against_vanishing(layer: Layer, options: Mapping[str, Any]) -> list[str]:
    made, radius, kept = [], max(layer.radius.values(), default=1.0), layer.gates.get(layer.keeps or "")
    if layer.cell in _SIMPLE:
        made.append(
            "Take cell='lstm', whose forget gate starts open, or one without products between steps: 'min_gru' or "
            "'lru'. A GRU starts with its gate half open and halves the gradient at each step."
        )
    if layer.cell in _SIMPLE and radius < 0.9:
        made.append(
            f"The spectral radius of the recurrent weight is {radius:.2f}; it starts at 1 (orthogonal). Less "
            "weight_decay lets it stay there."
        )
    if kept is not None and kept.units[2] < 0.99:
        half = math.log(2) / -math.log(max(kept.units[2], 1e-3))
        made.append(
            f"Even long-lived units keep {kept.units[2]:.2f} of their state a step ({layer.keeps} in {layer.name}): "
            f"half is gone after {half:.1f} steps. Train longer, start that gate's bias at log(u), u even in 1 ... "
            f"{max(2, layer.look_back)} (Tallec & Ollivier 2018), or take cell='min_gru' or 'lru', which start so."
        )
    if options.get("pool") == "last":
        made.append("Let the answer read every step: pool='attention' or 'mean+max' in place of 'last'.")
    if options.get("tbptt"):
        made.append(f"tbptt={options['tbptt']} cuts the gradient besides: nothing longer is learnt. tbptt=0 does not.")
    if layer.look_back == FARTHEST:
        made.append(
            "Shorten the sequences: of numbers a stride or means of neighbouring steps, of texts larger units such as "
            "words."
        )
    return made


def _against_silence(layer: Layer) -> list[str]:
    if layer.name.endswith("backwards"):
        where = f"{layer.name} ends its walk at the first step of a sequence, which the answer does not read"
        return [f"{where}: pool='mean', 'max' or 'attention' would; 'last' sees one step of this direction."]
    why = "the loss is exactly 0, every unit of a relu is at 0, or nothing reads the last step"
    return [f"{layer.name}: {why}. Look at other sequences, with their true labels."]


def _about_gate(name: str, gate: Gate) -> list[str]:
    said = f"{gate.saturated:.0%} of the values of {name}"
    if gate.kind == "tanh" and gate.saturated > 0.5:
        passes = "beyond ±0.95, where tanh passes little gradient"
        return [f"{said} are {passes}: scale the inputs, lower learning_rate, or raise weight_decay."]
    if gate.kind == "relu" and gate.low > 0.9:
        return [f"{said} are 0: most units are dead. Lower learning_rate."]
    if gate.kind == "sigmoid" and gate.saturated > 0.8:
        stuck = "below 0.05 or above 0.95, where a gate learns little"
        return [f"{said} are {stuck}. If it is not meant to stay there: lower learning_rate, more weight_decay."]
    return []
