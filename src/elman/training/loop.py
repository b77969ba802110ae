"""The training loop: batches by number of steps, AdamW, warm-up and decay, clipping, early stopping, checkpoints.

With p the share of the planned training that is done, from 0 to 1, w = warmup and the learning rate r = learning_rate:

    rate(p) = r p / w                                  while p < w
    rate(p) = r (1 + cos(pi (p - w) / (1 - w))) / 2    decay = "cosine" (Loshchilov & Hutter 2017)
    rate(p) = r (1 - p) / (1 - w)                      decay = "linear"
    rate(p) = r                                        decay = "none"

    g <- g min(1, clip / |g|)                          |g| over all parameters (Pascanu, Mikolov & Bengio 2013)
    a <- d a + (1 - d) parameters                      d = min(average, (1 + t) / (10 + t)) after batch t

The parameters then take a step of AdamW (Loshchilov & Hutter 2019). Weight decay pulls on every parameter of two or
more dimensions, embeddings included, and leaves those of one (biases, scales) alone.

With tbptt = k a model with a loss at every step (`StepLoss`) learns from k steps of a sequence at a time (Williams &
Peng 1990; the state is carried on, the gradient is not):

    h_t is a constant to the gradient of the steps after t    where t = k, 2k, 3k ... of its own sequence
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from elman.errors import DataError, OptionError, Place, ShapeError, TrainingError
from elman.ops.state import State, detached, goes_on, taken
from elman.ragged.chunks import Chunk
from elman.training.batching import checked_lengths, pieces
from elman.training.checkpoint import Checkpoint, copied, cuda_devices, fill, restore
from elman.training.device import computing_on
from elman.training.history import Epoch, History
from elman.training.options import TrainingOptions, learning_rate_at, planned
from elman.training.progress import Silence, note, progress
from elman.training.tbptt import StepLoss

__all__ = ["Epoch", "History", "StepLoss", "TrainingOptions", "train"]


def train(
    model: nn.Module,
    loss: Callable[[Tensor], Tensor] | StepLoss,
    lengths: Tensor,
    options: TrainingOptions,
    *,
    validate: Callable[[], Mapping[str, float]] | None = None,
    metric: str = "accuracy",
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    name: Callable[[int], Place | str] | None = None,
    schedule: Callable[[float], None] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> History:
    """Fit the parameters of `model` and return the learning curve. The model ends in `eval` mode.

    `loss(indices)` gives the mean loss, a scalar with gradient, over the sequences with these indices (int64, on the
    CPU); `lengths` `[sequences]` holds their steps. A `StepLoss` gives it over the steps of a piece, which is what
    `tbptt` needs; there the history has the mean over steps.

    `validate()`, called after every epoch in `eval` mode and without gradient, gives metrics by name; the weights of
    the epoch with the best `metric` are put back at the end (higher is better, unless metrics.lower_is_better; a lower
    "loss" decides between equals). Without it the last weights stay.

    `checkpoint` is a folder, rewritten after every epoch; with `resume` a run that died goes on from it to the same
    final weights, bit for bit, as if it had not. `name(index)` says in messages which sequence an index is.

    `schedule(share)` is called before each batch with the share of the planned training, 0 to 1, that is done once the
    batch is learnt. A loss that changes while training goes on takes it from there and counts nothing itself: what a
    loss counts is in no checkpoint. `settings`: options of the model, which must be the same when a run goes on.

    Ctrl-C ends training early: the best weights so far are kept and `interrupted` is set in the history. Before the
    first epoch is finished it is raised as KeyboardInterrupt, so that a second one ends a loop over fits too. The
    caller's random numbers are not touched. Two runs at once in threads of one process share torch's random numbers:
    for repeatable results use processes.

    Raises TrainingError where the loss or its gradient becomes NaN or infinite (the best weights so far are put back),
    OptionError for options that cannot be or that differ from the checkpoint's, DataError without sequences.

    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> line = nn.Linear(1, 1)
    >>> loss = lambda indices: (line(x[indices]) - 3 * x[indices]).square().mean()
    >>> options = TrainingOptions(epochs=100, learning_rate=0.1)
    >>> history = train(line, loss, torch.ones(64, dtype=torch.int64), options)
    >>> len(history), round(line.weight.item(), 1)
    (100, 3.0)
    """
    lengths, options = _checked(loss, lengths, options)
    if resume and checkpoint is None:
        raise OptionError("resume = True needs the checkpoint folder of the run to continue; give checkpoint=...")
    with computing_on(model, options.device), _own_random_numbers(model, options.seed), torch.enable_grad():
        run = _Run(model, loss, lengths, options, validate, metric, name, schedule, settings)
        if checkpoint is not None:
            run.checkpoint = Checkpoint(Path(checkpoint), run)
            run.checkpoint.begin(resume)
        run.all_epochs()
    return run.history


def _checked(loss: object, lengths: Tensor, options: TrainingOptions) -> tuple[Tensor, TrainingOptions]:
    """The lengths as int64 and the options with a value for each None. Raises where they cannot be."""
    if problems := options.problems():
        raise OptionError.of(problems)
    lengths = checked_lengths(lengths)
    if not len(lengths):
        raise DataError("there are no sequences to learn from. Give at least one.")
    if isinstance(loss, StepLoss):
        if not int(lengths.sum()):
            raise DataError("there are no steps to learn from: every sequence is empty. Give at least one step.")
    elif options.tbptt:
        raise OptionError(
            f"tbptt = {options.tbptt} cuts sequences into pieces, which needs a loss at every step (a StepLoss), but "
            "this model has one loss for a whole sequence, whose gradient would reach its end only. Set tbptt = 0; "
            "checkpointing = True bounds the memory that long sequences take."
        )
    return lengths, planned(options, len(lengths), int(lengths.sum()))


@contextmanager
def _own_random_numbers(model: nn.Module, seed: int | None) -> Iterator[None]:
    """Seed torch's global generators, which dropout draws from, and give the caller's state back afterwards."""
    cuda = sorted(cuda_devices(model))
    with torch.random.fork_rng(devices=cuda):
        if seed is None:
            torch.default_generator.seed()
        else:
            torch.default_generator.manual_seed(int(seed))
        for device in cuda:
            torch.cuda.default_generators[device].manual_seed(torch.default_generator.initial_seed())
        yield


class _Run:
    """One training: what changes while it goes on, and where it is written."""

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Tensor], Tensor] | StepLoss,
        lengths: Tensor,
        options: TrainingOptions,
        validate: Callable[[], Mapping[str, float]] | None,
        metric: str,
        name: Callable[[int], Place | str] | None,
        schedule: Callable[[float], None] | None,
        settings: Mapping[str, Any] | None,
    ) -> None:
        self.model, self.loss, self.lengths, self.options = model, loss, lengths, options
        self.settings = dict(settings or {})
        self.validate, self.schedule = validate, schedule
        self.name = name or (lambda index: Place(sequence=index))
        self.validated = validate is not None
        assert options.epochs is not None  # `planned` chose it
        self.epochs = options.epochs
        self.parameters = {key: p for key, p in model.named_parameters() if p.requires_grad}
        if not self.parameters:
            raise OptionError(
                "the model has no parameters that need a gradient. Set requires_grad, or do not train it."
            )
        self.optimizer = _optimizer(list(self.parameters.values()), options)
        # Apart from torch's own generator, so that the order of sequences does not depend on the model's dropout.
        self.order = torch.Generator()
        self.order.manual_seed(int(options.seed)) if options.seed is not None else self.order.seed()
        self.averages = [p.detach().clone() for p in self.parameters.values()] if options.average else []
        self.updates = 0
        self.history = History(metric if validate else "loss")
        self.best = copied(model)
        self.checkpoint: Checkpoint | None = None

    # ---- the loop

    def all_epochs(self) -> None:
        history, last = self.history, self.epochs
        with progress(last, int(self.lengths.sum()), self.options.verbose) as show:
            try:
                while len(history) < last and not self._out_of_patience():
                    self._one_epoch(show)
                    show.epoch(history)
                    if self.checkpoint is not None:
                        self.checkpoint.write()
                history.stopped = "finished" if len(history) >= last else "patience"
                self._put_back()
            except KeyboardInterrupt:
                history.stopped = "interrupted"
                self._put_back()
                self.model.eval()
                if not len(history):
                    raise
        if history.interrupted:
            note(self._farewell())
        self.model.eval()

    def _one_epoch(self, show: Silence) -> None:
        begin, number = time.perf_counter(), len(self.history) + 1
        options, by_step = self.options, isinstance(self.loss, StepLoss)
        assert options.batch_steps is not None
        cut = pieces(self.lengths, options.batch_steps, options.tbptt, self.order, options.batch_sequences)
        cut = [piece for piece in cut if piece.steps or not by_step]
        count = int(self.lengths.sum()) if by_step else len(self.lengths)
        self.model.train()
        total = norms = clipped = done = steps = 0.0
        state = None
        for place, piece in enumerate(cut):
            size = piece.steps if by_step else len(piece.sequences)
            share = (done + size / 2) / count  # the middle of the batch: neither end of the curve has rate 0
            rate = learning_rate_at(options, (number - 1 + share) / self.epochs)
            if self.schedule is not None:
                self.schedule(((number - 1) * count + done + size) / (self.epochs * count))
            where = f"epoch {number}, batch {place + 1} of {len(cut)}"
            value, norm, state = self._one_batch(piece, self._carried(piece, state), rate, where)
            total, norms, done = total + value * size, norms + norm, done + size
            clipped += bool(options.clip) and norm > options.clip
            steps += piece.steps
            show.batch(number, total / done, steps)
        learnt = time.perf_counter() - begin
        metrics = self._assess()
        record = Epoch(
            epoch=number,
            loss=total / count,
            validation=metrics,
            seconds=time.perf_counter() - begin,
            steps_per_second=steps / learnt,
            learning_rate=rate,
            gradient_norm=norms / len(cut),
            clipped=clipped / len(cut),
        )
        self._keep(record)

    def _carried(self, piece: Chunk, last: State) -> State:
        """The state before a piece: that after the piece before where a sequence goes on, else a fresh one."""
        if not isinstance(self.loss, StepLoss):
            return None
        fresh = self.loss.initial_state(len(piece.sequences))
        return fresh if last is None or bool((piece.before < 0).all()) else goes_on(fresh, last, piece.before)

    def _loss_of(self, piece: Chunk, state: State) -> tuple[Tensor, State]:
        if isinstance(self.loss, StepLoss):
            return self.loss(piece, state)
        return self.loss(piece.sequences), None

    def _one_batch(self, piece: Chunk, state: State, rate: float, where: str) -> tuple[float, float, State]:
        """Learn from one batch; the loss, the gradient's norm before clipping and the state to go on with."""
        self.optimizer.zero_grad(set_to_none=True)
        loss, after = self._loss_of(piece, state)
        _check_loss(loss)
        loss.backward()
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        total_norm = nn.utils.get_total_norm(gradients)
        value, norm = loss.item(), total_norm.item()  # on a GPU the only wait of the batch, after all work is queued
        if not (math.isfinite(value) and math.isfinite(norm)):
            self._refuse(piece, state, value, where)
        if 0 < self.options.clip < norm:
            nn.utils.clip_grads_with_norm_(self.parameters.values(), self.options.clip, total_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        if self.averages:
            self.updates += 1
            decay = min(self.options.average, (1 + self.updates) / (10 + self.updates))
            with torch.no_grad():
                for device in dict.fromkeys(p.device for p in self.averages):  # it takes tensors of one at a time
                    averages = [p for p in self.averages if p.device == device]
                    parameters = [p for p in self.parameters.values() if p.device == device]
                    get_ema_multi_avg_fn(decay)(averages, parameters, self.updates)
        return value, norm, detached(after)

    # ---- the best weights

    def _assess(self) -> dict[str, float]:
        """The validation metrics of the weights that would be kept now."""
        if self.validate is None:
            return {}
        self.model.eval()
        with self._averaged(), torch.no_grad():
            metrics = {key: float(value) for key, value in self.validate().items()}
        if self.history.metric not in metrics:
            raise OptionError(
                f"metric = {self.history.metric!r} is not among what validate() gives "
                f"({', '.join(metrics) or 'nothing'}). Choose one of these."
            )
        return metrics

    def _keep(self, record: Epoch) -> None:
        """Add the record of an epoch and, where it is the best, a copy of its weights."""
        records = self.history.records
        records.append(record)
        if self.validate is None or self.history.improved():
            with self._averaged():
                best = copied(self.model)
            self.best, self.history.best = best, record.epoch

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The moving average in place of the parameters, where there is one."""
        parameters = list(self.parameters.values()) if self.averages and self.updates else []
        kept = [p.detach().clone() for p in parameters]
        try:
            fill(parameters, self.averages)
            yield
        finally:
            fill(parameters, kept)

    def _out_of_patience(self) -> bool:
        patience, history = self.options.patience, self.history
        return self.validate is not None and patience is not None and len(history) - history.best >= patience

    def _put_back(self) -> None:
        """Give the model the weights to keep: of the best epoch, or the latest where nothing was validated."""
        latest = not self.history.best or (self.validate is None and self.history.interrupted)
        if not latest:
            restore(self.model, self.best)
        elif self.averages and self.updates:
            fill(list(self.parameters.values()), self.averages)

    def _farewell(self) -> str:
        history = self.history
        kept = "the weights so far"
        if self.validate is not None and (best := history.best_epoch):
            kept = f"the weights of epoch {best.epoch} ({history.metric} {best.validation[history.metric]:.4g})"
        epoch, last = min(len(history) + 1, self.epochs), self.epochs
        return f"Stopped in epoch {epoch} of {last}: {kept} are kept." + (
            " Resume to continue." if self.checkpoint else ""
        )

    # ---- a loss that is no number

    def _refuse(self, piece: Chunk, state: State, value: float, where: str) -> NoReturn:
        """Name the sequences and the gradient at fault, put the best weights back, raise."""
        options, best = self.options, self.history.best
        shown = f"the loss became {value}"
        if math.isfinite(value):
            shown = f"the gradient became infinite or NaN (at a loss of {value:.4g})"
        state, every = detached(state), list(range(len(piece.sequences)))
        bad = [place for place in every[:256] if self._faulty(piece, state, place)]
        largest = self._largest_gradient(piece, state, [place for place in every if place not in bad])
        listed = bad or every
        names = [part for place in listed[:8] for part in (", ", *self._named(piece, place))][1:]
        more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
        blame = "at fault" if bad else "together, though none of them alone"
        advice = f"Lower learning_rate (now {options.learning_rate:g}) or clip (now {options.clip:g}; 0 is off)."
        if bad:
            advice = "Look for NaN, infinite or huge values in these sequences; if there are none: " + advice
        self.model.zero_grad(set_to_none=True)
        restore(self.model, self.best)
        self.model.eval()
        kept = f"weights of epoch {best}, the best so far," if best else "weights from before the training"
        raise TrainingError(
            f"{shown} in {where}, which has {len(every)} sequences; {blame}: ",
            *names,
            f"{more}. {largest}. {advice} The {kept} are back in the model.",
        )

    def _gradient_norms(self, piece: Chunk, state: State, places: list[int]) -> dict[str, float]:
        """The norm of each parameter's gradient for these sequences; none where the model cannot learn from so few."""
        self.optimizer.zero_grad(set_to_none=True)
        try:
            self._loss_of(piece.take(places), taken(state, torch.tensor(places)))[0].backward()
        except (ValueError, RuntimeError):  # as with batch normalisation
            return {}
        return {key: float(p.grad.norm()) for key, p in self.parameters.items() if p.grad is not None}

    def _faulty(self, piece: Chunk, state: State, place: int) -> bool:
        """Whether one sequence alone gives a gradient that is not finite."""
        return not all(map(math.isfinite, self._gradient_norms(piece, state, [place]).values()))

    def _largest_gradient(self, piece: Chunk, state: State, places: list[int]) -> str:
        """The parameter with the largest gradient, for the sequences that are not at fault."""
        norms = self._gradient_norms(piece, state, places) if places else {}
        if not norms:
            return "No other sequence tells which gradient is largest"
        if broken := [key for key, norm in norms.items() if not math.isfinite(norm)]:
            return f"Not finite is the gradient of {', '.join(broken[:3])}{', …' if broken[3:] else ''}"
        key = max(norms, key=norms.__getitem__)
        return f"Largest gradient of the others: {key}, norm {norms[key]:.3g}"

    def _named(self, piece: Chunk, place: int) -> tuple[Place | str, str]:
        index, first = int(piece.sequences[place]), int(piece.first[place])
        since = f" from step {first} on" if first else ""
        try:
            return self.name(index), since
        except Exception:  # the message about the loss matters more than a faulty name
            return Place(sequence=index), since


def _check_loss(loss: object) -> None:
    got = type(loss).__name__
    if isinstance(loss, Tensor):
        if loss.ndim == 0 and loss.requires_grad:
            return
        got = f"shape {list(loss.shape)} with requires_grad = {loss.requires_grad}"
    raise ShapeError(f"loss(indices) must give a scalar tensor with gradient, got {got}. Return the mean loss.")


def _optimizer(parameters: list[nn.Parameter], options: TrainingOptions) -> torch.optim.AdamW:
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=options.learning_rate, fused=True)
