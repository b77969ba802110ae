"""The functions of `elman.ops.functional` on devices other than the CPU, in torch's own operators."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from elman.errors import ShapeError
from elman.ops.library import CELLS, SCAN_CELLS


def recurrent(
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
    """`elman.ops.functional.recurrent` through cuDNN, which needs steps sorted by time and no empty sequence."""
    order, batch_sizes, sequences = _by_time(offsets, reverse)
    outputs, everyone = weight_hh.shape[1], len(offsets) - 1
    hidden = outputs if weight_hr is None else weight_hr.shape[1]
    h_last = x.new_zeros(everyone, outputs) if h0 is None else h0
    c_last = x.new_zeros(everyone if CELLS[cell].has_cell_state else 0, hidden) if c0 is None else c0
    weights = [w for w in (weight_ih, weight_hh, bias_ih, bias_hh) if w is not None]
    if len(order) == 0:  # empty sums keep all in the graph, with gradients of zero, as on the CPU
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
    training = torch.is_grad_enabled() and bool(wanted)  # cuDNN keeps what backward needs only in training
    arguments = (weights, len(weights) >= 4, 1, 0.0, training, False)
    if CELLS[cell].has_cell_state:
        data, h, c = getattr(torch, cell)(x[order], batch_sizes, (start, c_last[sequences][None]), *arguments)
        c_last = c_last.index_copy(0, sequences, c[0])
    else:
        data, h = getattr(torch, cell)(x[order], batch_sizes, start, *arguments)
    y = torch.empty_like(data).index_copy(0, order, data)
    return y, h_last.index_copy(0, sequences, h[0]), c_last


def layer_norm_lstm(
    gates: Tensor,
    offsets: Tensor,
    weight_hh: Tensor,
    gain_ih: Tensor,
    gain_hh: Tensor,
    bias: Tensor | None,
    gain_cell: Tensor,
    bias_cell: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The layer of `elman.ops.functional.layer_norm_lstm`, one step of all sequences at a time."""
    order, batch_sizes, sequences = _by_time(offsets, reverse)
    order, sequences = order.to(gates.device), sequences.to(gates.device)
    hidden = weight_hh.shape[1]
    h_last, c_last = (gates.new_zeros(len(offsets) - 1, hidden) if state is None else state for state in (h0, c0))
    h, c, ys = h_last[sequences], c_last[sequences], []
    of_x = layer_norm(gates[order], [4 * hidden], gain_ih, bias)
    for rows in of_x.split(batch_sizes.tolist()):
        n = len(rows)
        i, f, g, o = (rows + layer_norm(h[:n] @ weight_hh.t(), [4 * hidden], gain_hh)).chunk(4, dim=1)
        c = torch.cat([f.sigmoid() * c[:n] + i.sigmoid() * g.tanh(), c[n:]])
        h = torch.cat([o.sigmoid() * layer_norm(c[:n], [hidden], gain_cell, bias_cell).tanh(), h[n:]])
        ys.append(h[:n])
    data = torch.cat(ys) if ys else of_x[:, :hidden]
    y = torch.empty_like(data).index_copy(0, order, data)
    return y, h_last.index_copy(0, sequences, h), c_last.index_copy(0, sequences, c)


def _by_time(offsets: Tensor, reverse: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Rows ordered by step, longest sequence first; how many rows each step has; which sequences."""
    lengths = offsets.diff()
    longest_first = torch.argsort(lengths, descending=True, stable=True)
    sequences = longest_first[lengths[longest_first] > 0]
    lengths = lengths[sequences]
    longest = int(lengths[0]) if len(lengths) else 0
    step = torch.arange(longest, device=offsets.device)
    batch_sizes = (lengths[None, :] > step[:, None]).sum(1)
    exists = lengths[None, :] > step[:, None]
    first = offsets[sequences]
    rows = first + lengths - 1 - step[:, None] if reverse else first + step[:, None]
    return rows[exists], batch_sizes, sequences


def pool(kind: str, values: Tensor, offsets: Tensor, scores: Tensor | None) -> Tensor:
    """The pooling of `elman.ops.functional.pool` in torch's own functions."""
    lengths = offsets.diff().to(values.device)
    index = torch.repeat_interleave(torch.arange(len(lengths), device=values.device), lengths)
    zeros = values.new_zeros(len(lengths), values.shape[1])
    if kind == "max":
        return _greatest(values, index[:, None].expand_as(values), zeros)
    wide = values.dtype if values.device.type == "mps" else torch.float64  # which has no float64
    if kind == "mean":
        sums = zeros.to(wide).index_add(0, index, values.to(wide))
        return (sums / lengths.clamp(min=1)[:, None]).to(values.dtype)
    if scores is None:
        raise ShapeError("scores are needed for attention and were not given.")
    kept, scores, values, zeros = values.dtype, scores.to(wide), values.to(wide), zeros.to(wide)
    peak = scores.new_zeros(len(lengths)).scatter_reduce(0, index, scores.detach(), "amax", include_self=False)
    weights = torch.exp(torch.where(scores == -torch.inf, -torch.inf, scores - peak[index]))
    total = scores.new_zeros(len(lengths)).index_add(0, index, weights)
    weighted = zeros.index_add(0, index, weights[:, None] * values)
    return (weighted / torch.where(total == 0, torch.ones_like(total), total)[:, None]).to(kept)


def _greatest(values: Tensor, index: Tensor, zeros: Tensor) -> Tensor:
    """The greatest of each sequence and unit. Of equal ones the first alone has the gradient, as on the CPU."""
    found = zeros.scatter_reduce(0, index, values.detach(), "amax", include_self=False)
    steps = torch.arange(len(values), device=values.device)[:, None]
    places = torch.where(values.detach() == found.gather(0, index), steps, len(values))
    first = torch.full_like(found, len(values), dtype=torch.int64).scatter_reduce(0, index, places, "amin")
    taken = torch.cat([values, values.new_zeros(1, values.shape[1])]).gather(0, first)
    return torch.where(first < len(values), taken, found)


def scan(
    cell: str,
    gates: Tensor,
    offsets: Tensor,
    decay: Tensor | None,
    h0: Tensor | None,
    j0: Tensor | None,
    reverse: bool,
    candidate: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """A scan by doubling: each of log2(longest) rounds joins every step with the one 1, 2, 4 ... steps before it."""
    parts = gates.chunk(SCAN_CELLS[cell].gates, dim=1)
    a, b = _scan_terms(cell, candidate, parts, decay)
    sequences = len(offsets) - 1
    start = b.new_zeros(sequences, b.shape[1])
    if h0 is not None:
        start = h0 if j0 is None else torch.complex(h0, j0)
    lengths = offsets.diff()
    of = torch.repeat_interleave(torch.arange(sequences, device=offsets.device), lengths)
    since = torch.arange(len(of), device=offsets.device) - offsets[of]
    if reverse:
        since = lengths[of] - 1 - since
    of, since = of.to(gates.device), since.to(gates.device)[:, None]
    b = torch.where(since == 0, a * start[of] + b, b)
    distance = 1
    while distance < (int(lengths.max()) if sequences else 0):
        way = -distance if reverse else distance
        reach = since >= distance
        b = torch.where(reach, a * b.roll(way, 0) + b, b)
        a = torch.where(reach, a * a.roll(way, 0), a)
        distance *= 2
    some = torch.nonzero(lengths)[:, 0]
    ends = (offsets[:-1] if reverse else offsets[1:] - 1)[some]
    last = start.index_copy(0, some.to(gates.device), b[ends.to(gates.device)])
    if SCAN_CELLS[cell].parts == 1:
        return b, last, last[:0]
    return torch.cat([b.real, b.imag], dim=1), last.real, last.imag


def _scan_terms(cell: str, candidate: str, parts: tuple[Tensor, ...], decay: Tensor | None) -> tuple[Tensor, Tensor]:
    """a and b of ``h_t = a_t h_{t-1} + b_t``, [steps, hidden]."""
    if SCAN_CELLS[cell].parts == 2:
        if decay is None:
            raise ShapeError(f"decay is needed for {cell} and was not given.")
        b = torch.complex(*parts)
        return torch.complex(*decay.chunk(2)).expand_as(b), b
    positive = torch.nn.functional.softplus
    keep = -parts[0] if len(parts) == 2 else positive(-parts[1]) - positive(-parts[0])
    v = parts[-1]
    c = {"linear": v, "tanh": v.tanh(), "positive": v.relu() + torch.sigmoid(v.clamp(max=0))}[candidate]
    return torch.sigmoid(keep), torch.sigmoid(-keep) * c
