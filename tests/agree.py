"""What the tests mean by equal: the same bits, or within a tolerance that has a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.ragged import Ragged

# Largest |a - b| / |b| in norm. float32: our tanh is good to 5 units in the last place (3e-7) and a sum has up to 140
# terms in another order than torch's or NumPy's. float64: the C library's tanh on both sides, only the order differs.
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-12}

_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def same_bits(a: Any, b: Any) -> bool:
    """True if every number is the same to the last bit, the sign of zero included; NaN equals itself."""
    if isinstance(a, Ragged):
        return same_bits(a.values, b.values) and same_bits(a.offsets, b.offsets)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same_bits, a, b))
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    bits = _BITS[a.element_size()]
    return torch.equal(a.detach().contiguous().view(bits), b.detach().contiguous().view(bits))


def distance(a: Any, b: Any) -> float:
    """|a - b| / |b|, or |a| where b is zero."""
    a, b = (x.detach().double().numpy() if isinstance(x, Tensor) else np.asarray(x) for x in (a, b))
    assert a.shape == b.shape, f"shapes {a.shape} and {b.shape}"
    norm = float(np.linalg.norm(b))
    return float(np.linalg.norm(a - b)) / (norm or 1.0)


def close(a: Any, b: Any, dtype: torch.dtype) -> bool:
    """True within the tolerance of `dtype`."""
    return distance(a, b) <= TOLERANCE[dtype]
