"""`elman fit <task> FILE`: train on a table. The flags are the fields of the task's dataclass."""

import dataclasses
import inspect
import os
import shlex
import shutil
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from elman.cli.console import end, print_json, stopping
from elman.cli.flags import field_parameters, parameter
from elman.cli.parameters import File, Format, Json, NoHeader, refuse_inside_model, switch
from elman.cli.run_config import command_line, config_text, read_config
from elman.errors import ModelFileError, OptionError, TrainingError

if TYPE_CHECKING:
    from elman.io.tables import Table
    from elman.tasks.base.table_adapter import TableAdapter


#: The help of flags for columns that are neither input nor target, by the argument of `fit`.
_BESIDE = {
    "groups": "the column with what no two parts may share, such as the speaker: whole groups are held out",
    "sample_weight": "the column with the weight of each row, a number of at least 0",
}


def fit_commands(tokens: Sequence[str]) -> App:
    """`elman fit` with a command for each task, or for the one named on the command line, which is faster."""
    fit = App(name="fit", help="Train a model on a table: elman fit classify FILE ...", help_epilogue="")
    if tokens and tokens[0] == "fit":
        from elman.tasks import TABLES

        named = tokens[1] if len(tokens) > 1 else ""
        for verb, table in {named: TABLES[named]}.items() if named in TABLES else TABLES.items():
            example = f"Example: elman fit {verb} {table.estimator.example} --out model"
            fit.command(_fit_command(table, tokens), name=verb, help=table.estimator.description, help_epilogue=example)
    return fit


def _fit_command(table: "type[TableAdapter]", tokens: Sequence[str]) -> Callable[..., int]:
    """The function behind `elman fit <task>`: its parameters are those below and the fields of the task."""

    known = ["file"]

    def command(file: str | None = None, *, config: str | None = None, print_config: bool = False, **given: Any) -> int:
        verb = tokens[1]
        asked = ({} if config is None else read_config(config, verb, known)) | given
        asked |= {} if file is None else {"file": file}
        if print_config:
            return _print_config(table, verb, asked)
        needed = ["file", *(["target"] if table.target_help else []), "out"]
        if missing := [name for name in needed if name not in asked]:
            what = "FILE" if missing[0] == "file" else f"--{missing[0]}"
            raise OptionError(f"elman fit {verb} needs {what}. See elman fit {verb} --help.")
        return _fit(table, tokens, **asked)

    out = Parameter(help="the folder to save the model to; a model there is replaced (required)", show_default=False)
    own = [
        parameter("out", Annotated[str, out], ""),
        parameter("config", Annotated[str | None, Parameter(help="a TOML file of options; flags override it")], None),
        parameter("print_config", Annotated[bool, switch(help="print the TOML of this run, and train nothing")], False),
        parameter("resume", Annotated[bool, switch(help="resume the unfinished run in --out")], False),
        parameter("restart", Annotated[bool, switch(help="discard the unfinished run in --out")], False),
        parameter("format", Format, None),
        parameter("no_header", NoHeader, False),
        parameter("json", Json, False),
    ]
    own += [parameter(name, Annotated[str | None, Parameter(help=_BESIDE[name])], None) for name in table.beside_flags]
    if table.target_help:
        target = Parameter(name=table.target_flags, help=f"{table.target_help} (required)", show_default=False)
        own.insert(0, parameter("target", Annotated[str, target], ""))
    fields = field_parameters(table.estimator, ungrouped=["input"])  # listed with the other columns
    fields["validation"] = _validation_parameter(fields["validation"])
    first = [inspect.Parameter("file", inspect.Parameter.POSITIONAL_ONLY, annotation=File, default="")]
    first += [fields.pop("input")] if "input" in fields else []
    parameters = [*first, *own, *fields.values()]
    known += [p.name for p in parameters[1:] if p.name not in ("config", "print_config")]
    command.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _validation_parameter(share: inspect.Parameter) -> inspect.Parameter:
    """The flag --validation: the option `validation`, or the file with `validation_data`."""
    kind, flag = typing.get_args(share.annotation)
    note = Parameter(help=f"{flag.help}; or the FILE with a validation set of your own")
    wide: Any = Annotated[typing.Union[kind, str], flag, note]  # noqa: UP007  # `kind` is known at run time
    return share.replace(annotation=wide)


#: What is no option of the task; what comes last says how to run, not what.
_ARGUMENTS = ("file", "out", "target", "format", "no_header", *_BESIDE, "resume", "restart", "json")


def _print_config(adapter: "type[TableAdapter]", verb: str, asked: Mapping[str, Any]) -> int:
    """Prints the TOML of a run with its options checked."""
    named = _ARGUMENTS if adapter.target_help else [name for name in _ARGUMENTS if name != "target"]
    options = {name: value for name, value in asked.items() if name not in named}
    share = {"validation": None} if isinstance(options.get("validation"), str) else {}
    if problems := adapter.estimator(**(options | share)).problems():
        raise OptionError.of(problems)
    arguments = {name: asked[name] for name in named[:-3] if name in asked}
    functions = [field.name for field in dataclasses.fields(adapter.estimator) if not field.metadata.get("flag", True)]
    defaults = {name: value for name, value in adapter.estimator().options().items() if name not in functions}
    print(config_text(verb, arguments, dict(defaults) | options, defaults))
    return 0


def _fit(
    adapter: "type[TableAdapter]",
    tokens: Sequence[str],
    *,
    file: str,
    out: str,
    target: str = "",
    resume: bool = False,
    restart: bool = False,
    format: str | None = None,
    no_header: bool = False,
    json: bool = False,
    **options: Any,
) -> int:
    if target and not adapter.target_help:  # a field of the task
        options["target"] = target
    asked = {name: value for name, value in (("target", target), ("format", format)) if value} | dict(options)
    beside = {name: column for name in adapter.beside_flags if (column := options.pop(name, None)) is not None}
    validation = options.pop("validation") if isinstance(options.get("validation"), str) else None
    again = f"Go on with: {shlex.join(['elman', *tokens, *([] if resume else ['--resume'])])}"
    made: Any = adapter.estimator(**options)
    saved = False
    with stopping() as stop:
        try:
            given = {"header": not no_header, "format": format}
            table = _learn(
                adapter(made),
                file,
                given,
                validation=validation,
                beside=beside,
                out=out,
                target=target,
                resume=resume,
                restart=restart,
            )
            made.data_["command"] = _repeated(tokens[1], file, out, asked | {"no_header": no_header}, made)
            made.save(out)
            saved = True
            result = _fit_result(adapter(made), out, table)
            if json:
                print_json(result)
            else:
                _show_fit(result, adapter(made), table)
            if made.history_.interrupted:
                return end(f"stopped by {stop.name}: the best model so far is in {out}. {again}", stop.code)
        except KeyboardInterrupt:
            if saved:
                return end(f"stopped by {stop.name}: the model is in {out}.", stop.code)
            if not (_checkpoint(out) / "config.json").exists():
                raise
            begun = bool(getattr(made, "history_", None))
            when = "before it could be saved" if begun else "before an epoch was finished"
            return end(f"stopped by {stop.name} {when}: no model was saved. {again}", stop.code)
    return 0


def _learn(
    adapter: "TableAdapter",
    file: str,
    given: Mapping[str, Any],
    *,
    validation: str | None,
    beside: Mapping[str, str],
    out: str,
    target: str,
    resume: bool,
    restart: bool,
) -> "Table":
    """Fits the task to the file. Raises KeyboardInterrupt if it was stopped before there was a model to save."""
    from elman.cli.column_hints import say_misread
    from elman.cli.model_source import file_source, say_ambiguous
    from elman.io.tables import read_table
    from elman.tasks.base.table_columns import check_names, names_in

    made = adapter.model
    if problems := made.problems():
        raise OptionError.of(problems)
    _check_out(out, resume, restart)
    _check_columns(getattr(made, "input", None), [target])
    table = read_table(file, **given)
    say_ambiguous(table, target, *(getattr(made, name) for name in adapter.column_options))
    _name_columns(adapter, table)
    names = names_in(table, target) if adapter.target_help else []
    _check_columns(getattr(made, "input", None), names)
    say_misread(adapter, table, names)
    learnt = names if adapter.target_help else [made.target] if hasattr(made, "target") else []
    source: dict[str, Any] = file_source(file, out)
    both_tables = table
    beside = {argument: names_in(table, name)[0] for argument, name in beside.items()}
    for argument, name in beside.items():
        inputs = getattr(made, "input", None)
        if name in (*names, *([inputs] if isinstance(inputs, str) else inputs or ())):
            flag = argument.replace("_", "-")
            raise OptionError(f"--{flag} names the column {name!r}, which is the input or the target. Name another.")
        source[argument.replace("_", " ")] = name
    if validation is not None:
        other = read_table(validation, **{**given, "format": None})
        inputs = getattr(made, "input", None)
        read = [inputs] if isinstance(inputs, str) else inputs
        read = read or (table.frame.columns if adapter.target_help else ())
        check_names(other, list(dict.fromkeys([*names, *read])))
        both_tables = table.followed_by(other)
        source |= {f"validation {key}": value for key, value in file_source(validation, out).items()}
    if learnt:
        source = {"target": learnt[0] if len(learnt) == 1 else learnt, **source}
    if restart:
        shutil.rmtree(_checkpoint(out), ignore_errors=True)
    try:
        adapter.fit_table(both_tables, names, beside, out=out, resume=resume)
    except TrainingError as error:
        made.data_ |= source
        raise TrainingError(*error.parts, f" {_saved_what_was_learnt(made, out)}") from error
    made.data_ |= source
    if made.history_.interrupted and not made.history_.best:
        raise KeyboardInterrupt
    return table


def _repeated(verb: str, file: str, out: str, asked: Mapping[str, Any], made: Any) -> str:
    """The command that repeats a run in the folder that holds the model: no absolute path is saved."""
    from elman.cli.model_source import relative

    folder = str(Path(os.path.realpath(out)).parent)
    defaults = type(made)().options()
    defaults |= {"no_header": False}
    given = {name: value for name, value in asked.items() if value != defaults.get(name, "")}
    if isinstance(given.get("validation"), str):
        given["validation"] = relative(given["validation"], folder)
    arguments = {"target": given.pop("target")} if "target" in given else {}
    source = file if file == "-" else relative(file, folder)
    return command_line(verb, source, {**arguments, "out": relative(out, folder)}, given)


def _check_columns(inputs: Any, target: Sequence[str]) -> None:
    both = {inputs} if isinstance(inputs, str) else set(inputs or ())
    for name in target:
        if name in both:
            raise OptionError(f"--input and --target both name the column {name!r}. Name two.")


def _name_columns(adapter: "TableAdapter", table: "Table") -> None:
    """Columns that options name by number get their names."""
    from elman.tasks.base.table_columns import numbered

    for option in adapter.column_options:
        value = getattr(adapter.model, option)
        if isinstance(value, str):
            setattr(adapter.model, option, numbered(table, value))
        elif value:
            setattr(adapter.model, option, [numbered(table, name) for name in value])


def _checkpoint(out: str) -> Path:
    from elman.io import model_folder as store

    return Path(os.path.realpath(out)) / store.CHECKPOINT


def _check_out(out: str, resume: bool, restart: bool) -> None:
    """Refuse, before training, an output folder that cannot be written or whose contents would be lost."""
    from elman.io import model_folder as store

    if resume and restart:
        raise OptionError("--resume continues a run and --restart discards it. Give one of them.")
    refuse_inside_model(out)
    folder = Path(os.path.realpath(out))
    store.check_replaceable(folder)
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise ModelFileError(f"{out} cannot be written: {parent} is no folder that you may write to. Choose another.")
    if (_checkpoint(out) / store.CONFIG).exists():
        if not (resume or restart):
            raise OptionError(f"{out} holds an unfinished run. Continue it (--resume) or discard it (--restart).")
    elif resume and (folder / store.CONFIG).exists():
        raise OptionError(f"{out} holds a finished model and no unfinished run. Train anew without --resume.")


def _saved_what_was_learnt(clf: Any, out: str) -> str:
    """After a loss that became NaN, saves the best weights as a model unless that would replace one.

    The checkpoint is removed: a run resumed from it would fail in the same way.
    """
    from elman.io import model_folder as store

    if (Path(out) / store.CONFIG).exists():
        shutil.rmtree(_checkpoint(out), ignore_errors=True)
        return f"The model that was in {out} before is unchanged."
    clf.save(out)
    return f"They are saved in {out}."


def _fit_result(adapter: "TableAdapter", out: str, table: "Table") -> dict[str, Any]:
    history = adapter.model.history_
    best = history.best_epoch
    return {
        "model": out,
        "file": str(table.path),
        **adapter.fit_result(table.frame.height),
        "epochs": len(history),
        "best_epoch": history.best,
        "stopped": history.stopped,
        "validation": dict(adapter.model.metrics_),
        "training_seconds": round(sum(epoch.seconds for epoch in history), 3),
        "steps_per_second": round(best.steps_per_second) if best else None,
    }


def _show_fit(result: Mapping[str, Any], adapter: "TableAdapter", table: "Table") -> None:
    from elman.training.history import directions

    if not adapter.model.verbose:  # else stderr has had it, before training
        print(adapter.describe_fit(table.frame.height))
    known = {name: value for name, value in result["validation"].items() if value == value}  # undefined ones are NaN
    scores = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in known.items())
    how = f", answered by {adapter.model.validated_by}" if adapter.model.validated_by else ""
    epochs = f"epoch {result['best_epoch']} of {result['epochs']}, {result['training_seconds']:,.1f} s"
    if scores:
        print(f"validation, used to choose the epoch{how}: {scores} ({epochs})")
        print(directions(result["validation"]))
    else:
        print(f"no validation set ({epochs})")
    print(f"saved in {result['model']}")
    model, suffix = shlex.join([result["model"]]), _suffix(result["file"], table.kind)
    new = "" if adapter.keeps_state else f" new{suffix}"
    print(f"next: elman score {model} test{suffix} --baseline    elman predict {model}{new}")


def _suffix(file: str, kind: str) -> str:
    """The suffix of a file, compression included; where it has none that of its kind."""
    if not Path(file).suffix:
        return f".{kind}"
    *_, kind, last = ["", *Path(file).suffixes] if Path(file).suffixes else ["", ""]
    return kind + last if last in (".gz", ".xz") else last
