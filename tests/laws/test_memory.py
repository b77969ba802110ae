"""What training keeps: a sequence of 40,000 steps has the same gradient in a small part of the memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from agree import distance, same_bits
from elman.cells import LSTM
from elman.errors import OptionError
from elman.layers.encoder import Encoder
from elman.ops import functional as ops
from elman.ragged import Ragged
from elman.tasks import Classifier
from table import CELLS, ragged

STEPS, HIDDEN = 40_000, 4


def most(run: Callable[[], object]) -> int:
    """The bytes that tensors held at most while it ran, beyond those of before, whatever the allocator does."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        run()
    assert found.profiler is not None
    events = [event for event in found.profiler.kineto_results.events() if event.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    assert sizes
    return max(accumulate(sizes))


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_a_long_sequence_trains_in_bounded_memory(name: str) -> None:
    grown, gradients = {}, {}
    x = Ragged.of([torch.randn(STEPS, 2)])
    for checkpointing in (False, True):
        torch.manual_seed(0)
        encoder = Encoder(2, HIDDEN, name, checkpointing=checkpointing)
        grown[checkpointing] = most(lambda encoder=encoder: encoder(x)[0].values.sum().backward())  # type: ignore[misc]
        gradients[checkpointing] = [parameter.grad for parameter in encoder.parameters()]
    for saved, again in zip(gradients[False], gradients[True], strict=True):
        assert distance(again, saved) < 1e-5  # sums of 40,000 terms in another order
    y = STEPS * HIDDEN * 4
    assert grown[False] > (5.5 if name == "lstm" else 4.5) * y, "y, four gates, the cell state"
    assert grown[True] < 2 * y, "y, and the gates of one piece"


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_gives_the_same_gradient(name: str, bidirectional: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "PIECE", 32)  # three pieces of the longest sequence
    x, found = ragged([70, 0, 33, 1], 3), []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        encoder = Encoder(3, [6, 5], name, bidirectional=bidirectional, dropout=0.5, checkpointing=checkpointing)
        values = x.values.clone().requires_grad_()
        y, state = encoder(x.with_values(values))
        y.values.square().sum().backward()
        found.append((y, state, [values.grad, *(p.grad for p in encoder.parameters())]))
    (y, state, saved), (y_again, state_again, again) = found
    assert same_bits(y_again, y)
    assert same_bits(state_again, state)
    assert all(distance(a, b) < 3e-6 for a, b in zip(again, saved, strict=True))


def test_a_task_hands_it_to_every_cell() -> None:
    options: dict[str, Any] = {"hidden": 4, "layers": 2, "epochs": 1, "ngrams": 0, "verbose": False}
    x = [torch.randn(5).tolist() for _ in range(8)]
    made = [Classifier(checkpointing=checkpointing, **options).fit(x, [0, 1] * 4) for checkpointing in (False, True)]
    for checkpointing, task in zip((False, True), made, strict=True):
        assert {cell.checkpointing for layer in task.network_.encoder.layers for cell in layer} == {checkpointing}  # type: ignore[union-attr]
    assert distance(*(task.decision_function(x) for task in made)) < 1e-5


def test_another_word_is_refused() -> None:
    with pytest.raises(OptionError, match="checkpointing must be True or False, got 'forget'"):
        LSTM(3, 4, checkpointing="forget")
    problems = Classifier(checkpointing="recomputed").problems()
    assert list(map(str, problems)) == ["checkpointing = 'recomputed' must be True or False"]


def test_inference_keeps_nothing() -> None:
    x = Ragged.of([torch.randn(40, 3)])
    cells = [LSTM(3, 4, checkpointing=checkpointing) for checkpointing in (False, True)]
    cells[1].load_state_dict(cells[0].state_dict())
    with torch.no_grad():
        assert same_bits(*(cell(x) for cell in cells))
