"""Attribution by integrated gradients on the output of the input layers.

e_t is the output of the input layer at step t (an embedding, the numbers of a step), b_t the baseline: the embedding of
the unknown symbol, or zeros, the mean of scaled numbers. F is the score to be explained.

    saliency_t = (e_t - b_t) . integral from 0 to 1 of dF/de_t (b + a (e - b)) da
    sum_t saliency_t = F(e) - F(b)

Several columns are interpolated from b to e together; each gets the attribution of its own units of e, a static input a
single number; b of a category is the embedding of the unknown one.

The second line is the completeness axiom, which gradient times input does not satisfy; that is also near 0 for
saturated outputs. The integral is a Gauss-Legendre quadrature with 32 points, up to 512 where 32 leave an error above
1 % of the difference.

Source: Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", 2017.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.errors import DataError
from elman.features import Columns
from elman.features.base import Feature, ReaderPart
from elman.features.category import CategoryRow
from elman.features.multi_input import MultiInput
from elman.features.words import WordReader
from elman.interpret.attribution_plot import shaded_series, shaded_words
from elman.layers.embedding import Embedding
from elman.ragged import Ragged
from elman.training.batching import batches
from elman.validation import html
from elman.validation.messages import shown

POINTS = (32, 128, 512)  # of the quadrature; more where the error is too large
_SHOWN = 20  # sequences that a notebook shows
_FOR, _AGAINST = "0,114,178", "230,102,0"  # told apart in every kind of colour blindness
LEFT_OVER = 0.01  # tolerated error relative to the difference between the two scores
STEPS = 1 << 14  # steps in a batch: bounds the memory

_Floats = NDArray[np.float64]


class Part(NamedTuple):
    """A column and its position in the outputs of the input layers."""

    lengths: Tensor  # steps of each sequence; 1 for a static input
    name: str = ""  # of the column; "" where there is only one
    input: int = 0  # which of the inputs reads it
    units: list[int] | slice = slice(None)  # its own of the input's outputs
    symbols: Sequence[Sequence[str]] | None = None  # the symbol of each step; None for numbers
    values: Sequence[_Floats] | None = None  # the numbers of each step
    is_static: bool = False  # whether it is a static input
    step: tuple[float, str] = (1.0, "step")  # the length of a step and its unit
    beside: Sequence[tuple[int, list[int] | slice]] = ()  # further inputs, and their units, that read the same steps


class AttributionRequest(NamedTuple):
    """The input of `explain` from a task."""

    inputs: Sequence[nn.Module]  # whose outputs [steps, width] are e; for an ensemble those of all networks
    lengths: Tensor  # steps of each sequence, of all columns together
    score: Callable[[Tensor], Tensor]  # F of each of the sequences with these indices, through `inputs`
    parts: Sequence[Part] = ()  # columns that share the inputs' outputs; none: the one input is one part
    answers: Sequence[Any] = ()  # the answer that F scores, one for each sequence
    beside: tuple[Sequence[_Floats], _Floats] | None = None  # a linear model beside the network: its saliency [steps]
    #   for each part that has symbols (of numbers the only part), and F [sequences]
    ensemble_size: int = 1  # networks in the ensemble, each of which reads all parts
    nothing: Callable[[nn.Module, Tensor], Tensor] | None = None  # b of an input and its e; None: that of its kind


class OfColumn(NamedTuple):
    """The attribution of one column of a sequence."""

    steps: _Floats  # saliency of each step; a single number where the column has no steps
    symbols: Sequence[str] | None
    values: _Floats | None


@dataclass(frozen=True)
class Saliency:
    """The attribution of one sequence: how much each step contributes to the answer (above 0) or against it."""

    answer: Any
    score: float  # F
    nothing: float  # F of the baseline
    steps: _Floats  # saliency of each step; they add up to score - nothing
    left_over: float  # the error of the quadrature
    symbols: Sequence[str] | None = None
    values: _Floats | None = None
    columns: Mapping[str, OfColumn] = field(default_factory=dict)  # by column, where there are several
    step: tuple[float, str] = (1.0, "step")  # the length of a step and its unit: (0.01, "seconds")

    def picture(self, title: str = "") -> bytes | None:
        """The words shaded, or the series over its shaded steps, as the bytes of a PNG.

        None, with a note on stderr, where matplotlib (the extra `plot`) is missing.
        """
        title = title or f"Why {shown(self.answer)}"
        steps = f"{self.score - self.nothing:+.2f} from the steps"
        words = f"score {self.score:+.2f}: {self.nothing:+.2f} {self.baseline} and {steps}"
        if self.symbols is not None:
            return shaded_words(self.symbols, self.steps.tolist(), title, words)
        values = self.values if self.values is not None else self.steps
        return shaded_series(values, self.steps.tolist(), title, words, self.step)

    @property
    def baseline(self) -> str:
        """The input that `nothing` is the score of, in words."""
        if self.columns:
            return "with symbols unknown and numbers at their mean"
        return "with every symbol unknown" if self.symbols is not None else "with every number at its mean"

    def to_html(self) -> str:
        """The words shaded, blue for the answer and orange against it; of numbers the picture."""
        head = html.escape(f"{shown(self.answer)} {self.score:+.3f}")
        if self.symbols is None:
            return f"<p>{head}</p>{html.image(self.picture())}"
        largest = float(np.abs(self.steps).max(initial=0.0)) or 1.0
        words = (
            f'<span style="background:rgba({_FOR if value > 0 else _AGAINST},{abs(value) / largest:.2f})" '
            f'title="{value:+.4f}">{html.escape(symbol)}</span>'
            for symbol, value in zip(self.symbols, self.steps.tolist(), strict=True)
        )
        return f"<p>{head}: {' '.join(words)}</p>"

    def _repr_html_(self) -> str:
        return self.to_html()

    def __str__(self) -> str:
        length, unit = self.step
        places = [f"step {t}" if unit == "step" else f"{t * length:.2f} {unit}" for t in range(len(self.steps))]
        names = places if self.symbols is None else _placed(self.symbols)
        strongest = sorted(range(len(names)), key=lambda t: -abs(self.steps[t]))[:10]
        steps = ", ".join(f"{names[t]} {self.steps[t]:+.3f}" for t in strongest) or "no steps"
        whole = "; ".join(f"{name} {column.steps.sum():+.3f}" for name, column in self.columns.items())
        return f"{shown(self.answer)} {self.score:+.3f}: {f'{whole}; ' if whole else ''}{steps}"


def _placed(symbols: Sequence[str]) -> list[str]:
    """Symbols with their steps, counted from 0, where a symbol occurs more than once."""
    counts = Counter(symbols)
    clear = [counts[symbol] == 1 and any(map(str.isalnum, symbol)) for symbol in symbols]
    return [one if known else f"{one!r} (step {t})" for t, (one, known) in enumerate(zip(symbols, clear, strict=True))]


class Explanation(tuple[Saliency, ...]):
    """The result of `explain`: a `Saliency` for each sequence."""

    @property
    def steps(self) -> Ragged:
        """One number a step, float64 [steps]."""
        values = [torch.from_numpy(one.steps) for one in self]
        lengths = torch.tensor([0, *(len(v) for v in values)])
        return Ragged(torch.cat([torch.zeros(0, dtype=torch.float64), *values]), lengths.cumsum(0))

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_html(self) -> str:
        """The first sequences, each as shaded words or as its picture, for a notebook."""
        rest = f"<p>… and {len(self) - _SHOWN:,} more</p>" if len(self) > _SHOWN else ""
        return "".join(one.to_html() for one in self[:_SHOWN]) + rest


def parts_of(feature: Feature | Columns, data: Ragged | MultiInput, column: Any) -> list[Part]:
    """The columns that a fitted feature reads, in the order of the network's input layers; `data` are their steps."""
    found: list[Part] = []
    parts: list[ReaderPart] = feature.parts(data, column)  # type: ignore[arg-type]
    for reader, (one, names, widths, steps, own) in enumerate(parts):
        found += [_part(one, steps, own, name, reader, units) for name, units in _units(names, one, widths).items()]
    ones = torch.ones(len(data), dtype=torch.int64)
    statics = enumerate(feature.statics, start=len(parts))
    return [*found, *(Part(ones, name, place, symbols=[[name]] * len(data), is_static=True) for place, name in statics)]


def _part(
    feature: Feature,
    data: Ragged,
    column: Any,
    name: str = "",
    reader: int = 0,
    units: list[int] | slice = slice(None),
) -> Part:
    if (symbols := feature.split_units(column)) is not None:
        return Part(data.lengths, name, reader, units, symbols)
    values = [steps.double().numpy() for steps in data]
    return Part(data.lengths, name, reader, units, values=values, step=feature.step_length())


def _units(names: list[str], feature: Feature, widths: list[int]) -> Mapping[str, list[int] | slice]:
    """The output units of an input layer that belong to each of its columns."""
    own = feature.outputs_of_columns(widths) if len(names) > 1 else None
    return {", ".join(names): slice(None)} if own is None else dict(zip(names, own, strict=True))


def explain(request: AttributionRequest) -> Explanation:
    """The attribution of the score to each step of each sequence. Raises ``DataError`` without sequences."""
    count = len(request.lengths)
    if not count:
        raise DataError("there are no sequences to explain. Give at least one.")
    if not request.parts:
        request = request._replace(parts=[Part(request.lengths)])
    found: list[tuple[list[Tensor], float, float]] = [([], 0.0, 0.0)] * count
    todo = torch.arange(count)
    for points in POINTS:
        again = []
        for batch in batches(request.lengths[todo], STEPS):
            chosen = todo[batch]
            steps, score, nothing = _integrated(request, chosen, points)
            for i, *one, f, f0 in zip(chosen.tolist(), *steps, score.tolist(), nothing.tolist(), strict=True):
                found[i] = one, f, f0
                left = abs(sum(float(part.sum()) for part in one) - (f - f0))
                if left > LEFT_OVER * max(abs(f - f0), 0.01):
                    again.append(i)
        todo = torch.tensor(again, dtype=torch.int64)
        if not again:
            break
    return Explanation([_saliency(request, i, *one) for i, one in enumerate(found)])


def _saliency(request: AttributionRequest, i: int, steps: list[Tensor], score: float, nothing: float) -> Saliency:
    parts = request.parts
    own = [one.double().numpy() for one in steps]
    left_over = score - nothing - sum(float(one.sum()) for one in own)
    if request.beside is not None:
        given = iter(request.beside[0])
        added = 0.0
        symbols = [part.symbols is not None and not part.is_static for part in parts]
        for place, part in enumerate(parts):
            if symbols[place] or not any(symbols):  # without symbols there is one column, of numbers
                here = next(given)[int(part.lengths[:i].sum()) :][: int(part.lengths[i])]
                own[place], added = own[place] + here, added + float(here.sum())
        score += float(request.beside[1][i])
        nothing += float(request.beside[1][i]) - added
    columns = {
        part.name: OfColumn(
            one,
            None if part.symbols is None else part.symbols[i],
            None if part.values is None else part.values[i][..., part.units],
        )
        for part, one in zip(parts, own, strict=True)
    }
    several = len(parts) > 1 or bool(parts[0].name)
    only = next(iter(columns.values()))
    return Saliency(
        answer=request.answers[i] if len(request.answers) else None,
        score=score,
        nothing=nothing,
        steps=np.concatenate(own),
        left_over=left_over,
        symbols=_labels(columns) if several else only.symbols,
        values=None if several else only.values,
        columns=columns if several else {},
        step=parts[0].step,
    )


def _labels(columns: Mapping[str, OfColumn]) -> list[str]:
    """The labels of all steps of all columns."""
    found = []
    for name, column in columns.items():
        words = column.symbols if column.symbols is not None else [f"step {t}" for t in range(len(column.steps))]
        found += [word if word == name else f"{name}: {word}" for word in words]
    return found


def _integrated(request: AttributionRequest, chosen: Tensor, points: int) -> tuple[list[list[Tensor]], Tensor, Tensor]:
    """The saliency of each part's steps in each chosen sequence, F, and F of the baseline."""
    places, weights = np.polynomial.legendre.leggauss(points)
    totals: list[Tensor] = []
    baseline = request.nothing or _nothing
    with torch.no_grad(), _moved(request.inputs, 1.0, baseline):
        score = request.score(chosen).double()
    with torch.no_grad(), _moved(request.inputs, 0.0, baseline):
        nothing = request.score(chosen).double()
    for place, weight in zip((places / 2 + 0.5).tolist(), (weights / 2).tolist(), strict=True):
        with torch.enable_grad(), _moved(request.inputs, place, baseline) as seen:
            scores = request.score(chosen)
            moved = [seen[i][0] for i in range(len(request.inputs))]
            gradients: Any = torch.autograd.grad(scores.sum(), moved, allow_unused=True)
        found = [
            torch.zeros_like(difference) if gradient is None else gradient * difference
            for gradient, (_, difference) in zip(gradients, (seen[i] for i in range(len(moved))), strict=True)
        ]
        alike = len(found) // request.ensemble_size
        steps = [_of_part(part, found, alike, request.lengths[chosen]) for part in request.parts]
        totals = (
            [weight * s for s in steps] if not totals else [t + weight * s for t, s in zip(totals, steps, strict=True)]
        )
    parted = zip(request.parts, totals, strict=True)
    return [list(total.split(part.lengths[chosen].tolist())) for part, total in parted], score, nothing


def _of_part(part: Part, found: Sequence[Tensor], alike: int, lengths: Tensor) -> Tensor:
    """What is attributed to the steps of a part, in all networks; `alike`: the inputs of one network."""
    read = [(part.input, part.units), *part.beside]
    every = [one.flatten(0, -2)[:, units].sum(1).double() for place, units in read for one in found[place::alike]]
    total = torch.stack(every).sum(0)
    if part.is_static and len(total) != len(lengths):  # read anew at every step
        owner = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        return total.new_zeros(len(lengths)).index_add(0, owner, total)
    return total


@contextmanager
def _moved(
    layers: Sequence[nn.Module], place: float, nothing: Callable[[nn.Module, Tensor], Tensor]
) -> Iterator[dict[int, tuple[Tensor, Tensor]]]:
    """Within the block the output of each layer is b + place (e - b); it and e - b are collected."""
    seen: dict[int, tuple[Tensor, Tensor]] = {}

    def moving(i: int) -> Callable[[nn.Module, Any, Ragged | Tensor], Ragged | Tensor]:
        def move(layer: nn.Module, _: Any, out: Ragged | Tensor) -> Ragged | Tensor:
            e = (out.values if isinstance(out, Ragged) else out).detach()
            b = nothing(layer, e)
            moved = (b + place * (e - b)).requires_grad_(torch.is_grad_enabled())
            seen[i] = moved, e - b
            return Ragged(moved, out.offsets) if isinstance(out, Ragged) else moved

        return move

    hooks = [layer.register_forward_hook(moving(i)) for i, layer in enumerate(layers)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _nothing(layer: nn.Module, e: Tensor) -> Tensor:
    """The baseline of an input layer."""
    if isinstance(layer, WordReader):
        return layer.nothing().expand_as(e)
    if isinstance(layer, Embedding | CategoryRow):
        return layer.weight[0].detach().expand_as(e)
    return torch.zeros_like(e)
