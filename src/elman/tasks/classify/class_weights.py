"""The option `class_weight`: what an error costs in each class."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import OptionError, Problem
from elman.tasks.base.targets.labels import few_labels
from elman.validation.messages import shown
from elman.validation.options import is_number
from elman.validation.plain_values import plain_value

_Array = NDArray[Any]


def class_weight_problems(given: Any) -> list[Problem]:
    """What is wrong with the option.

    >>> [str(problem) for problem in class_weight_problems({"a": -1})]
    ["class_weight = {'a': -1} must hold numbers of at least 0"]
    """
    if given is None or (isinstance(given, str) and given == "balanced"):
        return []
    if not isinstance(given, Mapping):
        return [Problem("class_weight", shown(given), "must be None, 'balanced' or a dict from class to weight")]
    good = all(is_number(weight, 0) for weight in given.values())
    return [] if good else [Problem("class_weight", shown(dict(given)), "must hold numbers of at least 0")]


def class_weights(given: str | Mapping[Any, float] | None, classes: _Array, codes: NDArray[np.int64]) -> Tensor:
    """The cost of an error in each class, float32 [classes]; 1 on average over the sequences.

    >>> class_weights("balanced", np.array(["a", "b"]), np.array([0, 0, 0, 1]))
    tensor([0.6667, 2.0000])
    """
    counts = np.bincount(codes, minlength=len(classes)).astype(np.float64)
    if given is None:
        return torch.ones(len(classes))
    if isinstance(given, str):
        costs = 1 / counts
    else:
        table = _by_class(given, classes)
        costs = np.array([float(table.get(label, 1.0)) for label in classes.tolist()])
    mean = (costs * counts).sum() / counts.sum()
    if mean == 0:
        raise OptionError("class_weight is 0 for every class in y. Give at least one of them more.")
    return torch.from_numpy(costs / mean).float()


def label_weights(given: str | Mapping[Any, float] | None, classes: _Array, present: NDArray[np.bool_]) -> Tensor:
    """The cost of an error where a label is absent and where it is present, float32 [2, classes].

    For sequences with any number of labels, `present` [sequences, classes]. "balanced": absence and presence of a label
    count alike; a dict: what its presence counts, with 1 for its absence. 1 on average over the sequences.

    >>> label_weights("balanced", np.array(["a", "b"]), np.array([[True, False]] + [[False, True]] * 3))
    tensor([[0.6667, 2.0000],
            [2.0000, 0.6667]])
    """
    counts = np.stack([(~present).sum(0), present.sum(0)]).astype(np.float64)
    costs = np.ones_like(counts)
    if isinstance(given, str):
        costs = np.where(counts.min(0) > 0, 1 / np.maximum(counts, 1), 1.0)
    elif given is not None:
        table = _by_class(given, classes)
        costs[1] = [float(table.get(label, 1.0)) for label in classes.tolist()]
    mean = (costs * counts).sum(0) / counts.sum(0)
    return torch.from_numpy(costs / np.where(mean > 0, mean, 1)).float()


def _by_class(given: Mapping[Any, float], classes: _Array) -> dict[Any, float]:
    """The weights by plain labels.

    A class that is not in y, as in one fold of a cross-validation, counts nothing. It is an error where it differs
    from a class without a weight by case, white space or type only, and a warning where any class is without one.
    """
    table = {plain_value(key): weight for key, weight in dict(given).items()}
    known = classes.tolist()
    absent, unweighted = [key for key in table if key not in known], [one for one in known if one not in table]
    if not absent or not unweighted:
        return table
    says = f"class_weight names {shown(absent[0])}, which is none of the classes in y: {few_labels(classes, 8)}."
    for one in unweighted:
        if str(one).strip().casefold() == str(absent[0]).strip().casefold():
            raise OptionError(f"{says} Did you mean {one!r}?")
    warnings.warn(f"{says} Its weight counts nothing.", UserWarning, stacklevel=6)
    return table
