"""The functions of `elman.ops` on other devices than the CPU, through torch's own kernels."""

from __future__ import annotations

import torch
from torch import Tensor

from elman.errors import ShapeError


def recur(
    cell: str,
    x: Tensor,
    offsets: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    weight_hr: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The layer of `elman.ops.recur` through cuDNN, which takes steps in order of time and no empty sequence."""
    order, batch_sizes, sequences = _by_time(offsets, reverse)
    outputs, everyone = weight_hh.shape[1], len(offsets) - 1
    hidden = outputs if weight_hr is None else weight_hr.shape[1]
    h_last = x.new_zeros(everyone, outputs) if h0 is None else h0
    c_last = x.new_zeros(everyone if cell == "lstm" else 0, hidden) if c0 is None else c0
    weights = [w for w in (weight_ih, weight_hh, bias_ih, bias_hh) if w is not None]
    if len(order) == 0:  # the sums of nothing keep everything in the graph, with gradients of zero, as on the CPU
        nothing = x.sum() + torch.stack([w[:0].sum() for w in weights]).sum()
        return x.new_zeros(0, outputs) + nothing, h_last, c_last
    order, sequences = order.to(x.device), sequences.to(x.device)
    if len(weights) == 3:
        weights = [weight_ih, weight_hh] + [
            weight_ih.new_zeros(len(weight_ih)) if bias is None else bias for bias in (bias_ih, bias_hh)
        ]
    if weight_hr is not None:
        weights.append(weight_hr)
    start = h_last[sequences][None]
    wanted = [t for t in (x, *weights, h0, c0) if t is not None and t.requires_grad]
    training = torch.is_grad_enabled() and bool(wanted)  # cuDNN keeps what backward needs only when told to
    arguments = (weights, len(weights) >= 4, 1, 0.0, training, False)
    if cell == "lstm":
        data, h, c = torch.lstm(x[order], batch_sizes, (start, c_last[sequences][None]), *arguments)
        c_last = c_last.index_copy(0, sequences, c[0])
    else:
        data, h = getattr(torch, cell)(x[order], batch_sizes, start, *arguments)
    y = torch.empty_like(data).index_copy(0, order, data)
    return y, h_last.index_copy(0, sequences, h[0]), c_last


def _by_time(offsets: Tensor, reverse: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Rows ordered by step, longest sequence first; how many rows each step has; which sequences."""
    lengths = offsets.diff()
    longest_first = torch.argsort(lengths, descending=True, stable=True)
    sequences = longest_first[lengths[longest_first] > 0]
    lengths = lengths[sequences]
    longest = int(lengths[0]) if len(lengths) else 0
    step = torch.arange(longest)
    batch_sizes = (lengths[None, :] > step[:, None]).sum(1)
    exists = lengths[None, :] > step[:, None]
    first = offsets[sequences]
    rows = first + lengths - 1 - step[:, None] if reverse else first + step[:, None]
    return rows[exists], batch_sizes, sequences


def pool(kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None) -> Tensor:
    """The pooling of `elman.ops.pool` in torch's own functions."""
    lengths = offsets.diff().to(values.device)
    index = torch.repeat_interleave(torch.arange(len(lengths), device=values.device), lengths)
    zeros = values.new_zeros(len(lengths), values.shape[1])
    if kind == "max":
        return zeros.scatter_reduce(0, index[:, None].expand_as(values), values, "amax", include_self=False)
    if kind == "mean":
        return zeros.index_add(0, index, values) / lengths.clamp(min=1)[:, None]
    if scores is None:
        raise ShapeError("scores are needed for attention and were not given.")
    peak = scores.new_zeros(len(lengths)).scatter_reduce(0, index, scores.detach(), "amax", include_self=False)
    weights = torch.exp(scores - peak[index])
    total = scores.new_zeros(len(lengths)).index_add(0, index, weights)
    weighted = zeros.index_add(0, index, weights[:, None] * values)
    return weighted / torch.where(lengths > 0, total, torch.ones_like(total))[:, None]
