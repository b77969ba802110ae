"""Attribution requests of a tagger: the score that explains the label of one step.

F = z_t[label] - mean of z_t[other labels]        at the requested step t; without the CRF
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from elman.errors import DataError, Place
from elman.features.lists import listed
from elman.features.multi_input import MultiInput, groups_of
from elman.interpret.attribution import AttributionRequest, Part
from elman.ragged import Ragged
from elman.tasks.base.network import margin
from elman.tasks.tag.network import TagNetwork
from elman.validation.columns import is_missing
from elman.validation.messages import seen
from elman.validation.options import is_whole
from elman.validation.plain_values import plain_value


def steps_asked(y: Any, lengths: Sequence[int], answers: Sequence[Sequence[Any]]) -> list[tuple[int, Any]]:
    """A step and a label for each sequence: `y` gives a step, a pair of both, or None for the last step and its answer.

    A step below 0 counts from the end; for an empty sequence the label is None. Raises ``DataError``.

    >>> steps_asked([0, (-1, "b"), None], [2, 2, 0], [["a", "a"], ["a", "a"], []])
    [(0, 'a'), (1, 'b'), (0, None)]
    """
    requested = [None] * len(lengths) if y is None else listed(y, "y")
    if len(requested) != len(lengths):
        raise DataError(
            f"X has {len(lengths)} sequences, y has {len(requested)}. Give a step, or a step and a label, each."
        )
    return [_step_and_label(*parts) for parts in zip(range(len(requested)), requested, lengths, answers, strict=True)]


def _step_and_label(i: int, one: Any, length: int, answers: Sequence[Any]) -> tuple[int, Any]:
    step, label = map(plain_value, one) if isinstance(one, list | tuple) and len(one) == 2 else (one, None)
    if not length:
        return 0, None
    if is_missing(step):
        step = -1
    if not is_whole(step, -length) or step >= length:
        raise DataError(
            f"is {seen(one)}, but it has {length} steps. Give the number of one of them, counted from "
            "0, or a pair of that and a label.",
            at=Place("y", sequence=i),
        )
    at = int(step) % length
    return at, answers[at] if label is None else label


def label_question(
    network: TagNetwork,
    data: Ragged | MultiInput,
    requested: Sequence[tuple[int, Any]],
    classes: Sequence[Any],
    parts: list[Part],
) -> AttributionRequest:
    """The request for labels at steps. Raises ``DataError`` for a label that is not among the classes."""
    place = {label: code for code, label in enumerate(classes)}
    for i, (_, label) in enumerate(requested):
        if label is not None and label not in place:
            raise DataError(f"asks about {label!r}, which is none of the labels learnt.", at=Place("y", sequence=i))
    steps = torch.tensor([step for step, _ in requested], dtype=torch.int64)
    codes = torch.tensor([place.get(label, 0) for _, label in requested], dtype=torch.int64)

    def score(indices: Tensor) -> Tensor:
        chosen = data[indices]
        rows: Tensor = network(chosen)
        lengths = groups_of(chosen)[0][0].lengths
        if not len(rows):
            return rows.new_zeros(len(indices)) + rows.sum()
        z = rows[(lengths.cumsum(0) - lengths + steps[indices]).clamp(max=len(rows) - 1)]
        return torch.where(lengths > 0, margin(z, codes[indices]), 0.0)

    answers = [label for _, label in requested]
    return AttributionRequest(network.inputs, data.lengths, score, parts, answers, ensemble_size=len(network.ensemble))
