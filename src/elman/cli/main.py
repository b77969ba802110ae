"""The command line, a file for each command or two. Manual: docs/command-line.md.

Results go to stdout, progress and notes to stderr, errors as one line to stderr. Exit codes:

    0 done    1 a fault in elman itself    2 refused: the file, the options, the model
    130 Ctrl-C    141 broken pipe    143 SIGTERM

Each command has a file of its own; what is specific to a task is in its adapter (`elman.tasks.base.table_adapter`).
Commands import what is slow to import when they run.
"""

import difflib
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter
from cyclopts.exceptions import MissingArgumentError, UnusedCliTokensError

from elman.cli.console import Terminated, calm_output, end, silence
from elman.cli.explain import align, explain
from elman.cli.fit import fit_commands
from elman.cli.forecast import plot, update
from elman.cli.generate import generate
from elman.cli.info import demo, info, version
from elman.cli.inspect import inspect
from elman.cli.predict import predict, score
from elman.cli.stream import stream
from elman.cli.summary import summary
from elman.errors import ElmanError

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
    tokens = [_Hyphen(token) if token == "-" else token for token in tokens]
    try:
        with calm_output():
            code = _application(tokens)(tokens, exit_on_error=False, print_error=False, result_action="return_value")
            if sys.stdout is not None:
                sys.stdout.flush()
            return code if isinstance(code, int) else 0
    except SystemExit:
        raise
    except BaseException as error:  # a Rust panic is not an Exception
        if debug:
            raise
        return _refusal(error)


class _Hyphen(str):
    """A hyphen alone: to the parser a value, standard input or output, and no flag."""

    __slots__ = ()

    def startswith(self, *_: object) -> bool:
        """False, which the parser asks."""
        return False


def _refusal(error: BaseException) -> int:
    """Prints one line about the error and returns the exit code."""
    if isinstance(error, BrokenPipeError):  # the reader, such as `head`, has closed the pipe
        silence(sys.stdout)
        return 141
    if isinstance(error, Terminated):
        return end("stopped by SIGTERM.", 143)
    if isinstance(error, KeyboardInterrupt):
        return end("stopped by Ctrl-C.", 130)
    if isinstance(error, CycloptsError):
        return end(f"error: {_asked_better(error)}", 2)
    if isinstance(error, ElmanError):
        return end(f"error: {error.shell}", 2)
    if isinstance(error, OSError):
        return end(f"error: {error}", 2)
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


def _asked_better(error: CycloptsError) -> str:
    """The parser's error as one sentence, with the next move."""
    chain = " ".join(["elman", *(error.command_chain or ())])
    text = str(error)
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.keyword or error.argument.name
        given = error.keyword or any(token.keyword for token in error.argument.tokens)
        text = f"{name} needs a value." if given else f"{chain} needs {name}."
        unknown = [token for token in error.unused_tokens or () if token.startswith("--")]
        if not given and (near := difflib.get_close_matches(error.argument.name, unknown, 1)):
            text = f"unknown option: {near[0]}. Did you mean {error.argument.name}?"
    elif isinstance(error, UnusedCliTokensError):
        text = f"unexpected argument: {', '.join(map(repr, error.unused_tokens or ()))}."
        text += " Put a value with spaces in quotation marks."
    return f"{text[:1].lower()}{text[1:]} See {chain} --help."


# -------------------------------------------------------------------------------------------------------- the commands


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="the shell")], /) -> None:
    """Print the script that completes commands, flags and file names in a shell: docs/command-line.md."""
    script = _application(["fit"]).generate_completion(shell=shell)
    script = script.replace("complete -F _elman elman", "complete -o default -F _elman elman")  # files too
    script = re.sub(r"(?m)^( +'(?:\d+:(?! :->)|\*--out\[).*)' \\$", _with_files, script) if shell == "zsh" else script
    print(script)


def _with_files(line: re.Match[str]) -> str:
    return f"{line.group(1)}:_files' \\" if "--out[" in line.group(1) else f"{line.group(1)}:file:_files' \\"


def _application(tokens: Sequence[str]) -> App:
    """All commands."""
    app = App(
        name="elman",
        help="Recurrent networks for sequences of any length: ragged batches, streaming, fast on CPUs.",
        help_epilogue=EXAMPLES,
        help_format="plaintext",
        version=version,
        suppress_keyboard_interrupt=False,
    )
    app.command(fit_commands(tokens))
    for command in (
        predict,
        score,
        update,
        plot,
        stream,
        generate,
        explain,
        align,
        inspect,
        summary,
        info,
        demo,
        completion,
    ):
        app.command(command, help_epilogue="")
    return app
