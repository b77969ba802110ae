"""Sequence to sequence: translation, grapheme to phoneme, question answering, dialogue.

    p(y | x) = prod_t p(y_t | y_1 ... y_{t-1}, x)         network.py: encoder, decoder, attention
    answer = argmax_y log p(y | x) / lp(|y|)              decoding/beam_search.py

Sources and targets have vocabularies of their own: subwords, characters, or tokens (pairs.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.cells.compatibility import reads_symbols
from elman.decoding.beam_search import Found, best_continuations, check_beam
from elman.decoding.repeats import check_no_repeat
from elman.errors import DataError, OptionError, Place, Problem
from elman.features.base import Written
from elman.features.containers import by_name, column_named, column_of, name_of
from elman.features.lists import listed
from elman.features.registry import saved_feature
from elman.features.vocabulary import VocabularyOptions
from elman.io import model_folder as store
from elman.layers.attention import SCORES
from elman.layers.encoder import Encoder
from elman.ops.state import State
from elman.ragged import Ragged
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.holdout import HoldoutOptions
from elman.tasks.base.inputs import count, no_column
from elman.tasks.base.network import encoder_of, finite
from elman.tasks.base.options import EncoderOptions, VectorOptions, flag, tbptt_problems
from elman.tasks.base.resolve import Config, Default, Summary
from elman.tasks.base.session import Session
from elman.tasks.base.task import Task
from elman.tasks.base.top_answers import TopAnswers, check_k, distinct
from elman.tasks.base.training_run import TrainingRun
from elman.tasks.base.word_vectors import coverage, learnt_with_vectors, load_word_vectors, start_from_vectors
from elman.tasks.translate import mt_metrics as overlap
from elman.tasks.translate.alignment import Alignment, marked
from elman.tasks.translate.copying import aligned_places
from elman.tasks.translate.defaults import DEFAULTS
from elman.tasks.translate.network import TranslationNetwork
from elman.tasks.translate.pairs import (
    UNITS,
    Pairs,
    References,
    pairs_between,
    pairs_of,
    references_of,
    restored_side,
    several_names,
    side,
)
from elman.training.batching import batches
from elman.training.options import TrainingOptions
from elman.validation.messages import few, nearest, shown
from elman.validation.options import SIZE, choice, fraction, is_whole, whole

_Floats = NDArray[np.float64]
_STEPS = 1 << 12  # steps of a batch in evaluation: bounds the memory without changing the result
_ROWS = 128  # sequences in a batch of beam search
_LONGEST = 1 << 31  # largest target length that a saved model may claim
_NONE = TopAnswers([], [])
_TIMES = 3  # maximum length of an answer as a multiple of the expected one


@final
@dataclass(kw_only=True, eq=False, repr=False)
class Translator(Task, VocabularyOptions, VectorOptions, EncoderOptions, HoldoutOptions, TrainingOptions):
    """Translates texts to texts, or lists of tokens to lists of tokens.

    ``fit(X, y)`` takes pairs of sources and targets; pairs with an empty source are dropped, since its translation is
    empty. ``score`` is BLEU, from 0 to 100.

    Learnt: ``history_``, ``metrics_`` (on the validation set), ``network_``, ``feature_`` (of the sources),
    ``target_feature_``.

    >>> model = Translator(hidden=8, embed=8, epochs=1, verbose=False).fit(["one cat", "two dogs"], ["un chat", "deux"])
    >>> len(model.predict(["two cats", ""])), model.predict([""])
    (2, [''])
    """

    task: ClassVar[str] = "translate"
    reader_type: ClassVar[None] = None
    description: ClassVar[str] = "Sequence to sequence: translation, grapheme to phoneme, question answering."
    example: ClassVar[str] = "pairs.tsv --input en --target zh"
    answering: ClassVar[tuple[str, ...]] = ("verbose", "beam", "length_penalty", "no_repeat")
    validated_by: ClassVar[str] = "greedy decoding"
    defaults: ClassVar[Mapping[str, Default]] = DEFAULTS

    # data
    input: str | None = None  # the column of a frame with the sources; None: the only one beside the targets
    unit: str = "auto"  # of sources: "parts" (reversible subwords), "characters", "words", "mixed", "subwords",
    #   "spaces"; "auto": characters for a script without spaces and for single words, else parts
    target_unit: str = "auto"  # of targets: the same
    max_words: int = 8000  # maximum vocabulary of either side, the commonest symbols first
    lower: bool = False  # lower-case both sides
    copy_unknown: bool = False  # an answer may have unknown symbols, each replaced by the symbol of the source that the
    #   attention aligns it with (Luong et al. 2015): names, with target_unit="words" or lists of tokens

    # model
    cell: str = "lstm"  # recurrent cell: lstm, gru, rnn, ln_lstm, min_gru, min_lstm, lru
    hidden: int | Sequence[int] = 256  # units per layer and direction, twice as many in the decoder; one number, or
    #   one per layer
    bidirectional: bool = True  # bidirectional encoder
    embed: int = 256  # size of the symbol embeddings
    vectors: str | None = None  # pre-trained vectors that the embeddings of source words start from: a file of
    #   word2vec, GloVe or fastText as text (.vec, .txt, also .gz .xz .zip), from which embed is taken; None: random
    attention: str = "general"  # attention score: "general" or "dot" (Luong et al. 2015)
    tied: bool = True  # tie the output weights to the target embeddings (Press & Wolf 2017)
    dropout: float = 0.2  # dropout rate after each layer, one mask per sequence; 0 turns it off
    head_dropout: float = 0.3  # dropout rate before the output layer, a new mask at every step
    input_dropout: float = 0.3  # dropout rate of the embeddings, a new mask at every step
    symbol_dropout: float = 0.0  # fraction of a sequence's distinct symbols dropped

    # training
    smoothing: float = 0.1  # label smoothing (Szegedy et al. 2016)
    sampling: float = 0.0  # scheduled sampling (Bengio et al. 2015): fraction of the decoder's inputs that are its own
    #   predictions at the end of training; 0: teacher forcing
    learning_rate: float = 2e-3  # peak learning rate, reached at the end of warm-up
    batch_sequences: int | None = None  # maximum number of pairs in a batch; None: 1/64 of the pairs, 8 to 64
    patience: int | None = None  # epochs without a better validation metric before training stops; None: never
    validation: float = 0.05  # fraction of the pairs held out for validation, 0 to 0.5; 0: none

    # output
    beam: int = 5  # beam width; 1: greedy
    length_penalty: float = 1.0  # exponent of the length normalisation (Wu et al. 2016); 0: none
    no_repeat: int = 0  # no so many symbols in a row occur twice in an answer (Paulus et al. 2018); 0: repeats allowed

    def problems(self) -> list[Problem]:
        """What is wrong with the options."""
        found = super().problems() + tbptt_problems(self, every_step=False)
        found += choice(self, "unit", UNITS) + choice(self, "target_unit", UNITS) + choice(self, "attention", SCORES)
        found += whole(self, "max_words") + whole(self, "embed", most=SIZE)
        found += whole(self, "min_count") if self.min_count is not None else []
        if not isinstance(self.input, str | None):
            found.append(Problem("input", shown(self.input), "must be the name of a column, or None"))
        for name in ("head_dropout", "input_dropout", "symbol_dropout", "smoothing", "sampling"):
            found += fraction(self, name)
        found += flag(self, "copy_unknown") + flag(self, "lower") + flag(self, "tied")
        found += check_no_repeat(self.no_repeat)
        return found + reads_symbols(self) + check_beam(self.beam, self.length_penalty)

    # ---- learning

    def _fit(self, run: TrainingRun, reader: None, X: Any, y: Any) -> None:
        sources, targets = pairs_of(*self._columns(X, y, fitted=False))
        training, validation_indices = run.split(len(sources))
        features = self._features([[column[i] for i in training] for column in (sources, targets)])
        self.feature_, self.target_feature_ = features
        x, y = features[0].transform(sources, name="X"), features[1].transform(targets, name="y")
        training, validation_indices = (
            part[x.lengths[torch.from_numpy(part)].numpy() > 0] for part in (training, validation_indices)
        )
        left_out = int((x.lengths == 0).sum())
        data = pairs_between(x[torch.from_numpy(training)], y[torch.from_numpy(training)], self._boundary())
        if not len(training) or not y.steps:
            raise DataError("there is nothing to learn: every source, or every target, is empty. Give pairs of texts.")
        self.most_ = [int(data.targets.lengths.max()), data.targets.steps / data.sources.steps]
        steps, held = data.sources.steps + data.targets.steps, len(validation_indices)
        config = self.config(Summary(sequences=len(training), steps=steps, held_out=held))
        load_word_vectors(self, config, [self.feature_])
        self.learnt_with_ = learnt_with_vectors(config, self.options())
        run.notes.data(self, data.sources.lengths + data.targets.lengths, held, noun="pairs")
        self.network_: TranslationNetwork = run.build(self._network, config)
        self.network_.begin_with(data.targets.values)
        self.data_ = {
            "training pairs": len(training),
            "validation pairs": held,
            "training steps": f"{data.sources.steps} + {data.targets.steps}",
            **({} if self.target_ is None else {"target": self.target_}),
            **coverage(config),
            "epochs planned": int(config.epochs),
            **({"pairs with an empty source, left out": left_out} if left_out else {}),
        }
        validation = [[column[i] for i in validation_indices] for column in (sources, targets)]
        self._train(run, config, data, validation, training)

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
        network = TranslationNetwork(
            int(self.feature_.symbols or 0),
            self._boundary() + 1,
            int(config.embed),
            encoder_of(config, int(config.embed)),
            _decoder(config),
            score=self.attention,
            tied=bool(self.tied),
            dropout=float(self.head_dropout),
            input_dropout=float(self.input_dropout),
            symbol_dropout=float(self.symbol_dropout),
        )
        start_from_vectors(config, self.feature_, network.input)
        return network

    def _train(
        self, run: TrainingRun, config: Config, data: Pairs, validation: list[list[Any]], training: NDArray[np.int64]
    ) -> None:
        lengths = data.sources.lengths + data.targets.lengths
        sampled, copies = 0.0, bool(self.copy_unknown)
        each = run.rows.mean_one(training)

        def schedule(done: float) -> None:
            nonlocal sampled
            sampled = float(self.sampling) * done

        def loss(indices: Tensor) -> Tensor:
            x, inputs, targets = (part[indices] for part in data)
            counts, smoothing = None if each is None else each[indices], float(self.smoothing)
            return self.network_.loss(x, inputs, targets.values, smoothing, sampled, copies, counts)

        def validate() -> dict[str, float]:
            found = self._scores(validation[0], validation[1], beam=1)
            return found | {"loss": found["nats"]}

        check = validate if validation[0] else None
        run.train(self.network_, config, loss, lengths, training, validate=check, metric="bleu", schedule=schedule)

    # ---- answering

    @by_learnt_options
    def predict(self, X: Any, *, beam: int | None = None, length_penalty: float | None = None) -> list[Any]:
        """The translation of each source; empty for an empty one.

        `beam` and `length_penalty` override the options. Symbols outside the vocabulary are read as the unknown one,
        which is never in an answer: with `copy_unknown` a symbol of the source stands in its place. An answer has at
        most as many symbols as the longest training target, or three times the number expected for the length of its
        source, whichever is more.
        """
        sources, found = self._best(X, 1, beam, length_penalty)
        return [self._joined(source, own[0].symbols) for source, own in zip(sources, found, strict=True)]

    @by_learnt_options
    def predict_top(
        self, X: Any, k: int = 5, *, beam: int | None = None, length_penalty: float | None = None
    ) -> TopAnswers:
        """The `k` best translations of each source and their scores, best first; fewer where the search found fewer.

        The score is log p over the length penalty, which beam search maximises. The beam is at least `k`.

        >>> model = Translator(hidden=8, embed=8, epochs=1, verbose=False).fit(["one cat", "two"], ["un chat", "deux"])
        >>> answers, scores = model.predict_top(["two cats", ""], k=2)
        >>> 1 <= len(answers[0]) <= 2, answers[1], scores[0] == sorted(scores[0], reverse=True)
        (True, [''], True)
        """
        wide = self.beam if beam is None else beam
        if not check_beam(wide, 0):
            wide = max(check_k(k), int(wide))
        sources, found = self._best(X, k, wide, length_penalty)
        pairs = zip(sources, found, strict=True)
        joined = [[(self._joined(source, one.symbols), one.score) for one in own] for source, own in pairs]
        return TopAnswers(*map(list, zip(*(distinct(own, k) for own in joined), strict=True))) if joined else _NONE

    def _joined(self, source: Any, symbols: list[int]) -> Any:
        """The answer of symbols, with symbols of the source in place of unknown ones."""
        if 0 not in symbols:
            return self.target_feature_.join(symbols)
        x = self.feature_.transform([source], name="X")
        units: Any = self.feature_.split_units([source]) if isinstance(source, str) else [list(source)]
        places = aligned_places(self.network_, x, symbols, self._boundary())
        return self.target_feature_.join(symbols, [units[0][place] for place in places])

    def _best(
        self, X: Any, k: int, beam: int | None, length_penalty: float | None
    ) -> tuple[list[Any], list[list[Found]]]:
        """The sources, and the best hypotheses of each, at least one."""
        self.check_fitted()
        how = (self.beam if beam is None else beam, self.length_penalty if length_penalty is None else length_penalty)
        if problems := check_beam(*how):
            raise OptionError.of(problems)
        given = self._sources(X)
        sources = self.feature_.transform(given, name="X")
        found: list[list[Found]] = [[Found([], 0.0)] for _ in range(len(sources))]
        lengths = sources.lengths
        order = lengths.argsort(stable=True)  # sequences of similar length finish together
        order = order[lengths[order] > 0]
        for chosen in batches(lengths[order], _STEPS, max_sequences=_ROWS) if len(order) else []:
            places = order[chosen]
            for place, own in zip(places.tolist(), self._searched(sources[places], k, *how), strict=True):
                found[place] = own or found[place]
        return given, found

    @torch.no_grad()
    def _searched(self, sources: Ragged, k: int, beam: int, penalty: float) -> list[list[Found]]:
        """The best hypotheses of some sources."""
        network, boundary = self.network_, self._boundary()
        steps, begin = network.read(sources)

        def advance(last: Tensor, state: State, owner: Tensor) -> tuple[Tensor, State]:
            hidden, after = network.decode(Ragged(last, torch.arange(len(last) + 1)), state)
            rows = torch.bincount(owner, minlength=len(sources)).cumsum(0)
            grouped = Ragged(hidden.values, torch.cat([rows.new_zeros(1), rows]))
            mixed, _ = network.see(grouped, steps)
            logs = torch.log_softmax(finite(network.scores(mixed.values)), 1)
            if not self.copy_unknown:
                logs[:, 0] = -math.inf  # the unknown symbol
            return logs, after

        most, ratio = self.most_
        limits = [max(int(most), math.ceil(_TIMES * ratio * n)) for n in sources.lengths.tolist()]
        how: dict[str, Any] = {"beam": int(beam), "penalty": float(penalty), "no_repeat": int(self.no_repeat)}
        return best_continuations(advance, begin, limits, begin=boundary, end=boundary, count=int(k), **how)

    @by_learnt_options
    def score(self, X: Any, y: Any) -> float:
        """BLEU of the answers, from 0 to 100; `y` as in `evaluate`."""
        return self.evaluate(X, y)["bleu"]

    @by_learnt_options
    def evaluate(self, X: Any, y: Any, *, beam: int | None = None, lower: bool = False) -> dict[str, float]:
        """The scores "bleu" and "chrf" from 0 to 100 (sacrebleu's), "exact", the fraction of exact matches, and the
        negative log-likelihood per symbol of the true targets as "nats" and "perplexity".

        `y` may hold a list of references for a source in place of one target, or name several columns of the frame `X`.

        Texts are compared as ``target_feature_`` reads them: composed (NFC), with single spaces, lower-cased if the
        model is. `lower` compares lower-cased texts. Raises ``DataError`` where there is nothing to score.
        """
        self.check_fitted()
        sources, targets = pairs_of(*self._columns(X, y))
        if not sources:
            raise DataError("there are no pairs to score. Give at least one.")
        return self._scores(sources, targets, beam, lower)

    def _scores(self, X: list[Any], y: list[Any], beam: int | None = None, lower: bool = False) -> dict[str, float]:
        references = self._references(y)
        with references.placed():
            each = self._nll(*references.pairs(X))
        nats = float(each.mean()) if len(each) else 0.0
        scores = self.compared(self.predict(X, beam=beam), y, lower)
        return scores | {"nats": nats, "perplexity": math.exp(min(nats, 700.0))}

    def compared(self, answers: list[Any], y: list[Any], lower: bool = False) -> dict[str, float]:
        """BLEU, chrF and exact matches of any answers, normalised as the targets; `y` as in `evaluate`."""
        references = self._references(y)
        predicted, truth = (self._normalized(column) for column in (answers, references.first))
        return overlap.compared(predicted, truth, lower, [self._normalized(column) for column in references.more])

    def _references(self, y: Sequence[Any]) -> References:
        return references_of(y, self.target_feature_.reads_texts)

    def _normalized(self, column: Sequence[Any]) -> list[Any]:
        """Targets as they are compared; None stays."""
        known = iter(self.target_feature_.normalized([one for one in column if one is not None], name="y"))
        return [None if one is None else next(known) for one in column]

    @torch.no_grad()
    def _nll(self, X: list[Any], y: list[Any]) -> Tensor:
        """-log p of each known target symbol and of the ends, float64; without empty sources."""
        x, targets = self.feature_.transform(X, name="X"), self.target_feature_.transform(y, name="y")
        nonempty = torch.nonzero(x.lengths > 0)[:, 0]
        data = pairs_between(x[nonempty], targets[nonempty], self._boundary())
        made = []
        for chosen in batches(data.sources.lengths + data.targets.lengths, _STEPS) if len(nonempty) else []:
            part, inputs, truth = (side[chosen] for side in data)
            logs = torch.log_softmax(finite(self.network_(part, inputs).double()), 1)
            made.append(-logs.gather(1, truth.values[:, None])[:, 0][truth.values > 0])
        return torch.cat(made) if made else torch.zeros(0, dtype=torch.float64)

    # ---- looking inside

    @by_learnt_options
    @torch.no_grad()
    def align(self, source: Any, target: Any = None) -> Alignment:
        """The attention between `source` and `target` (None: the model's translation): see `Alignment`.

        >>> model = Translator(hidden=8, embed=8, epochs=1, verbose=False).fit(["one", "two"], ["un", "deux"])
        >>> model.align("one", "un").weights.shape
        (2, 3)
        """
        self.check_fitted()
        target = self.predict([source])[0] if target is None else target
        x, y = self.feature_.transform([source], name="source"), self.target_feature_.transform([target], name="target")
        steps, state = self.network_.read(x)
        hidden, _ = self.network_.decode(pairs_between(x, y, self._boundary()).inputs, state)
        _, (weights,) = self.network_.see(hidden, steps)
        source, target = marked(self.feature_, x.values), marked(self.target_feature_, y.values)
        return Alignment(source, target, weights[: y.steps].double().numpy())

    # ---- streaming

    def stream(self, static: Any = None) -> Session:
        """Refused: decoding begins after the whole source."""
        raise OptionError(
            "a translator cannot stream: it reads the whole source, in both directions, before it answers. Give "
            "whole sequences to predict."
        )

    # ---- columns

    def _columns(self, X: Any, y: Any, *, fitted: bool = True) -> tuple[Any, Any]:
        """Sources and targets, from a frame by name; unless `fitted`, sets the names."""
        columns = by_name(X)
        if (
            fitted
            and columns is not None
            and (names := several_names(y, columns, count(next(iter(columns.values()), []))))
        ):
            own = [*zip(*(listed(columns[name], name) for name in names), strict=True)]
            X = columns = {name: column for name, column in columns.items() if name not in names} | {names[0]: own}
            y = names[0]
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
        """The sources of a frame with the targets in its column `target`, or of another container."""
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
        """The inputs and targets, for the model card: lines of text by name."""
        return {"input": self.feature_.describe(), "target": self.target_feature_.describe()}

    def _config(self) -> dict[str, Any]:
        return {
            "source": saved_feature(self.feature_),
            "target": saved_feature(self.target_feature_),
            "most": self.most_,
            "columns": [self.input_, self.target_],
        }

    def _files(self) -> dict[str, str]:
        sides = {"source": self.feature_, "target": self.target_feature_}
        return {f"{name}-{file}": text for name, one in sides.items() for file, text in one.files().items()}

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
    """A unidirectional decoder as wide as the encoder with its directions concatenated."""
    times = 2 if config.bidirectional else 1
    hidden = config.hidden
    wide = times * int(hidden) if is_whole(hidden) else [times * int(width) for width in hidden]
    return encoder_of(Config(**vars(config) | {"hidden": wide, "bidirectional": False}), int(config.embed))
