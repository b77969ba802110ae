"""Every cell, feature, pool and task, once. A row brings all the laws.

A cell, feature or task without a row here brings its own: a cell the function `reference` in its file, a feature the
`COLUMN` and a task the `DATA` of its test. tests/test_table.py names what is missing.

The laws of a task, and the tests that hold each for every task of the table:

- saved = loaded, stream = predict, a session restored at any step, alone = in a batch, hostile input, a diagnosis in
  every precision, a report with the scores of evaluate: tests/laws/test_tasks.py;
- resumed = unbroken: tests/laws/test_resume_law.py;
- options count from the next fit on: tests/laws/test_options_after_fit.py; a second fit is a first one:
  tests/laws/test_second_fit.py;
- a checkpoint that was altered: tests/laws/test_checkpoint_hostile.py; a folder: tests/laws/test_folder_numbers.py;
- command-line round trip, fitted there or in Python, one answer a row: tests/cli/test_tables.py;
- public names are options, fitted attributes and documented methods: tests/laws/test_public_names.py;
- docs page: tests/test_table.py.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from elman import cells, features, nn, tasks
from elman.cells import Cell, Recurrent
from elman.ops import functional as ops
from elman.ops import reference
from elman.ragged import Ragged


def literal(test: str, name: str) -> Any:
    """What a test file assigns to a name; it is read, not run."""
    tree = ast.parse((Path(__file__).parent / test).read_text("utf-8"))
    found = [n for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == name]
    assert found, f"tests/{test} has no {name} = ..."
    return ast.literal_eval(found[0].value)


def file_of(kind: type) -> str:
    """The name of the file or the folder that a class stands in."""
    return kind.__module__.split(".")[2]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A cell, with options that are not its defaults, and its reference under the same options."""

    cell: type[Cell]
    reference: Callable[..., tuple[Any, ...]]
    options: Mapping[str, Any] = field(default_factory=dict)
    bounded: bool = False  # no y is beyond 1, whatever comes in
    blocks: int = 1  # what the width of its steps is a multiple of
    slack: float = 1.0  # how much further from the reference it may be, for a reason that stands beside it

    def make(self, inputs: int, hidden: int, **given: Any) -> Cell:
        """In evaluation, where zoneout is an expectation."""
        return self.cell(inputs, hidden, **self.options, **given).eval()


@dataclass(frozen=True, kw_only=True)
class Twin(Row):
    """A cell beside torch's layer of the same equations, and our drop-in for that layer."""

    cell: type[Recurrent]
    torch: Callable[..., torch.nn.RNNBase]
    drop_in: Callable[..., torch.nn.RNNBase]


#: The cells that torch.nn has too.
TWINS = {
    "rnn": Twin(
        cell=cells.RNN,
        torch=torch.nn.RNN,
        drop_in=nn.RNN,
        reference=partial(reference.rnn, nonlinearity="tanh"),
        bounded=True,
    ),
    "rnn_relu": Twin(
        cell=cells.ReluRNN,
        torch=partial(torch.nn.RNN, nonlinearity="relu"),
        drop_in=partial(nn.RNN, nonlinearity="relu"),
        reference=partial(reference.rnn, nonlinearity="relu"),
    ),
    "lstm": Twin(cell=cells.LSTM, torch=torch.nn.LSTM, drop_in=nn.LSTM, reference=reference.lstm, bounded=True),
    "gru": Twin(cell=cells.GRU, torch=torch.nn.GRU, drop_in=nn.GRU, reference=reference.gru, bounded=True),
}

CELLS: dict[str, Row] = {
    **TWINS,
    "gru_reset_before": Row(cell=cells.ResetBeforeGRU, reference=reference.gru_reset_before, bounded=True),
    "gru_d": Row(cell=cells.GRUD, reference=reference.gru_d, blocks=3),
    "ln_lstm": Row(cell=cells.LayerNormLSTM, reference=reference.ln_lstm),
    "min_gru": Row(cell=cells.MinGRU, reference=reference.min_gru),
    "min_lstm": Row(cell=cells.MinLSTM, reference=reference.min_lstm),
    # The angle of Lambda is rounded once, to 4e-7 of a turn's 2 pi, and is off by that at every further step.
    "lru": Row(cell=cells.LRU, reference=reference.lru, slack=10.0),
    "conv_lstm": Row(cell=cells.ConvLSTM, reference=reference.conv_lstm, bounded=True),
}
CELLS |= {
    name: Row(cell=cell, reference=sys.modules[cell.__module__].reference, blocks=cell.blocks)
    for name, cell in cells.CELLS.items()
    if name not in CELLS
}


def _with(name: str, **options: Any) -> Row:
    return replace(CELLS[name], options=options, reference=partial(CELLS[name].reference, **options))


def _zoned(name: str, *rates: float) -> Row:
    """The cell with zoneout, and its reference step by step: each part of the state keeps its share of the old."""
    plain = CELLS[name].reference

    def zoned(*, x: Any, **given: Any) -> tuple[Any, ...]:
        state = {key: np.asarray(given.pop(key), float) for key in CELLS[name].cell.state_type._fields}
        ys = []
        for row in np.asarray(x):
            _, *new = plain(x=row[None], **given, **state)
            parts = zip(state.items(), new, rates, strict=True)
            state = {key: rate * old + (1 - rate) * made for (key, old), made, rate in parts}
            ys.append(state["hidden"])
        return np.reshape(ys, (len(x), len(state["hidden"]))), *state.values()

    zoned.__signature__ = inspect.signature(plain)  # type: ignore[attr-defined]
    return replace(CELLS[name], options={"zoneout": rates}, reference=zoned)


#: Every cell, and again with each option that changes its equations.
VARIANTS: dict[str, Row] = {
    **CELLS,
    "min_gru_tanh": _with("min_gru", candidate="tanh"),
    "min_gru_positive": _with("min_gru", candidate="positive"),
    "min_lstm_tanh": _with("min_lstm", candidate="tanh"),
    "min_lstm_positive": _with("min_lstm", candidate="positive"),
    "lru_none": _with("lru", activation="none"),
    "rnn_zoneout": _zoned("rnn", 0.2),
    "lstm_zoneout": _zoned("lstm", 0.1, 0.4),
    "gru_zoneout": _zoned("gru", 0.3),
}

#: Each pool and its reference over one sequence.
POOLS = {
    "last": reference.pool_last,
    "mean": reference.pool_mean,
    "max": reference.pool_max,
    "attention": reference.pool_attention,
}

#: Each feature and a column that it takes.
FEATURES: dict[str, list[Any]] = {
    "text": ["a good film", "", "bad"],
    "tokens": [["a", "good", "film"], []],
    "words": [["a", "good", "film"], []],
    "numbers": [[1.5, 2.5], [3.0]],
    "images": [np.ones((3, 4, 5)), np.zeros((1, 4, 5))],
    "sound": [np.ones(4000), np.zeros(0)],
    "chords": [[[60, 64, 67], []], []],
}
FEATURES |= {
    kind: literal(f"features/test_{file_of(feature)}.py", "COLUMN")
    for kind, feature in features.FEATURES.items()
    if kind not in FEATURES
}

#: The features that `infer` takes for another, since only a task can know that they are meant.
INFERRED = {"words": "tokens", "chords": "numbers", "sound": "numbers"}


@dataclass(frozen=True, kw_only=True)
class TaskRow:
    """A task: what its `fit` takes, and the options that make it tiny."""

    data: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    verb: str = ""  # of the task, where the row is another kind of target of it


TINY: dict[str, Any] = {"hidden": 3, "epochs": 1, "seed": 0, "verbose": False}
TEXTS = ["a good film", "a bad film", "good", "bad bad"] * 3
WORDS = [text.split() for text in TEXTS]
NUMBERS = [np.arange(float(n))[:, None] for n in (4, 5, 6, 7)] * 3
SOUNDS = [np.sin(np.arange(40.0 + 3 * i))[:, None] * np.ones(3) for i in range(6)]
FRAME = pl.DataFrame({"unique_id": "a", "ds": range(60), "y": [1.0, 2.0, 4.0] * 20})

#: Each task, by its verb.
TASKS: dict[str, TaskRow] = {
    "classify": TaskRow(data=(TEXTS, ["u", "v"] * 6)),
    "regress": TaskRow(data=(NUMBERS, list(range(12)))),
    "multitask": TaskRow(data=(TEXTS, {"kind": ["u", "v"] * 6, "size": list(range(12))})),
    "forecast": TaskRow(data=(FRAME,), options={"horizon": 3, "season": 3, "experts": 2, "ensemble_size": 1}),
    "tag": TaskRow(data=(WORDS, WORDS), options={"embed": 3}),
    "generate": TaskRow(data=(TEXTS,), options={"embed": 3}),
    "transcribe": TaskRow(data=(SOUNDS, ["ab", "ba", "a"] * 2), options={"channels": 4}),
    "translate": TaskRow(data=(TEXTS, TEXTS[::-1]), options={"embed": 4}),
}
#: What `fit` takes of each task that has no rows in the laws: `DATA` of its own test, often enough for several batches.
DATA: dict[str, tuple[Any, ...]] = {
    verb: tuple(part * 8 for part in literal(f"tasks/{file_of(task)}/test_estimator.py", "DATA"))
    for verb, task in tasks.TASKS.items()
    if verb not in TASKS
}
TASKS |= {verb: TaskRow(data=data) for verb, data in DATA.items()}

#: Every task, and again with each kind of target for which its answers have another form.
TASK_VARIANTS: dict[str, TaskRow] = {
    **TASKS,
    "classify, several labels": TaskRow(verb="classify", data=(TEXTS, [["u", "v"], ["v"], ["u"], []] * 3)),
    "classify, a matrix": TaskRow(verb="classify", data=(NUMBERS, np.array([[0, 1], [1, 1], [1, 0], [0, 0]] * 3))),
}


def fitted(name: str, **options: Any) -> Any:
    """A tiny model of the task."""
    row = TASK_VARIANTS[name]
    return tasks.TASKS[row.verb or name](**{**TINY, **row.options, **options}).fit(*row.data)


#: The instruction sets that were built and that this processor has.
SETS: list[str] = ops.info()["found"]

DTYPES = [torch.float32, torch.float64]

#: Below, at and above the widths of a vector (2 to 16 numbers) and of a panel (64).
HIDDEN = [1, 3, 8, 15, 16, 17, 33, 64, 100]


def pairwise(*choices: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Few combinations in which every two values of two different choices meet at least once.

    The full product would take minutes; a fault that needs three values at once is what hypothesis looks for.

    >>> len(pairwise("ab", "cd", "ef"))
    4
    """
    rows = np.array(list(product(*(range(len(values)) for values in choices))))
    open_pairs = {
        (i, j): np.ones((len(choices[i]), len(choices[j])), dtype=bool) for i, j in combinations(range(len(choices)), 2)
    }
    chosen = []
    while any(pairs.any() for pairs in open_pairs.values()):
        met = sum(pairs[rows[:, i], rows[:, j]].astype(int) for (i, j), pairs in open_pairs.items())
        best = rows[np.argmax(met)]
        for (i, j), pairs in open_pairs.items():
            pairs[best[i], best[j]] = False
        chosen.append(tuple(values[place] for values, place in zip(choices, best, strict=True)))
    return chosen


def ragged(lengths: Sequence[int], width: int, dtype: torch.dtype = torch.float32) -> Ragged:
    """Random sequences of these lengths."""
    return Ragged(torch.randn(sum(lengths), width, dtype=dtype), torch.tensor([0, *lengths]).cumsum(0))
