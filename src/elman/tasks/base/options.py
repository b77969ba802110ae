"""Option groups of several tasks: network and inputs. Each has fields and `problems`, nothing else."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.cells import CELLS
from elman.cells.base import IMAGES, VALUES_MASK_GAP
from elman.cells.compatibility import reads
from elman.errors import Problem
from elman.features import FEATURES, Numbers, Sound
from elman.features.audio import SoundOptions
from elman.features.kinds import KINDS
from elman.features.numbers import NumberOptions
from elman.features.text import TextOptions, tokenizer_problems
from elman.layers.encoder import PRECISIONS, precisions
from elman.layers.pooling import POOLS
from elman.validation.messages import shown
from elman.validation.options import (
    LAYERS,
    SIZE,
    OptionGroup,
    choice,
    fraction,
    is_among,
    is_number,
    is_whole,
    require,
    whole,
    widths,
)


def given_options(options: Any, group: type[Any]) -> dict[str, Any]:
    """The options of an estimator that belong to a group.

    >>> from types import SimpleNamespace
    >>> given_options(SimpleNamespace(rate=8000, window=0.1, hop=0.1, bands=4, scale="none"), SoundOptions)
    {'rate': 8000, 'window': 0.1, 'hop': 0.1, 'bands': 4}
    """
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(group)}


@dataclass(kw_only=True)
class EncoderOptions(OptionGroup):
    """Model."""

    cell: str | None = None  # recurrent cell: lstm, gru, rnn, gru_d, ln_lstm, conv_lstm, min_gru, min_lstm, lru; None:
    #   gru_d where more than half of all numbers are missing, else lstm
    hidden: int | Sequence[int] = 64  # units per layer and direction; one number, or one per layer
    layers: int = 1  # recurrent layers; may stay 1 where hidden lists one width per layer
    bidirectional: bool = False  # bidirectional layers; such a model cannot stream
    dropout: float = 0.3  # dropout rate after each layer, one mask per sequence; 0 turns it off
    max_timescale: float | None = None  # initial time scales of the units: 2 to so many steps; None: the cell's default
    checkpointing: bool = False  # recompute the gates in the backward pass to save memory (gradient checkpointing)
    precision: str = "float32"  # of matrix products; "bfloat16": faster on processors that support it

    def problems(self) -> list[Problem]:
        """What is wrong with these options."""
        found = [] if self.leaves_open("cell") else choice(self, "cell", tuple(CELLS))
        found += choice(self, "precision", PRECISIONS)
        cell = "lstm" if self.cell is None else self.cell
        if not found and self.precision not in precisions(cell):
            what = f"is not made for cell = {cell!r}"
            found.append(Problem("precision", repr(self.precision), what))
        found += whole(self, "layers", most=LAYERS)
        found += [] if self.leaves_open("dropout") else fraction(self, "dropout")
        found += flag(self, "bidirectional") + flag(self, "checkpointing")
        found += [] if self.leaves_open("hidden") else _hidden_problems(self)
        return found + _timescale_problems(self)


def flag(options: Any, name: str) -> list[Problem]:
    """A problem unless an option is True or False, numpy's included."""
    return require(isinstance(getattr(options, name), bool | np.bool_), options, name, "must be True or False")


def _hidden_problems(options: EncoderOptions) -> list[Problem]:
    found = widths(options, "hidden")
    if found or is_whole(options.hidden):
        return found
    listed = len(options.hidden)  # type: ignore[arg-type]
    rule = f"lists {listed} widths, but layers = {shown(options.layers)}"
    return require(options.layers in (1, listed), options, "hidden", rule)


def _timescale_problems(options: EncoderOptions) -> list[Problem]:
    cell: Any = "lstm" if options.leaves_open("cell") else options.cell
    if options.max_timescale is None or not is_among(cell, CELLS):
        return []
    if not is_number(options.max_timescale, 2):
        return require(False, options, "max_timescale", "must be a number of steps of at least 2, or None")
    rule = f"has no meaning for cell = {cell!r}; leave it at None"
    return require(CELLS[cell].spreads, options, "max_timescale", rule)


def tbptt_problems(options: Any, every_step: bool) -> list[Problem]:
    """What is wrong with ``tbptt`` for a task with one loss per sequence, or one per step.

    >>> from types import SimpleNamespace
    >>> print(*tbptt_problems(SimpleNamespace(tbptt=8, bidirectional=True), every_step=True))
    tbptt = 8 needs bidirectional = False: no state is carried backwards
    """
    if not is_whole(options.tbptt):  # 0, or refused by TrainingOptions
        return []
    if not every_step:
        one = f"{type(options).__name__} has one loss for a whole sequence, whose gradient would reach its end only"
        why = f"must be 0: {one} (checkpointing = True takes little memory for long ones)"
        return [Problem("tbptt", str(options.tbptt), why)]
    if options.bidirectional is True:
        return [Problem("tbptt", str(options.tbptt), "needs bidirectional = False: no state is carried backwards")]
    return []


def reads_gaps(options: Any) -> bool:
    """Whether the cell reads values, mask and gap, which steps must then have.

    >>> from types import SimpleNamespace
    >>> reads_gaps(SimpleNamespace(cell="gru_d")), reads_gaps(SimpleNamespace(cell=None))
    (True, False)
    """
    return reads(options.cell) == VALUES_MASK_GAP


@dataclass(kw_only=True)
class VectorOptions(OptionGroup):
    """Model."""

    vectors: str | None = None  # pre-trained vectors that the embeddings of words start from: a file of word2vec, GloVe
    #   or fastText as text (.vec, .txt, also .gz .xz .zip), from which embed is taken; None: random ones

    def problems(self) -> list[Problem]:
        """What is wrong with this option."""
        given: Any = self.vectors
        good = given is None or isinstance(given, os.PathLike) or (isinstance(given, str) and given)
        return require(good, self, "vectors", "must be the name of a file of word vectors, or None")


@dataclass(kw_only=True, eq=False, repr=False)
class ColumnOptions:
    """Data."""

    input: str | Sequence[str] | None = None  # the column of a frame to read, or several; None: all but the target
    features: dict[str, str] | None = None  # kinds of columns by name: "text", "tokens", "words", "numbers" (one per
    #   step), "number", "category" (one per sequence), "skip"; None, and unnamed columns: inferred
    feature: str = "auto"  # what a step is: "text", "tokens", "words", "numbers", "images", "sound"; "auto": inferred;
    #   texts that all name sound files are sound


#: The options of features, which estimators show as fields of their own.
FEATURE_OPTIONS = (TextOptions, SoundOptions, NumberOptions)


@dataclass(kw_only=True)
class InputOptions(SoundOptions, NumberOptions, TextOptions, ColumnOptions, VectorOptions):
    """Texts and tokens."""

    lower: bool | None = None  # lower-case texts and tokens; None: texts yes, tokens no
    fill: str | None = None  # type: ignore[assignment]  # in gaps: "mean", "median", "last", "next", "linear",
    #   "seasonal", "constant"; None: "last"
    # model
    embed: int = 64  # size of the embedding of a symbol or an image; unused for numbers
    symbol_dropout: float | None = None  # fraction of a sequence's distinct symbols dropped (Gal & Ghahramani 2016);
    #   None: 0.4, and 0 for the letters of an alphabet
    channels: int | Sequence[int] | None = None  # widths of convolutions; 0: none; None: 64, 64 to classify numbers
    kernel: int = 5  # width of the convolutions in steps
    stride: int = 1  # stride of each convolution; 2 halves the number of steps, for long signals
    pool: str | None = None  # pooling over steps: "last", "mean", "max", "attention", or several joined by "+"; None:
    #   "mean+max+last" where cell = None chose gru_d, else "attention"
    head_dropout: float = 0.5  # dropout rate of the pooled row (Srivastava et al. 2014); 0 turns it off

    def problems(self) -> list[Problem]:
        """What is wrong with these options."""
        kinds, units = ("auto", *FEATURES), ("auto", "words", "characters", "mixed", "subwords", "spaces")
        found = choice(self, "feature", kinds) + choice(self, "unit", units)
        found += Sound(**given_options(self, SoundOptions)).problems() + _number_problems(self)
        found += tokenizer_problems(self)
        found += whole(self, "max_words")
        found += [] if self.leaves_open("embed") else whole(self, "embed", most=SIZE)
        found += whole(self, "min_count") if self.min_count is not None else []
        found += [] if self.leaves_open("head_dropout") else fraction(self, "head_dropout")
        found += fraction(self, "symbol_dropout") if self.symbol_dropout is not None else []
        found += _pool_problems(self) + _front_problems(self)
        found += require(
            self.lower is None or isinstance(self.lower, bool), self, "lower", "must be True, False or None"
        )
        names = [self.input] if isinstance(self.input, str) else self.input
        named = names is None or (isinstance(names, list | tuple) and names and are_texts(names))
        found += require(named, self, "input", "must be the name of a column, a list of such names, or None")
        return found + _features_problems(self)


def are_texts(names: Any) -> bool:
    """Whether all of these are texts.

    >>> are_texts(["a", "b"]), are_texts([1])
    (True, False)
    """
    return all(isinstance(name, str) for name in names)


def _pool_problems(options: InputOptions) -> list[Problem]:
    pool: Any = options.pool
    pools = pool.split("+") if isinstance(pool, str) else [None]
    good = pool is None or (set(pools) <= set(POOLS) and len(set(pools)) == len(pools))
    return require(good, options, "pool", f"must be one of {', '.join(POOLS)}, or some of them joined by '+'")


def _features_problems(options: InputOptions) -> list[Problem]:
    given: Any = options.features
    if given is None:
        return []
    if not isinstance(given, Mapping) or not are_texts(given):
        rule = "must be a dict from the name of a column to what it is, or None"
        return require(False, options, "features", rule)
    wrong = {name: kind for name, kind in given.items() if kind not in KINDS}
    rule = f"must be one of {', '.join(KINDS)}"
    return [Problem("features", f"{{{name!r}: {shown(kind)}}}", rule) for name, kind in wrong.items()]


def _number_problems(options: Any) -> list[Problem]:
    """What is wrong with the options of numbers."""
    given = given_options(options, NumberOptions)
    found = Numbers(**given | {"fill": "last" if options.fill is None else options.fill}).problems()
    if reads_gaps(options):
        refused = [name for name in ("mask", "gap") if getattr(options, name) is False]
        found += [Problem(name, "False", f": cell = {options.cell!r} reads the mask and the gap") for name in refused]
    return found


def _front_problems(options: Any) -> list[Problem]:
    found, channels = whole(options, "kernel", most=SIZE) + whole(options, "stride", most=SIZE), options.channels
    several = isinstance(channels, list | tuple | np.ndarray)
    if (several or not (channels is None or is_whole(channels, 0, 0))) and widths(options, "channels"):
        many = f"a whole number from 1 to {SIZE} for each of up to {LAYERS} layers"
        return found + require(False, options, "channels", f"must be 0, {many}, or None")
    if found or not (several or channels):
        return found
    every_step = getattr(options, "every_step", False)
    found += require(not every_step or options.stride == 1, options, "stride", "must be 1 for an answer at every step")
    why = {IMAGES: "convolves itself", VALUES_MASK_GAP: "reads the mask and the gap"}.get(reads(options.cell))
    found += require(why is None, options, "channels", f"must be 0 for cell = {options.cell!r}, which {why}")
    if options.tbptt:
        found.append(Problem("tbptt", str(options.tbptt), "needs channels = 0: a convolution reads beyond the chunk"))
    return found
