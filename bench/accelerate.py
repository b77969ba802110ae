"""Models of other people's packages, before and after ``elman.nn.accelerate(model)``: a prediction, a training step.

Flair, Stanza and NeuralForecast as PyPI has them, their code unchanged, through the functions that their own users and
trainers call; their default sizes, random weights, made-up sentences and series of usual lengths. Before anything is
timed, with dropout off, predictions before and after agree to 1e-5 in norm, the loss and every gradient to 1e-4, and no
recurrent layer is left alone; otherwise the run stops. Times are of the whole call, with embeddings, CRF, classifiers
and the optimizer's step. Each side is a process of its own; rounds are interleaved.

The three packages want older versions of some libraries than the other benchmarks do, so they live in an environment
of their own (elman is built there: a C++ compiler is needed):

    python -m venv .venv-models
    .venv-models/bin/pip install -c bench/constraints-models.txt . flair stanza neuralforecast
    .venv-models/bin/python bench/accelerate.py [--write] [--only REGEX] [--list] [--rounds 5] [--threads 2]

Where a package is missing its rows are skipped, with a line that says so.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import results
from workers import Array, Maker, Side, interleaved

# No torch up here: the process that only starts the others does without.

VOCABULARY, SERIES = 5000, 128
HORIZON, PAST = 24, 72
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass
class Case:
    """A model with its data: what its users call, and the numbers by which the two sides are compared."""

    model: Any
    predict: Callable[[], object]
    train: Callable[[], object]
    scores: Callable[[], Any]
    loss: Callable[[], Any]


def sentences(count: int) -> list[list[str]]:
    """Random words of 1 to 14 letters; lengths as of newspaper sentences, of mean 22."""
    random = np.random.default_rng(0)
    sizes = np.clip(random.poisson(4.7, VOCABULARY), 1, 14)
    words = ["".join(random.choice(list(LETTERS), size)) for size in sizes]
    lengths = np.clip(np.exp(0.55 * random.standard_normal(count) + 2.95), 3, 80).astype(int)
    return [[words[i] for i in random.zipf(1.3, length) % VOCABULARY] for length in lengths]


# --------------------------------------------------------------------------------------------------------------- Flair


def flair_tagger(count: int, characters: bool = False, rnn: str = "LSTM") -> Case:
    """Flair's SequenceTagger; with the two character models of its "fast" taggers, or over trained word vectors."""
    import flair
    import torch
    from flair.data import Dictionary, Sentence
    from flair.embeddings import FlairEmbeddings, OneHotEmbeddings, StackedEmbeddings
    from flair.models import LanguageModel, SequenceTagger

    flair.set_seed(0)
    random = np.random.default_rng(1)
    batch = [Sentence(words, use_tokenizer=False) for words in sentences(count)]
    words, tags, letters = (Dictionary(add_unk=unk) for unk in (True, False, True))
    for token in (token for sentence in batch for token in sentence):
        token.add_label("pos", f"T{random.integers(17)}")
        words.add_item(token.text)
    for tag in range(17):
        tags.add_item(f"T{tag}")
    for letter in LETTERS + " \n":
        letters.add_item(letter)
    embeddings: Any = OneHotEmbeddings(words, embedding_length=100)
    if characters:
        models = [LanguageModel(letters, forward, hidden_size=1024, nlayers=1) for forward in (True, False)]
        embeddings = StackedEmbeddings([embeddings, *(FlairEmbeddings(model) for model in models)])
    tagger = SequenceTagger(embeddings, tags, "pos", rnn_type=rnn)
    optimizer = torch.optim.SGD(tagger.parameters(), lr=1e-3)

    def fresh() -> list[Any]:
        """The sentences, longest first, without the vectors that Flair keeps at each word."""
        for sentence in batch:
            sentence.clear_embeddings()
        return sorted(batch, key=len, reverse=True)

    def loss() -> Any:
        return tagger.forward_loss(fresh())[0]

    def train() -> None:
        tagger.train()
        optimizer.zero_grad()
        loss().backward()
        torch.nn.utils.clip_grad_norm_(tagger.parameters(), 5.0)
        optimizer.step()

    def predict() -> None:
        tagger.eval()
        tagger.predict(batch, mini_batch_size=count, label_name="found", force_token_predictions=True)

    def scores() -> Any:
        found = tagger.forward(*tagger._prepare_tensors(fresh()))[0]
        return found[found > -100]  # the CRF marks what cannot be with -10000, which would hide the rest

    return Case(tagger, predict, train, scores, loss)


# -------------------------------------------------------------------------------------------------------------- Stanza


def stanza_tagger(count: int) -> Case:
    """Stanza's part-of-speech tagger: words' letters through an LSTM, words through two highway BiLSTM layers."""
    import torch
    from stanza.models.pos.data import Dataset
    from stanza.models.pos.trainer import Trainer, unpack_batch
    from stanza.models.tagger import build_argparse
    from stanza.utils.conll import CoNLL

    torch.manual_seed(0)
    random = np.random.default_rng(1)
    lines = [
        f"{n + 1}\t{word}\t_\tT{random.integers(17)}\tX{random.integers(40)}\tCase=C{random.integers(4)}\t0\troot\t_\t_"
        for sentence in sentences(count)
        for n, word in [*enumerate(sentence), (-1, "")]
    ]
    text = "\n".join("" if line.startswith("0\t") else line for line in lines) + "\n"
    options = vars(build_argparse().parse_args(["--no_pretrain", "--shorthand", "en_made", "--word_cutoff", "0"]))
    data = Dataset(CoNLL.conll2doc(input_str=text), options, None, evaluation=True)
    trainer = Trainer(options, data.vocab, device="cpu")
    batch = next(iter(data.to_loader(batch_size=count)))
    given, _, word_orig_idx, sentence_lengths, word_lengths, words = unpack_batch(batch, torch.device("cpu"))
    hooked: list[Any] = []  # what comes out of the recurrent layers; the model itself gives words' tags, no numbers
    trainer.model.taggerlstm.register_forward_hook(lambda module, inputs, answer: hooked.append(answer[0].data))

    def loss() -> Any:
        hooked.clear()
        return trainer.model(*given, word_orig_idx, sentence_lengths, word_lengths, words)[0]

    def scores() -> Any:
        loss()
        return hooked.pop()

    return Case(trainer.model, lambda: trainer.predict(batch), lambda: trainer.update(batch), scores, loss)


# ------------------------------------------------------------------------------------------------------ NeuralForecast


def forecaster(kind: str, **options: Any) -> Case:
    """NeuralForecast's LSTM and GRU on windows of series, as its trainer cuts them."""
    import torch
    from neuralforecast import models

    model = getattr(models, kind)(h=HORIZON, input_size=PAST, **options)
    torch.manual_seed(0)
    time = torch.arange(PAST + HORIZON)[None, :, None] / 12 + 6 * torch.rand(SERIES, 1, 1)
    series = torch.sin(time) + 0.2 * torch.randn(SERIES, PAST + HORIZON, 1)
    windows = {"insample_y": series[:, :PAST], "futr_exog": [], "hist_exog": [], "stat_exog": []}
    target = series[:, PAST:] if not options.get("recurrent") else series[:, 1 + PAST - HORIZON : 1 + PAST]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def loss() -> Any:
        mask = torch.ones_like(target)
        return model.loss(y=target, y_hat=model(windows), y_insample=windows["insample_y"], mask=mask)

    def train() -> None:
        model.train()
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    def predict() -> None:
        model.eval()
        with torch.no_grad():
            model(windows)

    return Case(model, predict, train, lambda: model(windows), loss)


# ------------------------------------------------------------------------------------------------------------ the rows

MODELS: dict[str, tuple[str, Callable[[], Case]]] = {
    "Flair SequenceTagger: BiLSTM 256, CRF; 32 sentences": ("flair", partial(flair_tagger, 32)),
    "Flair SequenceTagger: BiLSTM 256, CRF; one sentence": ("flair", partial(flair_tagger, 1)),
    "Flair SequenceTagger: BiGRU 256, CRF; 32 sentences": ("flair", partial(flair_tagger, 32, rnn="GRU")),
    "Flair fast tagger: 2 character LSTMs 1024, BiLSTM 256, CRF; 32 sentences": (
        "flair",
        partial(flair_tagger, 32, characters=True),
    ),
    "Flair fast tagger; one sentence": ("flair", partial(flair_tagger, 1, characters=True)),
    "Stanza tagger: character LSTM 400, 2 highway BiLSTMs 200; 32 sentences": ("stanza", partial(stanza_tagger, 32)),
    "Stanza tagger; one sentence": ("stanza", partial(stanza_tagger, 1)),
    "NeuralForecast LSTM: 2 layers of 128, MLP; 128 windows of 72": ("neuralforecast", partial(forecaster, "LSTM")),
    "NeuralForecast LSTM, recurrent, projected to 1; 128 windows of 72": (
        "neuralforecast",
        partial(forecaster, "LSTM", recurrent=True),
    ),
    "NeuralForecast GRU: 2 layers of 200, MLP; 128 windows of 72": ("neuralforecast", partial(forecaster, "GRU")),
}


def numbers(case: Case, training: bool) -> list[Array]:
    """The scores, or the loss and all its gradients."""
    import torch

    was = case.model.training
    case.model.eval()
    if training:
        case.model.zero_grad()
        loss = case.loss()
        loss.backward()
        found = [loss, *(p.grad for p in case.model.parameters() if p.grad is not None)]
    else:
        with torch.no_grad():
            found = [case.scores()]
    case.model.train(was)
    answer = [np.array(tensor.detach()) for tensor in found]
    case.model.zero_grad()
    return answer


def accelerate(name: str, case: Case, training: bool) -> None:
    """Swaps the layers, after a proof that the model stays what it was."""
    from elman import nn

    before = numbers(case, training)
    report = nn.accelerate(case.model)
    if report.left or not report.swapped:
        raise SystemExit(f"{name}: not every recurrent layer was swapped.\n{report}")
    after = numbers(case, training)
    whole = max(float(np.linalg.norm(a)) for a in before[1:] or before)
    for a, b in zip(before, after, strict=True):
        apart, allowed = float(np.linalg.norm(a - b)), (1e-4 if training else 1e-5) * float(np.linalg.norm(a))
        if not apart <= max(allowed, 1e-7 * whole):  # a gradient that is almost zero has rounding in it only
            raise SystemExit(
                f"{name}: not the same after accelerate, {apart:.2g} apart where {allowed:.2g} is allowed."
            )


def side(name: str, training: bool, accelerated: bool, threads: int) -> Side:
    import torch

    warnings.simplefilter("ignore")  # the packages' own
    logging.disable(logging.WARNING)
    # transformers, which Flair brings, looks for a package of the name of this file
    sys.path = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]
    torch.set_num_threads(threads)
    case = MODELS[name][1]()
    if accelerated:
        accelerate(name, case, training)
    return Side(case.train if training else case.predict)


def rows() -> dict[str, tuple[str, bool]]:
    """One sentence is for predictions: nobody trains so."""
    named = {f"{name}, prediction": (name, False) for name in MODELS}
    named |= {f"{name}, training step": (name, True) for name in MODELS if "one sentence" not in name}
    return {row: named[row] for row in sorted(named, key=lambda row: list(MODELS).index(named[row][0]))}


def main() -> None:
    options = results.speed_arguments(__doc__.splitlines()[0]).parse_args()
    named, lines = rows(), []
    missing = {package for package, _ in MODELS.values() if importlib.util.find_spec(package) is None}
    for package in sorted(missing):
        print(f"{package} is not installed: its models are skipped (bench/accelerate.py says how to get them)")
    for row in results.chosen(list(named), options):
        name, training = named[row]
        if MODELS[name][0] in missing:
            continue
        sides: dict[str, Maker] = {
            word: partial(side, name, training, word == "after", options.threads) for word in ("before", "after")
        }
        measured = interleaved(sides, options.rounds, options.threads)
        lines.append([row, measured.ms("before"), measured.ms("after"), measured.ratio("after", "before")])
        print(" | ".join(lines[-1]), flush=True)
    if options.write and missing:
        print(f"RESULTS.md stays as it was: {', '.join(sorted(missing))} not installed.")
    if not lines:
        return
    head = ["model of a package, whole call", "ms", "ms after accelerate", "ratio"]
    text = f"## Models of other packages, before and after `elman.nn.accelerate(model)`\n\n{results.table(head, lines)}"
    peers = sorted({package for package, _ in MODELS.values()})
    results.publish("accelerate", text, options.write and not missing, options.threads, peers)


if __name__ == "__main__":
    main()
