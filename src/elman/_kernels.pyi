# The compiled core (csrc/bindings.cc). Arguments are described in csrc/api.h; tests/ops/test_library.py compares the
# kernels with the specification of the operators.
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

CELLS: dict[str, tuple[int, int, bool]]  # gates, saved gates, whether there is a cell state
SCANS: dict[str, tuple[int, int]]  # gates, parts of the state
CANDIDATES: tuple[str, ...]
POOLS: tuple[str, ...]

def check_batch(offsets: Tensor, steps: int, index: Tensor | None, rows: int) -> None: ...
def recurrent_forward(
    cell: str,
    reverse: bool,
    save: bool,
    x: Tensor,
    index: Tensor | None,
    offsets: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    weight_hr: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
    decay: Tensor | None,
    drop: Tensor | None,
    keep: Tensor | None,
    keep_cell: Tensor | None,
    threads: int,
    y: Tensor,
    h_last: Tensor,
    c_last: Tensor,
    gates: Tensor,
    cell_states: Tensor,
    pre_activations: Tensor | None,
) -> None: ...
def recurrent_backward(
    cell: str,
    reverse: bool,
    offsets: Tensor,
    weight_hh: Tensor,
    weight_hr: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
    decay: Tensor | None,
    drop: Tensor | None,
    keep: Tensor | None,
    keep_cell: Tensor | None,
    y: Tensor,
    cell_states: Tensor,
    gates: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
    threads: int,
    dh0: Tensor,
    dc0: Tensor,
    d_decay: Tensor,
    unprojected: Tensor,
    d_projected: Tensor,
) -> None: ...
def recurrent_weight_gradient(
    cell: str,
    reverse: bool,
    x: Tensor | None,
    offsets: Tensor,
    h0: Tensor | None,
    decay: Tensor | None,
    drop: Tensor | None,
    y: Tensor,
    d_gates: Tensor,
    threads: int,
    d_weight_ih: Tensor,
    d_weight_hh: Tensor,
    d_bias_ih: Tensor,
    d_bias_hh: Tensor,
) -> None: ...
def linear(x: Tensor, weight: Tensor, bias: Tensor | None, threads: int, out: Tensor) -> None: ...
def outer(a: Tensor, b: Tensor, threads: int, out: Tensor) -> None: ...
def collect(a: Tensor, index: Tensor, rows: int, threads: int, out: Tensor) -> None: ...
def pool_forward(
    kind: str,
    values: Tensor,
    offsets: Tensor,
    scores: Tensor | None,
    initial: Tensor | None,
    threads: int,
    out: Tensor,
    state: Tensor,
) -> None: ...
def pool_backward(
    kind: str,
    values: Tensor,
    offsets: Tensor,
    scores: Tensor | None,
    state: Tensor,
    out: Tensor,
    d_out: Tensor,
    threads: int,
    d_values: Tensor,
    d_scores: Tensor,
) -> None: ...
def scan_forward(
    cell: str,
    candidate: str,
    reverse: bool,
    gates: Tensor,
    offsets: Tensor,
    decay: Tensor | None,
    h0: Tensor | None,
    j0: Tensor | None,
    threads: int,
    y: Tensor,
    h_last: Tensor,
    j_last: Tensor,
) -> None: ...
def scan_backward(
    cell: str,
    candidate: str,
    reverse: bool,
    gates: Tensor,
    offsets: Tensor,
    decay: Tensor | None,
    h0: Tensor | None,
    j0: Tensor | None,
    y: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dj_last: Tensor | None,
    threads: int,
    d_gates: Tensor,
    d_decay: Tensor,
    dh0: Tensor,
    dj0: Tensor,
) -> None: ...
def layer_norm_lstm_forward(
    reverse: bool,
    save: bool,
    gates: Tensor,
    offsets: Tensor,
    weight_hh: Tensor,
    gain_ih: Tensor,
    gain_hh: Tensor,
    bias: Tensor | None,
    gain_cell: Tensor,
    bias_cell: Tensor | None,
    h0: Tensor | None,
    c0: Tensor | None,
    threads: int,
    y: Tensor,
    h_last: Tensor,
    c_last: Tensor,
    sums: Tensor,
    cell_states: Tensor,
) -> None: ...
def layer_norm_lstm_backward(
    reverse: bool,
    gates: Tensor,
    offsets: Tensor,
    weight_hh: Tensor,
    gain_ih: Tensor,
    gain_hh: Tensor,
    bias: Tensor | None,
    gain_cell: Tensor,
    bias_cell: Tensor | None,
    c0: Tensor | None,
    sums: Tensor,
    cell_states: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
    threads: int,
    d_gates: Tensor,
    d_sums: Tensor,
    d_vectors: Tensor,
    dh0: Tensor,
    dc0: Tensor,
) -> None: ...
def info() -> dict[str, Any]: ...
def choose_set(name: str) -> None: ...

class Stepper:
    def __init__(self, layers: Sequence[tuple[Any, ...]], weight_format: int, sequences: int, threads: int) -> None: ...
    def twin(self, sequences: int) -> Stepper: ...
    def step(self, x: Any, count: int, out: int) -> None: ...
    def step_at(self, x: int, count: int, out: int) -> None: ...
    def step_rows(self, x: Any, rows: NDArray[Any], room: int, out: int) -> None: ...
    def reset(self, rows: NDArray[Any] | None) -> None: ...
    def select(self, rows: NDArray[Any]) -> None: ...
    def read(self, count: int, to: Sequence[Tensor]) -> bool: ...
    def write(self, source: Sequence[Tensor], /) -> None: ...
    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def sequences(self) -> int: ...
    @property
    def weight_bytes(self) -> int: ...
