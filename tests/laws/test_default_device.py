"""``torch.set_default_device`` moves what torch makes, but no offsets and indices, which are on the CPU by rule.

The device is "meta" here, as no GPU is at hand: whatever is made there by mistake cannot be computed with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from elman import nn
from elman.layers.attention import Attention
from elman.layers.augment import Augment
from elman.layers.convolution import Convolution
from elman.layers.crf import CRF
from elman.layers.pooling import Pool
from elman.layers.sampled_softmax import Candidates, Sampler, nll
from elman.ops import functional as ops
from elman.ragged import Ragged
from table import CELLS, TWINS

PARTS = [torch.randn(3, 3), torch.randn(0, 3), torch.randn(1, 3)]
X = Ragged.of(PARTS)
RESET, ONE = torch.tensor([True, False, True, False]), torch.randn(2, 3)
CODES, COUNTS = torch.tensor([0, 1, 2, 0]), torch.tensor([5, 3, 2, 1, 1])
PACKED = pack_sequence([PARTS[0], PARTS[2]])
NESTED = torch.nested.nested_tensor_from_jagged(torch.randn(4, 3), torch.tensor([0, 3, 4]))
PADDED, MASK = torch.randn(2, 3, 3), torch.tensor([True, False, True])

CALLS: dict[str, Callable[[], Any]] = {
    "of": lambda: Ragged.of(PARTS),
    "numbers": lambda: X[[1, 0]],
    "mask": lambda: X[MASK],
    "mask of lists": lambda: X[[True, False, True]],
    "stride": lambda: X[::-1],
    "segments": lambda: X.segments,
    "to_padded": X.to_padded,
    "from_padded": lambda: Ragged.from_padded(PADDED, [3, 1]),
    "from_packed": lambda: Ragged.from_packed(PACKED),
    "to_packed": X[[0, 2]].to_packed,
    "to_packed sorted": lambda: X[[0, 2]].to_packed(enforce_sorted=True),
    "from_nested": lambda: Ragged.from_nested(NESTED),
    "to_nested": X.to_nested,
    "cat": lambda: Ragged.cat([X, X]),
    "arrow": lambda: Ragged.from_arrow(X.to_arrow()),
}


def call(module: torch.nn.Module, *given: Any, name: str = "__call__", **options: Any) -> Callable[[], Any]:
    return lambda: getattr(module, name)(*given, **options)


for _name, _row in CELLS.items():
    _cell, _again = _row.make(3, 4), _row.make(3, 4, checkpointing=True)
    CALLS[_name] = call(_cell, X)
    CALLS[f"{_name} reset"] = call(_cell, X, reset=RESET)
    CALLS[f"{_name} step"] = call(_cell, ONE, _cell.initial_state(2), name="step")
    CALLS[f"{_name} recomputed"] = lambda cell=_again: cell(X)[0].values.sum().backward()
for _name, _twin in TWINS.items():
    for _form, _given in {"padded": PADDED, "packed": PACKED, "nested": NESTED, "ragged": X}.items():
        CALLS[f"layer {_name} {_form}"] = call(_twin.drop_in(3, 4, num_layers=2, bidirectional=True), _given)
_conv, _pool = Convolution(3, 4, stride=2, causal=True).eval(), Pool("mean+max", 3)
_draw, _weight = Sampler(COUNTS, 2), torch.randn(5, 3)
CALLS |= {
    "cell": call(nn.LSTMCell(3, 4), ONE),
    "convolution": call(Convolution(3, 4), X),
    "convolution advance": call(_conv, PARTS[0], _conv.initial_state(), name="advance"),
    "attention": call(Attention(3, 3), X, X),
    "chain": call(CRF(3), X, CODES, name="nll"),
    "pool": call(_pool, X),
    "pool step": lambda: _pool.step(ONE, _pool.initial_state(2)),
    "candidates": lambda: _draw.candidates(CODES),
    "nll": lambda: nll(X.values, _weight, COUNTS.float(), Candidates(COUNTS * 0, CODES, COUNTS.float())),
    "augment": call(Augment(bands=1, widest=2, holes=1, longest=2, speed=0.1).train(), X),
    "waves": lambda: [wave.rows for wave in ops.waves(X.offsets, 2)],
}


def tensors(thing: Any) -> list[Tensor]:
    if isinstance(thing, Ragged):
        return [thing.values, thing.offsets]
    if isinstance(thing, PackedSequence):
        return [t for t in thing if t is not None]
    if isinstance(thing, list | tuple):
        return [t for part in thing for t in tensors(part)]
    return [thing] if isinstance(thing, Tensor) else []


@pytest.mark.parametrize("name", CALLS)
def test_nothing_moves(name: str) -> None:
    with torch.device("meta"):
        found = CALLS[name]()
    assert {tensor.device.type for tensor in tensors(found)} <= {"cpu"}
