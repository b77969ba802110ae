"""`elman info` and `elman demo`."""

import os
import sys
from typing import Annotated, Any

from cyclopts import Parameter

from elman.cli.console import print_json
from elman.cli.flags import Whole, WholeOrNone
from elman.cli.parameters import Json, refuse_inside_model


def version() -> str:
    """The installed version."""
    from importlib import metadata

    try:
        return metadata.version("elman")
    except metadata.PackageNotFoundError:  # used from a source tree
        return "unknown"


def info(*, json: Json = False) -> None:
    """Versions, instruction sets, threads and GPU of this installation."""
    import torch

    from elman.ops.functional import info as core

    found = core()
    report: dict[str, Any] = {
        "elman": version(),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "processor": found["processor"],
        "instruction sets built": found["built"],
        "instruction sets found": found["found"],
        "instruction set chosen": found["chosen"],
        "ELMAN_ISA": os.environ.get("ELMAN_ISA"),
        "compiled core": {key: found[key] for key in ("version", "compiler", "threads", "lanes") if key in found},
    }
    if json:
        print_json({key.replace(" ", "_"): value for key, value in report.items()})
        return
    absent = {"cuda": "none", "ELMAN_ISA": "not set"}
    for key, value in report.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        shown = " ".join(value) if isinstance(value, list) else absent.get(key) if value is None else value
        print(f"{key:24}{shown}")


def demo(
    *,
    out: Annotated[str, Parameter(help="the folder the model is saved to")] = "elman-demo",
    data: Annotated[str | None, Parameter(help="a table of your own instead of the reviews")] = None,
    input: Annotated[str | None, Parameter(help="with --data: the column with the texts")] = None,
    target: Annotated[str | None, Parameter(help="with --data: the column with the labels")] = None,
    text: Annotated[str | None, Parameter(help="a text to classify at the end")] = None,
    limit: Annotated[WholeOrNone, Parameter(help="maximum number of texts")] = None,
    epochs: Annotated[WholeOrNone, Parameter(help="maximum number of epochs; default: the classifier's")] = None,
    seed: Annotated[Whole, Parameter(help="random seed")] = 0,
    json: Json = False,
) -> int:
    """Train on 15,000 Chinese reviews in about a minute, compare with a baseline, and save the model."""
    from elman.cli.demo import run

    refuse_inside_model(out)
    return run(
        out=out, data=data, input=input, target=target, text=text, limit=limit, epochs=epochs, seed=seed, as_json=json
    )
