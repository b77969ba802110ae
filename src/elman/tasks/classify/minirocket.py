"""MiniRocket: the share of steps at which each of many fixed kernels is above a limit, and a linear model of that.

A kernel k reads nine steps that lie d apart, six of them with weight -1 and three with 2, and adds up the columns C
that it looks at (Dempster et al. 2021). What lies before the first step reads as zeros.

    c_kt = sum_{j=0..8} w_kj sum_{i in C_k} x_{t - d(8-j), i}         w_k: one of the 84 ways to choose three of nine
    f_k  = 1/T sum_t [c_kt > b_k]                                     the share of steps at which it is seen
    z    = A g(f) + a,    g_k(f) = (f_k - mean_k) / (deviation_k sqrt(features))        both over the training part
    A    = argmin sum_i s_i |Y_i - A g(f_i) - a|^2 + r |A|^2          ridge regression on Y = 1 for the class, else -1

The spacings d grow evenly in the logarithm, from 1 until nine steps span the longest sequence. A limit b is a quantile
of c in one training sequence drawn at random, the columns C are drawn too. The strength r and the factor by which A and
a are stretched into logits are those with the least error on sequences that were left out, each once: ridge regression
knows what it would have said without a sequence, so that nothing has to be held out. A sequence of no steps has g = 0.

Where a sequence has any number of labels Y_ik is 1 for each that it has, s_i is the mean cost over the labels, and the
factor is chosen by their logistic loss.

Since the sum over steps is one of whole numbers, a sequence has the same bits alone, in a batch, and step by step.

Dempster, A., Schmidt, D. F. and Webb, G. I. 2021. MiniRocket: a very fast (almost) deterministic transform for time
series classification. KDD. Differs: zeros before the first step only, so that a kernel ends at its step.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_expit
from threadpoolctl import threadpool_limits
from torch import Tensor

from elman.errors import OptionError, ShapeError
from elman.features import Columns, Feature
from elman.ops import functional as ops
from elman.ragged import Ragged
from elman.tasks.classify.defaults import START_OF_NUMBERS
from elman.tasks.classify.wide import WideModel, blocks

MOST_SEQUENCES = 5000  # that can be learnt from: work grows with their square

_Ints = NDArray[np.int64]
_Bits = NDArray[np.bool_]
_Doubles = NDArray[np.float64]

_TAPS = 9
_THREES = np.array(list(combinations(range(_TAPS), 3)))  # where the weight is 2
_KERNELS = len(_THREES)
_SPACINGS = 32  # different ones, at most
_REACH = 1 << 25  # numbers that a stream remembers, at most
_COLUMNS = 9  # that a kernel looks at, at most
_BLOCK = 1 << 18  # sums at a time: what a processor keeps near
_STRENGTHS = 10.0 ** np.arange(-7, 1.1, 0.5)  # r
_STRETCHES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_CONSTANT = 100.0  # beside g: its weight is a / 100, and is hardly held back
_LEARNT = ("spacings", "columns", "limits", "mean", "weight", "bias")


class MiniRocket(WideModel):
    """Linear model of the features of a sequence of numbers; the equations stand at the head of this file.

    `features` is about how many there are, at least 84 (default 10,000); `seed` draws limits and columns.

    Learnt: `spacings` int64 `[spacings]`, `columns` bool `[spacings, 84, width]`, `limits` float64 `[spacings, 84,
    limits]`, `mean` float32 `[features]`, `weight` float32 `[classes, features]`, `bias` float32 `[classes]`.

    >>> slow, fast = torch.arange(40.0).sin()[:, None], (3 * torch.arange(40.0)).sin()[:, None]
    >>> x = Ragged.of([slow, fast, slow[5:], fast[7:]])
    >>> model = MiniRocket(500).fit(x, torch.tensor([0, 1, 0, 1]), classes=2)
    >>> model.logits(Ragged.of([slow[3:30], fast[2:30]])).argmax(1)
    tensor([0, 1])
    """

    kind = "minirocket"
    called = "features of MiniRocket"
    start = START_OF_NUMBERS

    def __init__(self, features: int = 10_000, seed: int | None = 0) -> None:
        if features < _KERNELS:
            raise OptionError(f"features must be at least {_KERNELS}, got {features}; 10,000 is a good start")
        self.features, self.seed = features, seed
        self.spacings = torch.zeros(0, dtype=torch.int64)
        self.columns = torch.zeros(0, _KERNELS, 0, dtype=torch.bool)
        self.limits = torch.zeros(0, _KERNELS, 0, dtype=torch.float64)
        self.mean, self.weight, self.bias = torch.zeros(0), torch.zeros(0, 0), torch.zeros(0)

    # ---- learning

    def fit(self, x: Ragged, targets: Tensor, classes: int, weights: Tensor | None = None) -> Self:
        """Learns from sequences `[steps, width]` and the class of each, int64 `[sequences]`, 0 to `classes` - 1.

        Labels of which a sequence may have several are bool `[sequences, classes]`. `weights` are s, numbers of at
        least 0 in the shape of the targets (default all 1). Raises ``ShapeError`` without any step or for shapes that
        disagree, ``OptionError`` for more sequences than `MOST_SEQUENCES`.
        """
        self._check_data(x, targets)
        self._draw(x)
        self.weight = torch.zeros(classes, len(self.mean))
        shares = self._shares(x)
        share = np.ones(len(x)) if weights is None else weights.double().numpy()
        share = share.mean(axis=1) if share.ndim == 2 else share
        found = _ridge(shares.double().numpy(), targets.numpy(), classes, share)
        self.mean, self.weight, self.bias = (torch.from_numpy(part).float() for part in found)
        return self

    def _check_data(self, x: Ragged, targets: Tensor) -> None:
        if x.values.dim() != 2 or not x.steps or not x.width:
            raise ShapeError(f"MiniRocket needs steps of numbers, got values of shape {list(x.values.shape)}.")
        several = targets.dtype == torch.bool and targets.dim() == 2 and len(targets) == len(x)
        if not several and (targets.dtype != torch.int64 or list(targets.shape) != [len(x)]):
            got = f"{targets.dtype} of shape {list(targets.shape)}"
            raise ShapeError(f"targets must be int64 of shape [{len(x)}], got {got}.")
        if len(x) > MOST_SEQUENCES:
            raise OptionError(
                f"minirocket = {self.features} can learn {MOST_SEQUENCES} sequences, got {len(x)}. Set it to 0."
            )

    def _draw(self, x: Ragged) -> None:
        """Chooses spacings, columns and limits."""
        draw = np.random.default_rng(self.seed)
        longest = int(x.lengths.max())
        span = max(1.0, min(longest - 1, _REACH // max(1, x.width)) / (_TAPS - 1))
        most = min(_SPACINGS, max(1, self.features // _KERNELS))
        spacings = np.unique(np.floor(span ** np.linspace(0, 1, most)).astype(np.int64))
        limits = min(4 * longest, max(1, self.features // (_KERNELS * len(spacings))))
        self.spacings = torch.from_numpy(spacings)
        self.columns = torch.from_numpy(_drawn_columns(draw, len(spacings) * _KERNELS, x.width)).view(
            len(spacings), _KERNELS, x.width
        )
        places = _quantiles(len(spacings) * _KERNELS * limits).reshape(len(spacings), _KERNELS, limits)
        full = np.flatnonzero(x.lengths.numpy() > 0)
        made = np.zeros(places.shape)
        for d, spacing in enumerate(spacings.tolist()):
            chosen = draw.choice(full, _KERNELS)
            distinct, which = np.unique(chosen, return_inverse=True)
            some = x[torch.from_numpy(distinct)]
            sums = self._sums(*_padded(some), spacing, d)
            ends = some.offsets.numpy()
            for k, i in enumerate(which):
                made[d, k] = np.quantile(sums[k, ends[i] : ends[i + 1]], places[d, k])
        self.limits = torch.from_numpy(made)
        self.mean = torch.zeros(made.size)

    # ---- what is seen

    def _sums(self, padded: _Doubles, rows: _Ints, ages: _Ints, spacing: int, d: int) -> _Doubles:
        """c of every kernel at some steps, [84, steps]: row `rows` of `padded`, with `ages` steps before it."""
        backs = spacing * np.arange(_TAPS - 1, -1, -1)
        taps = [padded[np.where(ages >= back, rows - back, -1)] for back in backs]
        whole = functools.reduce(np.add, taps)
        sums, columns = np.zeros((_KERNELS, len(rows))), self.columns.numpy()[d]
        for column, looking in enumerate(columns.T):
            one = np.stack([tap[:, column] for tap in taps])
            a, b, c = _THREES[looking].T
            sums[looking] += 3 * (one[a] + one[b] + one[c]) - whole[:, column]
        return sums

    def _seen(self, padded: _Doubles, rows: _Ints, ages: _Ints) -> Iterator[tuple[slice, _Bits]]:
        """The features of each spacing and limit, and whether their kernels are above it, [84, steps]."""
        limits, every = self.limits.numpy(), self.limits.shape[2]
        for d, spacing in enumerate(self.spacings.tolist()):
            sums = self._sums(padded, rows, ages, spacing, d)
            for i in range(every):
                first = (d * every + i) * _KERNELS
                yield slice(first, first + _KERNELS), sums > limits[d, :, i, None]

    def _shares(self, x: Ragged) -> Tensor:
        """f of each sequence, float32 [sequences, features]; the mean for one of no steps."""
        shares = self.mean.repeat(len(x), 1)
        for first, last in blocks(x.offsets.numpy(), _BLOCK // (_KERNELS * max(1, x.width))):
            part = x[first:last]
            full = np.flatnonzero(part.lengths.numpy() > 0)
            if not len(full):
                continue
            starts, lengths = part.offsets.numpy()[full], part.lengths.numpy()[full]
            for which, bits in self._seen(*_padded(part)):
                counts = np.add.reduceat(bits, starts, axis=1, dtype=np.int64)
                shares[first + full, which] = _share(torch.from_numpy(counts.T), torch.from_numpy(lengths)[:, None])
        return shares

    # ---- answering

    def logits(self, x: Ragged) -> Tensor:
        """Logits of each sequence, float32 `[sequences, classes]`; one of no steps gets the bias."""
        return self._answers(self._shares(x))

    def _answers(self, shares: Tensor) -> Tensor:
        return ops.linear(shares - self.mean, self.weight, self.bias)

    def contributions(self, x: Ragged) -> Tensor:
        """What each step adds to the logits, float64 `[steps, classes]`; over a sequence they add up to logits - bias.

        A kernel counts at the last of its nine steps.
        """
        weight, mean = self.weight.double().numpy(), self.mean.double().numpy()
        made = np.zeros((x.steps, len(weight)))
        for first, last in blocks(x.offsets.numpy(), _BLOCK // (_KERNELS * max(1, x.width))):
            part, rows = x[first:last], slice(int(x.offsets[first]), int(x.offsets[last]))
            for which, bits in self._seen(*_padded(part)):
                made[rows] += (bits.T - mean[which]) @ weight[:, which].T
        lengths = x.lengths.clamp(min=1)[x.segments].numpy()
        return torch.from_numpy(made / lengths[:, None])

    # ---- one step at a time

    def initial_state(self) -> dict[str, Tensor]:
        """Before the first step."""
        reach = (_TAPS - 1) * int(self.spacings.max())
        return {
            "recent": torch.zeros(reach, self.columns.shape[2]),  # the last steps that a kernel may still read
            "counts": torch.zeros(len(self.mean), dtype=torch.int64),  # at how many steps each was seen
            "steps": torch.zeros(1, dtype=torch.int64),
        }

    def advance(self, values: Tensor, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state after some more steps `[steps, width]`."""
        known = torch.cat([state["recent"], values])
        reach, counts = len(state["recent"]), state["counts"].clone()
        rows = np.arange(reach, len(known))
        for which, bits in self._seen(*_padded(Ragged.of([known]))[:1], rows, rows) if len(values) else ():
            counts[which] += torch.from_numpy(bits.sum(axis=1))
        recent = known[len(known) - reach :].clone()
        return {"recent": recent, "counts": counts, "steps": state["steps"] + len(values)}

    def read(self, state: Mapping[str, Tensor]) -> Tensor:
        """The logits in a state, float32 `[1, classes]`: the bits of `logits` of all steps so far."""
        some = bool(state["steps"])
        return self._answers(_share(state["counts"][None], state["steps"]) if some else self.mean[None])

    # ---- on disk

    def config(self) -> dict[str, Any]:
        """Options and sizes as JSON values; with `tensors` all that `restore` needs."""
        sizes = {"spacings": len(self.spacings), "limits": self.limits.shape[2], "width": self.columns.shape[2]}
        return {"features": self.features, "seed": self.seed, **sizes, "classes": len(self.weight)}

    def tensors(self) -> dict[str, Tensor]:
        """What was learnt, by name."""
        return {name: getattr(self, name) for name in _LEARNT}

    @classmethod
    def restore(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """The model that `config` and `tensors` describe. Raises ``ShapeError`` where they disagree."""
        model = cls(int(config["features"]), config["seed"])
        d, limits, width, classes = (int(config[name]) for name in ("spacings", "limits", "width", "classes"))
        every = d * _KERNELS * limits
        shapes = {"spacings": [d], "columns": [d, _KERNELS, width], "limits": [d, _KERNELS, limits]}
        shapes |= {"mean": [every], "weight": [classes, every], "bias": [classes]}
        for name, shape in shapes.items():
            got, like = tensors[name], getattr(model, name)
            finite = not got.is_floating_point() or bool(got.isfinite().all())
            if list(got.shape) != shape or got.dtype != like.dtype or not finite:
                raise ShapeError(
                    f"MiniRocket needs {name} of shape {shape}, finite, of {like.dtype}, got {list(got.shape)} of "
                    f"{got.dtype}; the model folder was altered, save it again"
                )
            setattr(model, name, got.contiguous())
        bad = not (d and width and classes >= 2) or int(model.spacings.min()) < 1
        if bad or (_TAPS - 1) * int(model.spacings.max()) * width > _REACH:
            raise ShapeError("the saved MiniRocket has sizes that cannot be; save it again")
        return model

    def fits(self, feature: Feature | Columns, width: int, classes: int) -> bool:
        """Whether steps are numbers, as many as were learnt from, and the classes are as many."""
        return feature.is_series and (self.columns.shape[2], len(self.bias)) == (width, classes)


def _padded(x: Ragged) -> tuple[_Doubles, _Ints, _Ints]:
    """The steps with a row of zeros behind them, the row of each step, and how many steps of its own lie before it."""
    values = x.values.double().numpy()
    rows = np.arange(len(values))
    return np.concatenate([values, np.zeros((1, values.shape[1]))]), rows, rows - x.offsets.numpy()[x.segments.numpy()]


def _share(counts: Tensor, steps: Tensor) -> Tensor:
    """Counts over steps, float32, the same division everywhere."""
    return (counts.double() / steps.double()).float()


def _drawn_columns(draw: np.random.Generator, kernels: int, width: int) -> _Bits:
    """Which columns each kernel looks at: 1 to 9, the logarithm of how many drawn evenly."""
    made = np.zeros((kernels, width), bool)
    for row in made:
        many = int(2 ** draw.uniform(0, np.log2(min(width, _COLUMNS) + 1)))
        row[draw.choice(width, many, replace=False)] = True
    return made


def _quantiles(count: int) -> _Doubles:
    """Numbers from 0 to 1, spread evenly however many are taken: multiples of the golden ratio."""
    made: _Doubles = (np.arange(1, count + 1) * (np.sqrt(5) + 1) / 2) % 1
    return made


def _ridge(shares: _Doubles, targets: Any, classes: int, weights: _Doubles) -> tuple[_Doubles, _Doubles, _Doubles]:
    """mean, A and a, with the strength and the stretch that sequences which were left out like best."""
    mean, deviation = shares.mean(axis=0), shares.std(axis=0)
    scale = np.where(deviation > 1e-8, 1 / np.maximum(deviation, 1e-8), 0.0) / np.sqrt(shares.shape[1])
    root = np.sqrt(np.maximum(weights, 1e-6))[:, None]
    rows = np.concatenate([(shares - mean) * scale, np.full((len(shares), 1), _CONSTANT)], axis=1) * root
    truth = 2 * (targets.astype(np.float64) if targets.ndim == 2 else np.eye(classes)[targets]) - 1
    with threadpool_limits(1, "blas"):  # sums in one order
        values, vectors = np.linalg.eigh(rows @ rows.T)
        turned = vectors.T @ (truth * root)
        least, best, left_out = np.inf, np.zeros_like(truth), truth
        for strength in _STRENGTHS:
            shrunk = vectors / (np.maximum(values, 0) + strength)
            dual = shrunk @ turned
            errors = dual / (shrunk * vectors).sum(axis=1)[:, None]
            if (errors**2).sum() < least:
                least, best, left_out = (errors**2).sum(), dual, truth - errors / root
        weight = rows.T @ best
    stretch = min(_STRETCHES, key=lambda factor: _cross_entropy(factor * left_out, targets, weights))
    weight = weight * stretch
    return mean, np.ascontiguousarray((weight[:-1] * scale[:, None]).T), weight[-1] * _CONSTANT


def _cross_entropy(logits: _Doubles, targets: Any, weights: _Doubles) -> float:
    if targets.ndim == 2:
        return -float(weights @ log_expit(np.where(targets, logits, -logits)).sum(axis=1))
    high = logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(logits - high).sum(axis=1)) + high[:, 0]
    return float(weights @ (log_sum - logits[np.arange(len(targets)), targets]))
