"""The n-gram model: hashed n-grams of symbols and a linear model of them, which learns from short runs of steps.

A step `t` of a sequence of symbols `s` ends one n-gram of each order `n <= t`. Each is hashed into one of `buckets`
numbers; a sequence is the set `G` of its distinct buckets (Weinberger et al. 2009; binary counts, as Wang & Manning
2012 found best for sentiment). The linear model scales every n-gram by how telling it was (`r`, naive Bayes) before it
learns a weight for it:

    p_kg = a + sum_i c_i [y_i = k]  [g in G_i],    q_kg = a + sum_i c_i [y_i != k] [g in G_i]        a = 1
    r_kg = log(p_kg / sum_g p_kg) - log(q_kg / sum_g q_kg)                     one class against the rest
    U_kg = r_kg V_kg
    z_ik = b_k + sum_{g in G_i} U_kg / sqrt(|G_i|)                             |G_i| counts n-grams kept in training
    V, b = argmin  C sum_i c_i (-log softmax(z_i)_{y_i}) + 1/2 sum_kg V_kg^2

With two classes one row is learnt, `z_1 - z_0`, and halved between them. Where a sequence may have several labels, each
label has a row and the logistic loss of its presence, with `c_ik`. N-grams seen in a single training sequence are not
kept. Differs from Wang & Manning: logistic instead of hinge loss, the square root of the number of n-grams as norm, no
interpolation with the mean weight.

Exact sums: the learnt `U` is rounded to multiples of a power of two, `2^-24` of its largest value (as fine as a
float32 near that value), so that a float64 holds any sum of them exactly, in any order of summation: a sequence alone,
in a batch or fed one step at a time gives the same bits.

Wang, S. and Manning, C. 2012. Baselines and bigrams: simple, good sentiment and topic classification. ACL.
Mesnil, G. et al. 2014. Ensemble of generative and discriminative techniques for sentiment analysis. arXiv:1412.5335.
Weinberger, K. et al. 2009. Feature hashing for large scale multitask learning. ICML.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp
from threadpoolctl import threadpool_limits
from torch import Tensor

from elman.errors import OptionError, Problem, ShapeError, TrainingError
from elman.features import Columns, Feature
from elman.ragged import Ragged
from elman.tasks.classify.defaults import START
from elman.tasks.classify.wide import WideModel, blocks

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float32]
_Doubles = NDArray[np.float64]

# Odd multipliers (the last two are fmix64 of MurmurHash3), fixed for ever: models on disk depend on them.
_MULTIPLY = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_MIX_AGAIN = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)
_BLOCK = 4_000_000  # n-grams sorted at a time: bounds the memory, 100 MB or so
_GRID_BITS = 24


def bucket_count(steps: int, orders: Sequence[int] = (1, 2, 3), classes: int = 2) -> int:
    """How many buckets suit training data of `steps` steps: a power of two, at least 4 an n-gram, from 2^14 to 2^22.

    With many classes fewer, so that buckets times rows of weights stay within 2^23 (1 GB while learning). 2^22 holds
    the 2.7 million distinct 1-3-grams of 20,000 film reviews; with 2^20 accuracy on 5,000 others was 0.2 points lower,
    with 2^18 1.2 (one split; standard error 0.4).

    >>> bucket_count(1000), bucket_count(10**9), bucket_count(10**9, classes=20)
    (16384, 4194304, 262144)
    """
    wanted = 4 * max(1, steps) * len(orders)
    rows = 1 if classes == 2 else classes
    most = 23 - (rows - 1).bit_length()
    return 1 << min(22, most, max(14, (wanted - 1).bit_length()))


def hashed_ngrams(ids: Ragged, orders: Sequence[int] = (1, 2, 3), buckets: int = 2**20) -> Ragged:
    """The distinct buckets of each sequence's n-grams, ascending: int64 `[distinct n-grams]`.

    `ids` holds int64 symbols `[steps]`, any values. `orders` are the lengths `n` (default 1, 2 and 3), each at least 1.
    `buckets` is a power of two (default 2^20). A sequence shorter than `n` has no n-gram of that order.

    Raises `ShapeError` unless `ids` is int64 `[steps]`; `OptionError` for orders or buckets out of range.

    >>> grams = hashed_ngrams(Ragged.of([[7, 8, 7, 8], [7], []]), orders=(1, 2))
    >>> grams.lengths                                     # 7, 8, 7 8, 8 7 | 7 | nothing
    tensor([4, 1, 0])
    >>> set(grams[1].tolist()) < set(grams[0].tolist())
    True
    """
    _check_options(orders, buckets)
    symbols, offsets = _symbols(ids)
    found: list[_Ints] = []
    counts = np.zeros(len(offsets) - 1, np.int64)
    for first, last in blocks(offsets, _BLOCK // len(orders)):
        part, part_counts = _block_ngrams(symbols, offsets[first : last + 1], orders, buckets)
        found.append(part)
        counts[first:last] = part_counts
    values = np.concatenate(found) if found else np.zeros(0, np.int64)
    return Ragged(torch.from_numpy(values), torch.from_numpy(np.concatenate([[0], np.cumsum(counts)])))


def _check_options(orders: Sequence[int], buckets: int) -> None:
    problems = []
    if not orders or any(n < 1 for n in orders) or len(set(orders)) != len(orders):
        what = "must be different numbers of at least 1; (1, 2, 3) suits words"
        problems.append(Problem("orders", str(tuple(orders)), what))
    if buckets < 2 or buckets > 2**31 or buckets & (buckets - 1):
        what = "must be a power of two from 2 to 2**31; 2**20 is a good start"
        problems.append(Problem("buckets", str(buckets), what))
    if problems:
        raise OptionError.of(problems)


def _symbols(ids: Ragged) -> tuple[_Ints, _Ints]:
    if ids.values.ndim != 1 or ids.values.dtype != torch.int64:
        raise ShapeError(
            f"ids must be int64 symbols of shape [steps], got {ids.values.dtype} of shape {list(ids.values.shape)}. "
            "Text and Tokens make them; numbers have no n-grams."
        )
    return ids.values.detach().cpu().contiguous().numpy(), ids.offsets.numpy()


def _block_ngrams(symbols: _Ints, offsets: _Ints, orders: Sequence[int], buckets: int) -> tuple[_Ints, _Ints]:
    """Distinct buckets of the sequences between `offsets`, and how many each sequence has."""
    sequences, steps = len(offsets) - 1, symbols[offsets[0] : offsets[-1]]
    sequence = np.repeat(np.arange(sequences), np.diff(offsets))
    keys = []
    for n in orders:
        whole = len(steps) - n + 1  # windows of n steps; those that cross into the next sequence are dropped
        if whole <= 0:
            continue
        inside = sequence[:whole] == sequence[n - 1 :]
        bucket = _hash([steps[i : whole + i][inside] for i in range(n)], buckets)
        keys.append(sequence[:whole][inside] * buckets + bucket)
    ordered = np.sort(np.concatenate(keys)) if keys else np.zeros(0, np.int64)
    distinct = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(ordered) else ordered
    counts = np.bincount(distinct // buckets, minlength=sequences).astype(np.int64)
    return distinct & (buckets - 1), counts


def _hash(steps: Sequence[_Ints] | _Ints, buckets: int) -> _Ints:
    """The bucket of each n-gram; `steps[i][j]` is symbol `i` of n-gram `j`. The top bits of a chained 64-bit mix."""
    code = np.full(steps[0].shape, len(steps), np.uint64)  # arrays, since numpy warns when scalars wrap around
    for symbols in steps:
        code = code * _MULTIPLY + symbols.astype(np.uint64) + np.uint64(1)
        code = (code ^ (code >> _SHIFT)) * _MIX
        code = (code ^ (code >> _SHIFT)) * _MIX_AGAIN
        code ^= code >> _SHIFT
    return (code >> np.uint64(64 - (buckets - 1).bit_length())).astype(np.int64)


class NgramModel(WideModel):
    """Linear model of the distinct hashed n-grams of a sequence; the equations stand at the head of this file.

    `orders` (default 1, 2, 3) and `buckets` (a power of two, default 2^20; see `bucket_count`) say which n-grams.
    `strength` is `C`, above 0 (default 30): a larger one fits the training data more closely. `minimum` is in how many
    training sequences an n-gram must occur to be kept (default 2).

    Learnt: `weight` float32 `[rows, buckets]` and `bias` float32 `[rows]`; rows = classes, or 1 for two classes;
    `independent`, whether the classes are labels of which a sequence may have several.

    >>> ids, targets = Ragged.of([[1, 2], [1, 3], [4, 2], [4, 3]] * 3), torch.tensor([0, 0, 1, 1] * 3)
    >>> NgramModel(buckets=1024).fit(ids, targets, classes=2).logits(ids[:4]).argmax(1)
    tensor([0, 0, 1, 1])
    """

    kind = "ngrams"
    called = "n-grams"
    start = START

    def __init__(
        self, orders: Sequence[int] = (1, 2, 3), buckets: int = 2**20, strength: float = 30.0, minimum: int = 2
    ) -> None:
        _check_options(orders, buckets)
        if not strength > 0 or minimum < 1:
            raise OptionError(
                f"strength must be above 0 and minimum at least 1, got strength={strength}, minimum={minimum}"
            )
        self.orders, self.buckets, self.strength, self.minimum = tuple(orders), buckets, strength, minimum
        self.classes = 0  # 0 = not fitted
        self.independent = False
        self.weight = torch.zeros(0, buckets)
        self.bias = torch.zeros(0)

    def fit(self, x: Ragged, targets: Tensor, classes: int, weights: Tensor | None = None) -> Self:
        """Learns from symbols, int64 `[steps]`, and the class of each sequence, int64 `[sequences]`.

        Labels of which a sequence may have several are bool `[sequences, classes]`. `weights` are `c`, numbers of at
        least 0 in the shape of the targets (default all 1). Deterministic; at most 100 rounds.
        Raises `ShapeError` where shapes or ranges disagree, `TrainingError` if the fit is not finite.

        >>> model = NgramModel(orders=(1,), buckets=64, minimum=1)
        >>> ids, targets = Ragged.of([[1], [2], [3]]), torch.tensor([0, 1, 2])
        >>> model.fit(ids, targets, classes=3).logits(ids).argmax(1)
        tensor([0, 1, 2])
        """
        ngrams = hashed_ngrams(x, self.orders, self.buckets)
        _check_targets(ngrams, targets, classes, weights)
        share = torch.ones(targets.shape) if weights is None else weights
        matrix, kept = self._matrix(ngrams)
        rows, bias = _fit_rows(matrix, targets.cpu().numpy(), classes, share.cpu().numpy(), self.strength)
        if not (np.isfinite(rows).all() and np.isfinite(bias).all()):
            raise TrainingError("the n-gram model became infinite; give a smaller strength or check the weights")
        self.classes, self.independent = classes, targets.dim() == 2
        self.weight = torch.zeros(len(rows), self.buckets)
        self.weight[:, torch.from_numpy(kept)] = torch.from_numpy(_on_grid(rows))
        self.bias = torch.from_numpy(bias.astype(np.float32))
        return self

    def _matrix(self, ngrams: Ragged) -> tuple[Any, _Ints]:
        """Sequences by kept n-grams, each entry 1 / sqrt(kept n-grams of the sequence); and the kept buckets."""
        grams, segments = ngrams.values.numpy(), ngrams.segments.numpy()
        kept = np.flatnonzero(np.bincount(grams, minlength=self.buckets) >= self.minimum)
        column = np.full(self.buckets, -1, np.int32)
        column[kept] = np.arange(len(kept), dtype=np.int32)
        chosen = column[grams]
        inside = chosen >= 0
        counts = np.bincount(segments[inside], minlength=len(ngrams))
        start = np.concatenate([[0], np.cumsum(counts)])
        entries = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts).astype(np.float32)
        return scipy.sparse.csr_matrix((entries, chosen[inside], start), shape=(len(ngrams), len(kept))), kept

    def logits(self, x: Ragged) -> Tensor:
        """Logits of each sequence, float32 `[sequences, classes]`; a sequence without known n-grams gets the bias."""
        self._check_fitted()
        ngrams = hashed_ngrams(x, self.orders, self.buckets)
        grams, segments = ngrams.values.numpy(), ngrams.segments.numpy()
        weights = self.weight.numpy()[:, grams]
        kept = np.bincount(segments[(weights != 0).any(0)], minlength=len(ngrams))
        totals = [np.bincount(segments, row, minlength=len(ngrams)) for row in weights]  # float64, exact
        return self._from_sums(np.stack(totals, 1), kept)

    def contributions(self, x: Ragged) -> Tensor:
        """What each step adds to the logits, float64 `[steps, classes]`; over a sequence they add up to logits - bias.

        An n-gram's weight is shared out evenly among the places where it stands, and there among its steps.

        >>> model = NgramModel(orders=(1, 2), buckets=1024, minimum=1)
        >>> ids = Ragged.of([[1, 2, 1], [3]])
        >>> model = model.fit(ids, torch.tensor([0, 1]), classes=2)
        >>> whole = model.logits(ids) - model.logits(Ragged.of([[9], [9]]))  # 9: never seen
        >>> torch.allclose(model.contributions(ids)[:3].sum(0), whole[0].double(), atol=1e-6)
        True
        """
        self._check_fitted()
        symbols, offsets = _symbols(x)
        made = np.zeros((len(symbols), len(self.weight)))
        for first, last in itertools.pairwise(offsets.tolist()):
            self._contribute(symbols[first:last], made[first:last])
        if self._halved:
            made = np.concatenate([-made / 2, made / 2], axis=1)
        return torch.from_numpy(made)

    def _contribute(self, symbols: _Ints, made: _Doubles) -> None:
        """Adds what each step of one sequence contributes to `made`."""
        places = [(n, t) for n in self.orders for t in range(len(symbols) - n + 1)]
        found = [_hash([symbols[i : len(symbols) - n + 1 + i] for i in range(n)], self.buckets) for n in self.orders
                 if len(symbols) >= n]  # fmt: skip
        if not found:
            return
        bucket = np.concatenate(found)
        weights = self.weight.numpy()[:, bucket].astype(np.float64)
        distinct, counts = np.unique(bucket, return_counts=True)
        kept = int((self.weight.numpy()[:, distinct] != 0).any(0).sum())
        shares = weights / counts[np.searchsorted(distinct, bucket)] / math.sqrt(max(1, kept))
        for (n, t), share in zip(places, shares.T, strict=True):
            made[t : t + n] += share / n

    def _from_sums(self, totals: _Doubles, kept: _Ints) -> Tensor:
        scores = totals / np.sqrt(np.maximum(kept, 1))[:, None] + self.bias.numpy()
        if self._halved:
            scores = np.concatenate([-scores / 2, scores / 2], axis=1)
        return torch.from_numpy(scores.astype(np.float32))

    @property
    def _halved(self) -> bool:
        """Whether one row stands for two classes."""
        return self.classes == 2 and not self.independent

    def _check_fitted(self) -> None:
        if not self.classes:
            raise OptionError("this NgramModel has learnt nothing yet; call fit first")

    def initial_state(self) -> dict[str, Tensor]:
        """The state of a stream before its first step."""
        return self._state((), set(), 0, np.zeros(len(self.weight)))

    def _state(self, recent: tuple[int, ...], seen: set[int], kept: int, total: _Doubles) -> dict[str, Tensor]:
        return {
            "recent": torch.tensor(recent, dtype=torch.int64),  # the last max(orders) - 1 symbols
            "seen": torch.tensor(sorted(seen), dtype=torch.int64),  # buckets met so far, kept in training or not
            "kept": torch.tensor([kept]),  # how many of them were kept in training
            "total": torch.from_numpy(total),  # sum of their weights [rows], exact
            "logits": self._from_sums(total[None], np.array([kept])),
        }

    def advance(self, values: Tensor, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state after some more symbols `[steps]`. One new n-gram an order: constant time a step.

        >>> model = NgramModel(orders=(1, 2), buckets=64, minimum=1)
        >>> model = model.fit(Ragged.of([[1, 3], [2]]), torch.tensor([0, 1]), classes=2)
        >>> state = model.advance(torch.tensor([1, 3]), model.initial_state())
        >>> torch.equal(model.read(state), model.logits(Ragged.of([[1, 3]])))
        True
        """
        recent, seen = tuple(state["recent"].tolist()), set(state["seen"].tolist())
        kept, total, weight = int(state["kept"][0]), state["total"].numpy().copy(), self.weight.numpy()
        for symbol in values.tolist():
            recent = (*recent, symbol)
            for n in (n for n in self.orders if n <= len(recent)):
                bucket = _hash(np.array(recent[len(recent) - n :], np.int64)[:, None], self.buckets).item()
                if bucket not in seen:
                    seen.add(bucket)
                    kept += int((weight[:, bucket] != 0).any())
                    total += weight[:, bucket]
            recent = recent[max(0, len(recent) - max(self.orders) + 1) :]
        return self._state(recent, seen, kept, total)

    def read(self, state: Mapping[str, Tensor]) -> Tensor:
        """The logits in a state, float32 `[1, classes]`: the bits of `logits` of all symbols so far."""
        return state["logits"]

    def config(self) -> dict[str, Any]:
        """Options and classes as JSON values; with `tensors` all that `restore` needs."""
        n_grams = {"orders": list(self.orders), "buckets": self.buckets}
        learnt = {"classes": self.classes, **({"independent": True} if self.independent else {})}
        return n_grams | {"strength": self.strength, "minimum": self.minimum, **learnt}

    def tensors(self) -> dict[str, Tensor]:
        """The learnt weights by name."""
        return {"weight": self.weight, "bias": self.bias}

    @classmethod
    def restore(cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """The model that `config` and `tensors` describe. Raises `ShapeError` where they disagree."""
        model = cls(*(config[name] for name in ("orders", "buckets", "strength", "minimum")))
        classes = int(config["classes"])
        independent = bool(config.get("independent", False))
        rows = 1 if classes == 2 and not independent else classes
        weight, bias = tensors["weight"], tensors["bias"]
        shapes = (list(weight.shape), list(bias.shape))
        if shapes != ([rows, model.buckets], [rows]):
            raise ShapeError(
                f"an n-gram model of {classes} classes needs weights of shapes {[rows, model.buckets]} and {[rows]}, "
                f"got {shapes[0]} and {shapes[1]}; the model folder was altered, save it again"
            )
        model.classes, model.independent = classes, independent
        model.weight, model.bias = weight.float().contiguous(), bias.float().contiguous()
        return model

    def fits(self, feature: Feature | Columns, width: int, classes: int) -> bool:
        """Whether the feature makes symbols, and the classes are as many."""
        return feature.symbols is not None and self.classes == classes


def _check_targets(ngrams: Ragged, targets: Tensor, classes: int, weights: Tensor | None) -> None:
    n = len(ngrams)
    if targets.dim() == 2:
        if targets.dtype != torch.bool or list(targets.shape) != [n, classes] or n == 0:
            got = f"{targets.dtype} of shape {list(targets.shape)}"
            raise ShapeError(f"labels must be bool of shape [{n}, {classes}], got {got}")
        if weights is not None and (weights.shape != targets.shape or bool((weights < 0).any())):
            raise ShapeError(f"weights must be numbers of at least 0 like the labels, got {list(weights.shape)}")
        return
    if targets.dtype != torch.int64 or list(targets.shape) != [n]:
        raise ShapeError(f"targets must be int64 of shape [{n}], got {targets.dtype} of shape {list(targets.shape)}")
    if classes < 2 or n == 0 or int(targets.min()) < 0 or int(targets.max()) >= classes:
        raise ShapeError(
            f"targets must lie from 0 to classes - 1 with at least two classes and one sequence, got classes={classes} "
            f"and {n} sequences, targets {targets.unique().tolist()[:5]}"
        )
    if weights is not None and (list(weights.shape) != [n] or bool((weights < 0).any())):
        raise ShapeError(f"weights must be {n} numbers of at least 0, got shape {list(weights.shape)}")


def _on_grid(rows: _Floats) -> _Floats:
    """`rows` rounded to multiples of 2^-24 of the power of two above the largest: their float64 sums are exact."""
    largest = float(np.abs(rows).max(initial=0.0))
    if largest == 0:
        return rows.astype(np.float32)
    grid = math.ldexp(1.0, math.frexp(largest)[1] - _GRID_BITS)
    return (np.rint(rows.astype(np.float64) / grid) * grid).astype(np.float32)


def _fit_rows(matrix: Any, targets: Any, classes: int, share: Any, strength: float) -> tuple[_Floats, _Doubles]:
    """`U` `[rows, kept]` and `b` `[rows]`: one row for two classes, else one a class."""
    share = share.astype(np.float64)
    binary = matrix.copy()
    binary.data[:] = 1
    if targets.ndim == 2:
        sides = (share * targets, share * ~targets)
        present, absent = (np.stack([binary.T @ side for side in own.T]) for own in sides)
        ratio = np.stack([_log_ratio(*pair) for pair in zip(present, absent, strict=True)]).astype(np.float32)
        return _lbfgs(matrix, partial(_sigmoid_loss, present=targets, share=share, strength=strength), ratio)
    present = np.stack([binary.T @ (share * (targets == k)) for k in range(classes)])
    whole = present.sum(0)
    rows = range(1, 2) if classes == 2 else range(classes)
    ratio = np.stack([_log_ratio(present[k], whole - present[k]) for k in rows]).astype(np.float32)
    onehot = (targets[:, None] == np.arange(classes)).astype(np.float64)
    return _lbfgs(matrix, partial(_softmax_loss, onehot=onehot, share=share, strength=strength), ratio)


def _log_ratio(inside: _Doubles, outside: _Doubles) -> _Doubles:
    if not len(inside):
        return inside
    p, q = inside + 1, outside + 1
    return np.asarray(np.log(p / p.sum()) - np.log(q / q.sum()), np.float64)


def _softmax_loss(scores: _Doubles, onehot: _Doubles, share: _Doubles, strength: float) -> tuple[float, _Doubles]:
    """`C` times the cross-entropy of one class a sequence, and its gradient."""
    halved = onehot.shape[1] == 2
    full = np.concatenate([-scores / 2, scores / 2], axis=1) if halved else scores
    logs = full - logsumexp(full, axis=1, keepdims=True)
    slope = (strength * share)[:, None] * (np.exp(logs) - onehot)
    return -strength * float(share @ (logs * onehot).sum(1)), (slope[:, 1:] - slope[:, :1]) / 2 if halved else slope


def _sigmoid_loss(
    scores: _Doubles, present: NDArray[np.bool_], share: _Doubles, strength: float
) -> tuple[float, _Doubles]:
    """`C` times the cross-entropy of independent labels, and its gradient."""
    right = np.where(present, scores, -scores)
    return -strength * float((share * log_expit(right)).sum()), strength * share * (expit(scores) - present)


def _lbfgs(
    matrix: Any, of_scores: Callable[[_Doubles], tuple[float, _Doubles]], ratio: _Floats
) -> tuple[_Floats, _Doubles]:
    """The minimum of the loss at the head of this file. The bias is not held back."""
    rows, kept = ratio.shape
    transposed = matrix.T.tocsr()

    def loss(flat: _Doubles) -> tuple[float, _Doubles]:
        v, bias = flat[:-rows].reshape(rows, kept).astype(np.float32), flat[-rows:]
        scores = np.stack([matrix @ u for u in ratio * v], axis=1) + bias  # one vector at a time: scipy's fast path
        value, slope = of_scores(scores)
        back = np.stack([transposed @ d for d in slope.T.astype(np.float32)]) * ratio + v
        return value + 0.5 * float(np.vdot(v, v)), np.concatenate([back.ravel(), slope.sum(0)])

    start = np.zeros(rows * (kept + 1))
    options = {"maxiter": 100, "maxcor": 5, "ftol": 1e-6}
    # Sums of long vectors wait for memory, not for arithmetic: more threads gain nothing, wait for each other on a busy
    # machine, and give other bits.
    with threadpool_limits(1, "blas"):
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    v = found.x[:-rows].reshape(rows, kept).astype(np.float32)
    return ratio * v, found.x[-rows:]
