"""Other speeds and holes: how long, how wide, where, and nothing in evaluation."""

from __future__ import annotations

import torch

from elman.layers.augment import Augment
from elman.ragged import Ragged

LENGTHS = [40, 0, 1, 7, 100]


def ramps() -> Ragged:
    return Ragged.of([torch.arange(1.0, n + 1)[:, None].repeat(1, 6) for n in LENGTHS], width=6)


def test_speed_keeps_ends_and_stays_between() -> None:
    torch.manual_seed(0)
    for _ in range(20):
        x, y = ramps(), Augment(speed=0.3)(ramps())
        assert y.lengths[1] == 0
        assert y.lengths[2] == 1
        for before, after in zip(x, y, strict=True):
            assert abs(len(after) - len(before)) <= 0.3 * len(before) + 1
            if len(after) > 1:
                assert torch.allclose(after[[0, -1]], before[[0, -1]])
                assert (after.diff(dim=0) > 0).all()


def test_holes_are_zeros_and_few() -> None:
    torch.manual_seed(0)
    found = Augment(holes=1, longest=10)(ramps())
    for before, after in zip(ramps(), found, strict=True):
        gone = (after == 0).all(dim=1)
        assert gone.sum() <= min(10, len(before) // 5)
        assert torch.equal(after[~gone], before[~gone])
    total = sum(int((Augment(holes=1, longest=10)(ramps()).values == 0).all(1).sum()) for _ in range(100))
    assert 100 * 8 < total < 100 * 18  # 4 to 5 steps each of 40 and 100, half a step of 7


def test_band_holes_are_zero_throughout_a_sequence() -> None:
    torch.manual_seed(0)
    for after in Augment(bands=1, widest=2)(ramps()):
        gone = (after == 0).any(dim=0)
        assert (after[:, gone] == 0).all()
        assert gone.sum() <= 2 or not len(after)


def test_nothing_in_evaluation() -> None:
    x = ramps()
    assert Augment(0.5, 2, 5, 2).eval()(x) is x
    assert torch.equal(Augment()(x).values, x.values)
