"""Every cell, feature, pool and task, once. A row brings all the laws; tests/test_table.py names what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from typing import Any

import torch

from elman import cells, nn, ops, reference
from elman.cells import Recurrent
from elman.ragged import Ragged


@dataclass(frozen=True)
class Row:
    """A cell beside torch's layer of the same equations, our drop-in for that layer, and its reference."""

    cell: type[Recurrent]
    torch: Callable[..., torch.nn.RNNBase]
    drop_in: Callable[..., torch.nn.RNNBase]
    reference: Callable[..., tuple[Any, ...]]


CELLS = {
    "rnn": Row(cells.RNN, torch.nn.RNN, nn.RNN, partial(reference.rnn, nonlinearity="tanh")),
    "rnn_relu": Row(
        cells.ReluRNN,
        partial(torch.nn.RNN, nonlinearity="relu"),
        partial(nn.RNN, nonlinearity="relu"),
        partial(reference.rnn, nonlinearity="relu"),
    ),
    "lstm": Row(cells.LSTM, torch.nn.LSTM, nn.LSTM, reference.lstm),
    "gru": Row(cells.GRU, torch.nn.GRU, nn.GRU, reference.gru),
}

#: Each pool and its reference over one sequence.
POOLS = {
    "last": reference.pool_last,
    "mean": reference.pool_mean,
    "max": reference.pool_max,
    "attention": reference.pool_attention,
}

#: Each feature and a column that it takes.
FEATURES: dict[str, list[Any]] = {
    "text": ["a good film", "", "bad"],
    "tokens": [["a", "good", "film"], []],
    "numbers": [[1.5, 2.5], [3.0]],
}

#: Each task, by its verb.
TASKS = ["classify"]

#: The instruction sets that were built and that this processor has.
SETS: list[str] = ops.info()["found"]

DTYPES = [torch.float32, torch.float64]

#: Below, at and above the widths of a vector (2 to 16 numbers) and of a panel (64).
HIDDEN = [1, 3, 8, 15, 16, 17, 33, 64, 100]


def pairwise(*choices: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Few combinations in which every two values of two different choices meet at least once.

    The full product would take minutes; a fault that needs three values at once is what hypothesis looks for.

    >>> len(pairwise("ab", "cd", "ef"))
    4
    """
    pairs = list(combinations(range(len(choices)), 2))
    open_pairs = {(i, a, j, b) for i, j in pairs for a in choices[i] for b in choices[j]}
    whole = list(product(*choices))
    chosen = []
    while open_pairs:
        best = max(whole, key=lambda row: sum((i, row[i], j, row[j]) in open_pairs for i, j in pairs))
        open_pairs -= {(i, best[i], j, best[j]) for i, j in pairs}
        chosen.append(best)
    return chosen


def ragged(lengths: Sequence[int], width: int, dtype: torch.dtype = torch.float32) -> Ragged:
    """Random sequences of these lengths."""
    return Ragged(torch.randn(sum(lengths), width, dtype=dtype), torch.tensor([0, *lengths]).cumsum(0))
