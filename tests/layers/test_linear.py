"""The linear layer: torch's numbers, and rows that do not depend on each other."""

from __future__ import annotations

import torch

from agree import close, same_bits
from elman.layers.linear import Linear


@torch.no_grad()
def test_linear_is_torchs_with_bits_of_its_own() -> None:
    head, x = Linear(70, 33), torch.randn(130, 70)
    assert close(head(x), torch.nn.functional.linear(x, head.weight, head.bias), torch.float32)
    for rows in (1, 2, 7, 95, 130):
        assert same_bits(head(x[:rows]), head(x)[:rows])
    plain = torch.nn.Linear(70, 33)
    plain.load_state_dict(head.state_dict())
