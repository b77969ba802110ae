"""`elman generate MODEL`: write a text with a language model, symbol by symbol, or music chord by chord."""

import json as json_
import sys
from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter

from elman.cli.console import print_json
from elman.cli.parameters import Json, Model, refuse_inside_model
from elman.errors import OptionError
from elman.io.midi import check_midi, write_midi

__all__ = ["generate"]


def generate(
    model: Model,
    /,
    *,
    prompt: Annotated[str, Parameter(help="what it begins with: a text; for tokens or chords a JSON list")] = "",
    length: Annotated[int, Parameter(help="most symbols or chords to write")] = 200,
    temperature: Annotated[float, Parameter(help="1: as learnt; less: likelier symbols; 0: the likeliest")] = 0.8,
    top_k: Annotated[int | None, Parameter(help="only so many of the likeliest symbols")] = None,
    top_p: Annotated[float, Parameter(help="only the likeliest symbols that reach this chance together")] = 1.0,
    repetition: Annotated[float, Parameter(help="divides the scores of symbols said before; 1: no penalty")] = 1.0,
    stop: Annotated[tuple[str, ...], Parameter(help="end before this symbol; may be given several times")] = (),
    seed: Annotated[int | None, Parameter(help="makes the text repeatable")] = None,
    midi: Annotated[str | None, Parameter(help="of chords: also write this file, which players can play")] = None,
    tempo: Annotated[float, Parameter(help="chords a minute in it")] = 80.0,
    json: Json = False,
) -> None:
    """Write a text that begins with a prompt; it appears while it is written. Tokens and chords come line by line."""
    from elman.tasks import load
    from elman.tasks.generate.table import parse_prompt

    task = load(model)
    if not hasattr(task, "generating"):
        raise OptionError(
            f"{model} is a model for the task {task.task!r}, which writes nothing. Fit one: elman fit generate"
        )
    how = {"length": length, "temperature": temperature, "top_k": top_k, "top_p": top_p, "repetition": repetition}
    if midi is not None and not task.feature_.is_music:
        raise OptionError(f"--midi needs a model of chords, and {model} is one of {task.feature_.kind}. Leave it out.")
    if midi is not None:  # before anything is written
        refuse_inside_model(midi)
        check_midi(midi, tempo=tempo)
    begin = parse_prompt(task, prompt)
    pieces = task.generating(begin, **how, stop=stop, seed=seed)
    said = list(pieces) if json else list(_shown(begin, pieces))
    whole: Any = begin + "".join(said) if isinstance(begin, str) else [*begin, *said]
    if midi is not None:
        write_midi(midi, whole, tempo=tempo)
    if json:
        print_json({"prompt": begin, "text": whole})


def _shown(begin: Any, pieces: Iterator[Any]) -> Iterator[Any]:
    """The pieces; the prompt and they are written to standard output as they come, those of a list a line each."""
    text = isinstance(begin, str)
    for piece in [begin] if text else begin:
        _write(piece, text)
    for piece in pieces:
        _write(piece, text)
        yield piece
    sys.stdout.write("\n" * text)


def _write(piece: Any, text: bool) -> None:
    sys.stdout.write(piece if text else json_.dumps(piece, ensure_ascii=False) + "\n")
    sys.stdout.flush()
