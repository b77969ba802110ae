"""A language model: what comes next, symbol by symbol; it scores texts and writes new ones.

    x = [B, s_1, ..., s_n],  y = [s_1, ..., s_n, B]         B: where a document begins and ends
    p(y_t | x_1 ... x_t) = softmax(z_t)                     tasks/language.py
    nats = mean_t -log p(y_t | x_1 ... x_t)                 bits = nats / log 2, perplexity = exp(nats)

Texts longer than `strand` steps are cut into strands that are learnt side by side, `tbptt` steps at a time, the state
carried on (Williams & Peng 1990; Mikolov 2012).
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman import store
from elman.diagnose import Probe
from elman.errors import DataError, OptionError
from elman.features import Feature, Text, Tokens, infer
from elman.features.base import is_frame, listed, shown
from elman.history import History
from elman.options import choice, is_whole, share, whole
from elman.ragged import Ragged
from elman.sampling import Sampling
from elman.strands import Strands, strands
from elman.stream import Session, counted, flat, nested
from elman.tasks.base import Task, held_out
from elman.tasks.generate_rows import GenerateRows
from elman.tasks.language import LanguageLoss, LanguageNetwork, surprises
from elman.verse import END

__all__ = ["Generator", "Next"]

_Floats = NDArray[np.float64]
#: Which symbols may come next: from the symbols of the text so far, and all there are; None: any.
Form = Callable[[Sequence[str], Sequence[str]], "Collection[str] | None"]
_UPDATES = 500  # batches that are learnt from, at least
_MANY = 1000  # symbols, from which on vectors and last layer share their weights
_SHOWN = 10  # symbols that the answer of a stream names


class Next(NamedTuple):
    """What a language model says after the steps so far."""

    symbol: str  # the likeliest next
    probabilities: dict[str, float]  # of the ten likeliest
    nats: float  # the surprise at all steps so far, together
    steps: int  # how many steps were fed


@dataclass(kw_only=True, eq=False, repr=False)
class Generator(GenerateRows, Task):
    """A language model of texts, or of lists of tokens.

    `fit` takes one text or many (a list, or a column of a frame). Of several, each is a document with a beginning and
    an end; a single one has no end that could be learnt. ``score`` is minus the nats per symbol.

    Learnt: ``history_``, ``metrics_`` (of the validation part: a tenth of the documents, or the end of a single one),
    ``network_``, ``feature_``, ``ends_`` (whether documents end).

    >>> model = Generator(hidden=8, embed=8, epochs=1, verbose=False).fit(["to be or not to be"])
    >>> len(model.generate("to", length=5, seed=0))
    7
    """

    task: ClassVar[str] = "generate"
    says: ClassVar[str] = "What comes next: scores texts and writes new ones."
    most_epochs: ClassVar[int] = 30

    # what a step is
    input: str | None = None  # the column of a frame to read; None: the only one
    unit: str = "characters"  # of texts: "characters", "words", "mixed", "subwords"
    max_words: int = 30_000  # most symbols kept, the commonest first
    min_count: int | None = None  # symbols seen less often are unknown; None: 2 from 100 000 training steps, else 1
    lower: bool = False  # lower-case texts

    # the network
    hidden: int | Sequence[int] = 512  # units of a layer; one number, or one per layer
    embed: int = 128  # numbers in the learnt vector of a symbol
    tied: bool | None = None  # the vectors of symbols are also the weights of the last layer; None: from 1000 symbols
    dropout: float = 0.2  # share of h set to zero after each layer, one mask per sequence; 0 turns it off
    head_dropout: float = 0.2  # share of h set to zero before the last layer, at every step anew
    input_dropout: float = 0.0  # share of a strand's distinct symbols that are left out
    activation: float = 0.0  # weight of the mean square of h in the loss, 2 in AWD-LSTM (Merity et al. 2018)
    change: float = 0.0  # weight of the mean square of h_t - h_{t-1} in the loss, 1 in AWD-LSTM

    # how it learns, where that differs from other tasks
    tbptt: int = 128  # steps over which the gradient reaches back (truncated, state carried on); 0: the whole strand
    strand: int | None = None  # most steps of a strand; longer texts are cut into several, learnt side by side; None:
    #   a quarter of what a batch of strands would need to hold all texts, at least tbptt
    batch_sequences: int | None = None  # strands in a batch, at most; None: steps / 8192, 4 to 32

    def problems(self) -> list[str]:
        """Everything that is wrong with the options, a sentence each."""
        found = super().problems() + choice(self, "unit", ("characters", "words", "mixed", "subwords"))
        found += whole(self, "max_words") + whole(self, "embed")
        found += whole(self, "min_count") if self.min_count is not None else []
        found += whole(self, "strand") if self.strand is not None else []
        found += share(self, "head_dropout") + share(self, "input_dropout")
        for name, others in (("lower", ""), ("tied", ", or None")):
            value: Any = getattr(self, name)
            if not (isinstance(value, bool | np.bool_) or (others and value is None)):
                found.append(f"{name} = {value!r} must be True or False{others}")
        for name in ("activation", "change"):
            value = getattr(self, name)
            good = isinstance(value, int | float | np.number) and not isinstance(value, bool) and 0 <= value < math.inf
            found += [] if good else [f"{name} = {value!r} must be a number of at least 0"]
        if self.bidirectional:
            found.append("bidirectional = True: a language model reads in one direction, or it would see the answer")
        return found

    def _tbptt_problems(self) -> list[str]:
        return []

    def planned(self, sequences: int, steps: int, updates: int = 0) -> Self:
        """The same options with the lengths of the training chosen, where they are None: epochs from 8 to 30.

        ::

            epochs = 18 (1 000 000 / steps)^(1/3)          batch_steps = batch_sequences tbptt

        With `updates` there are at least so many batches in all, in up to 200 epochs.
        """
        side = self._side_by_side(steps)
        chosen: dict[str, Any] = {"batch_sequences": side}
        if self.epochs is None:
            chosen["epochs"] = min(self.most_epochs, max(8, round(18 * (1_000_000 / max(1, steps)) ** (1 / 3))))
        if self.batch_steps is None:
            chosen["batch_steps"] = max(1, side * int(self.tbptt or steps))
        if updates and self.epochs is None:
            batches = max(1, -(-steps // min(chosen.get("batch_steps", steps), max(1, steps))))
            chosen["epochs"] = max(chosen["epochs"], min(200, -(-updates // batches)))
        if self.patience is not None:
            chosen["patience"] = max(self.patience, int(chosen.get("epochs") or self.epochs or 0) // 4)
        return dataclasses.replace(super().planned(sequences, steps), **chosen)

    def _side_by_side(self, steps: int) -> int:
        """How many strands are learnt side by side."""
        return min(32, max(4, steps // 8192)) if self.batch_sequences is None else int(self.batch_sequences)

    # ---- learning

    def fit(self, X: Any, y: Any = None, *, out: str | os.PathLike[str] | None = None, resume: bool = False) -> Self:
        """Learns texts `X`: one, a list of them, or a frame with a column `input`. `y` is not used.

        `out` is the folder that `save` will be given: a checkpoint is written into it after every epoch. With `resume`
        a fit that died goes on from there, to the same weights as if it had not.

        Raises ``OptionError`` for all options that cannot be, ``DataError`` for data that cannot be used, naming the
        sequence, and ``TrainingError`` if the loss becomes NaN (what was learnt until then stays usable).
        """
        checkpoint = self._check_run(out, resume)
        column = self._documents(X)
        training, _rest, parts = self._parts(column)
        feature = self._made(parts[0]).fit(parts[0], name="X")
        self.learnt_with_ = self.options()
        self.feature_, self.ends_ = feature, len(column) > 1
        symbols = feature.transform(parts[0], name="X")
        data = self._strands(symbols, self._longest(symbols.steps))
        kept = self._strands(feature.transform(parts[1], name="X"), None)
        if not data.targets.steps:
            raise DataError("X holds no text to learn from: every document is empty.")
        with self._drawn():
            self.network_ = self._network(int(feature.symbols or 0) + 1)
        self.history_ = History("loss")
        self.metrics_: dict[str, float] = {}
        plan = self.planned(len(data.inputs), data.inputs.steps, _UPDATES)
        self.data_ = {
            "training documents": len(training) or 1,
            "training steps": data.inputs.steps,
            "validation steps": kept.targets.steps,
            "epochs planned": int(plan.epochs or 0),
        }
        self._train(plan, data, kept, checkpoint, resume)
        return self

    def _parts(self, column: list[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[list[Any], list[Any]]]:
        """Which documents are learnt from and which are held out; of a single one its end is held out."""
        everything = np.arange(len(column))
        if len(column) > 1:
            rest = held_out(None, len(column), self.validation, self.seed)
            training = np.setdiff1d(everything, rest)
            return training, rest, ([column[i] for i in training], [column[i] for i in rest])
        (one,) = column
        cut = len(one) - int(len(one) * self.validation) if len(one) >= 1000 else len(one)
        return everything, everything[:0], ([one[:cut]], [one[cut:]] if cut < len(one) else [])

    def _longest(self, steps: int) -> int:
        """How long a strand of so many steps in all may be."""
        if self.strand is not None:
            return int(self.strand)
        return max(int(self.tbptt) or 128, -(-steps // (4 * self._side_by_side(steps))))

    def _network(self, symbols: int) -> LanguageNetwork:
        return LanguageNetwork(
            symbols,
            int(self.embed),
            self.encoder(int(self.embed)),
            tied=symbols > _MANY if self.tied is None else bool(self.tied),
            dropout=float(self.head_dropout),
            input_dropout=float(self.input_dropout),
        )

    def _train(self, plan: Self, data: Strands, kept: Strands, checkpoint: Any, resume: bool) -> None:
        def validate() -> dict[str, float]:
            return _metrics(surprises(self.network_, kept))

        loss = LanguageLoss(self.network_, data, float(self.activation), float(self.change))
        told, places = validate if kept.targets.steps else None, np.arange(len(data.inputs))
        self._learn(plan, data.inputs.lengths, loss, told, "loss", places, checkpoint, resume, "strand")

    def _documents(self, X: Any) -> list[Any]:
        """The documents in whatever they come in."""
        if isinstance(X, str):
            raise DataError(f"X is one text, {shown(X)}. Wrap it in a list: [{shown(X)}].")
        if isinstance(X, Mapping) or (not isinstance(X, list | tuple | np.ndarray) and is_frame(X)):
            X = self._picked(X)
        found = listed(X, "X")
        if not found:
            raise DataError("X holds no documents. Fitting needs at least one.")
        return found

    def _picked(self, X: Any) -> Any:
        import narwhals as nw

        columns = dict(X) if isinstance(X, Mapping) else {c: nw.from_native(X, eager_only=True)[c] for c in X.columns}
        name = self.input or getattr(self, "input_", None) or (next(iter(columns)) if len(columns) == 1 else None)
        if name is None or name not in columns:
            few = ", ".join(map(repr, list(columns)[:8]))
            raise DataError(f"input = {name!r} is no column of X, which has {few}. Name the one with the texts.")
        self.input_ = name
        column = columns[name]
        return column.to_list() if hasattr(column, "to_list") else column

    def _made(self, column: list[Any]) -> Feature:
        made = infer(column, name="X")
        if isinstance(made, Text):
            return Text(self.unit, int(self.max_words), self.min_count, bool(self.lower))
        if isinstance(made, Tokens):
            return Tokens(int(self.max_words), self.min_count, bool(self.lower))
        raise DataError(f"X holds {made.kind}. A generator learns texts, or lists of tokens.")

    def _strands(self, symbols: Ragged, longest: int | None) -> Strands:
        return strands(symbols, int(self.feature_.symbols or 0), self.ends_, longest)

    # ---- answering

    def score(self, X: Any, y: Any = None) -> float:
        """Minus the nats per symbol of texts: 0 at best."""
        return -self.evaluate(X)["nats"]

    def evaluate(self, X: Any, y: Any = None) -> dict[str, float]:
        """The surprise at texts: "nats" and "bits" per symbol, "perplexity", and the number of "symbols".

        Where documents end, the end of each is a symbol too. A symbol that was not learnt counts as the unknown one.
        """
        return {name: value for name, value in _metrics(self._surprises(X)).items() if name != "loss"}

    def nats(self, X: Any) -> _Floats:
        """The surprise at each text, all of its symbols together, float64 [documents]."""
        each = self._surprises(X)
        return each.values.new_zeros(len(each)).index_add(0, each.segments, each.values).numpy()

    def _surprises(self, X: Any) -> Ragged:
        self._check_fitted()
        return surprises(self.network_, self._strands(self.feature_.transform(self._documents(X), name="X"), None))

    def generate(self, prompt: Any = "", **how: Any) -> Any:
        """A text that begins with `prompt`, or for a model of tokens a list; `how` it goes on: see `generating`.

        >>> model = Generator(hidden=8, embed=8, epochs=1, verbose=False).fit(["to be or not to be"] * 3)
        >>> model.generate("to b", length=3, seed=1) == model.generate("to b", length=3, seed=1)
        True
        """
        words = list(self.generating(prompt, **how))
        if isinstance(self.feature_, Tokens):
            return [*prompt, *words]
        return prompt + "".join(words)

    def generating(
        self,
        prompt: Any = "",
        *,
        length: int = 200,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float = 1.0,
        repetition: float = 1.0,
        stop: str | Collection[str] = (),
        form: Form | None = None,
        seed: int | None = None,
    ) -> Iterator[str]:
        """The symbols after `prompt`, one after another as they are drawn: at most `length`.

        `temperature`, `top_k`, `top_p`, `repetition`: see `elman.sampling.Sampling`. It ends where the model ends a
        document, and before a symbol that is one of `stop`. `form(symbols so far, all symbols)` says which may come
        next, "" being the end (`elman.verse.Verse`); None: any. `seed` makes it repeatable. A symbol of the prompt that
        training never showed is read as the unknown one, which is never written.

        Raises ``OptionError`` for what cannot be, and where a form leaves nothing that may come next.
        """
        self._check_fitted()
        how = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, repetition=repetition)
        if not is_whole(length, 0):
            raise OptionError(f"length = {length!r} must be a whole number of at least 0")
        return self._generating(self._ids(prompt), how, length, [stop] if isinstance(stop, str) else stop, form, seed)

    @torch.no_grad()
    def _generating(
        self,
        said: list[int],
        how: Sampling,
        length: int,
        stop: Collection[str],
        form: Form | None,
        seed: int | None,
    ) -> Iterator[str]:
        network, symbols = self.network_, self._symbols()
        random, before = np.random.default_rng(seed), len(said)
        place = {symbol: code for code, symbol in enumerate(symbols)}
        stepper = network.encoder.stepper()
        for code in [len(symbols) - 1, *said]:
            y = stepper.step(network.input.step(torch.tensor([code])))
        for _ in range(length):
            scores = network.scores(y.clone())[0].double().numpy()
            scores[0] = -np.inf  # the unknown symbol
            if not self.ends_ and form is None:
                scores[-1] = -np.inf
            if form is not None:
                scores = _formed(scores, form([symbols[code] for code in said], symbols), place)
            code = how.draw(scores, random, said)
            if code == len(symbols) - 1 or symbols[code] in stop:
                return
            said.append(code)
            yield self._written(symbols[code], first=len(said) == 1 and not before)
            y = stepper.step(network.input.step(torch.tensor([code])))

    def _symbols(self) -> list[str]:
        """What each code stands for: the symbols of the feature, and last the end."""
        codes = range(int(self.feature_.symbols or 0))
        return [*self.feature_.words(codes), END]

    def _ids(self, prompt: Any) -> list[int]:
        if isinstance(self.feature_, Text) and not isinstance(prompt, str):
            raise OptionError(f"prompt = {shown(prompt)} must be a text")
        found: list[int] = self.feature_.step(
            prompt if prompt or isinstance(prompt, str) else [], name="prompt"
        ).tolist()
        return found

    def _written(self, symbol: str, first: bool) -> str:
        """A symbol as it stands in a text: words have a space before them."""
        if not isinstance(self.feature_, Text) or self.feature_.unit_ == "characters":
            return symbol
        if self.feature_.unit_ == "subwords":
            return symbol.replace("\u2581", "" if first else " ")
        return symbol if first or self.feature_.unit_ == "mixed" else f" {symbol}"

    # ---- looking inside

    def _probe(self, X: Any, y: Any) -> Probe:
        """The network and its surprise per step."""
        self._check_fitted()
        symbols = self.feature_.transform(self._documents(X), name="X")
        data = self._strands(symbols, self._longest(symbols.steps))

        def loss(indices: Tensor) -> Tensor:
            scores, _ = self.network_(data.inputs[indices])
            chosen = data.targets[indices]
            each = torch.nn.functional.cross_entropy(scores, chosen.values, reduction="none")
            sums = each.new_zeros(len(chosen)).index_add(0, chosen.segments, each)
            return sums / chosen.lengths.clamp(min=1)

        return Probe(self.network_, data.inputs.lengths, loss, self.options())

    # ---- streaming

    def stream(self) -> Session:
        """A session that reads a text piece by piece and always has the chances of what comes next."""
        self._check_fitted()
        return Session(_Stepper(self))

    # ---- on disk

    def described(self) -> dict[str, Any]:
        """What the model reads, for its card: lines of text by name."""
        return {"input": self.feature_.describe()}

    def _config(self) -> dict[str, Any]:
        feature = {"kind": self.feature_.kind, **self.feature_.config()}
        return {**super()._config(), "feature": feature, "ends": self.ends_, "input": getattr(self, "input_", None)}

    def _files(self) -> dict[str, str]:
        return {**super()._files(), **self.feature_.files()}

    def _restore(
        self, config: Mapping[str, Any], tensors: Mapping[str, Tensor], files: Mapping[str, Any], folder: Any
    ) -> None:
        saved = dict(config["feature"])
        kinds: dict[str, type[Feature]] = {Text.kind: Text, Tokens.kind: Tokens}
        self.feature_ = kinds[saved.pop("kind")].restore(saved, {}, files)
        if not isinstance(config["ends"], bool):
            raise ValueError("ends")
        self.ends_, self.input_ = config["ends"], config["input"]
        with torch.device("meta"):  # no memory is taken before the sizes are known to fit
            self.network_ = self._network(int(self.feature_.symbols or 0) + 1)
        weights = store.under("network.", tensors)
        store.check_tensors(folder, weights, self.network_.state_dict())
        self.network_.load_state_dict(weights, assign=True)
        self.network_.eval()


class _Stepper:
    """A language model one step at a time; `Session` keeps the state."""

    def __init__(self, model: Generator) -> None:
        self.feature, self.network, self.symbols = model.feature_, model.network_, model._symbols()
        self.start = self.network.encoder.initial_state(1)

    def read(self, value: Any, state: dict[str, Tensor]) -> tuple[Ragged, dict[str, Tensor]]:
        """The steps in what a caller feeds, as one sequence, and the state once they were read."""
        steps = self.feature.step(value, name="steps")
        assert isinstance(steps, Tensor)
        return Ragged(steps, torch.tensor([0, len(steps)])), state

    def initial_state(self) -> dict[str, Tensor]:
        """The state after the boundary, before the first step."""
        begun = {"steps": torch.zeros(1, dtype=torch.int64), "nats": torch.zeros(1, dtype=torch.float64)}
        return self._after(torch.tensor([len(self.symbols) - 1]), begun | flat("encoder", self.start))

    def advance(self, steps: Ragged, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state after some more steps."""
        logs = [state["logs"]]
        made = self._after(steps.values, state, logs)
        surprise = -torch.cat(logs)[: steps.steps].gather(1, steps.values[:, None]).sum()
        return made | {"steps": state["steps"] + steps.steps, "nats": state["nats"] + surprise}

    @torch.no_grad()
    def _after(self, codes: Tensor, state: dict[str, Tensor], logs: list[Tensor] | None = None) -> dict[str, Tensor]:
        x = Ragged(codes, torch.tensor([0, len(codes)]))
        scores, after = self.network(x, nested("encoder", state, self.start))
        made = torch.log_softmax(scores.double(), dim=1)
        if logs is not None:
            logs.append(made)
        kept = {"steps": state["steps"], "nats": state["nats"], "logs": made[-1:].clone()}
        return kept | flat("encoder", after)

    def answer(self, state: dict[str, Tensor]) -> Next:
        """The likeliest symbols to come."""
        chances = state["logs"][0].exp()
        top = chances.topk(min(_SHOWN, len(chances)))
        named = {self.symbols[code]: p for code, p in zip(top.indices.tolist(), top.values.tolist(), strict=True)}
        return Next(next(iter(named)), named, float(state["nats"][0]), counted(state))


def _formed(scores: _Floats, allowed: Collection[str] | None, place: Mapping[str, int]) -> _Floats:
    """The scores of what a form allows."""
    if allowed is None:
        return scores
    codes = [place[symbol] for symbol in allowed if symbol in place]
    made = np.full_like(scores, -np.inf)
    made[codes] = scores[codes]
    if not np.isfinite(made).any():
        few = ", ".join(map(repr, list(allowed)[:8])) or "nothing"
        raise OptionError(f"form allows {few}, of which the model knows no symbol. Allow one that training showed.")
    return made


def _metrics(each: Ragged) -> dict[str, float]:
    if not each.steps:
        raise DataError("there are no symbols to score. Give a text that is not empty.")
    nats = float(each.values.mean())
    found = {"loss": nats, "nats": nats, "bits": nats / math.log(2), "perplexity": math.exp(min(nats, 700.0))}
    return found | {"symbols": float(each.steps)}
