"""A tensor, a list or a packed sequence where a Ragged belongs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from elman import Encoder, Ragged
from elman.cells import CELLS
from elman.errors import ShapeError
from elman.layers.attention import Attention
from elman.layers.augment import Augment
from elman.layers.convolution import Convolution
from elman.layers.dropout import SequenceDropout, StepDropout
from elman.layers.embedding import Embedding
from elman.layers.pooling import Pool

INPUTS: list[Any] = [torch.randn(5, 3), [[1.0]], None, pack_sequence([torch.randn(2, 3)])]


@pytest.mark.parametrize("given", INPUTS, ids=lambda given: type(given).__name__)
def test_every_layer_says_what_it_reads(given: Any) -> None:
    cells = [made(3, 3, **({"image": (1, 3)} if name == "conv_lstm" else {})) for name, made in CELLS.items()]
    layers = [Encoder(3, 4), Pool("mean", 3), Convolution(3, [4]), SequenceDropout(0.5), StepDropout(0.5), Augment(0.1)]
    for layer in (*cells, *layers, Embedding(5, 3)):
        with pytest.raises(ShapeError, match=rf"{type(layer).__name__} reads a Ragged, got a {type(given).__name__}\."):
            layer(given)
    with pytest.raises(ShapeError, match="Encoder reads a Ragged"):
        Encoder(3, 4).cell_states(given)
    with pytest.raises(ShapeError, match="Attention reads a Ragged"):
        Attention(3, 3)(Ragged.of([torch.randn(2, 3)]), given)
