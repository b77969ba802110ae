"""Learning from a piece of a sequence at a time: a loss at every step, and the state carried from piece to piece."""

from abc import ABC, abstractmethod

from torch import Tensor

from elman.ops.state import State
from elman.ragged.chunks import Chunk


class StepLoss(ABC):
    """The loss of a model that answers at every step, and so can learn from a piece of a sequence at a time.

    `train` cuts sequences into pieces (of `tbptt` steps; of all their steps where that is 0) and hands on the state in
    which each left the piece before, detached. A sequence that begins gets the rows of `initial_state`, through which a
    learnt beginning has its gradient. Several sequences run side by side; where one ends, the next takes its place.

    >>> class NextSymbol(StepLoss):
    ...     def __init__(self, read, encoder, head, inputs, targets):
    ...         self.read, self.encoder, self.head, self.inputs, self.targets = read, encoder, head, inputs, targets
    ...
    ...     def initial_state(self, sequences):
    ...         return self.encoder.initial_state(sequences)
    ...
    ...     def __call__(self, piece, state):
    ...         y, state = self.encoder(self.read(piece.of(self.inputs)), state)
    ...         return torch.nn.functional.cross_entropy(self.head(y.values), piece.of(self.targets).values), state
    """

    @abstractmethod
    def initial_state(self, sequences: int) -> State:
        """The state before the first step of so many sequences: tensors [sequences, ...] in tuples of tuples."""

    @abstractmethod
    def __call__(self, piece: Chunk, state: State) -> tuple[Tensor, State]:
        """The mean loss over the steps of the piece, a scalar with gradient, and the state after its last steps."""
