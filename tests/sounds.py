"""Sound files for tests."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np


def write(path: Path, samples: Any, rate: int = 8000, width: int = 2) -> Path:
    """Shares of full scale, [samples] or [samples, channels], as PCM of so many bytes."""
    samples = np.asarray(samples, float)
    samples = samples[:, None] if samples.ndim == 1 else samples
    whole = np.round(samples * (2.0 ** (8 * width - 1) - 1)).astype(np.int64)
    data = (
        (whole + 128).astype(np.uint8).tobytes()
        if width == 1
        else b"".join(int(n).to_bytes(width, "little", signed=True) for n in whole.ravel())
    )
    with wave.open(str(path), "wb") as opened:
        opened.setparams((samples.shape[1], width, rate, len(samples), "NONE", ""))
        opened.writeframes(data)
    return path
