"""The n-gram model: n-grams by hand, against scikit-learn, and the law: alone = batch = stream, bit for bit."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from elman.errors import OptionError, ShapeError
from elman.ragged import Ragged
from elman.tasks.classify import ngram_model as module
from elman.tasks.classify.ngram_model import NgramModel, bucket_count, hashed_ngrams

BUCKETS = 2**14


def random_ids(sequences: int, symbols: int = 30, longest: int = 20, seed: int = 0) -> Ragged:
    rng = np.random.default_rng(seed)
    return Ragged.of([rng.integers(0, symbols, rng.integers(0, longest)) for _ in range(sequences)], dtype=torch.int64)


def fitted(classes: int, sequences: int = 60) -> tuple[NgramModel, Ragged]:
    ids = random_ids(sequences)
    targets = torch.from_numpy(np.random.default_rng(1).integers(0, classes, sequences))
    model = NgramModel(buckets=BUCKETS)
    return model.fit(ids, targets, classes), ids


@pytest.mark.parametrize(
    ("sequence", "orders", "distinct"),
    [
        ([], (1, 2, 3), 0),
        ([7], (1, 2, 3), 1),
        ([7, 7, 7], (1,), 1),
        ([7, 7, 7], (1, 2, 3), 3),
        ([1, 2, 1, 2], (2,), 2),
        ([1, 2, 3], (4,), 0),
        ([0, 0], (1, 2), 2),  # the unknown symbol is a symbol; order 1 and order 2 never share a code
    ],
)
def test_count_by_hand(sequence: list[int], orders: tuple[int, ...], distinct: int) -> None:
    ids = Ragged(torch.tensor(sequence, dtype=torch.int64), torch.tensor([0, len(sequence)]))
    assert hashed_ngrams(ids, orders, 2**30).steps == distinct


def test_windows_do_not_cross_sequences() -> None:
    together = hashed_ngrams(Ragged.of([[1, 2], [3, 4]]), (2,), 2**30)
    assert together.lengths.tolist() == [1, 1]
    assert not set(together.values.tolist()) & set(hashed_ngrams(Ragged.of([[2, 3]]), (2,), 2**30).values.tolist())


def test_ascending_distinct_and_alone_equals_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = random_ids(50)
    whole = hashed_ngrams(ids, buckets=256)
    monkeypatch.setattr(module, "_BLOCK", 60)  # many small blocks
    cut = hashed_ngrams(ids, buckets=256)
    assert torch.equal(whole.values, cut.values)
    assert torch.equal(whole.offsets, cut.offsets)
    for i, grams in enumerate(whole):
        assert grams.tolist() == sorted(set(grams.tolist()))
        assert torch.equal(grams, hashed_ngrams(ids[[i]], buckets=256).values)


def test_no_sequences() -> None:
    empty = Ragged(torch.zeros(0, dtype=torch.int64), torch.tensor([0]))
    assert len(hashed_ngrams(empty)) == 0
    assert fitted(2)[0].logits(empty).shape == (0, 2)


def test_hash_is_fixed_for_ever() -> None:
    assert hashed_ngrams(Ragged.of([[1, 2]]), (1, 2), 2**20).values.tolist() == [392654, 979595, 1019766]


@pytest.mark.parametrize("classes", [2, 3])
@given(order=st.permutations(range(60)))
def test_logits_do_not_depend_on_company(classes: int, order: list[int]) -> None:
    model, ids = MODELS[classes]
    assert torch.equal(model.logits(ids)[order], model.logits(ids[order]))


MODELS = {classes: fitted(classes) for classes in (2, 3)}


@pytest.mark.parametrize("classes", [2, 3])
def test_stream_equals_prefix_bit_for_bit(classes: int) -> None:
    model, _ = MODELS[classes]
    ids = random_ids(10, seed=5)
    for sequence in ids:
        state = model.initial_state()
        for t in range(len(sequence)):
            before, state = state, model.advance(sequence[t : t + 1], state)
            assert torch.equal(model.read(state), model.logits(Ragged.of([sequence[: t + 1]])))
            again = model.advance(sequence[t : t + 1], before)  # which is as it was
            assert all(torch.equal(again[name], value) for name, value in state.items())


def test_alone_equals_batch() -> None:
    model, ids = MODELS[3]
    whole = model.logits(ids)
    for i in range(len(ids)):
        assert torch.equal(whole[i : i + 1], model.logits(ids[[i]]))


def test_learns_what_scikit_learn_learns() -> None:
    ids, targets = random_ids(200, symbols=12), torch.from_numpy(np.random.default_rng(2).integers(0, 2, 200))
    model = NgramModel(orders=(1,), buckets=2**16, strength=3.0, minimum=1)
    grams = hashed_ngrams(ids, (1,), 2**16)
    model.fit(ids, targets, 2)
    X = np.zeros((200, 2**16), np.float32)
    X[grams.segments.numpy(), grams.values.numpy()] = 1
    p, q = 1 + X[targets == 1].sum(0), 1 + X[targets == 0].sum(0)
    kept = X.sum(0) > 0
    ratio = np.log(p / p[kept].sum()) - np.log(q / q[kept].sum())
    X = X * ratio / np.sqrt(np.maximum(X.sum(1, keepdims=True), 1))
    baseline = LogisticRegression(C=3.0, tol=1e-8, max_iter=1000).fit(X[:, kept], targets)
    logits = model.logits(ids)
    np.testing.assert_allclose(
        (logits[:, 1] - logits[:, 0]).numpy(), baseline.decision_function(X[:, kept]), atol=2e-2
    )  # two different stopping rules


def test_weights_of_sequences() -> None:
    ids, targets = Ragged.of([[1], [1], [2]]), torch.tensor([0, 1, 1])
    model = NgramModel(orders=(1,), buckets=BUCKETS, minimum=1)
    twice = model.fit(ids[[0, 1, 1, 2]], targets[[0, 1, 1, 2]], 2).logits(ids)
    weighted = model.fit(ids, targets, 2, torch.tensor([1.0, 2.0, 1.0])).logits(ids)
    torch.testing.assert_close(twice, weighted, atol=1e-2, rtol=0)


def test_fit_is_repeatable_and_restores() -> None:
    model, ids = fitted(3)
    again, _ = fitted(3)
    assert torch.equal(model.weight, again.weight)
    restored = NgramModel.restore(model.config(), model.tensors())
    assert torch.equal(model.logits(ids), restored.logits(ids))
    with pytest.raises(ShapeError, match="altered"):
        NgramModel.restore(model.config(), {"weight": torch.zeros(2, 3), "bias": torch.zeros(3)})


def test_unseen_class_and_empty_sequences_only() -> None:
    model = NgramModel(buckets=BUCKETS)
    nothing = Ragged(torch.zeros(0, dtype=torch.int64), torch.tensor([0, 0, 0]))
    logits = model.fit(nothing, torch.tensor([0, 1]), 3).logits(nothing)
    assert torch.isfinite(logits).all()


def test_bucket_count_grows_within_bounds() -> None:
    counts = [bucket_count(n) for n in (0, 10**4, 10**5, 10**9)]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (2**14, 2**22)


def test_refusals() -> None:
    ids = Ragged.of([[1, 2]])
    with pytest.raises(OptionError, match=r"buckets = 1000 must be a power of two"):
        hashed_ngrams(ids, buckets=1000)
    with pytest.raises(OptionError, match="orders"):
        hashed_ngrams(ids, orders=())
    with pytest.raises(OptionError, match="strength"):
        NgramModel(strength=0)
    with pytest.raises(ShapeError, match="int64"):
        hashed_ngrams(Ragged.of([[1.0, 2.0]]))
    with pytest.raises(OptionError, match="fit first"):
        NgramModel(buckets=64).logits(ids)
    model = NgramModel(buckets=64)
    with pytest.raises(ShapeError, match="targets"):
        model.fit(ids, torch.tensor([5]), 2)
    with pytest.raises(ShapeError, match="weights"):
        model.fit(ids, torch.tensor([1]), 2, torch.tensor([1.0, 2.0]))
