# The compiled core (csrc/bindings.cc). Arguments are described in csrc/api.h.
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

def check_batch(offsets: Tensor, steps: int, index: Tensor | None, rows: int) -> None: ...
def forward(
    cell: str,
    reverse: bool,
    save: bool,
    threads: int,
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
    y: Tensor,
    h_last: Tensor,
    c_last: Tensor | None,
    table: Tensor | None,
    saved: Tensor | None,
    cells: Tensor | None,
) -> None: ...
def backward(
    cell: str,
    reverse: bool,
    threads: int,
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
    cells: Tensor | None,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
    saved: Tensor,
    dh0: Tensor,
    dc0: Tensor | None,
    d_decay: Tensor | None,
    full: Tensor | None,
    d_projected: Tensor | None,
) -> None: ...
def gradient(
    cell: str,
    reverse: bool,
    threads: int,
    x: Tensor | None,
    offsets: Tensor,
    h0: Tensor | None,
    decay: Tensor | None,
    drop: Tensor | None,
    y: Tensor,
    saved: Tensor,
    d_weight_ih: Tensor | None,
    d_weight_hh: Tensor,
    d_bias_ih: Tensor,
    d_bias_hh: Tensor,
) -> None: ...
def linear(threads: int, x: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None: ...
def outer(threads: int, a: Tensor, b: Tensor, out: Tensor) -> None: ...
def collect(threads: int, a: Tensor, index: Tensor, out: Tensor) -> None: ...
def pool_forward(
    pool: str,
    threads: int,
    values: Tensor,
    offsets: Tensor,
    scores: Tensor | None,
    initial: Tensor | None,
    state: Tensor,
    out: Tensor,
) -> None: ...
def pool_backward(
    pool: str,
    threads: int,
    values: Tensor,
    offsets: Tensor,
    scores: Tensor | None,
    state: Tensor,
    out: Tensor,
    dout: Tensor,
    dvalues: Tensor,
    dscores: Tensor | None,
) -> None: ...
def scan_forward(
    cell: str,
    candidate: str,
    reverse: bool,
    threads: int,
    gates: Tensor,
    offsets: Tensor,
    decay: Tensor | None,
    h0: Tensor | None,
    j0: Tensor | None,
    y: Tensor,
    h_last: Tensor,
    j_last: Tensor | None,
) -> None: ...
def scan_backward(
    cell: str,
    candidate: str,
    reverse: bool,
    threads: int,
    gates: Tensor,
    offsets: Tensor,
    decay: Tensor | None,
    h0: Tensor | None,
    j0: Tensor | None,
    y: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dj_last: Tensor | None,
    d_gates: Tensor,
    d_decay: Tensor | None,
    dh0: Tensor,
    dj0: Tensor | None,
) -> None: ...
def norm_forward(
    reverse: bool,
    threads: int,
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
    y: Tensor,
    h_last: Tensor,
    c_last: Tensor,
    sums: Tensor | None,
    cells: Tensor | None,
) -> None: ...
def norm_backward(
    reverse: bool,
    threads: int,
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
    cells: Tensor,
    dy: Tensor | None,
    dh_last: Tensor | None,
    dc_last: Tensor | None,
    d_gates: Tensor,
    d_sums: Tensor,
    d_vectors: Tensor,
    dh0: Tensor,
    dc0: Tensor,
) -> None: ...
def info() -> dict[str, Any]: ...
def choose_set(name: str) -> None: ...

class Stepper:
    def __init__(self, layers: Sequence[tuple[Any, ...]], store: int, sequences: int, threads: int) -> None: ...
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
