"""Labels of steps as lists, and their classes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import DataError, Place
from elman.features.lists import listed
from elman.tasks.base.targets.labels import check_label, classes_of
from elman.validation.messages import seen, shown
from elman.validation.plain_values import plain_text, plain_value


def tag_lists(y: Any, sequences: int) -> list[list[Any]]:
    """The labels of each sequence as a list; a text is a list of characters.

    Raises ``DataError``, naming sequence and step, for an invalid label, and unless `y` has `sequences` entries.

    >>> tag_lists(["hh_", ["h"]], 2)
    [['h', 'h', '_'], ['h']]
    """
    found = listed(y, "y")
    if len(found) != sequences:
        raise DataError(f"X has {sequences} sequences, y has {len(found)}. Give one list of labels for each.")
    return [_labels(labels, i) for i, labels in enumerate(found)]


def _labels(labels: Any, i: int) -> list[Any]:
    if isinstance(labels, str):
        labels = list(plain_text(labels))
    elif isinstance(labels, np.ndarray) and labels.dtype.kind in "mM":  # tolist() would turn dates into integers
        labels = list(labels)
    for name in ("to_list", "tolist"):
        if hasattr(labels, name):
            labels = getattr(labels, name)()
    if not isinstance(labels, Sequence) or isinstance(labels, bytes | bytearray):
        raise DataError(f"is {seen(labels)}. Give it a list with a label for each step.", at=Place("y", sequence=i))
    made = [plain_value(label) for label in labels]
    for step, label in enumerate(made):
        if type(label) is not str or not label.isascii():
            check_label(label, Place("y", sequence=i, step=step))
    return made


def check_tags(labels: Sequence[Sequence[Any]], lengths: Tensor, places: NDArray[np.int64] | None = None) -> None:
    """Raises ``DataError`` naming the first sequence with fewer or more labels than steps.

    >>> check_tags([["a"]], torch.tensor([2]))
    Traceback (most recent call last):
    elman.errors.DataError: y: sequence 0 has 1 label, but 2 steps. Give one label for each step.
    """
    for i, (own, steps) in enumerate(zip(labels, lengths.tolist(), strict=True)):
        if len(own) != steps:
            where, one = i if places is None else int(places[i]), "" if len(own) == 1 else "s"
            raise DataError(
                f"has {len(own)} label{one}, but {steps} steps. Give one label for each step.",
                at=Place("y", sequence=where),
            )


def tag_classes(labels: Sequence[Sequence[Any]]) -> NDArray[Any]:
    """The sorted distinct labels. Raises ``DataError`` for fewer than two, and for mixed types.

    >>> tag_classes([["b"], ["a", "b"]])
    array(['a', 'b'], dtype='<U1')
    """
    lengths = np.cumsum([len(own) for own in labels])

    def place(label: int) -> Place:
        i = int(np.searchsorted(lengths, label, side="right"))
        return Place(sequence=i, step=label - int(lengths[i]) + len(labels[i]))

    classes = classes_of(list(itertools.chain.from_iterable(labels)), place)
    if len(classes) < 2:
        only = f"only the label {shown(classes.tolist()[0])}" if len(classes) else "no labels at all"
        raise DataError(f"has {only}. A tagger needs at least two.", at=Place("y"))
    return classes


def codes_of(labels: Sequence[Sequence[Any]], classes: NDArray[Any]) -> Tensor:
    """The index of each label in the classes, int64 [steps]. Raises ``DataError`` for an unknown label.

    >>> codes_of([["b"], ["a"]], np.array(["a", "b"]))
    tensor([1, 0])
    """
    place = {label: code for code, label in enumerate(classes.tolist())}
    for i, own in enumerate(labels):
        for step, label in enumerate(own):
            if label not in place:
                few = ", ".join(map(repr, list(place)[:8])) + (", …" if len(place) > 8 else "")
                raise DataError(
                    f"is {shown(label)}, which is none of the labels learnt: {few}.",
                    at=Place("y", sequence=i, step=step),
                )
    return torch.tensor([place[label] for own in labels for label in own], dtype=torch.int64)
