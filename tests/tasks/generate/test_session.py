"""A language model's session: restored at any step it goes on with the bits of the unbroken one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from elman.tasks import Generator

POEMS = ["春眠不覺曉，處處聞啼鳥。", "夜來風雨聲，花落知多少。", "牀前明月光，疑是地上霜。"] * 4


@pytest.fixture(scope="module", params=[{}, {"ngrams": 0}], ids=["with n-grams", "without"])
def model(request: pytest.FixtureRequest) -> Generator:
    options: dict[str, Any] = {"hidden": 8, "embed": 6, "epochs": 1, "verbose": False, **request.param}
    return Generator(**options).fit(POEMS)


@pytest.mark.parametrize("steps", [0, 1, 3, 10, 30])
def test_a_state_is_restored_at_any_step(model: Generator, steps: int) -> None:
    assert (model.mixture_ is None) == (model.ngrams == 0)
    text = "".join(POEMS)
    unbroken, other = model.stream(), model.stream()
    unbroken.feed(text[:steps])
    other.state = unbroken.state
    assert other.answer == unbroken.answer
    for symbol in text[steps : steps + 12]:
        assert other.feed(symbol) == unbroken.feed(symbol)
    assert all(torch.equal(one, unbroken.state[name]) for name, one in other.state.items())


def test_what_is_remembered_is_as_long_as_the_ngrams(model: Generator) -> None:
    session = model.stream()
    lengths = [len(session.state["recent"])]
    for symbol in POEMS[0]:
        session.feed(symbol)
        lengths.append(len(session.state["recent"]))
    most = model.mixture_.ngrams.order - 1 if model.mixture_ else 0
    assert lengths == [min(step, most) for step in range(len(lengths))]
