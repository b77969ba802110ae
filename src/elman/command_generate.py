"""`elman generate MODEL`: write a text with a language model, symbol by symbol."""

import sys
from typing import Annotated

from cyclopts import Parameter

from elman.arguments import Json, Model
from elman.errors import OptionError
from elman.terminal import print_json

__all__ = ["generate"]


def generate(
    model: Model,
    /,
    *,
    prompt: Annotated[str, Parameter(help="what the text begins with")] = "",
    length: Annotated[int, Parameter(help="most symbols to write")] = 200,
    temperature: Annotated[float, Parameter(help="1: as learnt; less: likelier symbols; 0: the likeliest")] = 0.8,
    top_k: Annotated[int | None, Parameter(help="only so many of the likeliest symbols")] = None,
    top_p: Annotated[float, Parameter(help="only the likeliest symbols that reach this chance together")] = 1.0,
    repetition: Annotated[float, Parameter(help="divides the scores of symbols said before; 1: no penalty")] = 1.0,
    stop: Annotated[tuple[str, ...], Parameter(help="end before this symbol; may be given several times")] = (),
    seed: Annotated[int | None, Parameter(help="makes the text repeatable")] = None,
    json: Json = False,
) -> None:
    """Write a text that begins with a prompt; it appears while it is written."""
    from elman.tasks import load

    task = load(model)
    if not hasattr(task, "generating"):
        raise OptionError(
            f"{model} is a model for the task {task.task!r}, which writes nothing. Fit one: elman fit generate"
        )
    how = {"length": length, "temperature": temperature, "top_k": top_k, "top_p": top_p, "repetition": repetition}
    pieces = task.generating(prompt, **how, stop=stop, seed=seed)
    if json:
        print_json({"prompt": prompt, "text": prompt + "".join(pieces)})
        return
    sys.stdout.write(prompt)
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")
