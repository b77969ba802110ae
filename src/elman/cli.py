"""The command line: fit, predict, score, stream, info, demo. docs/command-line.md is its manual.

Results go to stdout, progress and notes to stderr. Whatever this package refuses is one line on stderr, and the exit
code says what happened:

    0 done    1 a fault in elman itself    2 refused: the file, the options, the model    130 Ctrl-C    141 broken pipe

The flags of `elman fit <task>` are the fields of the task's dataclass: their names, types, defaults and comments. What
is heavy to import is imported by the command that needs it.
"""

import contextlib
import functools
import hashlib
import inspect
import io
import itertools
import json
import math
import os
import re
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.exceptions import MissingArgumentError, UnusedCliTokensError

from elman.errors import DataError, ElmanError, ModelFileError, OptionError, TrainingError
from elman.flags import field_parameters, parameter
from elman.inspection import inspect as inspect_model

if TYPE_CHECKING:
    import polars as pl

    from elman.files import Table
    from elman.tasks import Task

__all__ = ["main"]

EXAMPLES = """Examples:

  elman demo
  elman fit classify reviews.csv --input review --target label --out model
  elman predict model new.csv --out answers.csv
  elman score model test.csv --baseline
  echo "what a film" | elman stream model

elman COMMAND --help lists the flags of a command. --debug shows where an error comes from."""


# ---------------------------------------------------------------------------------------------------------------- main


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command (default: that of the process) and return its exit code.

    >>> main(["--version"]) == 0
    0.1.0
    True
    """
    tokens = list(sys.argv[1:] if argv is None else argv)
    debug = _take(tokens, "--debug")
    try:
        with _calm_output():
            code = _application(tokens)(tokens, exit_on_error=False, print_error=False, result_action="return_value")
            if sys.stdout is not None:
                sys.stdout.flush()
            return code if isinstance(code, int) else 0
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        return _refusal(error)


def _refusal(error: BaseException) -> int:
    """One line about what went wrong, and the exit code."""
    if isinstance(error, BrokenPipeError):  # the reader, such as `head`, has seen enough
        _silence(sys.stdout)
        return 141
    if isinstance(error, KeyboardInterrupt):
        return _end("stopped by Ctrl-C.", 130)
    if isinstance(error, CycloptsError):
        return _end(f"error: {_asked_better(error)}", 2)
    if isinstance(error, ElmanError | OSError):
        return _end(f"error: {error}", 2)
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):  # torch raises RuntimeError
        return _end("error: there is not enough memory. Fewer rows, batch_steps or hidden units need less.", 2)
    fault = f"{type(error).__name__}: {error}"
    return _end(f"error: a fault in elman itself ({fault}). The same command with --debug shows where.", 1)


def _take(tokens: list[str], flag: str) -> bool:
    """Remove a flag that may stand anywhere before `--`."""
    last = tokens.index("--") if "--" in tokens else len(tokens)
    if flag not in tokens[:last]:
        return False
    tokens[:last] = [token for token in tokens[:last] if token != flag]
    return True


def _end(text: str, code: int) -> int:
    _note(f"elman: {text}")
    return code


def _note(text: str) -> None:
    """One line on stderr."""
    if sys.stderr is not None:
        try:
            print(_one_line(text), file=sys.stderr, flush=True)
        except BrokenPipeError:
            _silence(sys.stderr)


def _one_line(text: str) -> str:
    """Any text as one line that cannot move a terminal's cursor."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def _silence(stream: Any) -> None:
    """What is still in the buffer of a closed pipe goes nowhere, so that the interpreter ends without a complaint."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # not a real file, as in tests
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def _calm_output() -> Iterator[None]:
    """Warnings as one line each, and a terminal that is not UTF-8 shows escapes where it lacks a character."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(errors="backslashreplace")
    before = warnings.showwarning
    warnings.showwarning = lambda message, *_, **__: _note(f"elman: warning: {message}")
    try:
        yield
    finally:
        warnings.showwarning = before


def _asked_better(error: CycloptsError) -> str:
    """The parser's complaint in our words, with the next move."""
    chain = " ".join(["elman", *(error.command_chain or ())])
    text = str(error)
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.keyword or error.argument.name
        given = error.keyword or any(token.keyword for token in error.argument.tokens)
        text = f"{name} needs a value." if given else f"{chain} needs {name}."
        if near := re.search(r"Did you mean (\S+) instead of (\S+)\?", str(error)):
            text = f"unknown option: {near[2]}. Did you mean {near[1]}?"
    elif isinstance(error, UnusedCliTokensError):
        text = f"nothing is known to do with {', '.join(map(repr, error.unused_tokens or ()))}."
        text += " A value with spaces in it stands in quotation marks."
    return f"{text[:1].lower()}{text[1:]} See {chain} --help."


# -------------------------------------------------------------------------------------------------------- the commands


def _application(tokens: Sequence[str]) -> App:
    """All commands; those under `fit` only where they are asked for, since their flags need the tasks."""
    app = App(
        name="elman",
        help="Recurrent networks for real sequences: ragged in, streaming out, fast on any CPU.",
        help_epilogue=EXAMPLES,
        help_format="plaintext",
        version=_version,
    )
    fit = App(name="fit", help="Train a model on a table: elman fit classify FILE ...", help_epilogue="")
    if tokens and tokens[0] == "fit":
        from elman.tasks import TASKS

        for verb, task in TASKS.items():
            fit.command(_fit_command(task, tokens), name=verb, help=task.says, help_epilogue=_fit_example(verb))
    app.command(fit)
    for command in (predict, score, stream, info, demo):
        app.command(command, help_epilogue="")
    app.command(inspect_model, name="inspect", help_epilogue="")
    return app


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("elman")
    except PackageNotFoundError:  # used from a source tree
        return "unknown"


File = Annotated[str, Parameter(help="a table: .csv .tsv .jsonl (also .gz .xz) or .parquet")]
Model = Annotated[str, Parameter(help="the folder of a model")]
Json = Annotated[
    bool,
    Parameter(
        name="--json", negative="", show_default=False, help="print JSON for machines instead of text for people"
    ),
]
Input = Annotated[str | None, Parameter(help="the column to read; default: as in training")]
Target = Annotated[str | None, Parameter(help="the column with the true labels; default: as in training")]


def predict(
    model: Model,
    file: File,
    /,
    *,
    out: Annotated[str | None, Parameter(help="write the table here; default: print it")] = None,
    input: Input = None,
    json: Json = False,
) -> None:
    """Answer every row of a table: its columns, the answer and the probability of each class.

    To stdout the table goes as CSV, or TSV or JSON lines where the file is one; with --json as JSON lines.
    """
    from elman.files import write_table

    if out is not None:
        _refuse_inside_model(out)
    elif sys.stdout is None:
        raise OptionError("there is no standard output to print to. Name a file with --out.")
    clf = _load(model)
    if clf.task == "forecast":
        table = _read(file)
        made = _told(lambda: clf.predict(**_history_and_future(clf, _typed(table.frame, clf.target))), table)
        write_table(made, out, **({} if out else {"kind": "jsonl" if json else _kind_to_print(table)}))
        return
    column = input or _source(clf, model, "input")
    table = _read(file)
    frame = table.frame
    _check_column(table, column)
    added = _answers(clf, _sequences(table, column), table, str(_source(clf, model, "target")))
    if clash := [name for name in added.columns if name in frame.columns]:
        raise DataError(f"{table.path.name} already has a column {clash[0]!r}. Rename it or leave it out.")
    answered = frame.hstack(added)
    if out is not None:
        write_table(answered, out)
    else:
        write_table(answered, None, kind="jsonl" if json else _kind_to_print(table))


def score(
    model: Model,
    file: File,
    /,
    *,
    baseline: Annotated[
        bool, Parameter(negative="", help="train the simple rival on the training file and score it too")
    ] = False,
    train: Annotated[str | None, Parameter(help="with --baseline: the training file, where it moved")] = None,
    input: Input = None,
    target: Target = None,
    json: Json = False,
) -> None:
    """How good a model is on a table with true labels, and with --baseline how good a simple rival is."""
    from elman import metrics

    clf = _load(model)
    if clf.task == "forecast":
        _score_forecast(clf, model, file, baseline, json)
        return
    column, truth = input or _source(clf, model, "input"), target or _source(clf, model, "target")
    table = _read(file)
    _check_column(table, column)
    sequences, labels = _sequences(table, column), _labels(table, truth, known=_classes(clf), model=model)
    answers = _told(lambda: clf.predict(sequences), table)
    answers = answers.tolist() if hasattr(answers, "tolist") else list(answers)
    scores = {"accuracy": metrics.accuracy(labels, answers), "macro_f1": metrics.macro_f1(labels, answers)}
    result: dict[str, Any] = {"model": model, "file": file, "sequences": len(labels), **scores}
    result["classes"] = [s._asdict() for s in metrics.per_class(labels, answers)]
    if baseline or train is not None:
        known = _training_table(clf, model, train)
        result["baselines"] = _rivals(known, clf, model, sequences, labels)
    if json:
        _print_json(result)
    else:
        _show_scores(result, metrics.per_class(labels, answers))


def stream(model: Model, /, *, json: Json = False) -> None:
    """Read stdin line by line and print the answer so far after each.

    A line is a piece of the sequence: some words of a text, a token (or a JSON list of tokens), the numbers of one
    step. An empty line ends the sequence and the next line begins a new one. The model must read in one direction.
    """
    clf = _load(model)
    session = clf.stream()
    kind = str(clf.feature_.kind)
    if sys.stdin is None:
        raise DataError("there is no standard input to read. Use elman stream MODEL < live.txt")
    if sys.stdin.isatty():
        _note("Type a piece and press Enter; an empty line begins a new sequence, Ctrl-D ends.")
    number = fed = 0
    for line, raw in enumerate(_lines(), start=1):
        if not raw.strip():
            number, fed = number + bool(fed), 0
            session = clf.stream()
            if not json:
                print(flush=True)
            continue
        try:
            answer = session.feed(_piece(raw, kind, line))
        except DataError as error:
            raise DataError(f"line {line} of standard input: {error}") from error
        fed += 1
        _print_answer(answer, number, line, json)


def info(*, json: Json = False) -> None:
    """What this installation consists of: versions, instruction sets, threads, GPU."""
    import torch

    from elman.ops import info as core

    found = core()
    facts: dict[str, Any] = {
        "elman": _version(),
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
        _print_json({key.replace(" ", "_"): value for key, value in facts.items()})
        return
    absent = {"cuda": "none", "ELMAN_ISA": "not set"}
    for key, value in facts.items():
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
    limit: Annotated[int | None, Parameter(help="use this many texts at most")] = None,
    epochs: Annotated[int | None, Parameter(help="passes over the texts, at most; default: the classifier's")] = None,
    seed: Annotated[int, Parameter(help="makes the run repeatable")] = 0,
    json: Json = False,
) -> int:
    """Train on 15 000 real Chinese reviews in about a minute, beside a simple rival, and keep the model."""
    from elman.demo import run

    _refuse_inside_model(out)
    return run(
        out=out, data=data, input=input, target=target, text=text, limit=limit, epochs=epochs, seed=seed, as_json=json
    )


# ------------------------------------------------------------------------------------------------------------------ fit


def _fit_command(task: "type[Task]", tokens: Sequence[str]) -> Callable[..., int]:
    """The function behind `elman fit <task>`: its parameters are the few below and then the fields of the task."""

    def command(file: str, **given: Any) -> int:
        return _fit(task, tokens, file, **given)

    flag = functools.partial(Parameter, negative="", show_default=False)
    own = [
        parameter("target", Annotated[str, Parameter(help="the column with the labels")]),
        parameter("out", Annotated[str, Parameter(help="the folder to save the model to; a model there is replaced")]),
        parameter("resume", Annotated[bool, flag(help="go on with the run in --out that was broken off")], False),
        parameter("restart", Annotated[bool, flag(help="drop the run in --out that was broken off")], False),
        parameter("json", Json, False),
    ]
    fields = field_parameters(task, ungrouped=["input"])  # which stands with the other columns
    first = inspect.Parameter("file", inspect.Parameter.POSITIONAL_ONLY, annotation=File)
    parameters = [first, fields.pop("input"), *own, *fields.values()] if "input" in fields else None
    if parameters is None:  # the columns of a long frame are fields of the task
        parameters = [first, *own[1:], *fields.values()]
    command.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _fit_example(verb: str) -> str:
    if verb == "forecast":
        return "Example: elman fit forecast load.csv --horizon 48 --season 24 --out model"
    return f"Example: elman fit {verb} reviews.csv --input review --target label --out model"


def _fit(
    task: "type[Task]",
    tokens: Sequence[str],
    file: str,
    *,
    out: str,
    target: str = "",
    resume: bool = False,
    restart: bool = False,
    json: bool = False,
    **options: Any,
) -> int:
    series = task.task == "forecast"
    options |= {"target": target} if series and target else {}
    clf: Any = task(**options)
    if problems := clf.problems():
        raise OptionError("; ".join(problems))
    _check_out(out, resume, restart)
    table = _read(file) if series else _training_rows(file, options.get("input"), target)
    source = {"target": target or clf.target, "file": _relative(file, out), "file SHA-256": _sha256(file)}
    try:
        given = (_told(lambda: _typed(table.frame, clf.target), table),) if series else (table.frame, target)
        _told(lambda: clf.fit(*given, out=out, resume=resume), table)
    except TrainingError as error:
        clf.data_ |= source
        raise TrainingError(f"{error} {_saved_what_was_learnt(clf, out)}") from error
    clf.data_ |= source
    again = f"Go on with: {shlex.join(['elman', *tokens, *([] if resume else ['--resume'])])}"
    if clf.history_.interrupted and not clf.history_.best:
        return _end(f"stopped by Ctrl-C before an epoch was finished: no model was saved. {again}", 130)
    clf.save(out)
    result = _fit_result(clf, out, table)
    if json:
        _print_json(result)
    else:
        _show_fit(result, clf)
    if clf.history_.interrupted:
        return _end(f"stopped by Ctrl-C: the best model so far is in {out}. {again}", 130)
    return 0


def _typed(frame: "pl.DataFrame", target: str) -> "pl.DataFrame":
    """A table with its texts as the numbers that they spell, column by column; an empty cell is missing.

    Columns with other texts stay as they are, but the `target` is refused.
    """
    import polars as pl

    columns = []
    for column in frame:
        if column.dtype == pl.String:
            column = column.replace(dict.fromkeys(("", "NA", "NaN", "nan", "null", "None")))
            for kind in (pl.Int64, pl.Float64):
                numbers = column.str.strip_chars().cast(kind, strict=False)
                if numbers.null_count() == column.null_count() < len(column):
                    column = numbers
                    break
            else:
                if column.name == target and (wrong := numbers.is_null() & column.is_not_null()).any():
                    row = int(wrong.arg_max() or 0)
                    raise DataError(
                        f"frame: column {target!r}, row {row} is {column[row]!r}, where a number was expected."
                    )
        columns.append(column)
    return pl.DataFrame(columns)


def _history_and_future(model: Any, frame: "pl.DataFrame") -> dict[str, Any]:
    """What to forecast from; where future covariates were learnt, the rows after each series' last value hold them."""
    import polars as pl

    if not model.covariates_.future or not {model.id, model.time, model.target} <= set(frame.columns):
        return {"frame": frame}
    known = pl.col(model.time) <= pl.col(model.time).filter(pl.col(model.target).is_not_null()).max().over(model.id)
    return {"frame": frame.filter(known), "future": frame}


def _score_forecast(model: Any, folder: str, file: str, baseline: bool, json: bool) -> None:
    """The errors of the forecasts of a table that goes on where the model's series ended, or holds that too."""
    from elman import report

    table = _read(file)
    frame = _told(lambda: _typed(table.frame, model.target), table)
    result: dict[str, Any] = {"model": folder, "file": file, **_told(lambda: model.evaluate(frame), table)}
    rows = {folder: {key: value for key, value in result.items() if isinstance(value, float)}}
    if baseline:
        naive = model.evaluate_naive(frame)
        result["baselines"] = [{"name": "seasonal naive", **naive}]
        rows["seasonal naive"] = naive
    if json:
        _print_json(result)
    else:
        report.show(report.comparison_table(rows))


def _training_rows(file: str, input: str | None, target: str) -> "Table":
    """The two columns of the training file, with what would spoil a training found before it begins."""
    if input == target:
        raise OptionError(f"--input and --target both name the column {input!r}. Name two.")
    table = _read(file, None if input is None else [input, target])
    if target not in table.frame.columns:
        _read(file, [target])  # says so, with the nearest name
    if input is None:
        others = [name for name in table.frame.columns if name != target]
        if len(others) != 1:
            raise OptionError(f"{table.path.name} has {len(others)} columns beside {target!r}. Name one with --input.")
        input = others[0]
    _check_column(table, input)
    labels = _labels(table, target)
    if (classes := len(set(labels))) == 1:
        raise DataError(
            f"{table.path.name}: every row has the label {labels[0]!r} in the column {target!r}. "
            "Telling apart needs two labels at least."
        )
    if classes == len(labels) > 2:
        raise DataError(
            f"{table.path.name}: no two rows have the same label in the column {target!r}, so there is nothing to "
            "learn. Is --target the right column?"
        )
    return table


def _check_out(out: str, resume: bool, restart: bool) -> None:
    """Refuse, before hours of training, what could not be saved or would be lost."""
    from elman import store

    if resume and restart:
        raise OptionError("--resume goes on with a run and --restart drops it. Give one of them.")
    _refuse_inside_model(out)
    folder = Path(os.path.realpath(out))
    store.check_replaceable(folder)
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise ModelFileError(f"{out} cannot be written: {parent} is no folder that you may write to. Choose another.")
    checkpoint = folder / store.CHECKPOINT
    if (checkpoint / store.CONFIG).exists():
        if not (resume or restart):
            raise OptionError(
                f"{out} holds a run that was broken off. Go on with it (--resume) or drop it (--restart)."
            )
    elif resume and (folder / store.CONFIG).exists():
        raise OptionError(f"{out} holds a finished model and no broken run. Train anew without --resume.")


def _saved_what_was_learnt(clf: Any, out: str) -> str:
    """After a loss that became NaN: the best weights become a model, unless one is there that they would replace.

    The checkpoint goes, since a run resumed from it would end in the same place.
    """
    from elman import store

    if (Path(out) / store.CONFIG).exists():
        shutil.rmtree(Path(out) / store.CHECKPOINT, ignore_errors=True)
        return f"The model that was in {out} before is unchanged."
    clf.save(out)
    return f"They are saved in {out}."


def _fit_result(clf: Any, out: str, table: "Table") -> dict[str, Any]:
    history = clf.history_
    best = history.best_epoch
    facts = (
        {key: clf.data_[key] for key in ("series", "steps", "missing", "distance of steps")}
        if clf.task == "forecast"
        else {"sequences": table.frame.height, "input": clf.feature_.describe(), "classes": _classes(clf)}
    )
    return {
        "model": out,
        "file": str(table.path),
        **{key.replace(" ", "_"): value for key, value in facts.items()},
        "epochs": len(history),
        "best_epoch": history.best,
        "stopped": history.stopped,
        "validation": dict(best.validation) if best else {},
        "metrics": dict(clf.metrics_),
        "training_seconds": round(sum(epoch.seconds for epoch in history), 3),
        "steps_per_second": round(best.steps_per_second) if best else None,
    }


def _show_fit(result: Mapping[str, Any], clf: Any) -> None:
    if "series" in result:
        missing = f"{result['missing']:,} missing, {result['distance_of_steps']} apart"
        print(f"{result['series']:,} series, {result['steps']:,} steps, {missing}")
    else:
        print(f"{result['sequences']:,} sequences, {len(result['classes'])} classes; {result['input']}")
    scores = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in result["metrics"].items())
    epochs = f"epoch {result['best_epoch']} of {result['epochs']}, {result['training_seconds']:,.1f} s"
    print(f"{scores or 'nothing was held out to measure'} ({epochs})")
    print(f"saved in {result['model']}")
    model = shlex.join([result["model"]])
    print(f"next: elman score {model} test.csv --baseline    elman predict {model} new.csv")


# ---------------------------------------------------------------------------------------------------- tables and models


def _read(file: str, columns: Sequence[str] | None = None) -> "Table":
    from elman.files import read_table

    try:
        return read_table(file, columns=columns)
    except DataError as error:  # advice for Python
        text = str(error).replace(
            "If its first line is no header, read it with header=False.", "The first line must hold the names."
        )
        raise DataError(text) from error


def _refuse_inside_model(out: str) -> None:
    """A model folder is whole or refused: nothing may be written into one, which would make it unusable."""
    for folder in Path(os.path.realpath(out)).parents:
        config = folder / "config.json"
        if config.is_file():
            with config.open("rb") as opened:
                if b'"elman model"' in opened.read(200):
                    raise OptionError(f"{out} lies within the model {folder}. Choose a place outside it.")


def _load(model: str) -> Any:
    from elman.tasks import load

    return load(model)


def _source(clf: Any, model: str, what: str) -> str:
    """The column that training read, or the one with the labels."""
    name = clf.input_ if what == "input" else clf.data_.get(what)
    if not isinstance(name, str):
        raise OptionError(f"{model} was not trained by this command line and names no {what} column. Give --{what}.")
    return name


def _classes(clf: Any) -> list[Any]:
    return list(clf.classes_.tolist())


def _check_column(table: "Table", name: str) -> None:
    """The column is there, holds texts or lists, and holds one for every row."""
    import polars as pl

    if name not in table.frame.columns:
        _read(str(table.path), [name])  # says so, with the nearest name
    column = table.frame[name]
    if not isinstance(column.dtype, pl.String | pl.List | pl.Array | pl.Null):
        raise DataError(f"{table.path.name}: the column {name!r} holds {column.dtype}, neither texts nor lists.")
    _refuse_gaps(table, column, 'Drop the row, or write "" for an empty text.')


def _refuse_gaps(table: "Table", column: "pl.Series", advice: str) -> None:
    if column.null_count():
        row = int(column.is_null().arg_true()[0])
        raise DataError(f"{table.where(row)}: {column.name} is missing. {advice}")


def _sequences(table: "Table", name: str) -> list[Any]:
    return table.frame[name].to_list()


def _labels(table: "Table", name: str, known: Sequence[Any] | None = None, model: str = "") -> list[Any]:
    """The labels of all rows; each must be among the `known` classes of a model.

    CSV has no types: there a label that reads like one of the classes, as `1` like the number 1, is that class.
    """
    if name not in table.frame.columns:
        _read(str(table.path), [name])
    column = table.frame[name]
    if column.dtype.is_nested() or column.dtype.is_temporal():
        raise DataError(f"{table.path.name}: the column {name!r} holds {column.dtype}. A label is a word or a number.")
    _refuse_gaps(table, column, "Every row needs a label: write one or drop the row.")
    labels = column.to_list()
    if known is None:
        return labels
    if _kind_to_print(table) != "jsonl":
        written = {_written(label): label for label in known}
        labels = [written.get(label, label) if isinstance(label, str) else label for label in labels]
    classes = {(type(label), label) for label in known}
    for row, label in enumerate(labels):
        if (type(label), label) not in classes:
            shown = ", ".join(map(repr, known[:8])) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
            raise DataError(f"{table.where(row)}: {name} is {label!r}, which {model} never learnt. It knows {shown}.")
    return labels


def _written(label: Any) -> str:
    return label if isinstance(label, str) else json.dumps(label)


def _kind_to_print(table: "Table") -> str:
    """What a table like this one is printed as."""
    suffixes = {suffix.lower() for suffix in table.path.suffixes[-2:]}
    return "csv" if ".csv" in suffixes else "tsv" if ".tsv" in suffixes else "jsonl"


def _told(work: Callable[[], Any], table: "Table") -> Any:
    """Do the work; a fault in a sequence is named by its place in the file."""
    try:
        return work()
    except (DataError, TrainingError) as error:
        text = re.sub(r"\b[Xy]: (the label of )?sequence (\d+)", lambda f: table.where(int(f[2])), str(error))
        text = re.sub(r"\bframe: (.*?)\brow (\d+)", lambda f: f"{f[1]}{table.where(int(f[2]))}", text)
        text = re.sub(r"\bsequence (\d+)", lambda found: f"{found[0]} ({table.where(int(found[1]))})", text)
        raise type(error)(text) from error


def _answers(clf: Any, sequences: list[Any], table: "Table", target: str) -> "pl.DataFrame":
    """The answer for each sequence and the probability of each class, as columns."""
    import polars as pl

    chances = _told(lambda: clf.predict_proba(sequences), table)
    classes = _classes(clf)
    columns = {f"predicted_{target}": [classes[i] for i in chances.argmax(axis=1).tolist()]}
    columns |= {f"probability_{_written(label)}": chances[:, i].astype(float) for i, label in enumerate(classes)}
    return pl.DataFrame(columns)


def _relative(file: str, folder: str) -> str:
    """A file as seen from a folder, so that the two can move together and a model tells nothing of who made it."""
    try:
        return os.path.relpath(os.path.realpath(file), os.path.realpath(folder))
    except ValueError:  # another drive
        return str(Path(file).resolve())


def _sha256(file: str) -> str:
    with Path(file).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _training_table(clf: Any, model: str, file: str | None) -> "Table":
    """The file the model learnt from: as it was then, or the one the caller names."""
    if file is None:
        path, digest = clf.data_.get("file"), clf.data_.get("file SHA-256")
        if not isinstance(path, str) or not isinstance(digest, str):
            raise OptionError(f"{model} does not say which file it learnt from. Name it with --train FILE.")
        file = os.path.relpath(Path(os.path.realpath(model)) / path)
        advice = "The simple rival must learn from the same rows: name them with --train FILE."
        if not Path(file).is_file():
            raise DataError(f"{file}, which {model} learnt from, is not there any more. {advice}")
        if _sha256(file) != digest:
            raise DataError(f"{file} was changed since {model} learnt from it. {advice}")
    return _read(file)


def _rivals(table: "Table", clf: Any, model: str, sequences: list[Any], labels: list[Any]) -> list[dict[str, Any]]:
    from elman import metrics
    from elman.baselines import majority, rival

    column, target = _source(clf, model, "input"), _source(clf, model, "target")
    _check_column(table, column)
    known, truth = _sequences(table, column), _labels(table, target, known=_classes(clf), model=model)
    scored = []
    for other in (rival(known), majority()):
        _told(lambda other=other: other.fit(known, truth), table)  # type: ignore[misc]
        answers = other.predict(sequences)
        scores = {"accuracy": metrics.accuracy(labels, answers), "macro_f1": metrics.macro_f1(labels, answers)}
        scored.append({"name": other.name, **scores, "training_seconds": round(other.seconds, 3)})
    return scored


def _show_scores(result: Mapping[str, Any], classes: Sequence[Any]) -> None:
    from elman import report

    rows = {str(result["model"]): {"accuracy": result["accuracy"], "macro_f1": result["macro_f1"]}}
    for other in result.get("baselines", ()):
        rows[other["name"]] = {"accuracy": other["accuracy"], "macro_f1": other["macro_f1"]}
    print(f"{result['sequences']:,} sequences of {result['file']}")
    report.show(report.comparison_table(rows), report.class_table(classes))


# --------------------------------------------------------------------------------------------------------------- stream


def _lines() -> Iterator[str]:
    """The lines of stdin as they come, as UTF-8 whatever the terminal's language."""
    source = getattr(sys.stdin, "buffer", None)
    for number in itertools.count(1):
        raw = source.readline() if source is not None else sys.stdin.readline().encode()
        if not raw:
            return
        try:
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            at = f"byte {error.start + 1} of the line, 0x{raw[error.start]:02x}"
            raise DataError(f"line {number} of standard input: {at}, is not UTF-8.") from None


def _piece(line: str, kind: str, number: int) -> Any:
    """What one line feeds: a piece of text, one token or a JSON list of them, the numbers of one step."""
    if kind == "text":
        return line
    if kind == "tokens":
        if not line.startswith("["):
            return line.strip()
        try:
            return json.loads(line)
        except ValueError as error:
            raise DataError(f"line {number} of standard input: begins with [ but is no JSON list ({error}).") from None
    try:
        return [float(part) for part in line.replace(",", " ").split()]
    except ValueError:
        raise DataError(f"line {number} of standard input: {line[:40]!r} is not numbers. Write 0.5 1.5") from None


def _print_answer(answer: Any, sequence: int, line: int, as_json: bool) -> None:
    label, chances = answer.label, answer.probabilities
    if as_json:
        written = {_written(name): chance for name, chance in chances.items()}
        _print_json(
            {"sequence": sequence, "line": line, "steps": answer.steps, "label": label, "probabilities": written}
        )
    else:
        print(f"{_one_line(str(label))}\t{max(chances.values()):.4f}", flush=True)


def _print_json(value: Any) -> None:
    print(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False), flush=True)


def _finite(value: Any) -> Any:
    """NaN and the infinities, which JSON lacks, as null."""
    if isinstance(value, Mapping):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
