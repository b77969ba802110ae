"""From one sequence to another: translation, spelling to sound, question to answer, the next turn of a dialogue.

    p(y | x) = prod_t p(y_t | y_1 ... y_{t-1}, x)         tasks/translation.py: encoder, decoder, attention between them
    answer = argmax_y log p(y | x) / lp(|y|)              beam.py: searched with a beam

Sources and targets each have their own symbols: parts of words, characters, or tokens (sides.py).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.cells.compatibility import reads_symbols
from elman.decoding.beam_search import beam_search, check_beam
from elman.errors import DataError, OptionError, Place, Problem
from elman.features.base import Written
from elman.features.containers import by_name, column_named, column_of, few, name_of, nearest
from elman.features.lists import listed
from elman.features.vocabulary import VocabularyOptions
from elman.io import model_folder as store
from elman.layers.attention import SCORES
from elman.layers.encoder import Encoder
from elman.ops.state import State
from elman.ragged import Ragged
from elman.tasks.base.finite import finite
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.holdout import held_out
from elman.tasks.base.inputs import no_column
from elman.tasks.base.network import encoder_of
from elman.tasks.base.options import EncoderOptions, tbptt_problems
from elman.tasks.base.resolve import Config, Default, Summary
from elman.tasks.base.session import Session
from elman.tasks.base.task import Task
from elman.tasks.base.training_run import TrainingRun
from elman.tasks.translate import mt_metrics as overlap
from elman.tasks.translate.alignment import Alignment, marked
from elman.tasks.translate.defaults import DEFAULTS
from elman.tasks.translate.network import TranslationNetwork
from elman.tasks.translate.pairs import (
    UNITS,
    Pairs,
    pairs_between,
    pairs_of,
    restored_side,
    saved_side,
    side,
)
from elman.training.batching import batches
from elman.training.options import TrainingOptions
from elman.validation.messages import shown
from elman.validation.options import SIZE, choice, is_whole, share, whole

__all__ = ["Translator"]

_Floats = NDArray[np.float64]
_STEPS = 1 << 12  # steps of a batch where nothing is learnt: bounds the memory, the answers do not depend on it
_ROWS = 128  # sequences that are searched together
_LONGEST = 1 << 31  # symbols that a saved model may say its targets had
_TIMES = 3  # an answer may be so much longer than targets are for sources of its length


@final
@dataclass(kw_only=True, eq=False, repr=False)
class Translator(Task, VocabularyOptions, EncoderOptions, TrainingOptions):
    """From texts to texts, or lists of tokens to lists of tokens, learnt from pairs.

    ``fit(X, y)`` takes as many sources as targets; pairs with an empty source are left out, since the answer to nothing
    is nothing. ``score`` is BLEU, from 0 to 100.

    Learnt: ``history_``, ``metrics_`` (of the validation part), ``network_``, ``feature_`` (of the sources),
    ``target_feature_``.

    >>> model = Translator(hidden=8, embed=8, epochs=1, verbose=False).fit(["one cat", "two dogs"], ["un chat", "deux"])
    >>> len(model.predict(["two cats", ""])), model.predict([""])
    (2, [''])
    """

    task: ClassVar[str] = "translate"
    description: ClassVar[str] = "From one sequence to another: translation, spelling to sound, question to answer."
    example: ClassVar[str] = "pairs.tsv --input en --target zh"
    answering: ClassVar[tuple[str, ...]] = ("verbose", "beam", "length_penalty")
    validated_by: ClassVar[str] = "greedy decoding, without the beam"
    defaults: ClassVar[Mapping[str, Default]] = DEFAULTS

    # data
    input: str | None = None  # the column of a frame with the sources; None: the only one beside the targets
    unit: str = "auto"  # of sources: "parts" of words, "characters", "words", "mixed", "subwords"; "auto": characters
    #   for a script without spaces and for single words, else parts
    target_unit: str = "auto"  # of targets: the same
    max_words: int = 8000  # most symbols of either side, the commonest first
    lower: bool = False  # lower-case both sides

    # model
    cell: str = "lstm"  # a name of `elman.cells.CELLS` that reads vectors: lstm, gru, rnn, min_gru ...
    hidden: int | Sequence[int] = 256  # units of a layer and direction, twice as many in the decoder; one number, or
    #   one per layer
    bidirectional: bool = True  # the encoder also reads backwards
    embed: int = 256  # numbers in the learnt vector of a symbol
    attention: str = "general"  # how the decoder looks at the source: "general" or "dot" (Luong et al. 2015)
    tied: bool = True  # the vectors of target symbols are also the weights of the last layer (Press & Wolf 2017)
    dropout: float = 0.2  # share of h set to zero after each layer, one mask per sequence; 0 turns it off
    head_dropout: float = 0.3  # share of what the last layer reads set to zero, at every step anew
    input_dropout: float = 0.3  # share of the vectors of symbols set to zero, at every step anew
    symbol_dropout: float = 0.0  # share of a sequence's distinct symbols that are left out

    # training
    smoothing: float = 0.1  # share of the truth given to all symbols alike (label smoothing, Szegedy et al. 2016)
    sampling: float = 0.0  # share of the decoder's inputs that are its own answers (scheduled sampling, Bengio et al.
    #   2015), reached at the end of training; 0: always the true ones
    learning_rate: float = 2e-3  # the highest rate, reached when the warm-up ends
    batch_sequences: int | None = None  # pairs in a batch, at most; None: 1/64 of the pairs, 8 to 64
    patience: int | None = None  # epochs without a better validation metric before training stops; None: never
    validation: float = 0.05  # share of the pairs held out to choose the best epoch, 0 to 0.5; 0: none

    # output
    beam: int = 5  # beginnings of an answer that are kept open; 1: always the likeliest symbol
    length_penalty: float = 1.0  # how much longer answers are preferred (Wu et al. 2016); 0: not at all

    def problems(self) -> list[Problem]:
        """Everything that is wrong with the options, a sentence each."""
        found = (
            super().problems()
            + tbptt_problems(self, every_step=False)
            + choice(self, "unit", UNITS)
            + choice(self, "target_unit", UNITS)
        )
        found += choice(self, "attention", SCORES) + whole(self, "max_words") + whole(self, "embed", most=SIZE)
        found += whole(self, "min_count") if self.min_count is not None else []
        if not isinstance(self.input, str | None):
            found.append(Problem("input", shown(self.input), "must be the name of a column, or None"))
        for name in ("head_dropout", "input_dropout", "symbol_dropout", "smoothing", "sampling"):
            found += share(self, name)
        for name in ("lower", "tied"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                found.append(Problem(name, shown(getattr(self, name)), "must be True or False"))
        return found + reads_symbols(self) + check_beam(self.beam, self.length_penalty)

    # ---- learning

    def fit(self, X: Any, y: Any, *, out: str | os.PathLike[str] | None = None, resume: bool = False) -> Self:
        """Learns pairs of sources `X` and targets `y`: a list each, or the name of a column of the frame `X`.

        `out` is the folder that `save` will be given: a checkpoint is written into it after every epoch. With `resume`
        a fit that died goes on from there, to the same weights as if it had not.

        Raises ``OptionError`` for all options that cannot be, ``DataError`` for data that cannot be used, naming the
        sequence, and ``TrainingError`` if the loss becomes NaN (what was learnt until then stays usable).
        """
        run = self.training_run(out, resume)
        sources, targets = pairs_of(*self._columns(X, y, fitted=False))
        rest = held_out(None, len(sources), self.validation, run.seed)
        training = np.setdiff1d(np.arange(len(sources)), rest)
        features = self._features([[column[i] for i in training] for column in (sources, targets)])
        self.feature_, self.target_feature_, self.learnt_with_ = *features, self.options()
        x, y = features[0].transform(sources, name="X"), features[1].transform(targets, name="y")
        training, rest = (part[x.lengths[torch.from_numpy(part)].numpy() > 0] for part in (training, rest))
        left_out = len(sources) - len(training) - len(rest)
        data = pairs_between(x[torch.from_numpy(training)], y[torch.from_numpy(training)], self._boundary())
        if not len(training) or not y.steps:
            raise DataError("there is nothing to learn: every source, or every target, is empty. Give pairs of texts.")
        self.most_ = [int(data.targets.lengths.max()), data.targets.steps / data.sources.steps]
        config = self.config(
            Summary(sequences=len(training), steps=data.sources.steps + data.targets.steps, held_out=len(rest))
        )
        self.network_: TranslationNetwork = run.build(self._network, config)
        self.network_.begin_with(data.targets.values)
        self.data_ = {
            "training pairs": len(training),
            "validation pairs": len(rest),
            "training steps": f"{data.sources.steps} + {data.targets.steps}",
            **({} if self.target_ is None else {"target": self.target_}),
            "epochs planned": int(config.epochs),
            **({"pairs with an empty source, left out": left_out} if left_out else {}),
        }
        held = [[column[i] for i in rest] for column in (sources, targets)]
        self._train(run, config, data, held, training)
        return self

    def _features(self, columns: Sequence[list[Any]]) -> list[Written]:
        least = None if self.min_count is None else int(self.min_count)
        parts = zip(("X", "y"), columns, (self.unit, self.target_unit), strict=True)
        return [
            side(column, unit, int(self.max_words), least, bool(self.lower), name).fit(column, name=name)
            for name, column, unit in parts
        ]

    def _boundary(self) -> int:
        """The symbol before and after a target."""
        return int(self.target_feature_.symbols or 0)

    def _network(self, config: Config) -> TranslationNetwork:
        return TranslationNetwork(
            int(self.feature_.symbols or 0),
            self._boundary() + 1,
            int(self.embed),
            encoder_of(config, int(self.embed)),
            _decoder(config),
            score=self.attention,
            tied=bool(self.tied),
            dropout=float(self.head_dropout),
            input_dropout=float(self.input_dropout),
            symbol_dropout=float(self.symbol_dropout),
        )

    def _train(
        self, run: TrainingRun, config: Config, data: Pairs, held: list[list[Any]], training: NDArray[np.int64]
    ) -> None:
        lengths = data.sources.lengths + data.targets.lengths
        sampled = 0.0

        def schedule(done: float) -> None:
            nonlocal sampled
            sampled = float(self.sampling) * done

        def loss(indices: Tensor) -> Tensor:
            x, inputs, targets = (part[indices] for part in data)
            return self.network_.loss(x, inputs, targets.values, float(self.smoothing), sampled)

        def validate() -> dict[str, float]:
            found = self._measured(held[0], held[1], beam=1)
            return found | {"loss": found["nats"]}

        run.train(
            self.network_,
            config,
            loss,
            lengths,
            training,
            validate=validate if held[0] else None,
            metric="bleu",
            schedule=schedule,
        )

    # ---- answering

    @by_learnt_options
    def predict(self, X: Any, *, beam: int | None = None, length_penalty: float | None = None) -> list[Any]:
        """The best target that is found for each source; nothing for an empty one.

        `beam` and `length_penalty` stand in for the options of these names. A symbol that training never showed is read
        as the unknown one, which is never said. An answer has at most as many symbols as the longest target of the
        training, or three times as many as targets have for sources of its length, whichever is more.
        """
        self.check_fitted()
        how = (self.beam if beam is None else beam, self.length_penalty if length_penalty is None else length_penalty)
        if problems := check_beam(*how):
            raise OptionError.of(problems)
        sources = self.feature_.transform(self._sources(X), name="X")
        said: list[list[int]] = [[] for _ in range(len(sources))]
        lengths = sources.lengths
        order = lengths.argsort(stable=True)  # those of like length end together
        order = order[lengths[order] > 0]
        for chosen in batches(lengths[order], _STEPS, max_sequences=_ROWS) if len(order) else []:
            places = order[chosen]
            for place, symbols in zip(places.tolist(), self._searched(sources[places], *how), strict=True):
                said[place] = symbols
        return [self.target_feature_.join(symbols) for symbols in said]

    @torch.no_grad()
    def _searched(self, sources: Ragged, beam: int, penalty: float) -> list[list[int]]:
        """The symbols that are said of some sources."""
        network, boundary = self.network_, self._boundary()
        read = network.read(sources)

        def advance(last: Tensor, state: State, owner: Tensor) -> tuple[Tensor, State]:
            hidden, after = network.decode(Ragged(last, torch.arange(len(last) + 1)), state)
            rows = torch.bincount(owner, minlength=len(sources)).cumsum(0)
            grouped = Ragged(hidden.values, torch.cat([rows.new_zeros(1), rows]))
            mixed, _ = network.see(grouped, read.steps)
            logs = torch.log_softmax(finite(network.scores(mixed.values)), 1)
            logs[:, 0] = -math.inf  # the unknown symbol
            return logs, after

        most, ratio = self.most_
        limits = [max(int(most), math.ceil(_TIMES * ratio * n)) for n in sources.lengths.tolist()]
        found = beam_search(
            advance, read.state, limits, begin=boundary, end=boundary, beam=int(beam), penalty=float(penalty)
        )
        return [one.symbols for one in found]

    @by_learnt_options
    def score(self, X: Any, y: Any) -> float:
        """BLEU of the answers, from 0 to 100."""
        return self.evaluate(X, y)["bleu"]

    @by_learnt_options
    def evaluate(self, X: Any, y: Any, *, beam: int | None = None, lower: bool = False) -> dict[str, float]:
        """How good the answers are: "bleu" and "chrf" from 0 to 100 (sacrebleu's), "exact", the share that is right
        throughout, and the surprise at each symbol of the true targets, "nats" and "perplexity".

        Targets are compared as ``target_feature_`` reads them: composed (NFC), with single spaces, lower-cased if the
        model is. `lower` compares lower-cased texts. Raises ``DataError`` where there is nothing to score.
        """
        self.check_fitted()
        sources, targets = pairs_of(*self._columns(X, y))
        if not sources:
            raise DataError("there are no pairs to score. Give at least one.")
        return self._measured(sources, targets, beam, lower)

    def _measured(self, X: list[Any], y: list[Any], beam: int | None = None, lower: bool = False) -> dict[str, float]:
        each = self._nll(X, y)
        nats = float(each.mean()) if len(each) else 0.0
        return {
            **self.compared(self.predict(X, beam=beam), y, lower),
            "nats": nats,
            "perplexity": math.exp(min(nats, 700.0)),
        }

    def compared(self, answers: list[Any], y: list[Any], lower: bool = False) -> dict[str, float]:
        """How much of the true targets stands in answers, whoever gave them, both as the target side reads them."""
        told, truth = (self.target_feature_.normalized(column, name="y") for column in (answers, y))
        return overlap.compared(told, truth, lower)

    @torch.no_grad()
    def _nll(self, X: list[Any], y: list[Any]) -> Tensor:
        """-log p of each known target symbol, float64, the ends among them; of empty sources none."""
        x, targets = self.feature_.transform(X, name="X"), self.target_feature_.transform(y, name="y")
        kept = torch.nonzero(x.lengths > 0)[:, 0]
        data = pairs_between(x[kept], targets[kept], self._boundary())
        made = []
        for chosen in batches(data.sources.lengths + data.targets.lengths, _STEPS) if len(kept) else []:
            part, inputs, truth = (side[chosen] for side in data)
            logs = torch.log_softmax(finite(self.network_(part, inputs).double()), 1)
            made.append(-logs.gather(1, truth.values[:, None])[:, 0][truth.values > 0])
        return torch.cat(made) if made else torch.zeros(0, dtype=torch.float64)

    # ---- looking inside

    @by_learnt_options
    @torch.no_grad()
    def align(self, source: Any, target: Any = None) -> Alignment:
        """Where the decoder looks in `source` while it says `target` (None: its own answer): see `Alignment`.

        >>> model = Translator(hidden=8, embed=8, epochs=1, verbose=False).fit(["one", "two"], ["un", "deux"])
        >>> model.align("one", "un").shares.shape
        (2, 3)
        """
        self.check_fitted()
        target = self.predict([source])[0] if target is None else target
        x, y = self.feature_.transform([source], name="source"), self.target_feature_.transform([target], name="target")
        read = self.network_.read(x)
        hidden, _ = self.network_.decode(pairs_between(x, y, self._boundary()).inputs, read.state)
        _, (shares,) = self.network_.see(hidden, read.steps)
        return Alignment(
            marked(self.feature_, x.values), marked(self.target_feature_, y.values), shares[: y.steps].double().numpy()
        )

    # ---- streaming

    def stream(self) -> Session:
        """Refused: the answer to a sequence begins when all of it is there."""
        raise OptionError(
            "a translator cannot stream: its answer begins when the whole source was read, in both directions. Give "
            "whole sequences to predict."
        )

    # ---- columns

    def _columns(self, X: Any, y: Any, *, fitted: bool = True) -> tuple[Any, Any]:
        """Sources and targets, from a frame by their names; before it is `fitted` the names are learnt."""
        columns = by_name(X)
        target = named = column_named(y, columns)
        if named is None:
            target = name_of(y)
        elif columns is None:
            raise DataError(f"is one text, {shown(y)}. Give a list with a target for each source.", at=Place("y"))
        elif named not in columns:
            raise DataError(f"y = {y!r} is no column of X, which has {few(list(columns))}.{nearest(named, columns)}")
        else:
            y = columns[named]
        if not fitted:
            self.input_, self.target_ = self._source_of(columns, target), target
        return self._sources(X, target), column_of(y, type(self.target_feature_) if fitted else None, "y")

    def _sources(self, X: Any, target: str | None = None) -> list[Any]:
        """The sources of a frame, whose column `target` has the targets, or of anything else."""
        if isinstance(X, str):
            raise DataError(f"X is one text, {shown(X)}. Wrap it in a list: [{shown(X)}].")
        reader = type(self.feature_) if hasattr(self, "feature_") else None
        columns = by_name(X)
        if columns is not None:
            name = self.input_ or self._source_of(columns, target or self.target_)
            if name not in columns:
                raise no_column(name, list(columns), "sources")
            X = columns[name]
        return listed(column_of(X, reader), "X")

    def _source_of(self, columns: Mapping[str, Any] | None, target: str | None) -> str | None:
        """The column that holds the sources: the option `input`, or the only one beside the targets."""
        if columns is None:
            return None
        others = [name for name in columns if name != target]
        name = self.input or (others[0] if len(others) == 1 else None)
        if name is None or name not in columns:
            raise no_column(name, list(columns), "sources")
        if name == target:
            raise OptionError(f"input = {name!r} is the column with the targets. Name the one with the sources.")
        return name

    # ---- on disk

    def described(self) -> dict[str, Any]:
        """What the model reads and says, for its card: lines of text by name."""
        return {"input": self.feature_.describe(), "target": self.target_feature_.describe()}

    def _config(self) -> dict[str, Any]:
        return {
            "source": saved_side(self.feature_, "source")[0],
            "target": saved_side(self.target_feature_, "target")[0],
            "most": self.most_,
            "columns": [self.input_, self.target_],
        }

    def _files(self) -> dict[str, str]:
        sides = (("source", self.feature_), ("target", self.target_feature_))
        return {k: v for name, one in sides for k, v in saved_side(one, name)[1].items()}

    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        self.feature_ = restored_side(config["source"], files, "source")
        self.target_feature_ = restored_side(config["target"], files, "target")
        most, ratio = config["most"]
        if not is_whole(most) or not isinstance(ratio, float) or not 0 < ratio < _LONGEST or most > _LONGEST:
            raise ValueError("most")
        if not all(isinstance(name, str | None) for name in config["columns"]):
            raise ValueError("columns")
        self.most_ = [int(most), ratio]
        self.input_, self.target_ = config["columns"]
        self.network_ = store.network(lambda: self._network(self.config()), tensors, folder)


def _decoder(config: Config) -> Encoder:
    """One direction, as wide as the encoder with both of its."""
    times = 2 if config.bidirectional else 1
    hidden = config.hidden
    wide = times * int(hidden) if is_whole(hidden) else [times * int(width) for width in hidden]
    return encoder_of(Config(**vars(config) | {"hidden": wide, "bidirectional": False}), int(config.embed))
