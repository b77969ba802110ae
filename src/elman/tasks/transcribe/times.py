"""The time of each word of a transcript, by forced alignment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from elman.decoding.ctc import forced_alignment
from elman.tasks.transcribe.vocabulary import TranscriptVocabulary


class WordTime(NamedTuple):
    """A word, where it starts and stops, and how probable it is there."""

    word: str
    start: float  # seconds of audio, else steps of the data
    stop: float
    probability: float  # geometric mean over its steps, in the likeliest path


def word_times(
    logs: NDArray[np.float64], codes: Sequence[int], script: TranscriptVocabulary, unit: float, end: float
) -> list[WordTime]:
    """The words of a transcript in log probabilities [steps, symbols], with steps of `unit` up to `end`.

    >>> script = TranscriptVocabulary.of(["a b"], "characters")
    >>> logs = np.log([[0.1, 0.1, 0.7, 0.1], [0.1, 0.7, 0.1, 0.1], [0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7]])
    >>> [(word.word, word.start, word.stop) for word in word_times(logs, script.codes("a b"), script, 0.5, 9.0)]
    [('a', 0.0, 0.5), ('b', 1.5, 2.0)]
    """
    spans = forced_alignment(logs, codes)
    found = []
    for word, first, last in script.words(codes):
        each = [
            logs[step, code]
            for (a, b), code in zip(spans[first:last], codes[first:last], strict=True)
            for step in range(a, b)
        ]
        start, stop = (round(min(end, unit * float(step)), 6) for step in (spans[first, 0], spans[last - 1, 1]))
        found.append(WordTime(word, start, stop, math.exp(float(np.mean(each)))))
    return found
