"""The device of training: the recurrent layers compute there, all else stays on the CPU.

Steps go to the device where an encoder begins and come back where it ends, so that features, output layers, losses and
metrics are the same on every device. After training the weights are on the CPU again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from elman.errors import OptionError, Problem, option
from elman.layers.encoder import Encoder
from elman.validation.options import require

_NAMES = re.compile(r"auto|cpu|cuda(:\d{1,3})?")


def device_problems(options: Any) -> list[Problem]:
    """What is wrong with the option `device`, whatever this machine has."""
    given = options.device
    good = isinstance(given, str) and _NAMES.fullmatch(given)
    return require(good, options, "device", 'must be "cpu", "cuda", "cuda:1" ... or "auto"')


def device_of(name: str) -> torch.device:
    """The device that an option names; "auto" is the GPU where there is one. Raises ``OptionError`` without that GPU.

    >>> device_of("cpu")
    device(type='cpu')
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if count else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    number = int(name.partition(":")[2] or torch.cuda.current_device() if count else name.partition(":")[2] or 0)
    if number >= count:
        found = f"torch {torch.__version__} finds {count} GPUs with CUDA here" if count else _no_gpu()
        raise OptionError(Problem("device", repr(name), f"is not there: {found}. Set "), option("device", "cpu"), ".")
    return torch.device("cuda", number)


def _no_gpu() -> str:
    build = "" if torch.version.cuda else ", a build without CUDA: see https://pytorch.org/get-started for one with it"
    return f"torch {torch.__version__} finds no GPU{build}"


@contextmanager
def computing_on(model: nn.Module, name: str) -> Iterator[None]:
    """Moves the encoders of a model to the device that an option names, and back afterwards.

    With "auto" an encoder stays on the CPU if its layers run only there. Raises ``OptionError`` if they do and `name`
    is a GPU, or if there is no such GPU.
    """
    device = device_of(name)
    encoders = [] if device.type == "cpu" else [part for part in model.modules() if isinstance(part, Encoder)]
    bound = {encoder: why for encoder in encoders if (why := encoder.cpu_only)}
    if bound and name != "auto":
        why = next(iter(bound.values()))
        raise OptionError(Problem("device", repr(name), f"does not run {why}. Set "), option("device", "cpu"), ".")
    moved = [encoder for encoder in encoders if encoder not in bound]
    try:
        for encoder in moved:
            encoder.compute_on(device)
        yield
    finally:
        for encoder in moved:
            encoder.compute_on(None)
