"""Arguments of an LSTM that do not fit, by the message that refuses them."""

from __future__ import annotations

import torch
from torch import Tensor

OFFSETS = {
    "offsets must be one-dimensional with at least one element, got shape [1, 3].": torch.tensor([[0, 2, 5]]),
    "offsets must be one-dimensional with at least one element, got shape [].": torch.tensor(5),
    "offsets must be one-dimensional with at least one element, got shape [0].": torch.zeros(0, dtype=torch.int64),
    "offsets must start at 0, but offsets[0] = 1": torch.tensor([1, 2, 5]),
    "offsets must start at 0, but offsets[0] = -1": torch.tensor([-1, 2, 5]),
    "offsets must never decrease, but offsets[2] = 1 follows offsets[1] = 2": torch.tensor([0, 2, 1, 5]),
    "offsets must never decrease, but offsets[2] = 5 follows offsets[1] = 4611686018427387904": torch.tensor(
        [0, 2**62, 5]
    ),
    "offsets must end at the number of steps, but offsets[-1] = 4 and values have 5 rows": torch.tensor([0, 2, 4]),
    "offsets must end at the number of steps, but offsets[-1] = 6 and values have 5 rows": torch.tensor([0, 2, 6]),
    "offsets must be int64, got int32": torch.tensor([0, 2, 5], dtype=torch.int32),
    "offsets must be int64, got float32": torch.tensor([0.0, 2.0, 5.0]),
}


SILENCE = "Convert one of them: no type is converted in silence."
CONVERT = ". Convert it first, for example with .float()."
REFUSED: dict[str, dict[str, Tensor]] = {
    "x must be two-dimensional [steps, width], got shape [5].": {"x": torch.zeros(5)},
    f"x must be float32, float64 or bfloat16, got float16{CONVERT}": {"x": torch.zeros(5, 3, dtype=torch.float16)},
    f"x must be float32, float64 or bfloat16, got int64{CONVERT}": {"x": torch.zeros(5, 3, dtype=torch.int64)},
    f"weight_ih must be float64 as x is, got float32. {SILENCE}": {"x": torch.zeros(5, 3, dtype=torch.float64)},
    f"weight_hh must be float32 as x is, got float64. {SILENCE}": {
        "weight_hh": torch.zeros(16, 4, dtype=torch.float64)
    },
    f"bias_ih must be float32 as x is, got float64. {SILENCE}": {"bias_ih": torch.zeros(16, dtype=torch.float64)},
    f"h0 must be float32 as x is, got int64. {SILENCE}": {"h0": torch.zeros(2, 4, dtype=torch.int64)},
    "lstm expects inputs of width 3, got values of shape [5, 7]. Build it with inputs=7, or check what feeds it.": {
        "x": torch.zeros(5, 7)
    },
    "weight_ih and weight_hh must have 16 rows for lstm with 4 hidden units, got [12, 3] and [16, 4]": {
        "weight_ih": torch.zeros(12, 3)
    },
    "weight_hh must be two-dimensional [steps, width], got shape [16]": {"weight_hh": torch.zeros(16)},
    "bias_ih must have shape [16], got [12]": {"bias_ih": torch.zeros(12)},
    "bias_hh must have shape [16], got [16, 1]": {"bias_hh": torch.zeros(16, 1)},
    "h0 must have shape [2, 4], got [3, 4]": {"h0": torch.zeros(3, 4)},
    "c0 must have shape [2, 4], got [2, 5]": {"c0": torch.zeros(2, 5)},
}
