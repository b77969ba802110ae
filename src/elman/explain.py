"""Which steps made an answer: integrated gradients on what a network reads of each step.

e_t is what the input layer makes of step t (the vector of a symbol, the numbers of a step), b_t the same of a step that
says nothing: the vector of the unknown symbol, or zeros, the mean of scaled numbers. F is the score to be explained.

    saliency_t = (e_t - b_t) . integral from 0 to 1 of dF/de_t (b + a (e - b)) da
    sum_t saliency_t = F(e) - F(b)

The second line is called completeness: nothing is left over, and nothing is counted twice. That is why these are taken
and not gradient times input, which has no such sum and is near 0 wherever an answer is so sure that it hardly changes.
The integral is a Gauss-Legendre sum of 32 points, or of up to 512 where 32 leave more than 1 % of the difference over.

Source: Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman import pictures
from elman.batches import batches
from elman.errors import DataError
from elman.features.base import Embedding, Feature, shown
from elman.ragged import Ragged

__all__ = ["Explanation", "Question", "Saliency", "explain", "named_steps"]

POINTS = (32, 128, 512)  # of the integral; more where the fewer leave too much over
LEFT_OVER = 0.01  # of the difference between the two scores
STEPS = 1 << 14  # steps in a batch: bounds the memory

_Floats = NDArray[np.float64]


class Question(NamedTuple):
    """What a task hands over to be explained."""

    input: nn.Module  # whose output [steps, width] is e
    lengths: Tensor  # steps of each sequence
    score: Callable[[Tensor], Tensor]  # F of each of the sequences with these indices, through `input`
    symbols: Sequence[Sequence[str]] | None = None  # what each step is called; None for numbers
    values: Sequence[_Floats] | None = None  # the numbers of each step, where they are numbers
    answers: Sequence[Any] = ()  # what F speaks for, one for each sequence
    beside: tuple[_Floats, _Floats] | None = (
        None  # a path without steps in between: its saliency [steps], F [sequences]
    )


@dataclass(frozen=True)
class Saliency:
    """One sequence: how much each of its steps spoke for the answer (above 0) or against it (below)."""

    answer: Any
    score: float  # F
    nothing: float  # F of a sequence as long, all of whose steps say nothing
    steps: _Floats  # saliency of each step; they add up to score - nothing
    left_over: float  # what they do not: the error of the integral
    symbols: Sequence[str] | None = None
    values: _Floats | None = None

    def picture(self, title: str = "") -> bytes | None:
        """The words shaded, or the series over its shaded steps, as the bytes of a PNG.

        None, with a note on stderr, where matplotlib (the extra `plot`) is missing.
        """
        title = title or f"Why {shown(self.answer)}"
        words = f"score {self.score:+.2f}, of which the steps {self.score - self.nothing:+.2f}"
        if self.symbols is not None:
            return pictures.shaded_words(self.symbols, self.steps.tolist(), title, words)
        return pictures.shaded_series(
            self.values if self.values is not None else self.steps, self.steps.tolist(), title, words
        )

    def __str__(self) -> str:
        names = self.symbols if self.symbols is not None else [f"step {t}" for t in range(len(self.steps))]
        strongest = sorted(range(len(names)), key=lambda t: -abs(self.steps[t]))[:10]
        told = ", ".join(f"{names[t]} {self.steps[t]:+.3f}" for t in strongest) or "no steps"
        return f"{shown(self.answer)} {self.score:+.3f}: {told}"


class Explanation(Sequence[Saliency]):
    """What `explain` found: a `Saliency` for each sequence."""

    def __init__(self, found: list[Saliency]) -> None:
        self._found = found

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, index: int) -> Saliency: ...
    @overload
    def __getitem__(self, index: slice) -> list[Saliency]: ...
    def __getitem__(self, index: int | slice) -> Saliency | list[Saliency]:
        return self._found[index]

    @property
    def steps(self) -> Ragged:
        """One number a step, float64 [steps]."""
        values = [torch.from_numpy(one.steps) for one in self._found]
        lengths = torch.tensor([0, *(len(v) for v in values)])
        return Ragged(torch.cat([torch.zeros(0, dtype=torch.float64), *values]), lengths.cumsum(0))

    def __str__(self) -> str:
        return "\n".join(map(str, self._found))


def named_steps(feature: Feature, data: Ragged) -> tuple[list[list[str]] | None, list[_Floats] | None]:
    """What each step is called, or its numbers: `symbols` and `values` of a `Question`."""
    names = getattr(feature, "vocabulary_", None)
    if names is not None and data.values.dim() == 1:
        return [[names[i] for i in ids.tolist()] for ids in data], None
    return None, [steps.double().numpy() for steps in data]


def explain(question: Question) -> Explanation:
    """How much each step of each sequence spoke for the score. Raises ``DataError`` without sequences."""
    count = len(question.lengths)
    if not count:
        raise DataError("there are no sequences to explain. Give at least one.")
    found: list[tuple[Tensor, float, float]] = [(torch.zeros(0), 0.0, 0.0)] * count
    todo = torch.arange(count)
    for points in POINTS:
        again = []
        for batch in batches(question.lengths[todo], STEPS):
            chosen = todo[batch]
            steps, score, nothing = _integrated(question, chosen, points)
            for i, one, f, f0 in zip(chosen.tolist(), steps, score.tolist(), nothing.tolist(), strict=True):
                found[i] = one, f, f0
                if abs(float(one.sum()) - (f - f0)) > LEFT_OVER * max(abs(f - f0), 0.01):
                    again.append(i)
        todo = torch.tensor(again, dtype=torch.int64)
        if not again:
            break
    return Explanation([_saliency(question, i, *one) for i, one in enumerate(found)])


def _saliency(question: Question, i: int, steps: Tensor, score: float, nothing: float) -> Saliency:
    saliency, left_over = steps.double().numpy(), score - nothing - float(steps.double().sum())
    if question.beside is not None:
        offsets = np.concatenate([[0], question.lengths.cumsum(0).numpy()])
        here = question.beside[0][offsets[i] : offsets[i + 1]]
        saliency, score = saliency + here, score + float(question.beside[1][i])
        nothing += float(question.beside[1][i]) - float(here.sum())
    return Saliency(
        answer=question.answers[i] if len(question.answers) else None,
        score=score,
        nothing=nothing,
        steps=saliency,
        left_over=left_over,
        symbols=None if question.symbols is None else question.symbols[i],
        values=None if question.values is None else question.values[i],
    )


def _integrated(question: Question, chosen: Tensor, points: int) -> tuple[list[Tensor], Tensor, Tensor]:
    """The saliency of each step of each chosen sequence, F there, and F where every step says nothing."""
    places, weights = np.polynomial.legendre.leggauss(points)
    total: Tensor | None = None
    with torch.no_grad(), _moved(question.input, 1.0):
        score = question.score(chosen).double()
    with torch.no_grad(), _moved(question.input, 0.0):
        nothing = question.score(chosen).double()
    for place, weight in zip((places / 2 + 0.5).tolist(), (weights / 2).tolist(), strict=True):
        with torch.enable_grad(), _moved(question.input, place) as seen:
            scores = question.score(chosen)
            moved, difference = seen[0]
            gradient: Any = torch.autograd.grad(scores.sum(), moved, allow_unused=True)[0]
        step = torch.zeros(len(difference)) if gradient is None else (gradient * difference).sum(1)
        total = weight * step.double() if total is None else total + weight * step.double()
    assert total is not None
    return list(total.split(question.lengths[chosen].tolist())), score, nothing


@contextmanager
def _moved(layer: nn.Module, place: float) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Within, the layer's output is b + place (e - b); what it then was, and e - b, are collected."""
    seen: list[tuple[Tensor, Tensor]] = []

    def move(_: nn.Module, __: Any, out: Ragged) -> Ragged:
        e = out.values.detach()
        b = _nothing(layer, e)
        moved = (b + place * (e - b)).requires_grad_(torch.is_grad_enabled())
        seen.append((moved, e - b))
        return Ragged(moved, out.offsets)

    hook = layer.register_forward_hook(move)
    try:
        yield seen
    finally:
        hook.remove()


def _nothing(layer: nn.Module, e: Tensor) -> Tensor:
    """What is read of a step that says nothing."""
    return layer.weight[0].detach().expand_as(e) if isinstance(layer, Embedding) else torch.zeros_like(e)
