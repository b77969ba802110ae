"""A DataLoader's samples in one batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from elman import Ragged
from elman.errors import DataError, ElmanError, OptionError
from elman.ragged import collate


class Sample(NamedTuple):
    x: Any
    y: Any


def test_fields_of_all_kinds() -> None:
    samples = [
        {"x": torch.randn(n, 3), "labels": [1] * n, "pair": (np.arange(n), 0.5 * n), "text": "ab", "none": None}
        for n in (3, 0, 2)
    ]
    found = collate(samples)
    assert isinstance(found["x"], Ragged)
    assert torch.equal(found["x"].values, torch.cat([one["x"] for one in samples]))
    assert found["labels"].lengths.tolist() == [3, 0, 2]
    assert found["pair"][0].lengths.tolist() == [3, 0, 2]
    assert torch.equal(found["pair"][1], torch.tensor([1.5, 0.0, 1.0]))
    assert (found["text"], found["none"]) == (["ab"] * 3, [None] * 3)
    made = collate([Sample([1, 2], True), Sample([3], False)])
    assert type(made) is Sample
    assert made.y.tolist() == [True, False]
    assert collate([torch.zeros(2, 3), torch.zeros(1, 3)]).lengths.tolist() == [2, 1]
    assert collate([(np.float32(1), np.array(2)), (np.float32(2), np.array(3))])[0].dtype is torch.float32
    assert collate([(1, 0), (0.5, 0)])[0].tolist() == [1.0, 0.5]
    assert len(collate([(Ragged.of([[1]]),), (Ragged.of([[2, 3]]),)])[0]) == 2


def test_fields_of_one_shape() -> None:
    found = collate([([1.0, 2.0], torch.zeros(2)), ([3.0, 4.0], torch.ones(2))], stack=[1])
    assert isinstance(found[0], Ragged)
    assert found[1].shape == (2, 2)
    assert collate([{"y": [1, 2]}, {"y": [3, 4]}], stack="y")["y"].shape == (2, 2)
    with pytest.raises(ElmanError, match=r"sample 1 has shape \[1\], sample 0 has \[2\]"):
        collate([{"y": [1, 2]}, {"y": [3]}], stack=["y"])


WRONG: dict[str, list[Any]] = {
    "the batch has no samples": [],
    "sample 1 is a tuple of 1, sample 0 is a tuple of 2. Give all the same fields": [(1, 2), (1,)],
    "sample 1 is a dict with 'z', sample 0 is a dict with 'x'": [{"x": 1}, {"z": 1}],
    "sample 1 is a list, sample 0 is a tuple of 2": [(1, 2), [1, 2]],
    "sample 1 is a tuple of 1 in field a.0, sample 0": [{"a": ((1, 2),)}, {"a": ((1,),)}],
    "sequence 1": [([1.0], 0), (["a"], 0)],
}


@pytest.mark.parametrize("message", WRONG)
def test_samples_that_do_not_fit(message: str) -> None:
    with pytest.raises(DataError, match=message):
        collate(WRONG[message])


@pytest.mark.parametrize("workers", [0, 1])
def test_in_a_loader(workers: int) -> None:
    data: Any = [(torch.full((n, 2), float(n)), n % 2) for n in range(1, 8)]
    loader = DataLoader(data, batch_size=3, collate_fn=collate, num_workers=workers)
    found = list(loader)
    assert [x.lengths.tolist() for x, _ in found] == [[1, 2, 3], [4, 5, 6], [7]]
    assert torch.cat([y for _, y in found]).tolist() == [n % 2 for n in range(1, 8)]


def test_names_of_fields_in_stack() -> None:
    samples = [{"x": torch.zeros(2), "y": torch.ones(2)}]
    with pytest.raises(OptionError, match=r"stack names the field 'z'\. The samples have the fields 'x', 'y'"):
        collate(samples, stack=["z"])
    with pytest.raises(OptionError, match=r"the field -1\. The samples have the fields 0, 1"):
        collate([(torch.zeros(2), torch.ones(2))], stack=[-1])
    for wrong in (1.0, True, [0.5], None):
        with pytest.raises(OptionError, match="stack must be a list of keys and places"):
            collate(samples, stack=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("later", [None, "a", 10**30, object()])
def test_a_later_target_that_is_no_number(later: Any) -> None:
    with pytest.raises(DataError, match=r"'1' sample 1 is .*, sample 0 is 1\. Give a number"):
        collate([([1.0], 1), ([2.0], later)])


def test_scalars_that_are_no_numbers_are_listed() -> None:
    dates = [np.datetime64("2020-01-01"), np.datetime64("2020-01-02")]
    assert collate([(np.str_("a"), dates[0]), (np.str_("b"), dates[1])]) == (["a", "b"], dates)
    with pytest.raises(DataError, match="sample 1 is a Tensor, sample 0 is a Ragged"):
        collate([(Ragged.of([[1.0]]),), (torch.ones(2),)])
