"""The network of the tutorials, trained: ours beside Keras 3 on TensorFlow, JAX and torch, and beside torch itself.

    Embedding(10000, 100) -> LSTM(100) -> Dropout(0.5) -> LSTM(50) -> Dropout(0.5) -> Dense(1, sigmoid), Adam, batch 32

- "50 steps": reviews cut to 50 words; every sequence has 50, nobody needs a mask.
- "masked, up to 400": log-normal lengths as of IMDb reviews cut to 400; Keras gets them padded in front, as its own
  pad_sequences does, with mask_zero=True; ours gets them ragged.

Ids are drawn as words come in texts: the n-th most frequent one n times as rarely as the first.

Keras trains through `fit` with its default jit_compile="auto", numpy arrays, no shuffling; so many batches a round
that the start of an epoch does not count. Ours and torch's is the usual loop. Same weights, same ids; what the networks
predict before training is equal to 1e-4, which is checked. Each side is a process of its own; rounds are interleaved.

Run it on a quiet machine: python bench/tutorial.py [--write] [--only REGEX] [--list] [--rounds 5] [--threads 2]
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import results
from workers import Array, Maker, Side, interleaved, need, peak, peaks

# No torch up here: the processes of Keras import this file, and shall have one thread pool.

WORDS, EMBED, FIRST, SECOND, BATCH = 10_000, 100, 100, 50, 32


@dataclass(frozen=True)
class Job:
    longest: int
    masked: bool
    batches: int  # a call
    threads: int

    def data(self) -> tuple[list[list[Array]], Array]:
        """Batches of id sequences, and the labels [batches, BATCH]."""
        random = np.random.default_rng(0)
        drawn = np.exp(0.6 * random.standard_normal((self.batches, BATCH)) + 5.2)
        lengths = np.clip(drawn, 10, self.longest).astype(int) if self.masked else np.full(drawn.shape, self.longest)
        often = 1 / np.arange(2, WORDS + 1)  # as words come in texts (Zipf)
        ids = [[random.choice(WORDS - 1, length, p=often / often.sum()) + 1 for length in batch] for batch in lengths]
        return ids, random.integers(0, 2, lengths.shape).astype(np.float32)

    @property
    def work(self) -> float:
        """Operations of the two layers' training on the real steps of one call."""
        steps = sum(len(sequence) for batch in self.data()[0] for sequence in batch)
        return 3.0 * 2 * steps * 4 * (FIRST * (EMBED + FIRST) + SECOND * (FIRST + SECOND))


def weights() -> list[Array]:
    """In Keras's order and layout: [inputs, 4 H] with gates i f g o, one bias with the forget gate at 1."""
    random = np.random.default_rng(1)

    def glorot(rows: int, columns: int) -> Array:
        limit = np.sqrt(6 / (rows + columns))
        return random.uniform(-limit, limit, (rows, columns)).astype(np.float32)

    made = [random.uniform(-0.05, 0.05, (WORDS, EMBED)).astype(np.float32)]
    for inputs, hidden in ((EMBED, FIRST), (FIRST, SECOND)):
        bias = np.zeros(4 * hidden, np.float32)
        bias[hidden : 2 * hidden] = 1
        made += [glorot(inputs, 4 * hidden), glorot(hidden, 4 * hidden), bias]
    return [*made, glorot(SECOND, 1), np.zeros(1, np.float32)]


# --------------------------------------------------------------------------------------------------------------- Keras


def keras(job: Job, backend: str) -> Side:
    """The tutorial's own program."""
    os.environ |= {
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": str(job.threads),
        "JAX_PLATFORMS": "cpu",
    }
    if backend == "tensorflow":
        threading = need("tensorflow").config.threading
        threading.set_intra_op_parallelism_threads(job.threads)
        threading.set_inter_op_parallelism_threads(job.threads)
    need(backend)
    library = need("keras")
    model = library.Sequential(
        [
            library.layers.Input((job.longest,), dtype="int32"),
            library.layers.Embedding(WORDS, EMBED, mask_zero=job.masked),
            library.layers.LSTM(FIRST, return_sequences=True),
            library.layers.Dropout(0.5),
            library.layers.LSTM(SECOND),
            library.layers.Dropout(0.5),
            library.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy")
    model.set_weights(weights())
    ids, labels = job.data()
    x = np.zeros((job.batches * BATCH, job.longest), np.int32)
    for row, sequence in zip(x, [sequence for batch in ids for sequence in batch], strict=True):
        row[job.longest - len(sequence) :] = sequence  # in front, as keras.utils.pad_sequences
    first = np.asarray(model.predict_on_batch(x[:BATCH]))[:, 0]

    def run() -> None:
        model.fit(x, labels.reshape(-1, 1), batch_size=BATCH, epochs=1, verbose=0, shuffle=False)

    return Side(run, lambda: first)


# --------------------------------------------------------------------------------------------------- ours, and torch's


def in_torch(job: Job, kind: str) -> Side:
    """`kind`: "elman" on Ragged, "elman bf16" the same in bfloat16, "padded" or "packed" on torch.nn.LSTM."""
    import torch

    kind, _, narrow = kind.partition(" ")

    torch.set_num_threads(job.threads)
    torch.manual_seed(0)
    model = _model(kind)
    ids, labels = job.data()
    batches = [_batch(kind, sequences) for sequences in ids]
    targets = torch.from_numpy(labels)
    loss = torch.nn.BCEWithLogitsLoss()
    model.eval()
    with torch.no_grad():
        first = torch.sigmoid(model(batches[0])).numpy()
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def run() -> None:
        for batch, target in zip(batches, targets, strict=True):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=bool(narrow)):
                error = loss(model(batch).float(), target)
            error.backward()
            optimizer.step()

    return Side(run, lambda: first)


def _batch(kind: str, sequences: Sequence[Array]) -> Any:
    """Ids as the model wants them: Ragged, or padded behind with their lengths."""
    import torch

    from elman import Ragged

    rows = [torch.from_numpy(sequence) for sequence in sequences]
    if kind == "elman":
        return Ragged.of(rows)
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])


def _model(kind: str) -> Any:
    import torch
    from torch import Tensor, nn
    from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

    import elman
    from elman.layers.dropout import StepDropout
    from elman.layers.embedding import Embedding

    def layer(inputs: int, hidden: int) -> Any:
        return elman.LSTM(inputs, hidden) if kind == "elman" else nn.LSTM(inputs, hidden, batch_first=True)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding: Any = (Embedding if kind == "elman" else nn.Embedding)(WORDS, EMBED)
            self.first = layer(EMBED, FIRST)
            self.second = layer(FIRST, SECOND)
            self.dropout = nn.Dropout(0.5)
            self.between = StepDropout(0.5)
            self.head = nn.Linear(SECOND, 1)

        def forward(self, batch: Any) -> Tensor:
            last = getattr(self, kind)(batch)
            logits: Tensor = self.head(self.dropout(last))[:, 0]
            return logits

        def elman(self, batch: elman.Ragged) -> Tensor:
            last: Tensor = self.second(self.between(self.first(self.embedding(batch))[0]))[1].hidden
            return last

        def padded(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            ids, lengths = batch
            y = self.second(self.dropout(self.first(self.embedding(ids))[0]))[0]
            last: Tensor = y[torch.arange(len(y)), lengths - 1]
            return last

        def packed(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            ids, lengths = batch
            pack = pack_padded_sequence(ids, lengths, batch_first=True, enforce_sorted=False)
            y = self.first(pack._replace(data=self.embedding(pack.data)))[0]
            dropped: PackedSequence = y._replace(data=self.dropout(y.data))
            last: Tensor = self.second(dropped)[1][0][0]
            return last

    model = Model()
    made = [torch.from_numpy(value) for value in weights()]
    with torch.no_grad():
        model.embedding.weight.copy_(made[0])
        for part, (w, u, b) in ((model.first, made[1:4]), (model.second, made[4:7])):
            for weight, value in zip(part.parameters(), (w.t(), u.t(), b, torch.zeros_like(b)), strict=True):
                weight.copy_(value)
        model.head.weight.copy_(made[7].t())
        model.head.bias.copy_(made[8])
    return model


# -------------------------------------------------------------------------------------------------------------- tables


BACKENDS = {"Keras, TensorFlow": "tensorflow", "Keras, JAX": "jax", "Keras, torch": "torch"}


def measured(job: Job, rounds: int) -> list[str]:
    """Milliseconds a batch: ours, and each peer with its ratio."""
    sides: dict[str, Maker] = {name: partial(in_torch, job, name) for name in ("elman", "elman bf16")}
    sides |= {name: partial(keras, job, backend) for name, backend in BACKENDS.items()}
    sides |= {f"torch {kind}": partial(in_torch, job, kind) for kind in ("padded", "packed")}
    row = interleaved(sides | {"peak": partial(peak, job.threads)}, rounds, job.threads, lean=True)
    share = row.share("elman", job.work)
    row.seconds = {name: [value / job.batches for value in values] for name, values in row.seconds.items()}
    peers = [text for name in PEERS for text in (row.ms(name), row.ratio("elman", name))]
    return [row.ms("elman"), row.ms("elman bf16"), *peers, *share]


PEERS = [*BACKENDS, "torch padded", "torch packed"]


def main() -> None:
    options = results.speed_arguments(__doc__.splitlines()[0], rounds=5).parse_args()
    named = {
        "50 steps": Job(50, masked=False, batches=20, threads=options.threads),
        "masked, up to 400 steps": Job(400, masked=True, batches=4, threads=options.threads),
    }
    lines = []
    for name in results.chosen(list(named), options):
        lines.append([name, *measured(named[name], options.rounds)])
        print(" | ".join(lines[-1]), flush=True)
    heads = [text for name in PEERS for text in (f"{name} ms", "ratio")]
    table = results.table(["sequences", "elman ms", "in bf16", *heads, "useful GF/s", "of peak"], lines)
    network = (
        "Embedding(10000, 100), LSTM(100), Dropout, LSTM(50), Dropout, Dense(1); Adam, batch 32; ms a training batch."
    )
    text = f"## The tutorial network\n\n{network}\n\n{peaks(options.threads)}\n\n{table}"
    peers = ["keras", "tensorflow-cpu", "jax"]
    results.publish("tutorial", text, options.write, options.threads, peers)


if __name__ == "__main__":
    main()
