"""A `collate_fn` for torch's DataLoader: sequences become a Ragged, targets a tensor."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.errors import DataError, OptionError, ShapeError, within
from elman.ragged.ragged import Ragged
from elman.validation.messages import shown


def collate(batch: Sequence[Any], *, stack: Collection[str | int] = ()) -> Any:
    """The samples of a batch as one: each field of tuples and dicts by itself.

    - tensors and arrays of one dimension and more, and lists, are sequences of any length: a `Ragged`;
    - numbers, and tensors and arrays without dimensions, are targets: a tensor [samples];
    - tuples, named ones too, and dicts are fields, which may lie in one another; everything else becomes a list.

    This depends on the type of a field alone, never on lengths that are equal by chance. `stack` names the fields, by
    key or place, that are arrays of one shape, such as a vector of targets: a tensor [samples, ...].

    Raises ``DataError`` for an empty batch and for samples whose fields differ, ``ShapeError`` where arrays do not fit
    together, each of which names the sample; ``OptionError`` for a name in `stack` that is no field.

    >>> collate([(torch.randn(5, 3), 1), (torch.randn(2, 3), 0)])
    (Ragged(sequences=2, steps=7, width=3, dtype=float32), tensor([1, 0]))
    >>> collate([{"x": [1, 2, 3], "y": [0.5, 1.0], "name": "a"}, {"x": [4], "y": [2.0, 3.0], "name": "b"}], stack=["y"])
    {'x': Ragged(sequences=2, steps=4, width=0, dtype=int64), 'y': tensor([[0.5000, 1.0000],
            [2.0000, 3.0000]]), 'name': ['a', 'b']}
    """
    samples = list(batch)
    if not samples:
        raise DataError("the batch has no samples. Give collate a list of at least one.")
    names, found = _names(stack), set[str | int]()
    made = _collated(samples, (), names, found)
    if unknown := [name for name in names if name not in found]:
        fields = ", ".join(map(repr, sorted(found, key=str))) or "none: they are no tuples or dicts"
        raise OptionError(f"stack names the field {unknown[0]!r}. The samples have the fields {fields}.")
    return made


def _names(stack: Any) -> list[str | int]:
    """The fields that `stack` names."""
    one = isinstance(stack, str | int) or not isinstance(stack, Collection)
    names: list[Any] = [stack] if one else list(stack)
    if not all(isinstance(name, str | int) and not isinstance(name, bool) for name in names):
        raise OptionError(f"stack must be a list of keys and places of fields, such as ['y'] or [1], got {stack!r}.")
    return names


def _collated(samples: list[Any], path: tuple[str | int, ...], stack: list[str | int], found: set[str | int]) -> Any:
    """The samples of one field, whose keys and places are `path`; `found` gets the names of all fields."""
    found.update(path[-1:])
    first = samples[0]
    if isinstance(first, Mapping):
        keys = list(first)
        _check_fields(
            samples, path, Mapping, lambda one: set(one) == set(keys), f"a dict with {', '.join(map(repr, keys))}"
        )
        return {key: _collated([one[key] for one in samples], (*path, key), stack, found) for key in keys}
    if isinstance(first, tuple):
        count = len(first)
        _check_fields(samples, path, tuple, lambda one: len(one) == count, f"a tuple of {count}")
        fields = [_collated([one[i] for one in samples], (*path, i), stack, found) for i in range(count)]
        return type(first)(*fields) if hasattr(first, "_fields") else tuple(fields)
    with within(column=".".join(map(str, path)) or None):
        if path and path[-1] in stack:
            return _stacked(samples)
        if isinstance(first, Ragged):
            _check_raggeds(samples)
            return Ragged.cat(samples)
        if isinstance(first, list) or (isinstance(first, Tensor | np.ndarray) and first.ndim):
            return Ragged.of(samples)
        if isinstance(first, bool | int | float | complex | Tensor | np.number | np.bool_) or (
            isinstance(first, np.ndarray) and first.dtype.kind in "biufc"
        ):
            return _stacked(samples)
        return samples


def _stacked(samples: list[Any]) -> Tensor:
    made = []
    for i, one in enumerate(samples):
        try:
            made.append(torch.as_tensor(one))
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise DataError(
                f"sample {i} is {shown(one)}, sample 0 is {shown(samples[0])}. Give a number of 64 bits at most "
                "in every sample, such as float('nan') for a missing one."
            ) from error
    if bad := [i for i, one in enumerate(made) if one.shape != made[0].shape]:
        shapes = f"{list(made[bad[0]].shape)}, sample 0 has {list(made[0].shape)}"
        raise ShapeError(f"sample {bad[0]} has shape {shapes}. Leave the field out of stack for a Ragged.")
    kind = made[0].dtype
    for one in made[1:]:
        kind = torch.promote_types(kind, one.dtype)
    return torch.stack([one.to(kind) for one in made])


def _check_raggeds(samples: list[Any]) -> None:
    for i, one in enumerate(samples):
        if not isinstance(one, Ragged):
            raise DataError(f"sample {i} is a {type(one).__name__}, sample 0 is a Ragged. Give all the same kind.")


def _check_fields(samples: list[Any], path: tuple[str | int, ...], kind: Any, same: Any, wanted: str) -> None:
    for i, one in enumerate(samples):
        if not isinstance(one, kind) or not same(one):
            where = f" in field {'.'.join(map(str, path))}" if path else ""
            fields = (
                f" of {len(one)}"
                if isinstance(one, tuple)
                else f" with {', '.join(map(repr, one))}"
                if isinstance(one, Mapping)
                else ""
            )
            raise DataError(
                f"sample {i} is a {type(one).__name__}{fields}{where}, sample 0 is {wanted}. Give all the same fields."
            )
