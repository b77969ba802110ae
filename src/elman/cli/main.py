"""The command line: fit, predict, score, stream, generate, inspect, info, demo. docs/command-line.md is its manual.

Results go to stdout, progress and notes to stderr. Whatever this package refuses is one line on stderr, and the exit
code says what happened:

    0 done    1 a fault in elman itself    2 refused: the file, the options, the model
    130 Ctrl-C    141 broken pipe    143 SIGTERM

Each command has a file of its own; what is particular to a task, the commands ask the task
(`elman.tasks.base.table_adapter`). What is heavy to import is imported by the command that needs it.
"""

import dataclasses
import re
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError
from cyclopts.exceptions import MissingArgumentError, UnusedCliTokensError

from elman.cli.console import Terminated, calm_output, end, silence
from elman.cli.fit import fit_commands
from elman.cli.generate import generate
from elman.cli.info import demo, info, version
from elman.cli.inspect import inspect
from elman.cli.predict import predict, score
from elman.cli.stream import stream
from elman.errors import ElmanError

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
        with calm_output():
            code = _application(tokens)(tokens, exit_on_error=False, print_error=False, result_action="return_value")
            if sys.stdout is not None:
                sys.stdout.flush()
            return code if isinstance(code, int) else 0
    except SystemExit:
        raise
    except BaseException as error:  # a panic of code in Rust is no Exception
        if debug:
            raise
        return _refusal(error)


def _refusal(error: BaseException) -> int:
    """One line about what went wrong, and the exit code."""
    if isinstance(error, BrokenPipeError):  # the reader, such as `head`, has seen enough
        silence(sys.stdout)
        return 141
    if isinstance(error, Terminated):
        return end("stopped by SIGTERM.", 143)
    if isinstance(error, KeyboardInterrupt):
        return end("stopped by Ctrl-C.", 130)
    if isinstance(error, CycloptsError):
        return end(f"error: {_asked_better(error)}", 2)
    if isinstance(error, ElmanError | OSError):
        return end(f"error: {_with_flags(str(error))}", 2)
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):  # torch raises RuntimeError
        return end("error: there is not enough memory. Fewer rows, batch_steps or hidden units need less.", 2)
    fault = f"{type(error).__name__}: {error}"
    return end(f"error: a fault in elman itself ({fault}). The same command with --debug shows where.", 1)


def _take(tokens: list[str], flag: str) -> bool:
    """Remove a flag that may stand anywhere before `--`."""
    last = tokens.index("--") if "--" in tokens else len(tokens)
    if flag not in tokens[:last]:
        return False
    tokens[:last] = [token for token in tokens[:last] if token != flag]
    return True


def _with_flags(text: str) -> str:
    """Advice that names Python's arguments, as flags of the command line.

    >>> _with_flags("Set sort=True, or give freq=... The names are options: id=..., out=...")
    'Set --sort, or give --freq ... The names are options: --id ..., --out ...'
    >>> print(_with_flags("Leave it out: features={'id': 'skip'}."))
    Leave it out: --features '{"id": "skip"}'.
    """
    from elman.tasks import TASKS

    names = {field.name for task in TASKS.values() for field in dataclasses.fields(task)} | {"out", "resume", "input"}
    header = "If its first line is no header, read it with header=False."
    text = text.replace(header, "The first line must hold the names.")
    text = text.replace(": predict(future=frame)", " in the rows after its last values")
    text = re.sub(r"predict\(frame=\.\.\.\)", "elman predict", text)
    value = r"(\.\.\.|\{[^}]*\}|\[[^]]*\]|'[^']*'|[+-]?\w+(?:\.\d+)?)(?![\w/])"
    return re.sub(rf"(?<![\w/.'\"-])({'|'.join(sorted(names))})=(?!=){value}", _flag, text)


def _flag(match: re.Match[str]) -> str:
    name, value = match[1].replace("_", "-"), match[2]
    if value in ("True", "False"):
        return f"--{name}" if value == "True" else f"--no-{name}"
    if value[0] in "{[":
        value = "'" + value.replace("'", '"') + "'"
    return f"--{name} {value}"


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
    """All commands."""
    app = App(
        name="elman",
        help="Recurrent networks for real sequences: ragged in, streaming out, fast on any CPU.",
        help_epilogue=EXAMPLES,
        help_format="plaintext",
        version=version,
        suppress_keyboard_interrupt=False,
    )
    app.command(fit_commands(tokens))
    for command in (predict, score, stream, generate, inspect, info, demo):
        app.command(command, help_epilogue="")
    return app
