"""What layers say of an input that is no Ragged."""

from elman.errors import ShapeError
from elman.ragged.ragged import Ragged


def expect_ragged(x: object, reader: object) -> None:
    """Raises ``ShapeError`` unless `x`, the input of the layer `reader`, is a `Ragged`.

    >>> expect_ragged(Ragged.of([[1.0]]), "an LSTM")
    >>> expect_ragged([[1.0]], "an LSTM")
    Traceback (most recent call last):
    elman.errors.ShapeError: an LSTM reads a Ragged, got a list. Make one with Ragged.of(list of sequences), ...
    """
    if isinstance(x, Ragged):
        return
    name = reader if isinstance(reader, str) else type(reader).__name__
    raise ShapeError(
        f"{name} reads a Ragged, got a {type(x).__name__}. Make one with Ragged.of(list of sequences), "
        "Ragged.from_padded(x, lengths) or Ragged.from_packed(x); the layers of elman.nn read tensors too."
    )
