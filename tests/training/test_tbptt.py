"""Truncated back-propagation: the gradient ends where a piece begins, the state goes on, everything else stays."""

from __future__ import annotations

import dataclasses
import math
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from agree import distance, same_bits
from elman.errors import DataError, OptionError, TrainingError
from elman.layers.encoder import Encoder
from elman.layers.linear import Linear
from elman.ragged import Ragged
from elman.ragged.chunks import Chunk
from elman.tasks import Classifier, Regressor
from elman.training import loop as train
from elman.training.options import TrainingOptions
from elman.training.tbptt import StepLoss
from table import CELLS

LENGTHS = [23, 8, 0, 41, 7, 16, 9, 1]
TINY = TrainingOptions(epochs=3, batch_sequences=3, batch_steps=24, learning_rate=0.01)
STILL = dataclasses.replace(TINY, epochs=1, learning_rate=1e-46)  # 0 in float32: no weight changes


class NextSymbol(nn.Module, StepLoss):
    """What a generator of texts is: symbols in, at every step a guess at the next. Keeps what it was called with."""

    def __init__(self, cell: str = "lstm", layers: int = 1, dropout: float = 0.0, lengths: list[int] = LENGTHS) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(1)
        texts = Ragged.of([torch.randint(5, (length + 1,), generator=random) for length in lengths])
        self.inputs, self.targets = (Ragged.of([text[part] for text in texts]) for part in (slice(-1), slice(1, None)))
        torch.manual_seed(0)
        self.embed, self.encoder = nn.Embedding(5, 6), Encoder(6, 6, cell, layers, dropout=dropout)
        self.head = Linear(6, 5)
        self.calls: list[tuple[Chunk, Tensor]] = []

    def initial_state(self, sequences: int) -> Any:
        return self.encoder.initial_state(sequences)

    def forward(self, piece: Chunk, state: Any) -> tuple[Tensor, Any]:
        x = piece.of(self.inputs)
        y, state = self.encoder(x.with_values(self.embed(x.values)), state)
        logits = self.head(y.values)
        self.calls.append((piece, logits.detach()))
        return nn.functional.cross_entropy(logits, piece.of(self.targets).values), state

    def train_with(self, options: TrainingOptions, **more: Any) -> train.History:
        return train.train(self, self, self.inputs.lengths, options, **more)

    def weights(self) -> tuple[Tensor, ...]:
        return tuple(p.detach().clone() for p in self.parameters())

    def whole(self, i: int, cut: int) -> tuple[Tensor, Tensor]:
        """Logits of one sequence and its summed loss, h detached after every `cut` steps. No pieces, no batches."""
        state, rows = self.encoder.initial_state(1), []
        for part in self.inputs[i].split(cut):
            y, state = self.encoder(Ragged.of([self.embed(part)]), state)
            rows.append(self.head(y.values))
            state = tuple(tuple(type(s)(*(t.detach() for t in s)) for s in layer) for layer in state)
        logits = torch.cat(rows)
        return logits, nn.functional.cross_entropy(logits, self.targets[i], reduction="sum")

    def gradient(self, cut: int) -> list[Tensor]:
        loss = torch.stack([self.whole(i, cut)[1] for i in range(len(LENGTHS)) if LENGTHS[i]]).sum()
        return list(torch.autograd.grad(loss, list(self.parameters())))


def one_epoch(model: NextSymbol, tbptt: int) -> tuple[list[Tensor], list[list[Tensor]]]:
    """The gradient of an epoch's summed loss, and the logits of each sequence, piece after piece."""
    sums = [torch.zeros_like(p) for p in model.parameters()]

    def add(total: Tensor, gradient: Tensor) -> None:
        total += gradient * model.calls[-1][0].steps

    hooks = [p.register_hook(partial(add, total)) for p, total in zip(model.parameters(), sums, strict=True)]
    model.calls.clear()
    before = model.weights()
    model.train_with(dataclasses.replace(STILL, tbptt=tbptt))
    assert same_bits(model.weights(), before)
    for hook in hooks:
        hook.remove()
    parts: list[list[Tensor]] = [[] for _ in LENGTHS]
    for piece, logits in model.calls:
        for i, part in zip(piece.sequences.tolist(), logits.split(piece.counts.tolist()), strict=True):
            parts[i].append(part)
    return sums, parts


def distances(one: list[Tensor], other: list[Tensor]) -> list[float]:
    return [distance(a, b) for a, b in zip(one, other, strict=True)]


@pytest.mark.parametrize("cell", CELLS)
def test_the_state_goes_on_and_the_gradient_does_not(cell: str) -> None:
    model = NextSymbol(cell, layers=2)
    full, whole = one_epoch(model, 0)
    short, cut = one_epoch(model, 8)
    assert [len(parts) for parts in whole if parts] == [1] * len(LENGTHS), "0 leaves sequences whole"
    assert [len(parts) for parts in cut] == [max(1, math.ceil(length / 8)) for length in LENGTHS]
    for parts, (logits,) in zip(cut, whole, strict=True):
        assert same_bits(torch.cat(parts), logits), "what comes out is that of the whole sequence"
    assert max(distances(full, model.gradient(10**6))) < 1e-5
    assert max(distances(short, model.gradient(8))) < 1e-5, "cut at multiples of 8 of each sequence and nowhere else"
    assert max(distances(short, full)) > 1e-3, "and it was cut"


@pytest.mark.parametrize("tbptt", [41, 1000])
def test_pieces_as_long_as_the_sequences_are_the_whole(tbptt: int) -> None:
    whole, cut = NextSymbol(dropout=0.3), NextSymbol(dropout=0.3)
    curves = [whole.train_with(TINY), cut.train_with(dataclasses.replace(TINY, tbptt=tbptt))]
    assert same_bits(whole.weights(), cut.weights())
    assert [r.loss for r in curves[0]] == [r.loss for r in curves[1]]


def test_a_learnt_beginning_has_its_gradient() -> None:
    class Begun(NextSymbol):
        def __init__(self) -> None:
            super().__init__("gru")
            self.begin = nn.Parameter(torch.zeros(6))

        def initial_state(self, sequences: int) -> Any:
            ((state,),) = super().initial_state(sequences)
            return ((type(state)(self.begin.expand(sequences, 6)),),)

    model = Begun()
    model.train_with(dataclasses.replace(TINY, tbptt=8))
    assert bool(model.begin.abs().min() > 0)


def test_the_seed_decides_everything() -> None:
    options = dataclasses.replace(TINY, tbptt=5, average=0.9)
    one, two, other = (NextSymbol(dropout=0.3) for _ in range(3))
    one.train_with(options)
    two.train_with(options)
    other.train_with(dataclasses.replace(options, seed=1))
    assert same_bits(one.weights(), two.weights())
    assert not same_bits(one.weights(), other.weights())


@pytest.mark.parametrize("place", [1, 12, 25])
def test_a_killed_run_resumes_to_the_same_bits(place: int, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    class Dying(NextSymbol):
        def forward(self, piece: Chunk, state: Any) -> tuple[Tensor, Any]:
            if len(self.calls) == place:
                raise Killed
            return super().forward(piece, state)

    options = dataclasses.replace(TINY, tbptt=5, verbose=False)
    whole, resumed = NextSymbol(dropout=0.3), NextSymbol(dropout=0.3)
    whole.train_with(options)
    with pytest.raises(Killed):
        Dying(dropout=0.3).train_with(options, checkpoint=tmp_path / "c")
    with pytest.raises(OptionError, match="tbptt was 5, now 6"):
        NextSymbol().train_with(dataclasses.replace(options, tbptt=6), checkpoint=tmp_path / "c", resume=True)
    resumed.train_with(options, checkpoint=tmp_path / "c", resume=True)
    assert same_bits(resumed.weights(), whole.weights())


def test_every_piece_is_clipped_and_weighs_by_its_steps() -> None:
    model = NextSymbol()
    losses: list[tuple[float, int]] = []

    class Noted(StepLoss):
        def initial_state(self, sequences: int) -> Any:
            return model.initial_state(sequences)

        def __call__(self, piece: Chunk, state: Any) -> tuple[Tensor, Any]:
            assert not any(t.requires_grad for layer in state for s in layer for t in s)
            loss, state = model(piece, state)
            losses.append((loss.item(), piece.steps))
            return loss, state

    options = dataclasses.replace(TINY, epochs=1, tbptt=5, clip=1e-3)
    (record,) = train.train(model, Noted(), model.inputs.lengths, options)
    assert record.clipped == 1.0
    assert len(losses) >= 41 / 5
    assert sum(steps for _, steps in losses) == sum(LENGTHS)
    assert record.loss == pytest.approx(sum(loss * steps for loss, steps in losses) / sum(LENGTHS))


def test_it_learns() -> None:
    model = NextSymbol("gru", lengths=[60] * 6)
    texts = [torch.tensor([0, 1, 2, 3, 4, 4, 3]).repeat(9)[i : i + 61] for i in range(3) for _ in range(2)]
    model.inputs, model.targets = Ragged.of([t[:-1] for t in texts]), Ragged.of([t[1:] for t in texts])
    history = model.train_with(
        TrainingOptions(
            epochs=10, batch_sequences=4, batch_steps=999, learning_rate=0.05, tbptt=10, decay="none", warmup=0
        )
    )
    assert history[-1].loss < 0.3 < history[0].loss


def test_a_loss_that_is_no_number_names_sequence_and_step() -> None:
    class Broken(NextSymbol):
        def forward(self, piece: Chunk, state: Any) -> tuple[Tensor, Any]:
            loss, state = super().forward(piece, state)
            at = (piece.sequences == 3) & (piece.first == 16)
            return loss * (math.nan if bool(at.any()) else 1.0), state

    with pytest.raises(TrainingError, match=r"at fault: sequence 3 from step 16 on\. Largest gradient of the others: "):
        Broken().train_with(dataclasses.replace(TINY, tbptt=8))


def test_what_has_one_loss_for_a_sequence_is_refused() -> None:
    model = nn.Linear(1, 1)
    with pytest.raises(OptionError, match=r"tbptt = 8 cuts sequences .* needs a loss at every step \(a StepLoss\)"):
        train.train(model, lambda i: model.weight.sum(), torch.ones(3, dtype=torch.int64), TrainingOptions(tbptt=8))
    (problem,) = Classifier(tbptt=8).problems()
    assert str(problem).startswith("tbptt = 8 must be 0: Classifier has one loss for a whole sequence")


def test_a_task_that_reads_backwards_cannot_carry() -> None:
    assert Regressor(every_step=True, tbptt=8).problems() == []
    backwards = Regressor(every_step=True, tbptt=8, bidirectional=True)
    assert [str(problem) for problem in backwards.problems()] == [
        "tbptt = 8 needs bidirectional = False: no state is carried backwards"
    ]


def test_empty_sequences_teach_nothing() -> None:
    with pytest.raises(DataError, match="every sequence is empty"):
        NextSymbol(lengths=[0, 0]).train_with(TINY)
    history = NextSymbol(lengths=[0, 3, 0, 0, 0, 4]).train_with(dataclasses.replace(TINY, batch_sequences=1, tbptt=2))
    assert all(math.isfinite(record.loss) for record in history)
    assert all(a.loss != b.loss for a, b in pairwise(history))
