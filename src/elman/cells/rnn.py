"""The simple recurrent network."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from elman.cells.base import HiddenState, State
from elman.cells.recurrent import Recurrent
from elman.ragged import Ragged


class RNN(Recurrent):
    """Simple recurrent network: one hidden state, no gates.

    ::

        h_t = tanh(W x_t + b_ih + U h_{t-1} + b_hh)
        y_t = h_t

    W is ``weight_ih`` [hidden, inputs], U ``weight_hh`` [hidden, hidden], b_ih ``bias_ih``, b_hh ``bias_hh``, as in
    ``torch.nn.RNN``. Its gradient through k steps is a product of k Jacobians diag(1 - h^2) U, which vanishes or
    explodes as k grows (Bengio et al. 1994): use an LSTM or a GRU beyond some twenty steps.

    Source: Elman, "Finding structure in time", 1990.

    >>> import torch
    >>> from elman.ragged import Ragged
    >>> cell = RNN(3, 4)
    >>> y, state = cell(Ragged.of([torch.randn(5, 3), torch.randn(0, 3)]))
    >>> y.values.shape, state.hidden.shape
    (torch.Size([5, 4]), torch.Size([2, 4]))
    """

    kernel = "rnn_tanh"
    state_type = HiddenState
    activations: ClassVar[dict[str, str]] = {"h": "tanh"}

    def gates(self, x: Ragged, y: Ragged, state: State | None = None) -> dict[str, Tensor]:
        """h itself."""
        return {"h": y.values}


class ReluRNN(RNN):
    """Simple recurrent network with max(0, .) in place of tanh.

    ::

        h_t = max(0, W x_t + b_ih + U h_{t-1} + b_hh)

    It does not saturate, so its gradient depends on U alone, which makes it easier to explode. U starts orthogonal, as
    in every cell here; Le et al. start it at the identity.

    Source: Le, Jaitly & Hinton, "A simple way to initialize recurrent networks of rectified linear units", 2015.

    >>> ReluRNN(3, 4).initial_state(2).hidden.shape
    torch.Size([2, 4])
    """

    kernel = "rnn_relu"
    activations: ClassVar[dict[str, str]] = {"h": "relu"}
