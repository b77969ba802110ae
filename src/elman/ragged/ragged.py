"""Ragged: many sequences of different lengths as one array of steps and one array of offsets.

`values` is `[steps, ...]`: all steps of sequence 0, then all steps of sequence 1, and so on. `offsets` is
`[sequences + 1]`: sequence `i` is `values[offsets[i]:offsets[i + 1]]`. There is no other layout and no padding.
"""

import builtins
import contextlib
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, SupportsIndex, overload

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from elman.errors import DataError, Place, ShapeError
from elman.ragged.arithmetic import aligned, check_lengths, for_every_step, is_operand
from elman.ragged.arrow import is_list_type, joined, list_lengths, nulls, numbers_of, pyarrow
from elman.ragged.from_lists import agree_dtype, agree_shape, is_python, to_tensor

_Array = np.ndarray[Any, Any]
_Indices = list[int] | list[bool] | range | Tensor | _Array


class Ragged:
    """Sequences of different lengths: `values` `[steps, ...]` and `offsets` `[sequences + 1]`.

    `offsets` is an int64 tensor on the CPU, whatever the device of `values`: the first is 0, they never decrease, the
    last is the number of steps. Empty sequences, zero sequences and zero steps are legal. Immutable by convention:
    nothing in this package writes into either tensor. Nothing is copied here, and `values` need not be contiguous.
    `==` is identity; compare `values` and `offsets` to compare contents. Everything that keeps, selects or joins steps
    is differentiable with respect to `values`.

    Raises `ShapeError` if the offsets break a rule.

    >>> x = Ragged(torch.zeros(7, 3), torch.tensor([0, 5, 5, 7]))
    >>> x
    Ragged(sequences=3, steps=7, width=3, dtype=float32)
    >>> len(x), x[2].shape, x[:2]
    (3, torch.Size([2, 3]), Ragged(sequences=2, steps=5, width=3, dtype=float32))
    """

    __slots__ = ("offsets", "values")

    values: Tensor
    offsets: Tensor

    def __init__(self, values: Tensor, offsets: Tensor) -> None:
        _check_values(values)
        _check_offsets(offsets, values)
        self.values = values
        self.offsets = offsets

    @classmethod
    def _trusted(cls, values: Tensor, offsets: Tensor) -> Self:
        """The same without checks, for offsets that were checked or made here."""
        made = cls.__new__(cls)
        made.values = values
        made.offsets = offsets
        return made

    # ---- what it is

    @property
    def sequences(self) -> int:
        """How many sequences, empty ones included; the same as `len(x)`.

        >>> Ragged.of([[1, 2], []]).sequences
        2
        """
        return self.offsets.shape[0] - 1

    @property
    def steps(self) -> int:
        """How many steps in all sequences together.

        >>> Ragged.of([[1, 2], [], [3]]).steps
        3
        """
        return self.values.shape[0]

    @property
    def width(self) -> int:
        """How many numbers a step has: the product of `values.shape[1:]`.

        It is 0 where `values` is one-dimensional and a step is one bare number, such as a symbol.

        >>> Ragged.of([[[1.0, 2.0]]]).width, Ragged.of([[7, 8]]).width
        (2, 0)
        """
        shape = self.values.shape
        return math.prod(shape[1:]) if len(shape) > 1 else 0

    @property
    def lengths(self) -> Tensor:
        """Steps of each sequence, int64 `[sequences]` on the CPU.

        >>> Ragged.of([[1, 2], [], [3]]).lengths
        tensor([2, 0, 1])
        """
        return self.offsets[1:] - self.offsets[:-1]

    @property
    def segments(self) -> Tensor:
        """Which sequence each step belongs to, int64 `[steps]` on the device of `values`.

        >>> Ragged.of([[1, 2], [], [3]]).segments
        tensor([0, 0, 2])
        """
        return _repeat(torch.arange(self.sequences, device="cpu"), self.lengths).to(self.values.device)

    def __len__(self) -> int:
        return self.offsets.shape[0] - 1

    def __repr__(self) -> str:
        values = self.values
        device = "" if values.device.type == "cpu" else f", device={str(values.device)!r}"
        dtype = str(values.dtype).removeprefix("torch.")
        return f"Ragged(sequences={len(self)}, steps={self.steps}, width={self.width}, dtype={dtype}{device})"

    def __reduce__(self) -> tuple[type[Self], tuple[Tensor, Tensor]]:
        return type(self), (self.values, self.offsets)  # so that what is unpickled is checked again

    # ---- choosing sequences

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice | _Indices) -> "Ragged": ...
    def __getitem__(self, index: int | slice | _Indices) -> "Tensor | Ragged":
        """One sequence `[length, ...]` for a number; a Ragged for a slice, a list of numbers or a mask.

        Numbers may be negative, slices open, empty or stepped. Raises `IndexError` for a sequence that is not there.

        >>> x = Ragged.of([[1, 2], [], [3]])
        >>> x[-1], x[::-1].to_list()
        (tensor([3]), [tensor([3]), tensor([], dtype=torch.int64), tensor([1, 2])])
        >>> x[[2, 0, 2]].lengths, x[x.lengths > 0].lengths
        (tensor([1, 2, 1]), tensor([2, 1]))
        """
        if isinstance(index, slice):
            return self._slice(index)
        if isinstance(index, list | range) or (isinstance(index, Tensor | np.ndarray) and index.ndim > 0):
            return self._take(_chosen(index, len(self)))
        i = _number(index)
        count = len(self)
        if not -count <= i < count:
            raise IndexError(_out_of_range(i, count))
        start, stop = self.offsets[i % count : i % count + 2].tolist()
        return self.values[start:stop]

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.to_list())

    def _slice(self, index: slice) -> "Ragged":
        start, stop, stride = index.indices(len(self))
        if stride != 1:
            return self._take(torch.tensor(range(start, stop, stride), dtype=torch.int64, device="cpu"))
        offsets = self.offsets[start : max(start, stop) + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        return Ragged._trusted(self.values[first:last], offsets - first)

    def _take(self, chosen: Tensor) -> "Ragged":
        return _gather(self.values, self.offsets[:-1][chosen], self.lengths[chosen])

    # ---- other values on the same offsets

    def with_values(self, values: Tensor) -> "Ragged":
        """The same sequences with other values at each step; the offsets are shared and not checked again.

        `values` is `[steps, ...]`, of any width, dtype and device. Raises `ShapeError` if its number of steps differs.

        >>> x = Ragged.of([[1, 2], [], [3]])
        >>> x.with_values(x.values * 10).to_list()
        [tensor([10, 20]), tensor([], dtype=torch.int64), tensor([30])]
        """
        _check_values(values)
        if values.shape[0] != self.steps:
            raise ShapeError(
                f"with_values expects one value for each of the {self.steps} steps, "
                f"got values of shape {list(values.shape)}. Use Ragged(values, offsets) for other sequences."
            )
        return Ragged._trusted(values, self.offsets)

    def to(self, *args: Any, **kwargs: Any) -> "Ragged":
        """The same sequences on another device or in another dtype; the arguments are those of `torch.Tensor.to`.

        >>> Ragged.of([[1, 2], [3]]).to(torch.float64)
        Ragged(sequences=2, steps=3, width=0, dtype=float64)
        """
        return self.with_values(self.values.to(*args, **kwargs))

    def float(self) -> "Ragged":
        """The same sequences in float32, as `torch.Tensor.float`.

        >>> Ragged.of([[1, 2], [3]]).float().values
        tensor([1., 2., 3.])
        """
        return self.with_values(self.values.float())

    def pin_memory(self) -> "Ragged":
        """The same sequences with `values` in page-locked memory, for copies to a GPU with `non_blocking=True`.

        `DataLoader(pin_memory=True)` calls it. Raises what `torch.Tensor.pin_memory` raises without a GPU.
        """
        return self.with_values(self.values.pin_memory())

    def map(self, function: Callable[[Tensor], Tensor]) -> "Ragged":
        """The same sequences with `function` of all steps: `values` [steps, ...] go in, [steps, ...] come out.

        For functions of a step, such as an activation or a linear layer; a step must not depend on its neighbours,
        which may be of another sequence. Raises `ShapeError` if another number of steps comes out.

        >>> Ragged.of([[1, -2], [], [-3]]).map(torch.relu).to_list()
        [tensor([1, 0]), tensor([], dtype=torch.int64), tensor([0])]
        >>> Ragged.of([torch.randn(5, 3), torch.randn(2, 3)]).map(torch.nn.Linear(3, 8)).width
        8
        """
        made: Any = function(self.values)
        if not isinstance(made, Tensor) or made.dim() == 0 or made.shape[0] != self.steps:
            got = f"a tensor of shape {list(made.shape)}" if isinstance(made, Tensor) else type(made).__name__
            raise ShapeError(
                f"the function of map must return one value for each of the {self.steps} steps, got {got}. For one "
                "value a sequence, use it on each of x.to_list()."
            )
        return self.with_values(made)

    # ---- arithmetic, step by step: with a number, a tensor for every step, or a Ragged of the same lengths

    __array_ufunc__ = None  # NumPy leaves `array + x` to us

    def _combined(self, other: Any, function: Callable[[Any, Any], Tensor]) -> "Ragged":
        if isinstance(other, Ragged):
            check_lengths(self.offsets, other.offsets)
            return self.with_values(function(*aligned(self.values, other.values)))
        if not is_operand(other):
            return NotImplemented  # type: ignore[no-any-return]  # what Python asks of an operator
        return self.with_values(function(self.values, for_every_step(other, self.values)))

    def __add__(self, other: Any) -> "Ragged":
        """The sum at every step. `other` is a number, a tensor that broadcasts to a step, or a `Ragged` of the same
        lengths, whose steps broadcast; types promote as in torch. So do `-`, `*` and `/`, from both sides.

        Raises `ShapeError` for lengths or steps that do not fit.

        >>> x = Ragged.of([[[1.0, 2.0]], [], [[3.0, 4.0]]])
        >>> (2 * x + torch.tensor([10.0, 20.0])).values
        tensor([[12., 24.],
                [16., 28.]])
        >>> (x / x - 1).values.tolist()
        [[0.0, 0.0], [0.0, 0.0]]
        """
        return self._combined(other, operator.add)

    __radd__ = __add__

    def __sub__(self, other: Any) -> "Ragged":
        return self._combined(other, operator.sub)

    def __mul__(self, other: Any) -> "Ragged":
        return self._combined(other, operator.mul)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Ragged":
        return self._combined(other, operator.truediv)

    def __rsub__(self, other: Any) -> "Ragged":
        return self._combined(other, lambda here, there: there - here)

    def __rtruediv__(self, other: Any) -> "Ragged":
        return self._combined(other, lambda here, there: there / here)

    def __neg__(self) -> "Ragged":
        return self.with_values(-self.values)

    # ---- lists

    @staticmethod
    def of(sequences: Iterable[Any], dtype: torch.dtype | None = None, width: int | None = None) -> "Ragged":
        """Copies a list of sequences into one Ragged.

        Each sequence is a tensor or an array `[length, ...]`, a list of numbers, or a list of rows of equal width.

        `dtype`: None keeps the dtype of tensors and arrays, which must agree. Python numbers follow torch: floats
        become the default dtype (float32), integers int64, both together floats; beside tensors or arrays they take
        the dtype of those. A dtype given here converts everything.

        `width`: None takes the shape of a step from the sequences. A sequence that is `[]` or has shape `[0]` holds
        nothing to disagree with and takes shape and dtype from the others; if all are such, `values` has shape `[0]`,
        or `[0, width]` if a width is given. `width=1` makes lists of numbers `[length, 1]`; 0 asks for bare numbers.

        Raises `DataError` if a sequence is not made of numbers (text, None, rows of unequal width), `ShapeError` if
        two sequences do not fit together.

        >>> Ragged.of([torch.randn(5, 3), torch.randn(0, 3), torch.randn(2, 3)]).offsets
        tensor([0, 5, 5, 7])
        >>> Ragged.of([[1, 2], [], [0.5]]).values
        tensor([1.0000, 2.0000, 0.5000])
        >>> Ragged.of([[], []], width=3)
        Ragged(sequences=2, steps=0, width=3, dtype=float32)
        """
        if isinstance(sequences, str | bytes | Mapping) or not hasattr(sequences, "__iter__"):
            raise DataError(f"Ragged.of expects a list of sequences, got {sequences!r}. Wrap it in a list.")
        if width is not None and (type(width) is not int or width < 0):
            raise ShapeError(f"width must be a whole number of at least 0, got {width!r}.")
        given = list(sequences)
        parts = [to_tensor(sequence, f"sequence {i}", dtype) for i, sequence in enumerate(given)]
        for i, part in enumerate(parts):
            if part.dim() == 0:
                raise DataError(
                    f"is the single number {given[i]!r}. A sequence is a list of steps.", at=Place(sequence=i)
                )
        telling = [i for i, part in enumerate(parts) if part.dim() > 1 or len(part)]
        telling = telling or [i for i, part in enumerate(parts) if not is_python(given[i])]
        agree_dtype(given, parts, telling, dtype)
        shape = agree_shape(parts, telling, width)
        lengths = torch.tensor([len(part) for part in parts], dtype=torch.int64, device="cpu")
        if not telling:
            return Ragged._trusted(torch.empty(0, *shape, dtype=dtype), _offsets_of(lengths))
        values = torch.cat([parts[i] for i in telling])
        if values.shape[1:] != shape:
            values = values.reshape(-1, *shape)
        return Ragged._trusted(values, _offsets_of(lengths))

    def to_list(self) -> list[Tensor]:
        """Each sequence as a tensor `[length, ...]`; views, not copies.

        >>> Ragged.of([[1, 2], [], [3]]).to_list()
        [tensor([1, 2]), tensor([], dtype=torch.int64), tensor([3])]
        """
        if not len(self):
            return []
        # One split has one backward; a slice for each sequence would make a gradient of all steps for each.
        return list(self.values.split(self.lengths.tolist()))

    @staticmethod
    def cat(raggeds: "Iterable[Ragged]") -> "Ragged":
        """All sequences of all `raggeds`, in order. Raises `ShapeError` if there is none or their steps differ.

        >>> Ragged.cat([Ragged.of([[1, 2], []]), Ragged.of([[3]])]).to_list()
        [tensor([1, 2]), tensor([], dtype=torch.int64), tensor([3])]
        """
        parts = list(raggeds)
        if not parts:
            raise ShapeError("Ragged.cat needs at least one Ragged, got an empty list.")
        first = parts[0]
        for i, part in enumerate(parts):
            for what in ("dtype", "device"):
                if getattr(part.values, what) != getattr(first.values, what):
                    raise ShapeError(
                        f"part {i} has {what} {getattr(part.values, what)}, part 0 has "
                        f"{getattr(first.values, what)}. Convert one with .to()."
                    )
            if part.values.shape[1:] != first.values.shape[1:]:
                raise ShapeError(
                    f"part {i} has values of shape {list(part.values.shape)}, part 0 of shape "
                    f"{list(first.values.shape)}. All steps need the same shape."
                )
        lengths = torch.cat([part.lengths for part in parts])
        return Ragged._trusted(torch.cat([part.values for part in parts]), _offsets_of(lengths))

    # ---- padded tensors: for data that arrives or leaves that way

    @staticmethod
    def from_padded(padded: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = True) -> "Ragged":
        """The steps of a padded tensor that count, without its padding.

        `padded` is `[sequences, longest, ...]`, or `[longest, sequences, ...]` if not `batch_first`; `lengths` is
        `[sequences]`, each from 0 to longest. Raises `ShapeError` if they do not fit together.

        >>> Ragged.from_padded(torch.tensor([[1, 2], [0, 0], [3, 0]]), [2, 0, 1]).to_list()
        [tensor([1, 2]), tensor([], dtype=torch.int64), tensor([3])]
        """
        if padded.dim() < 2:
            raise ShapeError(f"padded must have at least two dimensions, got shape {list(padded.shape)}.")
        if not batch_first:
            padded = padded.transpose(0, 1)
        sequences, longest = padded.shape[:2]
        counts = torch.as_tensor(lengths, device="cpu")
        if counts.numel() and (counts.is_floating_point() or counts.is_complex() or counts.dtype == torch.bool):
            raise ShapeError(f"lengths must be whole numbers, got {counts.dtype}.")
        counts = counts.to(torch.int64)
        if counts.shape != (sequences,):
            raise ShapeError(
                f"lengths must have one number for each of the {sequences} sequences, got shape "
                f"{list(counts.shape)}. Check batch_first, which is {batch_first}."
            )
        for i in torch.nonzero((counts < 0) | (counts > longest)).flatten().tolist():
            raise ShapeError(f"lengths[{i}] = {int(counts[i])} must be from 0 to {longest}, the longest in padded.")
        return _gather(padded.flatten(0, 1), torch.arange(sequences, device="cpu") * longest, counts)

    def to_padded(self, value: builtins.float = 0, batch_first: bool = True) -> tuple[Tensor, Tensor]:
        """A padded tensor and the lengths, for a function that needs them.

        `[sequences, longest, ...]`, or `[longest, sequences, ...]` if not `batch_first`; `value` fills what is not a
        step. This takes memory for sequences * longest steps.

        >>> Ragged.of([[1, 2], [], [3]]).to_padded()
        (tensor([[1, 2],
                [0, 0],
                [3, 0]]), tensor([2, 0, 1]))
        """
        values, lengths = self.values, self.lengths
        longest = int(lengths.max()) if len(self) else 0
        within = torch.arange(self.steps, device="cpu") - _repeat(self.offsets[:-1], lengths)
        places = _repeat(torch.arange(len(self), device="cpu") * longest, lengths) + within
        flat = values.new_full((len(self) * longest, *values.shape[1:]), value)
        flat = flat.index_copy(0, places.to(values.device), values)
        padded = flat.reshape(len(self), longest, *values.shape[1:])
        return (padded if batch_first else padded.transpose(0, 1).contiguous()), lengths

    # ---- torch's packed sequences

    @staticmethod
    def from_packed(packed: PackedSequence) -> "Ragged":
        """The sequences of a `PackedSequence`, in the order in which they were before packing.

        >>> from torch.nn.utils.rnn import pack_sequence
        >>> Ragged.from_packed(pack_sequence([torch.tensor([1]), torch.tensor([2, 3])], enforce_sorted=False)).to_list()
        [tensor([1]), tensor([2, 3])]
        """
        sizes = packed.batch_sizes.cpu()
        places = torch.arange(int(sizes[0]), device="cpu")  # where each sequence stands among the sorted ones
        lengths = _how_many_above(sizes, places)
        if packed.unsorted_indices is not None:
            places = packed.unsorted_indices.cpu()
            lengths = lengths[places]
        offsets = _offsets_of(lengths)
        within = torch.arange(int(offsets[-1]), device="cpu") - _repeat(offsets[:-1], lengths)
        rows = _offsets_of(sizes)[within] + _repeat(places, lengths)
        return Ragged(packed.data.index_select(0, rows.to(packed.data.device)), offsets)

    def to_packed(self, enforce_sorted: bool = False, like: PackedSequence | None = None) -> PackedSequence:
        """A torch `PackedSequence`. Sequences of equal length keep their order.

        `enforce_sorted=True` promises that lengths never increase, and keeps no order, as in torch. `like` asks for the
        sequence order of another one, so that `data` of the two can be put side by side.

        Raises `ShapeError` where torch has no such thing: zero sequences, an empty sequence, lengths not as promised.

        >>> Ragged.of([[1], [2, 3]]).to_packed().data
        tensor([2, 1, 3])
        """
        lengths = self.lengths
        if not len(self):
            raise ShapeError("a PackedSequence cannot hold zero sequences, and this Ragged has 0.")
        for i in torch.nonzero(lengths == 0).flatten().tolist():
            raise ShapeError(
                f"a PackedSequence cannot hold an empty sequence, but sequence {i} has 0 steps. "
                "Keep the others with x[x.lengths > 0]."
            )
        order = lengths.sort(descending=True, stable=True).indices
        if like is not None:
            enforce_sorted = like.sorted_indices is None
        if enforce_sorted:
            order = torch.arange(len(self), device="cpu")
        elif like is not None and like.sorted_indices is not None:
            order = like.sorted_indices.cpu()
            if len(order) != len(self):
                raise ShapeError(f"like has {len(order)} sequences, this Ragged has {len(self)}.")
        ordered = lengths[order]
        for i in torch.nonzero(ordered[1:] > ordered[:-1]).flatten().tolist():
            raise ShapeError(
                f"the order asked for needs lengths that never increase, but sequence {int(order[i + 1])} has "
                f"{int(ordered[i + 1])} steps and comes after sequence {int(order[i])} with {int(ordered[i])}. "
                "Use enforce_sorted=False."
            )
        sizes = _how_many_above(ordered, torch.arange(int(ordered[0]), device="cpu"))
        starts = _offsets_of(sizes)[:-1]
        places = torch.arange(self.steps, device="cpu") - _repeat(starts, sizes)
        rows = self.offsets[:-1][order][places] + _repeat(torch.arange(len(sizes), device="cpu"), sizes)
        device = self.values.device
        data = self.values.index_select(0, rows.to(device))
        if enforce_sorted:
            return PackedSequence(data, sizes)
        return PackedSequence(data, sizes, order.to(device), order.argsort().to(device))

    # ---- torch's nested tensors

    @staticmethod
    def from_nested(nested: Tensor) -> "Ragged":
        """The sequences of a jagged nested tensor `[sequences, (length), ...]`, with or without holes.

        Raises `ShapeError` if the tensor is not nested, not jagged, or jagged in another dimension than 1.

        >>> parts = [torch.tensor([1.0, 2.0]), torch.tensor([3.0])]
        >>> Ragged.from_nested(torch.nested.nested_tensor(parts, layout=torch.jagged)).to_list()
        [tensor([1., 2.]), tensor([3.])]
        """
        if getattr(nested, "layout", None) is not torch.jagged:
            raise ShapeError(
                f"from_nested expects a nested tensor of layout torch.jagged, got {_kind(nested)}. Make one with "
                "torch.nested.as_nested_tensor(tensors, layout=torch.jagged), or use Ragged.of(tensors)."
            )
        where = getattr(nested, "_ragged_idx", 1)
        if where != 1:
            raise ShapeError(f"from_nested expects lengths that differ in dimension 1, got dimension {where}.")
        jagged: Any = nested  # offsets() and lengths() are not among torch's type hints
        bounds = jagged.offsets().cpu().to(torch.int64)
        lengths = jagged.lengths()
        if lengths is None and int(bounds[0]) == 0 and int(bounds[-1]) == len(jagged.values()):
            return Ragged(jagged.values(), bounds)
        starts = bounds[:-1]
        return _gather(jagged.values(), starts, bounds[1:] - starts if lengths is None else lengths.cpu().long())

    def to_nested(self) -> Tensor:
        """A jagged nested tensor `[sequences, (length), ...]` over the same values.

        >>> Ragged.of([[1.0, 2.0], [3.0]]).to_nested().unbind()
        (tensor([1., 2.]), tensor([3.]))
        """
        nested: Tensor = torch.nested.nested_tensor_from_jagged(self.values, self.offsets.to(self.values.device))
        return nested

    # ---- Arrow list columns

    @staticmethod
    def from_arrow(column: Any) -> "Ragged":
        """Copies an Arrow list column: one sequence per row.

        `column` is a pyarrow array or chunked array, or anything that offers itself through the Arrow interface, such
        as a polars Series. Its type is a list of numbers, or a list of lists of equal width, of any list kind.

        Raises `DataError` that names row and step for a null, for steps of unequal width, and for other types.

        >>> import pyarrow
        >>> Ragged.from_arrow(pyarrow.array([[1, 2], [], [3]])).to_list()
        [tensor([1, 2]), tensor([], dtype=torch.int64), tensor([3])]
        """
        pa = pyarrow()
        if isinstance(column, pa.Table | pa.RecordBatch):
            raise DataError(f"from_arrow expects one column, got a table with {column.column_names}. Choose one.")
        if not isinstance(column, pa.Array | pa.ChunkedArray):
            if not hasattr(column, "__arrow_c_stream__"):
                raise DataError(f"from_arrow expects an Arrow list column, got {type(column).__name__}.")
            column = pa.chunked_array(column)
        if not is_list_type(column.type):
            raise DataError(f"from_arrow expects a list column, got a column of type {column.type}.")
        column = joined(column)
        for row in nulls(column):
            raise DataError("is null. Drop the row, or fill it with an empty list.", at=Place(row=row))
        offsets = _offsets_of(list_lengths(column))

        def place(step: int) -> str:
            row = int(torch.searchsorted(offsets, step, right=True)) - 1
            return f"row {row}, step {step - int(offsets[row])}"

        return Ragged(torch.from_numpy(numbers_of(column.flatten(), place)), offsets)

    def to_arrow(self) -> Any:
        """A pyarrow large list column: one row per sequence; each step a number or a list of fixed size.

        Values leave their gradient and their device behind. Raises `ShapeError` if Arrow cannot hold them.

        >>> Ragged.of([[1, 2], [], [3]]).to_arrow().to_pylist()
        [[1, 2], [], [3]]
        """
        pa = pyarrow()
        shape = self.values.shape
        if 0 in shape[1:]:
            raise ShapeError(f"Arrow cannot hold steps of width 0, and values have shape {list(shape)}.")
        try:
            values = pa.array(self.values.detach().cpu().numpy().reshape(-1))
        except (TypeError, pa.ArrowException) as error:
            raise ShapeError(
                f"Arrow cannot hold values of {self.values.dtype}. Convert them first, as in x.to(torch.float32)."
            ) from error
        for size in reversed(shape[1:]):
            values = pa.FixedSizeListArray.from_arrays(values, size)
        return pa.LargeListArray.from_arrays(pa.array(self.offsets.numpy()), values)


# ---- the rules


def _check_values(values: Tensor) -> None:
    if not isinstance(values, Tensor):
        raise ShapeError(f"values must be a tensor [steps, ...], got {_kind(values)}. Use Ragged.of for lists.")
    if values.is_nested or values.layout is not torch.strided:
        raise ShapeError(f"values must be a dense tensor [steps, ...], got {_kind(values)}. See Ragged.from_nested.")
    if values.dim() == 0:
        raise ShapeError("values must have at least one dimension [steps, ...], got a single number.")


def _check_offsets(offsets: Tensor, values: Tensor) -> None:
    """The five rules, on every layer call: in NumPy, which takes a few microseconds where torch takes ten."""
    if not isinstance(offsets, Tensor):
        raise ShapeError(f"offsets must be an int64 tensor, got {_kind(offsets)}. Use torch.tensor(offsets).")
    if offsets.dtype is not torch.int64:
        raise ShapeError(f"offsets must be int64, got {offsets.dtype}. Convert them with offsets.long().")
    if not offsets.is_cpu:
        raise ShapeError(f"offsets must be on the CPU, got {offsets.device}. Move them with offsets.cpu().")
    if offsets.dim() != 1:
        raise ShapeError(f"offsets must be one-dimensional, got shape {list(offsets.shape)}.")
    last = offsets.shape[0] - 1
    if last < 0:
        raise ShapeError("offsets must have at least one element, got none. Zero sequences are torch.tensor([0]).")
    numbers = offsets.numpy()
    if numbers[0] != 0:
        raise ShapeError(f"offsets must start at 0, but offsets[0] = {numbers[0]}.")
    falls = numbers[1:] < numbers[:-1]
    if falls.any():
        i = int(falls.argmax())
        raise ShapeError(
            f"offsets must never decrease, but offsets[{i + 1}] = {numbers[i + 1]} follows offsets[{i}] = {numbers[i]}"
        )
    if numbers[-1] != values.shape[0]:
        raise ShapeError(
            f"offsets must end at the number of steps, but offsets[{last}] = {numbers[-1]} "
            f"and values of shape {list(values.shape)} have {values.shape[0]} steps."
        )


def _kind(thing: object) -> str:
    if isinstance(thing, Tensor):
        return f"a {'nested ' if thing.is_nested else ''}tensor of layout {thing.layout}"
    return type(thing).__name__


# ---- moving steps


def _offsets_of(lengths: Tensor) -> Tensor:
    return torch.nn.functional.pad(lengths.cumsum(0), (1, 0))


def _repeat(numbers: Tensor, counts: Tensor) -> Tensor:
    """Each number as often as its count. torch.repeat_interleave starts its threads for ten numbers; NumPy does not."""
    return torch.from_numpy(np.repeat(numbers.numpy(), counts.numpy()))


def _gather(values: Tensor, starts: Tensor, lengths: Tensor) -> Ragged:
    """Sequences that lie at `starts` in `values`, possibly out of order, twice, or with holes between them."""
    offsets = _offsets_of(lengths)
    rows = torch.arange(int(offsets[-1]), device="cpu") + _repeat(starts - offsets[:-1], lengths)
    return Ragged._trusted(values.index_select(0, rows.to(values.device)), offsets)


def _how_many_above(falling: Tensor, limits: Tensor) -> Tensor:
    """For each limit, how many of the numbers, which never increase, are greater: sizes from lengths and back."""
    return len(falling) - torch.searchsorted(falling.flip(0), limits, right=True)


def _out_of_range(i: int, count: int) -> str:
    if not count:
        return f"sequence {i} is out of range: there are 0 sequences."
    return f"sequence {i} is out of range for {count} sequences; they are numbered 0 to {count - 1}, or -{count} to -1."


def _number(index: Any) -> int:
    """A whole number of any library; True is none, of whatever library."""
    truth = isinstance(index, bool) or (hasattr(index, "dtype") and str(index.dtype).endswith("bool"))
    with contextlib.suppress(TypeError):  # a tensor or array that is no whole number
        if not truth and isinstance(index, SupportsIndex):
            return operator.index(index)
    raise TypeError(
        f"a Ragged is indexed by a number, slice, list, tensor or mask of sequences, got {index!r}. For a step within "
        "sequence i use x[i][step]."
    )


def _chosen(index: _Indices, count: int) -> Tensor:
    """Numbers of the sequences that a list, array, tensor or mask asks for, from 0 to count - 1."""
    if isinstance(index, list) and 0 < sum(isinstance(item, bool) for item in index) < len(index):
        raise TypeError(f"sequences are chosen by numbers or by a mask, got both in {index!r}.")
    try:
        chosen = torch.as_tensor(index, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"sequences are chosen by a list of numbers or a mask, got {index!r}.") from error
    if chosen.dim() != 1:
        raise IndexError(f"a Ragged is indexed by a list of one dimension, got shape {list(chosen.shape)}.")
    if chosen.dtype == torch.bool:
        if len(chosen) != count:
            raise IndexError(f"the mask has {len(chosen)} elements, the Ragged has {count} sequences.")
        return torch.nonzero(chosen).flatten()
    if len(chosen) and (chosen.is_floating_point() or chosen.is_complex() or chosen.dtype == torch.uint8):
        raise TypeError(f"sequences are chosen by int64 numbers or a bool mask, got {chosen.dtype}.")
    chosen = chosen.to(torch.int64)
    for place in torch.nonzero((chosen < -count) | (chosen >= count)).flatten().tolist():
        raise IndexError(_out_of_range(int(chosen[place]), count))
    return torch.where(chosen < 0, chosen + count, chosen)
