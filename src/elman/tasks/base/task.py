"""What every task shares: options, what remembers, the validation part, one model folder, streams.

To add a task, write one file beside this one: a dataclass derived from `Task` (or from `ColumnTask`, where it reads a
column) whose commented fields are its options, with `fit`, `predict` and the few methods that `Task` leaves open; and
add it to the import in `__init__.py`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from torch import Tensor

from elman.cells import CELLS
from elman.errors import ModelFileError, OptionError, Place, Problem, option
from elman.evaluation import tables as report
from elman.features.base import Feature
from elman.interpret.attribution import Explanation, Question, explain
from elman.interpret.diagnose import Probe, diagnose
from elman.interpret.diagnosis import Diagnosis
from elman.io import model_folder as store
from elman.layers.encoder import PRECISIONS, Encoder, precisions
from elman.ops.functional import MEMORY, info
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.session import Session
from elman.training.history import History
from elman.training.loop import StepLoss, Training, train
from elman.training.progress import note
from elman.validation.messages import shown
from elman.validation.options import LAYERS, choice, is_among, is_number, is_whole, share, whole, widths
from elman.validation.plain_values import printable

__all__ = ["LEAST", "Task", "held_out"]

_FEW_COLUMNS = 6  # that are described before training; the card describes all
LEAST = 50  # sequences; with fewer nothing is held out, since a part of them could not choose anything
CURVE = "learning-curve.png"

_Indices = NDArray[np.int64]


@dataclass(kw_only=True, eq=False, repr=False)
class Task(BaseEstimator, Training):
    """A scikit-learn estimator whose fields are its options; what it learns is kept in attributes that end in `_`.

    Options are checked by `fit`, all of them together, and not before: that is scikit-learn's rule.
    """

    task: ClassVar[str]  # written to config.json, the name on the command line
    description: ClassVar[str]  # what it does, for people
    example: ClassVar[str] = "data.csv --target y"  # arguments of `elman fit <task>`
    most_epochs: ClassVar[int] = 20  # that `planned` chooses
    card_call: ClassVar[str] = "model.predict([...])"  # how its card shows it in use
    answering: ClassVar[tuple[str, ...]] = ("verbose",)  # options that count as they are when an answer is given
    validated_by: ClassVar[str] = ""  # how the validation part is answered, where that differs from `predict`

    # how it learns, where that differs from Training
    epochs: int | None = None  # type: ignore[assignment]  # passes over the sequences; None: by their steps, from 4
    #   to 20, more for few data
    batch_steps: int | None = None  # type: ignore[assignment]  # None: 8192 from 2 000 000 training steps, else 4096
    batch_sequences: int | None = None  # type: ignore[assignment]  # None: 1/32 of the sequences, 16 to 256
    learning_rate: float = 3e-3  # the highest rate, reached when the warm-up ends
    decay: str = "linear"  # how the learning rate falls to 0 after the warm-up: "linear", "cosine", "none"
    patience: int | None = 5  # epochs without a better validation metric before training stops; None: never

    # what remembers
    cell: str = "lstm"  # lstm, ln_lstm, gru, gru_d, rnn, rnn_relu, min_gru, min_lstm, lru or conv_lstm
    hidden: int | Sequence[int] = 64  # units of a layer and direction; one number, or one per layer
    layers: int = 1  # recurrent layers; may stay 1 where hidden lists one width per layer
    longest: float | None = None  # steps: units remember 2 to so many at first; None: as the cell starts
    bidirectional: bool = False  # each layer also reads backwards; such a model cannot stream
    dropout: float = 0.3  # share of h set to zero after each layer, one mask per sequence; 0 turns it off
    memory: str = "save"  # in training: "save" keeps all gates, "recompute" makes them again, for less memory
    precision: str = "float32"  # of products in the layers; "bfloat16": faster, where the processor multiplies it

    # Two tasks with equal options are still two tasks: one may be fitted, the other not.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def problems(self) -> list[Problem]:
        """Everything that is wrong with the options, a sentence each."""
        found = Training.problems(self.planned(0, 0))
        found += self._cell_problems() + choice(self, "memory", MEMORY) + self._precision_problems()
        found += whole(self, "layers", most=LAYERS) + share(self, "dropout")
        if not isinstance(self.bidirectional, bool | np.bool_):
            found.append(Problem("bidirectional", shown(self.bidirectional), "must be True or False"))
        return found + self._width_problems() + self._longest_problems() + self._tbptt_problems()

    def _cell_problems(self) -> list[Problem]:
        return choice(self, "cell", tuple(CELLS))

    def chosen_cell(self, features: Sequence[Feature] = ()) -> str:
        """The name of the cell for what `features` make; tasks whose `cell` may be None choose it here."""
        return self.cell

    def _precision_problems(self) -> list[Problem]:
        found = choice(self, "precision", PRECISIONS)
        cell = self.chosen_cell()
        if found or not is_among(cell, CELLS) or self.precision in precisions(cell):
            return found
        return [Problem("precision", repr(self.precision), f"is not made for cell = {cell!r}")]

    def _longest_problems(self) -> list[Problem]:
        longest: Any = self.longest
        cell = self.chosen_cell()
        if longest is None or not is_among(cell, CELLS):
            return []
        if not is_number(longest, 2):
            return [Problem("longest", shown(longest), "must be a number of steps of at least 2, or None")]
        spreads = CELLS[cell].spreads
        return (
            []
            if spreads
            else [Problem("longest", repr(longest), f"has no meaning for cell = {cell!r}; leave it at None")]
        )

    def _tbptt_problems(self) -> list[Problem]:
        if not is_whole(self.tbptt):  # 0, or refused by Training
            return []
        if not getattr(self, "every_step", False):  # True, or an option, of tasks with a loss at every step (StepLoss)
            one = f"{type(self).__name__} has one loss for a whole sequence, whose gradient would reach its end only"
            return [
                Problem(
                    "tbptt",
                    str(self.tbptt),
                    f'must be 0: {one} (memory = "recompute" takes little memory for long ones)',
                )
            ]
        return [
            Problem("tbptt", str(self.tbptt), "needs bidirectional = False: no state is carried backwards")
        ] * self.bidirectional

    def _width_problems(self) -> list[Problem]:
        found = widths(self, "hidden")
        if found or is_whole(self.hidden):
            return found
        listed = len(self.hidden)  # type: ignore[arg-type]
        if self.layers not in (1, listed):
            return [Problem("hidden", shown(self.hidden), f"lists {listed} widths, but layers = {shown(self.layers)}")]
        return []

    def planned(self, sequences: int, steps: int, updates: int = 0) -> Self:
        """The same options with the lengths of the training chosen, where they are None.

        ::

            epochs = 8 (700 000 / steps)^(1/3), from 4 to most_epochs (20; regression 60)
            batch_steps = 8192 if steps >= 2 000 000 else 4096
            batch_sequences = sequences / 32, from 16 to 256

        With `updates` there are at least so many batches in all, in up to 200 epochs, and patience lasts a quarter of
        the epochs at least.

        Film reviews (6 million steps) did best with 4 epochs, short Chinese reviews (0.7 million) with 8; the curve
        through the two, and what lies beyond them, is a guess that keeps the number of batches useful in small sets.
        """
        epochs = min(self.most_epochs, max(4, round(8 * (700_000 / max(1, steps)) ** (1 / 3))))
        made = type(self)(**self.get_params(deep=False))
        made.batch_steps = (8192 if steps >= 2_000_000 else 4096) if self.batch_steps is None else self.batch_steps
        sizes = min(256, max(16, sequences // 32))
        made.batch_sequences = sizes if self.batch_sequences is None else self.batch_sequences
        if updates:
            batches = max(-(-sequences // made.batch_sequences), -(-steps // made.batch_steps), 1)
            epochs = max(epochs, min(200, -(-updates // batches)))
        made.epochs = epochs if self.epochs is None else self.epochs
        if updates and self.patience is not None:
            made.patience = max(self.patience, made.epochs // 4)
        return made

    def options(self) -> dict[str, Any]:
        """The options by name, as JSON can hold them."""
        return {f.name: _json(getattr(self, f.name)) for f in dataclasses.fields(self)}

    def encoder(
        self, inputs: int, image: tuple[int, int] = (1, 1), features: Sequence[Feature] = (), **more: Any
    ) -> Encoder:
        """The layers that remember, for steps of so many numbers, or for images of that height and width.

        `features` made the steps; `more`: what else an ``Encoder`` takes.
        """
        hidden = self.hidden
        widths = int(hidden) if is_whole(hidden) else [int(width) for width in hidden]  # type: ignore[arg-type, union-attr]
        return Encoder(
            inputs,
            widths,
            self.chosen_cell(features),
            int(self.layers),
            bool(self.bidirectional),
            self.dropout,
            self.memory,
            self.precision,
            longest=None if self.longest is None else float(self.longest),
            image=image,
            **more,
        )

    def _check_options(self) -> None:
        if problems := self.problems():
            raise OptionError.of(problems)

    def _check_run(self, out: str | os.PathLike[str] | None, resume: bool) -> Path | None:
        """Where the checkpoints of a fit go; None: nowhere."""
        self._check_options()
        info()  # an ELMAN_ISA that cannot be is refused before anything is learnt or written
        if resume and out is None:
            raise OptionError("resume = True needs the folder of the run to continue; give ", option("out"))
        checkpoint = None if out is None else store.named(out) / store.CHECKPOINT
        if checkpoint is not None and not resume and (checkpoint / store.CONFIG).exists():
            raise OptionError(
                f"out = {os.fspath(checkpoint.parent)!r} holds a run that was broken off. Go on with it (",
                option("resume", True),
                f"), or remove {checkpoint} to begin anew.",
            )
        self._forget()
        self.seed_ = self._run_seed(checkpoint if resume else None) if self.seed is None else None
        return checkpoint

    @property
    def _seed(self) -> int | None:
        """The seed of this fit: the option, or where that is None what was drawn for it."""
        return getattr(self, "seed_", None) if self.seed is None else self.seed

    def _run_seed(self, checkpoint: Path | None) -> int:
        """A seed that nobody chose: that of the run to be resumed, which held the same sequences out, or a new one."""
        if checkpoint is not None and (checkpoint / store.CONFIG).exists():
            config, _, _ = store.load(checkpoint, kind="checkpoint")
            begun = config["of"]["options"]["seed"]
            if is_whole(begun, 0):
                return int(begun)
        return int(np.random.default_rng().integers(2**63))

    def _forget(self) -> None:
        """Drops what an earlier fit has learnt: nothing of it may count in the next."""
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            delattr(self, name)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    @contextmanager
    def _drawn(self) -> Iterator[None]:
        """Weights made in here are those of `seed`; the caller's random numbers are not touched."""
        with torch.random.fork_rng(devices=[]):
            seed = self._seed
            torch.default_generator.seed() if seed is None else torch.default_generator.manual_seed(int(seed))
            yield

    def _learn(
        self,
        plan: Self,
        lengths: Tensor,
        loss: Callable[[Tensor], Tensor] | StepLoss,
        validate: Callable[[], dict[str, float]] | None,
        metric: str,
        training: _Indices,
        checkpoint: Path | None,
        resume: bool,
        what: str = "sequence",
        schedule: Callable[[float], None] | None = None,
    ) -> None:
        """Trains the network; `training` says which of the caller's sequences are learnt from.

        Without `validate` nothing is held out. `what` is learnt from is said in messages. `schedule`: see `train`.
        """
        self._announce()
        self.metrics_: dict[str, float] = {}
        try:
            self.history_ = train(
                self.network_,
                loss,
                lengths,
                dataclasses.replace(plan, seed=self._seed),
                validate=validate,
                metric=metric,
                checkpoint=checkpoint,
                resume=resume,
                name=lambda index: Place(sequence=int(training[index])),
                schedule=schedule,
            )
        except Exception:  # after a loss that became NaN the best weights so far answer
            self._measure(validate)
            raise
        self._measure(validate)

    def _measure(self, validate: Callable[[], dict[str, float]] | None) -> None:
        self.network_.eval()
        self.metrics_ = {} if validate is None else validate()

    def _announce(self) -> None:
        """Says before training what was read, so that a wrong choice is seen before the time is spent."""
        if self.verbose and (read := self.described()):
            few = [*read.items()][:_FEW_COLUMNS] + [("…", f"{len(read)} in all")] * (len(read) > _FEW_COLUMNS)
            note(f"elman: {'; '.join(f'{name}: {what}' for name, what in few)}")

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise NotFittedError(
                f"This {type(self).__name__} is not fitted yet. Call fit(X, y) first, or load a model."
            )

    # ---- on disk

    @by_learnt_options
    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes the model to a folder: config.json, model.safetensors, the vocabulary, README.md, the learning curve.

        The folder is replaced as a whole if it holds a model; the checkpoint in it stays only if Ctrl-C ended the fit,
        so that the run can be resumed. Raises ``ModelFileError`` if it holds anything else.
        """
        self._check_fitted()
        name = printable(store.named(folder).resolve().name)
        curve = report.learning_curve(self.history_, title=name)
        config = {
            "task": self.task,
            "options": self.learnt_with_,
            "history": self.history_.to_json(),
            "metrics": {key: value if np.isfinite(value) else None for key, value in self.metrics_.items()},
            "data": dict(self.data_),
            **self._config(),
        }
        tensors = {f"network.{key}": value for key, value in self.network_.state_dict().items()}
        files: dict[str, str | bytes] = {**self._files(), "README.md": self._card(name, curve is not None)}
        if curve is not None:
            files[CURVE] = curve
        unfinished = self.history_.interrupted  # its checkpoint is what `resume` needs
        store.save(folder, config, tensors | self._tensors(), files, keep_checkpoint=unfinished)

    def _card(self, name: str, has_curve: bool) -> str:
        call, suffix = f"model = elman.load({name!r})\n{self.card_call}", Path(self.example.split()[0]).suffix
        return report.model_card(
            name=name,
            python=f"import elman\n\n{call}",
            suffix=suffix,
            task=self.description,
            data={**self.described(), **self.data_},
            options=self.learnt_with_,
            metrics=self.metrics_,
            validated_by=self.validated_by,
            history=self.history_,
            curve=CURVE if has_curve else None,
        )

    def described(self) -> dict[str, Any]:
        """What the model reads, for its card: lines of text by name."""
        return {}

    def _config(self) -> dict[str, Any]:
        """What a task adds to config.json."""
        return {}

    def _tensors(self) -> dict[str, Tensor]:
        """What a task adds to model.safetensors."""
        return {}

    def _files(self) -> dict[str, str]:
        """The text files that a task adds to the folder, by name."""
        return {}

    @classmethod
    def restore(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        files: Mapping[str, Any],
        folder: str | os.PathLike[str] = "the model",
    ) -> Self:
        """The fitted task that was saved. Raises ``ModelFileError`` if anything in it cannot be right."""
        store.check_finite(folder, tensors)
        try:
            made = cls(**cls._options_from(config["options"]))
            if problems := made.problems():
                raise ModelFileError(
                    f"{os.fspath(folder)} has options that cannot be: {'; '.join(map(str, problems))}."
                )
            made.learnt_with_ = made.options()
            made.history_ = History.from_json(config["history"])
            made.metrics_ = {k: float("nan") if v is None else float(v) for k, v in config["metrics"].items()}
            made.data_ = dict(config["data"])
            made._restore(config, tensors, files, folder)
        except ModelFileError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError, OverflowError) as error:
            raise ModelFileError(
                f"{os.fspath(folder)} has a config.json that no {cls.__name__} wrote ({shown(error, 200)}). Save the "
                "model again."
            ) from error
        return made

    @classmethod
    def _options_from(cls, saved: Mapping[str, Any]) -> dict[str, Any]:
        """The options as the constructor takes them; a dict was saved as pairs."""
        return {k: dict(value["pairs"]) if isinstance(value, Mapping) else value for k, value in saved.items()}

    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        """What a task takes from its own part of the folder: at least `network_`."""
        raise NotImplementedError

    # ---- one step at a time

    def stream(self) -> Session:
        """A session that takes one step at a time and always has the answer so far."""
        raise NotImplementedError

    # ---- looking inside

    @by_learnt_options
    def diagnose(self, X: Any, y: Any = None, *, sequences: int = 100) -> Diagnosis:
        """What the gradient of the loss does on its way back through time, and what to change: docs/diagnose.md.

        `X` and `y` are what `fit` takes; without `y` the model's own answers count as true. Up to so many `sequences`
        are looked at, evenly chosen from all that have steps. Print what comes back, or see its ``verdict``,
        ``tables()``, ``picture()`` and ``to_json()``.
        """
        self._check_fitted()
        return diagnose(self._probe(X, y), sequences)

    @by_learnt_options
    def explain(self, X: Any, y: Any = None) -> Explanation:
        """How much each step of each sequence spoke for the model's answer, or for `y` in its place: docs/explain.md.

        Integrated gradients, which add up to the score. Each of what comes back has ``steps``, a number each,
        ``symbols`` and ``picture()``; all together are ``explanation.steps``, a `Ragged`.
        """
        self._check_fitted()
        return explain(self._question(X, y))

    def _question(self, X: Any, y: Any) -> Question:
        """The input layer at work on these sequences, and the score of each to be explained."""
        raise OptionError(
            f"{type(self).__name__} cannot be explained. docs/README.md has a table of the tasks that can."
        )

    def _probe(self, X: Any, y: Any) -> Probe:
        """The network at work on these sequences, and the loss of each."""
        raise OptionError(
            f"{type(self).__name__} cannot be diagnosed. docs/README.md has a table of the tasks that can."
        )


def held_out(
    classes: NDArray[np.int64] | None, sequences: int, share: float, seed: int | None, least: int = LEAST
) -> _Indices:
    """Which sequences make the validation part: about `share` of each class, drawn by `seed`, ascending.

    A class with one member stays in training, and every class keeps at least one there. With fewer than `least`
    sequences, or a share of 0, none is held out. `classes` None: drawn from all alike.

    >>> held_out(np.array([0, 1] * 50), 100, 0.1, seed=0).shape
    (10,)
    """
    if sequences < least or share <= 0:
        return np.zeros(0, np.int64)
    random = np.random.default_rng(seed)
    order = random.permutation(sequences)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
        order = order[np.bincount(classes)[classes[order]] > 1]
    # Every 1/share-th of the sequences in order of class: at share <= 0.5 never two neighbours.
    places = np.floor((np.arange(round(len(order) * share)) + 0.5) / share).astype(np.int64)
    return np.sort(order[places[places < len(order)]])


def _json(value: Any) -> Any:
    """An option as plain Python."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_json(part) for part in value]
    if isinstance(value, Mapping):  # keys may be numbers, which JSON would turn into texts
        return {"pairs": [[_json(key), _json(part)] for key, part in value.items()]}
    return value
