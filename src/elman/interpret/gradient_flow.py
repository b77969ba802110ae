"""Exact gradient norms by steps back in time, with the compiled cells.

A cell runs T steps with the state s_t (h_t; for an LSTM h_t and c_t) and L is the loss of the sequence. k steps back
from the end of the pass, k = 1 ... T-1:

    carried_k = |d L_T / d s_{T-k}|      L_T: the loss as a function of the last step's output alone, the other outputs
                                         fixed
    total_k   = |d L / d s_{T-k}|        through all steps after T-k, as in training

s_{T-1} is the state that the last step reads. The pass is cut into chunks, and the gradients are those of the states
between chunks. The gradient of y_t from the layers above, as ``y.retain_grad()`` would show it, is not used: it has not
passed through time.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from elman.cells.base import Cell, State
from elman.ragged import Ragged

_PLAIN = ("encoder", "path")  # modules left out of the names of layers
_NAMED = {"input": "letters of a word,"}  # modules with another name there
EACH = 64  # steps from the end with a cut each; further back chunks grow by a tenth


class CellPass(NamedTuple):
    """Input and output of one pass of a cell over whole sequences."""

    name: str
    cell: Cell
    x: Ragged
    state: State | None
    options: Mapping[str, Any]  # other arguments of the call
    y: Ragged
    last: State


class Sizes(NamedTuple):
    """Gradient norms of one cell, [sequences, cuts]: 0 where a sequence has no step so far back."""

    carried: Tensor
    total: Tensor
    parts: dict[str, Tensor]  # of `carried`, by the fields of the state
    reached: Tensor  # bool: which sequences have a step so far back


@contextmanager
def watched(network: nn.Module) -> Iterator[list[CellPass]]:
    """Collects a `CellPass` for every pass of every cell of a network, in the order of the passes.

    >>> from elman.layers.encoder import Encoder
    >>> encoder = Encoder(3, 4, layers=2)
    >>> with watched(encoder) as runs:
    ...     y, _ = encoder(Ragged.of([torch.randn(5, 3)]))
    >>> [run.name for run in runs]
    ['layer 1', 'layer 2']
    """
    runs: list[CellPass] = []
    cells = {path: module for path, module in network.named_modules() if isinstance(module, Cell)}
    owners = _owners(list(cells))
    outer = {path: cell for path, cell in cells.items() if not any(path.startswith(f"{other}.") for other in cells)}

    def note(path: str, cell: Cell) -> Any:
        def hook(_: nn.Module, given: tuple[Any, ...], options: dict[str, Any], out: tuple[Ragged, State]) -> None:
            rest = {key: value for key, value in options.items() if key != "state" and value is not None}
            state = given[1] if len(given) > 1 else options.get("state")
            name = f"{owners[path]} {_layer(path, cell)}".strip()
            runs.append(CellPass(name, cell, given[0], state, rest, *out))

        return cell.register_forward_hook(hook, with_kwargs=True)

    hooks = [note(path, cell) for path, cell in outer.items()]
    try:
        yield runs
    finally:
        for hook in hooks:
            hook.remove()


def _layer(path: str, cell: Cell) -> str:
    """The name of a layer: "layer 2, backwards"."""
    _, found, rest = path.rpartition("layers.")
    number = rest.split(".")[0]
    return (f"layer {int(number) + 1}" if found and number.isdigit() else path) + (", backwards" * cell.reverse)


def _owners(paths: list[str]) -> dict[str, str]:
    """The networks or paths of layers, "" where there is only one: "network 2" for "networks.1.encoder.layers.0.0"."""
    words: dict[str, list[str]] = {}
    for path in paths:
        parts = [part for part in path.rpartition("layers.")[0].split(".") if part and part not in _PLAIN]
        counted = zip(parts, [*parts, ""][1:], strict=True)
        words[path] = [
            f"{part.removesuffix('s')} {int(after) + 1}" if after.isdigit() else _NAMED.get(part, part)
            for part, after in counted
            if not part.isdigit()
        ]
    seen = {word for owner in words.values() for word in owner}
    only = {word for word in seen if word.endswith(" 1") and f"{word[:-1]}2" not in seen}
    return {path: " ".join(word for word in owner if word not in only) for path, owner in words.items()}


def cuts(max_timescale: int) -> list[int]:
    """Steps back at which a pass of up to `max_timescale` steps is cut: each of the first 64, then sparser.

    The initial state is left out.

    >>> cuts(3), cuts(100)[-4:], cuts(1)
    ([1, 2], [70, 77, 84, 92], [])
    """
    found = list(range(1, min(max_timescale - 1, EACH) + 1))
    while found and (next_one := found[-1] + max(1, found[-1] // 10)) < max_timescale and found[-1] >= EACH:
        found.append(next_one)
    return found


def sizes(run: CellPass, d_y: Tensor, d_last: tuple[Tensor, ...], back: list[int]) -> Sizes:
    """The gradient norms of one cell, in double precision, at the cuts `back`, ascending and not empty.

    `d_y` [steps, hidden] and `d_last`, one for each part of the state, are the gradients from the rest of the network:
    dL/dy_t without later steps of this cell, and dL/d(last state).
    """
    cell = copy.deepcopy(run.cell).double().requires_grad_(False).eval()
    cell.checkpointing = False
    lengths = run.y.lengths
    with torch.enable_grad():
        states, ys, rows, last = _replayed(cell, run, [*back, max(int(lengths.max()), back[-1] + 1)])
    states = states[: len(back)]
    inputs = [part for state in states for part in state]
    ends = (run.y.offsets[:-1] if cell.reverse else run.y.offsets[1:] - 1)[lengths > 0]
    only_last = torch.zeros_like(d_y, dtype=torch.float64).index_copy(0, ends, d_y[ends].double())
    carried = _gradients(inputs, ys, last, [only_last[r] for r in rows], d_last, retain=True)
    total = _gradients(inputs, ys, last, [d_y[r].double() for r in rows], d_last, retain=False)
    reached = lengths[:, None] > torch.tensor(back)
    width = len(states[0])
    parts = {
        name: torch.stack([g.norm(dim=1) for g in carried[i::width]], 1) * reached
        for i, name in enumerate(type(states[0])._fields)
    }
    return Sizes(_joined(carried, width) * reached, _joined(total, width) * reached, parts, reached)


def _replayed(cell: Cell, run: CellPass, back: list[int]) -> tuple[list[State], list[Tensor], list[Tensor], State]:
    """The same pass in chunks: the state at each cut, y of each chunk and its rows, the last state."""
    lengths, x = run.y.lengths, run.x.values.detach().double()
    start = cell.initial_state(len(lengths)) if run.state is None else run.state
    state = type(start)(*[part.detach().double().clone().requires_grad_() for part in start])
    options = {key: value.double() if value.is_floating_point() else value for key, value in run.options.items()}
    states, ys, rows = [], [], []
    for first, last in zip(reversed(back), [*reversed(back[:-1]), 0], strict=True):
        states.append(state)
        active = torch.nonzero(lengths > last)[:, 0]
        row, offsets = _rows(run.y.offsets, active, first, last, cell.reverse)
        entering = type(state)(*[part[active] for part in state])
        given = {key: value[row] for key, value in options.items()}
        y, after = cell(Ragged(x[row], offsets), entering, **given)
        state = type(state)(*[part.index_copy(0, active, new) for part, new in zip(state, after, strict=True)])
        ys.append(y.values)
        rows.append(row)
    return states[::-1], ys, rows, state


def _rows(offsets: Tensor, active: Tensor, first: int, last: int, reverse: bool) -> tuple[Tensor, Tensor]:
    """The rows from `first` to `last` steps back from the end of some sequences, and their offsets."""
    lengths = offsets.diff()[active]
    counts = lengths.clamp(max=first) - last
    begin = offsets[active] + last if reverse else offsets[active + 1] - last - counts
    within = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return torch.repeat_interleave(begin - within[:-1], counts) + torch.arange(int(within[-1])), within


def _gradients(
    inputs: list[Tensor],
    ys: list[Tensor],
    last: State,
    d_ys: list[Tensor],
    d_last: tuple[Tensor, ...],
    retain: bool,
) -> list[Tensor]:
    given = [d.double() for d in d_last]
    found: Any = torch.autograd.grad([*ys, *last], inputs, [*d_ys, *given], retain_graph=retain, allow_unused=True)
    most = torch.finfo(torch.float64).max ** 0.25  # so that norms and means of what overflowed stay finite
    return [
        torch.zeros_like(x) if g is None else g.nan_to_num(nan=most, posinf=most, neginf=-most).clamp(-most, most)
        for x, g in zip(inputs, found, strict=True)
    ]


def _joined(gradients: list[Tensor], width: int) -> Tensor:
    """[sequences, cuts]: the norm over all parts of the state together."""
    whole = [torch.cat(gradients[i : i + width], 1) for i in range(0, len(gradients), width)]
    return torch.stack([g.norm(dim=1) for g in whole], 1)
