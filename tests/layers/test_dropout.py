"""Dropout: its share, its masks and its gradient."""

from __future__ import annotations

import pytest
import torch

from agree import same_bits
from elman.errors import OptionError
from elman.layers.dropout import SequenceDropout, StepDropout
from elman.ragged import Ragged


@pytest.mark.parametrize("kind", [SequenceDropout, StepDropout])
def test_dropout(kind: type[SequenceDropout | StepDropout]) -> None:
    dropout, x = kind(0.25), Ragged(torch.ones(4000, 3), torch.arange(1001) * 4)
    y = dropout(x)
    assert set(y.values.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert 0.2 < float((y.values == 0).float().mean()) < 0.3
    assert all(bool((s == s[0]).all()) for s in y) == (kind is SequenceDropout)
    assert dropout.eval()(x) is x
    assert kind(0.0)(x) is x
    with pytest.raises(OptionError, match=r"dropout must be at least 0 and below 1, got 1\.5"):
        kind(1.5)


@pytest.mark.parametrize("share", [1e-9, 0.1, 0.5, 1 - 1e-9])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (301, 5), (0, 3)])
def test_step_dropout_of_any_size_and_share(share: float, shape: tuple[int, int]) -> None:
    x = Ragged(torch.ones(shape, dtype=torch.float64), torch.tensor([0, shape[0]]))
    y = StepDropout(share)(x).values
    assert y.shape == shape
    assert bool(((y == 0) | (y > 1 - 1e-9)).all())
    assert abs(float((y == 0).double().sum()) - share * y.numel()) <= 5 * (y.numel() * share * (1 - share)) ** 0.5 + 1


@pytest.mark.parametrize("kind", [SequenceDropout, StepDropout])
def test_the_gradient_of_dropout_passes_where_the_mask_is(kind: type[SequenceDropout | StepDropout]) -> None:
    values = torch.ones(6, 50, requires_grad=True)
    y = kind(0.5)(Ragged(values, torch.tensor([0, 4, 4, 6])))
    y.values.sum().backward()
    assert same_bits(values.grad, y.values)
