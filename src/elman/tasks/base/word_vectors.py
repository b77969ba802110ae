"""The option `vectors`: embeddings that start from pre-trained word vectors.

The vocabulary is that of the training data, as without vectors; words that have no vector start at random, scaled to
the spread of those that have. All are trained further. The saved model holds its embeddings and does not need the file:
its option `vectors` is None, its `embed` the width of the vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elman.errors import OptionError, Problem
from elman.features.base import Feature
from elman.io.word_vectors import read_word_vectors
from elman.tasks.base.resolve import Config
from elman.training.progress import note


def load_word_vectors(task: Any, config: Config, features: Sequence[Feature]) -> None:
    """Reads the file that `config.vectors` names, for the words of fitted features; sets `vectors` and `embed`.

    Raises ``OptionError`` where no feature has words, and where `embed` was set to another width; ``DataError`` for a
    file that cannot be read.
    """
    if config.vectors is None:
        return
    words = [word for feature in features for word in feature.embedded_words()]
    if not words:
        kinds = ", ".join(dict.fromkeys(feature.kind for feature in features))
        raise OptionError("vectors has no meaning for ", kinds, ", which the input is taken for. Leave it out.")
    found = read_word_vectors(config.vectors, words)
    if task.embed not in (type(task).embed, found.width):
        what = f", but the vectors of {found.name} have {found.width} numbers. Leave embed out, it is taken from them"
        raise OptionError.of([Problem("embed", repr(task.embed), what)])
    config.vectors, config.embed = found, found.width
    if task.verbose:
        note(f"elman: word vectors: {found.describe()}")


def start_from_vectors(config: Config, feature: Feature, module: Any) -> None:
    """Starts an input layer from the word vectors of a fit; without any, nothing is changed."""
    if config.vectors is not None:
        feature.start_from(module, config.vectors.rows)


def learnt_with_vectors(config: Config, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a fit as they are saved: without the file, and with the width of its vectors."""
    return options if config.vectors is None else options | {"vectors": None, "embed": int(config.embed)}


def coverage(config: Config) -> dict[str, str]:
    """The vectors, for the model card."""
    return {} if config.vectors is None else {"word vectors": config.vectors.describe()}
