"""Checkpoints: a run of training on disk, to go on from with the same bits. A folder, written after every epoch."""

import dataclasses
import hashlib
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from elman.errors import ModelFileError, OptionError
from elman.io import model_folder as store
from elman.training.history import History
from elman.training.options import TrainingOptions
from elman.training.progress import note
from elman.validation.messages import shown

_ADAM = ("step", "exp_avg", "exp_avg_sq")  # what AdamW keeps of a parameter
_ANEW = "Remove this folder to train anew (elman fit: --restart), or copy it again, whole."


class Resumable(Protocol):
    """What a checkpoint needs of a run between two epochs."""

    model: nn.Module
    lengths: Tensor
    options: TrainingOptions
    settings: dict[str, Any]  # of the model, which must be the same when a run goes on
    validated: bool
    parameters: dict[str, nn.Parameter]
    optimizer: torch.optim.AdamW
    order: torch.Generator
    averages: list[Tensor]
    updates: int
    history: History
    best: dict[str, Tensor]


class Checkpoint:
    """The folder of one run: written after every epoch, taken up by a run that goes on."""

    def __init__(self, folder: Path, run: Resumable) -> None:
        self.folder, self.run = folder, run

    def begin(self, resume: bool) -> None:
        """Write a first checkpoint; with `resume` take up the one that is there."""
        if resume and (self.folder / store.CONFIG).exists():
            self._take_up()
        else:
            if resume and self.run.options.verbose:
                note(f"There is no checkpoint in {self.folder} yet: training begins at the beginning.")
            store.save(self.folder, *self._state(), kind="checkpoint")  # a folder that cannot be written shows now

    def write(self) -> None:
        """Write the run as it is now."""
        try:
            store.save(self.folder, *self._state(), kind="checkpoint")
        except ModelFileError as error:  # a full disk need not end a training of hours
            warnings.warn(
                f"training goes on, but without a checkpoint of epoch {len(self.run.history)}: {error}", stacklevel=4
            )

    def _state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        tensors = {
            "generator.order": self.run.order.get_state(),
            "generator.torch": torch.get_rng_state(),
            **{f"generator.cuda.{i}": torch.cuda.get_rng_state(i) for i in cuda_devices(self.run.model)},
            **{f"model.{key}": value for key, value in tensors_of(self.run.model).items()},
            **{f"best.{key}": value for key, value in self.run.best.items()},
            **{f"average.{i}": value for i, value in enumerate(self.run.averages)},
        }
        for number, values in self.run.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{key}": value for key, value in values.items()}
        config = {
            "history": self.run.history.to_json(),
            "updates": self.run.updates,
            "optimizer": sorted(self.run.optimizer.state_dict()["state"]),  # parameters that have a state: were learnt
            "of": self._fingerprint(),
        }
        return config, tensors

    def _take_up(self) -> None:
        """Go on from the checkpoint. It is checked as a whole before anything of this run is changed."""
        try:
            config, tensors, _ = store.load(self.folder, kind="checkpoint")
            _check_same(self.folder, config.get("of"), self._fingerprint())
            history, updates, learnt = self._checked(config)
            self._check_tensors(tensors, learnt)
            generators = self._restored_generators(tensors)
        except ModelFileError as error:
            raise ModelFileError(*(_ANEW if part == store.ADVICE else part for part in error.message)) from error
        self.run.history, self.run.updates = history, updates
        self.run.history.stopped = ""
        restore(self.run.model, store.under("model.", tensors))
        best = store.under("best.", tensors)
        self.run.best = {key: best[key].to(value.device) for key, value in tensors_of(self.run.model).items()}
        fill(self.run.averages, [tensors[f"average.{i}"] for i in range(len(self.run.averages))])
        states = {number: {key: tensors[f"optimizer.{number}.{key}"] for key in _ADAM} for number in learnt}
        self.run.optimizer.load_state_dict({**self.run.optimizer.state_dict(), "state": states})
        for generator, state in generators:
            generator.set_state(state)

    def _checked(self, config: Mapping[str, Any]) -> tuple[History, int, list[int]]:
        """The history, the number of updates and the numbers of the parameters that the optimizer has a state for."""
        path, names = self.folder / store.CONFIG, {"history", "updates", "optimizer", "of"}
        if wrong := sorted(names ^ config.keys()):
            store.refuse(path, f"holds {', '.join(sorted(config))}, not {', '.join(sorted(names))}: see {wrong[0]!r}")
        history, updates, learnt = History.from_json(config["history"]), config["updates"], config["optimizer"]
        metric = self.run.history.metric
        if history.metric != metric or (self.run.validated and not all(metric in one.validation for one in history)):
            store.refuse(path, f"has a history without the metric {metric!r}, by which the best epoch is chosen")
        if type(updates) is not int or not 0 <= updates < 2**53:
            store.refuse(path, f"has updates = {shown(updates)}, not a whole number of at least 0")
        whole = isinstance(learnt, list) and all(type(number) is int for number in learnt)
        if not whole or learnt != sorted(set(learnt) & set(range(len(self.run.parameters)))):
            store.refuse(path, f"has optimizer = {shown(learnt)}, not numbers of {len(self.run.parameters)} parameters")
        return history, updates, learnt

    def _check_tensors(self, tensors: Mapping[str, Tensor], learnt: Sequence[int]) -> None:
        """Refuse tensors other than this run would write after the batches that gave `learnt` parameters a state."""
        _, expected = self._state()
        expected = {key: value for key, value in expected.items() if not key.startswith("optimizer.")}
        parameters = [p for group in self.run.optimizer.param_groups for p in group["params"]]
        for number in learnt:
            like = {"step": torch.zeros(()), "exp_avg": parameters[number], "exp_avg_sq": parameters[number]}
            expected |= {f"optimizer.{number}.{key}": like[key] for key in _ADAM}
        # A checkpoint may be taken up on a machine with more GPUs, or fewer.
        given = {key: value for key, value in tensors.items() if key in expected or not _of_a_gpu(key)}
        expected = {key: value for key, value in expected.items() if key in given or not _of_a_gpu(key)}
        store.check_tensors(self.folder, given, expected)
        for number in learnt:
            step, squares = tensors[f"optimizer.{number}.step"], tensors[f"optimizer.{number}.exp_avg_sq"]
            if float(step) < 1 or float(step) % 1:
                store.refuse(self.folder / store.WEIGHTS, f"optimizer.{number}.step is {float(step)}, not 1, 2, 3 ...")
            if bool((squares < 0).any()):
                store.refuse(self.folder / store.WEIGHTS, f"optimizer.{number}.exp_avg_sq holds numbers below 0")

    def _restored_generators(self, tensors: Mapping[str, Tensor]) -> list[tuple[torch.Generator, Tensor]]:
        """torch's generators and the states that they are to go on from, each tried on a generator of its own."""
        named = {"order": self.run.order, "torch": torch.default_generator}
        named |= {f"cuda.{i}": torch.cuda.default_generators[i] for i in cuda_devices(self.run.model)}
        found = []
        for name, generator in named.items():
            if (state := tensors.get(f"generator.{name}")) is None:
                continue
            try:
                torch.Generator(generator.device).set_state(state)
            except (RuntimeError, TypeError) as error:
                what = f"generator.{name} is no state of torch's random numbers ({str(error).splitlines()[0]})"
                store.refuse(self.folder / store.WEIGHTS, what)
            found.append((generator, state))
        return found

    def _fingerprint(self) -> dict[str, Any]:
        """What must be the same for a run to go on as if it had not been broken."""
        own = {f.name: getattr(self.run.options, f.name) for f in dataclasses.fields(self.run.options)}
        options = {name: _as_json(value) for name, value in (self.run.settings | own).items()}
        options.pop("verbose")
        return {
            "options": options,
            "data": {
                "number of sequences": len(self.run.lengths),
                "lengths of the sequences (hash)": hashlib.sha256(self.run.lengths.numpy().tobytes()).hexdigest()[:16],
                "validation metric": self.run.history.metric,
            },
            "model": {key: f"{list(t.shape)} {t.dtype}" for key, t in tensors_of(self.run.model).items()},
        }


def _of_a_gpu(name: str) -> bool:
    return name.startswith("generator.cuda.")


def cuda_devices(model: nn.Module) -> set[int]:
    """The GPUs that a model lies on, by number."""
    return {p.device.index for p in model.parameters() if p.device.type == "cuda"}


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Everything a model saves that is a tensor."""
    return {key: value for key, value in model.state_dict().items() if isinstance(value, Tensor)}


def copied(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights."""
    return {key: value.detach().clone() for key, value in tensors_of(model).items()}


def restore(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Puts copied weights back."""
    present = tensors_of(model)
    fill(list(present.values()), [values[key] for key in present])


@torch.no_grad()
def fill(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Copies the numbers of tensors into others, in place."""
    for target, source in zip(targets, sources, strict=False):
        target.copy_(source)


def _as_json(value: Any) -> Any:
    """An option as JSON can hold it, the same in every process."""

    def other(part: Any) -> Any:
        if isinstance(part, (set, frozenset)):
            return sorted(map(repr, part))
        return part.tolist() if hasattr(part, "tolist") else re.sub(" at 0x[0-9a-fA-F]+", "", repr(part))

    try:
        return json.loads(json.dumps(value, default=other, allow_nan=False))
    except (TypeError, ValueError):
        return other(value)


def _check_same(folder: Path, old: Any, new: dict[str, Any]) -> None:
    """Refuse to continue what was another run, with every difference named."""
    differences = []
    for part, values in new.items():
        before = old.get(part) if isinstance(old, dict) else None
        before = before if isinstance(before, dict) else {}
        pairs = {key: (before.get(key, "absent"), values.get(key, "absent")) for key in {**before, **values}}
        label = "" if part == "options" else f"{part}: "
        differences += [f"{label}{key} was {a!r}, now {b!r}" for key, (a, b) in pairs.items() if a != b]
    if differences:
        more = f"; and {len(differences) - 8} more" if len(differences) > 8 else ""
        raise OptionError(
            f"the checkpoint in {folder} belongs to another run: {'; '.join(differences[:8])}{more}. "
            "Give what it was started with, or train anew without resume."
        )
