"""What a fit says on stderr: what was read and what is trained, before training, and each stage that is no epoch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from elman.training.device import device_of
from elman.training.progress import note

_FEW_COLUMNS = 6  # that are described; the card describes all


class FitNotes:
    """The lines of one fit; none unless the option `verbose` is True.

    >>> FitNotes(verbose=False).stage("fitting n-grams")
    """

    def __init__(self, verbose: bool) -> None:
        self.verbose = verbose

    def data(self, task: Any, lengths: Tensor, held_out: int | str, target: str = "", noun: str = "sequences") -> None:
        """What was read: the steps in each training sequence, the validation set, the inputs, the target."""
        if not self.verbose:
            return
        held = f"{held_out:,}" if isinstance(held_out, int) else held_out
        validation = f"{held} for validation" if held_out else "no validation set"
        count = f"{len(lengths):,} {noun} for training, {validation}"
        read = [f"{name}: {what}" for name, what in task.described().items()]
        more = [f"…: {len(read)} in all"] if len(read) > _FEW_COLUMNS else []
        self._line([count, steps_in_words(lengths), *read[:_FEW_COLUMNS], *more, *([target] if target else [])])

    def network(self, network: nn.Module, epochs: int, device_name: str = "cpu") -> None:
        """What is trained, and where; `device_name`: the option ``device``."""
        if not self.verbose:
            return
        weights = sum(p.numel() for p in network.parameters())
        device = device_of(device_name)
        name = (
            torch.cuda.get_device_name(device)
            if device.type == "cuda"
            else "the CPU"
            if device.type == "cpu"
            else device.type
        )
        threads = torch.get_num_threads()
        where = f"on {name} with {threads} thread{'s' * (threads > 1)}"
        most = f"at most {epochs:,} epoch{'s' * (epochs != 1)}"
        self._line([f"training a network of {weights:,} weights {where}", most])

    def stage(self, what: str) -> None:
        """A stage that may take long and has no epochs begins."""
        if self.verbose:
            self._line([what])

    def _line(self, parts: list[str]) -> None:
        note(f"elman: {'; '.join(parts)}")


def steps_in_words(lengths: Tensor) -> str:
    """How long sequences are.

    >>> steps_in_words(torch.tensor([4, 1, 9])), steps_in_words(torch.tensor([2, 2]))
    ('1 to 9 steps each, median 4', '2 steps each')
    """
    if not len(lengths):
        return "no steps"
    low, high, median = int(lengths.min()), int(lengths.max()), int(lengths.median())
    if low == high:
        return f"{low:,} step{'s' * (low != 1)} each"
    return f"{low:,} to {high:,} steps each, median {median:,}"
