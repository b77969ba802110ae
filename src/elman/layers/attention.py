"""Attention over ragged sequences: every step of one sequence looks at all steps of another (Luong et al. 2015).

For sequence n with queries q_1 ... q_T and keys s_1 ... s_S:

    a_ti = exp(q_t . s_i) / sum_j exp(q_t . s_j)
    c_t  = sum_i a_ti s_i                           0 where there are no keys

A sequence's products are its own, a row's sums too, so that no bit depends on the batch, nor on how many steps of the
queries are there: one step gives the bits that it has among all.

Luong, M.-T., Pham, H. & Manning, C. 2015. Effective approaches to attention-based neural machine translation. EMNLP.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from elman.errors import OptionError, ShapeError
from elman.layers.linear import Linear
from elman.ops import functional as ops
from elman.ops.compile import not_compiled
from elman.ops.gradients import way_back
from elman.ragged import Ragged
from elman.ragged.expected import expect_ragged

SCORES = ("general", "dot")


class _Attend(torch.autograd.Function):
    """Saves the attention weights of every pair of steps for backward."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, spans: list[tuple[slice, slice]]) -> tuple[Tensor, Tensor]:
        out = queries.new_zeros(len(queries), keys.shape[1])
        parts = [queries.new_zeros(0)]
        for ours, theirs in spans:
            rows = keys[theirs]
            weights = torch.softmax(ops.linear(queries[ours], rows), 1)
            out[ours] = ops.linear(weights, rows.t())
            parts.append(weights.flatten())
        flat = torch.cat(parts)
        ctx.save_for_backward(queries, keys, flat)
        ctx.spans = spans
        ctx.mark_non_differentiable(flat)
        return out, flat

    @staticmethod
    @once_differentiable
    @way_back
    def backward(ctx: Any, kept: tuple[Tensor, ...], last: bool, d_out: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        queries, keys, flat = kept
        d_queries, d_keys = torch.zeros_like(queries), torch.zeros_like(keys)
        for (ours, theirs), weights in zip(ctx.spans, _divided(flat, ctx.spans), strict=True):
            rows, d_rows = keys[theirs], d_out[ours]
            d_weights = torch.mm(d_rows, rows.t())
            d_score = weights * (d_weights - (weights * d_weights).sum(1, keepdim=True))
            d_queries[ours] = torch.mm(d_score, rows)
            d_keys[theirs] = torch.mm(weights.t(), d_rows).addmm_(d_score.t(), queries[ours])
        return d_queries, d_keys, None


@not_compiled  # it cuts by lengths, which a graph does not know, and a graph would not check what is saved
def _attend(queries: Tensor, keys: Tensor, spans: list[tuple[slice, slice]]) -> tuple[Tensor, Tensor]:
    answer: tuple[Tensor, Tensor] = _Attend.apply(queries, keys, spans)  # type: ignore[no-untyped-call]
    return answer


def attend(queries: Ragged, keys: Ragged) -> tuple[Ragged, list[Tensor]]:
    """The context of each query among the keys of its sequence, [steps, width], and each sequence's attention weights.

    `queries` and `keys` are as many sequences of steps of one width. The weights of a sequence are
    [steps of the query, steps of the key]; their rows add up to 1. They carry no gradient.

    Raises ``ShapeError`` where the two do not fit together.

    >>> seen, weights = attend(Ragged.of([[[1.0, 0.0]]]), Ragged.of([[[0.0, 2.0], [0.0, 4.0]]]))
    >>> seen.values.tolist(), weights[0].tolist()
    ([[0.0, 3.0]], [[0.5, 0.5]])
    """
    if len(queries) != len(keys):
        raise ShapeError(f"attend expects as many sequences of keys as of queries, got {len(keys)} and {len(queries)}.")
    if queries.values.dim() != 2 or keys.values.dim() != 2 or queries.width != keys.width:
        shapes = f"{list(queries.values.shape)} and {list(keys.values.shape)}"
        raise ShapeError(f"attend expects queries and keys of one width, got shapes {shapes}.")
    pairs = zip(pairwise(queries.offsets.tolist()), pairwise(keys.offsets.tolist()), strict=True)
    spans = [(slice(*ours), slice(*theirs)) for ours, theirs in pairs]
    busy = [(ours, theirs) for ours, theirs in spans if ours.stop > ours.start and theirs.stop > theirs.start]
    out, flat = _attend(queries.values, keys.values, busy)
    return queries.with_values(out), _divided(flat, spans)


def _divided(flat: Tensor, spans: list[tuple[slice, slice]]) -> list[Tensor]:
    """The attention weights of each sequence, from those of all one after another."""
    sizes = [(ours.stop - ours.start, theirs.stop - theirs.start) for ours, theirs in spans]
    parts = flat.split([rows * columns for rows, columns in sizes]) if sizes else ()
    return [part.view(size) for part, size in zip(parts, sizes, strict=True)]


class Attention(nn.Module):
    """Global attention: what a decoder at h_t sees of the steps s_i of its source.

    ::

        general    score(h_t, s_i) = h_t W s_i
        dot        score(h_t, s_i) = h_t . s_i / sqrt(width)         queries and keys have one width
        c_t = sum_i softmax_i(score(h_t, s_i)) s_i

    `queries` and `keys` are the widths of the steps on either side; what comes out has the width of the keys. Raises
    ``OptionError`` for another `score`, and for "dot" with two widths.

    >>> attention = Attention(3, 4)
    >>> seen, weights = attention(Ragged.of([torch.randn(2, 3)]), Ragged.of([torch.randn(5, 4)]))
    >>> seen.values.shape, weights[0].shape
    (torch.Size([2, 4]), torch.Size([2, 5]))
    """

    def __init__(self, queries: int, keys: int, score: str = "general") -> None:
        super().__init__()
        if score not in SCORES:
            raise OptionError(f"score must be one of {', '.join(SCORES)}, got {score!r}.")
        if score == "dot" and queries != keys:
            raise OptionError(
                f"score = 'dot' needs steps of one width on both sides, but they are {queries} and {keys} wide. Make "
                "them equal, or take 'general'."
            )
        self.queries, self.keys, self.score = queries, keys, score
        self.weigh = Linear(queries, keys, bias=False) if score == "general" else None

    def forward(self, queries: Ragged, keys: Ragged) -> tuple[Ragged, list[Tensor]]:
        """The context of each query, [steps of the queries, keys], and the attention weights: see `attend`."""
        for given in (queries, keys):
            expect_ragged(given, self)
        if queries.values.dim() != 2 or queries.width != self.queries:
            raise ShapeError(
                f"Attention expects queries of width {self.queries}, got shape {list(queries.values.shape)}. Build it "
                f"with queries={queries.values.shape[-1]}."
            )
        asked = queries.values / math.sqrt(self.keys) if self.weigh is None else self.weigh(queries.values)
        return attend(queries.with_values(asked), keys)

    def extra_repr(self) -> str:
        """The widths and the score, for printing."""
        return f"{self.queries}, {self.keys}, {self.score!r}"
