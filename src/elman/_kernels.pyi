# The compiled core (csrc/bindings.cc). Arguments are described in csrc/api.h.
from typing import Any

from torch import Tensor

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
def info() -> dict[str, Any]: ...
def choose_set(name: str) -> None: ...
