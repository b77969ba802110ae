"""`elman predict` and `elman score`: the answers of a model for a table, and its scores beside those of a baseline."""

import dataclasses
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from elman.cli.console import print_json
from elman.cli.flags import WholeOrNone, value_of
from elman.cli.forecast_flags import ForecastFlags, FutureFlags, ScoreFlags, hand_over, state_adapter
from elman.cli.parameters import (
    File,
    Format,
    Input,
    Json,
    Model,
    NoHeader,
    Target,
    check_picture,
    refuse_inside_model,
    switch,
)
from elman.cli.row_progress import counted
from elman.errors import OptionError
from elman.io.atomic_write import write_file

if TYPE_CHECKING:
    from elman.io.tables import Table
    from elman.tasks.base.table_adapter import TableAdapter

Windows = Annotated[
    WholeOrNone, Parameter(help="forecasters: number of forecast origins to score, the last ones; default: 1")
]
Step = Annotated[
    WholeOrNone, Parameter(help="with --windows: steps from one forecast to the next; default: the horizon")
]

Beam = Annotated[WholeOrNone, Parameter(help="beam width of models that search; 1: greedy")]
Threshold = Annotated[
    str | None,
    Parameter(
        help="classifiers: probability from which the second of two classes is the answer, or thresholds by class as "
        "JSON; none: the likeliest class; default: as in training"
    ),
]
FileOrNone = Annotated[
    str | None,
    Parameter(
        help="a table: .csv .tsv .jsonl .conllu .conll .txt (also .gz .xz) or .parquet; - for standard input, with "
        "--format. A forecaster needs none: it goes on from the ends of the series it knows"
    ),
]

Top = Annotated[
    WholeOrNone,
    Parameter(
        help="columns for so many of the likeliest classes, not for the probability of every one; for so many of the "
        "best translations or transcripts and their scores"
    ),
]
Entities = Annotated[
    bool, switch(help="taggers of spans: add a column of entities (start, stop, kind, score); as JSON or Parquet")
]
Times = Annotated[
    bool, switch(help="transcribers: add a column of words (word, start, stop, probability); as JSON or Parquet")
]
OutFormat = Annotated[
    str | None,
    Parameter(help="the format of --out or of the printed table: csv, tsv, jsonl, parquet; default: as in FILE"),
]
Picture = Annotated[
    str | None, Parameter(help="classifiers: draw confusion matrix, calibration, ROC and precision-recall to this PNG")
]


def predict(
    model: Model,
    file: FileOrNone = None,
    /,
    *,
    out: Annotated[str | None, Parameter(help="write the table here; default or -: print it")] = None,
    input: Input = None,
    beam: Beam = None,
    threshold: Threshold = None,
    top: Top = None,
    entities: Entities = False,
    times: Times = False,
    flags: Annotated[ForecastFlags | None, Parameter(name="*")] = None,
    format: Format = None,
    out_format: OutFormat = None,
    no_header: NoHeader = False,
    quiet: Annotated[bool, switch(help="print no progress")] = False,
    json: Json = False,
) -> None:
    """Add the model's answers to a table as columns; of a forecaster: the next values of every series.

    The table is printed as CSV, or as TSV or JSON lines where the file is one; with --json as JSON lines. A CoNLL file
    is returned with the predicted labels: in CoNLL-U in their column, else as the last. A large file is read, answered
    and written part by part.
    """
    from elman.cli.model_source import kind_to_print, say_ambiguous
    from elman.io.table_parts import read_parts, writing_parts
    from elman.io.tables import STANDARD, check_columns, check_place, conll_kind, read_table, write_answers

    out = None if out == STANDARD else out
    if out is not None:
        refuse_inside_model(out)
    elif sys.stdout is None:
        raise OptionError("there is no standard output to print to. Name a file with --out.")
    task = _adapter(model, flags, not no_header, beam=beam, threshold=threshold)
    for name, value in {"top": top, "entities": entities or None, "times": times or None}.items():
        _set(task, model, name, value)
    if file is None:
        _predict_kept(task, model, out, out_format or ("jsonl" if json and out is None else None))
        return
    read: Any = read_parts if task.answers_parts() else _whole(read_table)
    table = next(parts := read(file, header=not no_header, format=format))
    say_ambiguous(table, input)
    names = _answered(task)
    wanted = out_format or ("jsonl" if json and out is None else None)
    same = table.content is not None and (not wanted if out is None else table.kind == conll_kind(out))
    same = same and task.labels_steps and not entities
    kind = wanted or (None if out is not None else kind_to_print(table))
    if out is not None and not same:
        check_place(out, wanted)
    if task.keeps_columns and not same:  # before hours of answering
        check_columns(table.frame, out, kind)
        check_columns(_first_answer(task, table, input, names), out, kind)
    if same:
        answers = task.answer_table(table, input, names)[f"predicted_{names[0]}"].to_list()
        write_answers(table, names[0], answers, out)
        return
    with writing_parts(out, kind) as write:
        for part in counted(itertools.chain([table], parts), quiet):
            write(task.answer_table(part, input, names))


def _whole(read: Callable[..., "Table"]) -> Callable[..., Iterator["Table"]]:
    """The table as the one part of itself."""
    return lambda *given, **more: iter([read(*given, **more)])


def _predict_kept(task: "TableAdapter", model: str, out: str | None, kind: str | None) -> None:
    """Writes the answers that need no table."""
    from elman.io.tables import check_place, write_table

    if not task.keeps_state:
        raise OptionError("elman predict needs FILE. See elman predict --help.")
    if getattr(task, "anomalies", None) is not None:
        raise OptionError("--anomalies flags the values of a FILE. Name one.")
    if out is not None:
        check_place(out, kind)
    answered = state_adapter(task, model, "").answer_kept()
    write_table(answered, out, kind=kind or ("csv" if out is None else None))


def score(
    model: Model,
    file: File,
    /,
    *,
    baseline: Annotated[
        bool, Parameter(negative="", help="train the baseline on the training file and score it too")
    ] = False,
    train: Annotated[str | None, Parameter(help="with --baseline: the training file, if it moved")] = None,
    input: Input = None,
    target: Target = None,
    beam: Beam = None,
    threshold: Threshold = None,
    picture: Picture = None,
    windows: Windows = None,
    step: Step = None,
    flags: Annotated[ScoreFlags | None, Parameter(name="*")] = None,
    format: Format = None,
    no_header: NoHeader = False,
    json: Json = False,
) -> None:
    """Score a model on a table with targets, and with --baseline a baseline beside it.

    For a forecaster the forecast from the end of training is scored; with --windows the last ones of the table.
    """
    from elman.cli.model_source import say_ambiguous, source, training_table
    from elman.io.tables import STANDARD, read_table

    check_picture("--picture", picture)
    task = _adapter(model, flags, not no_header, beam=beam, threshold=threshold)
    if picture is not None and not task.draws_scores:
        what = f"{model} is a model for the task {task.model.task!r}, whose scores have no picture"
        raise OptionError(f"{what}. Leave --picture out.")
    table = read_table(file, header=not no_header, format=format)
    say_ambiguous(table, input, target)
    names = source(task, model, target, table)
    more = _windows(task, model, windows, step)
    scored = task.score_table(table, input, names, model, **more)
    if (
        picture is not None
        and (drawn := scored.picture(f"{Path(model).resolve().name}: {table.path.name}")) is not None
    ):
        write_file(picture, drawn)
    counted = {} if scored.rows is None else {"sequences": scored.rows}
    result = {
        "model": model,
        "file": "standard input" if file == STANDARD else file,
        **counted,
        **scored.scores,
        **scored.details,
    }
    if baseline or train is not None:
        result["baselines"] = task.score_baselines(
            lambda: training_table(task.model, model, train, header=not no_header), table, names, model, **more
        )
    if json:
        print_json(result)
    else:
        _show_scores(result, list(scored.scores), scored.tables, scored.heading)


def _first_answer(task: "TableAdapter", table: Any, input: str | None, names: list[str]) -> Any:
    """The answer for the first row, as a table; without columns where that row alone raises an error."""
    from elman.errors import ElmanError

    first = dataclasses.replace(table, frame=table.frame[:1])
    try:
        return task.answer_table(first, input, names)
    except ElmanError:  # raised again when all rows are answered
        return table.frame[:, :0]


def _adapter(model: str, flags: FutureFlags | None, header: bool, **answering: Any) -> "TableAdapter":
    """The adapter of a saved model, told what its answers should be."""
    from elman.tasks import load, table_of

    adapter = table_of(_answering(load(model), model, **answering))
    hand_over(flags, adapter, model, header=header)
    return adapter


def _answering(task: Any, model: str, *, beam: int | None, threshold: str | None) -> Any:
    """The task with those options that may change after training and are given."""
    given: dict[str, Any] = {"beam": beam, "threshold": threshold}
    for name, value in given.items():
        if value is None:
            continue
        if not hasattr(task, name):
            what = f"{model} is a model for the task {task.task!r}, which has no {name}"
            raise OptionError(f"{what}. Leave --{name} out.")
        setattr(task, name, value if name == "beam" else value_of(value))
        if problems := task.problems():
            raise OptionError.of(problems)
    return task


def _set(task: "TableAdapter", model: str, name: str, value: int | None) -> None:
    """Tells the adapter what its answers should have, if it is given."""
    if value is None:
        return
    if not hasattr(task, name):
        what = f"{model} is a model for the task {task.model.task!r}, whose answers have no such part"
        raise OptionError(f"{what}. Leave --{name} out.")
    if value < 1:
        raise OptionError(f"--{name} {value} must be a whole number of at least 1")
    setattr(task, name, value)


def _answered(task: "TableAdapter") -> list[str]:
    """The names of the targets, "y" where training had none."""
    from elman.tasks.base.table_adapter import target_names

    names = target_names(task.model)
    return names or ["y"] if task.target_help else names


def _windows(task: "TableAdapter", model: str, windows: int | None, step: int | None) -> dict[str, int | None]:
    """The arguments of `score_table` about windows, where any is given."""
    given = {"windows": windows, "step": step}
    named = [name for name, value in given.items() if value is not None]
    if named and not task.has_windows:
        what = f"{model} is a model for the task {task.model.task!r}, which answers each row"
        raise OptionError(f"{what}. Leave --{named[0]} out.")
    return given if named else {}


def _show_scores(result: Mapping[str, Any], scores: Sequence[str], tables: Sequence[Any], heading: str) -> None:
    from elman.evaluation import tables as report
    from elman.training.history import directions

    rows = {str(result["model"]): {name: result[name] for name in scores}}
    for other in result.get("baselines", ()):
        rows[other["name"]] = {name: other[name] for name in scores if name in other}
    if "sequences" in result:
        print(f"{result['sequences']:,} sequences of {result['file']}")
    if heading:
        print(f"{heading}, of {result['file']}")
    report.show(report.comparison_table(rows), directions(scores), *tables)
