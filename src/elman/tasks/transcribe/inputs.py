"""Inputs of a transcriber: one column of audio or of numeric features."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from torch import Tensor

from elman.errors import DataError, OptionError, option
from elman.features import Columns, Feature, Inputs, Sound
from elman.features.audio import is_pair, is_recording
from elman.features.lists import listed
from elman.ragged import Ragged
from elman.tasks.base.inputs import InputReader


class TranscribeReader(InputReader):
    """Reads audio: paths, pairs (samples, rate), or samples."""

    def feature(self, column: Any) -> Feature | Columns:
        """The feature for a column: audio, or numbers."""
        if isinstance(column, Inputs):
            raise OptionError(
                f"a transcriber reads one column, got {', '.join(column.kinds)}. Name it with ", option("input")
            )
        sound = self.task.feature == "auto" and self._is_sound(column)
        feature = self.with_options(Sound()) if sound else super().feature(column)
        if not feature.is_signal:
            raise DataError(f"X holds {feature.kind}. A transcriber reads sound, or arrays [length, width] of numbers.")
        return feature

    def _is_sound(self, column: Any) -> bool:
        """Whether a column holds paths, pairs (samples, rate), or samples where the option `rate` is set."""
        if self.task.rate is not None:
            return True
        if isinstance(column, Ragged | Tensor) or (isinstance(column, np.ndarray) and column.dtype.kind in "biuf"):
            return False
        try:
            first = next(iter(listed(column, "X")), None)
        except DataError:
            return False
        return isinstance(first, str | os.PathLike) or is_pair(first) or is_recording(first)
