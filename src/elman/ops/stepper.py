"""A stream of steps outside torch: weights packed once, the state kept inside, nothing allocated at a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.errors import OptionError, ShapeError
from elman.ops import library as operators
from elman.ops.state import mapped

_Array = NDArray[Any]
_FORMATS = ("float32", "bfloat16", "int8")
_MOST = 2**31 - 1  # sequences, and threads


class Layer(NamedTuple):
    """One layer of a stepper: a cell of `operators.GATES` and its weights, as ``torch.nn`` shapes them."""

    cell: str
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None


class StateLayout(NamedTuple):
    """How callers see the state of a stepper, where that is not the nested one of its layers."""

    joined: Callable[[Any], Any]  # from the nested state
    split: Callable[[Any, int], Any]  # to it, of so many sequences; raises ``ShapeError``


class Stepper:
    """Layers that take one step after another for a fixed set of sequences, and remember where each of them is.

    Made by ``cell.stepper(...)``, ``encoder.stepper(...)`` and the layers of `elman.nn`. With ``weights="float32"`` a
    step has the same bits as the cell's own ``step``. Weights are copied when it is made: later training does not
    reach it. No gradients.

    - `sequences`: how many are stepped together;
    - `weights`: "float32"; "bfloat16" (half the memory: eight bits of precision each); or "int8" (a quarter: whole
      numbers from -127 to 127 times one scale per row). States and sums are float32 always;
    - `threads`: at most so many share a step; None for torch's number. More than one pays for weights of some 0.3 MB
      or more, and while steps follow each other closely: a thread that helps spins for 0.1 ms before it sleeps.

    One stepper serves one caller at a time; a second one waits. Raises ``OptionError``.

    >>> from elman.cells import LSTM
    >>> cell = LSTM(3, 4)
    >>> stepper = cell.stepper(sequences=2)
    >>> x = torch.randn(5, 2, 3)
    >>> for step in x:
    ...     y = stepper.step(step)
    >>> stepper.state.hidden.shape, torch.equal(y, stepper.state.hidden)
    (torch.Size([2, 4]), True)
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        initial: Any,
        sequences: int = 1,
        weights: str = "float32",
        threads: int | None = None,
        layout: StateLayout | None = None,
    ) -> None:
        check_whole("sequences", sequences, _MOST)
        if threads is not None:
            check_whole("threads", threads, _MOST)
        self._initial = initial  # the state of one sequence before its first step: what a state looks like
        self._layout = layout
        self._begin(_packed(layers, _leaves(initial), sequences, weights, threads), weights)

    def _begin(self, kernel: Any, weights: str) -> None:
        self._kernel = kernel
        self.weights = weights
        self.inputs: int = kernel.inputs
        self.outputs: int = kernel.outputs
        self._resize()

    def _resize(self) -> None:
        """Makes room for the result of as many sequences as there are now."""
        count = -1
        while count != self.sequences:  # another thread may select at any time
            count = self.sequences
            array: NDArray[np.float32] = np.zeros((count, self.outputs), np.float32)
            shape = torch.Size((count, self.inputs))
            # In one attribute: another thread sees all of it or nothing.
            self._out = array, torch.from_numpy(array), array.ctypes.data, count, shape

    @property
    def sequences(self) -> int:
        """How many are stepped together."""
        count: int = self._kernel.sequences
        return count

    def step(self, x: Any, rows: Any = None) -> Any:
        """Takes one step of each sequence, `x` [sequences, inputs] of float32, and returns [sequences, outputs].

        `rows` steps only those sequences, each at most once: `x` is then [len(rows), inputs], the result
        [len(rows), outputs], and the others stay where they are.

        A tensor for a tensor, an array for an array. **The result is the same memory at every call**: copy what is to
        be kept longer. `x` must be contiguous, and is not kept. Raises ``ShapeError``; nothing has then happened.
        """
        array, tensor, address, count, shape = self._out
        is_tensor = isinstance(x, Tensor)
        if rows is not None:
            rows = _indices(rows)
            self._kernel.step_rows(_array(x) if is_tensor else x, rows, count, address)
            return (tensor if is_tensor else array)[: len(rows)]
        if not is_tensor:
            self._kernel.step(x, count, address)
            return array
        if x.shape != shape or x.dtype is not torch.float32 or not x.is_contiguous() or not x.is_cpu:
            raise _unfit(x, shape)
        if x.is_neg():
            x = x.resolve_neg()
        self._kernel.step_at(x.data_ptr(), count, address)
        return tensor

    @property
    def state(self) -> Any:
        """The state of all sequences, as the cell's or the encoder's ``step`` takes it: a copy, each field
        [sequences, hidden]; of a layer of `elman.nn` as its ``hx``. May be set to such a state, which is copied."""
        while True:
            count = self.sequences
            made = [torch.empty(count, leaf.shape[-1], device="cpu") for leaf in _leaves(self._initial)]
            if self._kernel.read(count, made):  # else another thread has selected since
                break
        copies = iter(made)
        found = mapped(lambda _: next(copies), self._initial)
        return found if self._layout is None else self._layout.joined(found)

    @state.setter
    def state(self, state: Any) -> None:
        count = self.sequences
        fresh = _leaves(state if self._layout is None else self._layout.split(state, count))
        like = _leaves(self._initial)
        if len(fresh) != len(like):
            raise ShapeError(
                f"state must have {len(like)} tensors, got {len(fresh)}. Give what stepper.state returned."
            )
        for tensor, leaf in zip(fresh, like, strict=True):
            shape = [count, leaf.shape[-1]]
            if tensor.dtype is not torch.float32 or list(tensor.shape) != shape or not tensor.is_cpu:
                raise ShapeError(
                    f"state must hold float32 tensors {shape} here, got {tensor.dtype} {list(tensor.shape)}. "
                    "Give what stepper.state returned."
                )
        self._kernel.write([_close(tensor) for tensor in fresh])

    def reset(self, rows: Any = None) -> None:
        """Takes all sequences, or those in `rows`, back to before their first step."""
        self._kernel.reset(None if rows is None else _indices(rows))

    def select(self, rows: Any) -> None:
        """Goes on with other sequences: number i from where number ``rows[i]`` was. There may be more or fewer of them
        than before, and one may be chosen several times (beam search; clients that come and go)."""
        self._kernel.select(_indices(rows))
        self._resize()

    def twin(self, sequences: int = 1) -> Self:
        """Another stepper with the same packed weights, before the first step of so many sequences."""
        check_whole("sequences", sequences, _MOST)
        made = type(self).__new__(type(self))
        made._initial, made._layout = self._initial, self._layout
        made._begin(self._kernel.twin(sequences), self.weights)
        return made

    def __repr__(self) -> str:
        return (
            f"Stepper({self.inputs}, {self.outputs}, sequences={self.sequences}, weights={self.weights!r}, "
            f"{self._kernel.weight_bytes / 1e6:.2f} MB)"
        )


def _packed(
    layers: Sequence[Layer], initial: Sequence[Tensor], sequences: int, weights: str, threads: int | None
) -> operators.KernelStepper:
    """The compiled part: a copy of the weights, packed. `initial` [1, hidden]: h of each layer, and c after it."""
    if weights not in _FORMATS:
        raise OptionError(f"weights must be one of {', '.join(_FORMATS)}, got {weights!r}.")
    given = [tensor for layer in layers for tensor in layer[1:] if isinstance(tensor, Tensor)]
    unfit = next((tensor for tensor in given if tensor.dtype is not torch.float32 or not tensor.is_cpu), None)
    if unfit is not None:
        raise OptionError(
            f"a stepper is made from float32 weights on the CPU, got {unfit.dtype} on {unfit.device}. Convert the cell "
            "first, for example with .float() or .cpu()."
        )
    states = iter(initial)
    made = []
    for layer in layers:
        h0, c0 = next(states), next(states) if operators.CELLS[layer.cell].has_cell_state else None
        made.append((layer.cell, *map(_close_if, layer[1:]), _close(h0), _close_if(c0)))
    threads = torch.get_num_threads() if threads is None else threads
    return operators.KernelStepper(made, _FORMATS.index(weights), sequences, threads)


def check_whole(name: str, number: Any, most: int) -> None:
    """Raises ``OptionError`` unless `number` is a whole number from 1 to `most`.

    >>> check_whole("threads", 2, most=4)
    """
    if not hasattr(number, "__index__") or isinstance(number, bool) or number.__index__() < 1:
        raise OptionError(f"{name} must be a whole number of at least 1, got {number!r}.")
    if number.__index__() > most:
        raise OptionError(f"{name} may be at most {most}, got {number!r}.")


def _close(tensor: Tensor) -> Tensor:
    """The numbers as they lie in memory: `tensor` may be a view that reads them with another sign."""
    return tensor.detach().resolve_neg().contiguous()


def _close_if(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else _close(tensor)


def _leaves(state: Any) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    return [tensor for part in state for tensor in _leaves(part)] if isinstance(state, tuple) else []


def _indices(rows: Any) -> NDArray[np.int64]:
    found = np.asarray(rows)
    if found.ndim != 1 or (found.dtype.kind not in "iu" and len(found)):
        raise ShapeError(f"rows must be a list of whole numbers, got {rows!r}.")
    return np.ascontiguousarray(found, np.int64)


def _array(x: Tensor) -> _Array:
    if x.dtype is not torch.float32 or not x.is_cpu:
        raise _unfit(x, x.shape)
    return x.detach().resolve_neg().numpy()


def _unfit(x: Tensor, shape: torch.Size) -> ShapeError:
    if x.shape != shape:
        return ShapeError(f"x must have shape {list(shape)} (sequences, inputs), got {list(x.shape)}.")
    if x.dtype is not torch.float32 or not x.is_cpu:
        return ShapeError(f"x must be float32 on the CPU, got {x.dtype} on {x.device}. Convert it first.")
    return ShapeError("x must be contiguous. Call .contiguous() on it.")
