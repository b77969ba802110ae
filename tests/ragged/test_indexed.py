"""Steps that share rows: the same sequences, the same bits from every layer, and the gradient of every row."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from agree import distance, same_bits
from elman.errors import ShapeError
from elman.layers import embedding
from elman.layers.embedding import Embedding
from elman.layers.encoder import Encoder, precisions
from elman.ops import functional as ops
from elman.ragged import Ragged
from elman.ragged.indexed import Indexed
from elman.tasks import Classifier
from table import CELLS

NARROW = pytest.mark.skipif(not ops.info()["bfloat16"], reason="NOT TESTED: this processor has no bfloat16 products")
OFF = 2**62


def ids(lengths: list[int], symbols: int = 40) -> Ragged:
    return Ragged.of([torch.randint(symbols, (length,)) for length in lengths], dtype=torch.int64)


def test_it_is_the_ragged_it_stands_for() -> None:
    rows, index = torch.randn(5, 3), ids([4, 0, 7, 1], 5)
    x, plain = Indexed(rows, index), index.with_values(rows[index.values])
    assert (x.steps, x.width, len(x), repr(x)) == (12, 3, 4, repr(plain))
    assert same_bits(x.values, plain.values)
    for part in (slice(1, 3), [2, 0], plain.lengths > 1, slice(None, None, -1)):
        assert same_bits(x[part], plain[part])
    assert all(same_bits(a, b) for a, b in zip(x, plain, strict=True))
    assert same_bits(x.segments, plain.segments)
    assert same_bits(Ragged.cat([x, plain]), Ragged.cat([plain, plain]))
    assert same_bits(x.to(torch.float64), plain.to(torch.float64))
    again = pickle.loads(pickle.dumps(x))
    assert isinstance(again, Indexed)
    assert same_bits(again.values, plain.values)
    with pytest.raises(ShapeError, match="with_values expects one value for each of the 12 steps"):
        x.with_values(rows)
    with pytest.raises(ShapeError, match=r"rows \[distinct, width\] and one row number a step, got shapes \[5\]"):
        Indexed(rows[:, 0], index)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=NARROW)])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_layers_give_the_same_bits(
    name: str, checkpointing: bool, precision: str, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if precision not in precisions(name):
        pytest.skip("not made for this cell")
    read = Embedding(40, 6, dropout=0.4).train(training)
    encoder = Encoder(6, 20, name, bidirectional=True, checkpointing=checkpointing, precision=precision)
    x, found, kinds = ids([150, 0, 31, 1, 80]), [], []
    for least in (1, OFF):
        monkeypatch.setattr(embedding, "SHARED", least)
        torch.manual_seed(1)  # the same symbols drop
        e = read(x)
        y, state = encoder(e)
        leaves = [read.weight, *encoder.parameters()]
        found.append((y.values, state, torch.autograd.grad(y.values.square().sum(), leaves)))
        kinds.append(type(e))
    assert kinds == [Indexed, Ragged]
    (y, state, gradients), (y_plain, state_plain, plain) = found
    assert same_bits(y, y_plain)
    assert same_bits(state, state_plain)
    near = 3e-6 if precision == "float32" else 0.03
    assert all(distance(a, b) < near for a, b in zip(gradients, plain, strict=True))


def test_dropped_symbols_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "SHARED", 1)
    read = Embedding(9, 4, dropout=0.5)
    torch.nn.init.normal_(read.weight)
    x = ids([60, 60], 9)
    y: Tensor = read(x).values.detach()
    dropped = (y == 0).all(1)
    assert 0.2 < float(dropped.float().mean()) < 0.8
    assert same_bits(y[~dropped], (read.weight[x.values] * (1 / 0.5)).detach()[~dropped])


@pytest.mark.parametrize(
    ("lengths", "symbols", "kind"),
    [
        ([2000], 40, Indexed),
        ([1023], 40, Ragged),
        ([500, 524], 40, Indexed),
        ([1024], 100_000, Ragged),
        ([], 3, Ragged),
    ],
)
def test_only_where_symbols_come_again(lengths: list[int], symbols: int, kind: type) -> None:
    assert type(Embedding(symbols, 2)(ids(lengths, symbols))) is kind


@pytest.mark.parametrize("wrong", [-1, 40])
def test_what_is_no_symbol_is_refused(wrong: int) -> None:
    with pytest.raises((IndexError, RuntimeError), match="out of"):
        Embedding(40, 2)(Ragged.of([[1, wrong] * 1000]))


def test_a_classifier_answers_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(["a", "b", "c", "d", "e"], 60)) for _ in range(60)]
    labels = [text.count("a") > text.count("b") for text in texts]
    options: dict[str, Any] = {"hidden": 8, "epochs": 2, "ngrams": 0, "verbose": False}
    clf = Classifier(**options).fit(texts, labels)
    answers = clf.predict_proba(texts)
    monkeypatch.setattr(embedding, "SHARED", OFF)
    assert np.array_equal(clf.predict_proba(texts), answers)
    other = Classifier(**options).fit(texts, labels).predict_proba(texts)
    assert np.allclose(other, answers, atol=1e-4), "sums of gradients in another order, and nothing else"
