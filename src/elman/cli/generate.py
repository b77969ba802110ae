"""`elman generate MODEL`: generate text with a language model, symbol by symbol, or music chord by chord."""

import json as json_
import sys
from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter

from elman.cli.console import print_json
from elman.cli.flags import Whole, WholeOrNone
from elman.cli.parameters import Json, Model, refuse_inside_model
from elman.errors import OptionError
from elman.io.midi import check_midi, write_midi


def generate(
    model: Model,
    /,
    *,
    prompt: Annotated[str, Parameter(help="a text to continue; for tokens or chords a JSON list")] = "",
    length: Annotated[Whole, Parameter(help="maximum number of symbols or chords")] = 200,
    temperature: Annotated[float, Parameter(help="1: the model's distribution; less: sharper; 0: greedy")] = 0.8,
    top_k: Annotated[WholeOrNone, Parameter(help="sample from the k likeliest symbols")] = None,
    top_p: Annotated[float, Parameter(help="sample from the likeliest symbols of this total probability")] = 1.0,
    repetition: Annotated[float, Parameter(help="divides the scores of symbols generated before; 1: no penalty")] = 1.0,
    no_repeat: Annotated[Whole, Parameter(help="no so many symbols in a row occur twice; 0: repeats are allowed")] = 0,
    min_length: Annotated[Whole, Parameter(help="minimum number of symbols or chords")] = 0,
    stop: Annotated[
        tuple[str, ...], Parameter(help="stop before this symbol or text; may be given several times")
    ] = (),
    samples: Annotated[WholeOrNone, Parameter(help="generate so many, with an empty line between them")] = None,
    seed: Annotated[WholeOrNone, Parameter(help="random seed; of several samples that of the first")] = None,
    midi: Annotated[str | None, Parameter(help="for chords: also write this MIDI file")] = None,
    tempo: Annotated[float, Parameter(help="chords per minute in the MIDI file")] = 80.0,
    json: Json = False,
) -> None:
    """Continue a prompt, printing as it is generated; tokens and chords one per line."""
    from elman.tasks import load

    task = load(model)
    if not hasattr(task, "generating"):
        raise OptionError(
            f"{model} is a model for the task {task.task!r}, which generates nothing. Fit one: elman fit generate"
        )
    how = {"length": length, "temperature": temperature, "top_k": top_k, "top_p": top_p, "repetition": repetition}
    how |= {"no_repeat": no_repeat, "min_length": min_length}
    if samples is not None and (samples < 1 or midi is not None):
        what = "has no meaning with --midi, which writes one piece" if samples > 0 else "must be at least 1"
        raise OptionError(f"--samples {samples} {what}. Leave --samples out.")
    if midi is not None and not task.feature_.is_music:
        raise OptionError(f"--midi needs a model of chords, and {model} is one of {task.feature_.kind}. Leave it out.")
    if midi is not None:  # before anything is written
        refuse_inside_model(midi)
        check_midi(midi, tempo=tempo)
    begin = task.feature_.parse_prompt(prompt)
    made: list[Any] = []
    for i in range(samples or 1):
        pieces = task.generating(begin, **how, stop=stop, seed=None if seed is None else seed + i)
        if i and not json:
            sys.stdout.write("\n")
        generated = list(pieces) if json else list(_shown(begin, pieces))
        made.append(begin + "".join(generated) if isinstance(begin, str) else [*begin, *generated])
    if midi is not None:
        write_midi(midi, made[0], tempo=tempo)
    if json:
        print_json({"prompt": begin, **({"text": made[0]} if samples is None else {"texts": made})})


def _shown(begin: Any, pieces: Iterator[Any]) -> Iterator[Any]:
    """Yields the pieces, printing the prompt and each piece as it comes; items of a list on a line each."""
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
