"""Layers in bfloat16 by option: near float32, the same in any batch and in a stream, float32 where it is not made."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import elman
from agree import distance, same_bits
from elman.errors import OptionError
from elman.layers.encoder import Encoder, precisions
from elman.ops import functional as ops
from elman.ragged import Ragged
from elman.tasks import Classifier
from table import CELLS, TWINS, ragged

NARROW = pytest.mark.skipif(not ops.info()["bfloat16"], reason="NOT TESTED: this processor has no bfloat16 products")
LENGTHS = [5, 0, 40, 1, 17]
TINY: dict[str, Any] = {"hidden": 16, "embed": 8, "epochs": 2, "verbose": False, "batch_sequences": 16}


def twins(name: str, **options: Any) -> tuple[Encoder, Encoder]:
    """The same weights in both precisions."""
    made = Encoder(6, 32, name, **options), Encoder(6, 32, name, precision="bfloat16", **options)
    made[1].load_state_dict(made[0].state_dict())
    return made


@NARROW
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("name", TWINS)
def test_results_and_gradients_are_near(name: str, checkpointing: bool) -> None:
    x, found = ragged(LENGTHS, 6), []
    for encoder in twins(name, layers=2, bidirectional=True, checkpointing=checkpointing):
        values = x.values.clone().requires_grad_()
        y, state = encoder(x.with_values(values))
        y.values.square().sum().backward()
        leaves = [values, *encoder.parameters()]
        assert {y.values.dtype, state[0][0].hidden.dtype, *(t.dtype for t in leaves)} == {torch.float32}
        found.append((y.values, torch.cat([t.grad.flatten() for t in leaves if t.grad is not None])))
    (y, gradient), (narrow, narrow_gradient) = found
    assert 1e-5 < distance(narrow, y) < 0.03, "eight bits of precision: near, and not the same"
    assert distance(narrow_gradient, gradient) < 0.1


@NARROW
@pytest.mark.parametrize("name", TWINS)
@torch.no_grad()
def test_steps_equal_forward_and_a_state_goes_on(name: str) -> None:
    encoder, x = twins(name, layers=2)[1], ragged([6, 6, 6], 6)
    whole, last = encoder(x)
    state, steps = encoder.initial_state(3), x.values.reshape(3, 6, 6)
    for t in range(6):
        y, state = encoder.step(steps[:, t], state)
        assert same_bits(y, whole.values.reshape(3, 6, 32)[:, t])
    assert same_bits(state, last)
    first, between = encoder(Ragged.of(list(steps[:, :4])))
    second, after = encoder(Ragged.of(list(steps[:, 4:])), between)
    assert same_bits(after, last)
    assert all(same_bits(torch.cat([a, b]), c) for a, b, c in zip(first, second, whole, strict=True))


@NARROW
def test_a_task_learns_and_answers_in_it(tmp_path: Path) -> None:
    texts = [f"{'good' if i % 2 else 'bad'} film number {i}" for i in range(80)]
    labels = [i % 2 for i in range(80)]
    clf = Classifier(precision="bfloat16", ngrams=0, learning_rate=0.02, **TINY).fit(texts, labels)
    assert {p.dtype for p in clf.network_.parameters()} == {torch.float32}
    assert clf.score(texts, labels) > 0.9
    answers = clf.predict_proba(texts)
    assert np.array_equal(clf.predict_proba(texts[3:4])[0], answers[3])
    session = clf.stream()
    for word in texts[3].split():
        answer = session.feed(word)
    assert list(answer.probabilities.values()) == answers[3].tolist()
    clf.save(tmp_path / "m")
    assert np.array_equal(elman.load(tmp_path / "m").predict_proba(texts), answers)
    other = Classifier(ngrams=0, learning_rate=0.02, **TINY).fit(texts, labels)
    assert not np.array_equal(other.predict_proba(texts), answers)


def test_without_such_products_it_is_float32_and_says_so_once() -> None:
    ops._warn_of_float32.cache_clear()
    texts, labels = ["a b", "b c", "c d", "d a"] * 3, [0, 1, 0, 1] * 3
    ops.choose_set("generic")
    try:
        with pytest.warns(UserWarning, match="in use is generic. The recurrent layers run in float32"):
            clf = Classifier(precision="bfloat16", **TINY).fit(texts, labels)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            answers = clf.predict_proba(texts)
        assert np.array_equal(Classifier(**TINY).fit(texts, labels).predict_proba(texts), answers)
    finally:
        ops.choose_set()


@pytest.mark.parametrize("name", CELLS)
def test_cells_that_have_it(name: str) -> None:
    assert ("bfloat16" in precisions(name)) == (name in TWINS)
    if name not in TWINS:
        with pytest.raises(OptionError, match=f"precision = 'bfloat16' is not made for cell = '{name}'"):
            Encoder(3, 4, name, precision="bfloat16")
        assert [str(problem) for problem in Classifier(cell=name, precision="bfloat16").problems()] == [
            f"precision = 'bfloat16' is not made for cell = '{name}'"
        ]


def test_other_words_are_refused() -> None:
    with pytest.raises(OptionError, match="precision must be one of float32, bfloat16, got 'float16'"):
        Encoder(3, 4, precision="float16")
    assert [str(problem) for problem in Classifier(precision="bf16").problems()] == [
        "precision = 'bf16' must be one of float32, bfloat16 (did you mean 'bfloat16'?)"
    ]
    with pytest.raises(OptionError, match="runs on the CPU only, got values on meta"):
        Encoder(3, 4, precision="bfloat16")(Ragged(torch.empty(2, 3, device="meta"), torch.tensor([0, 2])))
